"""Tables as a database knows them: columns by place as in the chunk files, roles, the files' dialect."""

from msgspec import Struct

from dgconsole.settings.structs import Dialect

CHUNK, SUB_CHUNK = "chunkId", "subChunkId"
"""What Qserv calls the two columns that the partitioner adds."""


class TableSchema(Struct, frozen=True, kw_only=True):
    """One table that chunk files are loaded into, or (not ``partitioned``) a whole one that every worker gets.

    ``key`` is a director's own id column, a child's column of its director's id; ``position`` is (longitude,
    latitude). ``path`` and ``raw`` are the ingest JSON's, secrets taken out; empty where the table is derived.
    """

    table: str
    columns: tuple[tuple[str, str], ...]
    """(name, SQL type) in the order of the files' fields, chunk and sub-chunk column among them."""
    partitioned: bool = True
    director: str = ""
    """Name of the director that a child follows; empty: this is a director, or not partitioned."""
    key: str = ""
    position: tuple[str, str] | None = None
    overlap: float = 0.0
    """Degrees; of a director."""
    dialect: Dialect = Dialect()
    """How the fields of the files are spelled."""
    path: str = ""
    raw: dict[str, object] = {}
    file: str = ""
    """Path of the CSV file of a table that is not partitioned."""

    @property
    def is_director(self) -> bool:
        return self.partitioned and not self.director


class DatabaseSchema(Struct, frozen=True, kw_only=True):
    """The database of a run: its tiling, and its tables, directors first."""

    database: str
    num_stripes: int
    num_sub_stripes: int
    overlap: float
    """Degrees: the largest of the directors'."""
    tables: tuple[TableSchema, ...]
    path: str = ""
    raw: dict[str, object] = {}
