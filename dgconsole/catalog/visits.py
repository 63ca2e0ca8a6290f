"""``dgvisits``: the visit table of the whole sky, for specs that take their visits from a file."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dgconsole.catalog import exactmath
from dgconsole.catalog.csvfile import CsvFile
from dgconsole.catalog.streams import hash_rows, make_key
from dgconsole.support.arguments import Parser, whole
from dgconsole.support.errors import ChunkError, InputError

VISITS = 150_000
"""A thousand a night for 150 nights."""
FILTERS = "ugrizy"
_TABLE = "dgvisits"
_ROWS = 1 << 16
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def main(argv: Sequence[str]) -> int:
    """The command; 0, or 1 where the file can't be written. InputError for bad options."""
    parser = Parser(
        "dgvisits",
        "Write a table of visits over the whole sky: id (from 0), filter, RA and Dec in degrees; no header.",
    )
    parser.add_argument("-o", metavar="FILE", default="visit_table.csv", help="the file to write (%(default)s)")
    parser.add_argument(
        "-n", metavar="N", type=whole("-n", least=1, most=2**31), default=VISITS, help="visits (%(default)s)"
    )
    parser.add_argument("--seed", metavar="S", type=whole("--seed"), default=1, help="(%(default)s)")
    options = parser.parse_args(argv)
    path = Path(options.o)
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"-o {options.o!r}: give the name of a file in a folder that exists")
    try:
        write_visits(path, options.n, options.seed)
    except ChunkError as error:
        print(f"dgvisits: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{options.o}: {options.n} visits")  # noqa: T201
    return 0


def write_visits(path: Path, count: int, seed: int) -> None:
    """Write ``count`` visits, uniform on the sphere; the first ones of a longer table are the same.

    Raises ChunkError where the file can't be written.
    """
    import polars as pl

    place, band = make_key(seed, _TABLE, "place"), make_key(seed, _TABLE, "filter")
    letters = pl.Enum(list(FILTERS))
    with CsvFile(path) as file:
        for start in range(0, count, _ROWS):
            ids = np.arange(start, min(start + _ROWS, count), dtype=np.uint64)
            hashes = hash_rows(ids, place)
            ra = ((hashes & _LOW).view(np.int64) + 0.5) * (360.0 / 2**32)
            z = (hashes >> _HALF).view(np.int64).astype(np.float64) * 2.0**-31 + (2.0**-32 - 1.0)
            which = (hash_rows(ids, band) >> _HALF) * np.uint64(len(FILTERS)) >> _HALF
            file.write_frame(
                pl.DataFrame(
                    {
                        "id": ids.view(np.int64),
                        "filter": pl.Series(which.astype(np.uint8)).cat.to(letters),
                        "ra": ra,
                        "decl": exactmath.asin(z) * exactmath.RADIAN,
                    }
                )
            )
