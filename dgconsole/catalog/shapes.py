"""Shapes: what a column's values look like as a function of each row's 64-bit hash.

Shapes that are alike are drawn together, as a two-dimensional block of (columns x rows).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.alias import AliasTable
from dgconsole.catalog.quantiles import QuantileTable
from dgconsole.catalog.streams import Hashes

_S11, _S32 = np.uint64(11), np.uint64(32)


@dataclass(frozen=True)
class Shape:
    """How one column is made; ``sql`` is its type where neither spec nor ingest JSON gives one."""

    sql: ClassVar[str] = ""


@dataclass(frozen=True)
class RowId(Shape):
    """The row's id."""

    sql: ClassVar[str] = "BIGINT"


@dataclass(frozen=True)
class PlaceRa(Shape):
    """Right ascension of the row's place, degrees."""

    sql: ClassVar[str] = "DOUBLE"


@dataclass(frozen=True)
class PlaceDec(Shape):
    """Declination of the row's place, degrees."""

    sql: ClassVar[str] = "DOUBLE"


@dataclass(frozen=True)
class ObjectId(Shape):
    """In a table of pairs: the object's id."""

    sql: ClassVar[str] = "BIGINT"


@dataclass(frozen=True)
class VisitId(Shape):
    """In a table of pairs: the visit's id."""

    sql: ClassVar[str] = "BIGINT"


@dataclass(frozen=True)
class Band(Shape):
    """In a table of pairs: the visit's band."""

    sql: ClassVar[str] = "CHAR(1)"


@dataclass(frozen=True)
class Flux(Shape):
    """In a table of pairs: the object's flux in the visit's band, plus noise."""

    noise: QuantileTable
    sql: ClassVar[str] = "DOUBLE"


@dataclass(frozen=True)
class Constant(Shape):
    """The same number in every row."""

    value: float
    sql: ClassVar[str] = "DOUBLE"


@dataclass(frozen=True)
class Drawn(Shape):
    """A shape drawn from a hash of its own; ``natural`` is the dtype that ``draw`` fills."""

    natural: ClassVar[Any] = np.float64

    @property
    def group(self) -> Hashable:
        """Shapes of equal group can be drawn in one call."""
        raise NotImplementedError

    @classmethod
    def parameters(cls, shapes: "Sequence[Any]") -> tuple[NDArray[Any], ...]:  # noqa: ARG003
        """What differs between shapes of one group: arrays of shape (len(shapes), 1)."""
        return ()

    def draw(self, x: Hashes, t: Hashes, out: NDArray[Any], *parameters: NDArray[Any]) -> None:
        """Turn the hashes ``x`` (columns, rows) into values; ``x`` is used up, ``t`` is scratch."""
        raise NotImplementedError


@dataclass(frozen=True)
class Linear(Drawn):
    """Uniform in [low, low + width)."""

    low: float
    width: float
    sql: ClassVar[str] = "DOUBLE"

    @property
    def group(self) -> Hashable:
        return "linear"

    @classmethod
    def parameters(cls, shapes: Sequence[Any]) -> tuple[NDArray[Any], ...]:
        low = np.array([[shape.low] for shape in shapes], np.float64)
        return low, np.array([[shape.width * 2.0**-53] for shape in shapes], np.float64)

    def draw(self, x: Hashes, t: Hashes, out: NDArray[Any], *parameters: NDArray[Any]) -> None:  # noqa: ARG002
        low, scale = parameters
        np.right_shift(x, _S11, out=x)
        np.multiply(x.view(np.int64), scale, out=out)
        out += low


@dataclass(frozen=True)
class Curve(Drawn):
    """Any distribution, by a table of its quantiles."""

    table: QuantileTable
    sql: ClassVar[str] = "DOUBLE"

    @property
    def group(self) -> Hashable:
        return ("curve", id(self.table))

    def draw(self, x: Hashes, t: Hashes, out: NDArray[Any], *parameters: NDArray[Any]) -> None:  # noqa: ARG002
        self.table.draw(x, t, out)


@dataclass(frozen=True)
class Whole(Drawn):
    """Whole numbers low..low+count-1, each as likely; ``count`` up to 2^32."""

    low: int
    count: int
    sql: ClassVar[str] = "BIGINT"
    natural: ClassVar[Any] = np.int64

    @property
    def group(self) -> Hashable:
        return "whole"

    @classmethod
    def parameters(cls, shapes: Sequence[Any]) -> tuple[NDArray[Any], ...]:
        low = np.array([[shape.low] for shape in shapes], np.int64)
        return low, np.array([[shape.count] for shape in shapes], np.uint64)

    def draw(self, x: Hashes, t: Hashes, out: NDArray[Any], *parameters: NDArray[Any]) -> None:  # noqa: ARG002
        low, count = parameters
        np.right_shift(x, _S32, out=x)
        np.multiply(x, count, out=x)
        np.right_shift(x, _S32, out=x)
        np.add(x.view(np.int64), low, out=out)


@dataclass(frozen=True)
class Outcomes(Drawn):
    """Weighted whole numbers from ``low`` on, by an alias table."""

    low: int
    alias: AliasTable
    sql: ClassVar[str] = "BIGINT"
    natural: ClassVar[Any] = np.int64

    @property
    def group(self) -> Hashable:
        return ("outcomes", self.low, id(self.alias))

    def draw(self, x: Hashes, t: Hashes, out: NDArray[Any], *parameters: NDArray[Any]) -> None:  # noqa: ARG002
        np.add(self.alias.pick(x), self.low, out=out)


@dataclass(frozen=True)
class Words(Drawn):
    """One of some words, each as likely; the values are indices into them."""

    words: tuple[str, ...]
    sql: ClassVar[str] = "CHAR(1)"
    natural: ClassVar[Any] = np.uint8

    @property
    def group(self) -> Hashable:
        return ("words", self.words)

    def draw(self, x: Hashes, t: Hashes, out: NDArray[Any], *parameters: NDArray[Any]) -> None:  # noqa: ARG002
        np.right_shift(x, _S32, out=x)
        np.multiply(x, np.uint64(len(self.words)), out=x)
        np.right_shift(x, _S32, out=t)
        np.copyto(out, t, casting="unsafe")
