"""``datagen``: the CSV files of one chunk, complete or only what lies near its border."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.csvfile import CsvFile
from dgconsole.catalog.edges import EDGE_WIDTH, director_tables, near_border
from dgconsole.catalog.model import Spec, Table
from dgconsole.catalog.spec import load_spec, read_spec
from dgconsole.support.arguments import Parser, whole
from dgconsole.support.batch import Batch
from dgconsole.support.errors import ChunkError, InputError, Problem


def main(argv: Sequence[str]) -> int:
    """The command; 0, or 1 where the chunk can't be made or written. InputError for bad options or a bad spec."""
    parser = Parser(
        "datagen",
        "Make one chunk of the sky from a spec file: a CSV file for each of its tables, chunk<N>_CT_<Table>.csv\n"
        "(complete) or chunk<N>_EO_<Table>.csv (edge only), without header.",
    )
    parser.add_argument("--chunk", metavar="N", type=whole("--chunk"), required=True, help="the chunk's id")
    parser.add_argument("--edgeonly", action="store_true", help="only rows that neighbours' overlap may ask for")
    parser.add_argument(
        "--visits", metavar="V", type=whole("--visits"), default=30, help="visits a chunk (%(default)s)"
    )
    parser.add_argument(
        "--objects",
        metavar="O",
        type=whole("--objects"),
        default=1000,
        help="objects a chunk, in tables without a density (%(default)s)",
    )
    parser.add_argument("--seed", metavar="S", type=whole("--seed"), default=1, help="(%(default)s)")
    parser.add_argument("--out-dir", metavar="D", default=".", help="where to write the files (current directory)")
    parser.add_argument("spec", metavar="SPEC.py", help="the spec file")
    options = parser.parse_args(argv)

    path = Path(options.spec)
    spec = load_spec(read_spec(path))
    _check_chunk(spec, options.chunk)
    _check_files(spec, path)
    for warning in spec.warnings:
        _say(warning)
    try:
        catalog = Catalog(
            spec,
            seed=options.seed,
            visits=options.visits,
            objects=options.objects,
            pregenerated=Path.cwd(),
            on_warning=_say,
        )
    except InputError as error:
        raise InputError(*(Problem(p.what, str(path), p.line, p.key) for p in error.problems)) from error
    try:
        _write(spec, catalog, options.chunk, edge_only=options.edgeonly, folder=Path(options.out_dir))
    except ChunkError as error:
        print(f"datagen: chunk {options.chunk}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _write(spec: Spec, catalog: Catalog, chunk: int, *, edge_only: bool, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out-dir {str(folder)!r}: {error.strerror}") from error
    form = "EO" if edge_only else "CT"
    for table in spec.tables:
        if table.from_file:
            continue
        with CsvFile(folder / f"chunk{chunk}_{form}_{table.name}.csv") as file:
            batches = _edge(spec, catalog, table, chunk) if edge_only else catalog.batches(table.name, chunk)
            for batch in batches:
                file.write(batch)
        print(f"{file.path}: {file.rows} rows")  # noqa: T201


def _edge(spec: Spec, catalog: Catalog, table: Table, chunk: int) -> Iterator[Batch]:
    """A director's rows near the border; nothing of its children, all of any other table."""
    if table.name in director_tables(spec):
        box = spec.chunker.tiling.chunk_box(chunk)
        width = EDGE_WIDTH if spec.edge_width is None else spec.edge_width
        for batch in catalog.batches(table.name, chunk):
            yield batch.take(np.flatnonzero(near_border(box, width, batch.ra, batch.dec)))
    elif not table.prereq_tables:
        yield from catalog.batches(table.name, chunk)


def _check_chunk(spec: Spec, chunk: int) -> None:
    tiling = spec.chunker.tiling
    if not tiling.is_chunk(chunk):
        raise InputError(
            f"--chunk {chunk}: no chunk of {tiling.num_stripes} stripes; ids run, with gaps, to {tiling.largest_id}"
        )


def _check_files(spec: Spec, path: Path) -> None:
    InputError.raise_if(
        Problem(
            f"there is no file {table.from_file!r} here; make it with: dgvisits -o {table.from_file}",
            str(path),
            table.line,
            f"spec.{table.name}.from_file",
        )
        for table in spec.tables
        if table.from_file and not Path(table.from_file).is_file()
    )


def _say(warning: str) -> None:
    print(f"datagen: {warning}", file=sys.stderr)  # noqa: T201
