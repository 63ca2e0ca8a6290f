"""Pairs of objects and visits: a row for each visit that sees an object, whichever chunk the visit lies in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog import exactmath, shapes
from dgconsole.catalog.columns import FilterGenerator, PairGenerator
from dgconsole.catalog.lookup import Aligned, column_text
from dgconsole.catalog.making import Maker, OwnRows, Setting
from dgconsole.catalog.matching import Index, Points, matches, near_box
from dgconsole.catalog.model import Table
from dgconsole.catalog.roles import roles_of
from dgconsole.catalog.rows import Pairs
from dgconsole.catalog.streams import hash_rows, make_key, pair_counters, row_ids
from dgconsole.catalog.tablefile import TableFile
from dgconsole.sky.neighbours import chunks_within
from dgconsole.support.batch import Batch

_OBJECTS = 4096
"""Objects made at a time."""
_CELLS = 1 << 19
"""Values in a batch of pairs, at most; and 2^15 rows."""
_ROW = (1 << 32) - 1

Floats = NDArray[np.float64]

_NO_FLUX: Floats = np.empty(0)
_NO_BANDS: NDArray[np.uint8] = np.empty(0, np.uint8)


@dataclass(frozen=True)
class Visits:
    """Visits in their fixed order: ids, bands (indices into ``words``), centres as unit vectors; shape (n,)."""

    ids: NDArray[np.int64]
    bands: NDArray[np.uint8]
    words: tuple[str, ...]
    centres: Points

    def take(self, index: NDArray[Any]) -> "Visits":
        x, y, z = (axis[index] for axis in self.centres)
        return Visits(self.ids[index], self.bands[index], self.words, (x, y, z))


class VisitTable:
    """Visits, generated chunk by chunk or read from a file.

    Parameters
    ----------
    source
        The maker of the table, or the file.
    columns
        Its columns: id, band, right ascension, declination (degrees).
    """

    def __init__(self, source: OwnRows | TableFile, columns: tuple[str, str, str, str]) -> None:
        self.source = source
        self.columns = columns
        self._all: Visits | None = None

    def near(self, chunk: int, radius: float, setting: Setting) -> Visits:
        """All visits whose centres lie within ``radius`` degrees of a chunk; some that don't may be among them."""
        if isinstance(self.source, TableFile):
            if self._all is None:
                self._all = self._visits(*(self.source[name] for name in self.columns))
            visits = self._all
        else:
            visits = self._of_chunks(self.source, chunks_within(setting.tiling, chunk, radius).tolist())
        return visits.take(near_box(visits.centres, setting.tiling.chunk_box(chunk), radius))

    def _of_chunks(self, maker: OwnRows, chunks: list[int]) -> Visits:
        counts = {chunk: maker.count(chunk) for chunk in chunks}
        if maker.is_pure and maker.table.density is None:
            ids = np.concatenate([row_ids(chunk, 0, count) for chunk, count in counts.items()])
            made = [maker.batch(chunks[0], ids, *maker.positions.place(ids), self.columns)]
        else:
            made = [batch for chunk in chunks for batch in maker.batches(chunk, 65536, self.columns)]
        parts = [np.concatenate([column_text(batch, name) for batch in made]) for name in self.columns]
        return self._visits(*parts)

    def _visits(self, ids: NDArray[Any], bands: NDArray[Any], ra: NDArray[Any], dec: NDArray[Any]) -> Visits:
        words, index = np.unique(bands.astype(str), return_inverse=True)
        centres = exactmath.unit_vectors(ra.astype(np.float64), dec.astype(np.float64))
        return Visits(ids.astype(np.int64), index.astype(np.uint8), tuple(words.tolist()), centres)


class PairRows(Maker):
    """A table made by a ForcedSourceGenerator or SourceGenerator (and others that add columns to its rows)."""

    def __init__(self, table: Table, setting: Setting, objects: OwnRows, visits: VisitTable) -> None:
        super().__init__(table, setting)
        group = next(g for g in table.columns if isinstance(g.generator, PairGenerator))
        self.generator: PairGenerator = group.generator
        self.objects = objects
        self.visits = visits
        found = self.generator.pair_shapes(group.names, group.types)
        self._flux_wanted = any(isinstance(shape, shapes.Flux) for shape in found)
        self._band_wanted = any(isinstance(shape, shapes.Band) for shape in found)
        self._share_key = make_key(setting.seed, table.name, "", f"share/{self.generator.column_seed}")
        self._rows = max(1, min(1 << 15, _CELLS // len(table.names)))

    def batches(self, chunk: int, rows: int, wanted: tuple[str, ...] | None = None) -> Iterator[Batch]:
        """Pairs in the order of objects, then visits.

        ``rows`` is a lower limit for most batches: rows of pairs are short.
        """
        visits = self._useful(self.visits.near(chunk, self.generator.visit_radius, self.setting))
        if not len(visits.ids):
            return
        sources = [flux_column(self.objects.table, band) for band in visits.words] if self._flux_wanted else []
        columns = tuple(dict.fromkeys(name for name in sources if name))
        start, target = 0, max(rows, self._rows)
        id_column = self.objects.roles.id_column
        for some in self.objects.batches(chunk, _OBJECTS, (id_column, *columns)):
            flux = np.stack([some.column(name) if name else np.zeros(some.length) for name in sources] or [_NO_FLUX])
            for object_rows, visit_rows in self._matches(some, visits, target):
                stop = start + len(object_rows)
                yield self._batch(chunk, some, visits, flux, object_rows, visit_rows, (start, stop), wanted)
                start = stop

    def _batch(
        self,
        chunk: int,
        some: Batch,
        visits: Visits,
        flux: Floats,
        object_rows: Index,
        visit_rows: Index,
        numbers: tuple[int, int],
        wanted: tuple[str, ...] | None,
    ) -> Batch:
        # mode="clip" spares the check of indices that are right by construction.
        bands = visits.bands.take(visit_rows, mode="clip") if self._band_wanted else _NO_BANDS
        if self._flux_wanted:
            first = visits.bands.astype(np.int64) * some.length
            flux = flux.take(first.take(visit_rows, mode="clip") + object_rows, mode="clip")
        pairs = Pairs(
            objects=some.column(self.objects.roles.id_column).take(object_rows, mode="clip"),
            visits=visits.ids.take(visit_rows, mode="clip"),
            bands=bands,
            words=visits.words,
            flux=flux,
        )
        ra, dec = some.ra.take(object_rows, mode="clip"), some.dec.take(object_rows, mode="clip")
        whole = self.setting.tables((self.objects.table.name,), chunk)[self.objects.table.name]
        rows = self.make_rows(
            chunk,
            row_ids(chunk, *numbers),
            ra,
            dec,
            Aligned(whole, pairs.objects & _ROW),
            counters=pair_counters(pairs.objects.view(np.uint64), pairs.visits.view(np.uint64)),
            pairs=pairs,
        )
        recipe = self.recipe(wanted)
        return Batch(recipe.names, tuple(recipe.blocks(rows)), ra, dec, len(ra))

    def _useful(self, visits: Visits) -> Visits:
        """The visits whose band is asked for, and known to the object where its flux is needed."""
        kept = []
        for index, band in enumerate(visits.words):
            if band not in self.generator.filters:
                continue
            if self._flux_wanted and not flux_column(self.objects.table, band):
                self._warn_of(band)
                continue
            kept.append(index)
        if len(kept) == len(visits.words):
            return visits
        return visits.take(np.flatnonzero(np.isin(visits.bands, np.array(kept, np.uint8))))

    def _warn_of(self, band: str) -> None:
        self.setting.warn(
            f"{self.table.name}: {self.objects.table.name} has no column {band}PsFlux, mag_{band} or {band};"
            f" visits in band {band} give no rows"
        )

    def _matches(self, some: Batch, visits: Visits, target: int) -> Iterator[tuple[Index, Index]]:
        """Pairs of (object, visit) within the radius, about ``target`` at a time."""
        chosen = self._chosen(some)
        ra, dec = some.ra[chosen], some.dec[chosen]
        gathered: list[tuple[Index, Index]] = []
        size = 0
        for rows, points in matches(ra, dec, visits.centres, self.generator.visit_radius):
            gathered.append((chosen.take(rows, mode="clip") if len(chosen) < some.length else rows, points))
            size += len(rows)
            if size >= target:
                yield _joined(gathered)
                gathered, size = [], 0
        if size:
            yield _joined(gathered)

    def _chosen(self, some: Batch) -> Index:
        """The objects that have rows at all."""
        if self.generator.share >= 1.0:
            return np.arange(some.length)
        hashes = hash_rows(some.column(self.objects.roles.id_column).view(np.uint64), self._share_key)
        return np.flatnonzero((hashes >> np.uint64(11)).view(np.int64) < self.generator.share * 2.0**53)


def flux_column(table: Table, band: str) -> str:
    """The object's column of a band: ``gPsFlux``, ``mag_g`` or ``g``; empty where there is none."""
    return next((name for name in (f"{band}PsFlux", f"mag_{band}", band) if name in table.names), "")


def visit_columns(table: Table) -> tuple[str, str, str, str] | None:
    """Id, band, right ascension and declination of a table of visits, by generator or else by name."""
    names = {name.lower(): name for name in table.names}
    bands = [group.names[0] for group in table.columns if isinstance(group.generator, FilterGenerator)]
    roles = roles_of(table)
    found = (
        roles.visit_column or _named(names, ("ccdvisitid", "visitid", "visit", "id")),
        bands[0] if bands else _named(names, ("filtername", "filter", "band")),
        roles.ra or _named(names, ("ra", "psra")),
        roles.dec or _named(names, ("decl", "dec", "psdecl", "psdec")),
    )
    return found if all(found) else None


def _named(names: dict[str, str], known: Sequence[str]) -> str:
    return next((names[name] for name in known if name in names), "")


def _joined(parts: list[tuple[Index, Index]]) -> tuple[Index, Index]:
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([visits for _, visits in parts])
