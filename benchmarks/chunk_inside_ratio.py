"""What a chunk costs beside its text: CPU of the whole path / CPU inside write_csv, same run, median of rounds.

    python benchmarks/chunk_inside_ratio.py [--rounds 7] [--megabytes 100] [--workdir DIR]

Object has 290 columns (203 doubles, 29 floats, 20 BIGINT, 38 TINYINT) and an overlap of 0.01667 degrees at
340/3; Source 50 columns, ForcedSource 5. It runs itself again in the environment that clients get.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from dgconsole.catalog import Chunker, columns
from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.model import ColumnSet, Spec, Table
from dgconsole.fleet.hostrunner import CLIENT_ENVIRONMENT
from dgconsole.partition.writer import ChunkTableWriter
from dgconsole.settings.structs import Dialect, PartitionerConfig

CHUNK = 57900
STRIPES, SUB_STRIPES = 340, 3


def column_set(key: str, generator: object) -> ColumnSet:
    pairs = [part.partition(":") for part in key.split(",")]
    return ColumnSet(tuple(p[0] for p in pairs), tuple(p[2] for p in pairs), generator, key)


def named(prefix: str, count: int, sql: str = "") -> str:
    return ",".join(f"{prefix}{i}{':' + sql if sql else ''}" for i in range(count))


def wide_object() -> Table:
    return Table(
        "Object",
        (
            column_set("objectId", columns.ObjIdGenerator()),
            column_set("ra,decl", columns.RaDecGenerator()),
            column_set(",".join(f"{b}PsFlux" for b in "ugrizy"), columns.MagnitudeGenerator(6)),
            column_set(named("d", 195), columns.UniformGenerator(195, max_val=1000)),
            column_set(named("f", 29, "FLOAT"), columns.UniformGenerator(29, max_val=30)),
            column_set(named("n", 19), columns.PoissonGenerator(19, mean_val=1000)),
            column_set(named("t", 38, "TINYINT"), columns.PoissonGenerator(38, mean_val=1)),
        ),
    )


def spec() -> Spec:
    visits = Table(
        "CcdVisit",
        (
            column_set("ccdVisitId", columns.VisitIdGenerator()),
            column_set("filterName", columns.FilterGenerator()),
            column_set("ra,decl", columns.RaDecGenerator()),
        ),
    )
    names = "sourceId:SID,objectId:OID,ccdVisitId:VID,ra:RA,decl:DEC,band:CHAR(1),flags:BIGINT,n:INT"
    typed = f"{names},{named('f', 20, 'FLOAT')},{named('e', 16, 'FLOATE')},{named('t', 6, 'TINYINT')}"
    children = ("Object", "CcdVisit")
    source = Table("Source", (column_set(typed, columns.SourceGenerator(visit_radius=0.6)),), prereq_tables=children)
    five = "objectId,ccdVisitId,psFlux,psFluxSigma,flags"
    forced = column_set(five, columns.ForcedSourceGenerator(visit_radius=0.6))
    tables = (wide_object(), visits, source, Table("ForcedSource", (forced,), prereq_tables=children))
    return Spec("benchmark", tables, Chunker(0, STRIPES, SUB_STRIPES))


def partitioner(table: Table) -> PartitionerConfig:
    director = table.name == "Object"
    return PartitionerConfig(
        table=table.name,
        path="",
        pos=("ra", "decl") if director else None,
        id="objectId",
        chunk="chunkId",
        sub_chunk="subChunkId",
        overlap=0.01667 if director else 0.0,
        num_stripes=STRIPES,
        num_sub_stripes=SUB_STRIPES,
        prefix="chunk",
        in_fields=table.names,
        out_fields=(*table.names, "chunkId", "subChunkId"),
        in_dialect=Dialect(delimiter=","),
        out_dialect=Dialect(null="\\N", quote=None),
    )


class Stopwatch:
    """CPU seconds spent inside polars' ``write_csv``."""

    def __init__(self) -> None:
        self.inside = 0.0
        self._write = pl.DataFrame.write_csv

    def __enter__(self) -> "Stopwatch":
        def timed(frame: pl.DataFrame, *args: object, **options: object) -> object:
            start = time.process_time()
            try:
                return self._write(frame, *args, **options)
            finally:
                self.inside += time.process_time() - start

        pl.DataFrame.write_csv = timed
        return self

    def __exit__(self, *_: object) -> None:
        pl.DataFrame.write_csv = self._write


def one_round(catalog: Catalog, table: Table, folder: Path, attempt: int) -> tuple[float, float, int, int]:
    """(CPU of all, CPU inside write_csv, bytes, rows) of one table of the chunk."""
    with Stopwatch() as watch:
        start = time.process_time()
        tiling = Chunker(0, STRIPES, SUB_STRIPES).tiling
        writer = ChunkTableWriter(partitioner(table), tiling, CHUNK, folder, attempt)
        for batch in catalog.batches(table.name, CHUNK):
            writer.write(batch)
        for batch in catalog.neighbour_batches(table.name, CHUNK):
            writer.write(batch)
        written = writer.close()
        whole = time.process_time() - start
    for file in written.files:
        Path(file.path).unlink()
    return whole, watch.inside, sum(f.bytes for f in written.files), sum(f.rows for f in written.files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=float, default=100.0, help="text of the Object table (default 100)")
    parser.add_argument("--workdir", type=Path, default=None, help="where the files go for a moment")
    options = parser.parse_args()
    if not CLIENT_ENVIRONMENT.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | CLIENT_ENVIRONMENT)
    rows = max(1, int(options.megabytes * 1e6 / 1.42 / 4000))
    made = spec()
    catalog = Catalog(
        made, seed=1, visits=8, objects=rows, overlaps={"Object": 0.01667}, on_warning=lambda text: print(text)
    )
    tables = [table for table in made.tables if table.name != "CcdVisit"]
    results: dict[str, list[tuple[float, float, int, int]]] = {table.name: [] for table in tables}
    with tempfile.TemporaryDirectory(dir=options.workdir) as folder:
        for number in range(options.rounds + 1):
            for table in tables:
                result = one_round(catalog, table, Path(folder), number + 1)
                if number:
                    results[table.name].append(result)
    together = [
        sum(results[t.name][i][0] for t in tables) / sum(results[t.name][i][1] for t in tables)
        for i in range(options.rounds)
    ]
    for name, rounds in results.items():
        ratios = [whole / inside for whole, inside, _, _ in rounds]
        cpu = statistics.median(whole for whole, _, _, _ in rounds)
        size, count = rounds[0][2], rounds[0][3]
        print(
            f"{name:13} {statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"
            f"  {size / 1e6:7.1f} MB  {count:9,} rows"
            f"  per CPU s: {size / 1e6 / cpu:4.0f} MB, {count / cpu:11,.0f} rows"
        )
    print(f"{'together':13} {statistics.median(together):.3f} ({min(together):.2f}-{max(together):.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
