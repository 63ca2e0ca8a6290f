"""The run directory: made whole or not at all, locked, compared with the plan when a run is resumed."""

import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dgconsole.plan import Plan
from dgconsole.support.errors import InputError, Problem

_SOCKET_LIMIT = 100
"""Bytes in the path of a UNIX socket that every system takes."""
_NETWORK = re.compile(r"nfs\d*|cifs|smb\d*|smbfs|afs|ncpfs")
_OURS = frozenset({"lock", "plan", "logs", "chunks", "ledger.sqlite.new"})


@dataclass(frozen=True, slots=True)
class RunDir:
    """An open, locked run directory. ``fresh``: it has been made just now. ``sockets`` is where sockets go.

    ``run_id`` tells this run from all others, for ever.
    """

    path: Path
    fresh: bool
    sockets: Path
    lock: int
    run_id: str

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite"

    @property
    def plan(self) -> Path:
        return self.path / "plan"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def chunks(self) -> Path:
        return self.path / "chunks"

    @property
    def report(self) -> Path:
        return self.path / "report.csv"

    @property
    def work(self) -> Path:
        """Where local clients have their workdirs, unless hosts.yml says otherwise."""
        return self.path / "work"

    @property
    def server_json(self) -> Path:
        return self.path / "server.json"

    @property
    def client_socket(self) -> Path:
        return self.sockets / "client.sock"

    @property
    def control_socket(self) -> Path:
        return self.sockets / "control.sock"

    @property
    def control_json(self) -> Path:
        return self.path / "control.json"

    @property
    def client_address(self) -> str:
        """The address at which clients of this machine find the coordinator."""
        return f"unix:{self.client_socket}"

    def write_server(self, address: str, token: str) -> None:
        """Leave address and token for clients started by hand, readable to this user only."""
        write_whole(self.server_json, json.dumps({"address": address, "token": token}).encode() + b"\n")

    def write_control(self) -> None:
        """Leave word of where the session listens for other consoles, if that is not in the directory itself."""
        self.control_json.unlink(missing_ok=True)
        if self.sockets != self.path:
            write_whole(self.control_json, json.dumps({"socket": str(self.control_socket)}).encode() + b"\n")

    def close(self) -> None:
        """Let others have the directory. What cannot be removed is in nobody's way: the next session replaces it."""
        for path in (self.server_json, self.control_json, self.client_socket, self.control_socket):
            with suppress(OSError):
                path.unlink()
        if self.sockets != self.path:
            with suppress(OSError):
                self.sockets.rmdir()
        os.close(self.lock)


def open_or_create(path: Path, plan: Plan, files: Mapping[str, bytes], *, mounts: str | None = None) -> RunDir:
    """The run directory at ``path``, locked; made when it is not there.

    Parameters
    ----------
    files
        Frozen copies for ``plan/``, by relative name, secrets taken out. They are written for a new
        run only; ``plan.json`` comes last and makes it one.
    mounts
        Text in the form of ``/proc/mounts``; None: this machine's.

    Raises
    ------
    InputError
        In use, on a network file system, no run directory, not to be written, or a run with another plan. Nothing has
        been changed then.
    """
    path = path.absolute()
    _refuse_network(path, _mounts() if mounts is None else mounts)
    marker = path / "plan" / "plan.json"
    if path.exists() and not path.is_dir():
        raise InputError(Problem("is a file, not a run directory; name another with --run-dir", file=str(path)))
    try:
        if path.is_dir() and not marker.exists() and not _left_unmade(path):
            what = "is not empty and holds no run; name another directory with --run-dir"
            raise InputError(Problem(what, file=str(path)))
        created = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        try:
            fresh = not marker.exists()
            if fresh:
                _fill(path, plan, files)
            else:
                _compare(marker, plan)
            (path / "logs").mkdir(exist_ok=True)
            return RunDir(path, fresh, _socket_folder(path), lock, _run_id(marker))
        except BaseException:
            os.close(lock)
            if created:
                _remove_unmade(path)
            raise
    except OSError as error:
        raise InputError(Problem(f"cannot be used: {error.strerror}", file=error.filename or str(path))) from error


def _left_unmade(path: Path) -> bool:
    """Whether ``path`` holds no more than the beginning of a run directory."""
    return all(entry.name in _OURS for entry in path.iterdir())


def _remove_unmade(path: Path) -> None:
    if (path / "plan" / "plan.json").exists():
        return
    for entry in sorted(path.rglob("*"), reverse=True):
        entry.rmdir() if entry.is_dir() else entry.unlink()
    path.rmdir()


def refuse_used(path: Path) -> None:
    """InputError where another console works in the run directory ``path``, if it is one at all."""
    if (path / "lock").is_file():
        os.close(_lock(path.absolute()))


def _lock(path: Path) -> int:
    """Take the lock; the file says who has it, and stays when the lock is gone."""
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        who = f"process {holder}" if holder else "another console"  # one that has not yet said who it is
        what = f"in use by {who}; end it first, or name another directory with --run-dir"
        raise InputError(Problem(what, file=str(path))) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _fill(path: Path, plan: Plan, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        target = path / "plan" / name
        if not target.resolve().is_relative_to((path / "plan").resolve()):
            raise ValueError(f"{name!r} would lie outside of plan/")
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(target, data)
    (path / "plan").mkdir(exist_ok=True, mode=0o700)
    made = {
        "format": 1,
        "name": plan.name,
        "digest": plan.digest,
        "parts": plan.parts,
        "tiling": [plan.num_stripes, plan.num_sub_stripes],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": secrets.token_hex(8),
    }
    write_whole(path / "plan" / "plan.json", json.dumps(made, indent=2).encode() + b"\n")


def _run_id(marker: Path) -> str:
    """As it was made up when the run directory was; of older ones, what they have of their own."""
    made = json.loads(marker.read_bytes())
    return str(made.get("run") or f"{made['digest'][:16]} {made['created']}")


def _compare(marker: Path, plan: Plan) -> None:
    """Refuse a plan that is not the one that this run was started with, part by part."""
    try:
        made = json.loads(marker.read_bytes())
        digest, parts = made["digest"], dict(made["parts"])
    except (ValueError, KeyError, TypeError) as error:
        what = "cannot be read; name another directory with --run-dir"
        raise InputError(Problem(what, file=str(marker))) from error
    if digest == plan.digest:
        return
    problems = [
        Problem(difference, file=str(marker.parent.parent))
        for name in sorted(parts.keys() | plan.parts.keys())
        if (difference := _difference(name, parts.get(name), plan.parts.get(name)))
    ]
    raise InputError(
        *(problems or [Problem("was started with another plan", file=str(marker.parent.parent))]),
        Problem("put back what has changed (copies are in plan/), or start another run with --run-dir"),
    )


def _difference(name: str, old: str | None, new: str | None) -> str:
    if old == new:
        return ""
    if old is None:
        return f"was started without {name}"
    if new is None:
        return f"was started with {name}, which is not there now"
    if len(old) > 40 or len(new) > 40:  # digests
        return f"was started with another {name}"
    return f"was started with {name} {old}, now it is {new}"


# ---- where sockets go, and where a ledger cannot be


def _socket_folder(path: Path) -> Path:
    """``path`` itself, unless a socket's name there would be too long for the system."""
    if len(os.fsencode(path / "control.sock")) <= _SOCKET_LIMIT:
        return path
    name = "dgconsole-" + hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir() and len(os.fsencode(runtime)) + len(name) + 14 <= _SOCKET_LIMIT:
        folder = Path(runtime) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def file_system(path: Path, mounts: str) -> str:
    """The type of file system that ``path`` (absolute, resolved) is on, "" where that is not known."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), fields[2]
    return kind


def _refuse_network(path: Path, mounts: str) -> None:
    kind = file_system(path.resolve(), mounts)
    if _NETWORK.fullmatch(kind):
        what = f"is on a network file system ({kind}), where the ledger is not safe; name a local one with --run-dir"
        raise InputError(Problem(what, file=str(path)))


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write the file aside, fsync it, and give it its name."""
    aside = path.with_name(f".{path.name}.new")
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)
    aside.rename(path)
