"""Runs into Qserv, by its double: what is in the workers' tables, and what interruptions leave of it."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from skychecks import assert_right

from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import tiling_of

pytestmark = pytest.mark.slow

MIDDLE = 40000
"""A chunk on the equator; with its neighbours its overlap tables are as in a run of the whole sky."""
GATED = 39610
STRETCH = "39600:39619"
CHUNKS = list(range(39600, 39620))


class Filled:
    """A project that fills the database ``skydb`` of a Qserv."""

    def __init__(self, project: Any, qserv: Any) -> None:
        self.project, self.qserv = project, qserv
        project.write("key.txt", f"{qserv.key}\n")
        self.section("authKeyFile: key.txt")

    def section(self, *lines: str) -> None:
        """Section ``ingest`` anew."""
        head, _, rest = self.project.text("serverCfg.yml").partition("ingest:\n")
        tail = rest[rest.index("\n\n") :]
        place = (f"host: {self.qserv.host}", f"port: {self.qserv.port}", "dbName: skydb")
        own = "".join(f"  {line}\n" for line in (*place, *lines))
        self.project.write("serverCfg.yml", f"{head}ingest:\n{own}{tail}")

    def states(self) -> list[str]:
        return [each.state for each in self.qserv.transactions()]

    def assert_whole(self, chunks: list[int], *, published: bool = True) -> None:
        """All of ``chunks`` are completed, each loaded once, and nothing else is there."""
        assert self.project.states() == dict.fromkeys(sorted(chunks), "completed")
        rows = self.qserv.chunk_tables("skydb")
        kinds = ("object", "objectfulloverlap", "forcedsource")
        assert set(rows) == {f"{kind}_{chunk}" for kind in kinds for chunk in chunks}
        for row in self.project.report():
            chunk = row["chunk_id"]
            assert rows[f"object_{chunk}"] + rows[f"forcedsource_{chunk}"] == int(row["rows"])
            assert rows[f"objectfulloverlap_{chunk}"] == int(row["overlap_rows"])
        assert set(self.states()) <= {"FINISHED", "ABORTED"}
        assert self.qserv.state.databases["skydb"].published is published
        self.project.ledger.assert_sound()


@pytest.fixture
def filled(project: Any, qserv: Any) -> Filled:
    return Filled(project, qserv)


class Tables:
    """The chunk tables, each asked of the worker that has it."""

    def __init__(self, qserv: Any) -> None:
        self._qserv = qserv

    def chunks(self, table: str) -> list[int]:
        prefix = f"{table.lower()}_"
        found = self._qserv.chunk_tables("skydb")
        return sorted(int(name.removeprefix(prefix)) for name in found if name.startswith(prefix))

    def ask(self, chunk: int, sql: str) -> Any:
        return self._qserv.ask("skydb", f"Object_{chunk}", sql)


def commits(filled: Filled) -> list[str]:
    """The transactions that a commit was sent for, each as often as it was."""
    sent = [seen for seen in filled.qserv.seen if seen.method == "PUT" and seen.query.get("abort") == "0"]
    return sorted(seen.path for seen in sent)


def test_every_chunk_table_is_what_the_files_of_the_same_run_are(filled: Filled) -> None:
    chunks = [39600, 39601, 0, 79600]
    ended = filled.project.run("39600:39601,0,79600")
    assert ended.status == 0, ended
    assert "'skydb' is published: it can be queried, and takes no more rows; it holds a part of the sky" in ended.err
    filled.assert_whole(chunks)
    assert not list((filled.project.run_dir / "chunks").rglob("*.txt*"))
    assert not list((filled.project.run_dir / "work").rglob("chunk_*"))
    ended = filled.project.run("39600:39601,0,79600", "--run-dir", "files", "--skip-ingest")
    assert ended.status == 0, ended
    files = filled.project.files("files")
    assert len([name for name in files if name.endswith(".txt")]) == 12
    for name in files:
        table, _, file = name.partition("/")
        _, chunk, *overlap = file.removesuffix(".txt").split("_")
        loaded = f"{table}{'FullOverlap' * bool(overlap)}_{chunk}"
        path = filled.project.folder / "files" / "chunks" / name
        assert filled.qserv.checksum("skydb", loaded) == filled.qserv.checksum_of_file("skydb", loaded, path), name


def test_what_is_in_the_workers_tables(filled: Filled) -> None:
    overlap = Overlap(tiling_of(200, 5), 0.01667)
    chunks = sorted({MIDDLE, *map(int, overlap.contributors(MIDDLE)), 0, 79600})
    ended = filled.project.run(",".join(map(str, chunks)))
    assert ended.status == 0, ended
    filled.assert_whole(chunks)
    assert_right(Tables(filled.qserv), overlap, MIDDLE)


def test_one_commit_for_each_transaction_and_its_chunks_on_their_workers(filled: Filled) -> None:
    ended = filled.project.run(STRETCH)
    assert ended.status == 0, ended
    filled.assert_whole(CHUNKS)
    sent = commits(filled)
    assert len(sent) == len(set(sent)) == filled.states().count("FINISHED")
    assert set(filled.qserv.state.databases["skydb"].chunks.values()) == {"w1", "w2"}
    asked = [seen.body["chunks"] for seen in filled.qserv.came("POST", "/ingest/chunks")]
    assert sorted(chunk for chunks in asked for chunk in chunks) == CHUNKS
    assert max(map(len, asked)) == 5, "a hand of chunks is placed with one call"


def test_a_commit_whose_answer_is_lost(filled: Filled) -> None:
    filled.qserv.fail("drop_after", "PUT", r"/ingest/trans/\d+", times=2)
    ended = filled.project.run(STRETCH)
    assert ended.status == 0, ended
    filled.assert_whole(CHUNKS)
    sent = commits(filled)
    assert len(sent) == len(set(sent))


@pytest.mark.parametrize("fault", ["load_failed", "reset", "drop_after", "status", "lose_row"])
def test_an_upload_that_fails_costs_its_transaction_and_nothing_else(filled: Filled, fault: str) -> None:
    failing = filled.qserv.fail(fault, "POST", "/ingest/csv", bytes=20_000)
    ended = filled.project.run(STRETCH)
    assert ended.status == 0, ended
    assert failing.used == 1
    assert "ABORTED" in filled.states()
    filled.assert_whole(CHUNKS)


@pytest.mark.parametrize("victim", ["console", "client"])
def test_kill_9_in_the_middle(filled: Filled, gates: Any, ends: Any, wait_until: Any, victim: str) -> None:
    """A killed console's open transactions are aborted by the next one, a killed client's by its console."""
    project = filled.project
    project.edit("serverCfg.yml", "transaction_size: 10", "transaction_size: 3")
    gates.shut(GATED)
    console = project.begin(STRETCH)
    gates.reached(GATED)
    wait_until(lambda: "FINISHED" in filled.states(), "a transaction is committed")
    if victim == "console":
        left = ends(project.processes())
        console.signal(signal.SIGKILL)
        console.end()
        left.wait()
        assert "STARTED" in filled.states()
        gates.open()
        ended = project.run(STRETCH)
        assert "left STARTED by an earlier session, is ended" in project.console_log()
    else:
        os.kill(project.client(project.holder(GATED)), signal.SIGKILL)
        gates.open()
        ended = console.end()
    assert ended.status == 0, ended
    assert "ABORTED" in filled.states()
    filled.assert_whole(CHUNKS)
    assert project.processes() == []


def test_kill_9_while_a_commit_is_under_way(filled: Filled, ends: Any, wait_until: Any) -> None:
    """It comes about after all: its chunks are complete, and not loaded a second time."""
    project = filled.project
    project.edit("serverCfg.yml", "transaction_size: 10", "transaction_size: 3")  # the first to end is a commit then
    stuck = filled.qserv.fail("stuck", "PUT", r"/ingest/trans/\d+")
    console = project.begin(STRETCH)
    wait_until(stuck.reached.is_set, "a commit is under way")
    left = ends(project.processes())
    console.signal(signal.SIGKILL)
    console.end()
    left.wait()
    stuck.release()
    wait_until(lambda: "FINISHED" in filled.states(), "the commit comes about")
    ended = project.run(STRETCH)
    assert ended.status == 0, ended
    filled.assert_whole(CHUNKS)


def test_a_worker_that_is_away_for_a_while(filled: Filled, wait_until: Any) -> None:
    filled.qserv.fail("down", "POST", "/ingest/csv", bytes=20_000, place="w2")
    console = filled.project.begin(STRETCH)
    wait_until(lambda: "ABORTED" in filled.states(), "its transaction is aborted")
    filled.qserv.do(filled.qserv.workers["w2"].start())
    ended = console.end()
    assert ended.status == 0, ended
    filled.assert_whole(CHUNKS)


def test_it_is_published_only_when_whole(filled: Filled) -> None:
    project = filled.project
    project.edit("serverCfg.yml", "transaction_size: 10", "transaction_size: 1")
    project.generator("rows.chunk == 39605 and 1 / 0")
    ended = project.run("39600,39605,39610")
    assert ended.status == 1, ended
    assert "'skydb' is not published: not every target chunk is complete" in ended.err
    assert not filled.qserv.state.databases["skydb"].published
    assert set(filled.qserv.chunk_tables("skydb")) == {
        f"{kind}_{chunk}" for kind in ("object", "objectfulloverlap", "forcedsource") for chunk in (39600, 39610)
    }


def test_a_run_that_is_complete_and_not_published_yet_is_published_by_the_next_session(filled: Filled) -> None:
    filled.qserv.fail("status", "PUT", "/ingest/database/skydb", status=502, times=3)
    ended = filled.project.run("39600:39602")
    assert ended.status == 1, ended
    assert "at the end of the run" in ended.err
    ended = filled.project.run("39600:39602")
    assert ended.status == 0, ended
    filled.assert_whole([39600, 39601, 39602])


def test_never_published_where_the_user_does_not_want_it(filled: Filled) -> None:
    filled.section("authKeyFile: key.txt", "publish: never")
    ended = filled.project.run("39600")
    assert ended.status == 0, ended
    filled.assert_whole([39600], published=False)


# ---- before the start


def test_a_wrong_key_makes_no_run_directory(filled: Filled) -> None:
    filled.project.write("key.txt", "wrong\n")
    ended = filled.project.run("39600")
    assert ended.status == 2
    assert "failed to pass authorization requirements" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not filled.project.run_dir.exists()


def test_a_wrong_key_when_the_run_goes_on(filled: Filled) -> None:
    filled.section("authKeyFile: key.txt", "publish: never")
    assert filled.project.run("39600").status == 0
    filled.project.write("key.txt", "wrong\n")
    ended = filled.project.run("39600:39601")
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    assert "failed to pass authorization requirements" in ended.err
    filled.project.write("key.txt", f"{filled.qserv.key}\n")
    assert filled.project.run("39600:39601").status == 0
    filled.assert_whole([39600, 39601], published=False)


def test_nobody_at_the_address(filled: Filled) -> None:
    filled.qserv.do(filled.qserv.controller.stop())
    ended = filled.project.run("39600")
    assert ended.status == 2
    assert "cannot be reached: Connection refused" in ended.err
    assert not filled.project.run_dir.exists()


def test_another_runs_database_is_refused_or_replaced(filled: Filled) -> None:
    filled.section("authKeyFile: key.txt", "publish: never")
    assert filled.project.run("39600").status == 0
    ended = filled.project.run("39601", "--run-dir", "other")
    assert ended.status == 2
    assert "holds rows of another run" in ended.err
    assert not (filled.project.folder / "other").exists()
    ended = filled.project.run("39601", "--run-dir", "other", "--replace")
    assert ended.status == 0, ended
    assert set(filled.qserv.chunk_tables("skydb")) == {
        "object_39601",
        "objectfulloverlap_39601",
        "forcedsource_39601",
    }


def test_host_and_key_may_come_from_the_command_line(filled: Filled) -> None:
    project = filled.project
    filled.section()
    project.edit("serverCfg.yml", f"  host: {filled.qserv.host}\n", "")
    ended = project.run("39600", "--ingest-host", filled.qserv.host, "--auth-key-file", "key.txt")
    assert ended.status == 0, ended
    filled.assert_whole([39600])


def test_skip_schema_makes_nothing(filled: Filled) -> None:
    ended = filled.project.run("39600", "--skip-schema")
    assert ended.status == 2
    assert "there is no database 'skydb' at Qserv: start without --skip-schema" in ended.err
    assert filled.qserv.state.databases == {}


def test_the_key_is_nowhere_but_in_its_file(filled: Filled, gates: Any) -> None:
    project, secret = filled.project, filled.qserv.key
    gates.shut(GATED)
    console = project.begin(str(GATED))
    gates.reached(GATED)
    for pid in project.processes():
        for what in ("cmdline", "environ"):
            assert secret.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    assert secret not in ended.out + ended.err
    kept = [path for path in project.run_dir.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []
