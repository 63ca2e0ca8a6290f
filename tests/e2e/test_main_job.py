"""The main job without a screen: chunk files, report, statuses, and nothing left behind."""

import shlex
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHUNKS = [0, 404, 39600, 39619, 40000, 57701, 79600]
"""Both poles, both sides of RA 0, mid latitude."""
TEXT = ",".join(map(str, CHUNKS))
HEADER = "chunk_id,state,attempts,client,host,started_at,finished_at,seconds,rows,overlap_rows,bytes,error"


def test_the_main_job(project: Any) -> None:
    ended = project.run(TEXT, "--report", "second.csv")
    assert ended.status == 0, ended
    project.assert_whole(CHUNKS)
    lines = (project.run_dir / "report.csv").read_text().splitlines()
    assert lines[0] == HEADER
    assert [int(line.split(",")[0]) for line in lines[1:]] == CHUNKS
    assert (project.folder / "second.csv").read_bytes() == (project.run_dir / "report.csv").read_bytes()
    assert "Complete: all 7 chunks are made." in ended.out
    for word in ("here", "Object", "ForcedSource"):
        assert word in ended.out
    assert "Traceback" not in ended.err


def test_what_a_run_leaves(project: Any) -> None:
    assert project.run("0,57701").status == 0
    found = {path.name for path in project.run_dir.iterdir()}
    assert {"ledger.sqlite", "plan", "logs", "report.csv", "chunks"} <= found
    assert not found & {"server.json", "client.sock", "control.sock"}
    described = {"metadata.json", "fakedb.json", "fakedb_Object.json", "fakedb_ForcedSource.json"}
    assert {path.name for path in (project.run_dir / "chunks").iterdir()} == {"Object", "ForcedSource", *described}
    logs = {path.name for path in (project.run_dir / "logs").iterdir()}
    assert logs == {"console.log", "here-1.log", "here-2.log"}
    assert {path.name for path in (project.run_dir / "work").iterdir()} == {"here-1", "here-2"}
    assert project.processes() == []
    assert {path.name for path in project.folder.iterdir()} == {
        *("serverCfg.yml", "hosts.yml", "fakeGenSpec.py", "fakePartitionerCfgs", "run")
    }


def test_the_folder_can_be_served_to_a_loader(project: Any, loaded_from: Callable[[Path], list[str]]) -> None:
    """All that it would fetch is there, and nothing is there that it would not fetch; also when more is made."""
    for chunks in ("0,57701", "0,57701,57750:57752"):
        assert project.run(chunks).status == 0
        assert set(loaded_from(project.run_dir / "chunks")) == set(project.files())
    assert len(project.files()) == 15


def test_figures_of_the_report_are_those_of_the_files(project: Any) -> None:
    assert project.run(TEXT).status == 0
    files = project.files()
    for row in project.report():
        chunk = row["chunk_id"]
        home = [files[f"{table}/chunk_{chunk}.txt"] for table in ("Object", "ForcedSource")]
        overlap = files[f"Object/chunk_{chunk}_overlap.txt"]
        assert int(row["rows"]) == sum(file.count(b"\n") for file in home)
        assert int(row["overlap_rows"]) == overlap.count(b"\n")
        assert int(row["bytes"]) == sum(map(len, (*home, overlap)))
        assert (row["state"], row["attempts"], row["host"], row["error"]) == ("completed", "1", "here", "")
        assert row["client"] in ("here-1", "here-2")
        assert row["started_at"] < row["finished_at"]
        assert row["started_at"].endswith("Z")
        assert float(row["seconds"]) > 0
        for file in (*home, overlap):
            assert {line.split(b"\t")[-2] for line in file.splitlines()} == {chunk.encode()}


def test_while_it_runs(project: Any, gates: Any) -> None:
    """Each client works in a workdir of its own; only this user reads the token; no command line shows it."""
    gates.shut(0)
    console = project.begin("0,57701")
    gates.reached(0)
    server = project.run_dir / "server.json"
    assert stat.S_IMODE(server.stat().st_mode) == 0o600
    token = project.server()["token"]
    for name in ("here-1", "here-2"):
        pid = project.client(name)
        assert Path(f"/proc/{pid}/cwd").readlink() == project.run_dir / "work" / name
    assert project.pids(token) == []
    gates.open()
    assert console.end().status == 0


@pytest.mark.slow
def test_one_two_four_clients_the_same_bytes_and_another_seed_others(project: Any) -> None:
    made = []
    for clients in (1, 2, 4):
        project.clients(clients)
        assert project.run(TEXT, "--run-dir", f"run{clients}").status == 0
        made.append(project.files(f"run{clients}"))
    assert len(made[0]) == 3 * len(CHUNKS)
    assert made[0] == made[1] == made[2]
    project.edit("serverCfg.yml", "seed: 1", "seed: 2")
    assert project.run(TEXT, "--run-dir", "other").status == 0
    other = project.files("other")
    assert other.keys() == made[0].keys()
    assert all(other[name] != data for name, data in made[0].items())


def test_csv_files_are_kept_where_that_is_wanted(project: Any) -> None:
    project.clients(1)
    assert project.run("57701", "--keep-csv").status == 0
    kept = {path.name: path.read_text() for path in (project.run_dir / "work" / "here-1" / "csv").iterdir()}
    assert sorted(kept) == [f"chunk57701_CT_{table}.csv" for table in ("CcdVisit", "ForcedSource", "Object")]
    assert project.start("datagen", "--chunk", "57701", "--out-dir", "made", "fakeGenSpec.py").end().status == 0
    assert {name: (project.folder / "made" / name).read_text() for name in kept} == kept


def test_the_run_directory_has_a_default_where_the_command_is_given(project: Any) -> None:
    assert project.start("dgconsole", "hosts.yml", "--chunks", "57701").end().status == 0
    assert (project.folder / "runs" / "fakedb" / "report.csv").exists()


@pytest.mark.slow
def test_a_path_too_long_for_a_socket(project: Any) -> None:
    project.run_dir = project.folder / ("long" * 30)
    assert project.run("57701", "--run-dir", project.run_dir.name).status == 0
    project.assert_whole([57701])


@pytest.mark.parametrize("which", ["stdout", "stderr"])
@pytest.mark.parametrize("kind", ["full", "unread", "closed"])
def test_output_that_goes_nowhere(project: Any, which: str, kind: str) -> None:
    """``> /dev/full``, ``| head -0``, ``>&-``: the run goes on and its status is its own."""
    redirection = {"full": "> /dev/full", "unread": "> >(:)", "closed": ">&-"}[kind]
    line = f"exec {shlex.join(project.headless('0,57701'))} {1 if which == 'stdout' else 2}{redirection}"
    ended = project.shell(line).end()
    assert ended.status == 0, ended
    project.assert_whole([0, 57701])
    assert "Traceback" not in ended.err
    assert "Exception" not in ended.err
    assert ("Complete" in ended.out) is (which == "stderr")
