"""What must hold of the chunk tables of a filled database, whoever has loaded them: asked of them in SQL."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import Tiling

VALUES = "objectId, ra, decl, uPsFlux, yPsFlux"
"""What a copy has in common with its original."""


class Filled(Protocol):
    """A database that was filled by the shipped spec."""

    def chunks(self, table: str) -> Sequence[int]:
        """The chunks that a kind of table has tables of."""

    def ask(self, chunk: int, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement where the tables of that chunk are."""


def assert_right(filled: Filled, overlap: Overlap, whole: int) -> None:
    """All that is asked; ``whole`` is a chunk whose neighbours are all there."""
    each_object_is_in_one_chunk_table(filled)
    cells_are_those_of_the_positions(filled, overlap.tiling)
    children_are_with_their_directors(filled)
    overlap_tables_hold_what_they_must(filled, overlap, whole)


def _of_all(filled: Filled, table: str, columns: str) -> list[tuple[Any, ...]]:
    return [
        row for chunk in filled.chunks(table) for row in filled.ask(chunk, f"SELECT {columns} FROM {table}_{chunk}")
    ]


def _columns(filled: Filled, table: str, columns: str) -> list[np.ndarray]:
    return [np.array(column) for column in zip(*_of_all(filled, table, columns), strict=True)]


def each_object_is_in_one_chunk_table(filled: Filled) -> None:
    ids = [key for (key,) in _of_all(filled, "Object", "objectId")]
    assert len(ids) == len(set(ids)) > 5000
    for chunk in filled.chunks("Object"):
        assert filled.ask(chunk, f"SELECT DISTINCT chunkId FROM Object_{chunk}") == [(chunk,)]


def cells_are_those_of_the_positions(filled: Filled, tiling: Tiling) -> None:
    ra, dec, chunk, sub_chunk = _columns(filled, "Object", "ra, decl, chunkId, subChunkId")
    cells = tiling.locate(ra, dec)
    assert (cells.chunk == chunk).all()
    assert (cells.sub_chunk == sub_chunk).all()


def children_are_with_their_directors(filled: Filled) -> None:
    for chunk in filled.chunks("ForcedSource"):
        sql = (
            f"SELECT COUNT(*), COUNT(o.objectId), SUM(f.subChunkId = o.subChunkId AND f.chunkId = o.chunkId) "
            f"FROM ForcedSource_{chunk} f LEFT JOIN Object_{chunk} o USING (objectId)"
        )
        ((rows, joined, together),) = filled.ask(chunk, sql)
        assert rows == joined == together > 0


def overlap_tables_hold_what_they_must(filled: Filled, overlap: Overlap, whole: int) -> None:
    """All copies in the sub-chunks of ``whole``, of its own objects and its neighbours', and no others."""
    ids, ra, dec = _columns(filled, "Object", "objectId, ra, decl")
    copies = overlap.copies(ra, dec, overlap.tiling.locate(ra, dec))
    here = copies.chunk == whole
    wanted = Counter(zip(ids[copies.row[here]].tolist(), copies.sub_chunk[here].tolist(), strict=True))
    found = Counter(filled.ask(whole, f"SELECT objectId, subChunkId FROM ObjectFullOverlap_{whole}"))
    assert found == wanted
    foreign = f"SELECT COUNT(*) > 10 FROM ObjectFullOverlap_{whole} WHERE objectId NOT IN (SELECT objectId FROM "
    assert filled.ask(whole, f"{foreign}Object_{whole})") == [(1,)]
    originals = {row[0]: row for row in _of_all(filled, "Object", VALUES)}
    for row in filled.ask(whole, f"SELECT {VALUES} FROM ObjectFullOverlap_{whole}"):
        assert row == originals[row[0]]
    for chunk in filled.chunks("ObjectFullOverlap"):
        sql = f"SELECT COUNT(*) FROM ObjectFullOverlap_{chunk} WHERE chunkId <> {chunk}"
        assert filled.ask(chunk, sql) == [(0,)]
