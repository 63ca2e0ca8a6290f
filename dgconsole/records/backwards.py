"""Lines of a file from a place in it to its begin, block by block."""

import os
from collections.abc import Iterator
from pathlib import Path

LONGEST = 16_384
"""Bytes of a line; a longer one comes in pieces of about so many."""
_MOST_PARTS = 100


class Gone(Exception):  # noqa: N818 - no error: what was there is rotated away
    """A file is there no more."""


class Budget:
    """How much may be read for one answer."""

    def __init__(self, size: int) -> None:
        self._left = size

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def take(self, size: int) -> None:
        self._left -= size


class Piece:
    """One file of a log, as it was when it was found; it is open only while it is read, and may be renamed."""

    def __init__(self, path: Path, inode: int, size: int) -> None:
        """``path`` is that of the log's newest part."""
        self._path = path
        self._inode = inode
        self.size = size
        self._number = 0

    def read(self, at: int, size: int) -> bytes:
        """Bytes from ``at`` on, no more than ``size``. Gone."""
        for number in range(self._number, _MOST_PARTS):
            path = self._path.with_name(f"{self._path.name}.{number}") if number else self._path
            try:
                with path.open("rb", buffering=0) as file:
                    if os.fstat(file.fileno()).st_ino == self._inode:
                        self._number = number
                        return os.pread(file.fileno(), min(size, max(self.size - at, 0)), at)
            except OSError:
                continue  # it is being rotated at this moment
        raise Gone


def lines_back(piece: Piece, end: int, block: int, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """(where it begins, a line without its end) for the lines before ``end``, the last first. Gone."""
    rest, at, ends = b"", end, True
    while at > 0:
        step = min(block, at)
        data = piece.read(at - step, step)
        if len(data) < step:
            raise Gone
        budget.take(step)
        at -= step
        data += rest
        if ends and data.endswith(b"\n"):  # of the line that ends there, not the begin of another
            data = data[:-1]
        ends = False
        first, *lines = data.split(b"\n")
        place = at + len(data)
        for line in reversed(lines):
            place -= len(line)
            yield place, line
            place -= 1
        if len(first) > LONGEST:
            yield at, first
            first, ends = b"", True
        rest = first
    if rest or not ends:
        yield 0, rest
