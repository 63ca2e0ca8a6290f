"""The host agent: starts one host's clients, streams their logs, reports their ends, and ends them when it must.

Sent as text and run there with nothing but a Python (3.8 or newer), so it imports only the standard library.
It speaks JSON, one object a line, on stdin and stdout. It ends, and all clients with it, when its stdin
closes, when nothing came for the length of the lease, or when it is told to. Everything happens in one loop
that never waits for anybody: control lines go out first, logs only as far as the console gave credit, and
what prepares the host runs beside the loop like a client.
"""

from __future__ import annotations

import collections
import ctypes
import errno
import fcntl
import functools
import json
import os
import platform
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

READ = 65536
RING = 262144
LOG_FRAME = 8192
LOG_FILE = 16 * 1024 * 1024
LOAD_EVERY = 5.0
KILL_AFTER = 5.0
LAST_WORDS = 2.0
MAX_SAID = 1024 * 1024
MAX_COMMAND = 16 * 1024 * 1024
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SETUP_FD = 9
AT_ONCE = ("ping", "credit", "quit")
VENV_STAMP = "dgconsole-deploy.json"
STAMP_EVERY = 3600.0

ASK = """
import json, sys
sys.path[:] = [place for place in sys.path if place]  # a client does not start in this folder
told = {"python": sys.version.split()[0], "version": "", "text": "", "packages": {}}
try:
    import dgconsole
    told["version"] = dgconsole.__version__
    from importlib import metadata
    for name in sys.argv[1:]:
        try:
            told["packages"][name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            told["packages"][name] = ""
except Exception:
    told["text"] = "%s: %s" % (sys.exc_info()[0].__name__, sys.exc_info()[1])
print("\\n" + json.dumps(told))
"""


def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None, use_errno=True)
    except OSError:
        return None


LIBC = _libc()
ON_LINUX = sys.platform.startswith("linux") and LIBC is not None


class Log:
    """What one client prints: whole in a rotated file, the newest of it in a ring that waits for credit."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pieces: collections.deque[bytes] = collections.deque()
        self.held = 0
        self.dropped = 0
        self.size = os.path.getsize(path) if os.path.exists(path) else 0
        self.file = open(path, "ab", buffering=0)

    def add(self, data: bytes) -> None:
        self._store(data)
        self.pieces.append(data)
        self.held += len(data)
        while self.held > RING:
            lost = self.pieces.popleft()
            self.held -= len(lost)
            self.dropped += len(lost)

    def _store(self, data: bytes) -> None:
        try:
            if self.size + len(data) > LOG_FILE:
                self.file.close()
                os.replace(self.path, self.path + ".1")
                self.file = open(self.path, "ab", buffering=0)
                self.size = 0
            self.file.write(data)
            self.size += len(data)
        except OSError:
            pass  # a full disk must not stop the client's output from being read

    def take(self, most: int) -> tuple[bytes, int]:
        piece = self.pieces.popleft()
        if len(piece) > most:
            self.pieces.appendleft(piece[most:])
            piece = piece[:most]
        self.held -= len(piece)
        dropped, self.dropped = self.dropped, 0
        return piece, dropped

    def close(self) -> None:
        self.file.close()


class Client:
    """One client process with its pipes."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Log) -> None:
        self.name = name
        self.process = process
        assert process.stdin is not None and process.stdout is not None
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.log = log
        self.kill_at: float | None = None
        self.open = True
        self.cpu: tuple[float, float] | None = None


class Job:
    """A program that prepares the host: ``then`` is called with its exit status (None: too late) and what it said."""

    def __init__(self, process: subprocess.Popen[bytes], until: float, then: Callable[..., None]) -> None:
        assert process.stdout is not None and process.stderr is not None
        self.process = process
        self.until = until
        self.then = then
        self.said = {process.stdout: b"", process.stderr: b""}
        self.open = [process.stdout, process.stderr]

    def texts(self) -> list[bytes]:
        return list(self.said.values())


class Agent:
    """The loop: commands in, clients watched, events out."""

    def __init__(self, lease: float) -> None:
        self.lease = lease
        self.selector = selectors.DefaultSelector()
        self.clients: dict[str, Client] = {}
        self.env = dict(os.environ)
        self.inbox = b""
        self.orders: collections.deque[dict[str, Any]] = collections.deque()
        self.job: Job | None = None
        self.leftovers: list[str] = []
        self.outbox: collections.deque[bytes] = collections.deque()
        self.credit = 0
        self.heard = time.monotonic()
        self.load_at = self.heard + LOAD_EVERY
        self.stamp_at = self.heard + STAMP_EVERY
        self.ending = False
        self.why = ""
        self.grace = KILL_AFTER

    # ---- the loop

    def run(self, nonce: str) -> None:
        if LIBC is not None and ON_LINUX:
            LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.wake_read, wake_write = os.pipe()
        for fd in (0, 1, self.wake_read, wake_write):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: self.end(self.grace, signal.Signals(number).name))
        self.selector.register(0, selectors.EVENT_READ, self.read_commands)
        self.selector.register(self.wake_read, selectors.EVENT_READ, self.woken)
        self.hello(nonce)
        while not (self.ending and not self.clients and self.job is None):
            self.flush()
            for key, _ in self.selector.select(self.wait()):
                key.data()
            self.reap()
            self.look_at_job()
            while self.orders and self.job is None:
                self.obey(self.orders.popleft())
            self.keep_time()
        self.leave_nothing()
        self.say({"is": "ended", "why": self.why})
        self.flush_all()

    def wait(self) -> float:
        now = time.monotonic()
        ends = [self.load_at, self.heard + self.lease]
        if self.job is not None:
            ends.append(self.job.until)
        ends += [c.kill_at for c in self.clients.values() if c.kill_at is not None]
        return max(0.0, min(min(ends) - now, 1.0))

    def keep_time(self) -> None:
        now = time.monotonic()
        if now > self.heard + self.lease and not self.ending:
            self.end(self.grace, "it has heard nothing from the console for %.0f s" % (now - self.heard))
        for client in self.clients.values():
            if client.kill_at is not None and now >= client.kill_at:
                self.signal(client, signal.SIGKILL)
                client.kill_at = now + KILL_AFTER
        if now >= self.load_at:
            self.load_at = now + LOAD_EVERY
            self.load()
        if now >= self.stamp_at:
            self.stamp_at = now + STAMP_EVERY
            self.mark_venv()

    @staticmethod
    def mark_venv() -> None:
        """The venv that we run from is in use: its age counts from now."""
        try:
            os.utime(os.path.join(sys.prefix, VENV_STAMP))
        except OSError:
            pass  # not one that the console made

    # ---- talking

    def say(self, what: dict[str, Any]) -> None:
        text = json.dumps(what, ensure_ascii=False)
        self.outbox.append(text.encode("utf-8", "replace") + b"\n")

    def hello(self, nonce: str) -> None:
        disk = os.statvfs(os.getcwd())
        self.outbox.append(b"\n" + nonce.encode("ascii") + b" ")
        self.say(
            {
                "is": "hello",
                "pid": os.getpid(),
                "python": platform.python_version(),
                "cwd": os.getcwd(),
                "cpus": os.cpu_count(),
                "free_disk": disk.f_bavail * disk.f_frsize,
            }
        )

    def flush(self) -> None:
        """Write what the pipe takes; logs are turned into frames only when nothing else waits."""
        while True:
            if not self.outbox:
                self.frame_log()
            if not self.outbox:
                self.watch_stdout(False)
                return
            data = self.outbox.popleft()
            try:
                sent = os.write(1, data)
            except BlockingIOError:
                self.outbox.appendleft(data)
                self.watch_stdout(True)
                return
            except OSError:
                self.outbox.clear()
                self.watch_stdout(False)
                self.end(self.grace, "its stdout was closed")
                return
            if sent < len(data):
                self.outbox.appendleft(data[sent:])

    def flush_all(self) -> None:
        """The last words, as long as somebody takes them."""
        self.watch_stdout(False)
        self.credit = 0
        until = time.monotonic() + LAST_WORDS
        while self.outbox and time.monotonic() < until:
            before = len(self.outbox), len(self.outbox[0])
            self.flush()
            if not self.outbox:
                return
            if before != (len(self.outbox), len(self.outbox[0])):
                until = time.monotonic() + LAST_WORDS
            select.select([], [1], [], max(0.0, until - time.monotonic()))

    def watch_stdout(self, wanted: bool) -> None:
        watched = 1 in self.selector.get_map()
        if wanted and not watched:
            self.selector.register(1, selectors.EVENT_WRITE, lambda: None)
        elif watched and not wanted:
            self.selector.unregister(1)

    def frame_log(self) -> None:
        """One log frame within credit, round robin over the clients that have something to show."""
        if self.credit <= 0:
            return
        for name in list(self.clients):
            client = self.clients[name]
            if client.log.held:
                piece, dropped = client.log.take(min(LOG_FRAME, self.credit))
                self.credit -= len(piece)
                self.clients[name] = self.clients.pop(name)
                self.log_frame(name, piece, dropped)
                return

    def log_frame(self, name: str, piece: bytes, dropped: int) -> None:
        text = piece.decode("latin-1")  # a character for each byte, as frames may begin and end anywhere
        self.say({"is": "log", "name": name, "data": text, "dropped": dropped})

    # ---- listening

    def read_commands(self) -> None:
        try:
            data = os.read(0, READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(0)
            self.end(self.grace, "its stdin was closed")
            return
        self.heard = time.monotonic()
        self.inbox += data
        if len(self.inbox) > MAX_COMMAND:
            self.end(self.grace, "an order without end")
        *lines, self.inbox = self.inbox.split(b"\n")
        for line in lines:
            if line.strip():
                order = json.loads(line.decode("utf-8"))
                self.obey(order) if order["do"] in AT_ONCE else self.orders.append(order)

    def obey(self, order: dict[str, Any]) -> None:
        do = order["do"]
        if do == "ping":
            self.say({"is": "pong", "number": order["number"]})
        elif do == "credit":
            self.credit += order["bytes"]
        elif do == "prepare":
            self.prepare(order)
        elif do == "start":
            self.start(order)
        elif do == "quit":
            self.end(order["grace"], "told to")
        elif order["name"] in self.clients:
            client = self.clients[order["name"]]
            if do == "term":
                self.signal(client, signal.SIGTERM)
                client.kill_at = time.monotonic() + order["grace"]
            elif do == "kill":
                self.signal(client, signal.SIGKILL)

    # ---- preparing the host

    def prepare(self, order: dict[str, Any]) -> None:
        """Run the setup lines in one shell, take over its environment, and ask its Python for our package."""
        self.env.update(order["env"])
        self.leftovers = order["remove"]
        lines = order["setup"]
        if not lines:
            self.ask(order)
            return
        script = ["exec %d>&1 >/dev/null" % SETUP_FD, "set -e"]
        script.append("trap 'echo \"line $SETUP_LINE failed\" >&2; exit 1' EXIT")
        script += ["SETUP_LINE=%d\n%s" % pair for pair in enumerate(lines, 1)]
        script += ["trap - EXIT", "env -0 >&%d" % SETUP_FD]
        self.begin(["bash", "-c", "\n".join(script)], order["timeout"], functools.partial(self.set_up, order))

    def set_up(self, order: dict[str, Any], status: int | None, out: bytes, err: bytes) -> None:
        if status == 0:
            pairs = (entry.split(b"=", 1) for entry in out.split(b"\0") if b"=" in entry)
            self.env = {os.fsdecode(k): os.fsdecode(v) for k, v in pairs}
            self.ask(order)
            return
        said = err.decode("utf-8", "replace").strip().splitlines()
        problem = "; ".join(said[-3:]) or "exit status %s" % status
        if status is None:
            problem = "no end after %g s" % order["timeout"]
        self.prepared("setup", problem)

    def ask(self, order: dict[str, Any]) -> None:
        argv = [order["python"], "-c", ASK, *order["packages"]]
        self.begin(argv, order["timeout"], functools.partial(self.asked, order))

    def asked(self, order: dict[str, Any], status: int | None, out: bytes, err: bytes) -> None:
        try:
            told = json.loads(out.decode("utf-8", "replace").strip().rpartition("\n")[2])
        except ValueError:
            last = err.decode("utf-8", "replace").strip().splitlines()[-1:]
            none = "exit status %s" % status if status is not None else "no end after %g s" % order["timeout"]
            self.prepared("python", "".join(last) or none)
            return
        self.prepared("python", told["text"], told)

    def prepared(self, phase: str, problem: str, told: dict[str, Any] | None = None) -> None:
        told = told or {"python": "", "version": "", "packages": {}}
        self.say(dict(told, **{"is": "prepared", "ok": not problem, "phase": phase, "text": problem}))

    # ---- programs that prepare

    def begin(self, argv: list[str], timeout: float, then: Callable[..., None]) -> None:
        """Start a program beside the loop; orders that come meanwhile wait."""
        try:
            process = subprocess.Popen(
                argv,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=die_with_parent if ON_LINUX else None,
            )
        except OSError as error:
            then(127, b"", ("%s: %s" % (argv[0], error.strerror)).encode("utf-8", "replace"))
            return
        self.job = Job(process, time.monotonic() + timeout, then)
        for pipe in self.job.open:
            os.set_blocking(pipe.fileno(), False)
            self.selector.register(pipe, selectors.EVENT_READ, functools.partial(self.hear, self.job, pipe))

    def hear(self, job: Job, pipe: Any) -> bool:
        """Take what a program of the preparation says; whether anything came."""
        try:
            data = os.read(pipe.fileno(), READ)
        except BlockingIOError:
            return False
        if data:
            job.said[pipe] = (job.said[pipe] + data)[-MAX_SAID:]
        elif pipe in job.open:
            self.selector.unregister(pipe)
            job.open.remove(pipe)
        return bool(data)

    def look_at_job(self) -> None:
        """Its end is told by the kernel; a pipe that something in the background still holds is no reason to wait."""
        job = self.job
        if job is None:
            return
        late = time.monotonic() >= job.until
        if job.process.poll() is None:
            if not late and not self.ending:
                return
            try:
                os.killpg(job.process.pid, signal.SIGKILL)
            except OSError:
                pass
            job.process.wait()
        else:
            late = False
        for pipe in list(job.open):
            while self.hear(job, pipe):
                pass
        for pipe in job.said:
            if pipe in job.open:
                self.selector.unregister(pipe)
            pipe.close()
        self.job = None
        if not self.ending:
            job.then(None if late else job.process.returncode, *job.texts())

    # ---- clients

    def start(self, order: dict[str, Any]) -> None:
        name, workdir = order["name"], os.path.expanduser(order["workdir"])
        if name in self.clients or self.ending:
            text = "the host agent is ending" if self.ending else "it still runs"
            self.say({"is": "failed", "name": name, "busy": True, "text": text})
            return
        try:
            os.makedirs(workdir, mode=0o700, exist_ok=True)
            if self.locked(os.path.join(workdir, order["lock"])):
                self.say({"is": "failed", "name": name, "busy": True, "text": workdir + " is locked"})
                return
            log = Log(os.path.join(workdir, order["log"]))
            process = subprocess.Popen(
                [word.replace("{workdir}", workdir) for word in order["argv"]],
                cwd=workdir,
                env=dict(self.env, **order["env"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent if ON_LINUX else None,
            )
        except OSError as error:
            text = "%s: %s" % (error.filename or workdir, error.strerror or error)
            self.say({"is": "failed", "name": name, "busy": False, "text": text})
            return
        client = self.clients[name] = Client(name, process, log)
        try:
            os.write(client.stdin.fileno(), order["token"].encode("ascii") + b"\n")
        except OSError:
            pass  # it ended already; its exit is reported like any other
        os.set_blocking(client.stdout.fileno(), False)
        self.selector.register(client.stdout, selectors.EVENT_READ, lambda: self.drain(client))
        self.say({"is": "started", "name": name, "pid": process.pid})

    @staticmethod
    def locked(path: str) -> bool:
        try:
            fd = os.open(path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in (errno.EAGAIN, errno.EACCES)
        finally:
            os.close(fd)
        return False

    def drain(self, client: Client) -> None:
        try:
            data = os.read(client.stdout.fileno(), READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            client.log.add(data)
        elif client.open:
            client.open = False
            self.selector.unregister(client.stdout)

    def woken(self) -> None:
        """A signal came; what follows from it is done when nothing that was read is left to look at."""
        try:
            while os.read(self.wake_read, READ):
                pass
        except BlockingIOError:
            pass

    def reap(self) -> None:
        """Report clients that ended; an end is told by the kernel, not by a pipe that somebody may still hold."""
        for client in list(self.clients.values()):
            if client.process.poll() is None:
                continue
            while client.open:
                before = client.log.held + client.log.dropped
                self.drain(client)
                if client.open and client.log.held + client.log.dropped == before:
                    self.selector.unregister(client.stdout)
                    client.open = False
            self.signal(client, signal.SIGKILL)
            del self.clients[client.name]
            while client.log.held:
                self.log_frame(client.name, *client.log.take(LOG_FRAME))
            client.stdin.close()
            client.stdout.close()
            client.log.close()
            ended = {"is": "exited", "name": client.name, "status": client.process.returncode}
            self.say(dict(ended, with_agent=self.ending))

    @staticmethod
    def signal(client: Client, number: int) -> None:
        try:
            os.killpg(client.process.pid, number)
        except OSError:
            pass  # the whole group has ended

    def end(self, grace: float, why: str) -> None:
        """TERM to every client, KILL after ``grace`` seconds, then the loop ends."""
        if self.ending:
            return
        self.ending = True
        self.why = why
        for client in self.clients.values():
            self.signal(client, signal.SIGTERM)
            client.kill_at = time.monotonic() + grace

    def leave_nothing(self) -> None:
        """End what setup lines or clients have left running, which is our child now, and remove our socket."""
        for path in self.leftovers:
            try:
                os.unlink(path)
            except OSError:
                pass
        until = time.monotonic() + LAST_WORDS
        while ON_LINUX and time.monotonic() < until:
            orphans = self.children()
            if not orphans:
                return
            for pid in orphans:
                try:
                    os.kill(pid, signal.SIGKILL)
                    if os.waitpid(pid, os.WNOHANG) == (0, 0):
                        time.sleep(0.01)
                except OSError:
                    pass

    @staticmethod
    def children() -> list[int]:
        found = []
        for name in os.listdir("/proc"):
            try:
                with open("/proc/%s/stat" % name) as file:
                    if int(file.read().rpartition(")")[2].split()[1]) == os.getpid():
                        found.append(int(name))
            except (OSError, ValueError, IndexError):
                continue
        return found

    # ---- load

    def load(self) -> None:
        if not os.path.isdir("/proc/self"):
            return
        tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        now = time.monotonic()
        figures = {}
        for client in self.clients.values():
            try:
                with open("/proc/%d/stat" % client.process.pid) as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            used = (int(fields[11]) + int(fields[12])) / tick
            if client.cpu is not None and now > client.cpu[0]:
                share = (used - client.cpu[1]) / (now - client.cpu[0])
                figures[client.name] = [share, int(fields[21]) * page]
            client.cpu = (now, used)
        if figures:
            self.say({"is": "load", "clients": figures})


def die_with_parent() -> None:
    assert LIBC is not None
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    Agent(float(sys.argv[2])).run(sys.argv[1])
