"""What happens to a client's loop, and what the loop wants done: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dgconsole.support.errors import Fault
from dgconsole.wire.messages import BundleFile, Figures, Message


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the worker stands. ``batches`` counts since its start, so that a stall shows."""

    chunk: int = -1
    attempt: int = 0
    stage: str = ""
    fraction: float = 0.0
    rows: int = 0
    bytes: int = 0
    batches: int = 0


# ---- events


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events."""


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """The connection stands."""


@dataclass(frozen=True, slots=True)
class Arrived(Event):
    """The coordinator said something that is legal now."""

    message: Message


@dataclass(frozen=True, slots=True)
class Closed(Event):
    """The connection ended, or the coordinator broke the rules; ``text`` says which."""

    text: str


@dataclass(frozen=True, slots=True)
class Planned(Event):
    """The plan was built from the bundle. ``folder``: where finished files stay on this host, if they do."""

    plan_digest: str
    sky_digest: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Unprepared(Event):
    """The bundle could not be kept, the plan not built, or the destination not reached."""

    fault: Fault
    text: str


@dataclass(frozen=True, slots=True)
class Made(Event):
    """The chunk's files are delivered under the attempt's names."""

    chunk: int
    attempt: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class Broke(Event):
    """The attempt failed, and nothing of it is left at the destination."""

    chunk: int
    attempt: int
    fault: Fault
    stage: str
    text: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class KeptFiles(Event):
    """What KeepFiles came to: the files have their final names, or ``error`` says why not, ``fault`` whose it is."""

    chunk: int
    attempt: int
    error: str = ""
    fault: Fault = Fault.DELIVER


@dataclass(frozen=True, slots=True)
class Terminated(Event):
    """Somebody outside wants the client gone at once: a signal, or its parent's end."""

    why: str


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """Time went by."""

    reading: Reading


# ---- orders


@dataclass(frozen=True, slots=True)
class Order:
    """The base of all orders."""


@dataclass(frozen=True, slots=True)
class Send(Order):
    message: Message


@dataclass(frozen=True, slots=True)
class Store(Order):
    """Keep this piece of the bundle."""

    piece: BundleFile


@dataclass(frozen=True, slots=True)
class Prepare(Order):
    """The bundle is whole: build the plan from it, and reach the destination.

    ``collect``: by sending it files; ``keep``: the folder where they stay on this host; ``secrets``: what it wants
    to be shown.
    """

    collect: bool = False
    keep: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Expect(Order):
    """These chunks came in one hand, to be made in their turn; the destination may want to place them together."""

    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Make(Order):
    """Make this chunk; one at a time. ``transaction``: the destination's, that it is loaded in; 0: it has none."""

    chunk: int
    attempt: int
    transaction: int = 0


@dataclass(frozen=True, slots=True)
class Abandon(Order):
    """Stop making this chunk, and leave nothing of it; its result is of no interest any more."""

    chunk: int
    attempt: int


@dataclass(frozen=True, slots=True)
class KeepFiles(Order):
    """Give the files of this attempt, which stay on this host, their final names; KeptFiles follows."""

    chunk: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Discard(Order):
    """Nobody will ask for the files of this attempt."""

    chunk: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Say(Order):
    """One line for the log."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Leave(Order):
    """The end: close the connection. ``again``: the server was lost, another try may find it."""

    status: int
    text: str
    again: bool = False
