"""What streams into chunk files is what datagen and dgpartition make of the same files."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgconsole.catalog import datagen, visits
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import tiling_of

pytestmark = pytest.mark.slow

SPECS = Path(__file__).parents[1] / "catalog" / "specs"
CHUNKS = [0, 39600, 40000, 57701, 79600]
"""Both poles, RA 0 on both sides of the equator, mid latitude."""


def lines(path: Path) -> Counter[bytes]:
    """A file as a multiset of its lines; nothing where there is no file."""
    return Counter(path.read_bytes().splitlines(keepends=True)) if path.exists() else Counter()


@pytest.fixture
def made(project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[int], Path]:
    """``made(chunk)``: the folder of that chunk's CSV files and of its neighbours'."""
    monkeypatch.chdir(project.folder)
    overlap = Overlap(tiling_of(200, 5), 0.01667)

    def make(chunk: int) -> Path:
        for each in (chunk, *map(int, overlap.contributors(chunk))):
            assert datagen.main(["--chunk", str(each), "--out-dir", f"csv{chunk}", "fakeGenSpec.py"]) == 0
        return project.folder / f"csv{chunk}"

    return make


def assert_equal(project: Any, chunk: int, csv: Path, child: str) -> None:
    """The files of one chunk against what dgpartition makes of the CSV files."""
    objects = [word for path in sorted(csv.glob("*_Object.csv")) for word in ("--in.path", str(path))]
    assert len(objects) > 8
    out = project.folder / f"out{chunk}"
    partition(project, "Object", *objects, "--out.dir", str(out / "Object"))
    index = (out / "Object" / "chunk_object_index.txt").as_uri()
    rows = csv / f"chunk{chunk}_CT_{child}.csv"
    partition(project, child, "--part.id-url", index, "--in.path", str(rows), "--out.dir", str(out / child))
    for name in (f"Object/chunk_{chunk}.txt", f"Object/chunk_{chunk}_overlap.txt", f"{child}/chunk_{chunk}.txt"):
        streamed = lines(project.run_dir / "chunks" / name)
        assert streamed, name
        assert streamed == lines(out / name), name


def partition(project: Any, table: str, *options: str) -> None:
    ended = project.start("dgpartition", "-c", f"fakePartitionerCfgs/{table}.cfg", *options).end()
    assert ended.status == 0, ended


def test_the_shipped_catalog(project: Any, made: Callable[[int], Path]) -> None:
    assert project.run(",".join(map(str, CHUNKS))).status == 0
    for chunk in CHUNKS:
        assert_equal(project, chunk, made(chunk), "ForcedSource")


def fields(project: Any, table: str, names: str, **part: object) -> None:
    """The shipped .cfg of a table with other fields; with options of ``part``, None to take one out."""
    name = f"fakePartitionerCfgs/{table}.cfg"
    shipped = name if (project.folder / name).exists() else "fakePartitionerCfgs/ForcedSource.cfg"
    config = json.loads(project.text(shipped))
    config["part"] |= part
    config["in"]["csv"]["field"] = names.split(",")
    config["out"]["csv"]["field"] = [*names.split(","), "chunkId", "subChunkId"]
    project.write(name, json.dumps(config, indent=1))


def visits_from_a_file(project: Any) -> None:
    (project.folder / "made").mkdir()
    project.write("serverCfg.yml", project.text("serverCfg.yml") + "pregenerated: {cfgDir: made}\n")
    assert visits.main(["-o", str(project.folder / "made" / "visit_table.csv"), "-n", "150000"]) == 0
    shutil.copy(project.folder / "made" / "visit_table.csv", project.folder)


def test_a_spec_of_the_original_with_visits_from_a_file(project: Any, made: Callable[[int], Path]) -> None:
    shutil.copy(SPECS / "fakedb.py", project.folder / "fakeGenSpec.py")
    visits_from_a_file(project)
    fields(project, "Object", "id,ra,decl,u,g,r,i,z,y", id="id", pos="ra, decl")
    ended = project.run("39600,57701")
    assert ended.status == 0, ended
    project.assert_whole([39600, 57701])
    assert_equal(project, 39600, made(39600), "ForcedSource")


def test_a_spec_of_2020(project: Any, made: Callable[[int], Path]) -> None:
    """No density, no directors: counts from the arguments, the director from the .cfg files."""
    shutil.copy(SPECS / "fake2020.py", project.folder / "fakeGenSpec.py")
    fields(project, "Object", "objectId,ra,decl,mag_u,mag_g,mag_r,mag_i,mag_z")
    fields(project, "ForcedSource", "objectId,ccdVisitId,psFlux,psFluxSigma")
    ended = project.run("39600,57701")
    assert ended.status == 0, ended
    project.assert_whole([39600, 57701])
    assert project.files()["Object/chunk_57701.txt"].count(b"\n") == 1000
    assert_equal(project, 57701, made(57701), "ForcedSource")


def test_generators_of_the_users_own(project: Any, made: Callable[[int], Path]) -> None:
    """In the original's calling forms; the same bytes from one client and from two."""
    shutil.copy(SPECS / "ownclasses.py", project.folder / "fakeGenSpec.py")
    fields(project, "Object", "objectId,ra,decl,redshift,size,isStar")
    fields(project, "Detection", "objectId,redshift")
    (project.folder / "fakePartitionerCfgs" / "ForcedSource.cfg").unlink()
    ended = project.run("39600,39601,57701")
    assert ended.status == 0, ended
    assert_equal(project, 39600, made(39600), "Detection")
    project.clients(1)
    assert project.run("39600,39601,57701", "--run-dir", "alone").status == 0
    assert project.files("alone") == project.files()
