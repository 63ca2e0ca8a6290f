"""Functions that give the same bits on every machine: built from + - * / and sqrt, which IEEE makes exact.

The polynomials are those of fdlibm (Sun Microsystems, 1993). Library functions may differ in the last bit
between systems and between processors, so they never decide a value.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEGREE: Final = 0.017453292519943295
"""One degree in radians."""
RADIAN: Final = 57.29577951308232
"""One radian in degrees."""

_HALF_PI: Final = 1.5707963267948966
_HALF_PI_LOW: Final = 6.123233995736766e-17
_LN2_HIGH: Final = 6.93147180369123816490e-01
_LN2_LOW: Final = 1.90821492927058770002e-10

_ASIN_P: Final = (
    1.66666666666666657415e-01,
    -3.25565818622400915405e-01,
    2.01212532134862925881e-01,
    -4.00555345006794114027e-02,
    7.91534994289814532176e-04,
    3.47933107596021167570e-05,
)
_ASIN_Q: Final = (
    1.0,
    -2.40339491173441421878e00,
    2.02094576023350569471e00,
    -6.88283971605453293030e-01,
    7.70381505559019352791e-02,
)
_SIN: Final = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_COS: Final = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)
_LOG: Final = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


def _polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    """The sum of ``coefficients[i] * x**i``, by Horner's rule."""
    total = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total


def asin(x: Floats) -> Floats:
    """Radians in [-pi/2, pi/2] for ``x`` in [-1, 1]; within 2.3e-16."""
    size = np.abs(x)
    large = size > 0.5
    half = (1.0 - size) * 0.5
    t = np.where(large, half, x * x)
    s = np.where(large, np.sqrt(half), size)
    r = s + s * (t * _polynomial(t, _ASIN_P) / _polynomial(t, _ASIN_Q))
    angle: Floats = np.where(large, _HALF_PI - (2.0 * r - _HALF_PI_LOW), r)
    return np.copysign(angle, x)


def _sin_cos(degrees: Floats) -> tuple[Floats, Floats]:
    """Sine and cosine of angles of up to some thousand degrees; within 1.2e-16."""
    quadrant = np.rint(degrees / 90.0)
    x = (degrees - 90.0 * quadrant) * DEGREE
    z = x * x
    sine = x + x * (z * _polynomial(z, _SIN))
    cosine = 1.0 - (0.5 * z - z * (z * _polynomial(z, _COS)))
    turn = quadrant.astype(np.int64) & 3
    odd = (turn & 1) == 1
    s = np.where(odd, cosine, sine)
    c = np.where(odd, sine, cosine)
    return np.where(turn >= 2, -s, s), np.where((turn == 1) | (turn == 2), -c, c)


def sin_degrees(degrees: Floats) -> Floats:
    """The sine of angles in degrees."""
    return _sin_cos(degrees)[0]


def cos_degrees(degrees: Floats) -> Floats:
    """The cosine of angles in degrees."""
    return _sin_cos(degrees)[1]


def unit_vectors(ra: Floats, dec: Floats) -> tuple[Floats, Floats, Floats]:
    """Points on the unit sphere for places in degrees: x, y, z, each of shape (n,)."""
    sin_ra, cos_ra = _sin_cos(ra)
    sin_dec, cos_dec = _sin_cos(dec)
    return cos_dec * cos_ra, cos_dec * sin_ra, sin_dec


def log(x: Floats) -> Floats:
    """The natural logarithm of normal numbers above 0; within 1 unit in the last place."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, mantissa * 2.0, mantissa)
    k = exponent.astype(np.float64) - low
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = z * _polynomial(z, _LOG)
    half = 0.5 * f * f
    total: Floats = k * _LN2_HIGH - ((half - (s * (half + r) + k * _LN2_LOW)) - f)
    return total
