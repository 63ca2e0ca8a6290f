"""What a spec file defined, checked and put into a `Spec`; every problem with its line."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dgconsole.catalog.chunker import Chunker
from dgconsole.catalog.columns import PairGenerator
from dgconsole.catalog.density import SpatialModel
from dgconsole.catalog.generators import checked_entry
from dgconsole.catalog.model import ColumnSet, Spec, Table
from dgconsole.catalog.order import CycleError, making_order
from dgconsole.catalog.roles import missing_roles
from dgconsole.catalog.sourcelines import SourceLines
from dgconsole.support.errors import InputError, Problem

_TABLE_KEYS = ("columns", "density", "prereq_tables", "prereq_row", "from_file")
_COMMA = re.compile(r",(?![^(]*\))")
"""A comma that is not within the brackets of a type such as DECIMAL(10,2)."""


class PointDensity(SpatialModel):
    """A density of the user's own that has ``get_density_at_point`` and no more."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def get_density_at_point(self, ra: float, dec: float) -> float:
        return float(self.model.get_density_at_point(ra, dec))


class Checker:
    """Goes through the globals of a spec file and gathers problems and warnings.

    Parameters
    ----------
    name, file
        What the spec is called, and where it lies, for messages.
    found
        The names that the file defined.
    lines
        Where it defined them.
    """

    def __init__(self, name: str, file: str, found: Mapping[str, Any], lines: SourceLines) -> None:
        self.name = name
        self.file = file
        self.found = found
        self.lines = lines
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def spec(self) -> Spec:
        """The spec. Raises InputError with every problem found."""
        chunker = self._chunker()
        edge_width = self._edge_width()
        tables = self._tables()
        directors = self._directors(tables)
        order = self._order(tables)
        for table in tables.values():
            for what in missing_roles(table, tables):
                self._problem(what, table.name)
        InputError.raise_if(self.problems)
        for path, line in self.lines.repeated:
            self.warnings.append(f"{self.file}:{line}: {'.'.join(path)} is written twice; the last one counts")
        return Spec(
            self.name, tuple(tables[name] for name in order), chunker, edge_width, directors, tuple(self.warnings)
        )

    def _problem(self, what: str, *path: str, name: str = "") -> None:
        line = self.lines.names.get(name, 0) if name else self.lines.of(*path)
        self.problems.append(Problem(what, self.file, line, name or ".".join(("spec", *path))))

    def _chunker(self) -> Any:
        if "chunker" not in self.found:
            self._problem("is not defined; add chunker = Chunker(0, stripes, sub_stripes)", name="chunker")
        elif not isinstance(self.found["chunker"], Chunker):
            kind = type(self.found["chunker"]).__name__
            self._problem(f"is a {kind}; write Chunker(0, stripes, sub_stripes)", name="chunker")
        return self.found.get("chunker")

    def _edge_width(self) -> float | None:
        value = self.found.get("edge_width")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self._problem(f"is {_kind(value)}; give a number of degrees", name="edge_width")
            return None
        return float(value)

    def _tables(self) -> dict[str, Table]:
        spec = self.found.get("spec")
        if spec is None:
            self._problem("is not defined; add spec = {table: {...}}", name="spec")
        elif not isinstance(spec, dict) or not spec:
            self._problem("must be a dict with at least one table", name="spec")
        if not isinstance(spec, dict):
            return {}
        tables = {str(name): self._table(name, entry, spec) for name, entry in spec.items()}
        return {name: table for name, table in tables.items() if table is not None}

    def _table(self, name: Any, entry: Any, spec: Mapping[Any, Any]) -> Table | None:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name):
            reason = "underscores separate the parts of file names" if "_" in str(name) else "it names files"
            self._problem(f"a table is called {name!r}; use letters and digits only ({reason})", str(name))
            return None
        if not isinstance(entry, dict):
            self._problem("must be a dict with the key 'columns'", name)
            return None
        for key in entry:
            if key not in _TABLE_KEYS:
                near = difflib.get_close_matches(str(key), _TABLE_KEYS, 1)
                advice = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(_TABLE_KEYS)}"
                self._problem(f"unknown key {key!r}; {advice}", name, str(key))
        from_file = self._text(name, entry, "from_file")
        prereq_row = self._text(name, entry, "prereq_row")
        prereqs = self._prereqs(name, entry)
        prereqs += (prereq_row,) if prereq_row and prereq_row not in prereqs else ()
        for need in prereqs:
            if need not in spec:
                key = "prereq_row" if need == prereq_row else "prereq_tables"
                self._problem(f"there is no table {need!r}{_meant(need, map(str, spec))}", name, key)
        columns = self._names_of_file(name, entry) if from_file else self._columns(name, entry)
        return Table(
            name=name,
            columns=columns,
            density=self._density(name, entry.get("density"), from_file or _paired(columns)),
            prereq_tables=tuple(need for need in prereqs if need in spec),
            prereq_row=prereq_row,
            from_file=from_file,
            line=self.lines.of(name),
        )

    def _text(self, table: str, entry: Mapping[Any, Any], key: str) -> str:
        value = entry.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            self._problem(f"is {_kind(value)}; give one name as text", table, key)
            return ""
        return value or ""

    def _prereqs(self, table: str, entry: Mapping[Any, Any]) -> tuple[str, ...]:
        value = entry.get("prereq_tables")
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            self._problem(f"is {_kind(value)}; give a list of table names", table, "prereq_tables")
            return ()
        return tuple(dict.fromkeys(value))

    def _density(self, table: str, value: Any, source: str) -> Any:
        if value is None or isinstance(value, SpatialModel):
            if value is not None and source:
                self.warnings.append(f"{table}: density has no effect, the rows come from {source}")
            return None if source else value
        if not isinstance(value, type) and callable(getattr(value, "get_density_at_point", None)):
            return PointDensity(value)
        advice = f"write UniformSpatialModel({value})" if isinstance(value, int | float) else "give a spatial model"
        self._problem(f"is {_kind(value)}; {advice}", table, "density")
        return None

    def _names_of_file(self, table: str, entry: Mapping[Any, Any]) -> tuple[ColumnSet, ...]:
        text = entry.get("columns")
        if not isinstance(text, str):
            self._problem(
                "a table from a file has its column names in one text, separated by commas", table, "columns"
            )
            return ()
        names, types = self._split(table, text, set())
        return (ColumnSet(names, types, None, text),)

    def _columns(self, table: str, entry: Mapping[Any, Any]) -> tuple[ColumnSet, ...]:
        columns = entry.get("columns")
        if not isinstance(columns, dict) or not columns:
            self._problem("'columns' must be a dict of names to generators", table, "columns")
            return ()
        groups: list[ColumnSet] = []
        taken: set[str] = set()
        for key, generator in columns.items():
            if not isinstance(key, str):
                self._problem(f"a column is called {key!r}; names are text", table, "columns")
                continue
            names, types = self._split(table, key, taken)
            made = checked_entry(ColumnSet(names, types, generator, key))
            groups += made.groups
            for what in made.problems:
                self._problem(what, table, "columns", key)
            self.warnings += (f"{table}.{key}: {what}" for what in made.warnings)
        return tuple(groups)

    def _split(self, table: str, key: str, taken: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        pairs = [part.strip().partition(":") for part in _COMMA.split(key)]
        names = tuple(name.strip() for name, _, _ in pairs)
        for name in names:
            if not name or re.search(r"\s", name):
                self._problem(
                    f"{key!r} holds the name {name!r}; give names separated by commas", table, "columns", key
                )
            elif name in taken:
                self._problem(f"there are two columns {name!r}; take one out", table, "columns", key)
            taken.add(name)
        return names, tuple(sql.strip() for _, _, sql in pairs)

    def _order(self, tables: Mapping[str, Table]) -> Sequence[str]:
        needs = {
            name: tuple(need for need in table.prereq_tables if need in tables) for name, table in tables.items()
        }
        try:
            return making_order(needs)
        except CycleError as error:
            self._problem(
                f"tables need each other: {error}; take one prerequisite out", error.path[0], "prereq_tables"
            )
            return tuple(tables)

    def _directors(self, tables: Mapping[str, Table]) -> dict[str, dict[str, str]] | None:
        value = self.found.get("directors")
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(children, dict) for children in value.values()):
            self._problem('must be like {"Object": {"ForcedSource": "objectId"}}', name="directors")
            return None
        spec = self.found.get("spec")
        listed: Iterable[Any] = spec if isinstance(spec, dict) else ()
        for director, children in value.items():
            for table in (director, *children):
                if table not in listed:
                    self._problem(f"there is no table {table!r}{_meant(str(table), tables)}", name="directors")
            for child, key in children.items():
                if child in tables and key not in tables[child].names:
                    near = _meant(str(key), tables[child].names)
                    self._problem(f"{director}: {child} has no column {key!r}{near}", name="directors")
        return {director: dict(children) for director, children in value.items()}


def _paired(columns: Iterable[ColumnSet]) -> str:
    """The prerequisites in words, for a table whose rows are pairs of theirs."""
    return "the prerequisites" if any(isinstance(c.generator, PairGenerator) for c in columns) else ""


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else " ".join(repr(value).split())[:80]


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, tuple(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
