"""Parts of a table's columns that are made together, each into blocks of one dtype."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog import shapes
from dgconsole.catalog.rows import Pairs, Rows
from dgconsole.catalog.sqltypes import converted
from dgconsole.catalog.streams import BLOCK, Hashes, Key, key_arrays, mix
from dgconsole.catalog.usercode import checked_arrays, guarded
from dgconsole.support.batch import Block
from dgconsole.support.errors import BugError

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
    warn: Callable[[str], None]

    def blocks(self, rows: Rows) -> Iterable[Block]:
        made = guarded(self.where, lambda: self.generator.values(rows.for_columns(self.all_names, self.salt)))
        arrays = checked_arrays(self.where, made, len(self.all_names), len(rows), self.warn)
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


def _pairs_of(rows: Rows) -> Pairs:
    if rows.pairs is None:
        raise BugError(f"{rows.table}: rows without pairs")
    return rows.pairs


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
