"""The delivery that sends files: what it says, in which order, and what it leaves behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dgconsole.ingest.collect import BLOCK, CollectDelivery
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, overlap_name
from dgconsole.wire.messages import FileBegin, FileData, FileEnd, file_digest

TABLES = ("Object", "Source")


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


def written(delivery: CollectDelivery, table: str, attempt: int, **texts: bytes) -> Table:
    names = {"home": home_name(7), "overlap": overlap_name(7)}
    files = []
    for kind, text in texts.items():
        path = delivery.folder(table, 7) / attempt_name(names[kind], attempt)
        path.write_bytes(text)
        files.append(File(names[kind], path, len(text)))
    return Table(table, tuple(files))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def said() -> list[Any]:
    return []


@pytest.fixture
def delivery(tmp_path: Path, said: list[Any]) -> CollectDelivery:
    made = CollectDelivery(tmp_path / "out", TABLES, said.append)
    made.prepare()
    return made


def test_files_are_said_whole_one_after_the_other_then_removed(
    tmp_path: Path, delivery: CollectDelivery, said: list[Any]
) -> None:
    long = bytes(range(256)) * (BLOCK // 128)
    tables = [written(delivery, "Object", 2, home=long, overlap=b"x\n"), written(delivery, "Source", 2, home=b"y\n")]
    delivery.deliver(7, 2, tables)
    assert [message for message in said if isinstance(message, FileBegin)] == [
        FileBegin(7, 2, "Object", "chunk_7.txt", len(long)),
        FileBegin(7, 2, "Object", "chunk_7_overlap.txt", 2),
        FileBegin(7, 2, "Source", "chunk_7.txt", 2),
    ]
    end = next(k for k, message in enumerate(said) if isinstance(message, FileEnd))
    pieces = said[1:end]
    assert all(isinstance(piece, FileData) and len(piece.data) <= BLOCK for piece in pieces)
    assert b"".join(piece.data for piece in pieces) == long
    digest = file_digest()
    digest.update(long)
    assert said[end] == FileEnd(digest.hexdigest())
    assert left(tmp_path) == []


def test_preparing_clears_what_an_earlier_client_left(tmp_path: Path, delivery: CollectDelivery) -> None:
    written(delivery, "Object", 1, home=b"old\n")
    delivery.prepare()
    assert left(tmp_path) == []
    assert delivery.folder("Source", 7).is_dir()


@pytest.mark.parametrize(("text", "size"), [(b"half", 9), (b"more than was written", 9)])
def test_a_file_of_another_size_is_not_ended(
    tmp_path: Path, delivery: CollectDelivery, said: list[Any], text: bytes, size: int
) -> None:
    table = written(delivery, "Object", 1, home=text)
    table.files[0].bytes = size
    with pytest.raises(ChunkError, match="9 were written") as caught:
        delivery.deliver(7, 1, [table])
    assert caught.value.fault is Fault.DELIVER
    assert not any(isinstance(message, FileEnd) for message in said)
    delivery.discard(7, 1)
    delivery.discard(7, 1)
    assert left(tmp_path) == []


def test_a_file_that_is_gone_is_a_fault_of_the_workdir(delivery: CollectDelivery) -> None:
    table = written(delivery, "Object", 1, home=b"x")
    table.files[0].path.unlink()
    with pytest.raises(ChunkError, match="No such file") as caught:
        delivery.deliver(7, 1, [table])
    assert caught.value.fault is Fault.WORKDIR


def test_what_the_way_says_goes_through(tmp_path: Path) -> None:
    def stopped(message: object) -> None:
        raise ChunkError(Fault.STOPPED, "abandoned")

    delivery = CollectDelivery(tmp_path / "out", TABLES, stopped)
    delivery.prepare()
    with pytest.raises(ChunkError, match="abandoned"):
        delivery.deliver(7, 1, [written(delivery, "Object", 1, home=b"x")])
    assert left(tmp_path) == ["chunk_7.txt.attempt-1"], "the maker discards it"
