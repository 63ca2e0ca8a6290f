"""Files as they come in: what is kept, what is refused, and that nothing is left of what is not given away."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from dgconsole.coordinator.incoming import Incoming
from dgconsole.support.errors import ChunkError, Fault, PeerError
from dgconsole.wire import messages as m

TEXT = b"1\t2\t3\n" * 1000


def digest(data: bytes) -> str:
    made = m.file_digest()
    made.update(data)
    return made.hexdigest()


def file(data: bytes = TEXT, *, name: str = "chunk_5.txt", attempt: int = 1, step: int = 999) -> list[m.FileMessage]:
    pieces = [m.FileData(data[k : k + step]) for k in range(0, len(data), step)]
    return [m.FileBegin(5, attempt, "Object", name, len(data)), *pieces, m.FileEnd(digest(data))]


def figures(rows: int = 1, overlap: int = 0, size: int = len(TEXT)) -> m.Figures:
    return m.Figures((m.TableFigures("Object", rows, overlap, size, {}),), {})


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "Object").iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Object").mkdir()
    return tmp_path


@pytest.fixture
def incoming(root: Path) -> Incoming:
    return Incoming(root, ["Object"])


@pytest.fixture
def take(incoming: Incoming) -> Callable[..., list[ChunkError]]:
    """Take messages; the failures that were told."""

    def all_of(messages: list[m.FileMessage], *, held: bool = True) -> list[ChunkError]:
        return [error for message in messages if (error := incoming.take(message, held=held))]

    return all_of


Take = Callable[..., list[ChunkError]]


def test_a_whole_attempt_is_given_away_and_stays(root: Path, incoming: Incoming, take: Take) -> None:
    assert take([*file(), *file(b"o\n", name="chunk_5_overlap.txt")]) == []
    assert names(root) == ["chunk_5.txt.attempt-1", "chunk_5_overlap.txt.attempt-1"]
    assert incoming.give((5, 1), figures(1, 1, len(TEXT) + 2)) is None
    incoming.drop()
    assert (root / "Object" / "chunk_5.txt.attempt-1").read_bytes() == TEXT


def test_what_is_not_given_away_goes(root: Path, incoming: Incoming, take: Take) -> None:
    take([*file(), *file(name="chunk_5_overlap.txt")[:3]])
    incoming.drop((5, 2))
    incoming.drop((6, 1))
    assert len(names(root)) == 2
    incoming.drop((5, 1))
    assert names(root) == []


def test_a_chunk_without_rows_has_no_files(incoming: Incoming) -> None:
    assert incoming.give((5, 1), figures(0, 0, 0)) is None


@pytest.mark.parametrize("report", [figures(1, 1), figures(0, 0, 0), figures(1, 0, 5), m.Figures((), {})])
def test_a_report_that_the_files_do_not_bear_out(
    root: Path, incoming: Incoming, take: Take, report: m.Figures
) -> None:
    take(file())
    failure = incoming.give((5, 1), report)
    assert failure is not None
    assert failure.fault is Fault.DELIVER
    assert names(root) == []


def test_a_report_on_another_attempt_has_no_files(root: Path, incoming: Incoming, take: Take) -> None:
    take(file())
    failure = incoming.give((5, 2), figures())
    assert failure is not None
    assert names(root) == ["chunk_5.txt.attempt-1"]


@pytest.mark.parametrize("at", [0, 1, -1])
def test_a_spoilt_byte_fails_the_attempt(root: Path, incoming: Incoming, take: Take, at: int) -> None:
    messages = file()
    spoilt = bytearray(TEXT)
    spoilt[at] ^= 1
    messages[1:-1] = [m.FileData(bytes(spoilt))]
    (failure,) = take(messages)
    assert failure.fault is Fault.DELIVER
    assert "chunk 5: Object/chunk_5.txt was spoilt" in failure.text
    assert names(root) == []
    assert take(file(b"o\n", name="chunk_5_overlap.txt")) == [], "the rest is passed over"
    assert names(root) == []
    assert incoming.give((5, 1), figures(1, 1, len(TEXT) + 2)) is failure
    assert take(file(attempt=2)) == []
    assert incoming.give((5, 2), figures()) is None


def test_an_attempt_that_is_not_held_is_passed_over(root: Path, take: Take) -> None:
    assert take(file(), held=False) == []
    assert names(root) == []


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([m.FileBegin(5, 1, "Objects", "chunk_5.txt", 1)], "'Objects'"),
        ([m.FileBegin(5, 1, "..", "chunk_5.txt", 1)], "'..'"),
        ([m.FileBegin(5, 1, "Object", "chunk_6.txt", 1)], "chunk_6.txt"),
        ([m.FileBegin(5, 1, "Object", "../chunk_5.txt", 1)], "../chunk_5"),
        ([m.FileBegin(5, 1, "Object", "chunk_5.txt.attempt-1", 1)], "attempt"),
        ([m.FileData(b"x")], "without a file"),
        ([m.FileEnd("")], "without a file"),
        ([*file()[:-1], m.FileData(b"x")], "more of chunk_5.txt than the 6,000 bytes"),
        ([*file()[:-2], m.FileEnd("")], "5,994 bytes of chunk_5.txt, not the 6,000"),
        ([*file()[:2], *file(name="chunk_5_overlap.txt")], "without its end"),
        ([*file(), *file()], "twice"),
        ([*file(), *file(attempt=2)[:2], m.FileBegin(5, 1, "Object", "chunk_5.txt", 1)], "without its end"),
    ],
)
def test_what_no_client_of_ours_sends(
    root: Path, incoming: Incoming, take: Take, messages: list[m.FileMessage], words: str
) -> None:
    with pytest.raises(PeerError, match=words):
        take(messages)
    incoming.drop()
    assert names(root) == []


def test_files_that_were_given_away_are_not_written_again(root: Path, incoming: Incoming, take: Take) -> None:
    take(file())
    incoming.give((5, 1), figures())
    with pytest.raises(PeerError, match="twice"):
        take(file(b"other\n"))
    incoming.drop()
    assert (root / "Object" / "chunk_5.txt.attempt-1").read_bytes() == TEXT


def test_a_report_in_the_middle_of_a_file(incoming: Incoming, take: Take) -> None:
    take(file()[:-1])
    with pytest.raises(PeerError, match="without its end"):
        incoming.give((5, 1), figures())


def test_a_link_in_the_way_is_not_followed(root: Path, take: Take) -> None:
    (root / "target").write_text("precious")
    (root / "Object" / "chunk_5.txt.attempt-1").symlink_to(root / "target")
    with pytest.raises(PeerError):
        take(file())
    assert (root / "target").read_text() == "precious"


@pytest.fixture
def full(root: Path) -> Iterator[Path]:
    """A folder that is gone."""
    (root / "Object").rmdir()
    yield root
    (root / "Object").mkdir()


def test_trouble_at_the_console_is_told_once_and_the_rest_passed_over(
    full: Path, incoming: Incoming, take: Take
) -> None:
    (failure,) = take([*file(), *file(name="chunk_5_overlap.txt")])
    assert failure.fault is Fault.DISK
    assert "No such file" in failure.text
    assert incoming.give((5, 1), figures()) is failure


@pytest.mark.parametrize("seed", range(20))
def test_nothing_at_random_leaves_anything_or_an_open_file(root: Path, seed: int) -> None:
    random = Random(seed)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        incoming = Incoming(root, ["Object"])
        messages = [message for k in range(4) for message in file(attempt=1 + k // 2, step=3000)]
        for _ in range(random.randint(0, 3)):
            messages.insert(random.randrange(len(messages)), random.choice(messages))
            messages.pop(random.randrange(len(messages)))
        try:
            for message in messages:
                incoming.take(message, held=random.random() < 0.8)
        except PeerError:
            pass
        incoming.drop()
        assert names(root) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before
