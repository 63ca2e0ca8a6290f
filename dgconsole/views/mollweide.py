"""Mollweide's equal-area projection, around any meridian: degrees to the ellipse and back.

RA grows to the left, as seen from inside the sphere; north is up. Source: Snyder, Map projections, a working manual
(USGS 1395), chapter 31.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def latitude_angle(dec: Array) -> Array:
    """The projection's auxiliary angle in radians for Dec in degrees, any shape."""
    phi = np.radians(dec)
    theta = phi.copy()
    for _ in range(30):  # Newton on 2t + sin 2t = pi sin phi, flattened at the poles where the slope is zero
        slope = 2 + 2 * np.cos(2 * theta)
        step = (2 * theta + np.sin(2 * theta) - np.pi * np.sin(phi)) / np.maximum(slope, 1e-9)
        theta = np.clip(theta - step, -np.pi / 2, np.pi / 2)
        if np.max(np.abs(step), initial=0.0) < 1e-9:
            break
    return theta


def across(ra: Array, theta: Array, meridian: float = 0.0) -> Array:
    """The ellipse's x in [-1, 1] for RA in degrees and the auxiliary angle; ``meridian`` is in the middle."""
    east = (np.asarray(ra) - meridian + 180.0) % 360.0 - 180.0
    return -east / 180.0 * np.cos(theta)


def forward(ra: Array, dec: Array, meridian: float = 0.0) -> tuple[Array, Array]:
    """Degrees to the ellipse: x in [-1, 1] rightwards, y in [-1, 1] upwards."""
    theta = latitude_angle(dec)
    return across(ra, theta, meridian), np.sin(theta)


def inverse(x: Array, y: Array, meridian: float = 0.0) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The ellipse to degrees: RA in [0, 360), Dec, and which points lie on the sky at all."""
    theta = np.arcsin(np.clip(y, -1.0, 1.0))
    width = np.maximum(np.cos(theta), 1e-12)
    east = -180.0 * x / width
    on_sky = (np.abs(y) <= 1.0) & (np.abs(x) <= width)
    dec = np.degrees(np.arcsin(np.clip((2 * theta + np.sin(2 * theta)) / np.pi, -1.0, 1.0)))
    return (east + meridian) % 360.0, dec, on_sky
