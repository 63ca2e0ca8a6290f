"""The same run directory again: what may change and what may not, who may have it, and when it is done."""

import re
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 57701]
TEXT = "0,39600,57701"


@pytest.mark.parametrize(
    ("name", "old", "new", "differs"),
    [
        ("fakeGenSpec.py", "UniformSpatialModel(1000)", "UniformSpatialModel(500)", "spec"),
        ("serverCfg.yml", "seed: 1", "seed: 7", "seed 1, now it is 7"),
        ("serverCfg.yml", "--visits 30", "--visits 31", "visits 30, now it is 31"),
        ("fakePartitionerCfgs/Object.cfg", '"null": "\\\\N"', '"null": "NULL"', "Object.cfg"),
    ],
)
def test_another_plan_is_refused(project: Any, name: str, old: str, new: str, differs: str) -> None:
    assert project.run(TEXT).status == 0
    before = project.files()
    project.edit(name, old, new)
    ended = project.run(TEXT)
    assert ended.status == 2, ended
    assert ended.out == ""
    first, last = ended.err.splitlines()
    assert str(project.run_dir) in first
    assert differs in first
    assert "put back what has changed" in last
    assert project.files() == before
    assert project.processes() == []


def test_what_may_change(project: Any) -> None:
    """hosts.yml, ports, attempts, chunks at a time, the size of transactions: all free."""
    assert project.run("0").status == 0
    project.write("hosts.yml", "hosts: {elsewhere: {clients: 1}}\n")
    project.edit("serverCfg.yml", "port: 13042", "port: 14000")
    project.edit("serverCfg.yml", "transaction_size: 10", "transaction_size: 1")
    ended = project.run(TEXT, "--max-attempts", "7", "--chunks-per-request", "1")
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    assert [row["host"] for row in project.report()] == ["here", "elsewhere", "elsewhere"]


def test_chunks_on_resume_are_added_and_none_is_taken_away(project: Any) -> None:
    assert project.run("0,57701").status == 0
    first = {path: path.stat().st_mtime_ns for path in (project.run_dir / "chunks").glob("*/*")}
    assert project.run("39600,57701").status == 0
    project.assert_whole(CHUNKS)
    assert {path: path.stat().st_mtime_ns for path in first} == first


def test_a_finished_run_starts_no_client(project: Any) -> None:
    assert project.run(TEXT).status == 0
    logs = {path: path.read_bytes() for path in (project.run_dir / "logs").glob("here-*")}
    report = project.report()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    assert "Complete: all 3 chunks are made." in ended.out
    assert "is complete since" in ended.out
    assert "--run-dir" in ended.out
    assert {path: path.read_bytes() for path in (project.run_dir / "logs").glob("here-*")} == logs
    assert project.report() == report
    assert project.ledger.ask("SELECT count(*) FROM attempts") == [(len(CHUNKS),)]


def test_two_consoles_on_one_run_directory(project: Any, gates: Any) -> None:
    gates.shut(0)
    first = project.begin(TEXT)
    gates.reached(0)
    server = project.server()
    second = project.run(TEXT)
    assert second.status == 2
    (line,) = second.err.splitlines()
    assert f"in use by process {first.pid}" in line
    assert "--run-dir" in line
    assert project.server() == server
    gates.open()
    assert first.end().status == 0
    project.assert_whole(CHUNKS)


def test_a_report_that_the_last_session_could_not_write(project: Any) -> None:
    """A console killed after its last chunk and before its report: the next one writes it."""
    assert project.run(TEXT).status == 0
    (project.run_dir / "report.csv").unlink()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)


def test_two_consoles_at_the_same_moment(project: Any, gates: Any, wait_until: Any) -> None:
    """Both find no run directory; one makes it, the other is refused."""
    gates.shut(0)
    both = [project.begin(TEXT), project.begin(TEXT)]
    gates.reached(0)
    wait_until(lambda: not all(console.running() for console in both), "one is refused")
    (first,) = [console for console in both if console.running()]
    (second,) = [console for console in both if not console.running()]
    ended = second.end()
    assert ended.status == 2
    assert re.search(f"in use by (process {first.pid}|another console);", ended.err)
    gates.open()
    assert first.end().status == 0
    project.assert_whole(CHUNKS)


def test_a_run_directory_that_was_taken_along(project: Any) -> None:
    """Moved as a whole with its project: it goes on there."""
    assert project.run("0").status == 0
    project.folder = project.folder.rename(project.folder.with_name("moved"))
    project.run_dir = project.folder / "run"
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)
