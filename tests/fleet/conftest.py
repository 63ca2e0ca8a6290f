"""A fleet over real processes: a stand-in for the client, chosen by the Python that the host is told to use."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dgconsole import __version__
from dgconsole.fleet.clients import ClientEnd
from dgconsole.fleet.deploy.versions import own_versions
from dgconsole.fleet.fleet import Fleet
from dgconsole.fleet.hosts import HostState
from dgconsole.fleet.wiring import Timing
from dgconsole.settings.structs import HostConfig

QUICK = Timing(connect=10, prepare=10, ping=0.2, lease=2, first_wait=0.05, grace=2)


class Watched:
    """A fleet and everything it has told, with a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self.ends: list[tuple[str, str, ClientEnd, bool]] = []
        self.changes: list[tuple[str, HostState, str]] = []
        self.fleet: Fleet
        self._news = asyncio.Event()

    def on_log(self, source: str, level: str, text: str) -> None:
        self.lines.append((source, level, text))
        self._news.set()

    def on_exit(self, client: str, host: str, end: ClientEnd, again: bool) -> None:
        self.ends.append((client, host, end, again))
        self._news.set()

    def on_change(self, host: str, state: HostState, reason: str) -> None:
        self.changes.append((host, state, reason))
        self._news.set()

    async def until(self, condition: Callable[[], bool], patience: float = 20) -> None:
        async with asyncio.timeout(patience):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def state(self, host: str) -> str:
        return next(row.state for row in self.fleet.hosts() if row.name == host)

    def reason(self, host: str) -> str:
        """Why it is set aside or backs off, and what mends it."""
        return next(f"{row.reason} {row.mend}" for row in self.fleet.hosts() if row.name == host)

    def said(self, client: str) -> list[str]:
        return [text for source, _, text in self.lines if source == client]


@pytest.fixture
def client_python(tmp_path: Path) -> Callable[[str], str]:
    """``client_python(program)``: a Python that runs ``program`` where it is asked to run the client."""

    def make(program: str) -> str:
        stand_in = tmp_path / "client.py"
        stand_in.write_text(program)
        wrapper = tmp_path / "python"
        wrapper.write_text(
            f'#!/bin/sh\n[ "$1 $2" = "-m dgconsole.client" ] && exec {sys.executable} -u {stand_in} "$@"\n'
            f'exec {sys.executable} "$@"\n'
        )
        wrapper.chmod(0o755)
        return str(wrapper)

    return make


@pytest.fixture
async def run_fleet(tmp_path: Path) -> AsyncIterator[Callable[..., Watched]]:
    """``run_fleet(host, ...)``: a started fleet, stopped at the end of the test."""
    made: list[Watched] = []

    def run(*hosts: HostConfig, timing: Timing = QUICK) -> Watched:
        watched = Watched()
        watched.fleet = Fleet(
            hosts,
            run_dir=tmp_path / "run",
            server="unix:/nowhere",
            token="secret-token",
            log=watched.on_log,
            on_client_exit=watched.on_exit,
            on_host_change=watched.on_change,
            timing=timing,
        )
        watched.fleet.start()
        made.append(watched)
        return watched

    yield run
    for watched in made:
        await watched.fleet.stop(1.0)


@pytest.fixture
def far_python(ssh_hosts: Any) -> Callable[[str], str]:
    """``far_python(program)``: a Python that any user of a host may run; asked for the client it runs ``program``."""

    def make(program: str) -> str:
        folder = ssh_hosts.folder / f"python-{len(list(ssh_hosts.folder.iterdir()))}"
        (folder / "dgconsole").mkdir(parents=True)
        (folder / "dgconsole" / "__init__.py").write_text(f"__version__ = {__version__!r}\n")
        (folder / "client.py").write_text(program)
        for name, version in own_versions().items():
            (folder / f"{name.replace('-', '_')}-{version}.dist-info").mkdir()
            told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (folder / f"{name.replace('-', '_')}-{version}.dist-info" / "METADATA").write_text(told)
        wrapper = folder / "python"
        wrapper.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={folder}\n"
            f'[ "$1 $2" = "-m dgconsole.client" ] && exec {ssh_hosts.python} -u {folder}/client.py "$@"\n'
            f'exec {ssh_hosts.python} "$@"\n'
        )
        wrapper.chmod(0o755)
        return str(wrapper)

    return make


@pytest.fixture
async def far_fleet(ssh_hosts: Any, run_fleet: Callable[..., Watched]) -> AsyncIterator[Callable[..., Watched]]:
    """``run_fleet`` over SSH: once it is stopped, no process of its users may be left."""
    made: list[Watched] = []

    def run(*hosts: HostConfig, timing: Timing = QUICK) -> Watched:
        made.append(run_fleet(*hosts, timing=timing))
        return made[-1]

    yield run
    for watched in made:
        await watched.fleet.stop(1.0)
    async with asyncio.timeout(10):
        while any(host.processes() for host in ssh_hosts.made):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)
