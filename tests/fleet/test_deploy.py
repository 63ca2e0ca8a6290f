"""Deploy over the local connection: a venv is made once, found again at once, and never half believed."""

import ast
import asyncio
import contextlib
import fcntl
import json
import os
import re
import select
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from dgconsole import __version__
from dgconsole.fleet.deploy import remote, venv
from dgconsole.fleet.deploy.venv import deploy
from dgconsole.fleet.deploy.versions import normalized, own_versions
from dgconsole.fleet.deploy.wheel import CONSTRAINTS, Wheel, own_wheel, pack
from dgconsole.fleet.launchers.local import connect_local
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

PATIENCE = 120.0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the user over there."""
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    return place


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    return own_wheel(tmp_path / "wheel")


class House:
    """A wheel house that has an empty stand-in for every library we need, in the version that the console has."""

    def __init__(self, folder: Path, wheel: Wheel) -> None:
        self.folder = folder
        self.env = {"PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": str(folder), "PIP_NO_INDEX": "1"}
        folder.mkdir()
        versions = own_versions()
        with zipfile.ZipFile(wheel.path) as archive:
            metadata = archive.read(f"dgconsole-{__version__}.dist-info/METADATA").decode()
        needed = r"^Requires-Dist: ([\w-]+)(?:\[(\w+)\])?.*>=([\d.]+)"
        for name, extra, least in re.findall(needed, metadata, re.MULTILINE):
            self.put(name, versions.get(normalized(name), least), extra)

    def put(self, name: str, version: str, extra: str = "") -> None:
        plain = name.replace("-", "_")
        for other in self.folder.glob(f"{plain}-*"):
            other.unlink()
        info = f"{plain}-{version}.dist-info"
        provides = f"Provides-Extra: {extra}\n" if extra else ""
        files = {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{provides}".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        (self.folder / f"{plain}-{version}-py3-none-any.whl").write_bytes(pack(files, info))


@pytest.fixture
def wheel_house(tmp_path: Path, wheel: Wheel) -> House:
    return House(tmp_path / "house", wheel)


def host_of(python: str = sys.executable, env: dict[str, str] | None = None) -> HostConfig:
    return HostConfig(name="db1", python=python, env=env or {})


async def deployed(host: HostConfig, wheel: Wheel, patience: float = PATIENCE) -> tuple[str, list[str]]:
    """The venv's Python, and what was logged."""
    lines: list[str] = []
    connection = await connect_local(host)
    python = await deploy(connection, host, wheel, patience=patience, log=lambda *line: lines.append(line[2]))
    return python, lines


async def refusal(host: HostConfig, wheel: Wheel, patience: float = PATIENCE) -> HostError:
    with pytest.raises(HostError) as caught:
        await deployed(host, wheel, patience)
    return caught.value


def said_by(argv: list[str], cwd: Path) -> str:
    return subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout


def venv_of(home: Path, wheel: Wheel) -> Path:
    return home / ".dgconsole" / "venvs" / f"{wheel.key}-{remote.python_key()}"


@pytest.fixture
def held_lock(home: Path, wheel: Wheel) -> Iterator[Path]:
    """Another console makes this venv, and does not come to an end; the wheel is there."""
    store = home / ".dgconsole" / "wheels" / wheel.sha256 / wheel.path.name
    store.parent.mkdir(parents=True)
    store.write_bytes(wheel.path.read_bytes())
    lock = Path(f"{venv_of(home, wheel)}.lock")
    lock.parent.mkdir(parents=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lock


@pytest.mark.slow
async def test_two_consoles_at_once_make_one_venv_from_a_wheel_house_and_find_it_again(home, wheel, wheel_house):
    host = host_of(env=wheel_house.env)
    place = venv_of(home, wheel)
    (place / "bin").mkdir(parents=True)
    (place / "half").write_text("made by somebody who was interrupted")

    both = await asyncio.gather(deployed(host, wheel), deployed(host, wheel))
    assert {python for python, _ in both} == {str(place / "bin" / "python")}
    assert [line for _, lines in both for line in lines].count(f"makes {place}") == 1
    assert not (place / "half").exists()
    assert [path.name for path in (home / ".dgconsole" / "wheels" / wheel.sha256).iterdir()] == [wheel.path.name]

    began = time.monotonic()
    python, lines = await deployed(host, wheel)
    assert time.monotonic() - began < 3
    assert lines == []

    site = next((place / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    where = [python, "-c", "import dgconsole; print(dgconsole.__file__)"]
    assert said_by(where, home).strip() == str(site / "dgconsole" / "__init__.py")
    client = [python, "-m", "dgconsole.client", "--help"]
    assert "--workdir" in said_by(client, home)
    url = json.loads((site / f"dgconsole-{__version__}.dist-info" / "direct_url.json").read_text())
    assert wheel.sha256 in url["archive_info"]["hash"]
    build = [python, "-c", "from dgconsole.client.command import own_build; print(own_build())"]
    assert said_by(build, home).strip() == wheel.sha256
    numpy = [python, "-c", "from importlib.metadata import version; print(version('numpy'))"]
    assert said_by(numpy, home).strip() == own_versions()["numpy"]


@pytest.mark.slow
async def test_a_wheel_house_with_other_versions_is_told_how_to_get_the_consoles(home, wheel, wheel_house):
    wheel_house.put("numpy", "2.999")
    error = await refusal(host_of(env=wheel_house.env), wheel)
    assert error.hopeless
    assert f"numpy=={own_versions()['numpy']}" in error.reason
    assert f"pip download -d FOLDER -c {wheel.path.with_name(CONSTRAINTS)} {wheel.path}" in error.mend
    assert wheel.path.with_name(CONSTRAINTS).read_text().splitlines() == list(wheel.pins)


@pytest.mark.slow
async def test_a_host_that_reaches_no_index_is_told_of_the_wheel_house(home, wheel):
    env = {"PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": "", "PIP_NO_INDEX": "1"}
    error = await refusal(host_of(env=env), wheel)
    assert error.hopeless
    assert re.search(r"it does not find \w+", error.reason)
    assert "\n" not in error.reason
    assert "hosts.db1.env" in error.mend
    assert not (venv_of(home, wheel) / remote.STAMP).exists()


async def test_an_old_python_is_named_before_anything_is_written(home, wheel):
    error = await refusal(host_of(), msgspec.structs.replace(wheel, least_python=(3, 99)))
    assert error.hopeless
    assert "dgconsole needs 3.99 or newer" in error.reason
    assert "hosts.db1.python" in error.mend
    assert list(home.iterdir()) == []


async def test_a_host_without_python_says_so_in_the_words_of_its_shell(home, wheel, tmp_path):
    shell = tmp_path / "python3"
    shell.write_text("#!/bin/sh\necho welcome\nexec nosuchpython\n")
    shell.chmod(0o755)
    error = await refusal(host_of(str(shell)), wheel)
    assert error.hopeless
    assert error.reason.startswith(f"{shell} cannot be run: ")
    assert "welcome" in error.reason
    assert "nosuchpython" in error.reason


async def test_a_deploy_that_a_sleeping_console_broke_off_is_tried_again(home, wheel, held_lock, monkeypatch):
    monkeypatch.setattr(venv, "LEASE", 0.5)
    monkeypatch.setattr(venv, "PINGS_PER_LEASE", 0.01)
    error = await refusal(host_of(), wheel)
    assert not error.hopeless
    assert error.reason == "deploy was broken off: the console was not heard for 0.5 s"


async def test_noise_before_the_answer_does_not_spoil_it(home, wheel, tmp_path):
    shell = tmp_path / "python3"
    shell.write_text(f'#!/bin/sh\nprintf "no line end"\nexec {sys.executable} "$@"\n')
    shell.chmod(0o755)
    error = await refusal(host_of(str(shell)), msgspec.structs.replace(wheel, least_python=(3, 99)))
    assert "or newer" in error.reason


async def test_a_home_that_cannot_be_written_is_named(home, wheel):
    (home / ".dgconsole").write_text("a file where a folder should be")
    error = await refusal(host_of(), wheel)
    assert error.hopeless
    assert str(home / ".dgconsole") in error.reason


async def test_the_wheel_is_not_sent_when_it_is_there_and_sent_when_it_is_broken(home, wheel, held_lock):
    store = home / ".dgconsole" / "wheels" / wheel.sha256 / wheel.path.name
    before = store.stat().st_ino
    error = await refusal(host_of(), wheel, patience=1)
    assert "'deploy' within 1 s" in error.reason
    assert not error.hopeless
    assert store.stat().st_ino == before
    store.write_bytes(b"half of it")
    await refusal(host_of(), wheel, patience=1)
    assert store.stat().st_ino != before
    assert store.read_bytes() == wheel.path.read_bytes()


async def test_whoever_waits_for_another_console_ends_with_its_own(home, wheel, held_lock):
    host = host_of()
    said = asyncio.Event()
    connection = await connect_local(host)
    started: list[int] = []
    run = connection.run

    async def watched_run(argv: tuple[str, ...]):
        channel = await run(argv)
        started.append(channel._process.pid)
        return channel

    connection.run = watched_run  # type: ignore[method-assign]
    doing = asyncio.create_task(deploy(connection, host, wheel, patience=PATIENCE, log=lambda *_: said.set()))
    async with asyncio.timeout(20):
        await said.wait()
        doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing
    assert len(started) == 1
    assert not Path(f"/proc/{started[0]}").exists()


@pytest.fixture
def deployer(home: Path, wheel: Wheel) -> Callable[..., remote.Deployer]:
    """``deployer(**changes)``: the program's one attempt, in this process."""

    def make(**changes: object) -> remote.Deployer:
        request = {
            "mark": "m",
            "lease": 20,
            "name": wheel.path.name,
            "sha256": wheel.sha256,
            "key": wheel.key,
            "pins": list(wheel.pins),
            "arrival": "",
            "env": {},
        }
        request.update(version=wheel.version, least_python=list(wheel.least_python), **changes)
        return remote.Deployer(request)

    return make


def test_a_python_without_ensurepip_is_told_apart(deployer, home, wheel, monkeypatch):
    store = home / ".dgconsole" / "wheels" / wheel.sha256 / wheel.path.name
    store.parent.mkdir(parents=True)
    store.write_bytes(wheel.path.read_bytes())
    monkeypatch.setattr(remote.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    answer = deployer().run()
    assert (answer["is"], answer["part"]) == ("failed", "venv")
    assert answer["text"].endswith("it has no module ensurepip")


def test_a_stamp_is_believed_only_while_the_python_beside_it_runs(deployer, home, wheel):
    place = venv_of(home, wheel)
    place.mkdir(parents=True)
    assert not deployer().is_ready()
    (place / remote.STAMP).write_text(json.dumps({"sha256": wheel.sha256}))
    assert not deployer().is_ready()
    (place / remote.STAMP).write_text("{")
    assert not deployer().is_ready()


def test_what_nobody_has_used_for_long_goes(deployer, home, wheel, capsys):
    """Ours alone, and not what somebody makes at this moment."""
    venvs, wheels = home / ".dgconsole" / "venvs", home / ".dgconsole" / "wheels"
    long_ago = time.time() - remote.UNUSED - 60
    for name in ("old", "made", "recent", "stranger"):
        (venvs / name / "bin").mkdir(parents=True)
        stamp = venvs / name / (remote.STAMP if name != "stranger" else "pyvenv.cfg")
        stamp.write_text("{}")
        if name != "recent":
            os.utime(stamp, (long_ago, long_ago))
    mine = venv_of(home, wheel)
    mine.mkdir()
    for name in ("old", "recent", wheel.sha256):
        (wheels / name).mkdir(parents=True)
        (wheels / name / wheel.path.name).touch()
    for used in (wheels / "old" / wheel.path.name, wheels / wheel.sha256 / wheel.path.name):
        os.utime(used, (long_ago, long_ago))
    (mine / remote.STAMP).write_text("{}")
    os.utime(mine / remote.STAMP, (long_ago, long_ago))
    with (venvs / "made.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert deployer().ready()["is"] == "ready"
    assert {path.name for path in venvs.iterdir() if path.is_dir()} == {"made", "recent", "stranger", mine.name}
    assert {path.name for path in wheels.iterdir()} == {"recent", wheel.sha256}
    assert f"removes {venvs}/old: not used for 30 days" in capsys.readouterr().out


@pytest.mark.parametrize(("lease", "why"), [(60, "the console closed the connection"), (1, "was not heard for 1 s")])
def test_the_program_and_its_children_end_when_stdin_closes_or_nothing_comes(tmp_path, lease, why):
    os.mkfifo(tmp_path / "pids")
    ask = (
        "from dgconsole.fleet.deploy.remote import Deployer\n"
        f"deployer = Deployer({{'sha256': 'x', 'key': 'k', 'name': 'n', 'env': {{}}, 'lease': {lease}}})\n"
        "deployer.call(['sh', '-c', 'sleep 300 & echo $$ $! > pids; wait'])\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ask], cwd=tmp_path, stdin=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        pids = (tmp_path / "pids").read_text().split()
        watched = [os.pidfd_open(int(pid)) for pid in pids]
        assert len(watched) == 2
        if lease == 60:
            process.stdin.close()
        assert why in process.stderr.read()
        assert process.wait(20) == (1 if lease == 60 else remote.UNHEARD)
    for descriptor in watched:
        assert select.select([descriptor], [], [], 20)[0] == [descriptor]
        os.close(descriptor)


def test_the_program_compiles_where_python_is_too_old():
    tree = ast.parse(Path(remote.__file__).read_text(), feature_version=(3, 6))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        )
    }
    assert imported <= sys.stdlib_module_names
