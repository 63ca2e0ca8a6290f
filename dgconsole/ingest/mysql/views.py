"""Views over the chunk tables, so that a filled database is queried without a thought for chunks."""

from collections.abc import Iterable, Sequence

from dgconsole.ingest.mysql.link import Link
from dgconsole.ingest.mysql.names import Reader, base_name, quoted

MOST_CHUNKS = 500
"""A query over a view opens all its tables: 0.04 s for 500, measured on MariaDB 10.11."""


def make_views(link: Link, database: str, reader: Reader, names: Iterable[str]) -> Sequence[str]:
    """``Object``, ``ObjectFullOverlap``, ...: all rows of the chunk tables of each kind; what was done, in words.

    Parameters
    ----------
    names
        The database's tables. A kind without rows has no view, nor has one of more than ``MOST_CHUNKS`` chunks.
    """
    names = list(names)
    taken = {name.lower() for name in names}
    kinds: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if (found := reader.read(name)) is not None and not found.aside:
            kinds.setdefault(base_name(found.table, overlap=found.overlap), []).append((found.chunk, name))
    made, many = [], []
    for kind, tables in sorted(kinds.items()):
        if kind.lower() in taken:
            continue
        if len(tables) > MOST_CHUNKS:
            link.run(f"DROP VIEW IF EXISTS {quoted(database, kind)}")
            many.append(kind)
        else:
            parts = [quoted(database, name) for _, name in sorted(tables)]
            rows = " UNION ALL ".join(f"SELECT * FROM {part}" for part in parts)  # noqa: S608 - quoted
            link.run(f"CREATE OR REPLACE SQL SECURITY INVOKER VIEW {quoted(database, kind)} AS {rows}")
            made.append(kind)
    said = []
    if made:
        said.append(f"database '{database}': views over all chunks: {', '.join(made)}")
    if many:
        said.append(
            f"database '{database}': no view over {', '.join(many)}, as over {MOST_CHUNKS} chunk tables are too many "
            f"for one; query them chunk by chunk ({many[0]}_<chunk>)"
        )
    return said
