"""What console and host agent say to each other: JSON lines, as structs on the console's side.

The agent itself imports nothing of ours; it uses the same names as plain dictionaries.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

TOO_OLD = 126
"""Exit status of a Python that cannot run what is sent; the shell's own for a program that cannot be run."""
NOT_FOUND = 127
"""The shell's own for a program that is not there."""
_BOOTSTRAP = (
    "import sys;v=sys.version;sys.version_info<{least}and(sys.stderr.write('it is Python '+v.split()[0]+', too old'),"
    "sys.exit({status}));"
    "n=int(sys.stdin.buffer.readline());exec(compile(sys.stdin.buffer.read(n),'hostagent','exec'))"
)


def bootstrap(least: tuple[int, int]) -> str:
    """Reads a program's source from stdin: its length on a line, then the text.

    An older Python than ``least``, down to 2, says so and ends with TOO_OLD.
    """
    return _BOOTSTRAP.format(least=least, status=TOO_OLD)


def agent_source() -> bytes:
    """The text of the host agent, as it is sent."""
    return (Path(__file__).parent / "hostagent.py").read_bytes()


class Order(Struct, frozen=True, tag_field="do"):
    """Console to agent."""


class Prepare(Order, frozen=True, tag="prepare"):
    """Run the setup lines once, add ``env``, and ask ``python`` for our version and those of ``packages``.

    The files in ``remove`` are the agent's to remove at its end.
    """

    setup: tuple[str, ...]
    env: dict[str, str]
    python: str
    timeout: float
    packages: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class Start(Order, frozen=True, tag="start"):
    """Start one client; the token goes to its stdin, which stays open as long as the agent lives.

    ``{workdir}`` in ``argv`` is the workdir as it is over there (``~`` in it is the home of the user there).
    """

    name: str
    argv: tuple[str, ...]
    workdir: str
    env: dict[str, str]
    token: str
    lock: str
    log: str


class Term(Order, frozen=True, tag="term"):
    """SIGTERM now, SIGKILL after ``grace`` seconds."""

    name: str
    grace: float


class Kill(Order, frozen=True, tag="kill"):
    name: str


class Ping(Order, frozen=True, tag="ping"):
    number: int


class Credit(Order, frozen=True, tag="credit"):
    """The console took this many bytes of logs and will take as many again."""

    bytes: int


class QuitAgent(Order, frozen=True, tag="quit"):
    """End all clients (TERM, then KILL after ``grace`` seconds) and yourself."""

    grace: float


class Event(Struct, frozen=True, tag_field="is"):
    """Agent to console."""


class HelloAgent(Event, frozen=True, tag="hello"):
    pid: int
    python: str
    cwd: str
    cpus: int | None
    free_disk: int


class Prepared(Event, frozen=True, tag="prepared"):
    """``ok`` False: ``phase`` (setup or python) failed with ``text``.

    ``python`` is the version of the clients' Python ("" where it did not start), ``version`` that of our package
    in it, ``packages`` those that were asked for ("" where there is none).
    """

    ok: bool
    phase: str
    text: str
    version: str
    python: str = ""
    packages: dict[str, str] = {}


class Started(Event, frozen=True, tag="started"):
    name: str
    pid: int


class StartFailed(Event, frozen=True, tag="failed"):
    """``busy``: the workdir's lock is still held; it may be tried again."""

    name: str
    busy: bool
    text: str


class Log(Event, frozen=True, tag="log"):
    """A piece of a client's output, a character for each byte (latin-1), whatever the bytes are.

    ``dropped`` bytes before it were left out (whole in the client's log file).
    """

    name: str
    data: str
    dropped: int


class Exited(Event, frozen=True, tag="exited"):
    """``status`` as waitpid has it: negative for a signal. ``with_agent``: the agent was ending, and ended it."""

    name: str
    status: int
    with_agent: bool = False


class Load(Event, frozen=True, tag="load"):
    """By client: share of one core, resident bytes."""

    clients: dict[str, tuple[float, int]]


class PongAgent(Event, frozen=True, tag="pong"):
    number: int


class Ended(Event, frozen=True, tag="ended"):
    """The agent's last word: no client is left. ``why`` it ends is for people."""

    why: str = ""


AnyEvent = HelloAgent | Prepared | Started | StartFailed | Log | Exited | Load | PongAgent | Ended

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(order: Order) -> bytes:
    """One order as a line."""
    return _encoder.encode(order) + b"\n"


def decode(line: bytes) -> AnyEvent:
    """One line as an event; msgspec.DecodeError when it is none."""
    return _decoder.decode(line)
