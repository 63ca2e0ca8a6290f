"""YAML with line numbers: what is read, and what is refused where."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.settings.structs import TextFile
from dgconsole.settings.yamltree import EMPTY, Node, parse_yaml
from dgconsole.support.errors import InputError


def parse(text: str | bytes) -> Node:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_yaml(TextFile("a.yml", "a.yml", data))


def refusal(text: str | bytes) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


def test_values_know_the_line_of_their_key() -> None:
    top = parse("# first\na:\n  b: 1\n  c:\n    - x\n    - 2\n").value
    assert isinstance(top, dict)
    inner = top["a"].value
    assert isinstance(inner, dict)
    assert (top["a"].line, inner["b"].line, inner["c"].line) == (2, 3, 4)
    assert inner["b"].value == 1
    assert isinstance(inner["c"].value, tuple)
    assert [(item.value, item.line) for item in inner["c"].value] == [("x", 5), (2, 6)]


def test_a_scalar_keeps_its_text_and_place() -> None:
    text = "chunks: 1:30 # a range\n"
    top = parse(text).value
    assert isinstance(top, dict)
    node = top["chunks"]
    assert node.text == "1:30"
    assert text[slice(*node.span)] == "1:30"


def test_keys_are_text_as_written() -> None:
    top = parse("no: 1\n01: 2\n").value
    assert isinstance(top, dict)
    assert list(top) == ["no", "01"]


@pytest.mark.parametrize("text", ["", "# only words\n", "---\n"])
def test_nothing_reads_as_nothing(text: str) -> None:
    assert parse(text).value in (EMPTY.value, None)


def test_all_doubled_keys_are_named() -> None:
    assert refusal("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n") == [
        "a.yml:3: a: is given twice, first on line 1: keep one",
        "a.yml:4: d: is given twice, first on line 4: keep one",
    ]


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("a: [1\nb: 2\n", "a.yml:2: broken YAML: "),
        ("a: b: c\n", "a.yml:1: broken YAML: "),
        ("a: 1\n\tb: 2\n", "a.yml:2: broken YAML: "),
        ("a: 1\n---\nb: 2\n", "a.yml:2: broken YAML: "),
        ("a: *nobody\n", "a.yml:1: broken YAML: "),
        ("x: 1\na: !!python/name:os.system\n", "a.yml:2: broken YAML: "),
        ("? [a, b]\n: 1\n", "a.yml:1: a key must be one word"),
        ("a: &a [*a]\n", "a.yml: is nested too deep"),
        ("[" * 20000, "a.yml: is nested too deep"),
        (b"a: 1\nb: \xff\n", "a.yml:2: is not UTF-8 text"),
        ("a: 1\nb: \x07\n", "a.yml:2: holds a character that YAML forbids"),
    ],
)
def test_broken_files_are_refused_with_their_line(text: str | bytes, begins: str) -> None:
    (line,) = refusal(text)
    assert line.startswith(begins)
    assert "\n" not in line


def test_aliases_do_not_blow_up() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert isinstance(parse("\n".join(lines)).value, dict)


@given(st.binary(max_size=60) | st.text(alphabet="ab:{}[]-&*!'\"\n \t#>|%@?,0", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(InputError):
        parse(data)
