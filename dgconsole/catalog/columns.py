"""The vocabulary of a spec file: generators of columns, under the names that the field knows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from dgconsole.catalog import shapes
from dgconsole.catalog.quantiles import magnitude_law, normal_law, poisson_alias

if TYPE_CHECKING:
    from dgconsole.catalog.rows import Rows


class ColumnGenerator:
    """The base of all generators, and of those a user writes in a spec file.

    A generator of the user's own overrides ``values``; nothing needs to be registered. It gets some rows of
    the table (never the same rows twice in one table, but a neighbour's rows may be asked for one by one), so
    what it returns for a row may depend only on that row: its id, its place, its prerequisites and the
    numbers that ``rows`` draws for it.
    """

    column_seed: int = 0
    """Only varies the streams: columns never share one, whatever their seeds."""

    @property
    def n_arrays(self) -> int | None:
        """How many columns this generator makes; None: as many as it is given names."""
        return None

    def default_types(self, names: Sequence[str]) -> tuple[str, ...]:
        """The SQL types of the columns where neither spec nor ingest JSON gives one; empty where unknown."""
        return tuple("" for _ in names)

    def values(self, rows: "Rows") -> Sequence[NDArray[Any]] | NDArray[Any]:
        """One array for each of ``rows.names``, in order, each of shape (len(rows),).

        Parameters
        ----------
        rows
            The rows to fill: see `dgconsole.catalog.rows.Rows`.

        Returns
        -------
        arrays
            Numbers (NaN is null) or objects (str or None). One array alone will do for one column.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method values(rows)")


class Vocabulary(ColumnGenerator):
    """A generator whose columns are shapes: known functions of each row's hash, computed many at a time."""

    def shapes(self, names: Sequence[str]) -> tuple[shapes.Shape, ...]:
        """The shape of each column, one for each of ``n_arrays``."""
        raise NotImplementedError

    def default_types(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(shape.sql for shape in self.shapes(names))[: len(names)]


class ObjIdGenerator(Vocabulary):
    """The row's id, ``chunkId << 32 | row``: unique over the sky at any density (int64)."""

    @property
    def n_arrays(self) -> int:
        return 1

    def shapes(self, names: Sequence[str]) -> tuple[shapes.Shape, ...]:  # noqa: ARG002
        return (shapes.RowId(),)


class VisitIdGenerator(ObjIdGenerator):
    """The id of a visit, made as `ObjIdGenerator` makes an object's; it marks a table as one of visits."""


class FilterGenerator(Vocabulary):
    """One of the letters of ``filters``, each as likely (CHAR(1))."""

    def __init__(self, filters: str = "ugrizy", column_seed: int = 6) -> None:
        if not filters or len(set(filters)) != len(filters) or len(filters) > 255:
            raise ValueError(f"filters={filters!r}: give 1 to 255 letters, each once")
        self.filters = filters
        self.column_seed = column_seed

    @property
    def n_arrays(self) -> int:
        return 1

    def shapes(self, names: Sequence[str]) -> tuple[shapes.Shape, ...]:  # noqa: ARG002
        return (shapes.Words(tuple(self.filters)),)


class RaDecGenerator(Vocabulary):
    """The row's place in degrees: RA in [0, 360) and Dec, uniform on the sphere (or as the density has it).

    ``include_err``: RA, its error, Dec, its error; errors uniform in [0, 2e-6). ``ignore_edge_only`` is taken
    for compatibility: rows are made one by one here, so there is no edge to ignore.
    """

    def __init__(self, ignore_edge_only: bool = False, include_err: bool = False) -> None:
        self.ignore_edge_only = ignore_edge_only
        self.include_err = include_err

    @property
    def n_arrays(self) -> int:
        return 4 if self.include_err else 2

    def shapes(self, names: Sequence[str]) -> tuple[shapes.Shape, ...]:  # noqa: ARG002
        if self.include_err:
            error = shapes.Linear(0.0, 2e-6)
            return (shapes.PlaceRa(), error, shapes.PlaceDec(), error)
        return (shapes.PlaceRa(), shapes.PlaceDec())


class MagnitudeGenerator(Vocabulary):
    """Magnitudes in [min_mag, max_mag): a density that grows as ``10 ** (slope * magnitude)``.

    ``slope`` 0.3 is what galaxy counts show over most bands; 0 makes them uniform.
    """

    def __init__(
        self,
        n_mags: int = 1,
        min_mag: float = 0,
        max_mag: float = 27.5,
        column_seed: int = 7,
        slope: float = 0.3,
    ) -> None:
        _check_columns("n_mags", n_mags)
        _check_range("min_mag", min_mag, "max_mag", max_mag)
        if not 0 <= slope <= 10:
            raise ValueError(f"slope={slope!r}: give a number from 0 to 10")
        self.n_mags = n_mags
        self.min_mag = min_mag
        self.max_mag = max_mag
        self.slope = slope
        self.column_seed = column_seed

    @property
    def n_arrays(self) -> int:
        return self.n_mags

    def shapes(self, names: Sequence[str]) -> tuple[shapes.Shape, ...]:  # noqa: ARG002
        if self.slope == 0:
            shape: shapes.Shape = shapes.Linear(float(self.min_mag), float(self.max_mag - self.min_mag))
        else:
            shape = shapes.Curve(magnitude_law(float(self.min_mag), float(self.max_mag), float(self.slope)))
        return (shape,) * self.n_mags


class UniformGenerator(Vocabulary):
    """Uniform numbers in [min_val, max_val) (float64)."""

    def __init__(self, n_columns: int = 1, min_val: float = 0, max_val: float = 1, column_seed: int = 7) -> None:
        _check_columns("n_columns", n_columns)
        _check_range("min_val", min_val, "max_val", max_val)
        self.n_columns = n_columns
        self.min_val = min_val
        self.max_val = max_val
        self.column_seed = column_seed

    @property
    def n_arrays(self) -> int:
        return self.n_columns

    def shapes(self, names: Sequence[str]) -> tuple[shapes.Shape, ...]:  # noqa: ARG002
        return (shapes.Linear(float(self.min_val), float(self.max_val - self.min_val)),) * self.n_columns


class PoissonGenerator(Vocabulary):
    """Poisson counts of mean ``mean_val`` (int64)."""

    def __init__(self, n_columns: int = 1, mean_val: float = 10, column_seed: int = 7) -> None:
        _check_columns("n_columns", n_columns)
        if not 0 <= mean_val <= 1e6:
            raise ValueError(f"mean_val={mean_val!r}: give a number from 0 to 1,000,000")
        self.n_columns = n_columns
        self.mean_val = mean_val
        self.column_seed = column_seed

    @property
    def n_arrays(self) -> int:
        return self.n_columns

    def shapes(self, names: Sequence[str]) -> tuple[shapes.Shape, ...]:  # noqa: ARG002
        low, alias = poisson_alias(float(self.mean_val))
        return (shapes.Outcomes(low, alias),) * self.n_columns


class PairGenerator(ColumnGenerator):
    """Makes the rows of a table too: one for each visit that sees an object of the prerequisite tables."""

    share: float = 1.0
    """The share of the objects, picked by a hash of their ids, that have rows."""

    def pair_shapes(self, names: Sequence[str], types: Sequence[str]) -> tuple[shapes.Shape, ...]:
        """The shape of each column; ``types`` as written in the key. ValueError where they don't fit."""
        raise NotImplementedError

    def __init__(self, filters: str, visit_radius: float, column_seed: int) -> None:
        if not filters or len(set(filters)) != len(filters):
            raise ValueError(f"filters={filters!r}: give letters, each once")
        if not 0 < visit_radius <= 30:
            raise ValueError(f"visit_radius={visit_radius!r}: give degrees, above 0 and up to 30")
        self.filters = filters
        self.visit_radius = visit_radius
        self.column_seed = column_seed


class ForcedSourceGenerator(PairGenerator):
    """objectId, ccdVisitId, psFlux, psFluxSigma, flags (which may be left out), one row for each visit
    whose centre lies within ``visit_radius`` degrees of the object and whose band is among ``filters``.

    psFlux is the object's value in the visit's band plus N(0, 1), psFluxSigma 0.1, flags 0..126.
    """

    def __init__(self, filters: str = "ugrizy", visit_radius: float = 0.30, column_seed: int = 3) -> None:
        super().__init__(filters, visit_radius, column_seed)

    @property
    def n_arrays(self) -> int:
        return 5

    def default_types(self, names: Sequence[str]) -> tuple[str, ...]:
        return ("BIGINT", "BIGINT", "DOUBLE", "DOUBLE", "TINYINT")[: len(names)]

    def pair_shapes(self, names: Sequence[str], types: Sequence[str]) -> tuple[shapes.Shape, ...]:  # noqa: ARG002
        if len(names) > 5:
            raise ValueError(f"ForcedSourceGenerator makes 5 columns, {len(names)} are named")
        return (
            shapes.ObjectId(),
            shapes.VisitId(),
            shapes.Flux(normal_law()),
            shapes.Constant(0.1),
            shapes.Whole(0, 127),
        )[: len(names)]


class SourceGenerator(PairGenerator):
    """Rows as `ForcedSourceGenerator` has them, for ``target_percentage`` (a share of 1) of the objects.

    Each name in the key carries its type: SID this row's id, OID the object's, VID the visit's, RA and DEC
    the object's place, CHAR(1) the visit's band, INT 0..2^31-2, TINYINT 0..126, BIGINT 0..2^32-3, FLOAT
    uniform in [0, 27.5), FLOATE in [0.05, 0.5).
    """

    TYPES: ClassVar[dict[str, shapes.Shape]] = {
        "SID": shapes.RowId(),
        "OID": shapes.ObjectId(),
        "VID": shapes.VisitId(),
        "RA": shapes.PlaceRa(),
        "DEC": shapes.PlaceDec(),
        "CHAR(1)": shapes.Band(),
        "INT": shapes.Whole(0, 2**31 - 1),
        "TINYINT": shapes.Whole(0, 127),
        "BIGINT": shapes.Whole(0, 2**32 - 2),
        "FLOAT": shapes.Linear(0.0, 27.5),
        "FLOATE": shapes.Linear(0.05, 0.45),
    }

    def __init__(
        self,
        filters: str = "ugrizy",
        visit_radius: float = 0.30,
        column_seed: int = 27,
        target_percentage: float = 0.30,
    ) -> None:
        super().__init__(filters, visit_radius, column_seed)
        if not 0 <= target_percentage <= 1:
            raise ValueError(f"target_percentage={target_percentage!r}: give a share from 0 to 1")
        self.target_percentage = target_percentage
        self.share = float(target_percentage)

    def pair_shapes(self, names: Sequence[str], types: Sequence[str]) -> tuple[shapes.Shape, ...]:
        typed = dict(zip(names, types, strict=False))
        wrong = [name for name in names if typed.get(name, "").upper() not in self.TYPES]
        if wrong:
            raise ValueError(f"column {wrong[0]}: write its type behind the name, one of {', '.join(self.TYPES)}")
        return tuple(self.TYPES[typed[name].upper()] for name in names)


def _check_columns(name: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r}: give a whole number of at least 1")


def _check_range(low_name: str, low: float, high_name: str, high: float) -> None:
    if not float("-inf") < low < high < float("inf"):
        raise ValueError(f"{low_name}={low!r}, {high_name}={high!r}: the second must be larger, both finite")
