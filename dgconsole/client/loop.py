"""What a client does next: events in, orders out; no socket, no clock, no thread.

Its life goes through phases in one direction: greeting -> loading -> planning -> working -> leaving -> gone.
The worker always has the next chunk at hand: the loop asks again when it hands out the last one.
"""

from collections import deque
from collections.abc import Mapping
from enum import IntEnum

from dgconsole.client.orders import (
    Abandon,
    Arrived,
    Broke,
    Closed,
    Discard,
    Event,
    Expect,
    KeepFiles,
    KeptFiles,
    Leave,
    Made,
    Make,
    Opened,
    Order,
    Planned,
    Prepare,
    Reading,
    Say,
    Send,
    Store,
    Terminated,
    Tick,
    Unprepared,
)
from dgconsole.client.rules import GIVE_UP_AFTER, gives_up
from dgconsole.client.words import completed_line, failed_line
from dgconsole.support.errors import BugError, Fault
from dgconsole.support.lastwords import LOST_CONSOLE
from dgconsole.wire import messages as m

NO_MORE, GAVE_UP, BAD_INPUT = 0, 1, 2
"""Exit statuses of dgclient."""

PATIENCE = 30.0
"""Seconds that the coordinator has for its Welcome."""

FAREWELL = 10.0
"""Seconds to wait, when leaving, for the word that what was completed is on disk."""

SHOW_EVERY = 1.0
"""Seconds between two words on the chunk in hand."""


class Phase(IntEnum):
    """How far the client has come."""

    GREETING = 0
    """Hello is said, or about to be."""
    LOADING = 1
    """Welcome came; the bundle follows."""
    PLANNING = 2
    """The bundle is whole; the plan is being built."""
    WORKING = 3
    """Ready was said: chunks are asked for and made."""
    LEAVING = 4
    """Nothing more is made; what was reported is being settled."""
    GONE = 5
    """The connection is to be closed."""


class Loop:
    """One connection's worth of a client's life.

    Parameters
    ----------
    hello
        What to say first.
    want
        How many chunks to ask for at a time; the coordinator may give fewer.
    """

    def __init__(self, hello: m.Hello, want: int) -> None:
        self._hello = hello
        self._want = want
        self.phase = Phase.GREETING
        self.name = hello.name
        self._heartbeat = PATIENCE
        self._lease = PATIENCE
        self._files_due = 0
        self._collect = False
        self._keep = ""
        self._secrets: Mapping[str, str] = {}
        self._queue: deque[tuple[int, int]] = deque()
        self._making: tuple[int, int] | None = None
        self._transactions: dict[tuple[int, int], int] = {}
        self._asked = False
        self._last_round: tuple[int, str] | None = None
        self._unsettled: set[tuple[int, int]] = set()
        self._unkept: set[tuple[int, int]] = set()
        self._outcomes: list[Fault | None] = []
        self._complaint = ""
        self._heard = 0.0
        self._pinged = 0.0
        self._pings = 0
        self._shown = 0.0
        self._reading = Reading()
        self._farewell = 0.0
        self._leave: tuple[int, str] = (NO_MORE, "")
        self._orders: list[Order] = []

    # ---- the two calls

    def handle(self, event: Event, now: float) -> list[Order]:
        """Take one event at ``now`` (monotonic seconds); returns what to do, in order."""
        self._orders = []
        if self.phase is not Phase.GONE:
            self._dispatch(event, now)
        return self._orders

    def wait(self, now: float) -> float:
        """Seconds until the loop wants a Tick."""
        ends = [self._heard + self._lease]
        if self.phase > Phase.GREETING:
            ends.append(self._pinged + self._heartbeat)
        if self._making is not None:
            ends.append(self._shown + SHOW_EVERY)
        if self.phase is Phase.LEAVING:
            ends.append(self._farewell)
        return max(min(ends) - now, 0.0)

    def validate(self) -> None:
        """Check what must always hold; AssertionError where it does not."""
        busy = self._making is not None or bool(self._queue)
        assert self.phase is Phase.WORKING or not busy, "chunks in hand only while working"
        assert self._making is not None or not self._queue, "the worker never idles before a queue"
        assert self._making is None or self._making not in self._queue
        assert len(set(self._queue)) == len(self._queue)
        assert self._unkept <= self._unsettled, "files are kept only while their report is not settled"
        assert self._last_round is None or not self._asked, "nobody asks who will get no more"
        assert self.phase in (Phase.WORKING, Phase.LEAVING) or not self._unsettled or self.phase is Phase.GONE

    # ---- events

    def _dispatch(self, event: Event, now: float) -> None:
        if isinstance(event, Opened):
            self._heard = now
            self._send(self._hello)
        elif isinstance(event, Arrived):
            self._heard = now
            self._arrived(event.message, now)
        elif isinstance(event, Tick):
            self._tick(event.reading, now)
        elif isinstance(event, Made | Broke):
            self._ended(event, now)
        elif isinstance(event, KeptFiles):
            self._kept(event, now)
        elif isinstance(event, Planned):
            self._planned(event, now)
        elif isinstance(event, Unprepared):
            self._give_up(event.fault, event.text, now)
        elif isinstance(event, Closed):
            self._lost(event.text)
        elif isinstance(event, Terminated):
            self._stop_now(GAVE_UP, event.why, now)
        else:
            raise BugError(f"the client's loop knows no {type(event).__name__}")

    def _arrived(self, message: m.Message, now: float) -> None:
        if isinstance(message, m.Welcome):
            self._welcome(message, now)
        elif isinstance(message, m.Refused):
            self._move(Phase.GONE)
            self._drop_making()
            self._orders.append(Leave(BAD_INPUT, f"the console refused this client: {message.reason}"))
        elif isinstance(message, m.BundleFile):
            self._files_due -= message.last
            self._orders.append(Store(message))
        elif isinstance(message, m.BundleEnd):
            self._bundle_end()
        elif isinstance(message, m.Assign):
            self._assigned(message, now)
        elif isinstance(message, m.Keep):
            self._keep_files(message)
        elif isinstance(message, m.Settled):
            self._settled(message, now)
        elif isinstance(message, m.NoMore):
            self._no_more(NO_MORE, "no more chunks", now)
        elif isinstance(message, m.Stop):
            self._stop(message, now)

    def _welcome(self, message: m.Welcome, now: float) -> None:
        self._move(Phase.LOADING)
        self.name = message.name
        self._heartbeat, self._lease = message.heartbeat, message.lease
        self._files_due = message.files
        self._collect, self._keep, self._secrets = message.collect, message.keep, message.secrets
        self._pinged = now
        self._say("INFO", f"known as {message.name} on host {message.host}")

    def _bundle_end(self) -> None:
        if self._files_due:
            self._lost(f"the bundle came with {self._files_due:+d} files missing")
            return
        self._move(Phase.PLANNING)
        self._orders.append(Prepare(self._collect, self._keep, self._secrets))

    def _planned(self, event: Planned, now: float) -> None:
        if self.phase is Phase.PLANNING:  # else: stopped meanwhile
            self._move(Phase.WORKING)
            self._send(m.Ready(event.plan_digest, event.sky_digest, event.folder))
            self._go_on(now)

    def _assigned(self, message: m.Assign, now: float) -> None:
        if not message.chunks or self.phase is not Phase.WORKING:
            return  # wait for the next; or leaving: the Bye that follows gives everything back
        self._asked = False
        if self._last_round is None:
            self._queue.extend(message.chunks)
            if message.transaction:
                self._transactions.update(dict.fromkeys(message.chunks, message.transaction))
                self._orders.append(Expect(tuple(chunk for chunk, _ in message.chunks)))
            self._go_on(now)
        else:
            for chunk, attempt in message.chunks:
                self._give_back(chunk, attempt, self._last_round[1])

    def _keep_files(self, message: m.Keep) -> None:
        key = message.chunk, message.attempt
        if key in self._unkept:
            self._unkept.remove(key)
            self._orders.append(KeepFiles(*key))
        else:
            self._send(m.Kept(*key, f"chunk {key[0]}: attempt {key[1]} is not on this host"))

    def _kept(self, event: KeptFiles, now: float) -> None:
        key = event.chunk, event.attempt
        self._send(m.Kept(*key, event.error, event.fault))
        if not event.error:
            self._outcomes = [None]
            return
        self._say("ERROR", failed_line(*key, event.fault, "deliver", event.error))
        self._outcomes.append(event.fault)
        self._complaint = event.error
        if self._making is None and gives_up(self._outcomes):
            self._give_up_by_rule(now)

    def _settled(self, message: m.Settled, now: float) -> None:
        key = message.chunk, message.attempt
        self._unsettled.discard(key)
        if key in self._unkept:
            self._unkept.remove(key)
            self._orders.append(Discard(*key))
        if not message.accepted:
            text = f"chunk {message.chunk} attempt {message.attempt}: the console did not take the report"
            self._say("WARNING", text)
        self._maybe_bye(now)

    def _stop(self, message: m.Stop, now: float) -> None:
        if message.now:
            self._stop_now(NO_MORE, "stopped by the console", now)
            return
        for chunk, attempt in self._queue:
            self._give_back(chunk, attempt, "stopped by the console")
        self._queue.clear()
        self._no_more(NO_MORE, "stopped by the console", now)

    def _ended(self, event: Made | Broke, now: float) -> None:
        if self._making != (event.chunk, event.attempt):
            return  # it was abandoned
        self._making = None
        self._unsettled.add((event.chunk, event.attempt))
        transaction = self._transactions.pop((event.chunk, event.attempt), 0)
        if isinstance(event, Made):
            if self._keep:
                self._unkept.add((event.chunk, event.attempt))
            else:
                self._outcomes = [None]
            self._send(m.Completed(event.chunk, event.attempt, event.figures))
            self._say("INFO", completed_line(event.chunk, event.figures))
        else:
            self._outcomes.append(event.fault)
            if event.fault.of_client:
                self._complaint = event.text
            self._send(m.Failed(event.chunk, event.attempt, event.fault, event.stage, event.text, event.details))
            self._say("ERROR", failed_line(event.chunk, event.attempt, event.fault, event.stage, event.text))
            self._undone(transaction)
        if gives_up(self._outcomes):
            self._give_up_by_rule(now)
        else:
            self._go_on(now)

    def _undone(self, transaction: int) -> None:
        """A chunk that was to be loaded in it failed: nothing more can be."""
        for key in [key for key in self._queue if transaction and self._transactions.get(key) == transaction]:
            self._queue.remove(key)
            del self._transactions[key]
            self._give_back(*key, "another chunk of its transaction failed")

    def _tick(self, reading: Reading, now: float) -> None:
        if now >= self._heard + self._lease:
            self._lost(f"no word from the console for {now - self._heard:.0f} s")
            return
        if self.phase > Phase.GREETING and now >= self._pinged + self._heartbeat:
            self._pinged = now
            self._pings += 1
            self._send(m.Ping(self._pings, reading.batches))
        self._show(reading, now)
        self._maybe_bye(now)

    def _show(self, reading: Reading, now: float) -> None:
        if self._making is None or now < self._shown + SHOW_EVERY:
            return
        self._shown = now
        if self._making == (reading.chunk, reading.attempt) and reading != self._reading:
            self._reading = reading
            r = reading
            self._send(m.Progress(r.chunk, r.attempt, r.stage, r.fraction, r.rows, r.bytes))

    # ---- decisions

    def _go_on(self, now: float) -> None:
        """Keep the worker busy, ask when the hand is empty, or leave when nothing is left to do."""
        if self._making is None and self._queue:
            self._making = self._queue.popleft()
            self._shown = now
            self._orders.append(Make(*self._making, self._transactions.get(self._making, 0)))
        if self._last_round is None:
            if not self._queue and not self._asked:
                self._asked = True
                self._send(m.Ask(self._want))
        elif self._making is None:
            self._start_leaving(*self._last_round, self._patience, now)

    def _no_more(self, status: int, why: str, now: float) -> None:
        if self.phase is Phase.LEAVING:
            return
        self._last_round = (status, why)
        self._asked = False
        if self.phase is Phase.WORKING:
            self._go_on(now)
        else:
            self._start_leaving(status, why, 0.0, now)

    def _stop_now(self, status: int, why: str, now: float) -> None:
        """Give back what is in hand, and go without waiting for the worker."""
        making, reading = self._making, self._reading
        self._drop_making()
        if self.phase is Phase.WORKING:
            if making is not None:
                known = making == (reading.chunk, reading.attempt)
                self._give_back(*making, why, stage=reading.stage if known and reading.stage else "generate")
            for chunk, attempt in self._queue:
                self._give_back(chunk, attempt, why)
        self._queue.clear()
        self._start_leaving(status, why, 0.0, now)

    def _give_up_by_rule(self, now: float) -> None:
        fault = next(fault for fault in reversed(self._outcomes) if fault is not None and fault.of_client)
        self._give_up(fault, f"{GIVE_UP_AFTER} faults of its own in a row; the last: {self._complaint}", now)

    def _give_up(self, fault: Fault, text: str, now: float) -> None:
        if self.phase is Phase.LEAVING:
            return
        self._queue.clear()
        self._send(m.GiveUp(fault, text))
        self._start_leaving(GAVE_UP, f"gave up: {text}", self._patience, now)

    def _lost(self, text: str) -> None:
        self._drop_making()
        self._queue.clear()
        leaving = self.phase is Phase.LEAVING and not self._unsettled
        self._move(Phase.GONE)
        if leaving:
            self._orders.append(Leave(*self._leave))
        else:
            self._orders.append(Leave(GAVE_UP, f"{LOST_CONSOLE}: {text}", again=True))

    @property
    def _patience(self) -> float:
        """Files that were sent may still be on a slow way, the reports behind them; to keep them may take a while."""
        return max(FAREWELL, self._lease) if self._collect or self._keep else FAREWELL

    def _start_leaving(self, status: int, why: str, patience: float, now: float) -> None:
        """Wait up to ``patience`` for the reports to be settled; a shorter wait wins over a longer one."""
        self._asked = False
        if self.phase is Phase.LEAVING:
            self._farewell = min(self._farewell, now + patience)
        elif self.phase is Phase.GREETING:
            self._move(Phase.GONE)
            self._orders.append(Leave(status, why))
            return
        else:
            self._move(Phase.LEAVING)
            self._leave = (status, why)
            self._farewell = now + patience
        self._maybe_bye(now)

    def _maybe_bye(self, now: float) -> None:
        if self.phase is Phase.LEAVING and (not self._unsettled or now >= self._farewell):
            self._send(m.Bye())
            self._move(Phase.GONE)
            self._orders.append(Leave(*self._leave))

    def _give_back(self, chunk: int, attempt: int, why: str, *, stage: str = "") -> None:
        self._send(m.Failed(chunk, attempt, Fault.STOPPED, stage, why))

    def _drop_making(self) -> None:
        if self._making is not None:
            self._orders.append(Abandon(*self._making))
            self._making = None

    # ---- small

    def _move(self, phase: Phase) -> None:
        if phase <= self.phase:
            raise BugError(f"a client that is {self.phase.name.lower()} cannot be {phase.name.lower()} next")
        self.phase = phase

    def _send(self, message: m.Message) -> None:
        self._orders.append(Send(message))

    def _say(self, level: str, text: str) -> None:
        self._orders.append(Say(level, text))
