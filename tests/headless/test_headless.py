"""A run without a screen: what it prints, when, and what it returns."""

import io

import pytest
from rich.console import Console

from dgconsole.headless import run_headless
from dgconsole.snapshot import (
    Cause,
    ChunkHistory,
    ChunkStates,
    ChunkTable,
    Command,
    Counts,
    LogPage,
    Reply,
    Report,
    RunState,
    Snapshot,
    Total,
)

CAUSE = Cause(text="no space left on [red]#\x1b[31m", fault="disk", count=2, chunks=(1, 2), hosts=("db05",))


class Played:
    """A session that plays a list of snapshots."""

    def __init__(self, shots: list[Snapshot]) -> None:
        self._shots = shots
        self._at = 0

    async def snapshot(self) -> Snapshot:
        shot = self._shots[min(self._at, len(self._shots) - 1)]
        self._at += 1
        return shot

    async def report(self) -> Report:
        last = self._shots[-1]
        return Report(
            verdict=last.verdict,
            counts=last.counts,
            elapsed=last.elapsed,
            hosts=(Total(name="db05", chunks=98, failed=6, rows=8_243_760, bytes=970_000_000, seconds=95.0),),
            clients=(Total(name="db05-1", chunks=98, rows=8_243_760),),
            tables=(Total(name="Object", chunks=98, rows=1_000, overlap_rows=400, bytes=160_000),),
            stages=(Total(name="generate", seconds=55.0),),
            slowest=(),
            problems=(),
            causes=last.causes,
        )

    async def chunk_table(self) -> ChunkTable:
        raise NotImplementedError

    async def chunk_states(self, since: int) -> ChunkStates | None:
        raise NotImplementedError

    async def chunk_history(self, chunk: int) -> ChunkHistory | None:
        raise NotImplementedError

    async def logs(self, after: int, limit: int) -> LogPage:
        raise NotImplementedError

    async def command(self, command: Command) -> Reply:
        raise NotImplementedError


def played(*, limbo: int = 0, step: float = 1.0, status: int | None = 0) -> Played:
    shots = []
    for k in range(101):
        ended = k == 100
        done = k - limbo if ended else k
        shots.append(
            Snapshot(
                revision=k,
                name="fakedb",
                run_dir="runs/fakedb",
                state=RunState.ENDED if ended else RunState.RUNNING,
                wall=1_000.0 + k * step,
                started=1_000.0,
                elapsed=k * step,
                counts=Counts(total=100, completed=done, pending=100 - k, limbo=limbo if ended else 0),
                rows=done * 1_000,
                bytes=done * 100_000,
                session_completed=done,
                causes=(CAUSE,) if ended and limbo else (),
                verdict="All 100 chunks are completed." if not limbo else "2 chunks are in limbo." if ended else "",
                exit_status=status if ended else None,
            )
        )
    return Played(shots)


async def run(session: Played, *, terminal: bool = False) -> tuple[int, str, str]:
    err, out = io.StringIO(), io.StringIO()
    console_err = Console(file=err, width=110, force_terminal=terminal, _environ={})
    status = await run_headless(session, console_err, Console(file=out, width=110, _environ={}), period=0.0)
    return status, err.getvalue(), out.getvalue()


async def test_without_a_terminal_lines_come_at_each_tenth():
    status, err, out = await run(played())
    lines = err.splitlines()
    assert status == 0
    assert len(lines) == 11
    assert lines[0].startswith("● running  0.0 %  0 done  0 in work  0 limbo  100 pending")
    assert "60.0 %" in lines[6]
    assert "1.0 chunks/s" in lines[6]
    assert lines[-1].startswith("■ ended  100.0 %  100 done")
    assert "All 100 chunks are completed." in out


async def test_without_a_terminal_lines_come_every_ten_seconds():
    _, err, _ = await run(played(step=5.0))
    assert len(err.splitlines()) == 51


async def test_the_report_stands_on_stdout_with_causes_of_limbo():
    status, err, out = await run(played(limbo=2, status=1))
    assert status == 1
    for words in ("Hosts", "db05", "8,243,760", "Tables", "Object", "Limbo, by cause", "chunks 98 of 100"):
        assert words in out
    assert "no space left on [red]#\\x1b[31m" in out
    assert "2 chunks in limbo" in err
    assert "\x1b" not in err + out
    assert out.rstrip().endswith("2 chunks are in limbo.")


@pytest.mark.parametrize(("limbo", "status"), [(0, 0), (2, 1)])
async def test_the_status_follows_from_the_counts_when_none_is_given(limbo, status):
    assert (await run(played(limbo=limbo, status=None)))[0] == status


async def test_on_a_terminal_progress_has_the_words_of_the_head_line():
    status, err, out = await run(played(limbo=2, status=1), terminal=True)
    assert status == 1
    for words in ("fakedb", "● running", "0 in work", "pending", "59.0 %", "1.0 chunks/s"):
        assert words in err
    assert "2 chunks in limbo: no space left on [red]#" in err
    assert "\x1b" not in out
