"""A box of the sky: a range of right ascension by a range of declination."""

from typing import NamedTuple

SLACK = 1e-11
"""Degrees by which a limit is widened that must not miss anything: far above the rounding errors of a
limit, far below a micro-arcsecond (2.8e-10)."""


class Box(NamedTuple):
    """Limits in degrees; ``0 <= ra_min < ra_max <= 360`` and ``-90 <= dec_min < dec_max <= 90``.

    A box never wraps: the cells of the tiling all start at right ascension 0. Lower limits belong to
    the box, upper limits to the next one, except at 360 and 90.
    """

    ra_min: float
    ra_max: float
    dec_min: float
    dec_max: float
