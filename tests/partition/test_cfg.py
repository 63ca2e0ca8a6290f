"""The ``.cfg`` reader: both forms, how files merge, and what each mistake is told."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.settings.partitioner.config import load_partitioner
from dgconsole.settings.partitioner.options import PartitionerOptions, merge_options, parse_command_line
from dgconsole.settings.partitioner.relaxed import parse_relaxed
from dgconsole.settings.structs import Dialect, TextFile
from dgconsole.support.errors import InputError

GOOD: dict[str, Any] = {
    "id": "objectId",
    "dirTable": "Object",
    "part": {"pos": "ra, decl", "chunk": "chunkId", "overlap": 0.01667, "num-stripes": 200, "num-sub-stripes": 5},
    "in": {"csv": {"delimiter": ",", "field": ["objectId", "ra", "decl"]}},
    "out": {"csv": {"null": "\\N", "delimiter": "\t", "escape": "\\", "no-quote": True}},
}
RELAXED = r"""
part = { pos = 'ra, decl'   # where it is
  chunk : chunkId  overlap = 0.01667, num-stripes=200 "num-sub-stripes" = 5 }
in.csv = ( delimiter = ',' field = [objectId ra, decl] )
out = { csv.null = '\\N'  csv.delimiter = "\t" csv.escape = '\\' csv.no-quote = true }
htm.level = 8
"""


def text_file(content: str | dict[str, Any], name: str = "Object.cfg") -> TextFile:
    text = content if isinstance(content, str) else json.dumps(content)
    return TextFile(name, f"cfgs/{name}", text.encode())


def problems(content: str | dict[str, Any]) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_partitioner(text_file(content))
    return [str(problem) for problem in caught.value.problems]


def changed(**sections: dict[str, Any]) -> dict[str, Any]:
    """The good configuration with some keys of ``part``, ``in`` or ``out`` replaced; None takes one out."""
    tree = json.loads(json.dumps(GOOD))
    for section, keys in sections.items():
        place = tree["part"] if section == "part" else tree[section.rstrip("_")]["csv"]
        place.update(keys)
    return tree


def options(*files: str | dict[str, Any], argv: str = "") -> PartitionerOptions:
    line = ["--in.path", "a", "--out.dir", "o", *argv.split()]
    return merge_options([text_file(file, f"{n}.cfg") for n, file in enumerate(files)], parse_command_line(line))


def test_both_forms_say_the_same() -> None:
    strict, relaxed = load_partitioner(text_file(GOOD)), load_partitioner(text_file(RELAXED))
    assert strict == relaxed
    assert strict.table == "Object"
    assert strict.pos == ("ra", "decl")
    assert strict.out_fields == ("objectId", "ra", "decl", "chunkId", "subChunkId")
    assert strict.in_dialect == Dialect(",", '"', "\\", "NULL")
    assert strict.out_dialect == Dialect("\t", None, "\\", "\\N")


def test_null_follows_the_dialect() -> None:
    plain = options(changed(out={"null": None, "no-quote": True, "no-escape": True}))
    assert plain.config.out_dialect == Dialect("\t", None, None, "")
    escaping = options(changed(out={"null": None, "escape": "^"}))
    assert escaping.config.out_dialect.null == "^N"


def test_a_child_by_id_has_no_overlap() -> None:
    config = load_partitioner(text_file(changed(part={"pos": None, "id": "objectId", "overlap": 5})))
    assert (config.pos, config.id, config.overlap) == (None, "objectId", 0.0)


def test_every_problem_is_told_at_once_with_its_line() -> None:
    text = """{"part": {"pos": "ra, dec",
      "num-strips": 4,
      "overlap": "0.01",
      "num-sub-stripes": 0},
      "in": {"csv": {"delimiter": ",,", "field": ["ra", "decl", "ra"]}},
      "in.csv": {"null": ""}}"""
    assert problems(text) == [
        "cfgs/Object.cfg:2: part.num-strips: no such option; did you mean part.num-stripes?",
        "cfgs/Object.cfg:6: in.csv.null: in JSON a key with a dot in it has no effect; write it as nested objects",
        "cfgs/Object.cfg:5: in.csv.field: ra: named more than once; every column needs its own name",
        "cfgs/Object.cfg:1: part.pos: dec: not among the input columns; name two of in.csv.field",
        "cfgs/Object.cfg: part.chunk: the column for the chunk id is not named; add it, for example chunkId",
        "cfgs/Object.cfg:4: part.num-sub-stripes: 0 is out of range; it must be 1 or more",
        "cfgs/Object.cfg:3: part.overlap: '0.01' is not a number; write it without quotes or a unit",
        "cfgs/Object.cfg:5: in.csv.delimiter: ',,' is not a one-byte character; give exactly one",
    ]


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (changed(part={"overlap": 0.18}), "part.overlap: an overlap of 0.18 degrees is more than"),
        (changed(part={"overlap": -1}), "part.overlap: the overlap is -1"),
        (changed(part={"pos": "ra"}), "part.pos: 'ra' is not a pair"),
        (changed(part={"pos": None}), "part.pos: neither part.pos nor part.id"),
        (changed(part={"id": "nobody"}), "part.id: nobody is not an input column"),
        (changed(part={"chunk": "ra"}), "part.chunk: ra: part.pos, id, chunk and sub-chunk must name different"),
        (changed(part={"num-stripes": True}), "part.num-stripes: True is not a whole number"),
        (changed(part={"num-stripes": 10**9}), "part.num-stripes:"),
        (changed(out={"no-quote": "yes"}), "out.csv.no-quote: 'yes' is not a flag"),
        (changed(out={"escape": "\t"}), "out.csv.escape: the escape must not be CR, LF or the delimiter"),
        (changed(out={"escape": "n"}), "out.csv.escape: 'n' means something else after an escape"),
        (changed(out={"delimiter": "\n"}), "out.csv.delimiter: the delimiter must not be"),
        (changed(out={"null": "a\tb"}), "out.csv.null: the null string holds the delimiter"),
        (changed(out={"null": "x" * 256}), "out.csv.null: the null string is longer than 255 bytes"),
        (changed(in_={"quote": "\\"}), "in.csv.escape: escape and quote are the same"),
        (changed(in_={"field": "ra"}), "in.csv.field: 'ra' is not a list"),
        (changed(in_={"field": []}), "in.csv.field: the input columns are not named"),
    ],
)
def test_what_cannot_work_is_refused(tree: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in problems(tree)), problems(tree)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cfgs/Object.cfg: the file is empty"),
        ("[1]", "cfgs/Object.cfg:1: the file must hold one JSON object"),
        ('{"part": {\n"pos": ,}}', "cfgs/Object.cfg:2: not valid JSON (Expecting value, line 2)"),
        ("part = { pos = 'ra, decl'", "cfgs/Object.cfg:1: the group that opens with { here is never closed"),
        ("\npart = }", "cfgs/Object.cfg:2: the key part has no value"),
        ("a = 1\nb = 'x", "cfgs/Object.cfg:2: the text that opens with ' here never ends"),
        ("a = \x01", "cfgs/Object.cfg:1: a control character"),
        ("(" * 100000, "cfgs/Object.cfg: groups are nested too deep"),
    ],
)
def test_broken_files_are_told_with_their_line(text: str, said: str) -> None:
    assert problems(text)[0].startswith(said)


def test_one_value_given_twice_in_the_relaxed_form() -> None:
    assert "cfgs/Object.cfg:3: part.overlap: the option is given more than once; give it one value" in problems(
        RELAXED + "part.overlap = 0.01"
    )


def test_the_last_json_file_wins_and_null_removes() -> None:
    two = options(GOOD, {"part": {"num-stripes": 85, "num-sub-stripes": 12, "overlap": None}, "new": 1})
    assert (two.config.num_stripes, two.config.num_sub_stripes, two.config.overlap) == (85, 12, 0.01)
    with pytest.raises(InputError, match=r"1\.cfg:1: part\.overlap"):
        options(GOOD, {"part": {"overlap": 9}})


def test_the_first_file_wins_once_one_is_relaxed() -> None:
    two = options("part.num-stripes = 85 part.num-sub-stripes = 12", GOOD)
    assert (two.config.num_stripes, two.config.num_sub_stripes, two.config.overlap) == (85, 12, 0.01667)


def test_the_command_line_wins() -> None:
    both = options(GOOD, argv="--part.num-stripes 340 --part.num-sub=3 --part.overl 0.1 --out.csv.delimiter |")
    assert (both.config.num_stripes, both.config.num_sub_stripes, both.config.overlap) == (340, 3, 0.1)
    assert both.config.out_dialect.delimiter == "|"
    listed = options(GOOD, argv="--out.csv.field ra --out.csv.field x -v")
    assert listed.config.out_fields == ("ra", "x", "chunkId", "subChunkId")
    assert listed.verbose


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("--part.colour red", "--part.colour: no such option"),
        ("--part.num 3", "may be any of part.num-stripes, part.num-sub-stripes"),
        ("-x", "-x: no such option"),
        ("--part.overlap", "--part.overlap needs a value"),
        ("--part.disable-chunks=1", "takes no value; leave out '1'"),
        ("--part.num-stripes abc", "part.num-stripes: 'abc' is not a whole number"),
        ("--part.overlap 0.1 --part.overlap 0.1", "part.overlap: the option is given more than once"),
        ("--out.num-nodes 100000", "out.num-nodes: 100000 is out of range; it must be 1 to 99999"),
        ("--mr.block-size 1025", "mr.block-size: 1025 is out of range; it must be 1 to 1024"),
        ("--mr.num-workers 0", "mr.num-workers: 0 is out of range; it must be 1 or more"),
        ("--in.is-parquet", "in.is-parquet: Parquet input is not supported"),
    ],
)
def test_a_wrong_command_line_is_refused(argv: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        options(GOOD, argv=argv)
    assert said in str(caught.value)


def test_loose_words_and_short_forms() -> None:
    assert parse_command_line(["loose", "-c", "a", "-cb", "--in=x", "-i", "-y"]) == {
        "config-file": ("a", "b"),
        "in.path": ("x", "-y"),
    }


keys = st.text("abc-\u00e9", min_size=1, max_size=4)
scalars = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], max_codepoint=0xFFFF), max_size=6)
trees = st.recursive(
    st.dictionaries(keys, scalars, max_size=3), lambda t: st.dictionaries(keys, t | scalars, max_size=3)
)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


@settings(deadline=None)
@given(trees, st.booleans())
def test_json_reads_the_same_under_the_relaxed_grammar(tree: dict[str, Any], escape: bool) -> None:
    text = json.dumps(tree, ensure_ascii=escape, indent=escape or None)
    assert {entry.key: entry.value for entry in parse_relaxed(text, "f")} == flat(tree)


@settings(deadline=None)
@given(st.text("ab{}[]()=:,'\"\\#\n u0.\x01"))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(InputError):
        load_partitioner(text_file(text))
