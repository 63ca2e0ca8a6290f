"""One client as the core knows it."""

import math
from dataclasses import dataclass, field, fields
from operator import attrgetter

from msgspec import Struct, structs

from dgconsole.snapshot import ClientState

_METER_SECONDS = 10.0
SILENT_BEATS = 2.0
"""Without a word for so many heartbeats a client is shown as silent."""

OVER = frozenset({ClientState.GAVE_UP, ClientState.LOST, ClientState.REFUSED, ClientState.STOPPED, ClientState.DONE})
"""States in which a client takes no part any more."""


class Hold(Struct, frozen=True):
    """One chunk in a client's hand. ``since``: when its turn came (clock seconds); they are made in order."""

    index: int
    attempt: int
    transaction: int
    since: float


class Meter:
    """A rate that follows the last ten seconds or so, fair from its first moment on."""

    def __init__(self) -> None:
        self._start = math.nan
        self._at = 0.0
        self._rows = 0.0
        self._bytes = 0.0

    def add(self, now: float, rows: int, size: int) -> None:
        if math.isnan(self._start):
            self._start = self._at = now
        fade = math.exp((self._at - now) / _METER_SECONDS)
        self._rows = self._rows * fade + rows
        self._bytes = self._bytes * fade + size
        self._at = now

    def rates(self, now: float) -> tuple[float, float]:
        """Rows and bytes per second."""
        age = now - self._start
        if math.isnan(age) or age <= 0.0:
            return 0.0, 0.0
        fade = math.exp((self._at - now) / _METER_SECONDS)
        seconds = _METER_SECONDS * -math.expm1(-age / _METER_SECONDS)
        return self._rows * fade / seconds, self._bytes * fade / seconds


@dataclass(slots=True)
class Client:
    """A client of this session; ``index`` is its number in the ledger.

    ``state`` is STARTING until its plan is found good, then IDLE (WORKING, SILENT and DRAINING are seen from
    the other fields), or one of OVER. ``draining``: told to stop; ``dismissed``: told that nothing is left.
    ``peer`` is its connection, 0 while there is none. ``wanted`` chunks were asked for and not yet handed out.
    ``hand`` is by chunk id, in the order of handing out. ``current`` is the transaction that its next
    chunks belong to (0 none). ``folder``: where its files stay on its host; empty: they do not.
    """

    name: str
    host: str
    index: int
    state: ClientState = ClientState.STARTING
    peer: int = 0
    pid: int = 0
    draining: bool = False
    dismissed: bool = False
    wanted: int = 0
    hand: dict[int, Hold] = field(default_factory=dict)
    current: int = 0
    heard: float = 0.0
    progress: int = -1
    progress_at: float = 0.0
    chunk: int = -1
    stage: str = ""
    fraction: float = 0.0
    rows: int = 0
    bytes: int = 0
    exited: str = ""
    exited_at: float = 0.0
    reason: str = ""
    folder: str = ""
    meter: Meter = field(default_factory=Meter)

    def copy(self) -> "Client":
        made = Client(*_ALL_OF(self))
        made.hand = dict(self.hand)
        return made

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def takes_part(self) -> bool:
        """Whether it is, or will be, there to take chunks."""
        return not (self.over or self.draining or self.dismissed)

    @property
    def ready(self) -> bool:
        """Whether it can be handed chunks now."""
        return self.state is ClientState.IDLE and self.takes_part

    @property
    def in_work(self) -> int:
        """The chunk that it works on; -1 when its hand is empty. Before any progress: the first that it got."""
        if self.chunk in self.hand:
            return self.chunk
        return next(iter(self.hand), -1)

    def begin_next(self, now: float) -> None:
        """The first chunk has left the hand: the turn of the one after it begins now."""
        for chunk, hold in self.hand.items():
            self.hand[chunk] = structs.replace(hold, since=max(hold.since, now))
            return

    def written(self, now: float, rows: int, size: int) -> None:
        """Note that the chunk in work has come to so many rows and bytes."""
        self.meter.add(now, max(0, rows - self.rows), max(0, size - self.bytes))
        self.rows, self.bytes = rows, size

    def shown(self, now: float, heartbeat: float) -> ClientState:
        """The state for people."""
        if self.over or self.state is ClientState.STARTING:
            return self.state
        if now - self.heard > SILENT_BEATS * heartbeat:
            return ClientState.SILENT
        if self.draining:
            return ClientState.DRAINING
        return ClientState.WORKING if self.hand else ClientState.IDLE


_ALL_OF = attrgetter(*(each.name for each in fields(Client)))
"""All values of a client, in order: it is copied for every batch in which it says something."""
