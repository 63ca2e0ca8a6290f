"""The console's map open on a run of a thousand clients: how quick are keys, coordinator and terminal then?

    python benchmarks/console_under_load.py [--quick] [--clients 1000] [--stripes 887] [--rate 5000] [--seconds 20]

Four processes: this one, which is the terminal (a pty of 200x60) and measures; the session with its console, as
`dgconsole` has them; the clients, who speak the wire over a UNIX socket, complete what they are handed at the
given rate, and log as many lines through a host agent's frames; and for comparison the same session without a
screen. Only the destination is a stand-in: it takes every chunk at once. Printed, not asserted.

Two loads: the given rate, for delays, memory and bytes; and as fast as clients can, for the throughput with the
screen against that without, in turns, as CPU of the session per completion and as completions per second. On a
machine that does other things as well both ratios wander by a tenth; what the screen's calls take of the loop's
thread, which is added up beside them, does not.
"""

import argparse
import asyncio
import fcntl
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 200, 60
HOSTS = 50
SECONDS = {"generate": 0.8, "partition": 0.3, "deliver": 0.05}
PATIENCE = 120.0


# ---- the session, with or without its console


class Nowhere:
    """A destination that takes everything at once."""

    def prepare(self, tables: Sequence[str]) -> None: ...

    def accept(self, _: Sequence[object]) -> Mapping[Any, Any]:
        return {}

    def sweep(self) -> None: ...

    def finish(self, **_: bool) -> Sequence[str]:
        return ()

    def close(self) -> None: ...


class Probe:
    """Answers the terminal's questions about the process that it is in: lag of the loop, CPU, memory, counts."""

    def __init__(self, address: str) -> None:
        self._connection: Connection = Client(address)
        self.lags: list[float] = []
        self.session: Any = None
        self.resting = False
        self.own = 0.0
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._asked)

    async def watch(self) -> None:
        """Note how late a task wakes that wants to sleep 5 ms."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            if self.resting:
                await asyncio.sleep(1.0)
                continue
            self.lags.append(time.perf_counter() - before - 0.005)

    def account(self, owner: type, name: str) -> None:
        """Add up the CPU that a coroutine function or method of the screen takes of the loop's thread."""
        call = getattr(owner, name)
        coroutine = asyncio.iscoroutinefunction(call)

        async def awaited(*values: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return await call(*values, **named)
            finally:
                self.own += time.thread_time() - began

        def called(*values: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return call(*values, **named)
            finally:
                self.own += time.thread_time() - began

        setattr(owner, name, awaited if coroutine else called)

    def tell(self, **facts: object) -> None:
        self._connection.send(facts)

    def _asked(self) -> None:
        try:
            self.resting = self._connection.recv() == "rest"
        except EOFError:
            os._exit(1)
        lags, self.lags = self.lags, []
        session = self.session
        completed = session._course.coordinator.counts().completed if session is not None else 0
        joined = len(session._course.coordinator.clients()) if session is not None else 0
        self.tell(
            at=time.perf_counter(),
            lags=lags,
            cpu=time.process_time(),
            own=self.own,
            memory=_memory(),
            completed=completed,
            joined=joined,
            lines=session._course.logbook.end if session is not None else 0,
        )


def _memory() -> float:
    """Resident megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def play_session(folder: Path, *, screen: bool, apart: bool) -> None:
    """A run with its coordinator and, with ``screen``, its console, until killed."""
    from dgconsole import cli
    from dgconsole.fleet.frames import decode
    from dgconsole.fleet.logcredit import LineJoiner
    from dgconsole.session import run as session_run
    from dgconsole.support.lastwords import last_words

    session_run.destination_of = lambda *_: Nowhere()  # type: ignore[assignment]
    probe = Probe(str(folder / "probe.sock"))
    opening = time.perf_counter()

    async def opened() -> Any:
        given = cli._parser().parse_args(["hosts.yml", "--run-dir", str(folder / "run")])
        session = await cli._open((), folder / "serverCfg.yml", given, headless=not screen, say=print)
        await asyncio.start_unix_server(heard, folder / "logs.sock", limit=1 << 24)
        plan = session._course.prepared.plan
        probe.session = session
        probe.tell(
            seconds=time.perf_counter() - opening,
            address=str(folder / "run" / "clients.sock"),
            token=session._course.coordinator.token,
            server=json.loads((folder / "run" / "server.json").read_text()),
            digests=(plan.digest, plan.sky_digest),
            tables=[table.name for table in plan.tables if table.delivered],
        )
        watching.append(asyncio.create_task(probe.watch()))
        return session

    async def heard(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        """Log events of a host agent, taken as the fleet takes them."""
        book, joiners = probe.session._course.logbook, {}
        while line := await reader.readline():
            event: Any = decode(line)
            if event.name not in joiners:
                book.add_client(event.name)
                joiners[event.name] = LineJoiner("elsewhere")
            for level, text in joiners[event.name].feed(event.data, event.dropped):
                last_words(text)
                book.write(event.name, level, text)

    watching: list[asyncio.Task[None]] = []
    if screen and not apart:
        from textual.screen import Screen

        from dgconsole.console.app import ConsoleApp

        probe.account(ConsoleApp, "tick")
        probe.account(Screen, "_compositor_refresh")
        sys.exit(repr(await ConsoleApp(opened, "bench").run_async()))
    else:
        await opened()
        await asyncio.Event().wait()


async def play_screen(folder: Path) -> None:
    """The console alone, attached to the session."""
    from dgconsole import __version__
    from dgconsole.attach.attached import AttachedSession
    from dgconsole.console.app import ConsoleApp

    probe = Probe(str(folder / "probe2.sock"))
    watching: list[asyncio.Task[None]] = []

    async def opened() -> Any:
        async def never() -> Any:
            raise AssertionError

        session = await AttachedSession.open(folder / "run", version=__version__, afterwards=never)
        watching.append(asyncio.create_task(probe.watch()))
        probe.tell()
        return session

    await ConsoleApp(opened, "bench").run_async()


# ---- the clients


class Crowd:
    """All clients: completes what they hold at ``rate`` a second, 0 for at once; logs ``rate`` lines a second."""

    def __init__(self, facts: dict[str, Any]) -> None:
        from dgconsole.wire import messages as m

        self.facts = facts
        tables = tuple(m.TableFigures(name, 820, 330, 200_000, SECONDS) for name in facts["tables"])
        self.figures = m.Figures(tables, SECONDS)
        self.ready = m.Ready(*facts["digests"])
        self.rate = 0.0
        self.lines = 0.0
        self.due: deque[tuple[Any, tuple[int, int]]] = deque()
        self.members: list[Any] = []

    async def play(self, count: int) -> None:
        from dgconsole import __version__
        from dgconsole.wire import messages as m
        from dgconsole.wire.framing import FrameReader, encode
        from dgconsole.wire.messages import Role

        crowd = self

        class Member(asyncio.Protocol):
            def __init__(self, number: int) -> None:
                host = number % HOSTS
                name = f"node{host:02}-{number // HOSTS + 1}"
                token = crowd.facts["token"]
                self.hello = m.Hello(token, m.PROTOCOL, __version__, name, f"node{host:02}", number + 1)
                self.name = name
                self.frames = FrameReader(Role.CLIENT)
                self.open = 0
                self.pings = -1

            def connection_made(self, transport: Any) -> None:
                self.transport = transport
                transport.write(encode(self.hello))

            def data_received(self, data: bytes) -> None:
                for message in self.frames.feed(data):
                    if isinstance(message, m.BundleEnd):
                        self.transport.write(encode(crowd.ready) + encode(m.Ask(5)))
                        self.pings = 0
                    elif isinstance(message, m.Assign):
                        self.open = len(message.chunks)
                        crowd.due.extend((self, pair) for pair in message.chunks)
                    elif isinstance(message, m.Settled):
                        self.open -= 1
                        if not self.open:
                            self.transport.write(encode(m.Ask(5)))

            def complete(self, pairs: list[tuple[int, int]]) -> None:
                self.transport.write(b"".join(encode(m.Completed(*pair, crowd.figures)) for pair in pairs))

            def ping(self) -> None:
                if self.pings < 0:  # it has not come in yet
                    return
                self.pings += 1
                self.transport.write(encode(m.Ping(self.pings, self.pings)))

            def connection_lost(self, why: object) -> None:
                print(f"{self.name} has lost its connection: {why}", file=sys.stderr, flush=True)
                os._exit(0)

        loop = asyncio.get_running_loop()
        for number in range(count):
            _, member = await loop.create_unix_connection(lambda n=number: Member(n), self.facts["address"])  # type: ignore[misc]
            self.members.append(member)
        loop.add_reader(sys.stdin.fileno(), self._ordered)
        _, agent = await asyncio.open_unix_connection(self.facts["logs"])
        await asyncio.gather(self._work(), self._ping(), self._log(agent))

    def _ordered(self) -> None:
        order = os.read(sys.stdin.fileno(), 4096)
        if not order:
            os._exit(0)
        self.rate, self.lines = json.loads(order.splitlines()[-1])

    async def _work(self) -> None:
        credit, last = 0.0, time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            if self.rate < 0:
                credit = 0.0
            else:
                credit = min(credit + (now - last) * (self.rate or 1e9), self.rate or 1e9)
            last = now
            by_member: dict[Any, list[tuple[int, int]]] = {}
            while self.due and credit >= 1:
                member, pair = self.due.popleft()
                by_member.setdefault(member, []).append(pair)
                credit -= 1
            for member, pairs in by_member.items():
                member.complete(pairs)

    async def _ping(self) -> None:
        """Every client every five seconds, as real ones do."""
        turn = 0
        while True:
            await asyncio.sleep(0.025)
            for member in self.members[turn % 200 :: 200]:
                member.ping()
            turn += 1

    async def _log(self, agent: asyncio.StreamWriter) -> None:
        """As agents send it: what a client said, whole lines mostly."""
        credit, last, turn = 0.0, time.perf_counter(), 0
        while True:
            await asyncio.sleep(0.02)
            now = time.perf_counter()
            credit += (now - last) * self.lines
            last = now
            while credit >= 2:
                name = self.members[turn % len(self.members)].name
                text = "".join(
                    f"INFO chunk {turn * 7 % 999983}: Object {820 + turn % 9} rows, generate 0.55 s, deliver 0.09 s\n"
                    for _ in range(2)
                )
                agent.write(json.dumps({"is": "log", "name": name, "data": text, "dropped": 0}).encode() + b"\n")
                credit -= 2
                turn += 1
            await agent.drain()


# ---- the terminal, which measures


class Terminal:
    """A process on a pty; all that it writes is counted, and read for what is looked for."""

    def __init__(self, argv: list[str], cwd: Path | None = None) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment, cwd=cwd
        )
        os.close(slave)
        self.bytes = 0
        self.tail = b""
        self._seen = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 1 << 16):
                with self._seen:
                    self.bytes += len(data)
                    self.tail = self.tail[-(1 << 18) :] + data
                    self._seen.notify_all()
        except OSError:
            pass

    def press(self, keys: bytes) -> None:
        with self._seen:
            self.tail = b""
        os.write(self._master, keys)

    def until(self, pattern: bytes, patience: float = PATIENCE) -> float:
        """When something was shown that matches."""
        deadline = time.perf_counter() + patience
        with self._seen:
            while not re.search(pattern, self.tail, re.DOTALL):
                if not self._seen.wait(max(deadline - time.perf_counter(), 0)):
                    raise TimeoutError(f"{pattern!r} is not shown: {self.tail[-2000:]!r}")
            return time.perf_counter()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


_CHUNK = rb"chunk (\d+)\b"


class Bench:
    """One session with its clients."""

    def __init__(self, folder: Path, given: argparse.Namespace, *, screen: bool) -> None:
        self.folder = folder
        self._pipe = Listener(str(folder / "probe.sock"))
        me = [sys.executable, str(Path(__file__).resolve()), "--folder", str(folder)]
        argv = [*me, "--role", "session", *(["--screen"] if screen else []), *(["--apart"] if given.apart else [])]
        self.terminal: Terminal | None = None
        if screen and not given.apart:
            self.terminal = Terminal(argv)
            self.process = self.terminal.process
        else:
            self.process = subprocess.Popen(argv)
        self.probe = self._pipe.accept()
        try:
            facts = self.probe.recv()
        except EOFError:
            self.process.wait()
            sys.exit(f"the session does not open: {self.terminal.tail.decode() if self.terminal else ''}")
        self.opened = facts["seconds"]
        self.other: Connection | None = None
        if screen and given.apart:
            second = Listener(str(folder / "probe2.sock"))
            self.terminal = Terminal([*me, "--role", "screen"])
            self.other = second.accept()
            self.other.recv()
        facts["logs"] = str(folder / "logs.sock")
        facts["address"] = facts["server"]["address"].removeprefix("unix:")
        (folder / "facts.json").write_text(json.dumps(facts))
        self.at_start = self.ask()["memory"]
        self.crowd = subprocess.Popen(
            [*me, "--role", "clients", "--clients", str(given.clients)], stdin=subprocess.PIPE
        )
        while self.ask()["joined"] < given.clients:
            time.sleep(0.1)
        self._last_chunk = b""

    def ask(self, other: bool = False, word: str = "") -> dict[str, Any]:
        connection = self.other if other and self.other is not None else self.probe
        connection.send(word)
        answer: dict[str, Any] = connection.recv()
        return answer

    def load(self, rate: float, lines: float) -> None:
        """``rate`` of completions, -1 none at all, 0 as many as can be."""
        assert self.crowd.stdin is not None
        self.crowd.stdin.write(json.dumps([rate, lines]).encode() + b"\n")
        self.crowd.stdin.flush()

    def over(self, seconds: float, keys: list[float] | None = None, word: str = "") -> dict[str, float]:
        """What happens in that time, with keys pressed now and then where ``keys`` takes their delays.

        ``word`` "rest": the loop's lag is not measured, which costs some CPU itself.
        """
        first, second, shown = (
            self.ask(word=word),
            self.ask(other=True, word=word),
            self.terminal.bytes if self.terminal else 0,
        )
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            if keys is not None and self.terminal is not None:
                keys.append(self.key())
                time.sleep(0.11)
            else:
                time.sleep(0.1)
        last, end = self.ask(), self.ask(other=True)
        wall = last["at"] - first["at"]
        done = last["completed"] - first["completed"]
        lags = sorted(last["lags"])
        told = {
            "rate": done / wall,
            "lines": (last["lines"] - first["lines"]) / wall,
            "cpu": (last["cpu"] - first["cpu"]) / wall,
            "own": (last["own"] - first["own"]) / wall,
            "each": (last["cpu"] - first["cpu"]) / max(done, 1),
            "lag50": _part(lags, 0.5),
            "lag99": _part(lags, 0.99),
            "lagmax": _part(lags, 1.0),
            "memory": last["memory"],
            "bytes": ((self.terminal.bytes if self.terminal else 0) - shown) / wall,
        }
        if self.other is not None:
            told["screen"] = (end["cpu"] - second["cpu"]) / wall
            told["screen memory"] = end["memory"]
        return told

    def key(self) -> float:
        """Move the cursor on the map: seconds until the line below it names another chunk."""
        assert self.terminal is not None
        self._right = not getattr(self, "_right", False)
        began = time.perf_counter()
        self.terminal.press(b"\x1b[C" if self._right else b"\x1b[D")
        known = self._last_chunk
        while True:
            self.terminal.until(_CHUNK, 20)
            with self.terminal._seen:
                found = re.findall(_CHUNK, self.terminal.tail)
            if found[-1] != known:
                self._last_chunk = found[-1]
                return time.perf_counter() - began
            select.select([], [], [], 0.0005)

    def show_map(self) -> None:
        assert self.terminal is not None
        self.terminal.press(b"2")
        self.terminal.until(_CHUNK)
        time.sleep(1.0)
        with self.terminal._seen:
            self._last_chunk = re.findall(_CHUNK, self.terminal.tail)[-1]

    def close(self) -> None:
        for process in (self.crowd, self.process, *([self.terminal.process] if self.terminal else [])):
            process.kill()
            process.wait()
        self._pipe.close()


def _part(values: Sequence[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] if values else 0.0


# ---- first paint


_BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("the first picture")
Bare().run()
"""


def first_paint(folder: Path, rounds: int) -> tuple[float, float]:
    """Seconds from exec to the first picture: of a bare Textual app, and of the console. The least of ``rounds``."""
    prepare(folder, 200)
    start = "import sys; from dgconsole.cli import dgconsole; sys.exit(dgconsole())"
    argv = [sys.executable, "-c", start, "hosts.yml", "--chunks", "0"]
    bare, ours = [], []
    for _ in range(rounds):
        for argv_, words, times in (
            ([sys.executable, "-c", _BARE], rb"the first picture", bare),
            (argv, rb"dgconsole.*planning", ours),
        ):
            terminal = Terminal(argv_, folder)
            try:
                times.append(terminal.until(words) - terminal.began)
            finally:
                terminal.process.send_signal(signal.SIGTERM)
                terminal.process.wait(PATIENCE)
        shutil.rmtree(folder / "runs", ignore_errors=True)
    return min(bare), min(ours)


# ---- all of it


def prepare(folder: Path, stripes: int) -> None:
    """The shipped project with a sky of that many stripes."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(ROOT / "fakePartitionerCfgs", folder / "fakePartitionerCfgs")
    for path in (folder / "fakePartitionerCfgs").iterdir():
        path.write_text(path.read_text().replace('"num-stripes": 200', f'"num-stripes": {stripes}'))
    text = (ROOT / "fakeGenSpec.py").read_text()
    (folder / "fakeGenSpec.py").write_text(text.replace("Chunker(0, 200, 5)", f"Chunker(0, {stripes}, 5)"))
    text = (ROOT / "serverCfg.yml").read_text()
    (folder / "serverCfg.yml").write_text(text[: text.index("\nchunks:")] + "\n")
    shutil.copy(ROOT / "hosts.yml", folder)


def compare(scratch: Path, given: argparse.Namespace) -> None:
    """Throughput at full load, with the screen and without, in turns; the order changes, as machines grow slower."""
    figures: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for turn in range(given.rounds):
        for screen in (False, True) if turn % 2 == 0 else (True, False):
            folder = scratch / f"full-{turn}-{screen}"
            prepare(folder, given.stripes)
            bench = Bench(folder, given, screen=screen)
            try:
                if screen:
                    bench.show_map()
                bench.load(0, given.rate)
                bench.over(2.0)
                figures[screen].append(bench.over(1.5 * given.seconds))
            finally:
                bench.close()
            shutil.rmtree(folder)
    each = {screen: statistics.median(f["each"] for f in figures[screen]) for screen in figures}
    rate = {screen: statistics.median(f["rate"] for f in figures[screen]) for screen in figures}
    print(
        f"full load: headless {rate[False]:,.0f}/s, {each[False] * 1e6:.0f} us CPU each; "
        f"with the screen {rate[True]:,.0f}/s, {each[True] * 1e6:.0f} us; "
        f"ratio {rate[True] / rate[False]:.2f} by wall, {each[False] / each[True]:.2f} by CPU"
    )
    own = statistics.median(f["own"] for f in figures[True])
    print(f"  the screen's own work takes {own:.1%} of the loop: the coordinator has {1 - own:.3f}  (goal 0.95)")


def steady(scratch: Path, given: argparse.Namespace) -> None:
    """Delays, memory and bytes at the given rate; then nothing at all."""
    for screen in (False, True):
        folder = scratch / f"steady-{screen}"
        prepare(folder, given.stripes)
        bench = Bench(folder, given, screen=screen)
        try:
            if screen:
                bench.show_map()
                time.sleep(1.0)
                bench.ask()
            begin = bench.over(1.0)["memory"]
            bench.load(given.rate, given.rate)
            bench.over(2.0)
            keys: list[float] = []
            told = bench.over(given.seconds, keys)
            keys.sort()
            word = "with the map" if screen else "headless"
            print(
                f"{word}: {told['rate']:,.0f} completions/s, {told['lines']:,.0f} lines/s, "
                f"CPU {told['cpu']:.0%}, {told['each'] * 1e6:.0f} us each; opened in {bench.opened:.1f} s"
            )
            print(
                f"  lag p50 {told['lag50'] * 1e3:.1f} p99 {told['lag99'] * 1e3:.1f} max {told['lagmax'] * 1e3:.0f} ms"
                "  (goal p99 50)"
            )
            print(f"  memory {bench.at_start:.0f} MB opened, {begin:.0f} at rest, {told['memory']:.0f} under load")
            if "screen" in told:
                print(f"  screen's process: CPU {told['screen']:.0%}, memory {told['screen memory']:.0f} MB")
            if screen:
                print(
                    f"  {len(keys)} keys: p50 {_part(keys, 0.5) * 1e3:.0f} p99 {_part(keys, 0.99) * 1e3:.0f} "
                    f"max {keys[-1] * 1e3:.0f} ms  (goal p99 100)"
                )
                print(f"  to the terminal {told['bytes'] / 1e3:.1f} kB/s  (goal 300)")
            bench.over(given.seconds)
            print(f"  memory {bench.ask()['memory']:.0f} MB after as long again")
            bench.load(-1, 0)
            bench.over(12.0)
            idle = bench.over(given.seconds / 2, word="rest")
            more = f" + screen {idle['screen']:.1%}" if "screen" in idle else ""
            print(
                f"  nothing changes: {idle['bytes'] / 1e3:.2f} kB/s, CPU {idle['cpu']:.1%}{more}, "
                f"{idle['rate']:.0f} completions/s  (goals 20, 3 %)"
            )
        finally:
            bench.close()
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--stripes", type=int, default=887, help="887: 999,501 chunks")
    parser.add_argument("--rate", type=float, default=5000.0, help="completions and log lines a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="100 clients, 50,432 chunks, 1,000/s, a few seconds")
    parser.add_argument("--only", choices=("paint", "steady", "full"), default=None)
    parser.add_argument("--dir", default=None, help="where the run is written (default: the temporary folder)")
    for hidden in ("--role", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--screen", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--apart", action="store_true", help="the screen in a process of its own")
    given = parser.parse_args()
    if given.role == "session":
        return asyncio.run(play_session(Path(given.folder), screen=given.screen, apart=given.apart))
    if given.role == "screen":
        return asyncio.run(play_screen(Path(given.folder)))
    if given.role == "clients":
        facts = json.loads((Path(given.folder) / "facts.json").read_text())
        return asyncio.run(Crowd(facts).play(given.clients))
    if given.quick:
        given.clients, given.stripes, given.rate, given.seconds, given.rounds = 100, 200, 1000.0, 5.0, 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        if given.only in (None, "paint"):
            bare, ours = first_paint(Path(folder) / "paint", 3 * given.rounds)
            print(
                f"first paint: bare Textual {bare:.2f} s, console {ours:.2f} s, ratio {ours / bare:.2f}  (goal 1.5)"
            )
        if given.only in (None, "steady"):
            steady(Path(folder), given)
        if given.only in (None, "full"):
            compare(Path(folder), given)
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    return None


if __name__ == "__main__":
    main()
