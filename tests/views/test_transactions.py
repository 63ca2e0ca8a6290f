"""The words on a destination's transactions."""

from typing import Any

import pytest

from dgconsole.snapshot import Counts, RunState, Snapshot, TransactionRow, TransactionTotals
from dgconsole.views.transactions import ended_words, standing


def snapshot(*rows: TransactionRow, **totals: Any) -> Snapshot:
    return Snapshot(
        revision=1,
        name="skydb",
        run_dir="run",
        state=RunState.RUNNING,
        wall=0.0,
        started=0.0,
        elapsed=0.0,
        counts=Counts(),
        transactions=rows,
        transaction_totals=TransactionTotals(**totals),
    )


def row(number: int, state: str = "open", seconds: float = 5.0) -> TransactionRow:
    return TransactionRow(number=number, client="db01-1", chunks=10, delivered=7, state=state, seconds=seconds)


def test_nothing_to_say_without_transactions() -> None:
    assert standing(snapshot()) == ""


def test_open_and_ended() -> None:
    now = snapshot(row(7, seconds=125.0), row(8), committed=12, aborted=1, commit_seconds=0.4213)
    assert standing(now) == "2 transactions open (oldest 2 min), 12 committed in 0.42 s each, 1 aborted"


def test_what_they_are_about() -> None:
    now = snapshot(row(7, "stuck"), row(8, "committing"), row(9, "committing"), row(10))
    assert standing(now) == "4 transactions open (2 committing, 1 stuck, oldest 5 s)"


@pytest.mark.parametrize(
    ("totals", "words"),
    [
        (TransactionTotals(), ""),
        (TransactionTotals(committed=1200, commit_seconds=12.3), "1,200 committed in 12.3 s each"),
        (TransactionTotals(committed=3), "3 committed"),
        (TransactionTotals(aborted=2), "2 aborted"),
    ],
)
def test_only_what_has_been(totals: TransactionTotals, words: str) -> None:
    assert ended_words(totals) == words
