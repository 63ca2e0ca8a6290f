"""Where rows go: by their position, or by their director's id."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dgconsole.partition.fields import Fields, Index
from dgconsole.partition.recode import decode, null_text
from dgconsole.partition.rows import RowError
from dgconsole.settings.structs import Dialect, PartitionerConfig
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import PositionError, tiling_of

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

SPACES = b" \t\n\v\f\r"
DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
HEXADECIMAL = re.compile(rb"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?")
NOT_FINITE = re.compile(rb"[+-]?(?:inf|infinity|nan(?:\([0-9a-zA-Z_]*\))?)", re.IGNORECASE)


class Places(NamedTuple):
    """Output rows: first every input row in its home, then the copies for overlaps, in their order.

    Four arrays of one length: the input row, the chunk and sub-chunk it goes to, and whether as a copy.
    """

    row: Index
    chunk: Ints
    sub_chunk: Ints
    overlap: NDArray[np.bool_]


class Placer(Protocol):
    """Finds the places of a block of rows; ``RowError`` for a row that has none."""

    def __call__(self, fields: Fields) -> Places: ...


def home_only(chunk: Ints, sub_chunk: Ints) -> Places:
    rows = np.arange(len(chunk), dtype=np.int64)
    return Places(rows, chunk, sub_chunk, np.zeros(len(rows), np.bool_))


def place_by_position(config: PartitionerConfig) -> Placer:
    """Rows go where ``part.pos`` is; copies within ``part.overlap`` of other sub-chunks."""
    assert config.pos is not None
    tiling = tiling_of(config.num_stripes, config.num_sub_stripes)
    overlap = Overlap(tiling, config.overlap)
    columns = [config.in_fields.index(name) for name in config.pos]

    def place(fields: Fields) -> Places:
        longitude, latitude = (numbers_of(fields, column, config) for column in columns)
        try:
            cells = tiling.locate(longitude, latitude)
        except PositionError as error:
            raise RowError(error.index, f"part.pos: {error.reason}") from error
        home = home_only(cells.chunk, cells.sub_chunk)
        if config.overlap == 0.0:
            return home
        copies = overlap.copies(longitude, latitude, cells)
        return Places(
            np.concatenate([home.row, copies.row]),
            np.concatenate([home.chunk, copies.chunk]),
            np.concatenate([home.sub_chunk, copies.sub_chunk]),
            np.concatenate([home.overlap, np.ones(len(copies.row), np.bool_)]),
        )

    return place


def place_by_id(config: PartitionerConfig, index: Mapping[bytes, int]) -> Placer:
    """Rows go where the index says their ``part.id`` is: id -> chunk << 32 | sub-chunk."""
    assert config.id is not None
    column = config.in_fields.index(config.id)

    def place(fields: Fields) -> Places:
        refuse_null(fields, column, config)
        ids = texts_of(fields, column, config.in_dialect)
        found = np.fromiter((index.get(text, -1) for text in ids), np.int64, len(ids))
        unknown = np.flatnonzero(found < 0)
        if len(unknown):
            row = int(unknown[0])
            raise RowError(row, f"{config.id} {ids[row].decode(errors='replace')!r} is not in the director's index")
        return home_only((found >> 32).astype(np.int32), (found & 0xFFFFFFFF).astype(np.int32))

    return place


def refuse_null(fields: Fields, column: int, config: PartitionerConfig) -> None:
    nulls = fields.equal_to(null_text(config.in_dialect))
    nulls = nulls[nulls % fields.width == column]
    if len(nulls):
        raise RowError(int(nulls[0]) // fields.width, f"{config.in_fields[column]} is null; it must have a value")


def column_numbers(fields: Fields, column: int) -> Index:
    """The field numbers of one column."""
    return np.arange(column, fields.ends.size, fields.width)


def texts_of(fields: Fields, column: int, dialect: Dialect) -> list[bytes]:
    return decode(fields, column_numbers(fields, column), dialect).to_list()


def numbers_of(fields: Fields, column: int, config: PartitionerConfig) -> Floats:
    """A column of finite numbers, spelled as C's ``strtod`` takes them with white space around."""
    import pyarrow as pa

    refuse_null(fields, column, config)
    decoded = np.concatenate([fields.quoted, fields.escaped])
    if not np.any(decoded % fields.width == column):
        bounds = np.stack([fields.starts[:, column], fields.ends[:, column]], axis=1).reshape(-1)
        text = pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(fields.text))
        try:
            return _finite(text.take(pa.array(np.arange(0, len(bounds), 2))).cast(pa.float64()).to_numpy())
        except pa.ArrowInvalid:
            pass
    return _finite(_each(texts_of(fields, column, config.in_dialect), config.in_fields[column]))


def _finite(numbers: Floats) -> Floats:
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise RowError(int(wrong[0]), f"part.pos: {numbers[wrong[0]]} is no position; it must be a finite number")
    return numbers


def _each(texts: list[bytes], name: str) -> Floats:
    numbers = np.empty(len(texts))
    for row, text in enumerate(texts):
        number = strtod(text)
        if number is None:
            shown = repr(text[:40].decode(errors="replace"))
            raise RowError(row, f"{name} is {shown}; a number is wanted (is this line a header?)")
        numbers[row] = number
    return numbers


def strtod(text: bytes) -> float | None:
    """The number a whole text is to C's ``strtod``, white space around it aside; None if it is none."""
    text = text.strip(SPACES)
    convert: Callable[[str], float]
    if DECIMAL.fullmatch(text) or NOT_FINITE.fullmatch(text):
        convert = float
    elif HEXADECIMAL.fullmatch(text):
        convert = float.fromhex
    else:
        return None
    try:
        return convert(text.decode().partition("(")[0])
    except OverflowError:
        return float("inf")
