"""What the input files come to once read: frozen structs, the same on console and client."""

from msgspec import Struct


class Dialect(Struct, frozen=True):
    """How text lines spell their fields. Characters are single bytes (as str); None: switched off."""

    delimiter: str = "\t"
    quote: str | None = '"'
    escape: str | None = "\\"
    null: str = "NULL"


class PartitionerConfig(Struct, frozen=True, kw_only=True):
    """One table's partitioner configuration, defaults filled in and checked.

    ``pos`` is (longitude field, latitude field) or None for a child by id. ``out_fields`` already holds
    the chunk and sub-chunk columns (appended where the file does not place them). ``overlap`` is 0 without
    ``pos``.
    """

    table: str
    path: str
    pos: tuple[str, str] | None
    id: str | None
    chunk: str
    sub_chunk: str
    overlap: float
    num_stripes: int
    num_sub_stripes: int
    prefix: str
    in_fields: tuple[str, ...]
    out_fields: tuple[str, ...]
    in_dialect: Dialect
    out_dialect: Dialect


class HostConfig(Struct, frozen=True, kw_only=True):
    """One host of hosts.yml with the defaults applied.

    ``workdir`` None: work/ in the run directory (local), ``~/.dgconsole/<run>`` (ssh). The keys from ``address``
    on are for ``launcher: ssh``; an empty address is the name, None is what the user's ssh configuration says.
    """

    name: str
    launcher: str = "local"
    clients: int = 1
    workdir: str | None = None
    python: str | None = None
    setup: tuple[str, ...] = ()
    env: dict[str, str] = {}
    address: str = ""
    port: int | None = None
    user: str | None = None
    jump: str | None = None
    identity: str | None = None
    known_hosts: str | None = None
    deploy: str = "venv"
    """venv: our own wheel in a venv over there; none: what ``python`` and ``setup`` give."""
    connect: str = "forward"
    """forward: through the SSH connection; direct: to ``server.port`` of the console's machine."""


class TextFile(Struct, frozen=True):
    """An input file as read: its name (no folders), where it came from, its content."""

    name: str
    path: str
    data: bytes


class IngestTable(Struct, frozen=True, kw_only=True):
    """One table of the ingest JSON: what the plan checks and what types the columns have."""

    table: str
    path: str
    is_partitioned: bool
    is_director: bool
    columns: tuple[tuple[str, str], ...]
    """(name, SQL type) in order."""
    raw: dict[str, object]


class IngestTarget(Struct, frozen=True, kw_only=True):
    """Where finished chunks go (section ``ingest`` of serverCfg.yml); secrets are kept apart."""

    kind: str = "files"
    """files, qserv or mysql."""
    host: str | None = None
    port: int | None = None
    socket: str | None = None
    """Path of the UNIX socket of a MySQL server, on each client's machine and on the console's."""
    user: str | None = None
    database: str = ""
    engine: str | None = None
    """Storage engine of chunk tables (mysql); None: the fastest that is safe there."""
    publish: str = "auto"
    """auto: when every target chunk is complete; never."""
    index: bool = False
    """Build the director index after publishing, where it was not built at each commit."""
    row_counters: bool = False
    """Have Qserv count rows by chunk after publishing."""
    schema: bool = True
    """Register (make) database and tables that are missing; otherwise they must be there."""
    replace: bool = False
    """Fill a database that another plan has filled before."""
    instance: str | None = None
    """The only instance id of a Qserv that may be loaded into."""
    worker_hosts: dict[str, str] = {}
    """Name of a Qserv worker, or a host that Qserv names -> the host where clients find it."""


class Preparation(Struct, frozen=True):
    """What is to run on the console's machine before the files that ``file`` (serverCfg.yml) names are read.

    ``name`` is the run's; ``lines`` are shell lines, each with its line in the file.
    """

    file: str
    folder: str
    name: str
    lines: tuple[tuple[int, str], ...]


class RunSettings(Struct, frozen=True, kw_only=True):
    """serverCfg.yml and all files it names, read and checked one by one (the plan checks them together)."""

    path: str
    name: str
    """Database name, else the spec's name without its extension."""
    seed: int
    visits: int
    objects: int
    transaction_size: int
    chunks: str | None
    server_port: int | None
    spec: TextFile
    partitioners: tuple[PartitionerConfig, ...]
    partitioner_files: tuple[TextFile, ...]
    ingest_kind: str
    ingest_tables: tuple[IngestTable, ...]
    ingest_database: dict[str, object] | None
    ingest_files: tuple[TextFile, ...]
    pregenerated_dir: str | None
    secrets: dict[str, str] = {}
    """Dotted key -> value; never written to disk, never sent."""
    server_file: TextFile = TextFile("", "", b"")
    """serverCfg.yml itself, secrets taken out."""
    given: tuple[str, ...] = ()
    """Which of "visits", "objects", "seed" the user named; the others are defaults."""
    target: IngestTarget = IngestTarget()
    prepare: tuple[str, ...] = ()
    """Shell lines that ran on the console's machine before the files were read."""
    collect: bool = True
    """Whether the files of remote clients come into the run directory; otherwise they stay on their hosts."""
    out_dir: str | None = None
    """Where they stay then, on each host; None: ``~/.dgconsole/<run>/chunks``."""
