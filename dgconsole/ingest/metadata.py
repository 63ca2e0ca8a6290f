"""What qserv-ingest must be shown to load a folder of chunk files: metadata.json and what it names; pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec

from dgconsole.ingest.qserv.wanted import OLD, check, database_body, form_of, table_body
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import TextFile
from dgconsole.support.filenames import overlap_name
from dgconsole.wire.messages import Figures

METADATA = "metadata.json"
BESIDE = f".{METADATA}"
"""Ends the name of the metadata of a host: ``<host>.metadata.json``."""

VERSION = 12
UNREADABLE = 0
"""A version that the loader refuses."""

_NEWER = {"unique_primary_key": 21, "charset_name": 49, "collation_name": 49}
"""Keys of a table's JSON that want a higher version of Qserv's services."""


@dataclass
class Holding:
    """The chunks whose files lie in one folder, by table, in the order in which they were added."""

    host: str
    """Empty: the run directory."""
    folder: str
    home: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    overlap: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


class Holdings:
    """Who holds what: the run directory, and folders of hosts."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[str, str], Holding] = {}

    def add(self, chunk: int, host: str, folder: str, figures: Figures) -> None:
        """A completed chunk; ``folder`` is empty where its files are in the run directory."""
        key = (host, folder) if folder else ("", "")
        holding = self._by_place.get(key)
        if holding is None:
            holding = self._by_place[key] = Holding(*key)
        for table in figures.tables:
            if table.rows:
                holding.home[table.table].append(chunk)
            if table.overlap_rows:
                holding.overlap[table.table].append(chunk)

    def __iter__(self) -> Iterator[Holding]:
        """The run directory first, then hosts by name."""
        return iter(sorted(self._by_place.values(), key=lambda each: (each.host, each.folder)))


class Metadata(NamedTuple):
    """Files for ``chunks/`` of the run directory, ``metadata.json`` the last; ``empty`` ones the loader asks for.

    ``trouble``: why the loader could only misread the folder; its metadata are made so that it refuses them.
    """

    files: dict[str, bytes]
    empty: tuple[str, ...]
    trouble: str


def make_metadata(schema: DatabaseSchema, texts: Iterable[TextFile], holdings: Holdings) -> Metadata:
    """All of it, from the partitioned tables of ``schema`` and the ingest JSON files as the user has them."""
    tables = [table for table in schema.tables if table.partitioned]
    originals = {text.path: text for text in texts}
    described: dict[str, bytes] = {}
    database = _described(described, originals.get(schema.path), f"{schema.database}.json", _database(schema))
    names = {
        table.table: _described(
            described,
            originals.get(table.path),
            f"{schema.database}_{table.table}.json",
            _table(schema.database, table),
        )
        for table in tables
    }
    trouble = _trouble(schema, tables)
    head: dict[str, Any] = {"version": UNREADABLE if trouble else VERSION, "database": database}
    if charset := _charset(tables):
        head["charset_name"] = charset
    if tables and not trouble:
        head["formats"] = {"txt": form_of(tables[0].dialect)}

    def whole(places: Sequence[Holding], *, marked: bool) -> bytes:
        return _encoded(
            head
            | {
                "tables": [
                    {
                        "schema": names[table.table],
                        "indexes": [],
                        "data": [entry for place in places for entry in _entry(table, place, marked=marked)],
                    }
                    for table in tables
                ]
            }
        )

    files = dict(described)
    for name, place in _host_files(holdings):
        files[name] = whole([place], marked=False)
    files[METADATA] = whole(list(holdings), marked=True)
    here = [place for place in holdings if not place.host]
    empty = tuple(
        f"{table.table}/{overlap_name(place.home[table.table][0])}"
        for place in here
        for table in tables
        if _lacks_overlap(table, place)
    )
    return Metadata(files, empty, trouble)


def _host_files(holdings: Holdings) -> Iterator[tuple[str, Holding]]:
    """A host's further folders, where it has several, are numbered from 2; no host has a plus sign in its name."""
    seen: defaultdict[str, int] = defaultdict(int)
    for place in holdings:
        if place.host:
            seen[place.host] += 1
            number = f"+{seen[place.host]}" if seen[place.host] > 1 else ""
            yield f"{place.host}{number}{BESIDE}", place


def _entry(table: TableSchema, place: Holding, *, marked: bool) -> Iterator[dict[str, Any]]:
    """One of the table's ``data``; none where the place has nothing of it. ``marked``: with where the folder is."""
    home, overlap = place.home.get(table.table, []), place.overlap.get(table.table, [])
    if not home and not overlap:
        return
    entry: dict[str, Any] = {"directory": table.table, "chunks": home}
    if table.is_director:
        entry["overlaps"] = home[:1] if _lacks_overlap(table, place) else overlap
    if marked and place.host:
        entry |= {"host": place.host, "folder": place.folder}
    yield entry


def _lacks_overlap(table: TableSchema, place: Holding) -> bool:
    """The loader takes an empty list for none at all, and would ask for an overlap file of every chunk."""
    return table.is_director and bool(place.home.get(table.table)) and not place.overlap.get(table.table)


def _described(into: dict[str, bytes], original: TextFile | None, name: str, body: dict[str, object]) -> str:
    """Put a JSON file there: the user's own where it says the same; its name."""
    if original is not None:
        name = original.name
        if _without_secret(msgspec.json.decode(original.data)) == _without_secret(body):
            into[name] = original.data
            return name
    into[name] = _encoded(body)
    return name


def _without_secret(body: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in body.items() if key != "auth_key"}


def _database(schema: DatabaseSchema) -> dict[str, object]:
    return {"version": VERSION} | schema.raw | database_body(schema, index_later=True) | {"auth_key": ""}


def _table(database: str, table: TableSchema) -> dict[str, object]:
    """As the user has it, but for keys that are no more Qserv's; what is missing is added."""
    own = {key: value for key, value in table.raw.items() if key not in OLD}
    version = max([VERSION, *(number for key, number in _NEWER.items() if key in own)])
    return {"version": version} | own | table_body(database, table) | {"auth_key": ""}


def _charset(tables: Sequence[TableSchema]) -> str:
    """The bytes of a file go into a column of the same character set unchanged."""
    found = {str(table.raw.get("charset_name") or "latin1") for table in tables}
    return found.pop() if len(found) == 1 else ""


def _trouble(schema: DatabaseSchema, tables: Sequence[TableSchema]) -> str:
    """A dialect that the loader cannot be told of."""
    for problem in check(schema):
        if problem.key.startswith("out.csv"):
            return problem.what
    if len({table.dialect for table in tables}) > 1:
        return "tables differ in their out.csv, and it reads all files alike"
    return ""


def _encoded(body: dict[str, Any]) -> bytes:
    return msgspec.json.encode(body) + b"\n"


def is_metadata_of_host(name: str) -> bool:
    """Whether a file of this name in ``chunks/`` was written for a host."""
    return name.endswith(BESIDE) and PurePath(name).name == name
