"""Names in the database: final ones as a Qserv worker has them, those of attempts, ours told from others."""

import re
from collections.abc import Iterable
from typing import NamedTuple

OVERLAP = "FullOverlap"
"""Ends the base name of the tables of overlap rows."""

PLAN = "dgconsole_plan"
"""The table that says by which plan a database was filled; no table of a spec has an underscore."""

LONGEST = 64
LONGEST_TABLE = LONGEST - len(OVERLAP) - len("_2147483647__new999999")
"""Characters that a table's name may have, so that all names made of it have at most 64."""


class ChunkName(NamedTuple):
    """A chunk table's name taken apart; ``aside`` is empty for a final one, else ``new<attempt>`` or ``old``."""

    table: str
    overlap: bool
    chunk: int
    aside: str


def final_name(table: str, chunk: int, *, overlap: bool) -> str:
    """``Object_7`` or ``ObjectFullOverlap_7``."""
    return f"{base_name(table, overlap=overlap)}_{chunk}"


def base_name(table: str, *, overlap: bool) -> str:
    """What all chunk tables of one kind begin with; the view over them is called so."""
    return f"{table}{OVERLAP}" if overlap else table


def new_name(final: str, attempt: int) -> str:
    """Under which an attempt is loaded."""
    return f"{final}__new{attempt}"


def old_name(final: str) -> str:
    """What an earlier attempt's table is called for a moment while it is replaced."""
    return f"{final}__old"


def quoted(*names: str) -> str:
    """Identifiers as SQL has them, joined with dots."""
    return ".".join("`{}`".format(name.replace("`", "``")) for name in names)


class Reader:
    """Tells the chunk tables of ``tables`` from all others, whatever the server does to upper case."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._tables = {table.lower(): table for table in tables}
        bases = "|".join(map(re.escape, sorted(self._tables, key=len, reverse=True))) or r"(?!)"
        self._pattern = re.compile(rf"({bases})({OVERLAP})?_([0-9]{{1,10}})(?:__(old|new[0-9]+))?", re.IGNORECASE)

    def read(self, name: str) -> ChunkName | None:
        """The parts of a name; None: it is no chunk table's."""
        found = self._pattern.fullmatch(name)
        if found is None:
            return None
        table, overlap, chunk, aside = found.groups()
        return ChunkName(self._tables[table.lower()], overlap is not None, int(chunk), (aside or "").lower())
