"""Log lines: a ring that is read by number, a file that is rotated, and text made harmless for a screen."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from msgspec import Struct

_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1 controls, escape among them
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # line breaks and changes of direction
    "\ud800-\udfff]"  # halves of surrogate pairs: undecodable bytes
)
_SPELLED = {"\t": "    ", "\n": "⏎", "\r": ""}


def harmless(text: str) -> str:
    """``text`` as one line that cannot move a cursor, change colours or turn the direction of writing.

    Tabs become spaces, line ends a sign, other control characters ``\\xNN`` or ``\\uNNNN``.
    """
    return _HARMFUL.sub(_spell, text)


def _spell(match: re.Match[str]) -> str:
    character = match.group()
    if character in _SPELLED:
        return _SPELLED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class Line(Struct, frozen=True, gc=False):
    """One numbered line; ``wall`` in seconds since the epoch."""

    number: int
    wall: float
    source: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """Lines in order; ``lost`` lines before them are no longer kept; ``end`` is the number of the line to come."""

    lines: tuple[Line, ...]
    lost: int
    end: int


class LogRing:
    """The last ``capacity`` lines, each with a number that never comes again.

    A reader keeps the number it wants next; one that is too slow loses the oldest lines and is told how
    many, and never slows the writer.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a ring of {capacity} lines holds nothing")
        self._capacity = capacity
        self._slots: list[Line] = []
        self._end = 0

    @property
    def end(self) -> int:
        """The number of the next line."""
        return self._end

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept; equal to ``end`` while there is none."""
        return self._end - len(self._slots)

    def append(self, wall: float, source: str, level: str, text: str) -> int:
        """Keep one line, made harmless; returns its number."""
        line = Line(self._end, wall, source, level, harmless(text))
        if len(self._slots) < self._capacity:
            self._slots.append(line)
        else:
            self._slots[self._end % self._capacity] = line
        self._end += 1
        return line.number

    def read(self, after: int, limit: int) -> Page:
        """Up to ``limit`` lines numbered ``after`` and up, the oldest first."""
        wanted = max(after, 0)
        start = min(max(wanted, self.first), self._end)
        stop = min(start + max(limit, 0), self._end)
        lines = tuple(self._slots[number % self._capacity] for number in range(start, stop))
        return Page(lines, max(start - wanted, 0), self._end)


class RotatingLog:
    """A text file that is moved aside when it is full: ``path`` is the newest, ``path.1`` the one before, ...

    A log that cannot be written (full disk) never ends what it reports on: such lines are counted in ``lost``.
    """

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        """``keep`` older files are kept beside the current one."""
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._file: IO[bytes] | None = None
        self._size = 0
        self.lost = 0

    def write(self, text: str) -> None:
        """Append one line (its line end is added) and hand it to the system at once."""
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        try:
            if self._file is not None and self._size and self._size + len(data) > self._max_bytes:
                self._rotate()
            file = self._opened()
            file.write(data)
            self._size += len(data)
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Close the file; a later ``write`` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
            self._size = self._file.tell()
            if self._size >= self._max_bytes:
                self._rotate()
                return self._opened()
        return self._file

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        if self._keep == 0:
            self._path.unlink(missing_ok=True)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path
