"""What all tests share: skips that CI turns into failures, one environment everywhere, and real SSH hosts."""

import contextlib
import getpass
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dgconsole.settings.structs import HostConfig

for threads in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")


@pytest.fixture
def need() -> Callable[[bool, str], None]:
    """``need(condition, reason)``: skip with the reason where the condition does not hold; in CI that fails."""

    def check(condition: bool, reason: str) -> None:
        if condition:
            return
        if os.environ.get("DGCONSOLE_TESTS_MUST_RUN"):
            pytest.fail(f"this machine must be able to run the test: {reason}")
        pytest.skip(reason)

    return check


@pytest.fixture
def need_root(need: Callable[[bool, str], None]) -> None:
    need(os.geteuid() == 0, "needs root (mounts a small tmpfs)")


@pytest.fixture
def need_tmux(need: Callable[[bool, str], None]) -> None:
    need(shutil.which("tmux") is not None, "needs tmux")


@dataclass
class SshHost:
    """A real SSH server on a loopback address of its own, with a user of its own where we may make one."""

    name: str
    address: str
    port: int
    user: str
    uid: int
    folder: Path
    home: Path
    server: subprocess.Popen[bytes]

    @property
    def entry(self) -> str:
        return f"[{self.address}]:{self.port}"

    @property
    def public_key(self) -> str:
        kind, base64, *_ = (self.folder / "hostkey.pub").read_text().split()
        return f"{kind} {base64}"

    @property
    def fingerprint(self) -> str:
        told = subprocess.run(["ssh-keygen", "-lf", self.folder / "hostkey.pub"], capture_output=True, check=True)
        return told.stdout.decode().split()[1]

    def config(self, **more: object) -> HostConfig:
        given = {"name": self.name, "address": self.address, "port": self.port, "user": self.user} | more
        return HostConfig(launcher="ssh", **given)  # type: ignore[arg-type]

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def sessions(self) -> list[int]:
        """The server's processes for its connections."""
        return _descendants(self.server.pid)

    def processes(self) -> list[int]:
        """What runs as its user, SSH server apart (only told apart where it has a user of its own)."""
        ours = set(self.sessions())
        return [pid for pid, uid, _ in _processes() if uid == self.uid and pid not in ours]

    def end(self) -> None:
        """End server, connections, and whatever runs as its own user."""
        pids = self.sessions()
        self.server.terminate()
        if self.uid != os.getuid():
            pids += [pid for pid, uid, _ in _processes() if uid == self.uid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.wait(10)
        if self.uid != os.getuid():
            deadline = time.monotonic() + 10
            while any(uid == self.uid for _, uid, _ in _processes()) and time.monotonic() < deadline:
                time.sleep(0.01)
            left = [pid for pid, uid, _ in _processes() if uid == self.uid]
            assert left == []


@dataclass
class SshHosts:
    """Makes hosts; ``home`` is the console's, with its ``.ssh``; ``identity`` the key that the hosts let in.

    ``python`` is one that their users may run.
    """

    folder: Path
    home: Path
    identity: Path
    python: str
    made: list[SshHost]
    ending: contextlib.ExitStack

    @property
    def known_hosts(self) -> Path:
        return self.home / ".ssh" / "known_hosts"

    def start(self, extra: str = "", *, known: bool = True) -> SshHost:
        """One more host; ``extra`` lines go on top of its sshd_config, where they win."""
        number = len(self.made) + 2
        address, folder = f"127.0.0.{number}", self.folder / f"h{number}"
        home = folder / "home"
        home.mkdir(parents=True)
        make_key(folder / "hostkey")
        shutil.copy(self.identity.with_suffix(".pub"), folder / "authorized_keys")
        user, uid = getpass.getuser(), os.getuid()
        if uid == 0:
            user = f"dgt{secrets.token_hex(4)}"
            _account("useradd", "-M", "-s", "/bin/bash", "-d", str(home), user)
            self.ending.callback(_account, "userdel", user)
            _account("usermod", "-p", "*", user)
            uid = pwd.getpwnam(user).pw_uid
            os.chown(home, uid, pwd.getpwnam(user).pw_gid)
        with socket.socket() as probe:
            probe.bind((address, 0))
            port = probe.getsockname()[1]
        (folder / "sshd_config").write_text(
            f"{extra}\nPort {port}\nListenAddress {address}\nHostKey {folder}/hostkey\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            "Subsystem sftp internal-sftp\nLogLevel VERBOSE\n"
        )
        with (folder / "sshd.log").open("wb") as log:
            server = subprocess.Popen(
                [_sshd(), "-D", "-e", "-f", folder / "sshd_config"], stdin=subprocess.DEVNULL, stderr=log
            )
        host = SshHost(f"host{number}", address, port, user, uid, folder, home, server)
        self.made.append(host)
        self.ending.callback(host.end)
        deadline = time.monotonic() + 10
        while "Server listening" not in host.log():
            assert server.poll() is None, host.log()
            assert time.monotonic() < deadline, host.log()
            time.sleep(0.01)
        if known:
            with self.known_hosts.open("a") as known_hosts:
                known_hosts.write(f"{host.entry} {host.public_key}\n")
        return host


def make_key(path: Path, passphrase: str = "") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)


def _sshd() -> str:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


def _python_for_all(need: Callable[[bool, str], None]) -> str:
    if os.getuid():
        return sys.executable
    for python in (os.path.realpath(sys.executable), "/usr/local/bin/python3", "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", ""], user="nobody", cwd="/", capture_output=True).returncode == 0:
                return python
    need(False, "needs a Python that every user may run")
    raise AssertionError


def _account(*command: str) -> None:
    """useradd and its like, which fail while another of them holds the lock."""
    for _ in range(50):
        done = subprocess.run(command, capture_output=True)
        if b"lock" not in done.stderr:
            break
        time.sleep(0.1)
    assert done.returncode == 0, done.stderr


def _processes() -> list[tuple[int, int, int]]:
    """(pid, uid, parent) of every process that is not a zombie."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found.append((int(folder.name), folder.stat().st_uid, int(parent)))
    return found


def _descendants(pid: int) -> list[int]:
    below: list[int] = []
    level = {pid}
    processes = _processes()
    while level := {child for child, _, parent in processes if parent in level}:
        below += level
    return below


@pytest.fixture
def ssh_hosts(need: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHosts]:
    """Real SSH servers: ``ssh_hosts.start()`` makes one. HOME is a new one that knows them and holds their key."""
    need(bool(_sshd()) and shutil.which("ssh-keygen") is not None, "needs openssh-server")
    if os.getuid() == 0:
        need(shutil.which("useradd") is not None, "needs useradd")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="dgssh"))
    folder.chmod(0o755)  # the users of the hosts look in
    home = folder / "console"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    identity = home / ".ssh" / "id_ed25519"
    make_key(identity)
    (home / ".ssh" / "known_hosts").touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with contextlib.ExitStack() as ending:
        ending.callback(shutil.rmtree, folder)
        yield SshHosts(folder, home, identity, _python_for_all(need), [], ending)
