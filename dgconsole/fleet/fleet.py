"""The fleet: an agent on every host, clients under each, started, watched, restarted and ended."""

import asyncio
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from msgspec.structs import replace

from dgconsole import __version__
from dgconsole.fleet.asking import Asker
from dgconsole.fleet.deploy.wheel import own_wheel
from dgconsole.fleet.hostrunner import HostRunner
from dgconsole.fleet.launchers.channel import Connect, Connection
from dgconsole.fleet.launchers.local import connect_local
from dgconsole.fleet.processes import Process
from dgconsole.fleet.wiring import Log, OnClientExit, OnDeploy, OnHostChange, Timing, Wiring
from dgconsole.settings.structs import HostConfig
from dgconsole.snapshot import HostRow


class Fleet:
    """All hosts of a run, made inside a running event loop; ``stop`` returns when all has ended.

    ``asker`` puts questions to a person; None: nobody is there.
    """

    def __init__(
        self,
        hosts: Sequence[HostConfig],
        *,
        run_dir: Path,
        server: str,
        direct: str = "",
        token: str,
        log: Log,
        on_client_exit: OnClientExit,
        on_host_change: OnHostChange,
        on_deploy: OnDeploy = lambda host, build: None,  # noqa: ARG005
        timing: Timing = Timing(),  # noqa: B008 - frozen
        asker: Asker | None = None,
    ) -> None:
        self._wiring = Wiring(
            work_root=run_dir / "work",
            run=run_dir.name,
            connect={"local": connect_local, "ssh": _ssh(asker)},
            wheel=cache(partial(own_wheel, run_dir / "deploy")),
            server=server,
            direct=direct,
            token=token,
            version=__version__,
            log=log,
            on_client_exit=on_client_exit,
            on_host_change=on_host_change,
            on_deploy=on_deploy,
            timing=timing,
        )
        self._runners = {host.name: HostRunner(host, self._wiring) for host in hosts}
        self._tasks: list[asyncio.Task[None]] = []
        self._grace = timing.grace
        self._asker = asker

    def client_names(self) -> list[tuple[str, str]]:
        """(client, host) of every client that was asked for so far."""
        return [(p.name, host) for host, runner in self._runners.items() for p in runner.processes.by_name.values()]

    def start(self) -> None:
        """Connect to every host and start its clients, all at the same time."""
        for name in self._runners:
            self._run(name)

    def _run(self, host: str) -> None:
        self._tasks.append(asyncio.create_task(self._runners[host].run(), name=f"host {host}"))

    def add_hosts(self, hosts: Sequence[HostConfig], *, direct: str = "") -> list[tuple[str, str]]:
        """Take in and start hosts of other names than those that are there; (client, host) of each client.

        ``direct`` is where any machine finds the coordinator, if that is so by now.
        """
        self._wiring = replace(self._wiring, direct=direct or self._wiring.direct)
        for host in hosts:
            self._runners[host.name] = HostRunner(host, self._wiring)
            self._run(host.name)
        new = {host.name for host in hosts}
        return [pair for pair in self.client_names() if pair[1] in new]

    async def stop(self, grace: float | None = None) -> None:
        """TERM to every client, KILL after ``grace`` seconds; returns when no agent is left."""
        if self._asker is not None:
            self._asker.close()
        for runner in self._runners.values():
            runner.stop(self._grace if grace is None else grace)
        await asyncio.gather(*self._tasks)

    def hosts(self) -> tuple[HostRow, ...]:
        return tuple(runner.row() for runner in self._runners.values())

    def processes(self) -> tuple[Process, ...]:
        """Every client process, running or not; read only."""
        return tuple(p for runner in self._runners.values() for p in runner.processes.by_name.values())

    def alive(self) -> bool:
        """Whether any client runs, is being started, or will be started again by itself."""
        return any(runner.alive() for runner in self._runners.values())

    def add_client(self, host: str) -> str:
        """One more client on ``host``; its name."""
        return self._runners[host].add_client()

    def end_client(self, client: str, grace: float | None = None) -> None:
        """TERM to one client, KILL after ``grace`` seconds; it is not started again."""
        self._runner_of(client).processes.end(client, self._grace if grace is None else grace)

    def kill_client(self, client: str) -> None:
        """KILL one client; it is started again like any that vanished."""
        self._runner_of(client).processes.kill(client)

    def restart_ended(self) -> list[tuple[str, str]]:
        """Start again, with fresh tries, the clients that gave up, were lost or refused; (client, host) of each."""
        return [pair for runner in self._runners.values() for pair in runner.restart_ended()]

    async def fetch_log(self, client: str, target: Path) -> int:
        """Copy a client's whole log from its host to ``target``; its size in bytes. HostError where that fails."""
        return await self._runner_of(client).fetch_log(client, target)

    def reconnect(self, host: str) -> bool:
        """Try ``host`` again, with fresh tries, if it is set aside or waits; whether it was."""
        return self._runners[host].reconnect()

    def drain(self, host: str) -> None:
        """Start nothing more on ``host``; its agent ends when its clients have. ``add_client`` brings it back."""
        self._runners[host].drain()

    def host_names(self) -> tuple[str, ...]:
        return tuple(self._runners)

    def _runner_of(self, client: str) -> HostRunner:
        for runner in self._runners.values():
            if client in runner.processes.by_name:
                return runner
        raise KeyError(client)


def _ssh(asker: Asker | None) -> Connect:
    """Connects over SSH; what that needs is loaded with the first host that wants it."""

    @cache
    def launcher() -> Connect:
        from dgconsole.fleet.launchers.ssh import SshLauncher

        return SshLauncher(asker=asker).connect

    async def connect(host: HostConfig) -> Connection:
        return await launcher()(host)

    return connect
