"""The fleet as a session has it: started when there is work, and made known to the coordinator, client by client."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from dgconsole.coordinator.rundir import RunDir
from dgconsole.coordinator.server import Coordinator
from dgconsole.fleet.asking import Asker
from dgconsole.fleet.clients import ClientEnd, EndKind
from dgconsole.fleet.fleet import Fleet
from dgconsole.fleet.hosts import HostState
from dgconsole.fleet.processes import Process
from dgconsole.fleet.wiring import Timing
from dgconsole.session.opening import is_direct
from dgconsole.settings.structs import HostConfig
from dgconsole.snapshot import HostRow, Question, Reply
from dgconsole.support.errors import HostError
from dgconsole.support.logbook import CONSOLE, LogBook
from dgconsole.support.ranges import fold

_LOOK = 5.0
"""Seconds between two looks at clients that have not said hello."""


class Crew:
    """All hosts and clients of a session; ``changed`` is called whenever something about them is new.

    ``asks``: somebody may come who answers questions. ``leaving`` is set once the session ends: the ends of clients
    are no news then.
    """

    def __init__(
        self,
        hosts: Sequence[HostConfig],
        *,
        run_dir: RunDir,
        server_port: int | None,
        timing: Timing,
        coordinator: Coordinator,
        logbook: LogBook,
        changed: Callable[[], None],
        asks: bool = False,
    ) -> None:
        self._hosts = tuple(hosts)
        self._run_dir = run_dir
        self._server_port = server_port
        self._timing = timing
        self._coordinator = coordinator
        self._logbook = logbook
        self._changed = changed
        self._collects = {host.name: host.launcher == "ssh" for host in hosts}
        self._builds: dict[str, str] = {}
        self._fleet: Fleet | None = None
        self._asker = Asker(self._questions_changed) if asks else None
        self._told = 0
        self._direct = ""
        self._fetching: set[str] = set()
        self.leaving = False

    # ---- its life

    async def start(self) -> str:
        """Listen, and start every client; a word for people on what is open to the network, or ""."""
        if self._fleet is not None:
            return ""
        coordinator, run_dir = self._coordinator, self._run_dir
        address = await coordinator.listen(run_dir.client_address)
        run_dir.write_server(address, coordinator.token)
        warning = await self._listen_directly()
        self._fleet = Fleet(
            self._hosts,
            run_dir=run_dir.path,
            server=address,
            direct=self._direct,
            token=coordinator.token,
            log=self._logbook.write,
            on_client_exit=self._client_exited,
            on_host_change=self._host_changed,
            on_deploy=self._deployed,
            timing=self._timing,
            asker=self._asker,
        )
        coordinator.on_drop = self._drop
        self._expect_all(self._fleet.client_names())
        self._fleet.start()
        return warning

    async def _listen_directly(self) -> str:
        """Open ``server.port`` to the network once a host wants it so; what to warn of."""
        port = self._server_port
        if self._direct or port is None or not any(map(is_direct, self._hosts)):
            return ""
        await self._coordinator.listen(f"0.0.0.0:{port}")
        self._direct = f"{socket.getfqdn()}:{port}"
        return f"Port {port} is open to the network for hosts with 'connect: direct'; a token guards it."

    async def watch(self) -> None:
        """For ever: a client that was started and says nothing is ended; then it counts as one that vanished."""
        while True:
            await asyncio.sleep(min(_LOOK, self._timing.first_message))
            now, unheard = asyncio.get_running_loop().time(), self._coordinator.unheard()
            limit = self._timing.first_message
            for process in self.processes():
                if process.running and process.name in unheard and now - process.started_at > limit:
                    self._drop(process.name, f"no end of phase 'first message' within {limit:g} s")

    async def stop(self, grace: float) -> None:
        """TERM to every client, KILL after ``grace`` seconds; returns when no agent is left."""
        self.leaving = True
        if self._fleet is not None:
            await self._fleet.stop(grace)

    # ---- what is known of it

    @property
    def started(self) -> bool:
        return self._fleet is not None

    def alive(self) -> bool:
        """Whether a client that we started runs, or will by itself."""
        return self._fleet is not None and self._fleet.alive()

    def hosts(self) -> tuple[HostRow, ...]:
        return self._fleet.hosts() if self._fleet is not None else ()

    @property
    def configs(self) -> tuple[HostConfig, ...]:
        """All hosts, at work or not, as their file or a person has them."""
        return self._hosts

    @property
    def questions(self) -> tuple[Question, ...]:
        return self._asker.questions if self._asker is not None else ()

    def processes(self) -> tuple[Process, ...]:
        return self._fleet.processes() if self._fleet is not None else ()

    # ---- what people want of it

    def add_client(self, host: str) -> Reply:
        fleet = self._at_work(host)
        if isinstance(fleet, Reply):
            return fleet
        name = fleet.add_client(host)
        self._expect_all([(name, host)])
        return Reply(True, f"{name} is started.")

    async def add_hosts(self, hosts: Sequence[HostConfig]) -> Reply:
        """Take in hosts that were checked against those that are there; start them unless none has been started."""
        self._hosts += tuple(hosts)
        self._collects |= {host.name: host.launcher == "ssh" for host in hosts}
        clients = sum(host.clients for host in hosts)
        names = fold(host.name for host in hosts)
        what = (
            f"{names} {'joins' if len(hosts) == 1 else 'join'} the run with {clients:,} client{'s' * (clients > 1)}"
        )
        later = " once there is work for it"
        warning = ""
        if self._fleet is not None:
            later, warning = "", await self._listen_directly()
            self._expect_all(self._fleet.add_hosts(hosts, direct=self._direct))
        self._changed()
        return Reply(True, f"{what}{later}. hosts.yml stays as it is. {warning}".rstrip())

    async def fetch_log(self, client: str) -> Reply:
        """Bring a client's whole log from its host into the run directory."""
        fleet = self._fleet
        if fleet is None or all(process.name != client for process in fleet.processes()):
            return Reply(False, f"{client} was not started from here: its log is where it was started.")
        if client in self._fetching:
            return Reply(False, f"The log of {client} is being fetched.")
        target = self._run_dir.logs / f"{client}.whole.log"
        self._fetching.add(client)
        try:
            size = await fleet.fetch_log(client, target)
        except HostError as error:
            return Reply(False, f"The log of {client} was not fetched: {error}")
        finally:
            self._fetching.remove(client)
        shown = f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
        return Reply(True, f"The whole log of {client}, {shown}: {target}")

    def answer(self, question: int, text: str | None) -> Reply:
        if self._asker is None or not self._asker.answer(question, text):
            return Reply(False, "That is no longer asked.")
        return Reply(True)

    def drain(self, host: str) -> Reply:
        """Start nothing more there; that its clients stop is the coordinator's to say."""
        fleet = self._at_work(host)
        if isinstance(fleet, Reply):
            return fleet
        fleet.drain(host)
        return Reply(True, f"{host}: its clients stop after the chunks in hand.")

    def reconnect(self, host: str) -> Reply:
        fleet = self._at_work(host)
        if isinstance(fleet, Reply):
            return fleet
        if not fleet.reconnect(host):
            return Reply(False, f"{host} is connected, or being connected.")
        self._expect_all([(name, of) for name, of in fleet.client_names() if of == host])
        return Reply(True, f"{host} is tried again.")

    def restart_ended(self) -> int:
        """Start again the clients that gave up, were lost or refused; how many."""
        again = self._fleet.restart_ended() if self._fleet is not None else []
        self._expect_all(again)
        return len(again)

    def _at_work(self, host: str) -> Fleet | Reply:
        if self._fleet is None or host not in self._fleet.host_names():
            return Reply(False, f"No host {host} is at work.")
        return self._fleet

    # ---- what the fleet and the coordinator tell each other

    def _expect_all(self, clients: Sequence[tuple[str, str]]) -> None:
        for name, host in clients:
            self._logbook.add_client(name)
            self._coordinator.expect(name, host, collect=self._collects[host], build=self._builds.get(host, ""))

    def _client_exited(self, client: str, host: str, end: ClientEnd, again: bool) -> None:
        self._coordinator.client_exited(client, end.text)
        if end.kind is not EndKind.DONE and not self.leaving:
            self._logbook.write(CONSOLE, "WARNING", f"{client}: {end.text}" + again * ", it will be started again")
        if again:
            self._expect_all([(client, host)])
        self._changed()

    def _host_changed(self, host: str, state: HostState, reason: str) -> None:
        self._changed()
        if reason:
            self._logbook.write(host, "WARNING", f"{state.value}: {reason}")

    def _questions_changed(self) -> None:
        for question in self.questions:
            if question.number > self._told:
                self._told = question.number
                self._logbook.write(question.host, "INFO", f"asks: {question.text}")
        self._changed()

    def _deployed(self, host: str, build: str) -> None:
        """Only clients of that build are welcome from there."""
        self._builds[host] = build
        if self._fleet is not None:
            self._expect_all([(name, of) for name, of in self._fleet.client_names() if of == host])

    def _drop(self, client: str, reason: str) -> None:
        if self._fleet is not None and any(p.name == client for p in self._fleet.processes()):
            self._logbook.write(CONSOLE, "WARNING", f"{client}: {reason}; its process is ended")
            self._fleet.kill_client(client)
