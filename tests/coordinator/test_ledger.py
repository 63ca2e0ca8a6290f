"""The ledger: whole steps or none, guards of its own, what a new session finds, kill -9, a full disk."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dgconsole.coordinator import events as e
from dgconsole.coordinator import ledger as ledgers
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.ledger import Ledger, Reader
from dgconsole.ingest.destination import TransactionEnd
from dgconsole.support.errors import BugError, InputError
from dgconsole.wire import messages as m

IDS = np.arange(10, 20, dtype=np.int32)
FIGURES = m.Figures((m.TableFigures("Object", 5, 2, 70, {"generate": 0.5}),), {"generate": 0.5})
CLIENT = e.ClientAdded(0, "here-1", "here")
OPEN = e.TransactionOpened(1, 0, 1.0)


def assigned(chunk: int, attempt: int = 1, used: int = 1) -> e.Assigned:
    return e.Assigned(chunk, attempt, used, 0, 1, 2.0)


def ended(chunk: int, attempt: int = 1, state: State = State.COMPLETED, used: int = 1) -> e.Ended:
    done = state is State.COMPLETED
    told = ("completed", "", "", "") if done else ("failed", "generate", "generate", "boom")
    return e.Ended(chunk, attempt, 0, int(state), used, None, 2.0, 5.0, *told, FIGURES if done else None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ledgers.create(tmp_path / "ledger.sqlite", IDS)
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    made = Ledger(path)
    made.start(IDS, 0.0)
    yield made
    made.close()


def states(path: Path) -> dict[int, int]:
    reader = Reader(path)
    try:
        return dict(reader.rows("SELECT chunk, state FROM chunks WHERE state <> 0"))  # type: ignore[arg-type]
    finally:
        reader.close()


def test_a_new_ledger_has_all_targets_pending(path: Path) -> None:
    ledger = Ledger(path)
    kept = ledger.start(IDS, 0.0)
    ledger.close()
    assert kept.chunks.ids.tolist() == IDS.tolist()
    assert kept.chunks.counts == [10, 0, 0, 0, 0]
    assert (kept.names, kept.failures, kept.limbo, kept.next_transaction) == ((), {}, {}, 1)


def test_steps_of_one_chunk_keep_their_order_within_one_commit(ledger: Ledger, path: Path) -> None:
    steps = [
        CLIENT,
        OPEN,
        assigned(10),
        ended(10, state=State.PENDING),
        assigned(10, 2, 2),
        ended(10, 2, State.LIMBO, 2),
        e.Requeued(10),
        assigned(10, 3, 1),
        assigned(11),
        ended(11),
        e.TransactionClosed(1, 9.0),
    ]
    assert ledger.commit(steps) == ""
    assert states(path) == {10: State.ASSIGNED, 11: State.COMPLETED}


@pytest.mark.parametrize(
    "wrong",
    [
        [ended(11)],
        [assigned(10, 2)],
        [ended(10, 2)],
        [assigned(99)],
        [assigned(13, 2)],
        [e.Requeued(10)],
        [e.TransactionClosed(7, 9.0)],
        [e.ClientAdded(1, "here-1", "here")],
        [e.Ended(10, 1, 1, 3, 1, None, 2.0, 5.0, "completed")],
        [assigned(11, used=3)],
    ],
)
def test_a_step_that_contradicts_the_ledger_is_refused_with_all_others(
    ledger: Ledger, path: Path, wrong: list[e.Step]
) -> None:
    assert ledger.commit([CLIENT, OPEN, assigned(10)]) == ""
    with pytest.raises(BugError) as caught:
        ledger.commit([assigned(12), *wrong])
    assert caught.value.story
    assert states(path) == {10: State.ASSIGNED}
    assert ledger.commit([assigned(12)]) == ""


def test_a_second_open_attempt_is_impossible_whatever_the_code_does(ledger: Ledger, path: Path) -> None:
    ledger.commit([CLIENT, OPEN, assigned(10)])
    with sqlite3.connect(path) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(
            "INSERT INTO attempts (chunk, attempt, client, transaction_id, started) VALUES (10, 2, 0, 1, 3)"
        )
    other.close()


def test_a_new_session_finds_what_was_in_work_pending_and_unblamed(ledger: Ledger, path: Path) -> None:
    limbo = ended(12, state=State.LIMBO)
    ledger.commit([CLIENT, OPEN, assigned(10), assigned(11), assigned(12), ended(10), limbo])
    ledger.close()
    again = Ledger(path)
    kept = again.start(np.array([9, 19, 30], np.int32), 77.0)
    again.close()
    chunks = kept.chunks
    assert chunks.ids.tolist() == [9, *IDS.tolist(), 30]
    at = {chunk: chunks.index(chunk) for chunk in (10, 11, 12)}
    assert [State(int(chunks.state[i])) for i in at.values()] == [State.COMPLETED, State.PENDING, State.LIMBO]
    assert [int(chunks.used[i]) for i in at.values()] == [1, 0, 1]
    assert chunks.attempt[at[11]] == 1
    assert (chunks.rows[at[10]], chunks.seconds[at[10]]) == (5, 3.0)
    assert kept.limbo[at[12]].text == "boom"
    assert kept.next_transaction == 2
    reader = Reader(path)
    assert list(reader.rows("SELECT outcome, ended FROM attempts WHERE chunk = 11")) == [("lost", 77.0)]
    reader.close()


def test_attempts_come_back_for_the_totals(ledger: Ledger) -> None:
    ledger.commit([CLIENT, OPEN, assigned(10), ended(10), assigned(11)])
    (only,) = ledger.ended()
    assert (only.chunk, only.figures, only.at - only.started) == (10, FIGURES, 3.0)


def test_what_is_no_ledger_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 100)
    for file in ("text", "."):
        with pytest.raises(InputError) as caught:
            Ledger(tmp_path / file)
        assert len(caught.value.problems) == 1
    with sqlite3.connect(tmp_path / "other") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(InputError, match="not the ledger"):
        Ledger(tmp_path / "other")


def test_a_damaged_ledger_is_refused(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    with pytest.raises(InputError, match="another --run-dir"):
        Ledger(path).start(IDS, 0.0)


def test_making_one_leaves_nothing_half_made(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        ledgers.create(tmp_path / "no" / "ledger.sqlite", IDS)
    ledgers.create(tmp_path / "ledger.sqlite", IDS)
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.sqlite"]


_WRITER = """
import sys
import numpy as np
from pathlib import Path
from dgconsole.coordinator import events as e
from dgconsole.coordinator.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.start(np.arange(0, 5000, dtype=np.int32), 0.0)
assert ledger.commit([e.ClientAdded(0, "here-1", "here"), e.TransactionOpened(1, 0, 1.0)]) == ""
for chunk in range(0, 5000, 2):
    pair = (chunk, chunk + 1)
    assert ledger.commit([e.Assigned(c, 1, 1, 0, 1, 1.0) for c in pair]) == ""
    assert ledger.commit([e.Ended(c, 1, 0, 3, 1, None, 1.0, 2.0, "completed") for c in pair]) == ""
    print(chunk, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 20, 60])
def test_kill_9_loses_nothing_that_was_told(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "ledger.sqlite"
    ledgers.create(path, np.arange(5000, dtype=np.int32))
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    told = [int(writer.stdout.readline()) for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    told += [int(line) for line in writer.communicate()[0].splitlines() if line.isdigit()]
    ledger = Ledger(path)
    kept = ledger.start(np.arange(5000, dtype=np.int32), 9.0)
    ledger.close()
    done = set(kept.chunks.ids[kept.chunks.state == State.COMPLETED].tolist())
    assert {c for first in told for c in (first, first + 1)} <= done
    assert all((chunk ^ 1) in done for chunk in done), "half of a transaction"
    assert kept.chunks.counts[State.ASSIGNED] == 0


_FULL = """
import json, resource, sys
import numpy as np
from pathlib import Path
from dgconsole.coordinator import events as e
from dgconsole.coordinator.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
ledger.start(np.arange(0, 5000, dtype=np.int32), 0.0)
assert ledger.commit([e.ClientAdded(0, "here-1", "here"), e.TransactionOpened(1, 0, 1.0)]) == ""
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
done, trouble = 0, ""
while not trouble:
    trouble = ledger.commit([e.Assigned(done, 1, 1, 0, 1, 1.0)])
    done += not trouble
again = ledger.commit([e.Assigned(done, 1, 1, 0, 1, 1.0)])
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
freed = ledger.commit([e.Assigned(done, 1, 1, 0, 1, 1.0)])
print(json.dumps([done, trouble, again, freed]))
"""


def test_a_limit_on_files_fails_the_commit_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledgers.create(path, np.arange(5000, dtype=np.int32))
    answer = subprocess.run([sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True)
    done, trouble, again, freed = json.loads(answer.stdout)
    assert done > 10
    assert trouble
    assert again
    assert freed == ""
    reader = Reader(path)
    assert next(reader.rows("SELECT count(*) FROM chunks WHERE state = 1"))[0] == done + 1
    reader.close()


@pytest.fixture
def small_disk(tmp_path: Path, need_root: None, need: Callable[[bool, str], None]) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    need(mounted, "may not mount a tmpfs here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_the_commit_and_space_mends_it(small_disk: Path) -> None:
    path = small_disk / "ledger.sqlite"
    ledgers.create(path, IDS)
    ledger = Ledger(path)
    ledger.start(IDS, 0.0)
    assert ledger.commit([CLIENT, OPEN, assigned(10)]) == ""
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    big = e.Ended(10, 1, 0, 4, 1, None, 2.0, 5.0, "failed", "generate", "", "x" * 20_000)
    assert "full" in ledger.commit([big])
    assert states(path) == {10: State.ASSIGNED}
    ballast.unlink()
    assert ledger.commit([big]) == ""
    assert states(path) == {10: State.LIMBO}
    ledger.close()


# ---- what waits for the commit of a transaction


def delivered(chunk: int) -> e.Delivered:
    return e.Delivered(chunk, 1, 0, 2.0, 5.0, FIGURES)


def released(chunk: int, state: State = State.COMPLETED, used: int = 1) -> e.Released:
    done = state is State.COMPLETED
    told = ("completed", "", "", "") if done else ("returned", "stopped", "deliver", "its transaction was undone")
    return e.Released(chunk, 1, 0, int(state), used, None, 2.0, 5.0, *told, FIGURES if done else None)


def loaded(ledger: Ledger, *chunks: int) -> None:
    """A transaction that is open at the destination, with these chunks delivered in it."""
    steps = [CLIENT, OPEN, e.TransactionNumbered(1, 4711), *map(assigned, chunks), *map(delivered, chunks)]
    assert ledger.commit(steps) == ""


def test_a_delivered_chunk_has_its_figures_and_is_not_counted(ledger: Ledger, path: Path) -> None:
    loaded(ledger, 10)
    assert states(path) == {10: State.DELIVERED}
    assert list(ledger.ended()) == []
    with pytest.raises(BugError):
        ledger.commit([assigned(10, 2, 2)])


def test_the_end_of_a_transaction_releases_its_chunks(ledger: Ledger, path: Path) -> None:
    loaded(ledger, 10, 11)
    committed = e.TransactionClosed(1, 9.0, "committed")
    assert ledger.commit([released(10), released(11, State.PENDING, 0), committed]) == ""
    assert states(path) == {10: State.COMPLETED}
    assert [step.figures for step in ledger.ended() if step.outcome == "completed"] == [FIGURES]
    reader = Reader(path)
    assert list(reader.rows("SELECT destination, outcome, ended FROM transactions")) == [(4711, "committed", 9.0)]
    assert list(reader.rows("SELECT rows, outcome FROM attempts WHERE chunk = 11")) == [(0, "returned")]
    reader.close()


def test_what_is_not_delivered_cannot_be_released(ledger: Ledger) -> None:
    assert ledger.commit([CLIENT, OPEN, assigned(10)]) == ""
    with pytest.raises(BugError):
        ledger.commit([released(10)])
    with pytest.raises(BugError):
        ledger.commit([delivered(11)])


@pytest.mark.parametrize(
    ("ends", "state", "used", "outcome"),
    [
        ({1: TransactionEnd.COMMITTED}, State.COMPLETED, 1, "committed"),
        ({1: TransactionEnd.ABORTED}, State.PENDING, 0, "aborted"),
        ({}, State.PENDING, 0, "aborted"),
        ({7: TransactionEnd.COMMITTED}, State.PENDING, 0, "aborted"),
    ],
)
def test_after_a_crash_the_destination_knows_what_became_of_it(
    path: Path, ends: dict[int, TransactionEnd], state: State, used: int, outcome: str
) -> None:
    ledger = Ledger(path)
    ledger.start(IDS, 0.0)
    loaded(ledger, 10)
    ledger.close()
    again = Ledger(path)
    kept = again.start(IDS, 20.0, ends)
    assert (kept.chunks.state[0], kept.chunks.used[0], kept.failures) == (state, used, {})
    assert [step.chunk for step in again.ended() if step.outcome == "completed"] == [10] * (state is State.COMPLETED)
    assert again.note("finished") is None
    again.close()
    reader = Reader(path)
    assert list(reader.rows("SELECT outcome FROM transactions")) == [(outcome,)]
    reader.close()


def test_a_transaction_that_the_ledger_knows_to_be_over_stays_as_it_is(path: Path) -> None:
    ledger = Ledger(path)
    ledger.start(IDS, 0.0)
    loaded(ledger, 10)
    assert ledger.commit([released(10), e.TransactionClosed(1, 9.0, "committed")]) == ""
    kept = ledger.start(IDS, 20.0, {1: TransactionEnd.COMMITTED})
    assert kept.chunks.state[0] == State.COMPLETED
    ledger.close()


def test_a_transaction_that_was_committed_half_full_is_refused(path: Path) -> None:
    ledger = Ledger(path)
    ledger.start(IDS, 0.0)
    loaded(ledger, 10)
    assert ledger.commit([assigned(11)]) == ""
    with pytest.raises(InputError, match="chunk 11 of it was not whole"):
        ledger.start(IDS, 20.0, {1: TransactionEnd.COMMITTED})
    assert states(path) == {10: State.DELIVERED, 11: State.ASSIGNED}
    ledger.close()


def test_whether_all_is_there_and_what_was_noted(path: Path) -> None:
    ledger = Ledger(path)
    ledger.start(IDS, 0.0)
    assert not ledger.whole(IDS)
    assert ledger.commit([CLIENT, OPEN, *map(assigned, range(10, 20)), *map(ended, range(10, 20))]) == ""
    assert ledger.whole(IDS)
    assert not ledger.whole(np.append(IDS, np.int32(500)))
    assert ledger.note("finished") is None
    assert ledger.write_note("finished", "yes") == ""
    assert ledger.write_note("finished", "again") == ""
    ledger.close()
    again = Ledger(path)
    assert again.note("finished") == "again"
    again.close()
