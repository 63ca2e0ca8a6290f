"""Streamed rows: the same lines as dgpartition makes of the same rows in a CSV file, and what cannot be written."""

import dataclasses
import errno
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.partition.command import main
from dgconsole.partition.text import check_streamable
from dgconsole.partition.writer import ChunkTableWriter, WrittenTable, disk_error
from dgconsole.settings.partitioner.config import load_partitioner
from dgconsole.settings.structs import Dialect, PartitionerConfig, TextFile
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.batch import Batch, Block
from dgconsole.support.errors import ChunkError, Fault
from dgconsole.support.filenames import attempt_name

TILING = tiling_of(18, 10)
OVERLAP = 0.4
COLUMNS = ("id", "psRa", "psDecl", "flux", "mag", "flag", "band", "name", "n")
IN_FIELDS = '["objectId", "ra", "decl", "f", "m", "bit", "b", "txt", "n"]'
MYSQL = '"null": "\\\\N", "delimiter": "\\t", "escape": "\\\\", "no-quote": true'
QUOTED = '"null": "NULL", "delimiter": "|", "no-escape": true'
BOTH = '"null": "none", "delimiter": ",", "quote": "\'", "escape": "~"'
FIELDS = (
    "",
    ', "field": ["chunkId", "b", "objectId", "nothing", "txt", "objectId", "subChunkId", "f"]',
    ', "field": ["objectId", "decl", "ra", "subChunkId"]',
)


def director(out: str, overlap: float = OVERLAP) -> str:
    return (
        '{"part": {"num-stripes": 18, "num-sub-stripes": 10, "pos": "ra, decl", "id": "objectId", '
        f'"chunk": "chunkId", "overlap": {overlap}}}, "in": {{"csv": {{"delimiter": ",", "null": "", '
        f'"no-escape": true, "field": {IN_FIELDS}}}}}, "out": {{"csv": {{{out}}}}}}}'
    )


def load(text: str, name: str = "Object.cfg") -> PartitionerConfig:
    return load_partitioner(TextFile(name, name, text.encode()))


def some_rows(seed: int, chunk: int, rows: int) -> Batch:
    """Rows in and around a chunk, some on limits of sub-chunks; values of every kind, texts that need care."""
    rng = np.random.default_rng(seed)
    box = TILING.chunk_box(chunk)
    pad = 1.5
    ra = np.mod(rng.uniform(box.ra_min - pad, box.ra_max + pad, rows), 360.0)
    dec = np.clip(rng.uniform(box.dec_min - pad, box.dec_max + pad, rows), -90.0, 90.0)
    on_limit = rng.random(rows) < 0.2
    dec[on_limit] = np.round(dec[on_limit])
    flux = rng.normal(size=(1, rows))
    flux[rng.random((1, rows)) < 0.3] = np.nan
    texts = np.array(
        ["plain", "a,b", 'say "x"', "tab\t", "pipe|", "\\N", "NULL", "none", "~'", "", "é", None], object
    )
    return Batch(
        COLUMNS,
        (
            Block(("id", "n"), rng.integers(0, 1 << 62, (2, rows))),
            Block(("psRa", "psDecl"), np.stack([ra, dec])),
            Block(("flux",), flux),
            Block(("mag",), rng.normal(20, 3, (1, rows)).astype(np.float32)),
            Block(("flag",), rng.random((1, rows)) < 0.5),
            Block(("band",), rng.integers(0, 3, (1, rows)).astype(np.uint8), ("u", "g|", "none")),
            Block(("name",), rng.choice(texts, (1, rows))),
        ),
        ra,
        dec,
        rows,
    )


def write_csv(batch: Batch, path: Path) -> None:
    """As the generator's own CSV is written: no header, comma, empty for null."""
    frame = pl.DataFrame(list(batch.series()))
    frame.with_columns(pl.col(pl.Boolean).cast(pl.Int8)).write_csv(path, include_header=False)


def lines_by_file(written: WrittenTable) -> dict[str, Counter[bytes]]:
    return {file.name: Counter(file.path.read_bytes().splitlines(True)) for file in written.files}


def made_by_dgpartition(folder: Path, cfg: str, csv: Path, chunk: int, *more: str) -> dict[str, Counter[bytes]]:
    folder.mkdir(exist_ok=True)
    (folder / "T.cfg").write_text(cfg)
    out = folder / "out"
    assert main(["-c", str(folder / "T.cfg"), "--in.path", str(csv), "--out.dir", str(out), *more]) == 0
    names = (f"chunk_{chunk}.txt", f"chunk_{chunk}_overlap.txt")
    return {n: Counter((out / n).read_bytes().splitlines(True)) for n in names if (out / n).exists()}


chunks = st.sampled_from([0, 36, 324, 333, 358, 612])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), chunks, st.sampled_from([MYSQL, QUOTED, BOTH]), st.sampled_from(FIELDS))
def test_streamed_equals_made(
    tmp_path_factory: pytest.TempPathFactory, seed: int, chunk: int, dialect: str, out_fields: str
) -> None:
    folder = tmp_path_factory.mktemp("streamed")
    rows = some_rows(seed, chunk, 300)
    cfg = director(dialect + out_fields)
    writer = ChunkTableWriter(load(cfg), TILING, chunk, folder, 1)
    for start in range(0, rows.length, 100):
        writer.write(rows.take(np.arange(start, start + 100)))
    written = writer.close()
    write_csv(rows, folder / "in.csv")
    assert lines_by_file(written) == made_by_dgpartition(folder / "made", cfg, folder / "in.csv", chunk)
    assert writer.written_rows == sum(file.rows for file in written.files)
    assert writer.written_bytes == sum(file.path.stat().st_size for file in written.files)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1 << 32), chunks)
def test_streamed_children_equal_those_made_by_their_directors_index(
    tmp_path_factory: pytest.TempPathFactory, seed: int, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("children")
    directors = some_rows(seed, chunk, 200)
    write_csv(directors, folder / "Object.csv")
    made_by_dgpartition(folder / "Object", director(MYSQL), folder / "Object.csv", chunk)
    rng = np.random.default_rng(seed)
    # Runs of one director's rows, some long, some of a single row, as they come and cut between batches.
    of = np.repeat(rng.integers(0, directors.length, 200), rng.integers(1, 6, 200))
    children = Batch(
        ("objectId", "visit", "flux"),
        (
            Block(("objectId", "visit"), np.stack([directors.column("id")[of], rng.integers(0, 99, len(of))])),
            Block(("flux",), rng.random((1, len(of)))),
        ),
        directors.ra[of],
        directors.dec[of],
        len(of),
    )
    cfg = (
        '{"part": {"num-stripes": 18, "num-sub-stripes": 10, "id": "oid", "chunk": "chunkId"}, '
        '"in": {"csv": {"delimiter": ",", "null": "", "field": ["oid", "v", "f"]}}, '
        f'"out": {{"csv": {{{MYSQL}, "field": ["oid", "v", "f", "chunkId"]}}}}}}'
    )
    writer = ChunkTableWriter(load(cfg, "Child.cfg"), TILING, chunk, folder, 1)
    for rows in np.array_split(np.arange(len(of)), 3):
        writer.write(children.take(rows))
    write_csv(children, folder / "Child.csv")
    index = f"--part.id-url=file://{folder / 'Object' / 'out' / 'chunk_object_index.txt'}"
    made = made_by_dgpartition(folder / "Child", cfg, folder / "Child.csv", chunk, index)
    assert lines_by_file(writer.close()) == made
    assert not any("overlap" in name for name in made)


@pytest.fixture
def home() -> Batch:
    """A few rows that are all in chunk 324."""
    rows = some_rows(1, 324, 400)
    return rows.take(np.flatnonzero(TILING.locate(rows.ra, rows.dec).chunk == 324)[:50])


def test_files_come_with_their_first_row_under_the_attempts_name(tmp_path: Path, home: Batch) -> None:
    writer = ChunkTableWriter(load(director(MYSQL, overlap=0.0)), TILING, 324, tmp_path, 7)
    writer.write(home.take(np.arange(0)))
    assert list(tmp_path.iterdir()) == []
    writer.write(home)
    (file,) = writer.close().files
    assert file.path == tmp_path / "chunk_324.txt.attempt-7"
    assert (file.name, file.rows, file.overlap) == ("chunk_324.txt", 50, False)
    assert file.path.name == attempt_name("chunk_324.txt", 7)


def test_each_child_is_in_the_cell_of_its_own_place(tmp_path: Path) -> None:
    """Places that change from row to row, only in declination, only by the sign of zero, and not at all."""
    sub_chunks = TILING.sub_chunk_ids(324)
    boxes = [TILING.sub_chunk_box(324, int(sub_chunk)) for sub_chunk in sub_chunks]
    middle = [(0.5 * (box.ra_min + box.ra_max), 0.5 * (box.dec_min + box.dec_max)) for box in boxes]
    below, above = middle[0], (middle[0][0], middle[-1][1])
    outside = (middle[0][0] + 180.0, middle[0][1])
    zero, minus_zero = (middle[0][0], 0.0), (middle[0][0], -0.0)
    places = [below, above, below, below, outside, below, zero, minus_zero, outside, outside, *middle]
    ra, dec = (np.array(axis) for axis in zip(*places, strict=True))
    numbers = np.arange(len(places))
    child = Batch(("n",), (Block(("n",), numbers[None, :]),), ra, dec, len(places))
    cfg = (
        '{"part": {"num-stripes": 18, "num-sub-stripes": 10, "id": "n", "chunk": "c"}, '
        f'"in": {{"csv": {{"field": ["n"]}}}}, "out": {{"csv": {{{MYSQL}, "field": ["n", "c", "subChunkId"]}}}}}}'
    )
    writer = ChunkTableWriter(load(cfg, "Child.cfg"), TILING, 324, tmp_path, 1)
    writer.write(child)
    (file,) = writer.close().files
    cells = TILING.locate(ra, dec)
    expected = [f"{n}\t324\t{cells.sub_chunk[n]}" for n in numbers if cells.chunk[n] == 324]
    assert file.path.read_text().splitlines() == expected
    assert 0 < len(expected) < len(places)


def test_no_rows_no_file(tmp_path: Path, home: Batch) -> None:
    writer = ChunkTableWriter(load(director(MYSQL)), TILING, 612, tmp_path, 1)
    writer.write(home)
    assert writer.close().files == ()
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_attempt_leaves_nothing(tmp_path: Path, home: Batch) -> None:
    writer = ChunkTableWriter(load(director(MYSQL)), TILING, 324, tmp_path, 1)
    writer.write(home)
    assert len(list(tmp_path.iterdir())) == 2
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_infinity_is_refused_with_its_column(tmp_path: Path, home: Batch) -> None:
    flux = home.column("flux")
    flux[3] = -np.inf
    writer = ChunkTableWriter(load(director(MYSQL)), TILING, 324, tmp_path, 1)
    writer.write(home.take(np.arange(3)))
    with pytest.raises(ChunkError, match=r"Object\.flux is infinite") as caught:
        writer.write(home)
    assert caught.value.fault is Fault.GENERATE
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_text_without_a_spelling_is_refused(tmp_path: Path, home: Batch) -> None:
    cfg = director('"null": "-", "delimiter": "|", "no-escape": true, "no-quote": true')
    writer = ChunkTableWriter(load(cfg), TILING, 324, tmp_path, 1)
    with pytest.raises(ChunkError, match=r"set out\.csv\.escape") as caught:
        writer.write(home)
    assert caught.value.fault is Fault.PARTITION


def test_another_number_of_columns_is_refused(tmp_path: Path, home: Batch) -> None:
    narrow = dataclasses.replace(home, columns=home.columns[:-1])
    with pytest.raises(ChunkError, match=r"8 columns made, its \.cfg names 9"):
        ChunkTableWriter(load(director(MYSQL)), TILING, 324, tmp_path, 1).write(narrow)


def test_rows_without_a_place_are_refused(tmp_path: Path, home: Batch) -> None:
    nowhere = dataclasses.replace(home, ra=np.zeros(0), dec=np.zeros(0))
    with pytest.raises(ChunkError, match="have no place in the sky"):
        ChunkTableWriter(load(director(MYSQL)), TILING, 324, tmp_path, 1).write(nowhere)


def test_a_full_disk_is_the_clients_fault(tmp_path: Path, home: Batch) -> None:
    (tmp_path / attempt_name("chunk_324.txt", 1)).symlink_to("/dev/full")
    writer = ChunkTableWriter(load(director(MYSQL)), TILING, 324, tmp_path, 1)
    with pytest.raises(ChunkError, match="No space left on device") as caught:
        writer.write(home)
    assert caught.value.fault is Fault.DISK
    writer.abandon()


def test_a_folder_that_is_gone_is_the_clients_fault(tmp_path: Path, home: Batch) -> None:
    writer = ChunkTableWriter(load(director(MYSQL)), TILING, 324, tmp_path / "gone", 1)
    with pytest.raises(ChunkError) as caught:
        writer.write(home)
    assert caught.value.fault is Fault.WORKDIR


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (errno.EIO, Fault.DISK),
        (errno.EDQUOT, Fault.DISK),
        (errno.EROFS, Fault.WORKDIR),
        (errno.EBADF, Fault.PARTITION),
    ],
)
def test_whose_fault_a_failed_write_is(number: int, fault: Fault) -> None:
    assert disk_error(Path("f"), OSError(number, "x")).fault is fault
    assert disk_error(Path("f"), OSError(f"x (os error {number})")).fault is fault


@pytest.mark.parametrize(
    ("dialect", "key"),
    [
        (Dialect(delimiter="-"), "out.csv.delimiter"),
        (Dialect(quote="."), "out.csv.quote"),
        (Dialect(escape="\xe9"), "out.csv.escape"),
        (Dialect(null="-99"), "out.csv.null"),
        (Dialect(null="\udcff"), "out.csv.null"),
    ],
)
def test_dialects_that_cannot_be_streamed(dialect: Dialect, key: str) -> None:
    config = load(director(MYSQL))
    assert check_streamable(config) == []
    (problem,) = check_streamable(
        type(config)(**{f: getattr(config, f) for f in config.__struct_fields__} | {"out_dialect": dialect})
    )
    assert problem.key == key
    assert problem.file == "Object.cfg"
