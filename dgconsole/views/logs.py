"""The log lines a face has seen: bounded, numbered, filtered by source and level, searched; older ones on demand."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import takewhile
from operator import attrgetter
from typing import NamedTuple, Protocol

from dgconsole.snapshot import LogLine, LogMark, LogPage, OlderLines
from dgconsole.views.text import harmless

KEEP = 50_000
"""Lines kept; older ones are in the files of the run directory."""
MOST_OLDER = 100_000
"""Lines from files that are kept while somebody reads them."""
LEVELS: tuple[str, ...] = ("debug", "info", "warning", "error")
_RANKS = {"debug": 0, "info": 1, "warning": 2, "warn": 2, "error": 3, "critical": 3, "fatal": 3}
_number = attrgetter("number")


def rank(level: str) -> int:
    """0 debug to 3 error; a level of another name counts as info."""
    return _RANKS.get(level.lower(), 1)


class View(NamedTuple):
    """Which lines are wanted: of one source (empty: all), at this level or above."""

    source: str = ""
    level: int = 0

    def wants(self, line: LogLine) -> bool:
        """Lines without a source tell of lines that are missing: they are always wanted."""
        return not line.source or ((not self.source or line.source == self.source) and rank(line.level) >= self.level)


class Lines(Protocol):
    """What a log on the screen is painted from."""

    @property
    def shown(self) -> list[LogLine]:
        """Oldest first; their numbers grow."""

    @property
    def hidden(self) -> int:
        """Newer lines that came while nothing may move."""

    @property
    def live(self) -> bool:
        """Whether lines come by themselves."""

    def hold(self) -> None:
        """Somebody reads: what is shown stays."""

    def release(self) -> None:
        """Nobody does any more."""


class LogStore:
    """A window of the newest lines. A line's number stays its name when older ones are dropped.

    While it is held nothing that is shown goes away, and older lines from files, numbered downwards from -2, can be
    put before it.
    """

    live = True

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._lines: list[LogLine] = []
        self._shown: list[LogLine] = []
        self._view = View()
        self._held = False
        self._mark: LogMark | None = None
        self._older = 0
        self._before = 0
        self.hidden = 0
        self.exhausted = False
        """Nothing older is in the files."""
        self.next = 0
        """The number to ask for next."""
        self.lost = 0
        """Lines that passed unseen."""
        self.sources: set[str] = set()

    @property
    def view(self) -> View:
        return self._view

    @property
    def shown(self) -> list[LogLine]:
        """The wanted lines, oldest first."""
        return self._shown

    @property
    def before(self) -> int:
        """How many lines of this session were said before those that are kept, or held."""
        if self._held:
            return self._before
        return self._lines[0].number if self._lines else self.next

    # ---- newer lines

    def skip_to(self, number: int) -> None:
        """The lines up to ``number`` are not asked for."""
        self._missed(number - self.next)
        self.next = number

    def add(self, page: LogPage) -> int:
        """Take in a page; how many of its lines are shown."""
        self._missed(page.lost)
        self.next = page.lines[-1].number + 1 if page.lines else max(self.next, page.end if page.lost else self.next)
        self._lines.extend(page.lines)
        self.sources.update(line.source for line in page.lines)
        fresh = [line for line in page.lines if self._view.wants(line)]
        room = len(fresh)
        if self._held:
            room = 0 if self.hidden else max(2 * self._keep + self._older - len(self._shown), 0)
        self._shown.extend(fresh[:room])
        self.hidden += len(fresh[room:])
        if len(self._lines) > self._keep + self._keep // 5:
            del self._lines[: len(self._lines) - self._keep]
            if not self._held:
                del self._shown[: bisect_left(self._shown, self._lines[0].number, key=_number)]
        return len(fresh)

    def _missed(self, count: int) -> None:
        self.lost += count
        if count > 0 and self._lines:
            text = f"{count:,} lines came too fast to be shown; they are in the log files"
            gap = LogLine(self.next, self._lines[-1].wall, "", "warning", text)
            self._lines.append(gap)
            self._shown.append(gap)

    # ---- what is shown of them

    def choose(self, view: View) -> None:
        """Show other lines from now on."""
        if view != self._view:
            self._view = view
            self._rebuild()

    def hold(self) -> None:
        if not self._held:
            self._before = self.before
            self._held = True
            self._rebuild()

    def release(self) -> None:
        if self._held:
            self._held = False
            self._rebuild()

    def _rebuild(self) -> None:
        self._shown = [line for line in self._lines if self._view.wants(line)]
        self._older = self.hidden = 0
        self.exhausted = False
        self._mark = self._begin()

    # ---- older lines

    @property
    def mark(self) -> LogMark | None:
        """Where to ask for older lines; None: for the newest there are."""
        return self._mark

    @property
    def reaches_back(self) -> bool:
        """Whether older lines can be had, as far as is known."""
        return not self.exhausted and self._older < MOST_OLDER

    @property
    def full(self) -> bool:
        """Whether no more older lines are taken, though there are some."""
        return self._older >= MOST_OLDER

    def prepend(self, page: OlderLines) -> int:
        """Put older lines before those that are shown; how many."""
        count = len(page.lines)
        first = -2 - self._older - count
        self._shown[:0] = [
            LogLine(first + k, line.wall, line.source, line.level, line.text) for k, line in enumerate(page.lines, 1)
        ]
        self._older += count
        self._mark = page.mark
        self.exhausted = page.mark is None
        return count

    def _begin(self) -> LogMark | None:
        """The place in the files where the kept lines begin."""
        first = next((line for line in self._lines if line.source), None)
        if first is None:
            return None
        same = takewhile(lambda line: line.wall == first.wall, self._lines)
        return LogMark(first.wall, dict(Counter(line.source for line in same)))


def place_of(lines: Sequence[LogLine], number: int) -> int:
    """Where the first line with that number, or a greater one, stands."""
    return bisect_left(lines, number, key=_number)


def seek(lines: Sequence[LogLine], needle: str, start: int, *, backward: bool = False, wrap: bool = True) -> int:
    """Position of the next line that holds ``needle``, from ``start`` on (and round); -1 none."""
    found = matcher(needle)
    count = len(lines)
    if wrap and count:
        places = ((start - k if backward else start + k) % count for k in range(count))
        return next((at for at in places if found(lines[at])), -1)
    on = range(min(start, count - 1), -1, -1) if backward else range(max(start, 0), count)
    return next((at for at in on if found(lines[at])), -1)


def count_of(lines: Sequence[LogLine], needle: str) -> int:
    """How many lines hold ``needle``."""
    return sum(map(matcher(needle), lines))


def matcher(needle: str) -> Callable[[LogLine], bool]:
    """Whether a line holds ``needle`` in its text or source; capitals matter only when the needle has some."""
    if needle != needle.lower():
        return lambda line: needle in line.text or needle in line.source
    return lambda line: needle in line.text.lower() or needle in line.source.lower()


def plain(line: LogLine) -> str:
    """The text as it may be shown."""
    return harmless(line.text)


def record(line: LogLine) -> str:
    """A line as it is copied and saved: local time, level, source, text."""
    if not line.wall:
        return f"{line.level} {plain(line)}".lstrip()
    when = datetime.fromtimestamp(line.wall).astimezone().isoformat(sep=" ", timespec="milliseconds")
    source = f"{harmless(line.source)}: " if line.source else ""
    return f"{when} {harmless(line.level).upper():7} {source}{plain(line)}"
