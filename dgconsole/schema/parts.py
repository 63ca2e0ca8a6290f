"""Which tables of a Felis schema are directors, children, visits: told by ids, positions and names."""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from dgconsole.plan.types import kind_of
from dgconsole.schema.felis import FelisColumn, FelisSchema, FelisTable
from dgconsole.settings.suggest import did_you_mean
from dgconsole.support.errors import InputError, Problem

RA = ("ra", "coord_ra", "psra", "ra_deg", "s_ra")
DEC = ("dec", "decl", "coord_dec", "psdecl", "psdec", "dec_deg", "s_dec")
_VISIT_ID = re.compile(r"(ccd)?visit(_?id)?|exposure_?id", re.IGNORECASE)
_BAND = re.compile(r"band|filter(name)?|physical_?filter", re.IGNORECASE)


class Part(Struct, frozen=True):
    """A table's part in the database.

    ``role`` is director, child, visits or plain. ``id`` is its own id column, ``position`` (RA, Dec), ``key`` a
    child's column of its director's id, ``visit`` that of a visit's id, ``band`` of a filter; empty where there is
    none.
    """

    table: FelisTable
    role: str
    id: str = ""
    position: tuple[str, str] = ("", "")
    director: str = ""
    key: str = ""
    visit: str = ""
    band: str = ""

    @property
    def partitioned(self) -> bool:
        return self.role in ("director", "child")


def parts_of(
    schema: FelisSchema,
    directors: Mapping[str, tuple[str, str, str]] | None = None,
    children: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[Part, ...]:
    """The part of each table: as the caller says, else as it looks.

    A director has an id and a position, and no column called like another director's id; a table with such a column
    is its child. Visits have an id, a band, a position, and "visit" in their name.

    Parameters
    ----------
    directors
        Table -> (id, RA, Dec).
    children
        Table -> (director, column of the director's id).

    Raises
    ------
    InputError
        A name that the schema lacks.
    """
    directors, children = directors or {}, children or {}
    _check(schema, directors, children)
    looks = {table.name: _look(table) for table in schema.tables}
    for name, (own, ra, dec) in directors.items():
        looks[name] = _Look(own, (ra, dec), looks[name].visit, looks[name].band, False)
    able = [
        name
        for name, look in looks.items()
        if name in directors or (look.id and look.position[0] and not look.visits and name not in children)
    ]
    found = list(directors)
    for table in schema.tables:
        others = {looks[name].id for name in able if name != table.name}
        if table.name in able and table.name not in found and not others.intersection(table.names):
            found.append(table.name)
    parts = []
    for table in schema.tables:
        look = looks[table.name]
        director, key = children.get(table.name) or _followed(table, found, looks)
        if table.name in found:
            role, director, key = "director", "", ""
        elif director:
            role = "child"
        else:
            role = "visits" if look.visits else "plain"
        visit = look.visit if look.visit != key else ""
        parts.append(Part(table, role, look.id, look.position, director, key, visit, look.band))
    return tuple(parts)


class _Look(Struct, frozen=True):
    id: str
    position: tuple[str, str]
    visit: str
    band: str
    visits: bool


def _look(table: FelisTable) -> _Look:
    whole = [column for column in table.columns if kind_of(column.sql)[0] == "whole"]
    real = [column for column in table.columns if kind_of(column.sql)[0] == "real"]
    text = [column for column in table.columns if kind_of(column.sql)[0] == "text"]
    position = (_axis(real, "pos.eq.ra", RA), _axis(real, "pos.eq.dec", DEC))
    own = _own_id(table, whole)
    band = next((column.name for column in text if _BAND.fullmatch(column.name)), "")
    visit = next((column.name for column in whole if _VISIT_ID.fullmatch(column.name)), "")
    visits = bool("visit" in table.name.lower() and own and band and all(position))
    return _Look(own, position if all(position) else ("", ""), visit, band, visits)


def _axis(columns: Sequence[FelisColumn], ucd: str, names: Sequence[str]) -> str:
    marked = [column for column in columns if column.ucd.startswith(ucd)]
    by_name = {column.name.lower(): column.name for column in reversed(columns)}
    for column in marked:
        if "meta.main" in column.ucd:
            return column.name
    return next((by_name[name] for name in names if name in by_name), marked[0].name if marked else "")


def _own_id(table: FelisTable, whole: Sequence[FelisColumn]) -> str:
    names = [column.name for column in whole]
    if len(table.key) == 1 and table.key[0] in names:
        return table.key[0]
    for column in whole:
        if column.ucd.startswith("meta.id") and "meta.main" in column.ucd:
            return column.name
    called = (f"{table.name}id".lower(), f"{table.name}_id".lower())
    for name in names:
        if name.lower() in called:
            return name
    return next((column.name for column in whole if column.ucd.startswith("meta.id")), "")


def _followed(table: FelisTable, directors: Iterable[str], looks: Mapping[str, _Look]) -> tuple[str, str]:
    for director in directors:
        if director != table.name and looks[director].id in table.names:
            return director, looks[director].id
    return "", ""


def _check(
    schema: FelisSchema,
    directors: Mapping[str, tuple[str, str, str]],
    children: Mapping[str, tuple[str, str]],
) -> None:
    names = {table.name: table.names for table in schema.tables}
    asked: list[tuple[str, str, tuple[str, ...]]] = [("--director", *pair) for pair in directors.items()]
    asked += [("--child", table, (key,)) for table, (_, key) in children.items()]
    problems = []
    for option, table, columns in asked:
        if table not in names:
            problems.append(Problem(f"there is no table '{table}'; {did_you_mean(table, names)}", key=option))
            continue
        for column in columns:
            if column not in names[table]:
                what = f"table '{table}' has no column '{column}'; {did_you_mean(column, names[table])}"
                problems.append(Problem(what, key=option))
    for table, (director, _) in children.items():
        if director not in names:
            what = f"'{table}' can't follow '{director}': there is no such table; {did_you_mean(director, names)}"
            problems.append(Problem(what, key="--child"))
    InputError.raise_if(problems)
