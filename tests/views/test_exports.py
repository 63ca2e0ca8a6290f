"""The report as Markdown, JSON, lines and ranges of ids."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.plan.targets import resolve_targets
from dgconsole.sky.tiling import tiling_of
from dgconsole.snapshot import Cause, Counts, Report, ReportRow, Total
from dgconsole.views.exports import as_json, as_lines, as_markdown, as_ranges


def row(chunk: int, state: str = "completed", **more: object) -> ReportRow:
    fields: dict[str, object] = {
        "attempts": 1,
        "client": "here-1",
        "host": "here",
        "started_at": "2026-11-24T10:00:00.000Z",
        "finished_at": "2026-11-24T10:00:02.500Z",
        "seconds": 2.5,
        "rows": 1200,
        "overlap_rows": 30,
        "bytes": 9000,
        "error": "",
    }
    return ReportRow(chunk_id=chunk, state=state, **(fields | more))


BAD = row(8, "limbo", seconds=None, rows=0, error="odd | name <b>, `x` *y*\nsecond\x1b[31m line")
REPORT = Report(
    verdict="1 of 2 chunks are made, 1 in limbo.",
    counts=Counts(total=2, completed=1, limbo=1),
    elapsed=61.0,
    hosts=(Total(name="here", chunks=1, failed=1, rows=1200, overlap_rows=30, bytes=9000, seconds=2.5),),
    clients=(Total(name="here-1", chunks=1),),
    tables=(Total(name="Object", chunks=1, rows=1200, overlap_rows=30, bytes=9000),),
    stages=(Total(name="generate", chunks=1, seconds=2.0),),
    slowest=(row(7),),
    problems=(BAD,),
    causes=(Cause(text="odd | name", fault="spec", count=1, chunks=(8,), hosts=("here",)),),
)


@pytest.mark.parametrize("rows", [(), (row(7),), (row(7), BAD)])
def test_json_has_the_keys_that_the_page_names(rows: tuple[ReportRow, ...]) -> None:
    told = json.loads("".join(as_json(REPORT, 'fake"db', rows)))
    assert list(told) == [
        *("format", "run", "verdict", "counts", "elapsed", "totals", "transactions"),
        *("hosts", "clients", "tables", "stages", "slowest", "problems", "causes", "chunks"),
    ]
    assert told["run"] == 'fake"db'
    assert told["counts"]["completed"] == 1
    assert told["totals"]["rows"] == 1200
    assert told["causes"][0]["chunks"] == [8]
    assert [tuple(chunk) for chunk in told["chunks"]] == [ReportRow.__struct_fields__] * len(rows)
    assert [chunk["chunk_id"] for chunk in told["chunks"]] == [each.chunk_id for each in rows]


def test_markdown_is_for_reading_and_nothing_in_it_acts() -> None:
    text = "".join(as_markdown(REPORT, "fake_db"))
    lines = text.splitlines()
    assert lines[0] == "# fake\\_db"
    assert "1 of 2 chunks are made, 1 in limbo." in text
    for title in ("Limbo, by cause", "Chunks in limbo", "Hosts", "Tables", "Clients", "Stages", "Slowest chunks"):
        assert f"## {title}" in lines
    assert "## Chunks" not in lines
    assert "\x1b" not in text
    assert "odd \\| name \\<b\\>" in text
    widths = {line.replace("\\|", "").count("|") for line in lines if line.startswith("| 8 ") or "fault" in line}
    assert widths == {5, 6}


def test_markdown_of_chosen_chunks_lists_them() -> None:
    text = "".join(as_markdown(REPORT, "x", (row(7), BAD)))
    assert text.splitlines()[-2].startswith("| 7 | completed | 1 | here-1 | 2.50 s | 1,200 |")


def test_lines_stand_in_columns() -> None:
    first, second, third = "".join(as_lines((row(7), BAD))).splitlines()
    assert second.index("completed") == first.index("state")
    assert third.endswith("\\x1b[31m line")


def test_ranges_are_ids_that_follow_one_another() -> None:
    rows = [row(chunk) for chunk in (0, 1, 2, 7, 9, 10)]
    assert "".join(as_ranges(rows)) == "0:2\n7\n9:10\n"
    assert "".join(as_ranges(())) == ""


@given(st.sets(st.integers(0, 200), min_size=1))
def test_ranges_name_the_same_chunks_when_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, some: set[int]
) -> None:
    tiling = tiling_of(18, 10)
    ids = tiling.chunk_ids()
    chosen = sorted({int(ids[k % len(ids)]) for k in some})
    file = tmp_path_factory.mktemp("clg") / "some.clg"
    file.write_text("".join(as_ranges(row(chunk) for chunk in chosen)))
    targets = resolve_targets(tiling, f"@{file}", base=file.parent)
    assert targets.ids.tolist() == chosen
    assert targets.skipped == 0
