"""Files that stay on their host: who has which folder, what an order to keep does, and what is left when it fails."""

import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from dgconsole.ingest.keep import KeepDelivery, host_folder, owner_of
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name

TABLES = ("Object", "Source")
BOTH = {"Object": {"chunk_7.txt": "o\n", "chunk_7_overlap.txt": "v\n"}, "Source": {"chunk_7.txt": "s\n"}}
Texts = dict[str, dict[str, str]]


@dataclass
class File:
    name: str
    path: Path
    bytes: int
    rows: int = 1
    overlap: bool = False


@dataclass
class Table:
    table: str
    files: tuple[File, ...]


def client(root: Path, name: str = "far-1-00000001", run: str = "a-digest") -> KeepDelivery:
    return KeepDelivery(root, name, TABLES, directors=["Object"], run=run)


def write(delivery: KeepDelivery, attempt: int, texts: Texts) -> None:
    tables = []
    for table, files in texts.items():
        written = []
        for name, text in files.items():
            path = delivery.folder(table, 7) / attempt_name(name, attempt)
            path.write_text(text)
            written.append(File(name, path, len(text)))
        tables.append(Table(table, tuple(written)))
    delivery.deliver(7, attempt, tables)


def final(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.glob("[!.]*/*")}


def aside(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob(".*/*/*"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "some" / "chunks"


@pytest.fixture
def delivery(root: Path) -> KeepDelivery:
    made = client(root)
    made.prepare()
    return made


def test_files_have_their_names_when_they_are_kept_and_not_before(root: Path, delivery: KeepDelivery) -> None:
    write(delivery, 1, BOTH)
    assert final(root) == {}
    delivery.keep(7, 1)
    assert final(root) == {
        "Object/chunk_7.txt": "o\n",
        "Object/chunk_7_overlap.txt": "v\n",
        "Source/chunk_7.txt": "s\n",
    }
    assert aside(root) == []


def test_a_file_of_an_earlier_attempt_that_the_new_one_lacks_goes(root: Path, delivery: KeepDelivery) -> None:
    write(delivery, 1, BOTH)
    delivery.keep(7, 1)
    write(delivery, 2, {"Object": {"chunk_7_overlap.txt": "new\n"}})
    delivery.keep(7, 2)
    assert final(root) == {"Object/chunk_7_overlap.txt": "new\n"}


def test_a_director_without_overlap_rows_has_an_empty_overlap_file(root: Path, delivery: KeepDelivery) -> None:
    write(delivery, 1, {"Object": {"chunk_7.txt": "o\n"}, "Source": {"chunk_7.txt": "s\n"}})
    delivery.keep(7, 1)
    assert final(root)["Object/chunk_7_overlap.txt"] == ""
    assert "Source/chunk_7_overlap.txt" not in final(root)


def test_a_chunk_without_rows_is_kept_without_files(root: Path, delivery: KeepDelivery) -> None:
    write(delivery, 1, {"Object": {}})
    delivery.keep(7, 1)
    assert final(root) == {}


def test_an_attempt_that_is_not_there_is_not_kept(root: Path, delivery: KeepDelivery) -> None:
    write(delivery, 1, BOTH)
    delivery.discard(7, 1)
    for attempt in (1, 2):
        with pytest.raises(ChunkError, match=f"attempt {attempt} is not on this host") as caught:
            delivery.keep(7, attempt)
        assert caught.value.fault is Fault.DELIVER
    assert (final(root), aside(root)) == ({}, [])


def test_what_cannot_be_kept_takes_nothing_from_others(root: Path, delivery: KeepDelivery) -> None:
    """Another client of the host may have made the chunk meanwhile, and its files count."""
    other = client(root, "far-2-00000002")
    other.prepare()
    write(other, 2, {"Object": BOTH["Object"]})
    write(delivery, 1, BOTH)
    other.keep(7, 2)
    (root / "Source" / "chunk_7.txt").mkdir()
    with pytest.raises(ChunkError, match=r"chunk_7\.txt") as caught:
        delivery.keep(7, 1)
    assert caught.value.fault is Fault.DELIVER
    assert sorted(path.name for path in root.glob("Object/*")) == ["chunk_7.txt", "chunk_7_overlap.txt"]
    assert aside(root) == []


def test_a_client_clears_what_its_former_self_left_and_nothing_of_its_neighbour(
    root: Path, delivery: KeepDelivery
) -> None:
    neighbour = client(root, "far-2-00000002")
    neighbour.prepare()
    write(neighbour, 4, {"Source": {"chunk_7.txt": "theirs\n"}})
    write(delivery, 1, BOTH)
    die(delivery)
    client(root).prepare()
    assert aside(root) == ["chunk_7.txt.attempt-4"]
    neighbour.keep(7, 4)
    assert final(root) == {"Source/chunk_7.txt": "theirs\n"}


def die(delivery: KeepDelivery) -> None:
    """What is left of a client that was killed: files, and no lock."""
    os.close(delivery._folder._lock)
    delivery._folder._lock = -1


@pytest.mark.parametrize("when", ["starts", "leaves"])
def test_what_a_dead_neighbour_left_is_cleared_by_who(root: Path, delivery: KeepDelivery, when: str) -> None:
    neighbour = client(root, "far-2-00000002")
    neighbour.prepare()
    write(neighbour, 4, BOTH)
    die(neighbour)
    (root / ".made.by-hand").mkdir()
    (root / ".being-made-00000003").mkdir()
    if when == "starts":
        client(root, "far-3-00000003").prepare()
    else:
        delivery.close()
    assert aside(root) == []
    assert not (root / ".far-2-00000002").exists()
    assert (root / ".made.by-hand").is_dir()
    assert (root / ".being-made-00000003").is_dir()


def test_two_clients_do_not_have_one_folder(
    root: Path, delivery: KeepDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgconsole.ingest.aside.PATIENCE", 0.0)
    write(delivery, 1, BOTH)
    with pytest.raises(ChunkError, match="far-1-00000001 is another client's"):
        client(root).prepare()
    assert len(aside(root)) == 3


def test_a_folder_that_is_cleared_as_its_client_starts_again(
    root: Path, delivery: KeepDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is the same file for both only as long as it is there."""
    write(delivery, 1, BOTH)
    die(delivery)
    flock = fcntl.flock

    def cleared_before(fd: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        client(root, "far-2-00000002").prepare()
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", cleared_before)
    again = client(root)
    again.prepare()
    assert aside(root) == []
    write(again, 2, BOTH)
    again.keep(7, 2)
    assert len(final(root)) == 3


def test_where_there_are_no_locks_nobody_clears_for_others(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    for name in ("far-1-00000001", "far-2-00000002"):
        made = client(root, name)
        made.prepare()
        write(made, 1, BOTH)
    assert len(aside(root)) == 6
    client(root).prepare()
    assert len(aside(root)) == 3


def test_who_leaves_takes_all_but_what_is_kept(root: Path, delivery: KeepDelivery) -> None:
    write(delivery, 1, BOTH)
    delivery.keep(7, 1)
    write(delivery, 2, BOTH)
    delivery.close()
    assert sorted(path.name for path in root.iterdir()) == [".dgconsole", "Object", "Source"]
    assert len(final(root)) == 3


def test_the_files_of_another_run_are_not_mixed_with_ours(root: Path, delivery: KeepDelivery) -> None:
    with pytest.raises(ChunkError, match="holds the files of another run: remove it"):
        client(root, "far-2-00000002", run="another").prepare()
    assert not (root / ".far-2-00000002").exists()
    client(root, "far-2-00000002").prepare()


def test_a_folder_that_cannot_be_made_is_a_fault_of_delivery(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChunkError, match="file") as caught:
        client(tmp_path / "file" / "chunks").prepare()
    assert caught.value.fault is Fault.DELIVER


def test_a_link_in_place_of_its_own_folder_is_not_followed(tmp_path: Path, root: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root.mkdir(parents=True)
    (root / ".far-1-00000001").symlink_to(elsewhere)
    client(root).prepare()
    assert (root / ".far-1-00000001").is_dir()
    assert not (root / ".far-1-00000001").is_symlink()
    assert list(elsewhere.iterdir()) == []


def test_every_working_directory_has_an_owner_of_its_own() -> None:
    owners = {owner_of(Path(path)) for path in ("/w/run/far-1", "/w/run/far-2", "/w/other/far-1")}
    assert len(owners) == 3
    assert all(owner.startswith("far-") for owner in owners)


def test_a_home_is_that_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/gen")
    assert host_folder("~/sky/../chunks") == Path("/home/gen/chunks")
    assert host_folder("/scratch/chunks/") == Path("/scratch/chunks")
    with pytest.raises(ChunkError, match="nobody-is-called-so"):
        host_folder("~nobody-is-called-so/chunks")
