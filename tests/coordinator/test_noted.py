"""Totals noted by one session and taken by the next: never others than adding up every attempt gives."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgconsole.coordinator import events as e
from dgconsole.coordinator import ledger as ledgers
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.ledger import Ledger
from dgconsole.coordinator.noted import TOTALS, note_totals, tally_of
from dgconsole.coordinator.tally import Tally
from dgconsole.wire import messages as m

COUNT = 12
NAMES = (("here-1", "here"), ("there-1", "there"))
OPEN = [e.ClientAdded(0, *NAMES[0]), e.ClientAdded(1, *NAMES[1]), e.TransactionOpened(1, 0, 1.0)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "ledger.sqlite"
    path.unlink(missing_ok=True)
    ledgers.create(path, np.arange(COUNT, dtype=np.int32))
    made = Ledger(path)
    assert made.commit(OPEN) == ""
    yield made
    made.close()


def made(chunk: int, at: float, outcome: str = "completed") -> list[e.Step]:
    """The whole life of one attempt."""
    client = chunk % 2
    figures = m.Figures(
        (m.TableFigures("Object", chunk, 2, 70, {"generate": 0.1}),), {"generate": 0.1, "deliver": 0.3}
    )
    done = outcome == "completed"
    told = (outcome, "", "", "") if done else (outcome, "generate", "generate", "boom")
    state = State.COMPLETED if done else State.PENDING
    first = e.Assigned(chunk, 1, 1, client, 1, at - 1.0)
    return [first, e.Ended(chunk, 1, client, int(state), 1, None, at - 1.0, at, *told, figures if done else None)]


def added_up(ledger: Ledger) -> Tally:
    tally = Tally()
    for ended in ledger.ended():
        tally.add(ended, *NAMES[ended.client])
    return tally


def same(one: Tally, other: Tally) -> bool:
    """Sums of seconds may differ by the order in which they were added."""

    def rounded(tally: Tally) -> object:
        sums = (tally.hosts, tally.clients, tally.tables, tally.stages, {"": tally.everything})
        figures = [
            {
                name: (s.chunks, s.failed, s.rows, s.overlap_rows, s.bytes, round(s.seconds, 6))
                for name, s in each.items()
            }
            for each in sums
        ]
        return figures, tally.attempts, tally.first_started, tally.last_ended

    return rounded(one) == rounded(other)


LIVES: st.SearchStrategy[Sequence[tuple[int, float, str]]] = st.lists(
    st.tuples(
        st.integers(0, COUNT - 1),
        st.sampled_from([5.0, 6.5, 6.5, 8.0]),
        st.sampled_from(["completed", "failed", "returned"]),
    ),
    unique_by=lambda life: life[0],
)


@given(LIVES, st.integers(0, COUNT), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_whatever_ended_after_the_note_and_whenever(
    tmp_path: Path, lives: Sequence[tuple[int, float, str]], noted: int, crash: bool
) -> None:
    """Also earlier than what was noted, as when the clock was set back."""
    path = tmp_path / "ledger.sqlite"
    path.unlink(missing_ok=True)
    ledgers.create(path, np.arange(COUNT, dtype=np.int32))
    ledger = Ledger(path)
    assert ledger.commit(OPEN) == ""
    for number, life in enumerate(lives):
        if number == noted:
            note_totals(ledger, tally_of(ledger, NAMES))
        assert ledger.commit(made(*life)) == ""
    if crash and lives:
        ledger.commit([e.TransactionOpened(2, 0, 7.0)])
        ledger.commit([e.Assigned(lives[0][0], 2, 2, 0, 2, 7.0)] if lives[0][2] != "completed" else [])
        ledger.start(np.arange(COUNT, dtype=np.int32), 7.5)
    assert same(tally_of(ledger, NAMES), added_up(ledger))
    ledger.close()


def test_what_is_noted_is_not_added_up_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for chunk in range(5):
        ledger.commit(made(chunk, 5.0 + chunk))
    note_totals(ledger, added_up(ledger))
    ledger.commit(made(7, 20.0))
    asked = []
    ended = ledger.ended
    monkeypatch.setattr(ledger, "ended", lambda after=0.0: (asked.append(one.chunk) or one for one in ended(after)))
    assert tally_of(ledger, NAMES).everything.chunks == 6
    assert asked == [7]


def test_a_note_that_cannot_be_read_counts_for_nothing(ledger: Ledger) -> None:
    ledger.commit(made(3, 5.0))
    for text in ("", "{", '{"everything": 3}', "[]"):
        ledger.write_note(TOTALS, text)
        assert same(tally_of(ledger, NAMES), added_up(ledger))


def test_a_transaction_that_a_crash_undid_is_counted_where_it_was_not(ledger: Ledger) -> None:
    ledger.commit(made(1, 9.0))
    figures = m.Figures((m.TableFigures("Object", 5, 2, 70, {}),), {"generate": 0.1})
    ledger.commit(
        [e.TransactionNumbered(1, 4711), e.Assigned(2, 1, 1, 0, 1, 3.0), e.Delivered(2, 1, 0, 3.0, 4.0, figures)]
    )
    note_totals(ledger, tally_of(ledger, NAMES))
    ledger.start(np.arange(COUNT, dtype=np.int32), 10.0)
    assert tally_of(ledger, NAMES).attempts == 2
    assert same(tally_of(ledger, NAMES), added_up(ledger))
