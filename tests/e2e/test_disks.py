"""Full disks and workdirs that can't be used: the run ends with words and its report, and goes on once it can."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [*range(39600, 39612)]
TEXT = "39600:39611"
"""Ten megabytes."""


@pytest.mark.parametrize("size", ["1500k", "5m"])
def test_a_full_disk(project: Any, mount: Callable[[Path, str], None], size: str) -> None:
    """Room for a bit of the run; then for all of it."""
    project.run_dir = project.folder / "disk" / "run"
    mount(project.run_dir.parent, f"size={size}")
    ended = project.run(TEXT, "--run-dir", "disk/run")
    assert ended.status == 1, ended
    assert "Traceback" not in ended.err
    assert "space left" in ended.err
    assert re.search(r"of 12 chunks are made, \d+ not made\. Ended: no client is left\.", ended.out)
    assert project.processes() == []
    made = project.ledger.completed()
    assert len(made) < len(CHUNKS)
    mount(project.run_dir.parent, "size=100m")
    ended = project.run(TEXT, "--run-dir", "disk/run")
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    for chunk in made:
        assert [outcome for _, outcome in project.ledger.attempts(chunk)].count("completed") == 1


def test_a_disk_that_fills_up_to_the_last_byte(project: Any, gates: Any, mount: Callable[[Path, str], None]) -> None:
    """Not even the ledger can be written any more, nor the report."""
    project.run_dir = project.folder / "disk" / "run"
    mount(project.run_dir.parent, "size=40m")
    gates.shut(39605)
    console = project.begin(TEXT, "--run-dir", "disk/run")
    gates.reached(39605)
    ballast = project.run_dir.parent / "ballast"
    fill(ballast)
    gates.open()
    ended = console.end()
    assert ended.status == 1, ended
    assert "Traceback" not in ended.err
    assert "of 12 chunks are made" in ended.out
    assert project.processes() == []
    project.ledger.assert_sound()
    ballast.unlink()
    ended = project.run(TEXT, "--run-dir", "disk/run")
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)


def test_a_ledger_that_cannot_be_written(
    project: Any, gates: Any, mount: Callable[[Path, str], None], tmp_path: Path
) -> None:
    """The chunks go to another disk, which has room: nothing is handed out that is not in the books."""
    project.run_dir = project.folder / "disk" / "run"
    project.write("hosts.yml", "hosts: {here: {clients: 2, workdir: w}}\n")
    mount(project.run_dir.parent, "size=8m")
    (tmp_path / "big").mkdir()
    project.run_dir.mkdir()
    (project.run_dir / "chunks").symlink_to(tmp_path / "big")
    gates.shut(39605)
    console = project.begin(TEXT, "--run-dir", "disk/run", "--chunks-per-request", "1")
    gates.reached(39605)
    ballast = project.run_dir.parent / "ballast"
    fill(ballast)
    gates.open()
    ended = console.end()
    assert ended.status == 1, ended
    assert "Traceback" not in ended.err
    assert "The ledger cannot be written, handing out is paused: " in ended.err
    assert "report.csv: cannot be written: No space left on device" in ended.err
    assert project.processes() == []
    project.ledger.assert_sound()
    made = project.ledger.completed()
    ballast.unlink()
    ended = project.run(TEXT, "--run-dir", "disk/run")
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    for chunk in made:
        assert [outcome for _, outcome in project.ledger.attempts(chunk)].count("completed") == 1


def fill(path: Path) -> None:
    """A file that takes all that is left of its disk."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def test_no_room_for_a_run_directory(project: Any, mount: Callable[[Path, str], None]) -> None:
    mount(project.folder / "disk", "size=20k")
    ended = project.run(TEXT, "--run-dir", "disk/run")
    assert ended.status == 2, ended
    (line,) = ended.err.splitlines()
    assert "disk/run" in line
    assert "No space left on device" in line
    assert project.processes() == []
    assert not (project.folder / "disk" / "run" / "plan" / "plan.json").exists()


def test_a_read_only_place_for_the_run_directory(project: Any, mount: Callable[[Path, str], None]) -> None:
    mount(project.folder / "disk", "size=1m,ro")
    ended = project.run(TEXT, "--run-dir", "disk/run")
    assert ended.status == 2, ended
    (line,) = ended.err.splitlines()
    assert "disk/run" in line
    assert "Read-only file system" in line


def test_workdirs_that_cannot_be_written(project: Any, mount: Callable[[Path, str], None]) -> None:
    """No client can work: the run ends by itself, with the report."""
    mount(project.folder / "w", "size=1m,ro")
    project.write("hosts.yml", "hosts: {here: {clients: 2, workdir: w}}\n")
    ended = project.run(TEXT)
    assert ended.status == 1, ended
    assert "Read-only file system" in ended.out + ended.err + project.console_log()
    assert "no client is left" in ended.out
    assert "Traceback" not in ended.err
    assert project.states() == dict.fromkeys(CHUNKS, "pending")
    assert project.processes() == []


def test_one_workdir_too_small(project: Any, mount: Callable[[Path, str], None]) -> None:
    """That client gives up; the others make the chunks."""
    mount(project.folder / "w", "size=64k")
    project.write("hosts.yml", "hosts:\n  bad: {workdir: w, clients: 1}\n  good: {clients: 1}\n")
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert {row["host"] for row in project.report()} == {"good"}
    assert "space left" in (project.run_dir / "logs" / "bad-1.log").read_text()


def test_a_workdir_taken_away_in_mid_run(project: Any, gates: Any) -> None:
    """Its client gives up when it sees; the run ends when nobody is left, and goes on when told to."""
    project.write("hosts.yml", "hosts: {here: {clients: 1, workdir: w}}\n")
    gates.shut(39605)
    console = project.begin(TEXT)
    gates.reached(39605)
    shutil.move(project.folder / "w", project.folder / "gone")
    gates.open()
    ended = console.end()
    assert ended.status == 1, ended
    assert "gone" in ended.out + ended.err + project.console_log()
    assert len(project.report()) == len(CHUNKS)
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)
