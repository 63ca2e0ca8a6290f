"""The messages between console and client: msgspec tagged structs, frozen, with limits at the edge.

Order: Hello -> Welcome (or Refused) -> BundleFile... -> BundleEnd -> Ready (or GiveUp) -> Ask -> Assign
-> Progress... -> Completed | Failed (-> Settled) -> Ask ... -> NoMore -> Bye. Ping and Pong at any time after
Welcome; the coordinator may say Stop at any time after Welcome. A client that was told so in its Welcome sends the
files of a chunk before its Completed, each as FileBegin -> FileData... -> FileEnd. One that was told to keep its
files on its host is asked to after each Completed: Keep -> Kept (-> Settled).
"""

import hashlib
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from dgconsole.support.errors import Fault

PROTOCOL = 3
"""Raised when a message changes its meaning; both ends must agree."""

Name = Annotated[str, Meta(max_length=255)]
Text = Annotated[str, Meta(max_length=20_000)]
Count = Annotated[int, Meta(ge=0, le=2**48)]
"""Small enough that sums over tables and chunks stay within 64 bits."""
Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]
"""Neither NaN nor infinite: it goes into the ledger."""
PIECE = 524_288
"""Longest piece of a file, in bytes, in one message."""

ChunkId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
AttemptNumber = Annotated[int, Meta(ge=1, le=1_000_000)]


class Role(StrEnum):
    """The two ends of a connection."""

    CLIENT = "client"
    COORDINATOR = "coordinator"

    @property
    def other(self) -> "Role":
        return Role.COORDINATOR if self is Role.CLIENT else Role.CLIENT


class Message(Struct, frozen=True, array_like=True, tag=True):
    """The base of all messages."""


class TableFigures(Struct, frozen=True, array_like=True):
    """What one delivered table of one chunk came to: rows and bytes of both files, seconds by stage."""

    table: Name
    rows: Count
    overlap_rows: Count
    bytes: Count
    seconds: dict[Name, Seconds]


class Figures(Struct, frozen=True, array_like=True):
    """What one chunk came to. ``seconds`` is by stage over all tables: generate, partition, deliver."""

    tables: tuple[TableFigures, ...]
    seconds: dict[Name, Seconds]


# ---- client -> coordinator


class Hello(Message, frozen=True, tag="hello"):
    """First word of a client. ``name`` is the one the fleet gave it, or empty: the coordinator gives one."""

    token: Name
    protocol: int
    version: Name
    name: Name
    host: Name
    pid: Count
    build: Name = ""
    """SHA-256 of the wheel that it was installed from; empty where it was installed otherwise."""


class Ready(Message, frozen=True, tag="ready"):
    """The bundle is whole and the plan was built from it; the digests must agree with the coordinator's."""

    plan_digest: Name
    sky_digest: Name
    folder: Text = ""
    """Where finished files stay on this host (an absolute path); empty unless the Welcome said so."""


class Ask(Message, frozen=True, tag="ask"):
    """The client wants up to ``count`` chunks."""

    count: Annotated[int, Meta(ge=1, le=10_000)]


class Progress(Message, frozen=True, tag="progress"):
    """Where the chunk in hand stands. ``rows`` and ``bytes`` are written so far."""

    chunk: ChunkId
    attempt: AttemptNumber
    stage: Name
    fraction: Annotated[float, Meta(ge=0.0, le=1.0)]
    rows: Count
    bytes: Count


class Ping(Message, frozen=True, tag="ping"):
    """Heartbeat; ``progress`` counts batches done since the start, so that a stall shows."""

    number: Count
    progress: Count


class FileBegin(Message, frozen=True, tag="filebegin"):
    """A file of an attempt in hand follows, one at a time: ``name`` is its final name, ``size`` its bytes."""

    chunk: ChunkId
    attempt: AttemptNumber
    table: Name
    name: Name
    size: Count


class FileData(Message, frozen=True, tag="filedata"):
    """The next bytes of the file that was begun."""

    data: Annotated[bytes, Meta(min_length=1, max_length=PIECE)]


class FileEnd(Message, frozen=True, tag="fileend"):
    """The file is whole; ``digest`` is its ``file_digest`` in hex."""

    digest: Name


def file_digest() -> "hashlib.blake2b":
    """What both ends feed the bytes of a file to."""
    return hashlib.blake2b(digest_size=32)


class Completed(Message, frozen=True, tag="completed"):
    """The chunk's files are whole and fsynced under this attempt's names, or were all sent."""

    chunk: ChunkId
    attempt: AttemptNumber
    figures: Figures


class Kept(Message, frozen=True, tag="kept"):
    """Answer to a Keep: the files have their final names, for good; or ``error`` and ``fault`` say why not."""

    chunk: ChunkId
    attempt: AttemptNumber
    error: Text = ""
    fault: Fault = Fault.DELIVER


class Failed(Message, frozen=True, tag="failed"):
    """The attempt failed; ``text`` is one line for people, ``details`` may be a traceback for the log.

    ``stage`` is "" where the chunk was not begun.
    """

    chunk: ChunkId
    attempt: AttemptNumber
    fault: Fault
    stage: Name
    text: Text
    details: Text = ""


class GiveUp(Message, frozen=True, tag="giveup"):
    """The client is in serious difficulty of its own: it has reported what it completed and leaves."""

    fault: Fault
    text: Text


class Bye(Message, frozen=True, tag="bye"):
    """The client leaves in good order; chunks in its hand (if any) go back without blame."""


# ---- coordinator -> client


class Welcome(Message, frozen=True, tag="welcome"):
    """The client is known as ``name``; ``host`` is the name for reports; the lease in seconds.

    ``collect``: the files of finished chunks are to be sent; otherwise the client has them where they belong.
    """

    name: Name
    host: Name
    heartbeat: float
    lease: float
    files: Count
    collect: bool = False
    secrets: dict[Name, Text] = {}
    """What the destination wants to be shown, by the dotted key of serverCfg.yml; never written to disk."""
    keep: Text = ""
    """Folder of the client's host (absolute, or ``~/`` and on) where finished files stay; empty: they do not."""

    def __repr__(self) -> str:
        return f"Welcome({self.name!r}, {self.host!r}, {len(self.secrets)} secrets)"


class Refused(Message, frozen=True, tag="refused"):
    """The client may not take part; the connection ends."""

    reason: Text


class BundleFile(Message, frozen=True, tag="file"):
    """A piece of one file of the bundle; ``kind`` is spec, partitioner, ingest, pregenerated or plan.

    ``name`` is a plain file name. A file comes in pieces of at most 512 KiB, the last with ``last``.
    """

    kind: Name
    name: Name
    data: Annotated[bytes, Meta(max_length=PIECE)]
    last: bool


class BundleEnd(Message, frozen=True, tag="end"):
    """All files were sent."""


class Assign(Message, frozen=True, tag="assign"):
    """Chunks to make, with their attempt numbers. Empty: nothing to hand out now, wait for the next.

    ``transaction`` is the destination's number of the transaction that they are loaded in; 0: it has none.
    """

    chunks: tuple[tuple[ChunkId, AttemptNumber], ...]
    transaction: Count = 0


class Settled(Message, frozen=True, tag="settled"):
    """The report on this attempt is on disk; ``accepted`` is False for a late one, or one without its files."""

    chunk: ChunkId
    attempt: AttemptNumber
    accepted: bool


class Keep(Message, frozen=True, tag="keep"):
    """The report on this attempt counts: give its files, which stay on the client's host, their final names."""

    chunk: ChunkId
    attempt: AttemptNumber


class Pong(Message, frozen=True, tag="pong"):
    """Answer to a Ping: the coordinator is alive."""

    number: Count


class NoMore(Message, frozen=True, tag="nomore"):
    """The run needs nothing more of this client."""


class Stop(Message, frozen=True, tag="stop"):
    """End: after the chunk in hand (``now`` False) or at once, giving back what is in hand."""

    now: bool


FileMessage = FileBegin | FileData | FileEnd
FromClient = Hello | Ready | Ask | Progress | Ping | FileMessage | Completed | Kept | Failed | GiveUp | Bye
FromCoordinator = Welcome | Refused | BundleFile | BundleEnd | Assign | Keep | Settled | Pong | NoMore | Stop
