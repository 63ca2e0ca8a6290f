"""A chunk's box with the accessors of sphgeom's ``Box``, so that spec files written for it can ask for limits."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple


class Angle(float):
    """An angle in degrees."""

    def asDegrees(self) -> float:  # noqa: N802
        return float(self)

    def asRadians(self) -> float:  # noqa: N802
        return math.radians(self)


@dataclass(frozen=True, slots=True)
class Interval:
    """Angles from ``getA()`` to ``getB()``, both in degrees."""

    a: float
    b: float

    def getA(self) -> Angle:  # noqa: N802
        return Angle(self.a)

    def getB(self) -> Angle:  # noqa: N802
        return Angle(self.b)

    def getSize(self) -> Angle:  # noqa: N802
        return Angle(self.b - self.a)

    def getCenter(self) -> Angle:  # noqa: N802
        return Angle((self.a + self.b) / 2)


class LonLat(NamedTuple):
    """A position in degrees."""

    lon: float
    lat: float

    def getLon(self) -> Angle:  # noqa: N802
        return Angle(self.lon)

    def getLat(self) -> Angle:  # noqa: N802
        return Angle(self.lat)


class ChunkBox(NamedTuple):
    """Limits in degrees, exact (sphgeom pads its boxes by 5e-12); a chunk's box never wraps."""

    lon_min: float
    lon_max: float
    lat_min: float
    lat_max: float

    def getLon(self) -> Interval:  # noqa: N802
        return Interval(self.lon_min, self.lon_max)

    def getLat(self) -> Interval:  # noqa: N802
        return Interval(self.lat_min, self.lat_max)

    def getWidth(self) -> Angle:  # noqa: N802
        return self.getLon().getSize()

    def getHeight(self) -> Angle:  # noqa: N802
        return self.getLat().getSize()

    def getCenter(self) -> LonLat:  # noqa: N802
        return LonLat(self.getLon().getCenter(), self.getLat().getCenter())

    def __str__(self) -> str:
        return f"ra[{self.lon_min}, {self.lon_max}], dec[{self.lat_min}, {self.lat_max}]"


def limits_of(region: Any) -> tuple[float, float, float, float]:
    """(lon_min, lon_max, lat_min, lat_max) in degrees of a box of ours, of sphgeom's, or of four such numbers.

    A box that runs through longitude 0 comes out with a lon_max above 360. TypeError for anything else.
    """
    if isinstance(region, tuple | list) and len(region) == 4:
        lon_a, lon_b, lat_a, lat_b = map(float, region)
    elif hasattr(region, "getLon") and hasattr(region, "getLat"):
        lon, lat = region.getLon(), region.getLat()
        lon_a, lon_b = lon.getA().asDegrees(), lon.getB().asDegrees()
        lat_a, lat_b = lat.getA().asDegrees(), lat.getB().asDegrees()
    else:
        raise TypeError(f"{region!r} is no box: give (lon_min, lon_max, lat_min, lat_max) in degrees")
    return lon_a, lon_b + 360.0 if lon_b < lon_a else lon_b, lat_a, lat_b
