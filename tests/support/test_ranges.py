"""Ranges of host names: to names and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.support.ranges import MOST_NAMES, expand, fold


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("here", ["here"]),
        ("db[1-3]", ["db1", "db2", "db3"]),
        ("db[08-11].example.org", [f"db{n}.example.org" for n in ("08", "09", "10", "11")]),
        ("db[8-11]", ["db8", "db9", "db10", "db11"]),
        ("db[01-03,30,7]", ["db01", "db02", "db03", "db30", "db7"]),
        ("db[5-5]", ["db5"]),
        ("[0-1]x", ["0x", "1x"]),
        ("r[1-2]c[01-02].x", ["r1c01.x", "r1c02.x", "r2c01.x", "r2c02.x"]),
        ("a[1-2][0-1]", ["a10", "a11", "a20", "a21"]),
        ("10.0.0.[9-10]", ["10.0.0.9", "10.0.0.10"]),
        ("here,db[1,2],x[7]", ["here", "db1", "db2", "x7"]),
    ],
)
def test_what_a_text_stands_for(text: str, names: list[str]) -> None:
    assert list(expand(text)) == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("db[1-3", "has a bracket without its other half"),
        ("db1-3]", "has a bracket without its other half"),
        ("db]1[", "has a bracket without its other half"),
        ("db[[1-3]]", "has a bracket without its other half"),
        ("db[]", "'' in brackets is no number"),
        ("db[1,,2]", "'' in brackets is no number"),
        ("db[a-c]", "'a-c' in brackets is no number"),
        ("db[1-]", "'1-' in brackets is no number"),
        ("db[-1]", "'-1' in brackets is no number"),
        ("db[1 - 2]", "'1 - 2' in brackets is no number"),
        ("db[1-10/3]", "'1-10/3' in brackets is no number"),
        ("db[²]", "'²' in brackets is no number"),
        ("[2001:db8::1]", "'2001:db8::1' in brackets is no number"),
        ("db[3-1]", "'3-1' runs backwards: write 1-3"),
        ("db[001-3]", "'001-3' has ends of different width"),
        ("db[01-100]", "'01-100' has ends of different width"),
        ("db[1-3,2]", "'db2' comes out of it twice"),
        ("db[1-2],db1", "'db1' comes out of it twice"),
        ("a[1,11][11,1]", "'a111' comes out of it twice"),
        ("db[0-999999999]", f"stands for 1000000000 hosts: {MOST_NAMES} at most"),
        ("a[0-99]b[0-99]c[0-9]", f"stands for 100000 hosts: {MOST_NAMES} at most"),
        (f"db[{'9' * 5000}]", "in brackets is no number"),
        ("a,,b", "has a comma too many"),
        ("", "has a comma too many, or no name"),
    ],
)
def test_what_stands_for_nothing(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        expand(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["here"], "here"),
        (["db1"], "db1"),
        (["db1", "db1"], "db1"),
        (["db3", "db1", "here", "db2"], "db[1-3],here"),
        ([f"db{n:02}.x" for n in (*range(1, 9), 11, 12)], "db[01-08,11-12].x"),
        (["a9", "a09", "a10"], "a[9,09-10]"),
        (["a98", "a99", "a100"], "a[98-100]"),
        (["r1c1.x2", "r1c2.x2", "r2c1.x2", "r2c2.x2"], "r[1-2]c[1-2].x2"),
        (["r1c1", "r1c2", "r2c1"], "r1c[1-2],r2c1"),
        ([f"n{10**12}", f"n{10**12 + 1}"], f"n{10**12},n{10**12 + 1}"),
    ],
)
def test_names_fold(names: list[str], text: str) -> None:
    assert fold(names) == text


NUMBERS = st.one_of(st.integers(0, 30), st.integers(95, 105)).flatmap(
    lambda n: st.sampled_from([str(n), f"{n:02}", f"{n:03}"])
)
NAMES = st.one_of(
    st.from_regex(r"[a-b0-9.-]{1,12}", fullmatch=True),
    st.builds("db{}".format, NUMBERS),
    st.builds("r{}c{}.example".format, NUMBERS, NUMBERS),
)


@given(st.lists(NAMES, min_size=1, max_size=60))
def test_what_is_folded_stands_for_the_same_names(names: list[str]) -> None:
    back = expand(fold(names))
    assert len(back) == len(set(back))
    assert set(back) == set(names)


RANGES = st.tuples(st.integers(0, 120), st.integers(0, 8), st.integers(1, 3)).map(
    lambda r: (f"{r[0]:0{r[2]}}", f"{r[0] + r[1]:0{r[2]}}")
)
INSIDE = st.lists(RANGES, min_size=1, max_size=3).map(lambda rs: ",".join(f"{a}-{b}" for a, b in rs))


def names_or_words(text: str) -> tuple[tuple[str, ...], str]:
    """The names, or why there are none."""
    try:
        return expand(text), ""
    except ValueError as refused:
        return (), str(refused)


@given(st.builds("n[{}]m[{}].x".format, INSIDE, INSIDE))
def test_any_ranges_expand_or_are_refused_with_words(text: str) -> None:
    names, words = names_or_words(text)
    assert set(expand(fold(names)) if names else ()) == set(names)
    assert names or "twice" in words or "width" in words


@given(st.text("ab01239[],-. ", max_size=30))
def test_no_text_is_too_odd(text: str) -> None:
    names, words = names_or_words(text)
    assert bool(names) != bool(words)
    assert "\n" not in words


@given(st.integers(0, 500), st.integers(1, 400), st.integers(1, 4))
def test_a_whole_range_folds_to_itself(first: int, count: int, width: int) -> None:
    names = [f"db{n:0{width}}.example.org" for n in range(first, first + count + 1)]
    assert fold(reversed(names)).count("[") == 1
    assert expand(fold(names)) == tuple(names)
