"""One host at work: keeps its agent and its clients in the states they should be in."""

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass, field

from dgconsole.fleet.agentlink import AgentLink
from dgconsole.fleet.clients import MAX_RESTARTS, ClientEnd, EndKind, end_of, restarts
from dgconsole.fleet.deploy.venv import deploy
from dgconsole.fleet.frames import (
    AnyEvent,
    Credit,
    Exited,
    Kill,
    Load,
    Log,
    Ping,
    Prepare,
    Prepared,
    QuitAgent,
    Start,
    Started,
    StartFailed,
    Term,
)
from dgconsole.fleet.hosts import HostEvent, HostState, after, wait_before
from dgconsole.fleet.launchers.channel import Connection
from dgconsole.fleet.logcredit import CREDIT, LineJoiner
from dgconsole.fleet.wiring import Wiring
from dgconsole.settings.structs import HostConfig
from dgconsole.snapshot import HostRow
from dgconsole.support.errors import HostError

CLIENT_ENVIRONMENT = {
    # One core each: more clients, not more threads, fill a host.
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Arrays of a batch are freed and asked for again: kept, not given back to the kernel, they cause no page faults.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
TRIES = {"local": MAX_RESTARTS, "ssh": 5}
"""How often a lost host is connected again by itself, by launcher."""
STEADY = 600.0
"""Seconds after which a host that is up has its tries back."""
LOCK_PATIENCE = 15.0
"""Seconds beyond the lease that a workdir's lock may still be held by a client of a lost connection."""
LOCK_FILE = ".lock"
LOG_FILE = "client.log"


@dataclass(slots=True)
class Process:
    """One client process as the fleet knows it.

    ``end`` is None while it runs or has not run; ``cpu`` is percent of one core, ``rss`` bytes.
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
    waiting: asyncio.Task[None] | None = field(default=None, repr=False)
    busy_since: float | None = None


class HostRunner:
    """Runs one host from connecting to its end; everything it is told happens on the event loop."""

    def __init__(self, config: HostConfig, wiring: Wiring) -> None:
        self._config = config
        self._wiring = wiring
        self._link: AgentLink | None = None
        self._state = HostState.QUEUED
        self._reason = ""
        self._mend = ""
        self._stopping = False
        self._grace = wiring.timing.grace
        self._wake = asyncio.Event()
        self._lost_agents = 0
        self._up_since = 0.0
        self._python = ""
        self._server = ""
        self.processes: dict[str, Process] = {}
        for _ in range(config.clients):
            self._new_process()

    # ---- what others ask

    def row(self) -> HostRow:
        config = self._config
        return HostRow(
            name=config.name,
            launcher=config.launcher,
            state=self._state.value,
            reason=self._reason,
            mend=self._mend,
        )

    def alive(self) -> bool:
        if self._state in (HostState.SET_ASIDE, HostState.ENDED):
            return False
        return any(
            p.running or p.waiting is not None or (p.wanted and p.end is None) for p in self.processes.values()
        )

    def add_client(self) -> str:
        process = self._new_process()
        self._reopen()
        self._start(process)
        return process.name

    def end_client(self, name: str, grace: float) -> None:
        process = self.processes[name]
        process.wanted = False
        self._stop_waiting(process)
        if process.running:
            self._send(Term(name, grace))

    def kill_client(self, name: str) -> None:
        if self.processes[name].running:
            self._send(Kill(name))

    def restart_ended(self) -> list[tuple[str, str]]:
        again = []
        for process in self.processes.values():
            ended_badly = process.end is not None and process.end.kind is not EndKind.DONE
            if process.running or process.waiting is not None or not ended_badly:
                continue
            process.tried, process.wanted, process.end = 0, True, None
            again.append((process.name, self._config.name))
            self._reopen()
            self._start(process)
        if self._state is HostState.SET_ASIDE:
            self._lost_agents = 0
            self._wake.set()
        return again

    def reconnect(self) -> bool:
        """Try a host again that was set aside or waits for its next try; whether it was one."""
        if self._state not in (HostState.SET_ASIDE, HostState.BACKING_OFF):
            return False
        self._lost_agents = 0
        for process in self.processes.values():
            if process.wanted and process.end is not None and process.end.kind is EndKind.VANISHED:
                process.end, process.tried = None, 0
        self._wake.set()
        return True

    def drain(self) -> None:
        if self._state is HostState.UP:
            self._move(HostEvent.DRAIN)
            for process in self.processes.values():
                process.wanted = False
                self._stop_waiting(process)
            self._leave_when_empty()

    def _reopen(self) -> None:
        """A client is wanted: a host that was drained comes back, at once or as soon as its agent has gone."""
        if self._state is HostState.DRAINING and any(p.running for p in self.processes.values()):
            self._move(HostEvent.REOPEN)
        elif self._state is HostState.DRAINED:
            self._wake.set()

    def stop(self, grace: float) -> None:
        self._stopping = True
        self._grace = grace
        for process in self.processes.values():
            self._stop_waiting(process)
        self._send(QuitAgent(grace))
        self._wake.set()

    # ---- the life of the host

    async def run(self) -> None:
        """Until the fleet stops: connect, serve, and connect again after a loss or when a drained host is wanted."""
        while not self._stopping:
            self._move(HostEvent.CONNECT)
            hopeless = False
            try:
                reason = await self._serve() or "the host agent ended"
            except HostError as error:
                reason, self._mend, hopeless = error.reason, error.mend, error.hopeless
            self._all_vanished(reason)
            await self._until_wanted(reason, hopeless)
        self._move(HostEvent.END)

    async def _until_wanted(self, reason: str, hopeless: bool) -> None:
        """The agent has gone; returns when it is to be started again, or the fleet stops."""
        if self._stopping:
            return
        if self._state is HostState.DRAINING:
            self._move(HostEvent.EMPTY)
            if not any(p.wanted and p.end is None for p in self.processes.values()):
                await self._woken(None)
            return
        if self._state is HostState.UP and asyncio.get_running_loop().time() - self._up_since > STEADY:
            self._lost_agents = 0
        self._lost_agents += 1
        if hopeless or self._lost_agents > TRIES[self._config.launcher]:
            self._move(HostEvent.HOPELESS, reason)
            self._none_will_come(reason)
            await self._woken(None)
        else:
            self._move(HostEvent.LOST, reason)
            await self._woken(wait_before(self._lost_agents, first=self._wiring.timing.first_wait))

    async def _serve(self) -> str:
        """From connecting to the end of the agent; why the connection was lost, if it was."""
        connection = await self._wiring.connect[self._config.launcher](self._config)
        try:
            self._server = await self._address(connection)
            self._python = await self._python_on(connection)
            await self._serve_with(connection)
            return connection.why_lost()
        finally:
            await connection.close()

    async def _python_on(self, connection: Connection) -> str:
        """The Python for agent and clients; where we deploy, that of a venv with the console's own version."""
        if self._local:
            return self._config.python or sys.executable
        if self._config.deploy == "none":
            return self._config.python or "python3"
        wheel = await asyncio.to_thread(self._wiring.wheel)
        patience = self._wiring.timing.prepare
        return await deploy(connection, self._config, wheel, patience=patience, log=self._wiring.log)

    async def _serve_with(self, connection: Connection) -> None:
        timing = self._wiring.timing
        link = await AgentLink.open(connection, self._python, lease=timing.lease, patience=timing.connect)
        pinging = asyncio.create_task(self._ping(link))
        self._link = link
        try:
            environment = {**CLIENT_ENVIRONMENT, **self._config.env}
            link.send(Prepare(self._config.setup, environment, self._python, timing.prepare))
            link.send(Credit(CREDIT))
            if self._stopping:
                link.send(QuitAgent(self._grace))
            async for events in link.events():
                for event in events:
                    self._on_event(event)
                consumed = sum(len(e.data.encode("utf-8", "surrogateescape")) for e in events if isinstance(e, Log))
                if consumed:
                    link.send(Credit(consumed))
        finally:
            self._link = None
            pinging.cancel()
            await link.close(self._grace + timing.grace)

    @property
    def _local(self) -> bool:
        return self._config.launcher == "local"

    async def _address(self, connection: Connection) -> str:
        """Where this host's clients find the coordinator."""
        if self._config.connect == "direct" and not self._local:
            return self._wiring.direct
        return await connection.server_address(self._wiring.server)

    async def _ping(self, link: AgentLink) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._wiring.timing.ping)
            number += 1
            link.send(Ping(number))

    async def _woken(self, patience: float | None) -> None:
        self._wake.clear()
        if not self._stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), patience)

    # ---- what the agent says

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, Log):
            process = self.processes[event.name]
            for level, text in process.joiner.feed(event.data, event.dropped):
                self._wiring.log(process.name, level, text)
        elif isinstance(event, Prepared):
            self._on_prepared(event)
        elif isinstance(event, Started):
            process = self.processes[event.name]
            process.running, process.pid, process.end, process.busy_since = True, event.pid, None, None
        elif isinstance(event, StartFailed) and event.busy:
            self._wait_for_lock(self.processes[event.name], event.text)
        elif isinstance(event, StartFailed):
            self._ended(self.processes[event.name], ClientEnd(EndKind.GAVE_UP, event.text))
        elif isinstance(event, Exited):
            self._ended(self.processes[event.name], end_of(event.status))
        elif isinstance(event, Load):
            for name, (share, rss) in event.clients.items():
                self.processes[name].cpu, self.processes[name].rss = 100.0 * share, rss

    def _on_prepared(self, event: Prepared) -> None:
        name, python = self._config.name, self._python
        if not event.ok and event.phase == "setup":
            raise HostError(f"setup failed: {event.text}", f"Mend hosts.{name}.setup; R tries again.", hopeless=True)
        if not event.ok:
            raise HostError(
                f"{python} has no dgconsole: {event.text}", f"Mend hosts.{name}.python; R tries again.", hopeless=True
            )
        if event.version != self._wiring.version:
            raise HostError(
                f"{python} has dgconsole {event.version}, this is {self._wiring.version}",
                f"Install {self._wiring.version} there; R tries again.",
                hopeless=True,
            )
        self._mend = ""
        self._up_since = asyncio.get_running_loop().time()
        self._move(HostEvent.PREPARED)
        for process in self.processes.values():
            if process.wanted and not process.running and process.waiting is None and process.end is None:
                self._start(process)

    # ---- clients

    def _new_process(self) -> Process:
        name = f"{self._config.name}-{len(self.processes) + 1}"
        root = self._config.workdir or (
            str(self._wiring.work_root) if self._local else f"~/.dgconsole/{self._wiring.run}"
        )
        workdir = os.path.join(root, name)  # noqa: PTH118 - a path over there
        joiner = LineJoiner(f"{self._config.name}:{os.path.join(workdir, LOG_FILE)}")  # noqa: PTH118 - a path over there
        process = self.processes[name] = Process(name, self._config.name, workdir, joiner)
        return process

    def _start(self, process: Process) -> None:
        """Ask for the process; while the host is not up this does nothing: the preparation starts what is wanted."""
        if self._state is not HostState.UP:
            return
        options = ("--server", self._server, "--workdir", "{workdir}", "--name", process.name)
        argv = (self._python, "-m", "dgconsole.client", *options, "--token-file", "-")
        process.end = None
        self._send(Start(process.name, argv, process.workdir, {}, self._wiring.token, LOCK_FILE, LOG_FILE))

    def _ended(self, process: Process, end: ClientEnd) -> None:
        for level, text in process.joiner.flush():
            self._wiring.log(process.name, level, text)
        process.running, process.pid, process.cpu, process.rss = False, 0, None, None
        process.end = end
        going_on = self._state is HostState.UP and not self._stopping and process.wanted
        again = going_on and restarts(end, process.tried)
        if again:
            process.tried += 1
            wait = wait_before(process.tried, first=self._wiring.timing.first_wait)
            process.waiting = asyncio.create_task(self._start_later(process, wait))
        self._wiring.on_client_exit(process.name, self._config.name, end, again)
        self._leave_when_empty()

    def _wait_for_lock(self, process: Process, text: str) -> None:
        """A client of an earlier connection may live until its lease runs out; that costs no try."""
        now = asyncio.get_running_loop().time()
        if process.busy_since is None:
            process.busy_since = now
            self._wiring.log(process.name, "WARNING", f"{text}: waiting for it")
        patience = self._wiring.timing.lease + LOCK_PATIENCE
        if self._state is HostState.UP and process.wanted and now - process.busy_since < patience:
            wait = min(2.0, self._wiring.timing.first_wait)
            process.waiting = asyncio.create_task(self._start_later(process, wait))
        else:
            self._ended(process, ClientEnd(EndKind.GAVE_UP, text))

    async def _start_later(self, process: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        process.waiting = None
        self._start(process)

    def _all_vanished(self, reason: str) -> None:
        """The agent is gone and has taken its clients along: they start again with it, within their tries."""
        for process in self.processes.values():
            self._stop_waiting(process)
            if process.running:
                process.running, process.pid = False, 0
                end = ClientEnd(EndKind.VANISHED, reason)
                again = not self._stopping and process.wanted and restarts(end, process.tried)
                process.tried += again
                process.end = None if again else end
                self._wiring.on_client_exit(process.name, self._config.name, end, again)

    def _none_will_come(self, reason: str) -> None:
        """The host is set aside: whoever waits for its clients is told that they do not come."""
        for process in self.processes.values():
            if process.wanted and process.end is None:
                process.end = ClientEnd(EndKind.VANISHED, reason)
                self._wiring.on_client_exit(process.name, self._config.name, process.end, False)

    @staticmethod
    def _stop_waiting(process: Process) -> None:
        if process.waiting is not None:
            process.waiting.cancel()
            process.waiting = None

    def _leave_when_empty(self) -> None:
        if self._state is HostState.DRAINING and not any(p.running for p in self.processes.values()):
            self._send(QuitAgent(self._grace))

    def _send(self, order: Term | Kill | QuitAgent | Start) -> None:
        if self._link is not None:
            self._link.send(order)

    def _move(self, event: HostEvent, reason: str = "") -> None:
        self._state = after(self._state, event)
        self._reason = reason
        self._wiring.on_host_change(self._config.name, self._state, reason)
