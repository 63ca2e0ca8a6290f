"""The client processes of one host: which are wanted, which run, how each ended, and which start again."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from dgconsole.fleet.clients import ClientEnd, EndKind, end_of, restarts
from dgconsole.fleet.frames import Exited, Kill, Load, Log, Order, Start, Started, StartFailed, Term
from dgconsole.fleet.hosts import wait_before
from dgconsole.fleet.logcredit import LineJoiner
from dgconsole.fleet.wiring import Wiring
from dgconsole.settings.structs import HostConfig
from dgconsole.support.lastwords import last_words

STEADY = 600.0
"""Seconds after which a client that runs, or a host that is up, has its tries back."""
LOCK_PATIENCE = 15.0
"""Seconds beyond the lease that a workdir's lock may still be held by a client of a lost connection."""
LOCK_FILE = ".lock"
LOG_FILE = "client.log"

ProcessEvent = Started | StartFailed | Exited | Load | Log
"""What an agent says of its clients."""


@dataclass(slots=True)
class Process:
    """One client process as the fleet knows it.

    ``end`` is set once it has ended and does not come back with its host by itself; ``cpu`` is percent of one
    core, ``rss`` bytes. ``words`` is the reason that it gave for its end.
    """

    name: str
    host: str
    workdir: str
    joiner: LineJoiner
    wanted: bool = True
    running: bool = False
    pid: int = 0
    tried: int = 0
    cpu: float | None = None
    rss: int | None = None
    end: ClientEnd | None = None
    words: str = ""
    waiting: asyncio.Task[None] | None = field(default=None, repr=False)
    started_at: float = 0.0
    busy_since: float | None = None

    @property
    def log(self) -> str:
        """Where all that it prints is kept, over there."""
        return os.path.join(self.workdir, LOG_FILE)  # noqa: PTH118 - a path over there

    @property
    def due(self) -> bool:
        """Whether it is to be started as soon as its host is up."""
        return self.wanted and not self.running and self.waiting is None and self.end is None

    def stop_waiting(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()
            self.waiting = None


class Processes:
    """All clients of one host, by name. Orders go out through ``send``, which loses them while no agent listens.

    Between ``launch`` and ``agent_gone`` there is an agent to start clients with.
    """

    def __init__(self, config: HostConfig, wiring: Wiring, send: Callable[[Order], None]) -> None:
        self._config = config
        self._wiring = wiring
        self._send = send
        self._with: tuple[str, str] | None = None
        self._stopping = False
        self.by_name: dict[str, Process] = {}
        for _ in range(config.clients):
            self.add()

    # ---- what is known of them

    def any_running(self) -> bool:
        return any(p.running for p in self.by_name.values())

    def any_due(self) -> bool:
        return any(p.due for p in self.by_name.values())

    def any_alive(self) -> bool:
        """Whether one runs, or will by itself."""
        return any(p.running or p.waiting is not None or p.due for p in self.by_name.values())

    # ---- what is wanted

    def add(self) -> Process:
        """One more, to be started."""
        name = f"{self._config.name}-{len(self.by_name) + 1}"
        local = self._config.launcher == "local"
        root = self._config.workdir or (str(self._wiring.work_root) if local else f"~/.dgconsole/{self._wiring.run}")
        workdir = os.path.join(root, name)  # noqa: PTH118 - a path over there
        joiner = LineJoiner(f"{self._config.name}:{os.path.join(workdir, LOG_FILE)}")  # noqa: PTH118 - a path over there
        process = self.by_name[name] = Process(name, self._config.name, workdir, joiner)
        return process

    def launch(self, python: str, server: str) -> None:
        """The host is up: start what is due, with this Python, for the coordinator at this address."""
        self._with = python, server
        for process in self.by_name.values():
            if process.due:
                self.start(process)

    def start(self, process: Process) -> None:
        """Start one; while there is no agent to do it, ``launch`` will."""
        if self._with is None:
            return
        python, server = self._with
        options = ("--server", server, "--workdir", "{workdir}", "--name", process.name)
        argv = (python, "-m", "dgconsole.client", *options, "--token-file", "-")
        process.end = None
        self._send(Start(process.name, argv, process.workdir, {}, self._wiring.token, LOCK_FILE, LOG_FILE))

    def end(self, name: str, grace: float) -> None:
        process = self.by_name[name]
        process.wanted = False
        process.stop_waiting()
        if process.running:
            self._send(Term(name, grace))

    def kill(self, name: str) -> None:
        if self.by_name[name].running:
            self._send(Kill(name))

    def want_none(self) -> None:
        for process in self.by_name.values():
            process.wanted = False
            process.stop_waiting()

    def stop(self) -> None:
        """The fleet stops: nothing is started any more."""
        self._stopping = True
        for process in self.by_name.values():
            process.stop_waiting()

    def bring_back(self) -> list[Process]:
        """Those that ended otherwise than by being done are due again, with fresh tries."""
        again = []
        for process in self.by_name.values():
            ended_badly = process.end is not None and process.end.kind is not EndKind.DONE
            if not process.running and process.waiting is None and ended_badly:
                process.tried, process.wanted, process.end = 0, True, None
                again.append(process)
        return again

    def bring_back_vanished(self) -> None:
        """Those that are wanted and were lost with their host are due again, with fresh tries."""
        for process in self.by_name.values():
            if process.wanted and process.end is not None and process.end.kind is EndKind.VANISHED:
                process.end, process.tried = None, 0

    # ---- what becomes of them

    def on_event(self, event: ProcessEvent) -> None:
        if isinstance(event, Load):
            for name, (share, rss) in event.clients.items():
                self.by_name[name].cpu, self.by_name[name].rss = 100.0 * share, rss
            return
        process = self.by_name[event.name]
        if isinstance(event, Log):
            for level, text in process.joiner.feed(event.data, event.dropped):
                self._said(process, level, text)
        elif isinstance(event, Started):
            process.running, process.pid, process.end, process.busy_since = True, event.pid, None, None
            process.words, process.started_at = "", asyncio.get_running_loop().time()
        elif isinstance(event, Exited):
            self._exited(process, event)
        elif event.busy:
            self._wait_for_lock(process, event.text)
        else:
            self._ended(process, ClientEnd(EndKind.GAVE_UP, event.text))

    def _said(self, process: Process, level: str, text: str) -> None:
        process.words = last_words(text) or process.words
        self._wiring.log(process.name, level, text)

    def _exited(self, process: Process, event: Exited) -> None:
        for level, text in process.joiner.flush():
            self._said(process, level, text)
        end = end_of(event.status, process.words, with_agent=event.with_agent)
        self._ended(process, end, at_once=event.with_agent)

    def _ended(self, process: Process, end: ClientEnd, *, at_once: bool = False) -> None:
        """Start it again if it may be: after a wait, or ``at_once`` with the next agent."""
        if process.running and asyncio.get_running_loop().time() - process.started_at > STEADY:
            process.tried = 0
        process.running, process.pid, process.cpu, process.rss = False, 0, None, None
        again = not self._stopping and process.wanted and restarts(end, process.tried)
        process.tried += again
        process.end = None if again else end
        if again and not at_once:
            wait = wait_before(process.tried, first=self._wiring.timing.first_wait)
            process.waiting = asyncio.create_task(self._start_later(process, wait))
        self._wiring.on_client_exit(process.name, self._config.name, end, again)

    def _wait_for_lock(self, process: Process, text: str) -> None:
        """A client of an earlier connection may live until its lease runs out; that costs no try."""
        now = asyncio.get_running_loop().time()
        if process.busy_since is None:
            process.busy_since = now
            self._wiring.log(process.name, "WARNING", f"{text}: waiting for it")
        patience = self._wiring.timing.lease + LOCK_PATIENCE
        if not self._stopping and process.wanted and now - process.busy_since < patience:
            wait = min(2.0, self._wiring.timing.first_wait)
            process.waiting = asyncio.create_task(self._start_later(process, wait))
        else:
            self._ended(process, ClientEnd(EndKind.GAVE_UP, text))

    async def _start_later(self, process: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        process.waiting = None
        self.start(process)

    def no_more_starts(self) -> None:
        """The agent takes no orders any more; what is due waits for the next one."""
        self._with = None

    def agent_gone(self, reason: str) -> None:
        """The agent is gone and has taken its clients along: they start again with it, within their tries."""
        self.no_more_starts()
        for process in self.by_name.values():
            process.stop_waiting()
            if process.running:
                self._ended(process, ClientEnd(EndKind.VANISHED, reason), at_once=True)

    def none_will_come(self, reason: str) -> None:
        """The host is set aside: whoever waits for its clients is told that they do not come."""
        for process in self.by_name.values():
            if process.due:
                process.end = ClientEnd(EndKind.VANISHED, reason)
                self._wiring.on_client_exit(process.name, self._config.name, process.end, False)
