"""What only the destination ``files`` does: folders, and how errors of the disk are told."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dgconsole.ingest.files import FilesDelivery, FilesDestination
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, is_attempt_name


def test_attempt_names_are_told_from_final_ones() -> None:
    assert is_attempt_name(attempt_name(home_name(12), 3))
    assert not is_attempt_name(home_name(12))
    assert not is_attempt_name("chunk_12.txt.attempt-")
    assert not is_attempt_name(".attempt-1")


def test_a_host_that_does_not_see_the_run_directory_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ChunkError, match="does not see the run directory") as caught:
        FilesDelivery(tmp_path / "elsewhere", ("Object",)).prepare()
    assert caught.value.fault is Fault.DELIVER


def test_a_run_directory_that_vanished_is_a_fault_of_delivery(tmp_path: Path) -> None:
    destination = FilesDestination(tmp_path / "chunks")
    destination.prepare(("Object",))
    (tmp_path / "chunks" / "Object").rmdir()
    refused = destination.accept([(1, 1, {"Object": (home_name(1),)})])
    assert refused[1, 1].fault is Fault.DELIVER


@pytest.fixture
def tiny(tmp_path: Path, need_root: None, need: Callable[[bool, str], None]) -> Iterator[Path]:
    """A file system with room for a few inodes only."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=4", "none", place])
    need(mounted.returncode == 0, "needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_a_fault_of_the_disk(tiny: Path) -> None:
    with pytest.raises(ChunkError, match="No space left") as caught:
        FilesDestination(tiny / "chunks").prepare(tuple(f"Table{number}" for number in range(9)))
    assert caught.value.fault is Fault.DISK
