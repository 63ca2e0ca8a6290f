"""What a plan is: frozen structs that console and client both build."""

from msgspec import Struct

from dgconsole.settings.structs import IngestTarget


class ColumnPlan(Struct, frozen=True):
    """One column with the SQL type its values are made for (ingest JSON, else spec, else generator)."""

    name: str
    type: str


class TablePlan(Struct, frozen=True, kw_only=True):
    """One table. ``role`` is director, child, visits or plain.

    ``key`` is a child's column of the director's id, a director's own id column. ``from_file`` is the plain name of
    the file that the whole table comes from, else empty.
    """

    name: str
    role: str
    columns: tuple[ColumnPlan, ...]
    delivered: bool
    director: str = ""
    key: str = ""
    overlap: float = 0.0
    from_file: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be made, the same on console and clients: ``digest`` proves it."""

    name: str
    num_stripes: int
    num_sub_stripes: int
    edge_width: float
    seed: int
    visits: int
    objects: int
    tables: tuple[TablePlan, ...]
    """In the order in which they are made."""
    notices: tuple[str, ...]
    digest: str
    """SHA-256 (hex) over spec, .cfg, ingest JSON, pregenerated files, seed, counts, version of the values."""
    sky_digest: str
    """SHA-256 (hex) of the tiling's tables: a host whose math library differs is refused."""
    parts: dict[str, str]
    """What the digest covers, by name ("fakeGenSpec.py", "Object.cfg", "seed", ...): a resume says what differs."""


class BundleHeader(Struct, frozen=True, kw_only=True):
    """What a client must know beside the files of the bundle; it travels as ``plan/plan.json``.

    ``out_dir`` is where files go on the client's host, ``spec`` the file name of the spec.
    """

    name: str
    seed: int
    visits: int
    objects: int
    keep_csv: bool
    out_dir: str
    ingest_kind: str
    plan_digest: str
    sky_digest: str
    spec: str
    collect: bool = True
    host_dir: str | None = None
    """``ingest.outDir``."""
    target: IngestTarget = IngestTarget()
    """Which database chunks go into; its secrets come by another way."""


class BundleItem(Struct, frozen=True):
    """One file of the bundle; ``kind`` is spec, partitioner, ingest, pregenerated or plan."""

    kind: str
    name: str
    data: bytes
