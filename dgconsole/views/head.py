"""The head line and the bar as parts of text, each with its tone: the same words for every face."""

from typing import NamedTuple

from dgconsole.snapshot import ClientState, Counts, RunState, Snapshot
from dgconsole.views.grid import Cell
from dgconsole.views.numbers import chunk_rate, clock, percent, short, size
from dgconsole.views.rates import Rates, mean_rate, time_left
from dgconsole.views.signs import CLIENT_SIGNS, LIVE_CLIENTS, RUN_SIGNS, Signs
from dgconsole.views.text import harmless


class Head(NamedTuple):
    """The head line: ``state`` and ``left`` always, ``rates`` (most important first) as far as they fit."""

    name: str
    state: Cell
    clock: str
    left: str
    rates: tuple[str, ...]


class Bar(NamedTuple):
    """Parts of the whole in the order of the bar (done, in work, limbo; the rest is pending), and the words."""

    done: int
    in_work: int
    limbo: int
    total: int
    words: tuple[Cell, ...]
    percent: str


def head(snapshot: Snapshot, rates: Rates, signs: Signs, *, stale: float = 0.0) -> Head:
    """``stale`` is how many seconds ago the snapshot was to be had; above three it is said."""
    sign = RUN_SIGNS[snapshot.state]
    word, tone = snapshot.state.value, sign.tone
    if snapshot.state is RunState.ENDED:
        whole = snapshot.counts.completed == snapshot.counts.total
        tone = "good" if whole else "hot"
    elif snapshot.state is RunState.RUNNING and deserted(snapshot):
        sign = CLIENT_SIGNS[ClientState.LOST]
        word, tone = "no client left", sign.tone
    if stale > 3.0:
        word, tone = f"{word}, last word {round(stale)} s ago", "warm"
    state = Cell(f"{signs.of(sign)} {word}", tone)
    running = clock(snapshot.elapsed) if snapshot.state is not RunState.PLANNING else ""
    return Head(harmless(snapshot.name), state, running, time_left(snapshot, rates), _rates(snapshot, rates))


def deserted(snapshot: Snapshot) -> bool:
    """Whether there were clients, and none is there or about to come, while chunks are unmade."""
    counts = snapshot.counts
    return bool(snapshot.clients and (counts.pending or counts.in_work)) and not any(
        client.state in LIVE_CLIENTS for client in snapshot.clients
    )


def _rates(snapshot: Snapshot, rates: Rates) -> tuple[str, ...]:
    if snapshot.state is RunState.PLANNING:
        return ()
    if snapshot.state is RunState.ENDED:
        return (f"mean {chunk_rate(mean_rate(snapshot))}",) if snapshot.session_completed else ()
    now = rates.now()
    if not now.chunks and not now.rows:
        return ()
    return (chunk_rate(now.chunks), f"{short(now.rows)} rows/s", f"{size(now.bytes)}/s")


def bar(counts: Counts) -> Bar:
    """The counts as the bar's parts and words; a word is loud only where its number is not zero."""
    words = [
        Cell(f"{counts.completed:,} done", "good" if counts.completed else "dim"),
        Cell(f"{counts.in_work:,} in work", "busy" if counts.in_work else "dim"),
        Cell(f"{counts.limbo:,} limbo", "hot" if counts.limbo else "dim"),
        Cell(f"{counts.pending:,} pending", "dim"),
    ]
    if counts.retrying:
        words.append(Cell(f"{counts.retrying:,} retrying", "warm"))
    return Bar(
        counts.completed,
        counts.in_work,
        counts.limbo,
        counts.total,
        tuple(words),
        percent(counts.completed, counts.total),
    )


def split_bar(parts: Bar, width: int) -> tuple[int, int, int, int]:
    """Cells of a bar ``width`` wide for done, in work, limbo, pending.

    A part that is not zero has at least one cell where there is room; done fills the bar only when all is done.
    """
    if not parts.total or width <= 0:
        return 0, 0, 0, max(width, 0)
    rest = parts.total - parts.done - parts.in_work - parts.limbo
    small = [min(1, n) for n in (parts.in_work, parts.limbo, rest)]
    work, limbo, pending = (
        max(round(width * n / parts.total), least)
        for n, least in zip((parts.in_work, parts.limbo, rest), small, strict=True)
    )
    while work + limbo + pending > width:
        if pending > small[2]:
            pending -= 1
        elif work > small[0]:
            work -= 1
        elif limbo > small[1]:
            limbo -= 1
        elif pending:
            pending = 0
        elif work:
            work = 0
        else:
            limbo = 0
    done = width - work - limbo - pending
    if not parts.done and done:
        pending, done = pending + done, 0
    return done, work, limbo, pending


def plain_line(snapshot: Snapshot, rates: Rates, signs: Signs) -> str:
    """Head and bar in one line of plain text, for a face without a terminal."""
    top, parts = head(snapshot, rates, signs), bar(snapshot.counts)
    pieces = [top.state.text, parts.percent, *(cell.text for cell in parts.words), top.clock, top.left, *top.rates]
    return "  ".join(piece for piece in pieces if piece)
