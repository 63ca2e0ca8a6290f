"""The workdir: its lock, what is cleared and what stays, and how it goes bad."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dgconsole.client.workdir import KEPT_FAILURES, LOCK, Workdir
from dgconsole.support.errors import ChunkError, Fault, InputError

HOLDER = """
import sys
from pathlib import Path
from dgconsole.client.workdir import Workdir
workdir = Workdir(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workdir:
    monkeypatch.chdir(tmp_path)  # so that the current directory comes back afterwards
    return Workdir(tmp_path / "here-1")


def test_a_new_workdir_is_private_and_becomes_the_current_directory(workdir: Workdir) -> None:
    workdir.enter()
    assert stat.S_IMODE(workdir.path.stat().st_mode) == 0o700
    assert Path.cwd() == workdir.path


def test_one_client_per_workdir(workdir: Workdir) -> None:
    with pytest.raises(InputError, match=r"another client works in .*here-1 \(process") as caught:
        Workdir(workdir.path)
    assert len(str(caught.value).splitlines()) == 1


def test_kill_9_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "w"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(InputError, match=str(holder.pid)):
        Workdir(path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    Workdir(path)


def test_leftovers_of_its_own_are_cleared_and_nothing_else(workdir: Workdir) -> None:
    path = workdir.path
    for name in (
        "bundle/spec/a.py",
        "csv/chunk1_CT_Object.csv",
        "csv/chunk2_CT_Object.csv.part",
        "failed/chunk_1_attempt-1.txt",
        "notes.txt",
        "client.log",
    ):
        (path / name).parent.mkdir(exist_ok=True, parents=True)
        (path / name).write_text("x")
    workdir.enter()
    left = sorted(str(found.relative_to(path)) for found in path.rglob("*") if found.is_file())
    assert left == [LOCK, "client.log", "csv/chunk1_CT_Object.csv", "failed/chunk_1_attempt-1.txt", "notes.txt"]


def test_a_bundle_that_is_a_link_is_not_followed(workdir: Workdir, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    workdir.bundle.symlink_to(tmp_path / "precious")
    workdir.enter()
    assert (tmp_path / "precious" / "file").exists()
    assert not workdir.bundle.is_symlink()


def test_a_workdir_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--workdir: .*file/w cannot be used: Not a directory"):
        Workdir(tmp_path / "file" / "w")


def test_a_workdir_that_is_gone_or_replaced_shows_before_the_next_chunk(workdir: Workdir) -> None:
    workdir.check()
    moved = workdir.path.rename(workdir.path.with_name("moved"))
    with pytest.raises(ChunkError, match="is gone") as caught:
        workdir.check()
    assert caught.value.fault is Fault.WORKDIR
    workdir.path.mkdir()
    with pytest.raises(ChunkError, match="replaced"):
        workdir.check()
    assert moved.exists()


def test_a_full_disk_shows_before_the_next_chunk(workdir: Workdir, monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(os.statvfs(workdir.path))
    values[4] = 0
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(values))
    with pytest.raises(ChunkError, match="no space left") as caught:
        workdir.check()
    assert caught.value.fault is Fault.DISK


def test_the_last_failures_are_kept(workdir: Workdir) -> None:
    for chunk in range(6):
        workdir.note_failure(chunk, 1, f"story {chunk}")
        note = workdir.path / "failed" / f"chunk_{chunk}_attempt-1.txt"
        os.utime(note, ns=(chunk, chunk))
    notes = sorted((workdir.path / "failed").iterdir())
    assert [note.read_text() for note in notes] == [f"story {chunk}" for chunk in range(6 - KEPT_FAILURES, 6)]


def test_a_note_that_cannot_be_kept_is_no_error(workdir: Workdir) -> None:
    (workdir.path / "failed").touch()
    workdir.note_failure(1, 1, "story")
