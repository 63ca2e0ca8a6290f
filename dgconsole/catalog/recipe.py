"""How the columns of one table are made: generators sorted into parts that fill blocks of one dtype each."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog import shapes
from dgconsole.catalog.columns import PairGenerator, Vocabulary
from dgconsole.catalog.model import ColumnSet, Table
from dgconsole.catalog.rows import Pairs, Rows
from dgconsole.catalog.sqltypes import converted, dtype_of
from dgconsole.catalog.streams import BLOCK, Hashes, Key, key_arrays, make_key, mix
from dgconsole.catalog.wholechunk import ChunkColumns
from dgconsole.support.batch import Block
from dgconsole.support.errors import BugError, ChunkError, Fault

_S8 = np.uint32(8)


class Part(Protocol):
    """Some columns of a table that are made together."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def blocks(self, rows: Rows) -> Iterable[Block]: ...


@dataclass(frozen=True)
class IdPart:
    """The rows' ids."""

    names: tuple[str, ...]

    def blocks(self, rows: Rows) -> Iterable[Block]:
        yield Block(self.names, np.broadcast_to(rows.ids, (len(self.names), len(rows))))


@dataclass(frozen=True)
class PlacePart:
    """Right ascension or declination of the rows' places."""

    names: tuple[str, ...]
    axis: int
    dtype: Any

    def blocks(self, rows: Rows) -> Iterable[Block]:
        values = (rows.ra, rows.dec)[self.axis].astype(self.dtype)
        yield Block(self.names, np.broadcast_to(values, (len(self.names), len(rows))))


@dataclass(frozen=True)
class DrawnPart:
    """Columns whose shapes are of one group and whose values have one dtype."""

    names: tuple[str, ...]
    shape: shapes.Drawn
    keys: tuple[Hashes, Hashes]
    parameters: tuple[NDArray[Any], ...]
    dtype: Any

    def blocks(self, rows: Rows) -> Iterable[Block]:
        n, columns = len(rows), len(self.names)
        values = np.empty((columns, n), self.dtype)
        natural = np.dtype(self.shape.natural) == np.dtype(self.dtype)
        for start, stop, rows_from, rows_to, x, t in _steps(columns, n):
            part = slice(start, stop)
            mix(rows.counters[rows_from:rows_to], self.keys[0][part], self.keys[1][part], x, t)
            target = values[part, rows_from:rows_to]
            out = target if natural else np.empty(x.shape, self.shape.natural)
            self.shape.draw(x, t, out, *(p[part] for p in self.parameters))
            if not natural:
                target[...] = converted(out, self.dtype)
        words = self.shape.words if isinstance(self.shape, shapes.Words) else ()
        yield Block(self.names, values, words)


@dataclass(frozen=True)
class SinglePart:
    """Uniform 32-bit floats, two columns a hash: 24 bits each. ``names`` has the first of all pairs, then the
    second of all pairs.
    """

    names: tuple[str, ...]
    keys: tuple[Hashes, Hashes]
    lanes: tuple[int, ...]
    low: NDArray[np.float32]
    scale: NDArray[np.float32]

    def blocks(self, rows: Rows) -> Iterable[Block]:
        n, pairs = len(rows), len(self.keys[0])
        values = np.empty((len(self.lanes), pairs, n), np.float32)
        for start, stop, rows_from, rows_to, x, t in _steps(pairs, n):
            part = slice(start, stop)
            mix(rows.counters[rows_from:rows_to], self.keys[0][part], self.keys[1][part], x, t)
            halves = x.view(np.uint32).reshape(stop - start, rows_to - rows_from, 2)
            np.right_shift(halves, _S8, out=halves)
            whole = halves.view(np.int32)
            for index, lane in enumerate(self.lanes):
                out = values[index, part, rows_from:rows_to]
                np.copyto(out, whole[:, :, lane], casting="unsafe")
                out *= self.scale[index, part]
                out += self.low[index, part]
        yield Block(self.names, values.reshape(-1, n))


@dataclass(frozen=True)
class UserPart:
    """Columns of a generator of the user's own, in our calling form."""

    names: tuple[str, ...]
    generator: Any
    salt: int
    dtypes: tuple[Any, ...]
    where: str
    all_names: tuple[str, ...]

    def blocks(self, rows: Rows) -> Iterable[Block]:
        made = guarded(self.where, lambda: self.generator.values(rows.for_columns(self.all_names, self.salt)))
        arrays = checked_arrays(self.where, made, len(self.all_names), len(rows))
        for name, dtype, values in zip(self.all_names, self.dtypes, arrays, strict=True):
            if name in self.names:
                yield Block((name,), converted(values, dtype)[None, :])


@dataclass(frozen=True)
class PairPart:
    """Ids and bands of the rows' objects and visits."""

    names: tuple[str, ...]
    shape: shapes.Shape
    dtype: Any

    def blocks(self, rows: Rows) -> Iterable[Block]:
        pairs = _pairs_of(rows)
        words = pairs.words if isinstance(self.shape, shapes.Band) else ()
        for name in self.names:
            if isinstance(self.shape, shapes.ObjectId):
                yield Block((name,), converted(pairs.objects, self.dtype)[None, :])
            elif isinstance(self.shape, shapes.VisitId):
                yield Block((name,), converted(pairs.visits, self.dtype)[None, :])
            else:
                yield Block((name,), pairs.bands[None, :], words)


@dataclass(frozen=True)
class FluxPart:
    """The object's flux in the visit's band, plus N(0, 1)."""

    names: tuple[str, ...]
    shape: shapes.Flux
    key: Key
    dtype: Any

    def blocks(self, rows: Rows) -> Iterable[Block]:
        values = np.empty((1, len(rows)))
        keys = key_arrays([self.key])
        for _, _, start, stop, x, t in _steps(1, len(rows)):
            mix(rows.counters[start:stop], *keys, x, t)
            self.shape.noise.draw(x, t, values[:, start:stop])
        values += _pairs_of(rows).flux
        yield Block(self.names, converted(values, self.dtype))


@dataclass(frozen=True)
class ConstantPart:
    """The same number in every row."""

    names: tuple[str, ...]
    value: float
    dtype: Any

    def blocks(self, rows: Rows) -> Iterable[Block]:
        yield Block(self.names, np.full((len(self.names), len(rows)), self.value, self.dtype))


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


def make_recipe(table: Table, seed: int, types: Mapping[str, str], wanted: Collection[str] | None = None) -> Recipe:
    """Sort the columns of a table into parts.

    Parameters
    ----------
    types
        SQL types by column; they win over those of the spec, which win over the generators' own.
    wanted
        The columns to make; None: all. A column's values don't depend on what else is wanted.

    Raises
    ------
    ValueError
        An entry's names or types don't fit its generator.
    """
    collector = _Collector(table, seed, frozenset(table.names if wanted is None else wanted))
    for group in table.columns:
        collector.add(group, column_types(group, types))
    names = tuple(name for name in table.names if name in collector.wanted)
    return Recipe(table, names, collector.finished(), tuple(collector.whole), collector.dtypes)


class _Collector:
    """Entries of a table, sorted by how they are made."""

    def __init__(self, table: Table, seed: int, wanted: frozenset[str]) -> None:
        self.table = table
        self.seed = seed
        self.wanted = wanted
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
            self._parts.append(UserPart(kept, group.generator, salt, dtypes, where, group.names))


def place_dtype(dtype: Any) -> Any:
    """The dtype of a position: 32 bits where it is asked for, else 64."""
    return np.float32 if dtype == np.float32 else np.float64


def _pairs_of(rows: Rows) -> Pairs:
    if rows.pairs is None:
        raise BugError(f"{rows.table}: rows without pairs")
    return rows.pairs


def column_types(group: ColumnSet, types: Mapping[str, str]) -> tuple[str, ...]:
    """The SQL types of an entry's columns: the given ones, else the spec's, else the generator's; or empty."""
    own: Sequence[str] = getattr(group.generator, "default_types", lambda names: ("",) * len(names))(group.names)
    own = (*own, *[""] * len(group.names))
    spec = (*group.types, *[""] * len(group.names))
    return tuple(types.get(name, "") or spec[i] or own[i] for i, name in enumerate(group.names))


def guarded(where: str, call: Callable[[], Any]) -> Any:
    """Call a generator of the user's own; whatever it raises is a fault of the chunk's generation."""
    try:
        return call()
    except (ChunkError, MemoryError):
        raise
    except Exception as exc:
        text = str(exc).strip().splitlines()
        raise ChunkError(Fault.GENERATE, f"{where}: {type(exc).__name__}: {text[0] if text else 'no words'}") from exc


def checked_arrays(where: str, made: Any, count: int, length: int | None) -> list[NDArray[Any]]:
    """What a generator returned, as ``count`` arrays of one length (``length``, unless None). Extra ones go."""
    if isinstance(made, np.ndarray) and made.ndim == 1:
        made = [made]
    try:
        arrays = [np.asarray(values) for values in made]
    except TypeError:
        raise ChunkError(Fault.GENERATE, f"{where}: returned {type(made).__name__}, not arrays") from None
    if len(arrays) < count:
        raise ChunkError(Fault.GENERATE, f"{where}: returned {len(arrays)} arrays for {count} columns")
    arrays = [a.astype(object) if a.dtype.kind in "USOT" else a for a in arrays[:count]]
    shape = (len(arrays[0]) if arrays[0].ndim else 0,) if length is None else (length,)
    for values in arrays:
        if values.shape != shape:
            raise ChunkError(Fault.GENERATE, f"{where}: an array has shape {values.shape}, expected {shape}")
        if values.dtype.kind not in "biufO":
            raise ChunkError(Fault.GENERATE, f"{where}: an array holds {values.dtype}, expected numbers or text")
    return arrays


def _steps(columns: int, n: int) -> Iterable[tuple[int, int, int, int, Hashes, Hashes]]:
    """Cut a block into pieces of up to ``BLOCK`` values: column range, row range and two scratch arrays."""
    height = max(1, min(columns, BLOCK // max(n, 1)))
    width = min(n, BLOCK)
    scratch = np.empty((2, height * width), np.uint64)
    for rows_from in range(0, n, max(width, 1)):
        rows_to = min(rows_from + width, n)
        for start in range(0, columns, height):
            stop = min(start + height, columns)
            size = (stop - start) * (rows_to - rows_from)
            shape = (stop - start, rows_to - rows_from)
            yield start, stop, rows_from, rows_to, scratch[0, :size].reshape(shape), scratch[1, :size].reshape(shape)


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
