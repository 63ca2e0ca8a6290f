"""Input files in blocks of whole lines, every line end turned into LF; and what is wrong with a row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LF, CR = 10, 13

PIECE = 1 << 18
"""Bytes compared at a time, so that the comparison stays in the cache."""


class RowError(ValueError):
    """A row that cannot be used: ``row`` counts from 0 within its block, ``what`` says what is wrong."""

    def __init__(self, row: int, what: str) -> None:
        self.row = row
        self.what = what
        super().__init__(f"row {row}: {what}")


@dataclass(frozen=True, slots=True)
class TextBlock:
    """``lines`` whole lines of one file. ``text`` ends with LF and holds no CR; ``first_line`` counts from 1."""

    file: str
    first_line: int
    lines: int
    text: bytearray


def read_blocks(path: Path, size: int, longest: int) -> Iterator[TextBlock]:
    """The lines of a file, about ``size`` bytes at a time.

    Parameters
    ----------
    longest
        The most bytes that a right line can have; what is longer is not collected further.

    Raises
    ------
    RowError
        A line is longer (``row`` is its line number in the file, from 0).
    """
    line = 1
    carry = b""
    with path.open("rb", buffering=0) as file:
        while True:
            text = bytearray(len(carry) + size)
            text[: len(carry)] = carry
            got = file.readinto(memoryview(text)[len(carry) :])
            del text[len(carry) + (got or 0) :]
            whole, carry = _cut(text, at_end=not got)
            if whole:
                count = count_lines(whole)
                yield TextBlock(str(path), line, count, whole)
                line += count
            if not got:
                return
            if len(carry) > longest:
                raise RowError(line - 1, f"the line is longer than {longest} bytes; no right line is")


def count_lines(text: bytearray) -> int:
    """The line ends; several times faster than ``bytearray.count``."""
    a = np.frombuffer(text, np.uint8)
    return sum(int(np.count_nonzero(a[at : at + PIECE] == LF)) for at in range(0, len(a), PIECE))


def _cut(text: bytearray, *, at_end: bool) -> tuple[bytearray, bytes]:
    """Whole lines with LF ends, and the rest as it stands."""
    held = b""
    if CR in text:
        if not at_end and text[-1] == CR:
            held = b"\r"
            del text[-1:]
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if at_end and text and text[-1] != LF:
        text.append(LF)
    end = text.rfind(b"\n") + 1
    rest = bytes(text[end:]) + held
    del text[end:]
    return text, rest
