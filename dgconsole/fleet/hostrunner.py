"""The life of one host: connected, prepared, served, connected again after a loss; its clients are ``Processes``."""

import asyncio
import contextlib
import sys
from pathlib import Path

from dgconsole.fleet.agentlink import AgentLink
from dgconsole.fleet.clients import MAX_RESTARTS
from dgconsole.fleet.deploy.venv import deploy
from dgconsole.fleet.deploy.versions import CLIENTS_NEED
from dgconsole.fleet.frames import (
    AnyEvent,
    Credit,
    Ended,
    Exited,
    HelloAgent,
    Log,
    Order,
    Ping,
    PongAgent,
    Prepare,
    Prepared,
    QuitAgent,
)
from dgconsole.fleet.hosts import HostEvent, HostState, after, jittered, wait_before
from dgconsole.fleet.launchers.channel import Connection
from dgconsole.fleet.logcredit import CREDIT
from dgconsole.fleet.prepared import other_versions, refusal
from dgconsole.fleet.processes import STEADY, Processes
from dgconsole.fleet.wholelog import fetch
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


class HostRunner:
    """Runs one host from connecting to its end; everything it is told happens on the event loop."""

    def __init__(self, config: HostConfig, wiring: Wiring) -> None:
        self._config = config
        self._wiring = wiring
        self._link: AgentLink | None = None
        self._connection: Connection | None = None
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
        self._last_word = ""
        self.processes = Processes(config, wiring, self._send)

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

    async def fetch_log(self, client: str, target: Path) -> int:
        """Copy a client's whole log here, as ``wholelog.fetch``; HostError also while there is no way to the host."""
        if self._connection is None:
            raise HostError(f"{self._config.name} is {self._state.value}: logs can be had from it while it is up")
        return await fetch(self._connection, self.processes.by_name[client].log, target)

    def alive(self) -> bool:
        return self._state not in (HostState.SET_ASIDE, HostState.ENDED) and self.processes.any_alive()

    def add_client(self) -> str:
        process = self.processes.add()
        self._reopen()
        self.processes.start(process)
        return process.name

    def restart_ended(self) -> list[tuple[str, str]]:
        again = self.processes.bring_back()
        for process in again:
            self._reopen()
            self.processes.start(process)
        if self._state is HostState.SET_ASIDE:
            self._lost_agents = 0
            self._wake.set()
        return [(process.name, self._config.name) for process in again]

    def reconnect(self) -> bool:
        """Try a host again that was set aside or waits for its next try; whether it was one."""
        if self._state not in (HostState.SET_ASIDE, HostState.BACKING_OFF):
            return False
        self._lost_agents = 0
        self.processes.bring_back_vanished()
        self._wake.set()
        return True

    def drain(self) -> None:
        if self._state is HostState.UP:
            self._move(HostEvent.DRAIN)
            self.processes.want_none()
            self._leave_when_empty()

    def _reopen(self) -> None:
        """A client is wanted: a host that was drained comes back, at once or as soon as its agent has gone."""
        if self._state is HostState.DRAINING and self.processes.any_running():
            self._move(HostEvent.REOPEN)
        elif self._state is HostState.DRAINED:
            self._wake.set()

    def stop(self, grace: float) -> None:
        self._stopping = True
        self._grace = grace
        self.processes.stop()
        self._send(QuitAgent(grace))
        self._wake.set()

    # ---- the life of the host

    async def run(self) -> None:
        """Until the fleet stops: connect, serve, and connect again after a loss or when a drained host is wanted."""
        while not self._stopping:
            self._move(HostEvent.CONNECT)
            hopeless = False
            try:
                reason = await self._serve() or self._end_of_agent()
            except HostError as error:
                reason, self._mend, hopeless = error.reason, error.mend, error.hopeless
            self.processes.agent_gone(reason)
            await self._until_wanted(reason, hopeless)
        self._move(HostEvent.END)

    async def _until_wanted(self, reason: str, hopeless: bool) -> None:
        """The agent has gone; returns when it is to be started again, or the fleet stops."""
        if self._stopping:
            return
        if self._state is HostState.DRAINING:
            self._move(HostEvent.EMPTY)
            if not self.processes.any_due():
                await self._woken(None)
            return
        if self._state is HostState.UP and asyncio.get_running_loop().time() - self._up_since > STEADY:
            self._lost_agents = 0
        self._lost_agents += 1
        if hopeless or self._lost_agents > TRIES[self._config.launcher]:
            self._move(HostEvent.HOPELESS, reason)
            self.processes.none_will_come(reason)
            await self._woken(None)
        else:
            self._move(HostEvent.LOST, reason)
            await self._woken(jittered(wait_before(self._lost_agents, first=self._wiring.timing.first_wait)))

    async def _serve(self) -> str:
        """From connecting to the end of the agent; why the connection was lost, if it was."""
        self._last_word = ""
        connection = await self._wiring.connect[self._config.launcher](self._config)
        self._connection = connection
        try:
            self._python = await self._python_on(connection)
            self._server = await self._address(connection)
            await self._serve_with(connection)
            return connection.why_lost()
        finally:
            self._connection = None
            await connection.close()

    def _end_of_agent(self) -> str:
        return "the host agent ended" + (f": {self._last_word}" if self._last_word else "")

    async def _python_on(self, connection: Connection) -> str:
        """The Python for agent and clients; where we deploy, that of a venv with the console's own version."""
        if self._local:
            return self._config.python or sys.executable
        if self._config.deploy == "none":
            return self._config.python or "python3"
        wheel = await asyncio.to_thread(self._wiring.wheel)
        patience = self._wiring.timing.prepare
        python = await deploy(connection, self._config, wheel, patience=patience, log=self._wiring.log)
        self._wiring.on_deploy(self._config.name, wheel.sha256)
        return python

    async def _serve_with(self, connection: Connection) -> None:
        timing = self._wiring.timing
        link = await AgentLink.open(connection, self._python, lease=timing.lease, patience=timing.connect)
        pinging = asyncio.create_task(self._ping(link))
        self._link = link
        try:
            link.send(self._preparation())
            link.send(Credit(CREDIT))
            if self._stopping:
                link.send(QuitAgent(self._grace))
            async for events in link.events():
                for event in events:
                    self._on_event(event)
                consumed = sum(len(e.data) for e in events if isinstance(e, Log))
                if consumed:
                    link.send(Credit(consumed))
            if not self._last_word:
                with contextlib.suppress(TimeoutError):
                    self._last_word = await asyncio.wait_for(link.noise(), timing.grace)
        finally:
            self._link = None
            pinging.cancel()
            await link.close(self._grace + timing.grace)

    def _preparation(self) -> Prepare:
        config = self._config
        socket = self._server.removeprefix("unix:") if not self._local else self._server
        return Prepare(
            config.setup,
            {**CLIENT_ENVIRONMENT, **config.env},
            self._python,
            self._wiring.timing.prepare,
            packages=CLIENTS_NEED if self._python != sys.executable else (),
            remove=(socket,) if socket != self._server else (),
        )

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
        if isinstance(event, Prepared):
            self._on_prepared(event)
        elif isinstance(event, Ended):
            self._last_word = event.why
        elif not isinstance(event, HelloAgent | PongAgent):
            self.processes.on_event(event)
            if isinstance(event, Exited):
                self._leave_when_empty()

    def _on_prepared(self, event: Prepared) -> None:
        if error := refusal(event, self._config.name, self._python, self._wiring.version):
            raise error
        if warning := other_versions(event.packages):
            self._wiring.log(self._config.name, "WARNING", warning)
        self._mend = ""
        self._up_since = asyncio.get_running_loop().time()
        self._move(HostEvent.PREPARED)
        self.processes.launch(self._python, self._server)

    def _leave_when_empty(self) -> None:
        if self._state is HostState.DRAINING and not self.processes.any_running():
            self.processes.no_more_starts()
            self._send(QuitAgent(self._grace))

    def _send(self, order: Order) -> None:
        if self._link is not None:
            self._link.send(order)

    def _move(self, event: HostEvent, reason: str = "") -> None:
        self._state = after(self._state, event)
        self._reason = reason
        self._wiring.on_host_change(self._config.name, self._state, reason)
