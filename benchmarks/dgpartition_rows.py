"""Rows and megabytes per CPU second of dgpartition on a made file of 30 columns; prints, asserts nothing.

    python benchmarks/dgpartition_rows.py [--rows 500000] [--rounds 3] [--folder DIR]

A row is about 500 bytes: an id, a position, full-precision and rounded numbers, small integers. The tiling
is 200 stripes of 5 sub-stripes with an overlap of 0.01667 degrees, so 1.4 rows are written for each one read.
The folder (default: a temporary one) needs 3 KB a row; on a RAM disk the disk stays out of the figures.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

NAMES = ["objectId", "ra", "decl"] + [f"c{i}" for i in range(27)]
CONFIG = {
    "part": {
        "num-stripes": 200,
        "num-sub-stripes": 5,
        "overlap": 0.01667,
        "pos": "ra, decl",
        "chunk": "chunkId",
        "sub-chunk": "subChunkId",
    },
    "in": {"csv": {"delimiter": ",", "field": NAMES}},
    "out": {"csv": {"null": "\\N", "delimiter": "\t", "escape": "\\", "no-quote": True}},
}


def make(path: Path, rows: int, nulls: float) -> None:
    """The input; ``nulls`` is the share of rows with a null somewhere."""
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        for start in range(0, rows, 50_000):
            n = min(50_000, rows - start)
            columns: dict[str, object] = {
                "objectId": np.arange(start, start + n) + 433327840428032,
                "ra": rng.uniform(40, 60, n),
                "decl": rng.uniform(-10, 10, n),
            }
            columns |= {f"c{i}": rng.normal(0, 1000, n) for i in range(21)}
            columns |= {f"c{i}": rng.normal(20, 3, n).round(4) for i in range(21, 24)}
            columns |= {f"c{i}": rng.integers(0, 1000, n) for i in range(24, 27)}
            frame = pl.DataFrame(columns)
            if nulls:
                frame = frame.with_columns(
                    pl.when(pl.Series(rng.random(n) < nulls)).then(None).otherwise(pl.col("c5")).alias("c5")
                )
            frame.write_csv(file, include_header=False, null_value="NULL")


def measure(folder: Path, source: Path) -> tuple[float, float, float]:
    """User, system and wall seconds of one run."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    command = [sys.executable, "-m", "dgconsole.partition.command", "-c", str(folder / "T.cfg")]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(
        [*command, "--in.path", str(source), "--out.dir", str(folder / "out")], check=True, env=environment
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        (folder / "T.cfg").write_text(json.dumps(CONFIG))
        print(f"{options.rows} rows, best of {options.rounds}; rows and MB are of the input")
        for what, nulls in (("plain", 0.0), ("nulls in 1 row of 10", 0.1)):
            source = folder / "in.csv"
            make(source, options.rows, nulls)
            size = source.stat().st_size
            user, system, wall = min(
                (measure(folder, source) for _ in range(options.rounds)), key=lambda times: times[0] + times[1]
            )
            cpu = user + system
            print(
                f"{what:<22} user {user:.2f} s, system {system:.2f} s, wall {wall:.2f} s: "
                f"{options.rows / cpu:,.0f} rows, {size / cpu / 1e6:.0f} MB per CPU second"
            )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"largest memory of a run: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
