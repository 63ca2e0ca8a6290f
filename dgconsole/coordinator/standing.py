"""How chunks stand, as structs for faces: from the working copy of a session or from a ledger that is only read."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dgconsole.coordinator.books import LimboNote
from dgconsole.coordinator.causes import causes
from dgconsole.coordinator.chunks import Chunks, State
from dgconsole.coordinator.ledger import Reader
from dgconsole.coordinator.policy import Failure
from dgconsole.coordinator.report import counts_of, report_rows
from dgconsole.coordinator.tally import Tally, totals
from dgconsole.snapshot import (
    CHUNK_STATES,
    AttemptRow,
    ChunkHistory,
    ChunkState,
    ChunkStates,
    ChunkTable,
    Report,
    ReportRow,
)
from dgconsole.wire.messages import Figures

_RETRYING = CHUNK_STATES.index(ChunkState.RETRYING)
_SLOWEST = 10
_MOST_PROBLEMS = 1000
_HISTORY = """
    SELECT attempt, name, host, started, ended, coalesce(outcome, ''), fault, error,
    rows, overlap_rows, bytes, figures FROM attempts JOIN clients USING (client) WHERE chunk = ? ORDER BY attempt"""


def table_of(ids: NDArray[np.int32], num_stripes: int, num_sub_stripes: int) -> ChunkTable:
    """Ids (ascending) and boxes."""
    from dgconsole.sky.tiling import tiling_of

    boxes = tiling_of(num_stripes, num_sub_stripes).chunk_boxes(ids)
    return ChunkTable(count=len(ids), ids=ids.tobytes(), boxes=boxes.tobytes())


def states_of(
    chunks: Chunks,
    names: Sequence[tuple[str, str]],
    failures: Mapping[int, tuple[Failure, ...]],
    revision: int,
    at: NDArray[np.int32] | None = None,
) -> ChunkStates:
    """The chunks at the indices ``at``, or all; ``names`` are (client, host) by index, ``failures`` by index."""
    told = slice(None) if at is None else at
    state, used = chunks.state[told], chunks.used[told]
    last = {
        i: failed[-1].cause for i, failed in failures.items() if chunks.state[i] == State.PENDING and chunks.used[i]
    }
    texts = {text: number for number, text in enumerate(dict.fromkeys(last.values()))}
    return ChunkStates(
        revision=revision,
        at=None if at is None else at.tobytes(),
        states=np.where((state == State.PENDING) & (used > 0), np.uint8(_RETRYING), state).tobytes(),
        attempts=used.tobytes(),
        clients=chunks.client[told].tobytes(),
        client_names=tuple(name for name, _ in names),
        client_hosts=tuple(host for _, host in names),
        rows=chunks.rows[told].tobytes(),
        seconds=chunks.seconds[told].tobytes(),
        failed=np.fromiter(last, np.int32, len(last)).tobytes(),
        failed_of=np.fromiter((texts[text] for text in last.values()), np.int32, len(last)).tobytes(),
        failed_texts=tuple(texts),
    )


def attempts_of(reader: Reader, chunk: int) -> tuple[AttemptRow, ...]:
    """Every attempt at one chunk, the oldest first."""
    return tuple(map(_attempt, reader.rows(_HISTORY, (chunk,))))


def history_of(
    chunks: Chunks, i: int, attempts: tuple[AttemptRow, ...], *, retry_at: float | None = None
) -> ChunkHistory:
    """The history of the chunk at index ``i``; ``retry_at`` in epoch seconds."""
    state = State(int(chunks.state[i]))
    retrying = state is State.PENDING and chunks.used[i] > 0
    return ChunkHistory(
        chunk=int(chunks.ids[i]),
        state=ChunkState.RETRYING if retrying else CHUNK_STATES[state],
        retry_at=retry_at if retrying else None,
        attempts=attempts,
    )


def slowest_of(chunks: Chunks) -> list[int]:
    """The ids of the completed chunks that took longest, the slowest first."""
    seconds = np.where(chunks.state == State.COMPLETED, chunks.seconds, np.float32(-1.0))
    slowest = np.argpartition(seconds, -_SLOWEST)[-_SLOWEST:] if len(seconds) > _SLOWEST else np.arange(len(seconds))
    slowest = slowest[np.argsort(-seconds[slowest], kind="stable")]
    return [int(chunks.ids[i]) for i in slowest[seconds[slowest] >= 0.0]]


def rows_for_report(reader: Reader, slowest: Sequence[int]) -> tuple[tuple[ReportRow, ...], tuple[ReportRow, ...]]:
    """The rows of the slowest chunks in the order given, and of the limbo chunks."""
    marks = ",".join("?" * len(slowest))
    rows = {row.chunk_id: row for row in report_rows(reader, f"WHERE c.chunk IN ({marks})", slowest)}
    problems = tuple(islice(report_rows(reader, "WHERE c.state = 4"), _MOST_PROBLEMS))
    return tuple(rows[chunk] for chunk in slowest if chunk in rows), problems


def report_of(
    chunks: Chunks,
    limbo: Mapping[int, LimboNote],
    names: Sequence[tuple[str, str]],
    tally: Tally,
    rows: tuple[tuple[ReportRow, ...], tuple[ReportRow, ...]],
    *,
    verdict: str,
    elapsed: float,
    session_rows: int,
) -> Report:
    """The totals of a run; ``rows`` as ``rows_for_report`` gives them."""
    slowest, problems = rows
    return Report(
        verdict=verdict,
        counts=counts_of(chunks.counts, chunks.retrying),
        elapsed=elapsed,
        session_rows=session_rows,
        hosts=totals(tally.hosts),
        clients=totals(tally.clients),
        tables=totals(tally.tables),
        stages=totals(tally.stages),
        slowest=slowest,
        problems=problems,
        causes=causes(chunks, limbo, names),
    )


def _attempt(row: tuple[Any, ...]) -> AttemptRow:
    attempt, client, host, started, ended, outcome, fault, error, rows, overlap_rows, size, figures = row
    return AttemptRow(
        attempt=attempt,
        client=client,
        host=host,
        started=started,
        ended=ended,
        outcome=outcome,
        fault=fault,
        error=error,
        rows=rows,
        overlap_rows=overlap_rows,
        bytes=size,
        stages=msgspec.json.decode(figures, type=Figures).seconds if figures else {},
    )
