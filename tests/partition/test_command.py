"""The dgpartition command from outside: what it says, what it leaves, what it takes back."""

import json
import struct
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.partition.command import main
from dgconsole.partition.place import strtod
from dgconsole.partition.run import Partitioner
from dgconsole.settings.partitioner.options import merge_options, parse_command_line, read_files

GOLDEN = Path(__file__).parents[1] / "golden"
FIELDS = ["objectId", "ra", "decl", "txt"]


@pytest.fixture
def cfg(tmp_path: Path) -> Path:
    path = tmp_path / "T.cfg"
    part = {"pos": "ra, decl", "id": "objectId", "chunk": "chunkId", "num-stripes": 18, "num-sub-stripes": 10}
    csv = {"delimiter": ",", "field": FIELDS}
    path.write_text(json.dumps({"part": part, "in": {"csv": csv}, "out": {"csv": {"delimiter": "|"}}}))
    return path


@pytest.fixture
def run(tmp_path: Path, cfg: Path) -> "Run":
    return Run(tmp_path, cfg)


class Run:
    """Runs the command on texts, into one output folder."""

    def __init__(self, folder: Path, cfg: Path) -> None:
        self.folder = folder
        self.cfg = cfg
        self.out = folder / "out"

    def __call__(self, text: str | bytes, *more: str, name: str = "in.csv") -> int:
        source = self.folder / name
        source.write_bytes(text.encode() if isinstance(text, str) else text)
        return main(["-c", str(self.cfg), "--in.path", str(source), "--out.dir", str(self.out), *more])

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir()}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("4,10,5", "4 fields are wanted, the line has 3"),
        ("", "4 fields are wanted, the line is empty"),
        ("4,10,5,a,b", "4 fields are wanted, the line has 5"),
        ('4,10,5,"a', "a quote is not closed"),
        ("4,10,5,a\\", "the line ends with an escape"),
        ("4,-0.1,5,a", "part.pos: right ascension -0.1 is below 0"),
        ("4,10,-90.5,a", "part.pos: declination -90.5 is below -90"),
        ("4,nan,5,a", "part.pos: nan is no position"),
        ("4,10,NULL,a", "decl is null"),
        ("4,10,,a", "decl is ''; a number is wanted"),
        ("4,ra,decl,a", "ra is 'ra'; a number is wanted (is this line a header?)"),
        ("NULL,10,5,a", "objectId is null"),
        (f"4,10,5,{256 * 'x'}", "a field is longer than 255 bytes"),
        (f"4,10,5,{200 * '|'}", "a field is longer than 255 bytes once it is escaped"),
    ],
)
def test_a_bad_row_is_named_in_one_line(run: Run, capsys: pytest.CaptureFixture[str], line: str, what: str) -> None:
    assert run(f"1,10,5,a\n2,10.1,5,b\r\n3,10.2,5,c\n{line}\n5,10,5,d\n") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"dgpartition: {run.folder / 'in.csv'}:4: {what}")
    assert said.count("\n") == 1
    assert run.files() == {}


def test_an_error_takes_back_what_earlier_blocks_wrote(run: Run) -> None:
    good = "".join(f"{n},{10 + n % 7}.{n},{n % 50}.5,{'x' * 200}\n" for n in range(9000))
    assert run(good) == 0
    before = run.files()
    assert run(good + "oops\n", "--mr.block-size", "1", "--mr.pool-size", "0") == 1
    assert run.files() == before
    assert run("1,200,-40,new\n" + good + "oops\n", "--mr.block-size=1", "--mr.pool-size=0") == 1
    assert run.files() == before


def test_every_file_is_appended_to(run: Run) -> None:
    assert run("1,10.05,5.05,a\n2,10.06,5.05,b\n") == 0
    assert run("3,10.07,5.05,c\n") == 0
    assert run.files()["chunk_324.txt"].count(b"\n") == 3
    assert run.files()["chunk_object_index.txt"].splitlines()[-1].startswith(b"3|324|")
    records = list(struct.iter_unpack("<QQQ", run.files()["chunk_index.bin"]))
    assert sum(home for _, home, _ in records) == 3
    assert {cell >> 32 for cell, _, _ in records} == {324}


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 1 << 20])
@pytest.mark.parametrize("case", ["text_to_mysql", "text_to_quoted", "line_ends", "director_index", "fields_reorder"])
def test_blocks_of_any_size_make_the_same_files(
    case: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(GOLDEN / case)
    given = parse_command_line(json.loads(Path("case.json").read_text())["argv"])
    options = merge_options(read_files(given["config-file"]), given)
    Partitioner(msgspec.structs.replace(options, block_size=size, out_dir=str(tmp_path))).run()
    expected = {path.name: path.read_bytes() for path in Path("expected").iterdir()}
    for name, text in expected.items():
        if name.endswith(".txt"):
            assert Counter((tmp_path / name).read_bytes().splitlines(True)) == Counter(text.splitlines(True))


def test_the_first_line_of_an_index_wins_and_spaces_count(run: Run) -> None:
    child = {"id": "objectId", "chunk": "chunkId", "num-stripes": 18, "num-sub-stripes": 10}
    run.cfg.write_text(json.dumps({"part": child, "in": {"csv": {"delimiter": ",", "field": ["objectId", "v"]}}}))
    (run.folder / "index").write_text("7\t333\t5\n007\t334\t6\n7\t335\t7\n")
    url = f"--part.id-url=file://{run.folder / 'index'}"
    assert run("7,a\n007,b\n7,c\n", url) == 0
    assert run.files()["chunk_333.txt"] == b"7\ta\t333\t5\n7\tc\t333\t5\n"
    assert run.files()["chunk_334.txt"] == b"007\tb\t334\t6\n"


@pytest.mark.parametrize(
    ("index", "what"),
    [
        ("7\t333\n", "index:1: no line of an index: 3 fields"),
        ("7\t1\t1\n8\tx\t1\n", "index:2: no line of an index: chunk"),
    ],
)
def test_a_bad_index_is_named(run: Run, capsys: pytest.CaptureFixture[str], index: str, what: str) -> None:
    run.cfg.write_text('{"part": {"id": "a", "chunk": "chunkId"}, "in": {"csv": {"delimiter": ";", "field": ["a"]}}}')
    (run.folder / "index").write_text(index)
    assert run("7\n", f"--part.id-url=file://{run.folder / 'index'}") == 1
    assert what in capsys.readouterr().err


def test_an_unreadable_output_folder_is_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.out.write_text("a file")
    assert run("1,10,5,a\n") == 1
    assert capsys.readouterr().err == f"dgpartition: {run.out}: File exists\n"


def test_a_full_disk_is_one_line_and_takes_the_rest_back(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.out.mkdir()
    (run.out / "chunk_index.bin").symlink_to("/dev/full")
    assert run("1,10,5,a\n") == 1
    said = capsys.readouterr().err
    assert said == f"dgpartition: {run.out}/chunk_index.bin: No space left on device\n"
    assert list(run.out.iterdir()) == [run.out / "chunk_index.bin"]


def test_verbose_says_what_went_where(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("1,10.5,5.005,a\n", "-v") == 0
    assert capsys.readouterr().out == "1 rows, 1 copies in overlaps\n"


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "--part.num-sub-stripes VALUE" in text
    assert "-c --config-file VALUE" in text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"1e1", 10.0),
        (b" +5\t", 5.0),
        (b".5", 0.5),
        (b"5.", 5.0),
        (b"0x1.4p3", 10.0),
        (b"0X5", 5.0),
        (b"1e-400", 0.0),
        (b"1e400", float("inf")),
        (b"-INF", float("-inf")),
        (b"0x1p9999", float("inf")),
    ],
)
def test_numbers_are_spelled_as_in_c(text: bytes, number: float) -> None:
    assert strtod(text) == number


@pytest.mark.parametrize("text", [b"", b" ", b"1_0", b"1e", b"0x", b"1 2", b"1d5", b"\xc2\xa05", b"infinit"])
def test_what_is_no_number_in_c(text: bytes) -> None:
    assert strtod(text) is None


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_every_double_reads_back(number: float) -> None:
    assert strtod(repr(number).encode()) == number
    assert strtod(number.hex().encode()) == number
