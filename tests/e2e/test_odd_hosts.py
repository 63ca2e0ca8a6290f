"""Runs over SSH on hosts with too little disk, with clients that print without measure, and by the direct way."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [*range(39600, 39612)]
TEXT = "39600:39611"
LAST = 39611


@pytest.mark.parametrize("size", ["8k", "600k"])
def test_a_host_whose_disk_is_full(project: Any, far: Any, mount: Callable[[Path, str], None], size: str) -> None:
    """Its clients give up and say why; the other host makes what they could not."""
    project.generator("time.sleep(0.05)", "import time\n")
    full, good = far.host(clients="1"), far.host(clients="1")
    mount(full.home, f"size={size}")
    far.write()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert {row["host"] for row in project.report()} == {good.name}
    assert re.search(rf"{full.name}-1: .*no space left", project.console_log(), re.IGNORECASE)
    assert "Traceback" not in ended.err
    assert project.processes() == []
    assert [path for path in full.home.rglob("chunk_*") if path.parent.name != "failed"] == []


def test_a_spec_that_prints_100_MB(project: Any, far: Any, gates: Any, wait_until: Callable[..., None]) -> None:
    """The console stays small, no client is taken for silent, and the work is done."""
    project.edit("fakeGenSpec.py", "gate(rows.chunk)", "print(TALK); gate(rows.chunk)")
    project.edit("fakeGenSpec.py", "spec = {", "TALK = ('x' * 99 + '\\n') * 80_000\n\n\nspec = {")
    host = far.host()
    far.write()
    gates.shut(LAST)
    console = project.begin(TEXT)
    gates.reached(LAST)
    wait_until(lambda: len(project.ledger.completed()) >= len(CHUNKS) - 3, "nearly all are made")
    status = Path(f"/proc/{console.pid}/status").read_text()
    most = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
    assert most < 250_000, "kilobytes"
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert {row["attempts"] for row in project.report()} == {"1"}
    logs = [project.run_dir / "logs" / f"{host.name}-{n}.log" for n in (1, 2)]
    said = "".join(path.read_text() for path in logs)
    assert re.search(rf"MB left out here, whole in {host.name}:~/.dgconsole/run/{host.name}-\d/client.log", said)
    assert sum(path.stat().st_size for path in logs) < 60_000_000
    assert project.processes() == []


def test_clients_that_come_by_the_direct_way(project: Any, far: Any, wait_until: Callable[..., None]) -> None:
    """Where forwards are forbidden; the port is open to the network, and that is said."""
    host = far.host("DisableForwarding yes", connect="direct")
    far.write()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert {row["host"] for row in project.report()} == {host.name}
    assert "is open to the network" in project.console_log()
    assert project.processes() == []


def test_two_consoles_work_on_one_host_at_once(project: Any, far: Any) -> None:
    """Each run has working directories of its own there; both are whole, with the same bytes."""
    far.host()
    far.write()
    first = project.begin(TEXT)
    second = project.begin(TEXT, "--run-dir", "second")
    for console in (first, second):
        ended = console.end()
        assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert project.files() == project.files("second")
    assert project.processes() == []
