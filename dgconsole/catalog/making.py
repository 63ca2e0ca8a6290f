"""Makers of tables: which rows a chunk of a table has, and batches of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.columns import ObjIdGenerator, Vocabulary
from dgconsole.catalog.lookup import Aligned, Places
from dgconsole.catalog.model import Table
from dgconsole.catalog.poisson import poisson_count
from dgconsole.catalog.positions import Positions
from dgconsole.catalog.recipe import Recipe, make_recipe, place_dtype
from dgconsole.catalog.roles import Roles, roles_of
from dgconsole.catalog.rows import Columns, Rows, Tables
from dgconsole.catalog.sqltypes import converted
from dgconsole.catalog.streams import Hashes, hash_one, make_key, row_ids, rows_of
from dgconsole.catalog.usercode import checked_arrays, guarded
from dgconsole.catalog.wholechunk import ChunkRequest
from dgconsole.sky.tiling import Tiling
from dgconsole.support.batch import Batch, Block
from dgconsole.support.errors import ChunkError, Fault

_NOWHERE: NDArray[np.float64] = np.empty(0)
_MAX_ROWS = 1 << 32
_PLACES = (("psra", "psdecl"), ("psra", "psdec"), ("ra", "decl"), ("ra", "dec"))


@dataclass(frozen=True)
class Setting:
    """What all makers share."""

    tiling: Tiling
    seed: int
    visits: int
    objects: int
    types: Mapping[str, Mapping[str, str]]
    warn: Callable[[str], None]
    """Passes each warning on once."""
    tables: Callable[[Sequence[str], int], Tables]
    """(names of tables, chunk) -> the tables' columns, made when asked for."""


class Maker(ABC):
    """Makes one table."""

    def __init__(self, table: Table, setting: Setting) -> None:
        self.table = table
        self.setting = setting
        self.roles: Roles = roles_of(table)
        self.types = setting.types.get(table.name, {})
        self._recipes: dict[tuple[str, ...] | None, Recipe] = {}

    @abstractmethod
    def batches(self, chunk: int, rows: int, wanted: tuple[str, ...] | None = None) -> Iterator[Batch]:
        """The rows of a chunk in their fixed order, ``rows`` or so at a time; of the ``wanted`` columns only."""

    def recipe(self, wanted: tuple[str, ...] | None = None) -> Recipe:
        if wanted not in self._recipes:
            self._recipes[wanted] = make_recipe(self.table, self.setting.seed, self.types, wanted, self.setting.warn)
        return self._recipes[wanted]

    @cached_property
    def place_columns(self) -> tuple[str, str] | None:
        """The columns of right ascension and declination: RaDecGenerator's, else those with a usual name."""
        if self.roles.ra and self.roles.dec:
            return self.roles.ra, self.roles.dec
        lower = {name.lower(): name for name in self.table.names}
        for ra, dec in _PLACES:
            if ra in lower and dec in lower:
                return lower[ra], lower[dec]
        return None

    def make_rows(
        self,
        chunk: int,
        ids: Hashes,
        ra: NDArray[np.float64],
        dec: NDArray[np.float64],
        parents: Columns | None = None,
        **pairs: Any,
    ) -> Rows:
        """Rows of this table as its generators get them; ``ids`` are their counters unless given otherwise."""
        return Rows(
            table=self.table.name,
            chunk=chunk,
            box=self.setting.tiling.chunk_box(chunk),
            seed=self.setting.seed,
            ids=ids.view(np.int64),
            counters=pairs.pop("counters", ids),
            ra=ra,
            dec=dec,
            tables=self.setting.tables(self.table.prereq_tables, chunk),
            parents={} if parents is None else parents,
            **pairs,
        )


class OwnRows(Maker):
    """A table whose rows are its own: objects, visits; and any that a generator makes a whole chunk of at once."""

    def __init__(self, table: Table, setting: Setting, director: "OwnRows | None", key: str) -> None:
        super().__init__(table, setting)
        self.director = director
        self.key = key
        dtypes = self.recipe().dtypes
        single = [place_dtype(dtypes.get(name)) is np.float32 for name in (self.roles.ra, self.roles.dec)]
        self.positions = Positions(setting.tiling, setting.seed, table.name, table.density, (single[0], single[1]))
        self._count_key = make_key(setting.seed, table.name, "", "count")
        self.is_pure = all(isinstance(group.generator, Vocabulary) for group in table.columns)
        self._whole = lru_cache(maxsize=16)(self._make_whole)
        self._director_places = lru_cache(maxsize=2)(self._find_director_places)

    @property
    def has_place_of_its_own(self) -> bool:
        """Whether a row's place follows from its id alone, by RaDecGenerator."""
        return bool(self.roles.ra)

    def known_count(self, chunk: int) -> int | None:
        """Rows of a chunk as density or arguments have it; None where only the generators know."""
        if self.table.density is not None:
            mean = guarded(f"{self.table.name}, density", lambda: self.positions.mean_count(chunk))
            if mean > _MAX_ROWS - 2**20:
                raise ChunkError(
                    Fault.SPEC, f"{self.table.name}: {mean:.3g} rows in one chunk are more than ids hold"
                )
            return poisson_count(mean, hash_one(chunk, self._count_key))
        if self.roles.visit_column:
            return self.setting.visits
        if not self.table.prereq_tables or any(isinstance(g.generator, ObjIdGenerator) for g in self.table.columns):
            return self.setting.objects
        return None

    def count(self, chunk: int) -> int:
        known = self.known_count(chunk)
        return len(next(iter(self._whole(chunk).values()))) if known is None else known

    def batches(self, chunk: int, rows: int, wanted: tuple[str, ...] | None = None) -> Iterator[Batch]:
        for start in range(0, count := self.count(chunk), rows):
            ids = row_ids(chunk, start, min(start + rows, count))
            yield self.batch(chunk, ids, *self.place(chunk, ids), wanted)

    def place(self, chunk: int, ids: Hashes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The places by which rows are sorted into chunks, degrees; empty where the table has none."""
        if self.has_place_of_its_own:
            return self.positions.place(ids)
        if self.place_columns is not None and self.director is None:
            batch = self.batch(chunk, ids, _NOWHERE, _NOWHERE, self.place_columns)
            ra, dec = (batch.column(name).astype(np.float64) for name in self.place_columns)
            return ra, dec
        if self.director is not None:
            keys = self.batch(chunk, ids, _NOWHERE, _NOWHERE, (self.key,)).column(self.key)
            return self._director_places(chunk, self.director).of(keys)
        return _NOWHERE, _NOWHERE

    def batch(
        self,
        chunk: int,
        ids: Hashes,
        ra: NDArray[np.float64],
        dec: NDArray[np.float64],
        wanted: tuple[str, ...] | None = None,
    ) -> Batch:
        """These rows of one chunk (of several, if ``is_pure``), with their places."""
        recipe = self.recipe(wanted)
        given = (ra, dec) if len(ra) or self.is_pure else self.positions.place(ids)
        blocks = recipe.blocks(self.make_rows(chunk, ids, *given))
        if recipe.whole:
            whole, index = self._whole(chunk), rows_of(ids)
            names = set(recipe.names)
            blocks += [
                Block((name,), whole[name][index][None, :])
                for group in recipe.whole
                for name in group.names
                if name in names
            ]
        return Batch(recipe.names, tuple(blocks), ra, dec, len(ids))

    def _make_whole(self, chunk: int) -> dict[str, NDArray[Any]]:
        """The columns of all generators that make a chunk at once."""
        length = self.known_count(chunk)
        recipe = self.recipe()
        made: dict[str, NDArray[Any]] = {}
        for group in recipe.whole:
            where = f"{self.table.name}, columns {group.key}"
            request = ChunkRequest(
                table=self.table.name,
                names=group.names,
                key=group.key,
                chunk=chunk,
                box=self.setting.tiling.chunk_box(chunk),
                seed=self.setting.seed,
                length=length,
                row_of=self.table.prereq_row,
                tables=self.setting.tables(self.table.prereq_tables, chunk),
            )
            answer = guarded(where, partial(group.generator.make, request))
            arrays = checked_arrays(where, answer, len(group.names), length, self.setting.warn)
            length = len(arrays[0])
            for name, values in zip(group.names, arrays, strict=True):
                made[name] = converted(values, recipe.dtypes[name])
        return made

    def _find_director_places(self, chunk: int, director: "OwnRows") -> "Places":
        id_column = director.roles.id_column
        found = list(director.batches(chunk, 65536, (id_column,)))
        if not found:
            return Places(self.table.name, np.empty(0, np.int64), _NOWHERE, _NOWHERE)
        ids = np.concatenate([batch.column(id_column) for batch in found])
        ra, dec = np.concatenate([b.ra for b in found]), np.concatenate([b.dec for b in found])
        order = np.argsort(ids, kind="stable")
        return Places(self.table.name, ids[order], ra[order], dec[order])


class FollowRows(Maker):
    """A table with one row for each row of a prerequisite, at its place."""

    def __init__(self, table: Table, setting: Setting, parent: Maker) -> None:
        super().__init__(table, setting)
        self.parent = parent

    def batches(self, chunk: int, rows: int, wanted: tuple[str, ...] | None = None) -> Iterator[Batch]:
        recipe, start = self.recipe(wanted), 0
        whole = self.setting.tables((self.parent.table.name,), chunk)[self.parent.table.name]
        for batch in self.parent.batches(chunk, rows, ()):
            stop = start + batch.length
            parents = Aligned(whole, np.arange(start, stop))
            made = self.make_rows(chunk, row_ids(chunk, start, stop), batch.ra, batch.dec, parents)
            yield Batch(recipe.names, tuple(recipe.blocks(made)), batch.ra, batch.dec, batch.length)
            start = stop
