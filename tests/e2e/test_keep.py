"""Files that stay on their hosts over real SSH: what is where, and that it is right whoever dies."""

import getpass
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, *range(39600, 39620), 57701, 57750, 57751]
TEXT = "0,39600:39619,57701,57750,57751"
GATED = 57701


class Far:
    """Hosts over SSH that keep their files below a home of their own; ``folders`` are where."""

    def __init__(self, project: Any, ssh_hosts: Any) -> None:
        self.project = project
        self.ssh_hosts = ssh_hosts
        self.hosts: list[Any] = []
        project.edit("serverCfg.yml", "kind: files", "kind: files\n  collect: false")

    def start(self, count: int, clients: int = 2) -> None:
        for _ in range(count):
            home = self.ssh_hosts.folder / f"h{len(self.ssh_hosts.made) + 2}" / "home"
            self.hosts.append(self.ssh_hosts.start(f"SetEnv DGCONSOLE_TEST={self.project.mark} HOME={home}"))
        self.write(clients)

    def write(self, clients: int, local: int = 0) -> None:
        login = f"launcher: ssh, deploy: none, user: {getpass.getuser()}, python: {sys.executable}"
        lines = [
            f"  {host.name}: {{address: {host.address}, port: {host.port}, clients: {clients}, {login}}}\n"
            for host in self.hosts
        ]
        lines += [f"  here: {{clients: {local}}}\n"] * bool(local)
        self.project.write("hosts.yml", f"hosts:\n{''.join(lines)}")

    def folders(self, name: str = ".dgconsole/run/chunks") -> list[Path]:
        return [host.home / name for host in self.hosts]

    def left_aside(self) -> list[Path]:
        """What lies under an attempt's name, anywhere."""
        return [path for host in self.hosts for path in host.home.rglob("*.attempt-*")]


def made(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("[!.]*/*")}


@pytest.fixture
def local(project: Any) -> dict[str, bytes]:
    """What this machine alone makes."""
    project.clients(2)
    assert project.run(TEXT, "--run-dir", "here").status == 0
    files: dict[str, bytes] = project.files("here")
    return files


@pytest.fixture
def far(project: Any, ssh_hosts: Any, local: dict[str, bytes]) -> Far:
    return Far(project, ssh_hosts)


def counted(project: Any, far: Far) -> dict[str, bytes]:
    """Every file that metadata.json speaks of, from where it says that it is."""
    metadata = json.loads((project.run_dir / "chunks" / "metadata.json").read_bytes())
    found: dict[str, bytes] = {}
    for table in metadata["tables"]:
        for data in table["data"]:
            top = Path(data["folder"]) if "host" in data else project.run_dir / "chunks"
            assert "host" not in data or data["host"] in {host.name for host in far.hosts}
            names = [f"{data['directory']}/chunk_{chunk}.txt" for chunk in data["chunks"]]
            names += [f"{data['directory']}/chunk_{chunk}_overlap.txt" for chunk in data.get("overlaps", ())]
            for name in names:
                assert name not in found, "two places count for one chunk"
                found[name] = (top / name).read_bytes()
    return found


def test_two_hosts_keep_what_one_machine_makes(
    project: Any, far: Far, local: dict[str, bytes], loaded_from: Callable[[Path], list[str]]
) -> None:
    far.start(2)
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    kept = [made(folder) for folder in far.folders()]
    assert all(kept)
    assert kept[0].keys().isdisjoint(kept[1])
    assert kept[0] | kept[1] == local
    assert project.files() == {}, "nothing came home"
    assert counted(project, far) == local
    assert project.states() == dict.fromkeys(CHUNKS, "completed")
    assert project.processes() == []
    assert far.left_aside() == []
    for host, folder, files in zip(far.hosts, far.folders(), kept, strict=True):
        assert sorted(path.name for path in folder.iterdir()) == [".dgconsole", "ForcedSource", "Object"]
        for path in (project.run_dir / "chunks").glob("*.json"):
            name = "metadata.json" if path.name == f"{host.name}.metadata.json" else path.name
            if not name.endswith(".metadata.json") and path.name != "metadata.json":
                (folder / name).write_bytes(path.read_bytes())
        assert set(loaded_from(folder)) == set(files), "the host's folder can be served"


def test_a_folder_of_ones_own_and_clients_here_beside_those_there(
    project: Any, far: Far, local: dict[str, bytes], gates: Any, wait_until: Callable[..., None]
) -> None:
    """Who comes first is held up, until the other has made something."""
    project.edit("serverCfg.yml", "collect: false", "collect: false\n  outDir: ~/my sky/chunks")
    far.start(1)
    far.write(clients=1, local=1)
    gates.shut(0)
    console = project.begin(TEXT)
    gates.reached(0)
    wait_until(project.ledger.completed, "the other one makes a chunk")
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    (there,) = far.folders("my sky/chunks")
    assert made(there)
    assert project.files()
    assert made(there).keys().isdisjoint(project.files())
    assert counted(project, far).keys() == local.keys()
    assert counted(project, far) == made(there) | project.files()
    assert {row["host"] for row in project.report()} == {"here", far.hosts[0].name}


@pytest.mark.parametrize("victim", ["client", "console"])
def test_kill_9_and_go_on(
    project: Any,
    far: Far,
    gates: Any,
    ends: Any,
    wait_until: Callable[..., None],
    victim: str,
) -> None:
    far.start(2)
    gates.shut(GATED)
    console = project.begin(TEXT)
    gates.reached(GATED)
    wait_until(lambda: len(project.ledger.completed()) >= 5, "five chunks are made")
    holder = project.holder(GATED)
    if victim == "client":
        os.kill(project.client(holder), signal.SIGKILL)
        gates.open()
        ended = console.end()
    else:
        left = ends(project.processes())
        console.signal(signal.SIGKILL)
        console.end()
        left.wait(10.0)
        done = project.ledger.completed()
        gates.open()
        ended = project.run(TEXT)
        for chunk in done:
            assert project.ledger.attempts(chunk) == [(1, "completed")]
    assert ended.status == 0, ended
    assert project.states() == dict.fromkeys(CHUNKS, "completed")
    assert project.processes() == []
    assert far.left_aside() == []
    found = counted(project, far)
    assert {name for name in found if name.startswith("ForcedSource")} == {
        f"ForcedSource/chunk_{chunk}.txt" for chunk in CHUNKS
    }
    assert sum(len(made(folder)) for folder in far.folders()) >= len(found)
    project.ledger.assert_sound()


def test_another_place_for_the_files_is_another_run(project: Any, far: Far) -> None:
    far.start(1)
    assert project.run("57701").status == 0
    project.edit("serverCfg.yml", "collect: false", "collect: false\n  outDir: /scratch/chunks")
    ended = project.run("57701")
    assert ended.status == 2
    assert "was started without ingest.outDir" in ended.err
    project.edit("serverCfg.yml", "  collect: false\n  outDir: /scratch/chunks\n", "")
    ended = project.run("57701")
    assert ended.status == 2
    assert "was started with ingest.collect, which is not there now" in ended.err


def test_the_files_of_another_run_are_not_mixed_with_ours(project: Any, far: Far) -> None:
    far.start(1, clients=1)
    assert project.run("57701").status == 0
    project.edit("serverCfg.yml", "seed: 1", "seed: 2")
    ended = project.run("57701", "--run-dir", "elsewhere/run")
    assert ended.status == 1, ended
    assert "holds the files of another run: remove it, or name another ingest.outDir" in ended.err
