"""How the columns of one table are made: its generators, sorted into parts."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgconsole.catalog import shapes
from dgconsole.catalog.columns import PairGenerator, Vocabulary
from dgconsole.catalog.model import ColumnSet, Table
from dgconsole.catalog.parts import (
    ConstantPart,
    DrawnPart,
    FluxPart,
    IdPart,
    PairPart,
    Part,
    PlacePart,
    SinglePart,
    UserPart,
)
from dgconsole.catalog.rows import Rows
from dgconsole.catalog.sqltypes import dtype_of
from dgconsole.catalog.streams import Key, key_arrays, make_key
from dgconsole.catalog.wholechunk import ChunkColumns
from dgconsole.support.batch import Block


@dataclass(frozen=True)
class Recipe:
    """All columns of one table, or those of them that are wanted.

    ``whole`` are entries that a whole chunk is made of at once; ``dtypes`` holds for each column the dtype
    that its type asks for, None where it asks for none.
    """

    table: Table
    names: tuple[str, ...]
    parts: tuple[Part, ...]
    whole: tuple[ColumnSet, ...]
    dtypes: Mapping[str, Any]

    def blocks(self, rows: Rows) -> list[Block]:
        """The columns that need nothing but the rows."""
        return [block for part in self.parts for block in part.blocks(rows)]


def make_recipe(
    table: Table,
    seed: int,
    types: Mapping[str, str],
    wanted: Collection[str] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Recipe:
    """Sort the columns of a table into parts.

    Parameters
    ----------
    types
        SQL types by column; they win over those of the spec, which win over the generators' own.
    wanted
        The columns to make; None: all. A column's values don't depend on what else is wanted.
    warn
        Takes warnings about what generators return, perhaps more than once.

    Raises
    ------
    ValueError
        An entry's names or types don't fit its generator.
    """
    collector = _Collector(table, seed, frozenset(table.names if wanted is None else wanted), warn)
    for group in table.columns:
        collector.add(group, column_types(group, types))
    names = tuple(name for name in table.names if name in collector.wanted)
    return Recipe(table, names, collector.finished(), tuple(collector.whole), collector.dtypes)


class _Collector:
    """Entries of a table, sorted by how they are made."""

    def __init__(self, table: Table, seed: int, wanted: frozenset[str], warn: Callable[[str], None]) -> None:
        self.table = table
        self.seed = seed
        self.wanted = wanted
        self.warn = warn
        self.whole: list[ColumnSet] = []
        self.dtypes: dict[str, Any] = {}
        self._parts: list[Part] = []
        self._ids: list[str] = []
        self._places: dict[tuple[int, Any], list[str]] = {}
        self._drawn: dict[tuple[Any, ...], list[tuple[str, shapes.Drawn, Key]]] = {}
        self._single: list[tuple[str, shapes.Linear, Key, int]] = []

    def add(self, group: ColumnSet, types: Sequence[str]) -> None:
        generator = group.generator
        self.dtypes.update((name, dtype_of(sql)) for name, sql in zip(group.names, types, strict=True))
        if isinstance(generator, Vocabulary | PairGenerator):
            if isinstance(generator, Vocabulary):
                found = generator.shapes(group.names)
            else:
                found = generator.pair_shapes(group.names, group.types)
            self._add_shapes(group.names, found, generator.column_seed)
        elif isinstance(generator, ChunkColumns):
            if self.wanted.intersection(group.names):
                self.whole.append(group)
        elif generator is not None:
            self._add_user(group)

    def finished(self) -> tuple[Part, ...]:
        parts = list(self._parts)
        if self._ids:
            parts.append(IdPart(tuple(self._ids)))
        parts.extend(PlacePart(tuple(names), axis, dtype) for (axis, dtype), names in self._places.items())
        for (_, _, dtype), columns in self._drawn.items():
            kind = [shape for _, shape, _ in columns]
            keys = key_arrays([key for _, _, key in columns])
            names = tuple(name for name, _, _ in columns)
            parts.append(DrawnPart(names, kind[0], keys, kind[0].parameters(kind), np.dtype(dtype)))
        parts.extend(_single_parts(self._single))
        return tuple(parts)

    def _add_shapes(self, names: Sequence[str], found: Sequence[shapes.Shape], column_seed: int) -> None:
        first, lane = "", 1
        for name, shape in zip(names, found, strict=False):
            if isinstance(shape, shapes.Linear) and self.dtypes[name] == np.float32:
                # 32-bit columns of one entry share hashes, two by two.
                lane = 1 - lane
                first = name if lane == 0 else first
                key = make_key(self.seed, self.table.name, first, column_seed)
                if name in self.wanted:
                    self._single.append((name, shape, key, lane))
            elif name in self.wanted:
                self._add_shape(name, shape, make_key(self.seed, self.table.name, name, column_seed))

    def _add_shape(self, name: str, shape: shapes.Shape, key: Key) -> None:
        dtype = self.dtypes[name]
        match shape:
            case shapes.RowId():
                self._ids.append(name)
            case shapes.PlaceRa() | shapes.PlaceDec():
                axis = 0 if isinstance(shape, shapes.PlaceRa) else 1
                self._places.setdefault((axis, place_dtype(dtype)), []).append(name)
            case shapes.ObjectId() | shapes.VisitId() | shapes.Band():
                self._parts.append(PairPart((name,), shape, dtype))
            case shapes.Flux():
                self._parts.append(FluxPart((name,), shape, key, dtype))
            case shapes.Constant():
                self._parts.append(ConstantPart((name,), shape.value, np.float64 if dtype is None else dtype))
            case shapes.Drawn():
                kept = shape.natural if dtype is None or isinstance(shape, shapes.Words) else dtype
                place = (type(shape), shape.group, np.dtype(kept).str)
                self._drawn.setdefault(place, []).append((name, shape, key))

    def _add_user(self, group: ColumnSet) -> None:
        kept = tuple(name for name in group.names if name in self.wanted)
        if kept:
            salt = int(getattr(group.generator, "column_seed", 0))
            dtypes = tuple(self.dtypes[name] for name in group.names)
            where = f"{self.table.name}, columns {group.key}"
            self._parts.append(UserPart(kept, group.generator, salt, dtypes, where, group.names, self.warn))


def place_dtype(dtype: Any) -> Any:
    """The dtype of a position: 32 bits where it is asked for, else 64."""
    return np.float32 if dtype == np.float32 else np.float64


def column_types(group: ColumnSet, types: Mapping[str, str]) -> tuple[str, ...]:
    """The SQL types of an entry's columns: the given ones, else the spec's, else the generator's; or empty."""
    own: Sequence[str] = getattr(group.generator, "default_types", lambda names: ("",) * len(names))(group.names)
    own = (*own, *[""] * len(group.names))
    spec = (*group.types, *[""] * len(group.names))
    return tuple(types.get(name, "") or spec[i] or own[i] for i, name in enumerate(group.names))


def _single_parts(columns: list[tuple[str, shapes.Linear, Key, int]]) -> Iterable[SinglePart]:
    by_key: dict[Key, dict[int, tuple[str, shapes.Linear]]] = {}
    for name, shape, key, lane in columns:
        by_key.setdefault(key, {})[lane] = (name, shape)
    for lanes in ((0, 1), (0,), (1,)):
        chosen = {key: pair for key, pair in by_key.items() if tuple(sorted(pair)) == lanes}
        if not chosen:
            continue
        found = [[pair[lane] for pair in chosen.values()] for lane in lanes]
        low = np.array([[[shape.low] for _, shape in row] for row in found], np.float32)
        scale = np.array([[[shape.width * 2.0**-24] for _, shape in row] for row in found], np.float32)
        names = tuple(name for row in found for name, _ in row)
        yield SinglePart(names, key_arrays(list(chosen)), lanes, low, scale)
