"""Lines cut into fields: where each field of a block begins and ends, quotes and escapes heeded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgconsole.partition.rows import LF, PIECE, RowError, TextBlock
from dgconsole.settings.partitioner.dialect import MAX_FIELD
from dgconsole.settings.structs import Dialect

Bytes = NDArray[np.uint8]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

NONE: Index = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a block of lines.

    Parameters
    ----------
    text
        The block; fields are slices of it.
    starts, ends
        Shape (rows, fields). The byte at ``ends`` is the field's delimiter or line end, and the next field
        starts right after it.
    lengths
        Bytes of each field, uint8, flat: row * fields + field.
    quoted, escaped
        Which fields stand in quotes, which hold an escape: sorted numbers, row * fields + field.
    """

    text: bytearray
    starts: Index
    ends: Index
    lengths: Bytes
    quoted: Index
    escaped: Index

    @property
    def array(self) -> Bytes:
        return np.frombuffer(self.text, np.uint8)

    @property
    def width(self) -> int:
        return int(self.ends.shape[1])

    def equal_to(self, text: bytes) -> Index:
        """Numbers of the fields that are exactly this text, as it stands in the input."""
        starts = self.starts.reshape(-1)
        found = np.flatnonzero(self.lengths == len(text))
        for place, code in enumerate(text):
            found = found[self.array[starts[found] + place] == code]
        return found


def split(block: TextBlock, width: int, dialect: Dialect) -> Fields:
    """Cut lines into ``width`` fields each; ``RowError`` for a line that does not fit."""
    text = block.text
    a = np.frombuffer(text, np.uint8)
    delimiter = ord(dialect.delimiter)
    separators = positions(a, delimiter, LF)
    escapes = escaped = NONE
    if dialect.escape is not None and text.find(dialect.escape.encode("latin-1")) >= 0:
        escapes = active_escapes(positions(a, ord(dialect.escape)))
        escaped = escapes + 1
        _refuse_trailing(a, escaped)
        separators = _without(separators, escaped, len(a))
    opened = NONE
    if dialect.quote is not None and text.find(dialect.quote.encode("latin-1")) >= 0:
        quotes = _without(positions(a, ord(dialect.quote)), escaped, len(a))
        opened, closed = _quoted(a, quotes, separators, delimiter)
        separators = _outside(separators, opened, closed)
    ends = _rows_of(a, separators, block.lines, width)
    starts = np.empty_like(ends)
    flat = starts.reshape(-1)
    flat[0:1] = 0
    np.add(ends.reshape(-1)[:-1], 1, out=flat[1:])
    lengths = (ends - starts).reshape(-1)
    if lengths.max(initial=0) > MAX_FIELD:
        row = int(np.argmax(lengths > MAX_FIELD)) // width
        raise RowError(row, f"a field is longer than {MAX_FIELD} bytes")
    return Fields(
        text,
        starts,
        ends,
        lengths.astype(np.uint8),
        quoted=np.searchsorted(flat, opened),
        escaped=np.unique(np.searchsorted(ends.reshape(-1), escapes)),
    )


def positions(a: Bytes, *codes: int) -> Index:
    """Where any of these bytes stands."""
    found = []
    hits, more = np.empty(PIECE, np.bool_), np.empty(PIECE, np.bool_)
    for at in range(0, len(a), PIECE):
        piece = a[at : at + PIECE]
        hit = np.equal(piece, codes[0], out=hits[: len(piece)])
        for code in codes[1:]:
            hit |= np.equal(piece, code, out=more[: len(piece)])
        found.append(np.flatnonzero(hit) + at)
    return np.concatenate(found) if found else NONE


def active_escapes(escapes: Index) -> Index:
    """Of a run of escapes every second one is itself escaped."""
    number = np.arange(len(escapes))
    first = np.empty(len(escapes), np.bool_)
    first[0:1] = True
    np.not_equal(escapes[1:], escapes[:-1] + 1, out=first[1:])
    within = number - np.maximum.accumulate(np.where(first, number, 0))
    active: Index = escapes[within % 2 == 0]
    return active


def _without(places: Index, escaped: Index, length: int) -> Index:
    if not len(escaped):
        return places
    ordinary = np.zeros(length, np.bool_)
    ordinary[escaped] = True
    return places[~ordinary[places]]


def _line_of(a: Bytes, place: int) -> int:
    return int(np.count_nonzero(a[:place] == LF))


def _refuse_trailing(a: Bytes, escaped: Index) -> None:
    trailing = escaped[a[escaped] == LF]
    if len(trailing):
        raise RowError(_line_of(a, int(trailing[0])), "the line ends with an escape; nothing follows it")


def _quoted(a: Bytes, quotes: Index, separators: Index, delimiter: int) -> tuple[Index, Index]:
    """Opening and closing quotes of the quoted fields.

    A field is quoted if its first byte is a quote; the first field of a line never is. Within it two quotes
    are one, a single one before a delimiter or the line end closes, any other is text.
    """
    is_separator = np.zeros(len(a) + 1, np.bool_)
    is_separator[separators] = True
    begins = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
    run_first = quotes[begins]
    run_length = np.diff(begins, append=len(quotes))
    run_last = run_first + run_length - 1
    odd, before_end = run_length % 2 == 1, is_separator[run_last + 1]
    before = np.maximum(run_first - 1, 0)
    opening = np.flatnonzero(is_separator[before] & (a[before] == delimiter) & (run_first > 0))
    closers = np.append(run_last[odd & before_end], len(a))
    closing = closers[np.searchsorted(closers, run_last[opening], side="right")]
    at_once = ~odd[opening] & before_end[opening]
    closing[at_once] = run_last[opening][at_once]
    opened = run_first[opening]
    active = _chain(np.searchsorted(opened, closing, side="right"))
    opened, closed = opened[active], closing[active]
    line_ends = separators[a[separators] == LF]
    open_ended = np.flatnonzero(closed > line_ends[np.searchsorted(line_ends, opened)])
    if len(open_ended):
        raise RowError(_line_of(a, int(opened[open_ended[0]])), "a quote is not closed before the line ends")
    return opened, closed


def _chain(following: Index) -> Index:
    """Which openings count: each one skips those that stand within its quotes."""
    number = np.arange(len(following))
    if np.array_equal(following, number + 1):
        return number
    chosen, at, jump = [], 0, following.tolist()
    while at < len(jump):
        chosen.append(at)
        at = jump[at]
    return np.array(chosen, np.int64)


def _outside(separators: Index, opened: Index, closed: Index) -> Index:
    """The separators that stand in no quotes."""
    if not len(opened):
        return separators
    nearest = np.searchsorted(opened, separators) - 1
    return separators[(nearest < 0) | (separators > closed[nearest])]


def _rows_of(a: Bytes, separators: Index, lines: int, width: int) -> Index:
    if len(separators) == lines * width:
        table = separators.reshape(-1, width)
        if np.all(a[table[:, -1]] == LF):
            return table
    counts = np.diff(np.flatnonzero(a[separators] == LF), prepend=-1)
    row = int(np.flatnonzero(counts != width)[0])
    found = "the line is empty" if counts[row] == 1 else f"the line has {counts[row]}"
    raise RowError(row, f"{width} fields are wanted, {found}")
