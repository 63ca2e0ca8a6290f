"""What all tests share: skips that CI turns into failures, one environment, real SSH hosts, a real MariaDB."""

import contextlib
import getpass
import json
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest
from qserv import Qserv

from dgconsole.settings.structs import HostConfig

for threads in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what we start inherits it; nohup may have started us


@pytest.fixture(scope="session")
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
        """What runs in its sessions, or as its user where that is not ourselves; the server's own apart."""
        below = self.sessions()
        own_user = self.uid != os.getuid()
        pids = [pid for pid, uid, _ in _processes() if pid in below or (own_user and uid == self.uid)]
        return [pid for pid in pids if not is_sshd(pid)]

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

    def start(self, extra: str = "", *, known: bool = True, network: "Network | None" = None) -> SshHost:
        """One more host; ``extra`` lines go on top of its sshd_config, where they win."""
        number = len(self.made) + 2
        address, folder = network.address if network else f"127.0.0.{number}", self.folder / f"h{number}"
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
            probe.bind(("127.0.0.1" if network else address, 0))
            port = probe.getsockname()[1]
        (folder / "sshd_config").write_text(
            f"{extra}\nPort {port}\nListenAddress {address}\nHostKey {folder}/hostkey\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            "Subsystem sftp internal-sftp\nLogLevel VERBOSE\n"
        )
        with (folder / "sshd.log").open("wb") as log:
            argv = [*(network.inside if network else ()), _sshd(), "-D", "-e", "-f", folder / "sshd_config"]
            server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log)
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


def is_sshd(pid: int) -> bool:
    """Whether a process is one of an SSH server's own."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    return False


def _descendants(pid: int) -> list[int]:
    below: list[int] = []
    level = {pid}
    processes = _processes()
    while level := {child for child, _, parent in processes if parent in level}:
        below += level
    return below


@dataclass
class Network:
    """A network namespace: a machine's own loopback and ports, and one cable to us that can be pulled."""

    name: str
    number: int

    @property
    def ours(self) -> str:
        return f"10.99.{self.number}.1"

    @property
    def address(self) -> str:
        return f"10.99.{self.number}.2"

    @property
    def inside(self) -> tuple[str, ...]:
        """What goes before a command that is run in there."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Nobody is told."""
        _ip("-n", self.name, "link", "set", "eth0", "down")

    def mend(self) -> None:
        _ip("-n", self.name, "link", "set", "eth0", "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def networks(need: Callable[[bool, str], None]) -> Iterator[Callable[[], Network]]:
    """``networks()``: one more machine's network, where the kernel allows for it."""
    need(os.geteuid() == 0 and shutil.which("ip") is not None, "needs root and iproute2 for network namespaces")
    with contextlib.ExitStack() as ending:

        def make() -> Network:
            network = Network(f"dgt{secrets.token_hex(3)}", secrets.randbelow(250) + 1)
            veth = ("link", "add", f"v{network.name}", "type", "veth", "peer", "name", "eth0", "netns", network.name)
            try:
                _ip("netns", "add", network.name)
                ending.callback(_ip, "netns", "del", network.name)
                _ip(*veth)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"the kernel gives no network of its own here: {error.stderr.decode()}")
            _ip("addr", "add", f"{network.ours}/24", "dev", f"v{network.name}")
            _ip("link", "set", f"v{network.name}", "up")
            _ip("-n", network.name, "addr", "add", f"{network.address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", network.name, "link", "set", device, "up")
            return network

        yield make


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


MARIADB_OPTIONS = (
    "--skip-name-resolve",
    "--local-infile=1",
    "--secure-file-priv=",
    "--lower-case-table-names=1",
    "--character-set-server=latin1",
    "--collation-server=latin1_general_ci",
    "--sql-mode=NO_ENGINE_SUBSTITUTION",
    "--max-allowed-packet=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=32M",
    "--aria-pagecache-buffer-size=32M",
    "--key-buffer-size=16M",
)
"""As a Qserv worker's database is configured: names in lower case, not strict."""


class MariaDb:
    """A private MariaDB in a folder of its own: root without a password, but only over the socket in that folder.

    Parameters
    ----------
    folder
        Short, as a socket's path has 107 bytes at most; only its owner may look in.
    """

    def __init__(self, folder: Path, options: Sequence[str] = MARIADB_OPTIONS) -> None:
        self.folder = folder
        self.socket = folder / "db.sock"
        self.host = "127.0.0.1"
        """Other users than root may be made to come from here, to ``port``."""
        self.port = 0
        self._options = options
        self._user = ["--user=root"] if os.getuid() == 0 else []
        self._server: subprocess.Popen[bytes] | None = None
        self._made = 0

    def install(self) -> None:
        """Make the data folder."""
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            self.port = probe.getsockname()[1]
        (self.folder / "init.sql").write_text("DELETE FROM mysql.global_priv WHERE Host <> 'localhost';\n")
        command = ["mariadb-install-db", "--no-defaults", *self._user, f"--datadir={self.folder}/data"]
        names = [option for option in self._options if option.startswith("--lower-case")]
        done = subprocess.run(
            [*command, "--auth-root-authentication-method=normal", "--skip-test-db", *names], capture_output=True
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()

    def start(self, *more: str) -> None:
        """Start the server, and return when it answers; ``more`` options win over the usual ones."""
        folder = self.folder
        places = [f"--datadir={folder}/data", f"--socket={self.socket}", f"--pid-file={folder}/db.pid"]
        places += [f"--log-error={folder}/db.err", f"--tmpdir={folder}", f"--init-file={folder}/init.sql"]
        network = [f"--bind-address={self.host}", f"--port={self.port}"]
        self._server = subprocess.Popen(
            [_mariadbd(), "--no-defaults", *self._user, *places, *network, *self._options, *more],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            log = folder / "db.err"
            assert self._server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        """PyMySQL leaves its socket open where nobody listens, so that is looked at first."""
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.socket)):
                return False
        try:
            self.connect().close()
        except pymysql.MySQLError:
            return False
        return True

    def kill(self) -> None:
        """End the server as a crash does; ``start`` brings it back."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def freeze(self) -> None:
        """Have the server stand still, its connections open, until ``thaw``."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def connect(self, database: str | None = None, **more: Any) -> "pymysql.Connection[Any]":
        """A connection as root; the caller closes it."""
        given: dict[str, Any] = {"unix_socket": str(self.socket), "user": "root", "autocommit": True} | more
        return pymysql.connect(database=database, **given)

    def query(self, sql: str, *arguments: object, database: str | None = None) -> list[tuple[Any, ...]]:
        """The rows of one statement."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return list(cursor.fetchall())

    def schema(self, *, made: bool = True) -> str:
        """The name of a database that nobody has had before, made empty (or not made)."""
        self._made += 1
        name = f"sky{self._made}"
        if made:
            self.query(f"CREATE DATABASE {name}")
        return name

    def tables(self, database: str) -> list[str]:
        """The names of a database's tables and views."""
        found = self.query("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", database)
        return sorted(name for (name,) in found)


def _mariadbd() -> str:
    return shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


@pytest.fixture(scope="session")
def new_mariadb(need: Callable[[bool, str], None]) -> Iterator[Callable[..., MariaDb]]:
    """``new_mariadb(*options)``: one more server, with these options instead of the usual ones."""
    need(bool(_mariadbd()) and shutil.which("mariadb-install-db") is not None, "needs mariadb-server-core")
    with contextlib.ExitStack() as ending:

        def make(*options: str) -> MariaDb:
            folder = Path(tempfile.mkdtemp(prefix="dgdb"))
            ending.callback(shutil.rmtree, folder)
            made = MariaDb(folder, options or MARIADB_OPTIONS)
            ending.callback(made.kill)
            made.install()
            made.start()
            return made

        yield make


@pytest.fixture(scope="session")
def mariadb(new_mariadb: Callable[..., MariaDb]) -> MariaDb:
    """The session's MariaDB server. Each test takes a database of its own: ``mariadb.schema()``."""
    return new_mariadb()


def loaded_from(folder: Path) -> list[str]:
    """Every file that qserv-ingest would fetch from a folder, as its own code goes about it."""
    metadata = json.loads((folder / "metadata.json").read_bytes())
    assert metadata["version"] >= 12
    assert metadata["formats"].keys() <= {"csv", "tsv", "txt"}
    for signs in metadata["formats"].values():
        assert all(1 <= len(sign) <= 2 and sign.isprintable() for sign in signs.values())
    base = json.loads((folder / metadata["database"]).read_bytes())
    assert min(base["num_stripes"], base["num_sub_stripes"]) > 0
    assert base["overlap"] >= 0
    needed: list[str] = []
    seen: set[str] = set()
    for table in metadata["tables"]:
        schema = json.loads((folder / table["schema"]).read_bytes())
        assert schema["database"] == base["database"]
        assert all(column["name"] and column["type"] for column in schema["schema"])
        is_director = bool(schema["is_partitioned"]) and not schema.get("director_table")
        assert is_director or schema["director_table"] in seen, "directors are registered first"
        seen.add(schema["table"])
        for data in table["data"]:
            needed += [f"{data['directory']}/chunk_{chunk}.txt" for chunk in data["chunks"]]
            if is_director:
                overlaps = data.get("overlaps") or data["chunks"]
                needed += [f"{data['directory']}/chunk_{chunk}_overlap.txt" for chunk in overlaps]
        assert [path for path in table["indexes"] if not (folder / path).is_file()] == []
    assert len(needed) == len(set(needed))
    return needed


@pytest.fixture(name="loaded_from")
def _loaded_from() -> Callable[[Path], list[str]]:
    return loaded_from


@pytest.fixture
def qserv(mariadb: MariaDb) -> Iterator[Qserv]:
    """A Qserv of one controller and two workers, empty: see ``tests/doubles/qserv``."""
    double = Qserv(mariadb.connect, mariadb.schema(made=False), mariadb.folder)
    double.start()
    try:
        yield double
    finally:
        double.stop()
