"""What crosses between a session and its faces: snapshots, commands, log lines; no live objects.

Everything here could go over a socket. A face pulls; a session never calls a face.
"""

from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct


class ChunkState(StrEnum):
    """Stored states of a chunk; the order of the members is the code used in ``ChunkStates``."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    DELIVERED = "delivered"
    COMPLETED = "completed"
    LIMBO = "limbo"
    RETRYING = "retrying"
    """Shown, not stored: pending after a failed attempt."""


CHUNK_STATES: tuple[ChunkState, ...] = tuple(ChunkState)


class RunState(StrEnum):
    """What the run as a whole is doing."""

    PLANNING = "planning"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    ENDED = "ended"


class ClientState(StrEnum):
    """What one client is doing, as CONSOLE's table of signs names it."""

    STARTING = "starting"
    WORKING = "working"
    IDLE = "idle"
    SILENT = "silent"
    GAVE_UP = "gave up"
    LOST = "lost"
    REFUSED = "refused"
    DRAINING = "draining"
    STOPPED = "stopped"
    DONE = "done"


class Counts(Struct, frozen=True):
    """Chunks by state. ``pending`` includes ``retrying``; ``in_work`` is assigned + delivered."""

    total: int = 0
    pending: int = 0
    retrying: int = 0
    assigned: int = 0
    delivered: int = 0
    completed: int = 0
    limbo: int = 0

    @property
    def in_work(self) -> int:
        return self.assigned + self.delivered


class ClientRow(Struct, frozen=True, kw_only=True, gc=False):
    """One client.

    ``last_word`` is seconds since it was last heard, None before its first word; ``chunk`` -1 when it has none;
    ``cpu`` is percent of one core, ``rss`` bytes.
    """

    name: str
    host: str
    state: ClientState
    chunk: int = -1
    stage: str = ""
    fraction: float = 0.0
    chunk_bytes: int = 0
    """Written so far for the chunk in hand; while it is delivered, all that goes."""
    done: int = 0
    failed: int = 0
    rows: int = 0
    bytes: int = 0
    rows_per_second: float = 0.0
    bytes_per_second: float = 0.0
    last_word: float | None = None
    pid: int = 0
    reason: str = ""
    cpu: float | None = None
    rss: int | None = None
    workdir: str = ""
    """On its host; empty where it was not started from here."""


class HostRow(Struct, frozen=True, kw_only=True):
    """One host; ``state`` is a word of the host life cycle; ``mend`` says what a person can do."""

    name: str
    launcher: str
    state: str
    reason: str = ""
    mend: str = ""


class Cause(Struct, frozen=True, kw_only=True):
    """Chunks in limbo that share one cause (numbers and paths folded)."""

    text: str
    fault: str
    count: int
    chunks: tuple[int, ...]
    """The ids, all of them up to 10,000."""
    hosts: tuple[str, ...]


class Notice(Struct, frozen=True):
    """Something a person should know: a plan notice, a paused run, a full disk. ``key`` mends it, if any."""

    text: str
    key: str = ""
    level: str = "warning"


class TransactionRow(Struct, frozen=True, kw_only=True):
    """A transaction of the destination that has not ended: chunks of one client that become complete together."""

    number: int
    """Ours, as the ledger has it."""
    client: str
    chunks: int
    """With the client, or delivered."""
    delivered: int
    state: str
    """opening, open, committing or aborting; stuck: it could not be undone, and waits for a person."""
    seconds: float
    """Since it was begun."""


class TransactionTotals(Struct, frozen=True):
    """What became of transactions in this session."""

    committed: int = 0
    aborted: int = 0
    commit_seconds: float = 0.0
    """What a commit took, on average."""


class Question(Struct, frozen=True, kw_only=True):
    """Something only a person can say: a passphrase, a password, a one-time code. ``Answer`` answers it."""

    number: int
    """Never used twice in a session."""
    host: str
    """Which host wants to know, as hosts.yml names it; empty: the run itself."""
    text: str
    secret: bool = True
    """The answer must not be shown while it is typed."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """The whole of a run at one moment; small whatever the size of the sky."""

    revision: int
    name: str
    run_dir: str
    state: RunState
    wall: float
    """When this was made (epoch seconds)."""
    started: float
    """Epoch seconds when this session began to hand out."""
    elapsed: float
    """Seconds this session has been running (or ran, when ended)."""
    counts: Counts
    rows: int = 0
    overlap_rows: int = 0
    bytes: int = 0
    """Of completed chunks, over all sessions of this run directory."""
    session_completed: int = 0
    """Chunks completed by this session."""
    partial_sky: bool = False
    """The targets are a part of the tiling."""
    clients: tuple[ClientRow, ...] = ()
    hosts: tuple[HostRow, ...] = ()
    causes: tuple[Cause, ...] = ()
    notices: tuple[Notice, ...] = ()
    transactions: tuple[TransactionRow, ...] = ()
    """The oldest first, some hundreds at most; only where the destination has transactions."""
    transaction_totals: TransactionTotals = TransactionTotals()
    questions: tuple[Question, ...] = ()
    """The oldest first; one is asked at a time."""
    log_end: int = 0
    """Number of the next log line."""
    verdict: str = ""
    """One line on how the run ended, once it has."""
    exit_status: int | None = None


class ChunkTable(Struct, frozen=True, kw_only=True):
    """What does not change about the targets, in id order. Little-endian arrays as bytes."""

    count: int
    ids: bytes
    """int32, the chunk ids ascending."""
    boxes: bytes
    """float64, shape (count, 4): ra_min, ra_max, dec_min, dec_max in degrees."""


class ChunkStates(Struct, frozen=True, kw_only=True):
    """States of targets at a revision, in the order of ``ChunkTable``. Arrays as bytes."""

    revision: int
    at: bytes | None = None
    """int32 indices, ascending, of the targets that the arrays below are about; None: of all."""
    states: bytes
    """uint8 index into CHUNK_STATES."""
    attempts: bytes
    """uint8 attempts used."""
    clients: bytes
    """int32 index into ``client_names`` of the client that has or last had it; -1 none."""
    client_names: tuple[str, ...]
    client_hosts: tuple[str, ...]
    rows: bytes
    """int64 rows delivered (0 until completed)."""
    seconds: bytes
    """float32 seconds of the completed attempt."""
    failed: bytes = b""
    """int32 indices of the retrying chunks whose last error is known, in no order."""
    failed_of: bytes = b""
    """int32 index into ``failed_texts`` of each of them."""
    failed_texts: tuple[str, ...] = ()
    """Their last errors, numbers and paths folded."""


class AttemptRow(Struct, frozen=True, kw_only=True):
    """One attempt at one chunk; times in epoch seconds."""

    attempt: int
    client: str
    host: str
    started: float
    ended: float | None
    outcome: str
    fault: str = ""
    error: str = ""
    rows: int = 0
    overlap_rows: int = 0
    bytes: int = 0
    stages: dict[str, float] = {}


class ChunkHistory(Struct, frozen=True, kw_only=True):
    """Everything known about one chunk."""

    chunk: int
    state: ChunkState
    retry_at: float | None
    attempts: tuple[AttemptRow, ...]


class LogLine(Struct, frozen=True, gc=False):
    """One numbered line. ``source`` is a client's name, a host's, or "console"."""

    number: int
    wall: float
    source: str
    level: str
    text: str


class LogPage(Struct, frozen=True):
    """Lines from ``first`` on; ``lost`` lines before them are no longer in the ring."""

    lines: tuple[LogLine, ...]
    lost: int
    end: int


class LogMark(Struct, frozen=True):
    """A place in a run's log files: before the newest ``taken`` lines, by source, of those said at ``wall``."""

    wall: float
    """Epoch seconds in whole milliseconds, as lines have them."""
    taken: dict[str, int] = {}


class OlderLines(Struct, frozen=True):
    """Lines from log files, the oldest first; their numbers mean nothing.

    ``mark`` is where to go on from; None: nothing older is there. There may be more although no line came.
    """

    lines: tuple[LogLine, ...]
    mark: LogMark | None


class LogFile(Struct, frozen=True):
    """A log in the run directory; ``whole``: what a client's host kept, as ``FetchLog`` brought it."""

    source: str
    """The client, or "console", which holds the hosts' lines as well."""
    whole: bool
    bytes: int
    path: str


class WholeLines(Struct, frozen=True):
    """A piece of a client's whole log; a line's number is where it begins, in bytes; times are not known (0)."""

    lines: tuple[LogLine, ...]
    start: int
    """What was looked at, from this byte..."""
    end: int
    """...to before this one."""
    size: int
    """Bytes of the whole; -1: there is no such log."""


class ReportRow(Struct, frozen=True, kw_only=True):
    """One target chunk as report.csv has it; times ISO 8601 UTC, empty where there is none."""

    chunk_id: int
    state: str
    attempts: int
    client: str
    host: str
    started_at: str
    finished_at: str
    seconds: float | None
    rows: int
    overlap_rows: int
    bytes: int
    error: str


class Total(Struct, frozen=True, kw_only=True):
    """One line of the report's totals: a host, a client, a table or a stage."""

    name: str
    chunks: int = 0
    failed: int = 0
    rows: int = 0
    overlap_rows: int = 0
    bytes: int = 0
    seconds: float = 0.0


class Report(Struct, frozen=True, kw_only=True):
    """The totals of a run."""

    verdict: str
    counts: Counts
    elapsed: float
    """Seconds of this session."""
    session_rows: int = 0
    """Rows of the chunks that this session completed."""
    transaction_totals: TransactionTotals = TransactionTotals()
    hosts: tuple[Total, ...]
    clients: tuple[Total, ...]
    tables: tuple[Total, ...]
    stages: tuple[Total, ...]
    slowest: tuple[ReportRow, ...]
    problems: tuple[ReportRow, ...]
    """Limbo chunks, up to 1,000."""
    causes: tuple[Cause, ...]


# ---- commands: what a face may ask of a session


class Command(Struct, frozen=True, tag=True):
    """The base of all commands."""


class Pause(Command, frozen=True):
    """Stop handing out; chunks in hand go on."""


class Resume(Command, frozen=True):
    """Hand out again (also after a full disk)."""


class Retry(Command, frozen=True):
    """Put these limbo chunks back to pending with fresh attempts."""

    chunks: tuple[int, ...]


class RetryAll(Command, frozen=True):
    """All limbo chunks, and start again the clients that gave up or were lost."""


class AddClient(Command, frozen=True):
    """One more client on this host."""

    host: str


class StopClient(Command, frozen=True):
    """Stop this client after the chunk in hand."""

    client: str


class DrainHost(Command, frozen=True):
    """Stop all clients of this host after the chunks in hand."""

    host: str


class ReconnectHost(Command, frozen=True):
    """Try a host again that is set aside or waits for its next try."""

    host: str


class AddHost(Command, frozen=True):
    """Take one more host (or a range) into the run: an entry as ``hosts`` in hosts.yml has it, defaults applied."""

    entry: str


class FetchLog(Command, frozen=True):
    """Bring a client's whole log from its host into ``logs/`` of the run directory."""

    client: str


class Answer(Command, frozen=True):
    """The answer to a question; None: there will be none. Its text is in no repr, so in no log."""

    question: int
    text: str | None

    def __repr__(self) -> str:
        return f"Answer(question={self.question})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("question", self.question)]


class Quit(Command, frozen=True):
    """End the session: after the chunks in hand, or (``now``) at once; they go back to pending."""

    now: bool


class Export(Command, frozen=True):
    """Write the report to this path (on the session's machine); refuses to overwrite unless told.

    ``format`` is csv (as report.csv), md or json.
    """

    path: str
    overwrite: bool = False
    format: str = "csv"


class Reply(Struct, frozen=True):
    """Answer to a command: one line for people."""

    ok: bool
    text: str = ""


class SessionHandle(Protocol):
    """All that a face knows of a session. Every call may cross a socket, so every call is awaited."""

    async def snapshot(self) -> Snapshot: ...

    async def chunk_table(self) -> ChunkTable: ...

    async def chunk_states(self, since: int) -> ChunkStates | None:
        """What changed after revision ``since``, -1: how all stand; None when nothing did."""

    async def chunk_history(self, chunk: int) -> ChunkHistory | None: ...

    async def logs(self, after: int, limit: int) -> LogPage:
        """Lines numbered ``after`` and up."""

    async def older(self, source: str, before: LogMark | None, limit: int, level: int = 0) -> OlderLines:
        """Up to ``limit`` lines from the log files, the newest of those before a mark (None: of all).

        Of one source, or (empty) of all by time; of this level (0 debug to 3 error) or above.
        """

    async def whole_log(
        self, client: str, at: int, limit: int, *, backward: bool = False, needle: str = ""
    ) -> WholeLines:
        """Up to ``limit`` lines of a whole log from byte ``at`` on, or before it: where a line begins or ends.

        With a ``needle`` only the next line that holds it, if it is in what was looked at.
        """

    async def log_files(self) -> tuple[LogFile, ...]:
        """The logs that the run directory holds."""

    async def report(self) -> Report: ...

    async def command(self, command: Command) -> Reply: ...
