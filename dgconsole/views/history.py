"""One chunk's history as lines of text: where it is, and each attempt with its times, rows, error and last words."""

import re
from collections.abc import Mapping, Sequence

from dgconsole.snapshot import AttemptRow, ChunkHistory, LogLine
from dgconsole.views.clients import meter
from dgconsole.views.grid import Cell
from dgconsole.views.logs import plain, rank
from dgconsole.views.numbers import about, degrees, exact, local_date, local_time, size
from dgconsole.views.signs import CHUNK_SIGNS, Signs
from dgconsole.views.text import clip, harmless, pad

LAST_LINES = 20
"""Lines of its client's log that are shown of an attempt."""
SLACK = 1.0
"""Seconds after the end of an attempt in which what was said of it may still come in."""
_LONGEST = 500
_OF_CHUNK = re.compile(r"chunk (\d+)\b")
_TONES = ("dim", "", "warm", "hot")


def place(box: tuple[float, float, float, float]) -> str:
    """A box in words: ``RA 10.0000° to 11.2000°, Dec -3.5000° to -2.6000°``."""
    ra_min, ra_max, dec_min, dec_max = box
    return f"RA {degrees(ra_min)} to {degrees(ra_max)}, Dec {dec_min:+.4f}° to {dec_max:+.4f}°"


def history_lines(
    history: ChunkHistory,
    box: tuple[float, float, float, float] | None,
    now: float,
    signs: Signs,
    said: Mapping[int, Sequence[LogLine]] = {},
) -> list[list[Cell]]:
    """Lines made of cells, newest attempt first.

    ``now`` in epoch seconds tells how far off a retry is; ``said``: log lines by the number of the attempt.
    """
    sign = CHUNK_SIGNS[history.state]
    lines: list[list[Cell]] = [
        [Cell(f"chunk {history.chunk}", "strong"), Cell(f"   {signs.of(sign)} {history.state.value}", sign.tone)],
    ]
    if box is not None:
        ra_min, ra_max, dec_min, dec_max = box
        lines.append([Cell("RA   ", "dim"), Cell(f"{degrees(ra_min)} to {degrees(ra_max)}")])
        lines.append([Cell("Dec  ", "dim"), Cell(f"{dec_min:+.4f}° to {dec_max:+.4f}°")])
    if history.retry_at is not None:
        wait = max(history.retry_at - now, 0.0)
        lines.append([Cell(f"tried again at {local_time(history.retry_at)}, in {about(wait)}", "warm")])
    if not history.attempts:
        lines += [[], [Cell("not handed out yet", "dim")]]
    for attempt in reversed(history.attempts):
        lines += [[], *_attempt(attempt, signs), *said_lines(said.get(attempt.attempt, ()))]
    return lines


def said_in(lines: Sequence[LogLine], chunk: int, attempt: AttemptRow) -> tuple[LogLine, ...]:
    """What a client's log has of one attempt: its last lines, without those of other chunks."""
    last = float("inf") if attempt.ended is None else attempt.ended + SLACK
    return tuple(
        line
        for line in lines
        if attempt.started - 0.001 <= line.wall <= last
        and ((other := _OF_CHUNK.match(line.text)) is None or int(other[1]) == chunk)
    )[-LAST_LINES:]


def said_lines(lines: Sequence[LogLine]) -> list[list[Cell]]:
    """Log lines below a heading; nothing where there are none."""
    if not lines:
        return []
    shown = [
        [Cell(f"  {local_time(line.wall)} ", "dim"), Cell(clip(plain(line), _LONGEST), _TONES[rank(line.level)])]
        for line in lines
    ]
    return [[Cell("  last log lines", "dim")], *shown]


def _attempt(attempt: AttemptRow, signs: Signs) -> list[list[Cell]]:
    good, running = attempt.outcome == "completed", attempt.ended is None or attempt.outcome == "delivered"
    tone = "good" if good else "busy" if running else "hot"
    ornament = signs.plain("✓", "+") if good else signs.plain("▶", ">") if running else signs.plain("✗", "x")
    outcome = "running" if attempt.ended is None else harmless(attempt.outcome)
    lines = [
        [
            Cell(f"{ornament} attempt {attempt.attempt}", tone),
            Cell(f"  {outcome}", tone),
            Cell(f"  {harmless(attempt.client)}"),
            Cell(f"  on {harmless(attempt.host)}", "dim"),
        ],
        [Cell("  started   ", "dim"), Cell(local_date(attempt.started))],
    ]
    if attempt.ended is not None:
        took = exact(max(attempt.ended - attempt.started, 0.0))
        lines.append([Cell("  ended     ", "dim"), Cell(f"{local_date(attempt.ended)}  after {took}")])
    if attempt.rows or attempt.bytes:
        lines.append([Cell("  rows      ", "dim"), Cell(f"{attempt.rows:,} + {attempt.overlap_rows:,} overlap")])
        lines.append([Cell("  bytes     ", "dim"), Cell(size(attempt.bytes))])
    whole = sum(attempt.stages.values()) or 1.0
    for stage, seconds in attempt.stages.items():
        part = meter(seconds / whole, signs)
        lines.append([Cell(f"  {pad(harmless(stage), 10)}", "dim"), Cell(part, "soft"), Cell(f"  {exact(seconds)}")])
    if attempt.error or attempt.fault:
        why = harmless(attempt.error or attempt.fault)
        fault = f" ({harmless(attempt.fault)})" if attempt.fault and attempt.error else ""
        lines.append([Cell("  because   ", "dim"), Cell(why, "hot"), Cell(fault, "dim")])
    return lines
