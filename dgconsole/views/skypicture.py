"""The sky map as a picture: an SVG with the pixels as an image, the graticule, labels and a legend around it."""

import base64
import struct
import zlib
from collections.abc import Iterable
from datetime import datetime
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from dgconsole.snapshot import CHUNK_STATES, ChunkState, Snapshot
from dgconsole.views import mollweide
from dgconsole.views.signs import CODES
from dgconsole.views.sky import SkyMap, SkyPlaces
from dgconsole.views.text import harmless

WIDTH, HEIGHT = 2000, 1000
"""Pixels of the map."""
_MARGIN, _TOP, _BOTTOM = 60, 110, 130
_INK, _PAPER, _LINE = "#1c232b", "#ffffff", "#9aa1a8"
_COLORS = (
    "#ffffff",
    "#eef0f2",
    "#eef0f2",
    "#c9ced4",
    "#bcdcc8",
    "#93c8a8",
    "#68b189",
    "#36966a",
    "#7d79d6",
    "#2f7fd6",
    "#e0a100",
    "#d3302a",
)
"""By what a pixel shows, as ``sky`` numbers it."""
_LEGEND: dict[ChunkState, int] = {
    ChunkState.COMPLETED: 7,
    ChunkState.DELIVERED: 8,
    ChunkState.ASSIGNED: 9,
    ChunkState.RETRYING: 10,
    ChunkState.LIMBO: 11,
    ChunkState.PENDING: 3,
}


def title_of(snapshot: Snapshot) -> str:
    """What stands above the picture: the run, when, and how far it is."""
    when = datetime.fromtimestamp(snapshot.wall).astimezone().strftime("%Y-%m-%d %H:%M")
    counts = snapshot.counts
    return f"{harmless(snapshot.name)}, {when}: {counts.completed:,} of {counts.total:,} chunks done"


def sky_svg(boxes: NDArray[np.float64], states: NDArray[np.uint8], title: str) -> str:
    """The whole sky as SVG text; ``boxes`` and ``states`` as in ``SkyPlaces`` and ``SkyMap``, title as plain text."""
    made = SkyMap(SkyPlaces(boxes), states, WIDTH, HEIGHT)
    image = base64.b64encode(_png(made.pixels)).decode()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2 * _MARGIN} {HEIGHT + _TOP + _BOTTOM}"'
        f' font-family="DejaVu Sans, Helvetica, Arial, sans-serif" fill="{_INK}">',
        f'<rect width="100%" height="100%" fill="{_PAPER}"/>',
        f'<text x="{_MARGIN}" y="60" font-size="34">{escape(title)}</text>',
        f'<image x="{_MARGIN}" y="{_TOP}" width="{WIDTH}" height="{HEIGHT}" href="data:image/png;base64,{image}"/>',
        f'<g fill="none" stroke="{_LINE}" stroke-width="1.2">',
        *(_path(*line) for line in _graticule()),
        "</g>",
        f'<g font-size="22" stroke="{_PAPER}" stroke-width="5" paint-order="stroke">',
        *_labels(),
        "</g>",
        *_legend(states),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG with a palette; ``pixels``, shape (height, width), are indices into it."""
    height, width = pixels.shape
    palette = b"".join(bytes.fromhex(color[1:]) for color in _COLORS)
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = pixels
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"tRNS", b"\x00"),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def _graticule() -> Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Lines every 60 degrees of RA and 30 of Dec, and the edge of the sky."""
    decs = np.linspace(-90.0, 90.0, 181)
    for ra in (-180.0 + 1e-9, -120.0, -60.0, 0.0, 60.0, 120.0, 180.0 - 1e-9):
        yield mollweide.forward(np.full(181, ra), decs)
    ras = np.linspace(-180.0 + 1e-9, 180.0 - 1e-9, 181)
    for dec in (-60.0, -30.0, 0.0, 30.0, 60.0):
        yield mollweide.forward(ras, np.full(181, dec))


def _at(x: float, y: float) -> tuple[float, float]:
    return _MARGIN + (x + 1) / 2 * WIDTH, _TOP + (1 - y) / 2 * HEIGHT


def _path(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
    points = (_at(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True))
    return '<polyline points="{}"/>'.format(" ".join(f"{x:.1f},{y:.1f}" for x, y in points))


def _labels() -> Iterable[str]:
    for ra in (120, 60, 0, 300, 240):
        x, y = mollweide.forward(np.array([float(ra)]), np.array([0.0]))
        px, py = _at(float(x[0]), float(y[0]))
        yield f'<text x="{px + 6:.1f}" y="{py - 8:.1f}">{ra}°</text>'
    for dec in (-60, -30, 30, 60):
        x, y = mollweide.forward(np.array([180.0 - 1e-9]), np.array([float(dec)]))
        px, py = _at(float(x[0]), float(y[0]))
        yield f'<text x="{px - 8:.1f}" y="{py + 8:.1f}" text-anchor="end">{dec:+d}°</text>'


def _legend(states: NDArray[np.uint8]) -> Iterable[str]:
    """Each state that occurs, with its colour and number."""
    numbers = np.bincount(states, minlength=len(CHUNK_STATES))
    x, y = float(_MARGIN), _TOP + HEIGHT + 70
    for state, color in _LEGEND.items():
        number = int(numbers[CODES[state]])
        if number:
            text = f"{number:,} {state.value}"
            yield f'<rect x="{x:.0f}" y="{y - 22}" width="28" height="28" rx="5" fill="{_COLORS[color]}"/>'
            yield f'<text x="{x + 40:.0f}" y="{y}" font-size="26">{text}</text>'
            x += 80 + 16 * len(text)
