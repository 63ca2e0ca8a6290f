"""The log lines a face has seen: bounded, numbered, filtered by source and level, searched."""

from collections.abc import Callable
from typing import NamedTuple

from dgconsole.snapshot import LogLine, LogPage
from dgconsole.views.text import harmless

KEEP = 50_000
"""Lines kept; older ones are in the files of the run directory."""
LEVELS: tuple[str, ...] = ("debug", "info", "warning", "error")
_RANKS = {"debug": 0, "info": 1, "warning": 2, "warn": 2, "error": 3, "critical": 3, "fatal": 3}


def rank(level: str) -> int:
    """0 debug to 3 error; a level of another name counts as info."""
    return _RANKS.get(level.lower(), 1)


class View(NamedTuple):
    """Which lines are wanted: of one source (empty: all), at this level or above."""

    source: str = ""
    level: int = 0

    def wants(self, line: LogLine) -> bool:
        return (not self.source or line.source == self.source) and rank(line.level) >= self.level


class LogStore:
    """A window of the newest lines. A line's number stays its name when older ones are dropped."""

    def __init__(self, keep: int = KEEP) -> None:
        self._keep = keep
        self._lines: list[LogLine] = []
        self._shown: list[LogLine] = []
        self._view = View()
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

    def add(self, page: LogPage) -> int:
        """Take in a page; how many of its lines are shown."""
        self.lost += page.lost
        self.next = page.lines[-1].number + 1 if page.lines else max(self.next, page.end if page.lost else self.next)
        self._lines.extend(page.lines)
        self.sources.update(line.source for line in page.lines)
        fresh = [line for line in page.lines if self._view.wants(line)]
        self._shown.extend(fresh)
        if len(self._lines) > self._keep + self._keep // 5:
            del self._lines[: len(self._lines) - self._keep]
            first = self._lines[0].number
            del self._shown[
                : next((k for k, line in enumerate(self._shown) if line.number >= first), len(self._shown))
            ]
        return len(fresh)

    def choose(self, view: View) -> None:
        """Show other lines from now on."""
        if view != self._view:
            self._view = view
            self._shown = [line for line in self._lines if view.wants(line)]

    def search(self, needle: str, start: int, *, backward: bool = False) -> int:
        """Position among the shown lines of the next that holds ``needle``, from ``start`` on and round; -1 none."""
        found = matcher(needle)
        count = len(self._shown)
        for k in range(count):
            at = (start - k if backward else start + k) % count
            if found(self._shown[at]):
                return at
        return -1

    def matches(self, needle: str) -> int:
        """How many of the shown lines hold ``needle``."""
        found = matcher(needle)
        return sum(map(found, self._shown))


def matcher(needle: str) -> Callable[[LogLine], bool]:
    """Whether a line holds ``needle`` in its text or source; capitals matter only when the needle has some."""
    if needle != needle.lower():
        return lambda line: needle in line.text or needle in line.source
    return lambda line: needle in line.text.lower() or needle in line.source.lower()


def plain(line: LogLine) -> str:
    """The text as it may be shown."""
    return harmless(line.text)
