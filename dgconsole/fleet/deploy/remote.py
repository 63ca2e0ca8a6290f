"""The deploy program: makes, on a host, the venv that holds our wheel, or says that it is there already.

Sent as text and run there by whatever Python the host has, so it imports only the standard library, and it must
at least compile on Python 3.6, to say that this is too old. A line of JSON on stdin says what is wanted; the
answers are lines of JSON on stdout, each after a mark. It ends, and pip with it, when stdin closes or nothing
came for the length of the lease. The stamp in a venv is written last: without it the venv is made anew.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Dict, Iterator  # noqa: UP035 - the Python there may be old

READ = 65536
POLL = 0.2
TAIL_BYTES = 16384
TAIL_LINES = 5
OLD_ARRIVAL = 86400.0
UNUSED = 30 * 86400.0
UNHEARD = 75
STAMP = "dgconsole-deploy.json"
CONSTRAINTS = "dgconsole-constraints.txt"
PR_SET_PDEATHSIG = 1
NETWORK_SIGNS = ("(from versions: none)", "Max retries exceeded", "Temporary failure in name resolution")

Answer = Dict[str, Any]  # noqa: UP006


class DeployError(Exception):
    """It cannot be done: in which part, and the text for the user."""

    def __init__(self, part: str, text: str) -> None:
        self.part = part
        self.text = text
        super().__init__(text)


class Deployer:
    """One attempt. ``request`` holds mark, lease, name, sha256, key, pins, version, least_python, arrival and env."""

    def __init__(self, request: Answer) -> None:
        self.request = request
        self.heard = time.monotonic()
        self.base = Path.home() / ".dgconsole"
        self.wheel = self.base / "wheels" / request["sha256"] / request["name"]
        self.venv = self.base / "venvs" / (request["key"] + "-" + python_key())
        self.python = str(self.venv / "bin" / "python")
        ours = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        self.env = dict(ours, **request["env"])

    def run(self) -> Answer:
        """The last answer: ready, wanted (the wheel, and where to put it) or failed."""
        try:
            self.check_python()
            if self.is_ready():
                return self.ready()
            self.base.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.wheel.parent, self.venv.parent):
                folder.mkdir(parents=True, exist_ok=True)
            if not self.has_wheel():
                return {"is": "wanted", "target": f"{self.wheel}.{self.request['mark']}"}
            with self.lock():
                if not self.is_ready():
                    self.make()
            return self.ready()
        except DeployError as failure:
            return {"is": "failed", "part": failure.part, "text": failure.text}
        except OSError as error:
            place = error.filename or str(self.base)
            return {"is": "failed", "part": "files", "text": f"{place}: {error.strerror}"}

    def ready(self) -> Answer:
        self.tidy_up()
        return {"is": "ready", "python": self.python}

    def tidy_up(self) -> None:
        """Note that venv and wheel are in use, and remove those of ours that nobody has used for long."""
        for used in (self.venv / STAMP, self.wheel):
            with contextlib.suppress(OSError):
                os.utime(str(used))
        for stamp in self.venv.parent.glob("*/" + STAMP):
            lock = Path(str(stamp.parent) + ".lock")
            with contextlib.suppress(OSError), lock.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_old(stamp):
                    stamp.unlink()
                    self.remove(stamp.parent)
        for wheel in self.wheel.parent.parent.glob("*/*.whl"):
            with contextlib.suppress(OSError):
                if is_old(wheel):
                    wheel.unlink()
                    wheel.parent.rmdir()

    def remove(self, venv: Path) -> None:
        self.note(f"removes {venv}: not used for {UNUSED / 86400:.0f} days")
        shutil.rmtree(str(venv), ignore_errors=True)

    def check_python(self) -> None:
        least = tuple(self.request["least_python"])
        if sys.version_info[:2] < least:
            here = f"{sys.executable} is Python {platform.python_version()}"
            raise DeployError("python", f"{here}, dgconsole needs {least[0]}.{least[1]} or newer")

    def is_ready(self) -> bool:
        """Whether a finished venv is there whose Python still runs and has our version."""
        try:
            stamp = json.loads((self.venv / STAMP).read_text())
        except (OSError, ValueError):
            return False
        return bool(stamp.get("sha256") == self.request["sha256"]) and self.version_there()[0] == 0

    def has_wheel(self) -> bool:
        """Whether the wheel is here, whole; what has just arrived moves to its place, leftovers of others go."""
        arrival = self.request["arrival"]
        if arrival and is_whole(Path(arrival), self.request["sha256"]):
            Path(arrival).replace(self.wheel)
        for other in self.wheel.parent.glob(self.wheel.name + ".*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - other.stat().st_mtime > OLD_ARRIVAL:
                    other.unlink()
        return is_whole(self.wheel, self.request["sha256"])

    @contextlib.contextmanager
    def lock(self) -> "Iterator[None]":
        """Hold the lock of this venv; the kernel frees it when we end, however we end."""
        with Path(str(self.venv) + ".lock").open("a") as file:
            told = False
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    pass
                if not told:
                    self.note(f"waits for another console that makes {self.venv}")
                    told = True
                self.wait(None, POLL)
            yield

    def make(self) -> None:
        """Make the venv from nothing and install the wheel into it."""
        self.note(f"makes {self.venv}")
        with contextlib.suppress(FileNotFoundError):
            (self.venv / STAMP).unlink()
        if self.venv.exists():
            shutil.rmtree(str(self.venv))
        for module in ("venv", "ensurepip"):
            if importlib.util.find_spec(module) is None:
                raise DeployError("venv", f"{sys.executable} cannot make a venv: it has no module {module}")
        status, said = self.call([sys.executable, "-I", "-m", "venv", str(self.venv)])
        if status != 0:
            raise DeployError("venv", f"{sys.executable} cannot make a venv: {tail(said)}")
        install = ["install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        constraints = self.venv / CONSTRAINTS
        constraints.write_text("".join(line + "\n" for line in self.request["pins"]))
        # With its hash, for older pips note that of the wheel only when they are told.
        wheel = f"{self.wheel.as_uri()}#sha256={self.request['sha256']}"
        argv = [self.python, "-I", "-m", "pip", *install, "-c", str(constraints), wheel]
        status, said = self.call(argv)
        if status != 0:
            raise pip_trouble(said)
        status, said = self.version_there()
        if status != 0:
            raise DeployError("pip", f"dgconsole was installed but does not start: {said}")
        part = self.venv / (STAMP + ".part")
        part.write_text(json.dumps({"sha256": self.request["sha256"], "version": self.request["version"]}))
        part.replace(self.venv / STAMP)

    def version_there(self) -> "tuple[int, str]":
        """(0, "") when the venv's Python finds our version of dgconsole, else not 0 and why."""
        ask = "import dgconsole, sys; v = dgconsole.__version__; v == sys.argv[1] or sys.exit('it is ' + v)"
        status, said = self.call([self.python, "-I", "-c", ask, self.request["version"]])
        return status, tail(said)

    # ---- one loop that never forgets stdin

    def call(self, argv: "list[str]") -> "tuple[int, str]":
        """Run a program to its end: exit status and the end of what it said. It ends with us."""
        try:
            process = subprocess.Popen(
                argv,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform.startswith("linux") else None,
            )
        except OSError as error:
            return 127, f"{argv[0]}: {error.strerror}"
        assert process.stdout is not None
        said = b""
        try:
            while self.wait(process.stdout.fileno(), float("inf")):
                data = os.read(process.stdout.fileno(), READ)
                if not data:
                    break
                said = (said + data)[-TAIL_BYTES:]
            return process.wait(), said.decode("utf-8", "replace")
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()

    def wait(self, descriptor: "int | None", seconds: float) -> bool:
        """Until ``descriptor`` can be read (True) or the time is over (False); SystemExit when the console went."""
        until = time.monotonic() + seconds
        watched = [0] if descriptor is None else [0, descriptor]
        while True:
            now = time.monotonic()
            if now - self.heard > self.request["lease"]:
                sys.stderr.write(f"the console was not heard for {self.request['lease']:g} s\n")
                sys.exit(UNHEARD)
            if now >= until:
                return False
            readable = select.select(watched, [], [], min(POLL, until - now))[0]
            if 0 in readable:
                if not os.read(0, READ):
                    sys.exit("the console closed the connection")
                self.heard = time.monotonic()
            if descriptor in readable:
                return True

    def note(self, text: str) -> None:
        say(self.request["mark"], {"is": "note", "text": text})


def python_key() -> str:
    """This Python in a name: version, machine, and where it lives (a home may be shared by different hosts)."""
    place = hashlib.sha256(os.fsencode(sys.base_prefix)).hexdigest()[:6]
    return f"py{platform.python_version()}-{platform.machine()}-{place}"


def is_whole(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except FileNotFoundError:
        return False


def is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > UNUSED


def pip_trouble(said: str) -> DeployError:
    """What pip complains of, and which part of deploy that is."""
    head = "pip could not install dgconsole: "
    missing = re.findall(r"\(constraint\) (\S+)", said)
    if missing:
        return DeployError("versions", head + "it does not find " + ", ".join(sorted(set(missing))))
    if any(sign in said for sign in NETWORK_SIGNS):
        return DeployError("network", head + tail(said))
    return DeployError("versions" if "No matching distribution found" in said else "pip", head + tail(said))


def tail(said: str) -> str:
    """The last lines in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "; ".join(lines[-TAIL_LINES:]) or "it said nothing"


def say(mark: str, answer: Answer) -> None:
    sys.stdout.write("\n" + mark + " " + json.dumps(answer) + "\n")
    sys.stdout.flush()


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(stdin: "BinaryIO") -> None:
    request = json.loads(stdin.readline().decode())
    say(request["mark"], Deployer(request).run())


if __name__ == "__main__":
    main(sys.stdin.buffer)
