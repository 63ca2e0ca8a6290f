"""The shipped catalog, streamed into a chunk's files and made the long way: datagen's CSV, then dgpartition."""

from collections import Counter
from pathlib import Path

import pytest

from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.datagen import main as datagen
from dgconsole.catalog.spec import load_spec, read_spec
from dgconsole.partition.command import main as dgpartition
from dgconsole.partition.writer import ChunkTableWriter
from dgconsole.settings.partitioner.config import load_partitioner
from dgconsole.settings.structs import PartitionerConfig, TextFile
from dgconsole.sky.overlap import Overlap
from dgconsole.support.filenames import home_name, overlap_name

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "fakeGenSpec.py"
CFG = ROOT / "fakePartitionerCfgs"
COUNTS = {"seed": 1, "visits": 30, "objects": 1000}

Files = dict[tuple[str, str], Counter[bytes]]


def lines(path: Path) -> Counter[bytes]:
    return Counter(path.read_bytes().splitlines(True))


def configs() -> dict[str, PartitionerConfig]:
    files = (CFG / f"{table}.cfg" for table in ("Object", "ForcedSource"))
    return {file.stem: load_partitioner(TextFile(file.name, file.name, file.read_bytes())) for file in files}


def streamed(chunk: int, folder: Path) -> Files:
    spec = load_spec(read_spec(SPEC), cwd=ROOT)
    tables = configs()
    overlaps = {"Object": tables["Object"].overlap}
    catalog = Catalog(spec, **COUNTS, overlaps=overlaps, on_warning=pytest.fail)
    found: Files = {}
    for table, config in tables.items():
        (folder / table).mkdir(parents=True)
        writer = ChunkTableWriter(config, spec.chunker.tiling, chunk, folder / table, 1)
        for batch in catalog.batches(table, chunk, rows=500):
            writer.write(batch)
        if table in overlaps:
            for batch in catalog.neighbour_batches(table, chunk, rows=500):
                writer.write(batch)
        found |= {(table, file.name): lines(file.path) for file in writer.close().files}
    return found


def made(chunk: int, folder: Path) -> Files:
    tables = configs()
    counts = [word for name, number in COUNTS.items() for word in (f"--{name}", str(number))]
    rest = [*counts, "--out-dir", str(folder), str(SPEC)]
    folder.mkdir()
    assert datagen(["--chunk", str(chunk), *rest]) == 0
    tiling = load_spec(read_spec(SPEC), cwd=ROOT).chunker.tiling
    for neighbour in Overlap(tiling, tables["Object"].overlap).contributors(chunk).tolist():
        assert datagen(["--chunk", str(neighbour), "--edgeonly", *rest]) == 0
    found: Files = {}
    for table in tables:
        inputs = [word for path in sorted(folder.glob(f"*_{table}.csv")) for word in ("--in.path", str(path))]
        out = folder / f"out{table}"
        index = f"--part.id-url=file://{folder / 'outObject' / 'chunk_object_index.txt'}"
        more = [] if table == "Object" else [index]
        assert dgpartition(["-c", str(CFG / f"{table}.cfg"), *inputs, "--out.dir", str(out), *more]) == 0
        paths = (out / name(chunk) for name in (home_name, overlap_name))
        found |= {(table, path.name): lines(path) for path in paths if path.exists()}
    return found


@pytest.mark.parametrize("chunk", [0, 79600, 40000, 39783], ids=["south pole", "north pole", "RA 0", "equator"])
def test_a_chunk_streamed_equals_the_chunk_made(chunk: int, tmp_path: Path) -> None:
    files = streamed(chunk, tmp_path / "streamed")
    assert files == made(chunk, tmp_path / "made")
    assert set(files) == {
        ("Object", f"chunk_{chunk}.txt"),
        ("Object", f"chunk_{chunk}_overlap.txt"),
        ("ForcedSource", f"chunk_{chunk}.txt"),
    }
