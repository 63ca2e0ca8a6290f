"""The index that a director's run leaves and its children follow: id, chunk, sub-chunk, one line an id."""

from pathlib import Path

from dgconsole.partition.fields import split
from dgconsole.partition.place import texts_of
from dgconsole.partition.rows import RowError, read_blocks
from dgconsole.settings.partitioner.dialect import MAX_FIELD
from dgconsole.settings.structs import Dialect
from dgconsole.support.errors import InputError, Problem

WIDTH = 3
BLOCK = 4 << 20


def read_index(path: Path, dialects: tuple[Dialect, ...]) -> dict[bytes, int]:
    """Id -> chunk << 32 | sub-chunk, of the first line that names the id.

    The index may be in any of ``dialects``: which of them the partitioner of its time took is not told.

    Raises
    ------
    InputError
        The file cannot be read, or is in none of the dialects.
    """
    problems = []
    for dialect in dict.fromkeys(dialects):
        try:
            return _read(path, dialect)
        except OSError as error:
            raise InputError(
                Problem(f"the index cannot be read: {error.strerror}", str(path), 0, "part.id-url")
            ) from error
        except RowError as error:
            problems.append(Problem(f"no line of an index: {error.what}", str(path), error.row + 1))
    raise InputError(problems[0])


def _read(path: Path, dialect: Dialect) -> dict[bytes, int]:
    places: dict[bytes, int] = {}
    for block in read_blocks(path, BLOCK, WIDTH * (MAX_FIELD + 1)):
        first = block.first_line - 1
        try:
            fields = split(block, WIDTH, dialect)
            ids, *numbers = (texts_of(fields, column, dialect) for column in range(WIDTH))
            cells = [_cell(row, *pair) for row, pair in enumerate(zip(*numbers, strict=True))]
        except RowError as error:
            raise RowError(first + error.row, error.what) from error
        for identifier, cell in zip(ids, cells, strict=True):
            places.setdefault(identifier, cell)
    return places


def _cell(row: int, chunk: bytes, sub_chunk: bytes) -> int:
    if chunk.isdigit() and sub_chunk.isdigit() and int(chunk) < 1 << 31 and int(sub_chunk) < 1 << 31:
        return int(chunk) << 32 | int(sub_chunk)
    raise RowError(
        row, f"chunk and sub-chunk are {chunk.decode(errors='replace')!r}, {sub_chunk.decode(errors='replace')!r}"
    )
