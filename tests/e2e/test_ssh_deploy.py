"""The console's own version on hosts that have nothing but Python: brought over SSH, with a wheel house, and used."""

import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from dgconsole import __version__
from dgconsole.fleet.deploy.versions import own_versions

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39620), 57701, 57750, 57751]
TEXT = "0,39600:39619,57701,57750,57751"
GONE = 10.0


def repack(distribution: metadata.Distribution, house: Path) -> None:
    """Its wheel, from what was installed of it; stored, as that is quicker than to squeeze it."""
    told = distribution.read_text("WHEEL") or ""
    (*_, tag) = (line.partition(": ")[2] for line in told.splitlines() if line.startswith("Tag: "))
    name = distribution.metadata["Name"].replace("-", "_")
    with zipfile.ZipFile(house / f"{name}-{distribution.version}-{tag}.whl", "w") as archive:
        for file in distribution.files or ():
            if ".." not in file.parts and file.suffix != ".pyc" and file.name not in ("INSTALLER", "REQUESTED"):
                archive.write(str(distribution.locate_file(file)), str(file))


@pytest.fixture
def wheel_house(ssh_hosts: Any) -> Path:
    house = ssh_hosts.folder / "house"
    house.mkdir()
    for name in own_versions():
        repack(metadata.distribution(name), house)
    return Path(house)


def test_a_host_with_nothing_but_python_from_a_wheel_house(
    project: Any,
    ssh_hosts: Any,
    ends: Any,
    wait_until: Callable[..., None],
    wheel_house: Path,
    need: Callable[[bool, str], None],
) -> None:
    """The first console makes the venv and is killed in mid-run, the second one finds it and makes the run whole."""
    ask = "import sys, ensurepip; print(*sys.version_info[:2], sep='.')"
    ours, theirs = (
        subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout
        for python in (sys.executable, ssh_hosts.python)
    )
    need(ours == theirs, f"needs a Python {ours.strip()} with ensurepip that every user may run")
    project.generator("time.sleep(0.05)", "import time\n")
    project.clients(2)
    assert project.run(TEXT, "--run-dir", "here").status == 0
    host = ssh_hosts.start(f"SetEnv DGCONSOLE_TEST={project.mark}")
    pip = f"{{PIP_NO_INDEX: '1', PIP_FIND_LINKS: {wheel_house}, PIP_NO_CACHE_DIR: '1', PIP_NO_COMPILE: '1'}}"
    keys = f"address: {host.address}, port: {host.port}, user: {host.user}, python: {ssh_hosts.python}, env: {pip}"
    project.write("hosts.yml", f"hosts:\n  {host.name}: {{launcher: ssh, clients: 2, {keys}}}\n")

    console = project.begin(TEXT)
    wait_until(lambda: project.ledger.completed() or not console.running(), "chunks are made there", 150)
    assert console.running(), [path.read_text() for path in (project.run_dir / "logs").iterdir()]
    assert f"{host.name}: sends dgconsole-{__version__}" in project.console_log()
    over_there = host.processes()
    assert len(over_there) == 3
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in over_there} == {host.uid}
    left = ends(over_there)
    console.signal(signal.SIGKILL)
    console.end()
    left.wait(GONE)
    assert host.processes() == []

    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.files() == project.files("here")
    assert project.console_log().count(f"{host.name}: sends ") == 1, "the venv was found again"
    assert project.console_log().count(f"{host.name}: makes ") == 1
    assert len(list((host.home / ".dgconsole" / "venvs").glob("*/bin/python"))) == 1
    assert {row["host"] for row in project.report()} == {host.name}
    assert host.processes() == []
    assert list(host.home.rglob("chunk_*.txt*")) == []
