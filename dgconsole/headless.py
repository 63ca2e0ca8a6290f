"""A run without a screen: progress on stderr in the words of the head line, the report on stdout."""

import asyncio
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dgconsole.snapshot import Report, RunState, SessionHandle, Snapshot
from dgconsole.views.grid import Cell
from dgconsole.views.head import bar, head, plain_line
from dgconsole.views.needs import CALM, Need, needs
from dgconsole.views.rates import Rates
from dgconsole.views.report import Section, facts, sections, verdict
from dgconsole.views.signs import Signs

PERIOD = 0.25
"""Seconds between two looks at the session."""
EVERY = 10.0
"""Seconds between two lines where there is no terminal, unless a tenth of the run comes earlier."""
_STYLES = {
    "good": "green",
    "busy": "blue",
    "soft": "blue",
    "warm": "yellow",
    "hot": "red",
    "strong": "bold",
    "dim": "dim",
}
_PRINTED = ("causes", "hosts", "tables", "stages")


async def run_headless(
    handle: SessionHandle, console_err: Console, console_out: Console, *, period: float = PERIOD
) -> int:
    """Watch a session to its end and print its report.

    Parameters
    ----------
    handle
        The session; whoever stops the run sends it the command, this only watches.
    console_err, console_out
        Where progress and report go. Without a terminal progress is a plain line now and then.
    period
        Seconds between two looks.

    Returns
    -------
    int
        The run's exit status.
    """
    signs = Signs(unicode=(console_err.encoding or "utf-8").lower().startswith("utf"))
    progress: _Progress = _Lively(console_err, signs) if console_err.is_terminal else _Lines(console_err, signs)
    rates = Rates()
    with progress:
        while True:
            snapshot = await handle.snapshot()
            rates.add(snapshot)
            progress.show(snapshot, rates)
            if snapshot.state is RunState.ENDED:
                break
            await asyncio.sleep(period)
    signs = Signs(unicode=(console_out.encoding or "utf-8").lower().startswith("utf"))
    print_report(await handle.report(), console_out, signs)
    if snapshot.exit_status is not None:
        return snapshot.exit_status
    return 0 if snapshot.counts.completed == snapshot.counts.total else 1


def print_report(report: Report, console: Console, signs: Signs, *, tables: bool = True) -> None:
    """The report as ``tables`` (the causes of limbo, totals by host, table and stage), the figures, the verdict."""
    for section in sections(report, signs):
        if tables and section.key in _PRINTED:
            console.print(_table(section))
            console.print()
    words = "  ".join(f"{word} {value}" for word, value in facts(report))
    console.print(Text(words), soft_wrap=True)
    console.print(_text([verdict(report)]), soft_wrap=True)


def _table(section: Section) -> Table:
    table = Table(title=Text(section.title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in section.rows.columns:
        free = column.grow > 0 and not column.right
        table.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            header_style="dim",
            no_wrap=not free,
            overflow="fold",
        )
    for row in range(len(section.rows)):
        table.add_row(*(_text([cell]) for cell in section.rows.line(row).cells))
    return table


def _text(cells: list[Cell]) -> Text:
    return Text.assemble(*((cell.text, _STYLES.get(cell.tone, "")) for cell in cells))


class _Progress(Protocol):
    """A way to show progress."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def show(self, snapshot: Snapshot, rates: Rates) -> None: ...


class _Told:
    """Which needs were told already: each is told once, when it comes up."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def news(self, snapshot: Snapshot) -> list[Need]:
        fresh = [
            need
            for need in needs(snapshot)
            if need != CALM and (need.kind, need.target or need.text) not in self._told
        ]
        self._told.update((need.kind, need.target or need.text) for need in fresh)
        return fresh


class _Lively:
    """Two lines that stay at the bottom of a terminal; what needs a person scrolls by above them."""

    def __init__(self, console: Console, signs: Signs) -> None:
        self._console = console
        self._signs = signs
        self._told = _Told()
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def __enter__(self) -> object:
        return self._live.__enter__()

    def __exit__(self, *exc_info: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, snapshot: Snapshot, rates: Rates) -> None:
        for need in self._told.news(snapshot):
            self._live.console.print(_text([Cell(need.more or need.text, need.tone)]), soft_wrap=True)
        self._live.update(self._picture(snapshot, rates), refresh=True)

    def _picture(self, snapshot: Snapshot, rates: Rates) -> Table:
        top, parts = head(snapshot, rates, self._signs), bar(snapshot.counts)
        first = _text([Cell(f"{top.name}  ", "strong"), top.state])
        first.append("  ".join(["", top.clock, top.left, *top.rates]).rstrip())
        words = _text([Cell(f"{parts.percent}  ", "strong"), *(c for w in parts.words for c in (w, Cell("  ")))])
        line = Table.grid(padding=(0, 1))
        line.add_column(width=max(min(self._console.width - words.cell_len - 2, 40), 10))
        line.add_column(no_wrap=True)
        line.add_row(ProgressBar(total=max(parts.total, 1), completed=parts.done), words)
        grid = Table.grid()
        grid.add_column(no_wrap=True)
        grid.add_row(first)
        grid.add_row(line)
        return grid


class _Lines:
    """Plain lines: at first and at last, every ten seconds, at each tenth done, and when something is wrong."""

    def __init__(self, console: Console, signs: Signs) -> None:
        self._console = console
        self._signs = signs
        self._told = _Told()
        self._last: tuple[RunState, int, float] | None = None

    def __enter__(self) -> object:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def show(self, snapshot: Snapshot, rates: Rates) -> None:
        for need in self._told.news(snapshot):
            self._print(need.more or need.text)
        counts = snapshot.counts
        tenth = 10 * counts.completed // counts.total if counts.total else 0
        if self._last is not None:
            state, last_tenth, at = self._last
            if state is snapshot.state and tenth == last_tenth and snapshot.wall - at < EVERY:
                return
        self._last = (snapshot.state, tenth, snapshot.wall)
        self._print(plain_line(snapshot, rates, self._signs))

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True, highlight=False)
