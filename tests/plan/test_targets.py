"""--chunks: ids and ranges, from the command line and from a file, against the obvious way to do it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.plan import resolve_targets
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.errors import InputError

SKY = tiling_of(200, 5)
SMALL = tiling_of(18, 10)
HERE = Path()


def refusal(text: str, base: Path = HERE) -> list[str]:
    with pytest.raises(InputError) as caught:
        resolve_targets(SKY, text, base=base)
    return [str(problem).replace(f"{base}/", "") for problem in caught.value.problems]


def test_all_of_the_sky() -> None:
    targets = resolve_targets(SKY, None, base=HERE)
    assert (len(targets.ids), targets.skipped, targets.partial) == (50432, 0, False)


def test_ids_and_ranges() -> None:
    targets = resolve_targets(SKY, " 0:404, 79600 ,402:801", base=HERE)
    assert targets.ids.tolist() == [0, 400, 401, 402, 403, 404, 800, 801, 79600]
    assert targets.ids.dtype == np.int32
    assert targets.skipped == 802 - 8
    assert targets.partial


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "limbo.clg").write_text("\n0\n\n400:401\r\n  800  \n")
    targets = resolve_targets(SKY, "@limbo.clg", base=tmp_path)
    assert targets.ids.tolist() == [0, 400, 401, 800]


def test_the_whole_sky_by_name_is_not_partial() -> None:
    assert not resolve_targets(SKY, "0:79600", base=HERE).partial


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0:99999999", "--chunks: '0:99999999' goes beyond the tiling: its largest chunk id is 79600"),
        ("79601:99999999", "--chunks: '79601:99999999' goes beyond the tiling: its largest chunk id is 79600"),
        ("99999999", "--chunks: '99999999' goes beyond the tiling: its largest chunk id is 79600"),
        ("9:3", "--chunks: '9:3' is a reversed range: write 3:9"),
        ("5", "--chunks: '5' is no chunk of 200 stripes: ids have gaps"),
        ("banana", "--chunks: 'banana' is neither an id nor a range: write 4321 or 0:1000"),
        ("-4", "--chunks: '-4' is neither an id nor a range: write 4321 or 0:1000"),
        ("1.5", "--chunks: '1.5' is neither an id nor a range: write 4321 or 0:1000"),
        ("0:1:2", "--chunks: '0:1:2' is neither an id nor a range: write 4321 or 0:1000"),
        (":5", "--chunks: ':5' is neither an id nor a range: write 4321 or 0:1000"),
        ("٣", "--chunks: '٣' is neither an id nor a range: write 4321 or 0:1000"),
        ("", "--chunks: '' names no chunk: give at least one id"),
        (" , ", "--chunks: ' , ' names no chunk: give at least one id"),
        ("5:9", "--chunks: '5:9' names no chunk: give at least one id"),
        ("@nix.clg", "nix.clg: --chunks: no such file or folder"),
    ],
)
def test_what_is_refused(text: str, complaint: str) -> None:
    assert refusal(text) == [complaint]


def test_numbers_of_any_length_are_refused_in_one_line() -> None:
    (line,) = refusal("9" * 5000)
    assert len(line) < 200


def test_all_problems_at_once() -> None:
    assert len(refusal("x,9:3,5,0")) == 3


def test_a_files_problems_have_lines(tmp_path: Path) -> None:
    (tmp_path / "bad.clg").write_text("\n0:1000\nx\n7\n4:2\n")
    assert [line.partition(" ")[0] for line in refusal("@bad.clg", tmp_path)] == [f"bad.clg:{n}:" for n in (3, 4, 5)]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.clg").write_text("\n\n")
    assert refusal("@empty.clg", tmp_path) == ["empty.clg: '@empty.clg' names no chunk: give at least one id"]


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    (tmp_path / "bad.clg").write_text("x\n" * 1000)
    found = refusal("@bad.clg", tmp_path)
    assert len(found) == 21
    assert found[-1] == "bad.clg: and 980 more problems like these"


@given(st.lists(st.tuples(st.integers(0, 612), st.integers(0, 612)).map(sorted), min_size=1, max_size=12))
def test_ranges_are_sets(ranges: list[list[int]]) -> None:
    text = ",".join(f"{low}:{high}" for low, high in ranges)
    numbers = {number for low, high in ranges for number in range(low, high + 1)}
    wanted = sorted(numbers & set(SMALL.chunk_ids().tolist()))
    if not wanted:
        with pytest.raises(InputError):
            resolve_targets(SMALL, text, base=HERE)
        return
    targets = resolve_targets(SMALL, text, base=HERE)
    assert targets.ids.tolist() == wanted
    assert targets.skipped == len(numbers) - len(wanted)
    assert targets.partial == (len(wanted) < SMALL.chunk_count)
