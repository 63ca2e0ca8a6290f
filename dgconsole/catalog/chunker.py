"""`Chunker`: the tiling under the name, and with the methods, that spec files know."""

from typing import Any

from dgconsole.catalog.chunkbox import ChunkBox, limits_of
from dgconsole.sky.neighbours import chunks_around, chunks_intersecting
from dgconsole.sky.tiling import Tiling, tiling_of


class Chunker:
    """The sky in chunks: ``num_stripes`` stripes, each of ``num_sub_stripes_per_stripe`` sub-stripes.

    Parameters
    ----------
    overlap
        Kept and unused, as in the original: what counts is ``part.overlap`` of a director's ``.cfg``.
    num_stripes, num_sub_stripes_per_stripe
        Whole numbers of at least 1.

    Raises
    ------
    ValueError
        Numbers below 1, or so large that chunks can't be numbered.
    """

    def __init__(self, overlap: float, num_stripes: int, num_sub_stripes_per_stripe: int) -> None:
        for name, value in (("num_stripes", num_stripes), ("num_sub_stripes_per_stripe", num_sub_stripes_per_stripe)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r}: give a whole number of at least 1")
        self.overlap = overlap
        self.num_stripes = num_stripes
        self.num_sub_stripes = num_sub_stripes_per_stripe
        self.tiling: Tiling = tiling_of(num_stripes, num_sub_stripes_per_stripe)

    def __repr__(self) -> str:
        return f"Chunker({self.overlap!r}, {self.num_stripes}, {self.num_sub_stripes})"

    def getChunkBounds(self, chunk_id: int) -> ChunkBox:  # noqa: N802
        """The chunk's box in degrees, with the accessors of sphgeom's ``Box``. ValueError for what is no chunk."""
        return ChunkBox(*self.tiling.chunk_box(chunk_id))

    def locate(self, position: tuple[float, float]) -> int:
        """The chunk that holds ``(lon, lat)`` in degrees; of several that meet there, the one with the lowest id."""
        lon, lat = map(float, position)
        lon %= 360.0
        return int(chunks_intersecting(self.tiling, lon, lon, lat, lat)[0])

    def getAllChunks(self) -> list[int]:  # noqa: N802
        """All chunk ids, ascending."""
        ids: list[int] = self.tiling.chunk_ids().tolist()
        return ids

    def getChunksIntersecting(self, region: Any) -> list[int]:  # noqa: N802
        """Ids, ascending, of the chunks that meet a box, touching included.

        ``region``: a box of ours or of sphgeom's, or (lon_min, lon_max, lat_min, lat_max) in degrees; where
        lon_min is above lon_max the box runs through 0. TypeError for anything else.
        """
        ids: list[int] = chunks_intersecting(self.tiling, *limits_of(region)).tolist()
        return ids

    def getChunksAround(self, chunk_id: int, overlap_width: float) -> list[int]:  # noqa: N802
        """Ids, ascending, of the chunks within ``overlap_width`` degrees of a chunk, itself among them."""
        ids: list[int] = chunks_around(self.tiling, chunk_id, overlap_width).tolist()
        return ids

    def printChunkBoundsDegrees(self, chunk_id: int) -> None:  # noqa: N802
        """Print the chunk's box."""
        print(f"chunk= {chunk_id} box= {self.getChunkBounds(chunk_id)}")  # noqa: T201
