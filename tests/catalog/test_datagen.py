"""``datagen``: a chunk's CSV files, complete and edge only, and what it says about mistakes."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.catalog.csvfile import CsvFile
from dgconsole.catalog.datagen import main
from dgconsole.catalog.edges import director_tables, near_border
from dgconsole.catalog.spec import load_spec, read_spec
from dgconsole.catalog.visits import write_visits
from dgconsole.cli import guarded
from dgconsole.sky.boxes import Box
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.batch import Batch, Block
from dgconsole.support.errors import ChunkError, InputError

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "fakeGenSpec.py"
SPECS = Path(__file__).parent / "specs"
CHUNK = 14012


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory of each test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def datagen(*arguments: object) -> dict[str, str]:
    """Run it; the files that it made by name."""
    assert main([str(a) for a in arguments]) == 0
    return {path.name: path.read_text() for path in Path().glob("*chunk*")}


def frame(text: str) -> pl.DataFrame:
    made = pl.read_csv(io.StringIO(text), has_header=False)
    return made.rename({name: f"c{number}" for number, name in enumerate(made.columns)})


class TestComplete:
    def test_the_shipped_spec(self, capsys: pytest.CaptureFixture[str]) -> None:
        files = datagen("--chunk", CHUNK, "--visits", 30, "--objects", 1000, SHIPPED)
        assert set(files) == {f"chunk{CHUNK}_CT_{table}.csv" for table in ("Object", "CcdVisit", "ForcedSource")}
        objects, visits, forced = (
            frame(files[f"chunk{CHUNK}_CT_{name}.csv"]) for name in ("Object", "CcdVisit", "ForcedSource")
        )
        assert objects.width == 9
        assert 700 < objects.height < 950
        assert visits.shape == (30, 4)
        assert forced.width == 5
        assert 6 * objects.height < forced.height < 15 * objects.height
        assert set(forced["c0"]) <= set(objects["c0"])
        box = tiling_of(200, 5).chunk_box(CHUNK)
        assert objects["c1"].is_between(box.ra_min, box.ra_max).all()
        assert objects["c2"].is_between(box.dec_min, box.dec_max).all()
        said = capsys.readouterr()
        assert f"chunk{CHUNK}_CT_CcdVisit.csv: 30 rows" in said.out
        assert said.err == ""

    def test_it_is_the_same_each_time_and_another_with_another_seed(self) -> None:
        first = datagen("--chunk", CHUNK, SHIPPED)
        assert datagen("--chunk", CHUNK, SHIPPED) == first
        assert datagen("--chunk", CHUNK, "--seed", 1, SHIPPED) == first
        other = datagen("--chunk", CHUNK, "--seed", 2, SHIPPED)
        assert all(other[name] != first[name] for name in first)

    def test_lines_end_with_a_newline_and_have_no_header(self) -> None:
        text = datagen("--chunk", CHUNK, SHIPPED)[f"chunk{CHUNK}_CT_CcdVisit.csv"]
        assert text.count("\n") == 30
        assert text.endswith("\n")
        assert "\r" not in text
        fields = text.splitlines()[0].split(",")
        assert fields[1] in "ugrizy"
        assert [float(fields[2]), float(fields[3])]

    def test_counts_for_tables_without_density(self) -> None:
        files = datagen("--chunk", CHUNK, "--objects", 17, "--visits", 3, SPECS / "fake2020.py")
        assert files[f"chunk{CHUNK}_CT_Object.csv"].count("\n") == 17
        assert files[f"chunk{CHUNK}_CT_CcdVisit.csv"].count("\n") == 3

    @pytest.mark.parametrize("chunk", [0, 79600])
    def test_both_poles(self, chunk: int) -> None:
        files = datagen("--chunk", chunk, "--objects", 50, SPECS / "fake2020.py")
        assert files[f"chunk{chunk}_CT_Object.csv"].count("\n") == 50

    def test_visits_from_a_file_in_the_current_directory(self) -> None:
        write_visits(Path("visit_table.csv"), 20000, 1)
        files = datagen("--chunk", CHUNK, SPECS / "fakedb.py")
        assert set(files) == {f"chunk{CHUNK}_CT_Object.csv", f"chunk{CHUNK}_CT_ForcedSource.csv"}
        visits = frame(Path("visit_table.csv").read_text())
        assert set(frame(files[f"chunk{CHUNK}_CT_ForcedSource.csv"])["c1"]) <= set(visits["c0"])

    @pytest.mark.parametrize("name", ["fullwidth.py", "early2020.py", "ownclasses.py"])
    def test_the_originals_forms(self, name: str) -> None:
        files = datagen("--chunk", CHUNK, "--objects", 60, "--visits", 20, SPECS / name)
        assert all(files.values())

    def test_out_dir(self, folder: Path) -> None:
        assert datagen("--chunk", CHUNK, "--out-dir", "new/csv", SHIPPED) == {}
        assert len(list((folder / "new/csv").glob("*.csv"))) == 3


class TestEdgeOnly:
    @pytest.mark.parametrize("name", ["../../../fakeGenSpec.py", "fake2020.py"])
    def test_rows_are_those_of_the_complete_chunk(self, name: str) -> None:
        arguments = ("--chunk", CHUNK, "--objects", 900, SPECS / name)
        files = datagen(*arguments) | datagen("--edgeonly", *arguments)
        complete = files[f"chunk{CHUNK}_CT_Object.csv"].splitlines()
        edge = files[f"chunk{CHUNK}_EO_Object.csv"].splitlines()
        assert [line for line in complete if line in set(edge)] == edge
        assert 0.03 < len(edge) / len(complete) < 0.15
        assert files[f"chunk{CHUNK}_EO_ForcedSource.csv"] == ""
        assert files[f"chunk{CHUNK}_EO_CcdVisit.csv"] == files[f"chunk{CHUNK}_CT_CcdVisit.csv"]

    @given(data=st.data())
    def test_no_row_of_anybodys_overlap_is_missed(self, data: st.DataObject) -> None:
        tiling = tiling_of(18, 4)
        radius = 0.5
        chunk = data.draw(st.sampled_from(tiling.chunk_ids().tolist()))
        box = tiling.inner_box(chunk)
        seed = data.draw(st.integers(0, 2**31))
        random = np.random.default_rng(seed)
        ra = random.uniform(box.ra_min, box.ra_max, 300)
        dec = random.uniform(box.dec_min, box.dec_max, 300)
        copies = Overlap(tiling, radius).copies(ra, dec, tiling.locate(ra, dec))
        elsewhere = copies.row[copies.chunk != chunk]
        assert near_border(tiling.chunk_box(chunk), radius, ra, dec)[elsewhere].all()

    def test_what_is_near(self) -> None:
        box = Box(10.0, 20.0, 59.0, 61.0)
        ra = np.array([15.0, 15.0, 15.0, 10.15, 10.25, 19.85, 15.0])
        dec = np.array([60.0, 59.05, 60.95, 60.0, 60.0, 60.0, 59.2])
        assert near_border(box, 0.1, ra, dec).tolist() == [False, True, True, True, False, True, False]
        assert not near_border(box, 0.0, ra, dec).any()

    def test_a_cap_has_no_border_but_its_foot(self) -> None:
        box = Box(0.0, 360.0, 80.0, 90.0)
        near = near_border(box, 0.5, np.array([0.0, 359.9, 180.0]), np.array([89.9, 85.0, 80.4]))
        assert near.tolist() == [False, False, True]

    def test_directors_where_the_spec_names_none(self) -> None:
        assert director_tables(load_spec(read_spec(SPECS / "fake2020.py"))) == ("Object",)
        assert director_tables(load_spec(read_spec(SHIPPED))) == ("Object",)


class TestMistakes:
    def said(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
        assert guarded(main, [str(a) for a in arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        return said.err.strip()

    def test_no_chunk(self, capsys: pytest.CaptureFixture[str]) -> None:
        expected = "--chunk 99999999: no chunk of 200 stripes; ids run, with gaps, to 79600"
        assert self.said(capsys, "--chunk", 99999999, SHIPPED) == expected

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--chunk", "banana", "x.py"], "--chunk 'banana': give a whole number"),
            (["--chunk", "5", "--visits", "-3", "x.py"], "--visits '-3': give a whole number of at least 0"),
            (["--chunk", "5", "--edge-only", "x.py"], "unrecognized arguments: --edge-only"),
            (["x.py"], "the following arguments are required: --chunk"),
            (["--chunk", "5"], "the following arguments are required: SPEC.py"),
            (["--chunk", "5", "none.py"], "none.py: the spec can't be read: No such file or directory"),
        ],
    )
    def test_options(self, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
        assert self.said(capsys, *arguments).startswith(expected)

    def test_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main(["--help"])
        assert caught.value.code == 0
        assert "chunk<N>_EO_<Table>.csv" in capsys.readouterr().out

    def test_visits_that_are_missing(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = self.said(capsys, "--chunk", CHUNK, SPECS / "fakedb.py")
        assert said.endswith("there is no file 'visit_table.csv' here; make it with: dgvisits -o visit_table.csv")
        assert "fakedb.py:33: spec.CcdVisit.from_file" in said
        assert not list(Path().iterdir())

    def test_a_folder_that_cannot_be(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        (folder / "file").touch()
        assert self.said(capsys, "--chunk", CHUNK, "--out-dir", "file", SHIPPED).startswith("--out-dir 'file': ")

    def test_a_generator_that_fails_leaves_no_half_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = (SPECS / "ownclasses.py").read_text()
        Path("mine.py").write_text(text.replace("number = int(", "number = int(1 / 0) + int("))
        assert guarded(main, ["--chunk", str(CHUNK), "mine.py"]) == 1
        assert "ZeroDivisionError" in capsys.readouterr().err
        assert {path.name for path in Path().iterdir()} == {"mine.py", f"chunk{CHUNK}_CT_Object.csv"}


class TestCsvFile:
    def batch(self, **columns: object) -> Batch:
        blocks = tuple(Block((name,), np.array([values])) for name, values in columns.items())
        nowhere = np.empty(0)
        return Batch(tuple(columns), blocks, nowhere, nowhere, blocks[0].values.shape[1])

    def test_null_is_the_empty_field(self) -> None:
        with CsvFile(Path("a.csv")) as file:
            file.write(self.batch(a=[1.5, float("nan")], b=np.array([None, "x,y"], object), c=[1, -2]))
        assert Path("a.csv").read_text() == '1.5,,1\n,"x,y",-2\n'
        assert file.rows == 2

    def test_it_appears_when_it_is_whole(self) -> None:
        file = CsvFile(Path("a.csv"))
        file.write(self.batch(a=[1]))
        assert [path.name for path in Path().iterdir()] == ["a.csv.part"]
        file.__exit__(KeyError, None, None)
        assert not list(Path().iterdir())

    def test_a_folder_that_is_not_there(self) -> None:
        with pytest.raises(ChunkError, match=r"none/a\.csv: No such file or directory"):
            CsvFile(Path("none/a.csv"))


def test_problems_of_tables_name_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = (SPECS / "fake2020.py").read_text().replace('"prereq_tables": ["CcdVisit"],', '"prereq_tables": [],')
    Path("mine.py").write_text(text)
    with pytest.raises(InputError) as caught:
        main(["--chunk", str(CHUNK), "mine.py"])
    assert {problem.file for problem in caught.value.problems} == {"mine.py"}
