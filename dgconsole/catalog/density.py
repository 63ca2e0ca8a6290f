"""How many objects a square degree holds, over the sky: the models a spec names, and counts per chunk."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNSEEN = -1e30
"""HEALPix maps hold about -1.6375e30 where nothing was observed: whatever is below this."""


class SpatialModel(ABC):
    """Objects per square degree as a function of the place.

    A model of the user's own overrides ``get_density_at_point``; it is asked at the centres of cells of equal
    area, a few hundred a chunk.
    """

    @abstractmethod
    def get_density_at_point(self, ra: float, dec: float) -> float:
        """Objects per square degree at a place in degrees."""

    def densities(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same for many places at once, shape (n,)."""
        pairs = zip(ra.tolist(), dec.tolist(), strict=True)
        return np.array([self.get_density_at_point(a, d) for a, d in pairs], np.float64)

    @property
    def grain(self) -> float:
        """Degrees over which the density may change."""
        return 0.5

    @property
    def is_uniform(self) -> bool:
        """Whether the density is the same everywhere."""
        return False


class UniformSpatialModel(SpatialModel):
    """``density`` objects per square degree everywhere."""

    def __init__(self, density: float) -> None:
        if not 0 <= density < float("inf"):
            raise ValueError(f"density={density!r}: give objects per square degree, 0 or more")
        self.density = float(density)

    def get_density_at_point(self, ra: float, dec: float) -> float:  # noqa: ARG002
        return self.density

    @property
    def is_uniform(self) -> bool:
        return type(self).get_density_at_point is UniformSpatialModel.get_density_at_point


class HealpixSpatialModel(SpatialModel):
    """Objects per square degree from a HEALPix map.

    Parameters
    ----------
    healpix_density_map
        Objects per square degree in each cell, shape (12 * nside**2,). Cells that were not observed (NaN or
        healpy's UNSEEN) hold nothing.
    nside, nested
        The map's resolution and whether its cells are in nested order.
    """

    def __init__(self, healpix_density_map: ArrayLike, nside: int, nested: bool) -> None:
        cells = np.asarray(healpix_density_map, np.float64)
        if nside < 1 or cells.shape != (12 * nside * nside,):
            raise ValueError(f"a map of nside={nside} has {12 * nside * nside} cells in one row, not {cells.shape}")
        cells = np.where(np.isnan(cells) | (cells < UNSEEN), 0.0, cells)
        if bool((cells < 0).any()) or bool(np.isinf(cells).any()):
            raise ValueError("the density map holds negative or infinite values")
        self.cells = cells
        self.nside = nside
        self.nested = nested

    def get_density_at_point(self, ra: float, dec: float) -> float:
        return float(self._looked_up(np.array([ra]), np.array([dec]))[0])

    def densities(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        if type(self).get_density_at_point is not HealpixSpatialModel.get_density_at_point:
            return super().densities(ra, dec)
        return self._looked_up(ra, dec)

    def _looked_up(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
        import healpy

        pixels: NDArray[Any] = healpy.ang2pix(self.nside, ra, dec, nest=self.nested, lonlat=True)
        found: NDArray[np.float64] = self.cells[pixels]
        return found

    @property
    def grain(self) -> float:
        return 58.6 / self.nside
