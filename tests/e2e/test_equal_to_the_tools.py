"""What streams into chunk files is what datagen and dgpartition make of the same files."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dgconsole.catalog import datagen
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import tiling_of

CHUNKS = [0, 39600, 40000, 57701, 79600]


def lines(path: Path) -> Counter[bytes]:
    """A file as a multiset of its lines; nothing where there is no file."""
    return Counter(path.read_bytes().splitlines(keepends=True)) if path.exists() else Counter()


@pytest.fixture
def made(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``made(chunk)``: the folder of that chunk's CSV files and of its neighbours'."""
    monkeypatch.chdir(project.folder)
    overlap = Overlap(tiling_of(200, 5), 0.01667)

    def make(chunk: int) -> Path:
        for each in (chunk, *map(int, overlap.contributors(chunk))):
            assert (
                datagen.main(["--chunk", str(each), "--seed", "1", "--out-dir", f"csv{chunk}", "fakeGenSpec.py"]) == 0
            )
        return project.folder / f"csv{chunk}"

    return make


@pytest.mark.slow
def test_streamed_equals_made(project: Any, made: Any) -> None:
    assert project.run(",".join(map(str, CHUNKS))).status == 0
    for chunk in CHUNKS:
        csv = made(chunk)
        objects = [word for path in sorted(csv.glob("*_Object.csv")) for word in ("--in.path", str(path))]
        assert len(objects) > 8
        partition(project, "Object", *objects, "--out.dir", f"out{chunk}/Object")
        index = project.folder / f"out{chunk}" / "Object" / "chunk_object_index.txt"
        child = ("--part.id-url", index.as_uri(), "--in.path", str(csv / f"chunk{chunk}_CT_ForcedSource.csv"))
        partition(project, "ForcedSource", *child, "--out.dir", f"out{chunk}/ForcedSource")
        for name in (
            f"Object/chunk_{chunk}.txt",
            f"Object/chunk_{chunk}_overlap.txt",
            f"ForcedSource/chunk_{chunk}.txt",
        ):
            streamed = lines(project.run_dir / "chunks" / name)
            assert streamed, name
            assert streamed == lines(project.folder / f"out{chunk}" / name), name


def partition(project: Any, table: str, *options: str) -> None:
    ended = project.start("dgpartition", "-c", f"fakePartitionerCfgs/{table}.cfg", *options).end()
    assert ended.status == 0, ended
