"""The report: rows, totals, the last line, the exit status."""

from pathlib import Path

import numpy as np
import pytest

from dgconsole.coordinator import events as e
from dgconsole.coordinator import ledger as ledgers
from dgconsole.coordinator.ledger import Ledger, Reader
from dgconsole.coordinator.report import exit_status, iso, report_rows, verdict, write_csv
from dgconsole.coordinator.tally import Tally, totals
from dgconsole.snapshot import Counts, RunState
from dgconsole.wire import messages as m

FIGURES = m.Figures(
    (
        m.TableFigures("Object", 860, 300, 1000, {"generate": 0.5, "partition": 0.25}),
        m.TableFigures("ForcedSource", 9000, 0, 5000, {"generate": 1.0, "partition": 0.5}),
    ),
    {"generate": 1.5, "partition": 0.75, "deliver": 0.1},
)
START = 1_700_000_000.0
STEPS = [
    e.ClientAdded(0, "here-1", "here"),
    e.TransactionOpened(1, 0, START),
    e.Assigned(7, 1, 1, 0, 1, START),
    e.Assigned(8, 1, 1, 0, 1, START),
    e.Assigned(9, 1, 1, 0, 1, START),
    e.Ended(7, 1, 0, 3, 1, None, START, START + 2.5, "completed", figures=FIGURES),
    e.Ended(8, 1, 0, 4, 1, None, START, START + 1, "failed", "spec", "generate", 'odd "name", with comma\nand line'),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    ledgers.create(path, np.array([7, 8, 9, 11], np.int32))
    ledger = Ledger(path)
    assert ledger.commit(STEPS) == ""
    ledger.close()
    return path


def test_report_csv_has_every_target_in_id_order(path: Path, tmp_path: Path) -> None:
    reader = Reader(path)
    write_csv(report_rows(reader), tmp_path / "report.csv")
    reader.close()
    assert (tmp_path / "report.csv").read_text() == (
        "chunk_id,state,attempts,client,host,started_at,finished_at,seconds,rows,overlap_rows,bytes,error\n"
        "7,completed,1,here-1,here,2023-11-14T22:13:20.000Z,2023-11-14T22:13:22.500Z,2.500,9860,300,6000,\n"
        "8,limbo,1,here-1,here,2023-11-14T22:13:20.000Z,2023-11-14T22:13:21.000Z,1.000,0,0,0,"
        '"odd ""name"", with comma\nand line"\n'
        "9,assigned,1,here-1,here,2023-11-14T22:13:20.000Z,,,0,0,0,\n"
        "11,pending,0,,,,,,0,0,0,\n"
    )
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_totals_by_host_client_table_and_stage() -> None:
    tally = Tally()
    for step in STEPS:
        if isinstance(step, e.Ended):
            tally.add(step, "here-1", "here")
    (host,) = totals(tally.hosts)
    assert (host.name, host.chunks, host.failed, host.rows, host.overlap_rows, host.bytes) == (
        "here",
        1,
        1,
        9860,
        300,
        6000,
    )
    assert host.seconds == pytest.approx(3.35)
    assert [(t.name, t.chunks, t.rows, t.seconds) for t in totals(tally.tables)] == [
        ("ForcedSource", 1, 9000, 1.5),
        ("Object", 1, 860, 0.75),
    ]
    assert [(t.name, t.seconds, t.bytes) for t in totals(tally.stages)] == [
        ("deliver", 0.1, 6000),
        ("generate", 1.5, 0),
        ("partition", 0.75, 0),
    ]


@pytest.mark.parametrize(
    ("counts", "state", "reason", "words", "early", "status"),
    [
        (Counts(total=1200, completed=1200), RunState.ENDED, "", "Complete: all 1,200 chunks are made.", False, 0),
        (Counts(total=1200, completed=1200), RunState.ENDED, "", "Complete: all 1,200 chunks are made.", True, 0),
        (Counts(total=5, completed=3, limbo=2), RunState.ENDED, "", "3 of 5 chunks are made, 2 in limbo.", False, 1),
        (
            Counts(total=5, completed=3, pending=2),
            RunState.ENDED,
            "",
            "3 of 5 chunks are made, 2 not made.",
            True,
            130,
        ),
        (Counts(total=5, pending=5), RunState.PAUSED, "boom", "0 of 5 chunks are made, 5 not made: boom", False, 1),
        (Counts(total=5, pending=5), RunState.RUNNING, "", "0 of 5 chunks are made, 5 not made so far.", False, 1),
    ],
)
def test_how_it_ended(counts: Counts, state: RunState, reason: str, words: str, early: bool, status: int) -> None:
    assert verdict(counts, state, reason=reason) == words
    assert exit_status(counts, quit_early=early) == status


def test_times() -> None:
    assert iso(None) == ""
    assert iso(0.0004) == "1970-01-01T00:00:00.000Z"
