"""The host agent: starts one host's clients, streams their logs, reports their ends, and ends them when it must.

Sent as text and run there with nothing but a Python (3.8 or newer), so it imports only the standard library.
It speaks JSON, one object a line, on stdin and stdout. It ends, and all clients with it, when its stdin
closes, when nothing came for the length of the lease, or when it is told to. Everything happens in one loop
that never waits for a reader: control lines go out first, logs only as far as the console gave credit.
"""

from __future__ import annotations

import collections
import ctypes
import errno
import fcntl
import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

READ = 65536
RING = 262144
LOG_FRAME = 8192
LOG_FILE = 16 * 1024 * 1024
LOAD_EVERY = 5.0
KILL_AFTER = 5.0
MAX_COMMAND = 16 * 1024 * 1024
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


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


class Agent:
    """The loop: commands in, clients watched, events out."""

    def __init__(self, lease: float) -> None:
        self.lease = lease
        self.selector = selectors.DefaultSelector()
        self.clients: dict[str, Client] = {}
        self.env = dict(os.environ)
        self.inbox = b""
        self.outbox: collections.deque[bytes] = collections.deque()
        self.credit = 0
        self.heard = time.monotonic()
        self.load_at = self.heard + LOAD_EVERY
        self.ending = False
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
            signal.signal(number, lambda *_: self.end(self.grace))
        self.selector.register(0, selectors.EVENT_READ, self.read_commands)
        self.selector.register(self.wake_read, selectors.EVENT_READ, self.reap)
        self.hello(nonce)
        while not (self.ending and not self.clients):
            self.flush()
            for key, _ in self.selector.select(self.wait()):
                key.data()
            self.reap()
            self.keep_time()
        self.say({"is": "ended"})
        self.flush_all()

    def wait(self) -> float:
        now = time.monotonic()
        ends = [self.load_at, self.heard + self.lease]
        ends += [c.kill_at for c in self.clients.values() if c.kill_at is not None]
        return max(0.0, min(min(ends) - now, 1.0))

    def keep_time(self) -> None:
        now = time.monotonic()
        if now > self.heard + self.lease and not self.ending:
            self.end(self.grace)
        for client in self.clients.values():
            if client.kill_at is not None and now >= client.kill_at:
                self.signal(client, signal.SIGKILL)
                client.kill_at = now + KILL_AFTER
        if now >= self.load_at:
            self.load_at = now + LOAD_EVERY
            self.load()

    # ---- talking

    def say(self, what: dict[str, Any]) -> None:
        self.outbox.append(json.dumps(what).encode("ascii") + b"\n")

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
                self.end(self.grace)
                return
            if sent < len(data):
                self.outbox.appendleft(data[sent:])

    def flush_all(self) -> None:
        os.set_blocking(1, True)
        try:
            while self.outbox:
                os.write(1, self.outbox.popleft())
        except OSError:
            pass

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
        text = piece.decode("utf-8", "surrogateescape")
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
            self.end(self.grace)
            return
        self.heard = time.monotonic()
        self.inbox += data
        if len(self.inbox) > MAX_COMMAND:
            self.end(self.grace)
        *lines, self.inbox = self.inbox.split(b"\n")
        for line in lines:
            if line.strip():
                self.obey(json.loads(line.decode("utf-8")))

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
            self.end(order["grace"])
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
        if order["setup"]:
            problem = self.set_up(order["setup"], order["timeout"])
            if problem:
                self.say({"is": "prepared", "ok": False, "phase": "setup", "text": problem, "version": ""})
                return
        ask = "import dgconsole; print(dgconsole.__version__)"
        try:
            asked = subprocess.run(
                [order["python"], "-c", ask],
                env=self.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=order["timeout"],
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self.say({"is": "prepared", "ok": False, "phase": "python", "text": str(error), "version": ""})
            return
        last = asked.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        self.say(
            {
                "is": "prepared",
                "ok": asked.returncode == 0,
                "phase": "python",
                "text": "".join(last),
                "version": asked.stdout.decode("utf-8", "replace").strip(),
            }
        )

    def set_up(self, lines: list[str], timeout: float) -> str:
        read, write = os.pipe()
        script = "set -e\n" + "".join("SETUP_LINE=%d\n%s\n" % pair for pair in enumerate(lines, 1))
        script = "trap 'echo \"line $SETUP_LINE failed\" >&2' ERR\n" + script + "env -0 >&%d\n" % write
        process = subprocess.Popen(
            ["bash", "-c", script],
            env=self.env,
            pass_fds=(write,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(write)
        try:
            _, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            os.close(read)
            return "no end after %g s" % timeout
        with os.fdopen(read, "rb") as pipe:
            environment = pipe.read()
        if process.returncode != 0:
            said = err.decode("utf-8", "replace").strip().splitlines()
            return "; ".join(said[-3:]) or "exit status %d" % process.returncode
        pairs = (entry.split(b"=", 1) for entry in environment.split(b"\0") if b"=" in entry)
        self.env = {os.fsdecode(k): os.fsdecode(v) for k, v in pairs}
        return ""

    # ---- clients

    def start(self, order: dict[str, Any]) -> None:
        name, workdir = order["name"], os.path.expanduser(order["workdir"])
        if name in self.clients:
            self.say({"is": "failed", "name": name, "busy": True, "text": "it still runs"})
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
            client.stdin.write(order["token"].encode("ascii") + b"\n")
            client.stdin.flush()
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

    def reap(self) -> None:
        """Report clients that ended; an end is told by the kernel, not by a pipe that somebody may still hold."""
        try:
            while os.read(self.wake_read, READ):
                pass
        except BlockingIOError:
            pass
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
            self.say({"is": "exited", "name": client.name, "status": client.process.returncode})

    @staticmethod
    def signal(client: Client, number: int) -> None:
        try:
            os.killpg(client.process.pid, number)
        except OSError:
            pass  # the whole group has ended

    def end(self, grace: float) -> None:
        """TERM to every client, KILL after ``grace`` seconds, then the loop ends."""
        if self.ending:
            return
        self.ending = True
        for client in self.clients.values():
            self.signal(client, signal.SIGTERM)
            client.kill_at = time.monotonic() + grace

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
