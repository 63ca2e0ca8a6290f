"""Output lines from input fields: one Arrow ``take`` over pieces of text does all the copying."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dgconsole.partition.fields import Bytes, Fields, Index
from dgconsole.partition.layout import CHUNK, NULL, cuts_of, layout_of, pieces_of
from dgconsole.partition.place import Places
from dgconsole.partition.recode import Texts, decode, encode, null_text, offsets_of, to_be_changed
from dgconsole.partition.rows import LF, RowError
from dgconsole.settings.structs import Dialect, PartitionerConfig

MAX_LINE = 65511
"""Bytes of an output line without its end."""


class Lines(NamedTuple):
    """Output text: line i is ``text[bounds[i]:bounds[i + 1]]``, its end included."""

    text: memoryview
    bounds: Index

    def part(self, first: int, last: int) -> memoryview:
        """The text of the lines from ``first`` up to ``last``."""
        return self.text[int(self.bounds[first]) : int(self.bounds[last])]


class Renderer:
    """Spells rows of a block, in the places they go to, in the output dialect.

    Parameters
    ----------
    layout
        Output columns as input field numbers, CHUNK, SUB_CHUNK or NULL.
    raw
        Whether text passes as it stands where both dialects are the same.
    """

    def __init__(self, config: PartitionerConfig, layout: Sequence[int] | None = None, *, raw: bool = True) -> None:
        self.layout = layout_of(config) if layout is None else tuple(layout)
        self.width = len(config.in_fields)
        self.source, self.target = config.in_dialect, config.out_dialect
        self.raw = raw and self.source == self.target
        self.used = np.zeros(self.width, np.bool_)
        self.used[[place for place in self.layout if place >= 0]] = True

    def render(self, fields: Fields, places: Places, order: Index) -> Lines:
        """The output lines of the places in this order.

        Raises
        ------
        RowError
            A field cannot be spelled in the output dialect, or a line is too long.
        """
        changed = np.zeros(0, np.int64)
        nulls = np.zeros(0, np.int64)
        spelled = Texts(np.zeros(0, np.uint8), np.zeros(1, np.int64))
        if not self.raw:
            nulls = self._in_use(fields.equal_to(null_text(self.source)))
            mask = to_be_changed(fields, self.source, self.target)
            mask[nulls] = False
            changed = self._in_use(np.flatnonzero(mask))
            spelled = self._spell(fields, changed)
        rows, chunk, sub_chunk = places.row[order], places.chunk[order], places.sub_chunk[order]
        alone = np.unique(np.concatenate([changed, nulls]) % self.width)
        cuts = cuts_of(self.layout, self.width, alone.tolist())
        pool = _Pool(fields, cuts, self.target)
        numbers = np.arange(pool.count).reshape(-1, len(cuts) - 1)
        piece_of = np.searchsorted(cuts, np.arange(self.width))
        for those, texts in ((nulls, _one(null_text(self.target))), (changed, spelled)):
            if len(those):
                new = pool.add(texts) + np.arange(len(texts))
                numbers[those // self.width, piece_of[those % self.width]] = new
        columns = []
        for piece in pieces_of(self.layout, cuts):
            if piece >= 0:
                columns.append(numbers[rows, piece])
            elif piece == NULL:
                columns.append(np.full(len(rows), pool.add(_one(null_text(self.target)))))
            else:
                distinct, which = np.unique(chunk if piece == CHUNK else sub_chunk, return_inverse=True)
                columns.append(pool.add(_decimal(distinct, self.target)) + which)
        lines = pool.take(columns)
        too_long = np.flatnonzero(np.diff(lines.bounds) > MAX_LINE + 1)
        if len(too_long):
            raise RowError(int(rows[too_long[0]]), f"its output line is longer than {MAX_LINE} bytes")
        return lines

    def _in_use(self, numbers: Index) -> Index:
        if self.used.all() or not len(numbers):
            return numbers
        return numbers[self.used[numbers % self.width]]

    def _spell(self, fields: Fields, changed: Index) -> Texts:
        try:
            return encode(decode(fields, changed, self.source), self.target)
        except RowError as error:
            raise RowError(int(changed[error.row]) // self.width, error.what) from error


class _Pool:
    """Pieces of text: first those of the block, row by row, then whatever is added; each ends with a delimiter."""

    def __init__(self, fields: Fields, cuts: Sequence[int], dialect: Dialect) -> None:
        self.delimiter = ord(dialect.delimiter)
        starts = fields.starts[:, list(cuts[:-1])].reshape(-1)
        self.separators = fields.ends
        self.data: list[Bytes] = [fields.array]
        self.offsets: list[Index] = [starts, np.array([len(fields.text)])]
        self.count = len(starts)
        self.length = len(fields.text)

    def add(self, texts: Texts) -> int:
        """The number of the first of these texts; the others follow."""
        lengths = np.diff(texts.offsets) + 1
        offsets = offsets_of(lengths)
        data = np.full(offsets[-1], self.delimiter, np.uint8)
        data[np.arange(len(texts.data)) + texts.owners] = texts.data
        first = self.count
        self.data.append(data)
        self.offsets.append(self.length + offsets[1:])
        self.count += len(texts)
        self.length += len(data)
        return first

    def take(self, columns: Sequence[NDArray[np.int64]]) -> Lines:
        """Lines of one piece from each column, the delimiter after the last piece turned into the line end."""
        import pyarrow as pa

        data = np.concatenate(self.data)
        data[self.separators] = self.delimiter
        pieces = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), self.count, [None, pa.py_buffer(np.concatenate(self.offsets)), pa.py_buffer(data)]
        )
        taken = pieces.take(pa.array(np.stack(columns, axis=1).reshape(-1)))
        _, offsets, text = taken.buffers()
        bounds = np.frombuffer(offsets, np.int64)[: len(taken) + 1 : len(columns)]
        written = np.frombuffer(text, np.uint8)
        written[bounds[1:] - 1] = LF
        return Lines(written.data, bounds)


def _one(text: bytes) -> Texts:
    return Texts(np.frombuffer(text, np.uint8), np.array([0, len(text)]))


def _decimal(numbers: NDArray[np.int32], dialect: Dialect) -> Texts:
    """Numbers as text, in the output dialect like any field."""
    texts = [b"%d" % number for number in numbers.tolist()]
    plain = Texts(np.frombuffer(b"".join(texts), np.uint8), offsets_of(np.array([len(text) for text in texts])))
    return encode(plain, dialect)
