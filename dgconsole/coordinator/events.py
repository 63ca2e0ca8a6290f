"""What goes into the core (events) and what comes out of it (orders, and the steps that the ledger keeps)."""

from msgspec import Struct

from dgconsole.support.errors import Fault
from dgconsole.wire.messages import Figures, FromClient, FromCoordinator

# ---- events. ``peer`` is the number of a connection, never used twice.


class Event(Struct, frozen=True):
    """The base of all events."""


class Expected(Event, frozen=True):
    """The fleet is about to start this client."""

    name: str
    host: str


class Joined(Event, frozen=True):
    """A client said Hello on this connection and was found good."""

    peer: int
    name: str
    host: str
    pid: int


class Readied(Event, frozen=True):
    """The client's plan and tables of the sky are ours. ``folder``: where its files stay on its host, if they do."""

    peer: int
    folder: str = ""


class TurnedAway(Event, frozen=True):
    """The client may not take part: ``reason`` is for people."""

    peer: int
    reason: str


class Said(Event, frozen=True):
    """A client that has joined sent a message."""

    peer: int
    message: FromClient


class Undelivered(Event, frozen=True):
    """A client has completed this attempt, and its files, which it sent, could not be kept."""

    peer: int
    chunk: int
    attempt: int
    fault: Fault
    text: str


class Gone(Event, frozen=True):
    """The connection is at its end; ``how`` is for people."""

    peer: int
    how: str


class Exited(Event, frozen=True):
    """The client's process is gone, as the fleet saw it."""

    name: str
    how: str


class Accepted(Event, frozen=True):
    """The destination has these attempts' files under their final names: (chunk, attempt) each."""

    items: tuple[tuple[int, int], ...]


class AcceptFailed(Event, frozen=True):
    """The destination could not take this attempt, and another try would not help."""

    chunk: int
    attempt: int
    text: str


class DestinationTrouble(Event, frozen=True):
    """The destination cannot take anything now (disk full, say); what it was to take waits for ``ResumeRun``."""

    text: str


class TransactionBegun(Event, frozen=True):
    """The destination has opened this transaction; ``transaction`` is its own number for it."""

    number: int
    transaction: int


class TransactionRefused(Event, frozen=True):
    """The destination opens no transaction now."""

    number: int
    text: str


class Committed(Event, frozen=True):
    """The destination has what was loaded in this transaction for good."""

    number: int


class CommitFailed(Event, frozen=True):
    """The destination has not committed this transaction, or cannot say so."""

    number: int
    text: str


class Aborted(Event, frozen=True):
    """Nothing is left of what was loaded in this transaction; ``committed``: all of it is, a commit came first."""

    number: int
    committed: bool = False


class AbortFailed(Event, frozen=True):
    """The destination could not undo this transaction."""

    number: int
    text: str


class ClientsEnded(Event, frozen=True):
    """No client's process is left: nobody loads anything any more."""


class Tick(Event, frozen=True):
    """Time has passed: leases, stalls, retries that are due."""


class PauseRun(Event, frozen=True):
    """A person wants no more handed out."""


class ResumeRun(Event, frozen=True):
    """A person wants to go on, whatever paused the run."""


class RetryChunks(Event, frozen=True):
    """A person wants these limbo chunks tried again; None: all, and to go on after a guard's pause."""

    chunks: tuple[int, ...] | None


class StopRun(Event, frozen=True):
    """The session ends: after the chunks in hand, or ``now``."""

    now: bool


class StopOne(Event, frozen=True):
    """This client is to end: after the chunk in hand, or ``now``."""

    name: str
    now: bool


# ---- steps: what one transaction of the ledger is made of. Times are epoch seconds, clients are indices.


class Step(Struct, frozen=True):
    """The base of all steps."""


class ClientAdded(Step, frozen=True):
    """A client (by name and host) seen for the first time in this run directory."""

    client: int
    name: str
    host: str


class TransactionOpened(Step, frozen=True):
    """The next chunks handed to ``client`` belong together."""

    transaction: int
    client: int
    at: float


class TransactionNumbered(Step, frozen=True):
    """The destination has opened the transaction, under a number of its own."""

    transaction: int
    destination: int


class TransactionClosed(Step, frozen=True):
    """All chunks of the transaction have ended; ``outcome``: what became of the destination's own, if it has any."""

    transaction: int
    at: float
    outcome: str = ""
    """committed, aborted or refused."""


class Assigned(Step, frozen=True):
    """pending -> assigned: attempt number ``attempt`` begins; ``used`` counts it."""

    chunk: int
    attempt: int
    used: int
    client: int
    transaction: int
    at: float


class Delivered(Step, frozen=True):
    """assigned -> delivered: all is loaded, and waits for the commit of the attempt's transaction."""

    chunk: int
    attempt: int
    client: int
    started: float
    at: float
    figures: Figures


class Ended(Step, frozen=True):
    """assigned -> ``state``: the open attempt ends. ``figures`` only where it completed."""

    chunk: int
    attempt: int
    client: int
    state: int
    used: int
    retry_at: float | None
    started: float
    at: float
    outcome: str
    """completed, failed, lost or returned."""
    fault: str = ""
    stage: str = ""
    error: str = ""
    figures: Figures | None = None
    folder: str = ""
    """Where the files stay on the client's host; empty: they are in the run directory."""


class Released(Ended, frozen=True):
    """delivered -> ``state``: the attempt's transaction was committed (completed) or undone (returned)."""


class Requeued(Step, frozen=True):
    """limbo -> pending by a person, with fresh attempts."""

    chunk: int


# ---- orders. Those after a Persist wait until it is on disk.


class Order(Struct, frozen=True):
    """The base of all orders."""


class Persist(Order, frozen=True):
    """Write this step; the steps of one event are in one transaction."""

    step: Step


class Greet(Order, frozen=True):
    """Welcome this client and send it the bundle."""

    peer: int
    name: str
    host: str


class Send(Order, frozen=True):
    """Send the message, if the connection is still there."""

    peer: int
    message: FromCoordinator


class Drop(Order, frozen=True):
    """Close the connection; with a ``name``, that client's process is to be ended as well."""

    peer: int
    name: str = ""
    reason: str = ""


class Accept(Order, frozen=True):
    """Have the destination take this attempt's files; its answer is Accepted or AcceptFailed."""

    chunk: int
    attempt: int
    figures: Figures


class OpenTransaction(Order, frozen=True):
    """Have the destination open a transaction; its answer is TransactionBegun or TransactionRefused."""

    number: int
    client: str


class CommitTransaction(Order, frozen=True):
    """Have the destination commit; its answer is Committed or CommitFailed. ``transaction`` is its own number."""

    number: int
    transaction: int


class AbortTransaction(Order, frozen=True):
    """Have the destination undo all that was loaded; its answer is Aborted or AbortFailed."""

    number: int
    transaction: int


class Finished(Order, frozen=True):
    """Nothing is pending or assigned any more (``now`` True), or something is again."""

    now: bool


class Log(Order, frozen=True):
    """A line for people."""

    source: str
    level: str
    text: str


FAULT_OUTCOMES = {Fault.LOST: "lost", Fault.STOPPED: "returned"}
"""How an attempt that ends by these faults is called in the ledger; any other: failed."""
