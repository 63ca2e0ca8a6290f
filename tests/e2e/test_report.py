"""dgconsole report on real runs: finished, crashed, going on; nothing in the run directory is changed."""

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dgconsole.records.recorded import Recorded
from dgconsole.snapshot import Export, Pause, RunState
from dgconsole.support.errors import InputError

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 57701]
TEXT = "0,39600,57701"
GATED = 57701


def begin(project: Any, gates: Any, wait_until: Any) -> Any:
    gates.shut(GATED)
    running = project.begin(TEXT)
    wait_until(lambda: project.ledger.completed() == {0, 39600}, "the others are made")
    gates.reached(GATED)
    return running


def printed(project: Any, *options: str) -> str:
    ended = project.start("dgconsole", "report", "run", *options).end()
    assert (ended.status, ended.err) == (0, "")
    return str(ended.out)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run_in_every_form(project: Any) -> None:
    text = "39600:39605,57701"
    assert project.run(text).status == 0
    before = contents(project.run_dir)
    assert printed(project, "--format", "csv") == (project.run_dir / "report.csv").read_text()
    told = json.loads(printed(project, "--format", "json"))
    assert told["run"] == "fakedb"
    assert told["counts"]["completed"] == 7
    assert {table["name"] for table in told["tables"]} == {"Object", "ForcedSource"}
    assert [chunk["chunk_id"] for chunk in told["chunks"]] == [*range(39600, 39606), 57701]
    markdown = printed(project, "--format", "md")
    assert markdown.startswith("# fakedb\n\nComplete: all 7 chunks are made.\n")
    assert "| here | 7 | 0 |" in markdown
    for table in (printed(project), printed(project, "--format", "table")):
        assert "Complete: all 7 chunks are made." in table
        assert "ForcedSource" in table
    clg = printed(project, "--format", "clg")
    assert clg == "39600:39605\n57701\n"
    assert printed(project, "--format", "clg", "--state", "limbo") == ""
    assert contents(project.run_dir) == before
    svg = printed(project, "--format", "svg")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "fakedb, " in svg
    assert "7 of 7 chunks done" in svg
    assert "7 completed" in svg
    assert contents(project.run_dir) == before
    project.write("some.clg", clg)
    again = project.start("dgconsole", "hosts.yml", "--headless", "--run-dir", "again", "--chunks", "@some.clg").end()
    assert again.status == 0
    assert project.files("again") == project.files()


def test_a_run_with_chunks_in_limbo_by_state(project: Any) -> None:
    project.generator("rows.chunk == 39600 and 1 / 0")
    assert project.run(TEXT, "--max-attempts", "1").status == 1
    assert printed(project, "--format", "clg", "--state", "limbo") == "39600\n"
    rows = list(csv.DictReader(io.StringIO(printed(project, "--format", "csv", "--state", "limbo"))))
    assert [row["chunk_id"] for row in rows] == ["39600"]
    assert rows == [row for row in project.report() if row["state"] == "limbo"]
    table = printed(project, "--state", "limbo")
    assert "39600" in table
    assert "division by zero" in table
    assert "2 of 3 chunks are made, 1 in limbo" in table
    markdown = printed(project, "--state", "limbo", "--format", "md")
    assert "## Limbo, by cause" in markdown
    assert "## Chunks\n" in markdown
    assert json.loads(printed(project, "--format", "json"))["causes"][0]["chunks"] == [39600]


def test_a_run_that_goes_on_and_one_that_crashed(project: Any, gates: Any, ends: Any, wait_until: Any) -> None:
    running = begin(project, gates, wait_until)
    assert "still going: 2 of 3 chunks done (66.6 %), 1 in work" in printed(project)
    assert printed(project, "--format", "clg", "--state", "assigned") == f"{GATED}\n"
    assert running.running()
    left = ends(project.processes())
    running.signal(signal.SIGKILL)
    running.end()
    left.wait()
    ledger = project.run_dir / "ledger.sqlite"
    before = {path: path.read_bytes() for path in (ledger, Path(f"{ledger}-wal"))}
    assert "2 of 3 chunks are made, 1 not made. Nothing runs now" in printed(project)
    assert printed(project, "--format", "clg", "--state", "assigned") == ""
    assert printed(project, "--format", "clg", "--state", "pending") == f"{GATED}\n"
    rows = {row["chunk_id"]: row for row in csv.DictReader(io.StringIO(printed(project, "--format", "csv")))}
    assert (rows[str(GATED)]["state"], rows[str(GATED)]["attempts"]) == ("pending", "0")
    assert {path: path.read_bytes() for path in before} == before
    gates.open()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)


async def test_an_open_report_follows_a_run_that_others_resume(project: Any) -> None:
    assert (await asyncio.to_thread(project.run, "0")).status == 0
    run = await Recorded.open(project.run_dir)
    first = await run.snapshot()
    assert (first.state, first.counts.completed, first.exit_status) == (RunState.ENDED, 1, 0)
    assert not (await run.command(Pause())).ok
    table = await run.chunk_table()
    assert (table.count, len(table.boxes)) == (1, 32)
    assert (await run.chunk_history(0)).attempts[0].outcome == "completed"
    assert await run.chunk_history(1) is None
    assert any("target chunks" in line.text for line in (await run.logs(0, 10_000)).lines)
    wanted = Export(str(project.folder / "r.md"), format="md")
    assert (await run.command(wanted)).ok
    assert "exists" in (await run.command(wanted)).text
    assert (project.folder / "r.md").read_text().startswith("# fakedb")
    assert not (await run.command(Export(str(project.folder / "no" / "r.md"), format="md"))).ok
    assert (await asyncio.to_thread(project.run, TEXT)).status == 0
    async with asyncio.timeout(40):
        while (await run.snapshot()).counts.completed < 3:  # noqa: ASYNC110 - it looks again by itself
            await asyncio.sleep(0.05)
    assert (await run.snapshot()).revision > first.revision
    await run.close()


def test_a_report_keeps_no_console_out(project: Any) -> None:
    assert project.run("0").status == 0

    async def both() -> int:
        run = await Recorded.open(project.run_dir)
        status = (await asyncio.to_thread(project.run, "0,39600")).status
        await run.close()
        return int(status)

    assert asyncio.run(both()) == 0


@pytest.mark.parametrize(
    ("place", "words"),
    [("nowhere", "there is no such run directory"), (".", "is no run directory"), ("hosts.yml", "is a file")],
)
def test_what_is_no_run_directory(project: Any, place: str, words: str) -> None:
    ended = project.start("dgconsole", "report", place).end()
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert words in ended.err


def test_a_broken_run_directory_is_one_line(project: Any) -> None:
    assert project.run("0").status == 0
    ledger = project.run_dir / "ledger.sqlite"
    whole = ledger.read_bytes()
    for name, data, words in (
        ("ledger.sqlite", b"no database at all" * 100, "cannot be read"),
        ("ledger.sqlite", whole[:4096] + os.urandom(len(whole) - 4096), "cannot be read"),
        ("plan/plan.json", b"{", "is not the plan of a run"),
    ):
        ledger.write_bytes(whole)
        (project.run_dir / name).write_bytes(data)
        ended = project.start("dgconsole", "report", "run", "--format", "csv").end()
        assert (ended.status, ended.err.count("\n")) == (2, 1), ended
        assert words in ended.err
    ledger.unlink()
    with pytest.raises(InputError):
        asyncio.run(Recorded.open(project.run_dir))


@pytest.mark.parametrize(("option", "value"), [("--format", "xml"), ("--state", "lost")])
def test_options_that_cannot_be_meant(project: Any, option: str, value: str) -> None:
    ended = project.start("dgconsole", "report", "run", option, value).end()
    assert ended.status == 2
    assert ended.err.startswith(f"{option} '{value}': give one of ")


def test_the_sky_as_a_picture(project: Any, command: Any) -> None:
    assert project.run("0,57701").status == 0
    line = " ".join([*command("dgconsole"), "report", "run", "--format", "png"])
    assert project.shell(f"{line} > sky.png").end() == (0, "", "")
    assert (project.folder / "sky.png").read_bytes().startswith(b"\x89PNG\r\n")
    ended = project.shell(f"{line} > /dev/full").end()
    assert (ended.status, ended.err) == (2, "stdout: the report cannot be written: No space left on device\n")
    ended = project.start("dgconsole", "report", "run", "--format", "png", "--state", "limbo").end()
    assert (ended.status, ended.err) == (
        2,
        "--state: png shows all states; leave it out, or give another --format\n",
    )


def test_who_reads_may_stop_and_a_full_disk_is_said(project: Any, command: Any) -> None:
    assert project.run("0").status == 0
    line = " ".join([*command("dgconsole"), "report", "run", "--format", "csv"])
    ended = project.shell(f"set -o pipefail; {line} | true").end()
    assert ended.err == ""
    ended = project.shell(f"{line} > /dev/full").end()
    assert ended.status == 2
    assert ended.err == "stdout: the report cannot be written: No space left on device\n"


def test_on_a_terminal_it_is_the_console(project: Any, need_tmux: None, command: Any, wait_until: Any) -> None:
    assert project.run(TEXT).status == 0
    tmux = ["tmux", "-L", f"dgr{os.getpid()}", "-f", "/dev/null"]
    shell = f'{" ".join([*command("dgconsole"), "report", "run"])}; echo "STATUS $?"; exec sleep 1000'
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "100", "-y", "30", "bash", "-c", shell],
        check=True,
        env=project.environment(),
        cwd=project.folder,
    )

    def text() -> str:
        return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout

    def press(key: str) -> None:
        subprocess.run([*tmux, "send-keys", key], check=True)

    try:
        wait_until(lambda: "Complete: all 3 chunks are made." in text(), "the report")
        assert "ended, report" in text()
        assert "▌5 Report" in text()
        press("3")
        wait_until(lambda: "57701" in text() and "▌3 Chunks" in text(), "the chunks")
        press("4")
        wait_until(lambda: "target chunks: 3" in text(), "the logs")
        press("q")
        wait_until(lambda: "STATUS 0" in text(), "the end")
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True)
