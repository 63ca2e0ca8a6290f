"""Field text from one dialect into another: which fields must change, and how they then read."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dgconsole.partition.fields import NONE, Bytes, Fields, Index, Mask, active_escapes, positions
from dgconsole.partition.rows import CR, LF, RowError
from dgconsole.settings.partitioner.dialect import MAX_FIELD
from dgconsole.settings.structs import Dialect

MEANINGS = {"0": 0, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "Z": 26}


def _decoded_bytes() -> Bytes:
    table = np.arange(256, dtype=np.uint8)
    for letter, code in MEANINGS.items():
        table[ord(letter)] = code
    return table


AFTER_ESCAPE = _decoded_bytes()
"""What a byte means that follows an escape."""


def null_text(dialect: Dialect) -> bytes:
    """The null string as it stands in a file."""
    return dialect.null.encode(errors="surrogateescape")


@dataclass(frozen=True, slots=True)
class Texts:
    """Many short texts, one after the other: text i is ``data[offsets[i]:offsets[i + 1]]``."""

    data: Bytes
    offsets: Index

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def to_list(self) -> list[bytes]:
        whole, bounds = self.data.tobytes(), self.offsets.tolist()
        return [whole[a:b] for a, b in pairwise(bounds)]

    @property
    def owners(self) -> Index:
        """For every byte the number of its text."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


def offsets_of(lengths: NDArray[np.integer]) -> Index:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def decode(fields: Fields, numbers: Index, dialect: Dialect) -> Texts:
    """What the fields of these numbers say: quotes off, doubled quotes one, escapes resolved."""
    starts, ends = fields.starts.reshape(-1)[numbers], fields.ends.reshape(-1)[numbers]
    quoted = np.isin(numbers, fields.quoted, assume_unique=True)
    starts, ends = starts + quoted, ends - quoted
    lengths = ends - starts
    offsets = offsets_of(lengths)
    raw = fields.array[np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])]
    texts = Texts(raw, offsets)
    keep = np.ones(len(raw), np.bool_)
    escaped = NONE
    if dialect.escape is not None:
        escapes = active_escapes(positions(raw, ord(dialect.escape)))
        keep[escapes] = False
        escaped = escapes + 1
        raw[escaped] = AFTER_ESCAPE[raw[escaped]]
    if dialect.quote is not None and quoted.any():
        keep[_doubled(texts, quoted, escaped, ord(dialect.quote))] = False
    if keep.all():
        return texts
    kept = np.bincount(texts.owners[keep], minlength=len(texts))
    return Texts(raw[keep], offsets_of(kept))


def _doubled(texts: Texts, quoted: Mask, escaped: Index, quote: int) -> Index:
    """The second of each pair of quotes in quoted fields."""
    ordinary = texts.data == quote
    ordinary[escaped] = False
    places = np.flatnonzero(ordinary)
    owners = np.searchsorted(texts.offsets, places, side="right") - 1
    places, owners = places[quoted[owners]], owners[quoted[owners]]
    number = np.arange(len(places))
    first = np.ones(len(places), np.bool_)
    first[1:] = (np.diff(places) != 1) | (np.diff(owners) != 0)
    within = number - np.maximum.accumulate(np.where(first, number, 0))
    second: Index = places[within % 2 == 1]
    return second


def encode(texts: Texts, dialect: Dialect) -> Texts:
    """Spell texts in a dialect; ``RowError`` (``row`` being the text's number) where it has no way to."""
    special = np.zeros(256, np.bool_)
    for character in (dialect.delimiter, dialect.escape, dialect.quote, "\r", "\n"):
        if character is not None:
            special[ord(character)] = True
    marked = special[texts.data]
    owners = texts.owners
    spoken_null = _equal(texts, null_text(dialect))
    spoken_null = np.setdiff1d(spoken_null, owners[marked])
    if dialect.quote is None and len(spoken_null):
        what = f"a field says {dialect.null!r}, which the output cannot tell from its null; take another out.csv.null"
        raise RowError(int(spoken_null[0]), what)
    in_quotes = np.zeros(len(texts), np.bool_)
    in_quotes[spoken_null] = True
    quote = ord(dialect.quote or "\0")
    if dialect.escape is not None:
        before, sign = marked, ord(dialect.escape)
    else:
        if dialect.quote is None:
            refused = marked
        else:
            refused = (texts.data == CR) | (texts.data == LF)
            in_quotes[owners[marked]] = True
        if refused.any():
            number = int(owners[np.flatnonzero(refused)[0]])
            raise RowError(number, "a field holds a delimiter or line end that the output has no way to escape")
        before, sign = (texts.data == quote) & in_quotes[owners], quote
    spelled = _insert(texts, owners, before, sign, in_quotes, quote)
    too_long = np.flatnonzero(np.diff(spelled.offsets) > MAX_FIELD)
    if len(too_long):
        raise RowError(int(too_long[0]), f"a field is longer than {MAX_FIELD} bytes once it is escaped")
    return spelled


def _equal(texts: Texts, text: bytes) -> Index:
    found = np.flatnonzero(np.diff(texts.offsets) == len(text))
    for place, byte in enumerate(text):
        found = found[texts.data[texts.offsets[found] + place] == byte]
    return found


def _insert(texts: Texts, owners: Index, before: Mask, sign: int, in_quotes: Mask, quote: int) -> Texts:
    """``sign`` before the marked bytes, CR and LF as letters there, quotes around the texts ``in_quotes``."""
    inserted = np.bincount(owners[before], minlength=len(texts))
    offsets = offsets_of(np.diff(texts.offsets) + inserted + 2 * in_quotes)
    shift = np.cumsum(before) + (2 * np.cumsum(in_quotes) - in_quotes)[owners]
    places = np.arange(len(texts.data)) + shift
    data = np.empty(offsets[-1], np.uint8)
    data[places] = texts.data
    if sign != quote:
        letters = texts.data[before]
        letters = np.where(letters == CR, ord("r"), np.where(letters == LF, ord("n"), letters))
        data[places[before]] = letters
    data[places[before] - 1] = sign
    data[offsets[:-1][in_quotes]] = quote
    data[offsets[1:][in_quotes] - 1] = quote
    return Texts(data, offsets)


def to_be_changed(fields: Fields, source: Dialect, target: Dialect) -> Mask:
    """Per field number: whether its text cannot pass as it stands (nulls aside)."""
    changed = np.zeros(fields.ends.size, np.bool_)
    changed[fields.quoted] = True
    changed[fields.escaped] = True
    ends = fields.ends.reshape(-1)
    for character in (target.delimiter, target.escape, target.quote):
        if character is None or character in (source.delimiter, source.escape):
            continue  # such a field is quoted or escaped, and counted already
        if fields.text.find(character.encode("latin-1")) >= 0:
            changed[np.searchsorted(ends, positions(fields.array, ord(character)))] = True
    changed[fields.equal_to(null_text(target))] = True
    return changed
