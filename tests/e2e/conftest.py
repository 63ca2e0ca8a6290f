"""A project folder as a user has it, and its commands run as processes of their own."""

import contextlib
import csv
import getpass
import io
import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0
"""Seconds before a test says that what it waits for does not come."""
MARK = "DGCONSOLE_TEST"


def wait_until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Look again and again, as no event tells of it."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)


def command(name: str) -> list[str]:
    """A console script of this interpreter's environment."""
    script = Path(sys.executable).with_name(name)
    if script.exists():
        return [str(script)]
    return [sys.executable, "-c", f"import sys; from dgconsole.cli import {name}; sys.exit({name}())"]


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    status: int
    out: str
    err: str


class Running:
    """A process that goes on, its output in files."""

    def __init__(self, argv: Sequence[str], folder: Path, logs: Path, env: dict[str, str]) -> None:
        logs.mkdir(exist_ok=True)
        name = uuid.uuid4().hex[:8]
        self._out, self._err = logs / f"{name}.out", logs / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        self.pid = self.process.pid

    def running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, patience: float = PATIENCE) -> Ended:
        """Wait for its end."""
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            pytest.fail(f"does not end:\n{self.out}\n{self.err}")
        return Ended(status, self.out, self.err)

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")


class Ledger:
    """Read-only questions to a ledger that others may be writing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=10) as connection:
            rows = connection.execute(sql).fetchall()
        connection.close()
        return rows

    def completed(self) -> set[object]:
        if not self.path.exists():
            return set()
        return {chunk for (chunk,) in self.ask("SELECT chunk FROM chunks WHERE state = 3")}

    def attempts(self, chunk: int) -> list[tuple[object, ...]]:
        return self.ask(f"SELECT attempt, outcome FROM attempts WHERE chunk = {chunk} ORDER BY attempt")

    def assert_sound(self) -> None:
        """No chunk was made twice, none was two clients' at once."""
        twice = "SELECT chunk FROM attempts WHERE outcome = 'completed' GROUP BY chunk HAVING count(*) > 1"
        assert self.ask(twice) == []
        at_once = (
            "SELECT a.chunk FROM attempts a JOIN attempts b ON a.chunk = b.chunk AND a.attempt < b.attempt"
            " WHERE a.ended IS NULL OR b.started < a.ended"
        )
        assert self.ask(at_once) == []
        assert self.ask("PRAGMA integrity_check") == [("ok",)]


class Project:
    """A copy of the shipped files, and ``run`` as its run directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self.mark = uuid.uuid4().hex
        self.program = command("dgconsole")
        self._started: list[Running] = []
        folder.mkdir()
        for name in ("serverCfg.yml", "hosts.yml", "fakeGenSpec.py"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "fakePartitionerCfgs", folder / "fakePartitionerCfgs")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.run_dir / "ledger.sqlite")

    # ---- its files

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.text(name)
        assert old in text
        self.write(name, text.replace(old, new))

    def clients(self, count: int) -> None:
        self.write("hosts.yml", f"hosts: {{here: {{clients: {count}}}}}\n")

    def generator(self, body: str, head: str = "") -> None:
        """Have a generator of the user's own make the fluxes; ``body`` (one line) is run first for each batch."""
        self.edit("fakeGenSpec.py", "columns.MagnitudeGenerator(n_mags=6)", "Own()")
        own = f"{head}\nclass Own(columns.ColumnGenerator):\n    def values(self, rows):\n        {body}\n"
        self.edit("fakeGenSpec.py", "spec = {", f"{own}        return rows.uniform(6) + 20.0\n\n\nspec = {{")

    # ---- its processes

    def quicken(self, lease: float = 3.0) -> None:
        """Its consoles know sooner what is lost, and give up sooner."""
        self.program = [sys.executable, "-c", QUICK.format(lease=lease)]

    def start(self, name: str, *options: str, env: dict[str, str] | None = None) -> Running:
        """One of the commands, in the project's folder."""
        return self._start([*command(name), *options], env or {})

    def shell(self, line: str) -> Running:
        return self._start(["bash", "-c", line], {})

    def environment(self) -> dict[str, str]:
        """By which its processes are known."""
        return {**os.environ, MARK: self.mark}

    def _start(self, argv: Sequence[str], env: dict[str, str]) -> Running:
        environment = self.environment() | env
        self._started.append(Running(argv, self.folder, self.folder.parent / "said", environment))
        return self._started[-1]

    def close(self) -> None:
        """Leave no process, whatever the test came to."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for running in self._started:
            running.process.wait()

    def headless(self, chunks: str | None, *options: str) -> list[str]:
        """The console without a screen; ``chunks`` None: those of serverCfg.yml."""
        chosen = () if chunks is None else ("--chunks", chunks)
        return [*self.program, "hosts.yml", "--headless", "--run-dir", "run", *chosen, *options]

    def begin(self, chunks: str | None, *options: str, before: Sequence[str] = ()) -> Running:
        """``before``: a command that starts the command given to it, as nohup does."""
        return self._start([*before, *self.headless(chunks, *options)], {})

    def run(self, chunks: str | None, *options: str) -> Ended:
        return self.begin(chunks, *options).end()

    def processes(self) -> list[int]:
        """All live processes that a command of this project started, itself among them."""
        wanted = f"{MARK}={self.mark}".encode()
        found = []
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            try:
                if wanted in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except OSError:
                continue  # ended meanwhile, or another user's
        return found

    def pids(self, *words: str) -> list[int]:
        """The processes whose command line holds all of ``words``."""
        found = []
        for pid in self.processes():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if all(word in line for word in words):
                found.append(pid)
        return found

    def client(self, name: str) -> int:
        """The process of a client; fails where there is not one."""
        (pid,) = self.pids("dgconsole.client", f"--name {name} ")
        return pid

    def agent(self) -> int:
        """The process of the one host agent: parent of the clients."""
        (_, parent) = (
            Path(f"/proc/{self.pids('dgconsole.client')[0]}/stat").read_text().rpartition(") ")[2].split()[:2]
        )
        return int(parent)

    def server(self) -> dict[str, str]:
        """Address and token that a running console leaves for clients."""
        return dict(json.loads((self.run_dir / "server.json").read_text()))

    def holder(self, chunk: int) -> str:
        """The client that has ``chunk`` in hand."""
        sql = "SELECT name FROM attempts JOIN clients USING (client) WHERE ended IS NULL AND chunk = "
        ((name,),) = self.ledger.ask(f"{sql}{chunk}")
        return str(name)

    # ---- what came of it

    def report(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((self.run_dir / "report.csv").read_text())))

    def console_log(self) -> str:
        return (self.run_dir / "logs" / "console.log").read_text()

    def states(self) -> dict[int, str]:
        return {int(row["chunk_id"]): row["state"] for row in self.report()}

    def files(self, run: str = "") -> dict[str, bytes]:
        """All that is made, below ``chunks/`` of the run directory (or of another one), by path."""
        top = (self.folder / run if run else self.run_dir) / "chunks"
        return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.glob("*/*")) if path.is_file()}

    def assert_whole(self, chunks: Sequence[int]) -> None:
        """All of ``chunks`` are completed, in report and files, and nothing else lies about."""
        assert self.states() == dict.fromkeys(sorted(chunks), "completed")
        wanted = {f"Object/chunk_{c}{end}.txt" for c in chunks for end in ("", "_overlap")}
        assert set(self.files()) == wanted | {f"ForcedSource/chunk_{c}.txt" for c in chunks}
        self.ledger.assert_sound()


class Ends:
    """Waits for processes to be gone, told by the kernel."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._poll = select.poll()
        self._fds = []
        for pid in pids:
            try:
                self._fds.append(os.pidfd_open(pid))
            except ProcessLookupError:
                continue
        for fd in self._fds:
            self._poll.register(fd, select.POLLIN)

    def wait(self, patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        left = set(self._fds)
        try:
            while left:
                ready = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
                assert ready, f"{len(left)} processes go on"
                for fd, _ in ready:
                    self._poll.unregister(fd)
                    left.discard(fd)
        finally:
            for fd in self._fds:
                os.close(fd)


class Far:
    """Hosts over SSH of one project. Whatever runs on them carries the project's mark, by which it is found
    and ended. The login is ours, since another user may not be able to run this interpreter; each
    host has a home of its own.
    """

    def __init__(self, project: Project, ssh_hosts: Any) -> None:
        self._project = project
        self._ssh_hosts = ssh_hosts
        self.hosts: list[Any] = []
        self.lines: dict[str, dict[str, str]] = {}

    def host(self, extra: str = "", *, known: bool = True, network: Any = None, **keys: str) -> Any:
        """One more real host; ``keys`` are for hosts.yml."""
        number = len(self._ssh_hosts.made) + 2
        home = self._ssh_hosts.folder / f"h{number}" / "home"
        marks = f"SetEnv DGCONSOLE_TEST={self._project.mark} HOME={home}"
        made = self._ssh_hosts.start(f"{marks}\n{extra}", known=known, network=network)
        self.hosts.append(made)
        self.lines[made.name] = {"address": made.address, "port": str(made.port)} | keys
        return made

    def write(self, clients: int = 2) -> None:
        login = f"user: {getpass.getuser()}, python: {sys.executable}"
        defaults = f"launcher: ssh, deploy: none, clients: {clients}, {login}"
        hosts = (f"  {name}: {_flow(keys)}\n" for name, keys in self.lines.items())
        self._project.write("hosts.yml", f"defaults: {{{defaults}}}\nhosts:\n{''.join(hosts)}")


def _flow(keys: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"


QUICK = """
import functools, sys
from dgconsole import cli, session
from dgconsole.fleet.launchers import ssh, sshconfig
from dgconsole.fleet.wiring import Timing
session.SessionOptions = functools.partial(
    session.SessionOptions,
    heartbeat=0.5,
    lease={lease},
    timing=Timing(ping=0.5, lease={lease}, first_wait=0.1, grace=2.0),
)
sshconfig.KEEPALIVE = 0.5
ssh.Limits = functools.partial(ssh.Limits, connect=1.0)
sys.exit(cli.dgconsole())
"""
"""The command with times that a test can wait for: a lost link is known after 1.5 s."""


class Gates:
    """Holds up the making of chosen chunks in named pipes that the spec's generator reads."""

    def __init__(self, project: Project) -> None:
        self._folder = project.folder.parent / "gates"
        self._folder.mkdir()
        self._held: dict[int, int] = {}
        project.generator("gate(rows.chunk)", GATE.format(folder=str(self._folder)))

    def shut(self, *chunks: int) -> None:
        for chunk in chunks:
            os.mkfifo(self._folder / str(chunk))

    def reached(self, chunk: int) -> None:
        """Wait until a client stands before the gate."""

        def opens() -> bool:
            try:
                self._held[chunk] = os.open(self._folder / str(chunk), os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                return False
            return True

        wait_until(opens, f"chunk {chunk} is begun")

    def open(self, *chunks: int) -> None:
        """Let everybody through, or those with ``chunks``, from now on."""
        paths = [self._folder / str(chunk) for chunk in chunks] or list(self._folder.iterdir())
        held = [self._held.pop(chunk) for chunk in list(self._held) if not chunks or chunk in chunks]
        ends = [os.open(path, os.O_RDWR) for path in paths]
        for path in paths:
            path.unlink()
        for fd in (*ends, *held):
            os.close(fd)


GATE = """
def gate(chunk):
    try:
        with open(f"{folder}/{{chunk}}") as pipe:
            pipe.read()
    except FileNotFoundError:
        pass

"""


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until


@pytest.fixture(name="command")
def _command() -> Callable[[str], list[str]]:
    return command


@pytest.fixture
def ends() -> type[Ends]:
    """``ends(pids).wait()``: until all of them are gone."""
    return Ends


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path / "p")
    yield made
    made.close()


@pytest.fixture
def far(project: Project, ssh_hosts: Any) -> Far:
    return Far(project, ssh_hosts)


@pytest.fixture
def gates(project: Project) -> Iterator[Gates]:
    made = Gates(project)
    yield made
    made.open()


@pytest.fixture
def mount(need_root: None, need: Callable[[bool, str], None]) -> Iterator[Callable[[Path, str], None]]:
    """``mount(place, options)``: a small tmpfs; the same place again: with other options. Gone after the test."""
    places: list[Path] = []

    def make(place: Path, options: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        remount = "remount," if place in places else ""
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"{remount}{options}", "none", place])
        need(done.returncode == 0, "needs the right to mount a tmpfs")
        places.append(place)

    yield make
    for place in dict.fromkeys(places):
        subprocess.run(["umount", "--lazy", place], check=True)
