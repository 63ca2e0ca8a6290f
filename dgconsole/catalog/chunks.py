"""`Catalog`: the tables of a spec, chunk by chunk, in batches of rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.columns import PairGenerator
from dgconsole.catalog.lookup import WholeTable
from dgconsole.catalog.making import FollowRows, Maker, OwnRows, Setting
from dgconsole.catalog.model import Spec, Table
from dgconsole.catalog.pairing import PairRows, VisitTable, visit_columns
from dgconsole.catalog.roles import roles_of
from dgconsole.catalog.rows import Columns, Tables
from dgconsole.catalog.streams import Hashes, row_ids
from dgconsole.catalog.tablefile import TableFile
from dgconsole.catalog.usercode import guarded
from dgconsole.catalog.wholechunk import ChunkColumns
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import Tiling
from dgconsole.support.batch import Batch
from dgconsole.support.errors import ChunkError, Fault, InputError, Problem

ROWS = 8192
"""Rows of a batch: what keeps wide tables in the cache."""


class Catalog:
    """The tables of one spec. Any chunk may be asked for, in any order: its rows are always the same.

    Parameters
    ----------
    spec
        As loaded.
    seed
        Varies everything.
    visits, objects
        Rows per chunk of tables of visits, and of other tables with rows of their own but no density.
    types
        Table -> column -> SQL type, as in the ingest JSON; they win over the spec's and the generators' own.
    overlaps
        Director -> overlap in degrees.
    pregenerated
        The folder where ``from_file`` tables lie; None: the current directory.
    on_warning
        Takes each warning, once.

    Raises
    ------
    InputError
        Tables that cannot be made: all problems at once.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        seed: int,
        visits: int,
        objects: int,
        types: Mapping[str, Mapping[str, str]] | None = None,
        overlaps: Mapping[str, float] | None = None,
        pregenerated: Path | None = None,
        on_warning: Callable[[str], None],
    ) -> None:
        self._tiling: Tiling = spec.chunker.tiling
        self._spec = spec
        self._on_warning = on_warning
        self._warned: set[str] = set()
        self._setting = Setting(self._tiling, seed, visits, objects, types or {}, self._warn, self._tables_of)
        self._files = {t.name: TableFile(t, pregenerated) for t in spec.tables if t.from_file}
        self._makers: dict[str, Maker] = {}
        self._whole = lru_cache(maxsize=32)(self._whole_table)
        problems = []
        for table in spec.tables:
            if not table.from_file:
                try:
                    self._makers[table.name] = self._maker(table)
                except ValueError as exc:
                    problems.append(Problem(str(exc), line=table.line, key=f"spec.{table.name}"))
        InputError.raise_if(problems)
        self._overlaps = {name: Overlap(self._tiling, radius) for name, radius in (overlaps or {}).items()}

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that have rows, in making order; tables from files are not among them."""
        return tuple(self._makers)

    def count(self, table: str, chunk: int) -> int:
        """The number of rows of a chunk, for a table with rows of its own. KeyError for others."""
        maker = self._makers[table]
        if not isinstance(maker, OwnRows):
            raise KeyError(f"{table}: the rows of this table follow from its prerequisites")
        return maker.count(chunk)

    def batches(self, table: str, chunk: int, rows: int = ROWS) -> Iterator[Batch]:
        """The chunk's own rows of a table, in their fixed order.

        ``rows`` at a time; for tables of pairs, whose rows are short, that many or more. ChunkError where the
        spec's generators fail.
        """
        return self._makers[table].batches(chunk, rows)

    def neighbour_batches(self, table: str, chunk: int, rows: int = ROWS) -> Iterator[Batch]:
        """The rows of other chunks that have a copy in this chunk's overlap; none for tables without overlap.

        Only positions are computed of rows that don't.
        """
        maker, overlap = self._makers[table], self._overlaps.get(table)
        if overlap is None or not isinstance(maker, OwnRows):
            return
        waiting: list[tuple[Hashes, NDArray[np.float64], NDArray[np.float64]]] = []
        for neighbour in overlap.contributors(chunk).tolist():
            found = self._in_overlap(maker, overlap, chunk, neighbour)
            if not len(found[0]):
                continue
            if maker.is_pure:
                waiting.append(found)
            else:
                yield from _sliced(maker, neighbour, *found, rows)
        if waiting:
            ids, ra, dec = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
            yield from _sliced(maker, chunk, ids, ra, dec, rows)

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._on_warning(text)

    def _in_overlap(
        self, maker: OwnRows, overlap: Overlap, chunk: int, neighbour: int
    ) -> tuple[Hashes, NDArray[np.float64], NDArray[np.float64]]:
        """Ids and places of the neighbour's rows with a copy in the chunk."""
        count = maker.count(neighbour)
        if maker.has_place_of_its_own:
            reach = overlap.reach(chunk, of=neighbour)
            candidates = maker.positions.candidates(neighbour, count, reach)
            ids = candidates.view(np.uint64) + np.uint64(neighbour << 32)
        else:
            ids = row_ids(neighbour, 0, count)
        ra, dec = maker.place(neighbour, ids)
        if not len(ra):
            return ids[:0], ra, dec
        cells = guarded(maker.table.name, lambda: self._tiling.locate(ra, dec))
        copies = overlap.copies(ra, dec, cells)
        keep = np.unique(copies.row[copies.chunk == chunk])
        return ids[keep], ra[keep], dec[keep]

    def _maker(self, table: Table) -> Maker:
        """The maker of a table; ValueError where it cannot be made."""
        generators = [group.generator for group in table.columns]
        pairs = [generator for generator in generators if isinstance(generator, PairGenerator)]
        if len(pairs) > 1:
            raise ValueError("has more than one generator of sources; split it into tables")
        if pairs:
            return PairRows(table, self._setting, self._objects(table), self._visits(table))
        director, key = self._director(table)
        own = OwnRows(table, self._setting, director, key)
        roles = roles_of(table)
        counted = table.density is not None or roles.id_column or roles.visit_column or not table.prereq_tables
        if counted or any(isinstance(generator, ChunkColumns) for generator in generators):
            return own
        parent = table.prereq_row or table.prereq_tables[0]
        if parent not in self._makers:
            raise ValueError(f"takes its rows from {parent}, which is read from a file; name another table first")
        return FollowRows(table, self._setting, self._makers[parent])

    def _director(self, table: Table) -> tuple[OwnRows | None, str]:
        """The director that a table without places follows, and the column that names its rows."""
        roles = roles_of(table)
        if roles.ra:
            return None, ""
        known: list[tuple[str, str]] = [
            (director, children[table.name])
            for director, children in (self._spec.directors or {}).items()
            if table.name in children
        ]
        for need in table.prereq_tables:
            maker = self._makers.get(need)
            if isinstance(maker, OwnRows) and maker.roles.id_column in table.names:
                known.append((need, maker.roles.id_column))
        for name, key in known:
            maker = self._makers.get(name)
            if not isinstance(maker, OwnRows) or not maker.place_columns or key == roles.id_column:
                continue
            if maker.roles.id_column and key in table.names:
                return maker, key
        return None, ""

    def _objects(self, table: Table) -> OwnRows:
        for need in table.prereq_tables:
            maker = self._makers.get(need)
            if isinstance(maker, OwnRows) and maker.roles.id_column and maker.roles.ra:
                return maker
        raise ValueError("needs a table with ObjIdGenerator and RaDecGenerator among its prereq_tables")

    def _visits(self, table: Table) -> VisitTable:
        for need in table.prereq_tables:
            maker = self._makers.get(need)
            source: Any = self._files.get(need)
            if isinstance(maker, OwnRows) and maker.roles.visit_column:
                source = maker
            if source is None:
                continue
            columns = visit_columns(source.table)
            if columns is None:
                raise ValueError(f"needs of {need} a visit id, a filter, a right ascension and a declination")
            return VisitTable(source, columns)
        raise ValueError("needs a table with VisitIdGenerator, or one from_file, among its prereq_tables")

    def _tables_of(self, names: Sequence[str], chunk: int) -> Tables:
        return _Tables(tuple(names), chunk, self._whole)

    def _whole_table(self, name: str, chunk: int) -> Columns:
        if name in self._files:
            return self._files[name]
        if name not in self._makers:
            raise ChunkError(Fault.SPEC, f"there is no table {name}")
        return WholeTable(self._makers[name], chunk)


class _Tables(Mapping[str, Columns]):
    """Tables by name, each looked up when asked for."""

    def __init__(self, names: tuple[str, ...], chunk: int, whole: Callable[[str, int], Columns]) -> None:
        self._names = names
        self._chunk = chunk
        self._whole = whole

    def __getitem__(self, name: str) -> Columns:
        if name not in self._names:
            raise KeyError(name)
        return self._whole(name, self._chunk)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _sliced(
    maker: OwnRows, chunk: int, ids: Hashes, ra: NDArray[np.float64], dec: NDArray[np.float64], rows: int
) -> Iterator[Batch]:
    for start in range(0, len(ids), rows):
        part = slice(start, start + rows)
        yield maker.batch(chunk, ids[part], ra[part], dec[part])
