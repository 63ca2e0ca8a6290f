"""A run into a real database: what is in it, and what interruptions leave of it."""

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


class Filled:
    """A project that fills a database of its own."""

    def __init__(self, project: Any, mariadb: Any) -> None:
        self.project, self.mariadb = project, mariadb
        self.database = mariadb.schema(made=False)
        self.section("socket: " + str(mariadb.socket), "user: root")

    def section(self, *lines: str) -> None:
        """Section ``ingest`` anew."""
        head, _, rest = self.project.text("serverCfg.yml").partition("ingest:\n")
        tail = rest[rest.index("\n\n") :]
        own = "".join(f"  {line}\n" for line in ("kind: mysql", f"dbName: {self.database}", *lines))
        self.project.write("serverCfg.yml", f"{head}ingest:\n{own}{tail}")

    def ask(self, sql: str) -> Any:
        return self.mariadb.query(sql, database=self.database)

    def chunks(self, table: str) -> list[int]:
        """The chunks that a kind of table has final tables of."""
        prefix = f"{table.lower()}_"
        names = [name.removeprefix(prefix) for name in self.mariadb.tables(self.database) if name.startswith(prefix)]
        return sorted(int(chunk) for chunk in names if chunk.isdigit())

    def assert_whole(self, chunks: list[int]) -> None:
        """All of ``chunks`` are completed, have their tables, and nothing else is there."""
        assert self.project.states() == dict.fromkeys(sorted(chunks), "completed")
        kinds = ("Object", "ObjectFullOverlap", "ForcedSource")
        assert [self.chunks(kind) for kind in kinds] == [sorted(chunks)] * 3
        views = {kind.lower() for kind in kinds}
        left = set(self.mariadb.tables(self.database)) - {"dgconsole_plan", *views}
        assert left == {f"{kind.lower()}_{chunk}" for kind in kinds for chunk in chunks}
        self.project.ledger.assert_sound()

    def assert_equal_to_files(self, project: Any, run: str) -> None:
        """Every chunk table has the checksum of the table that the server itself loads from the file."""
        files = project.files(run)
        assert len(files) == len(self.mariadb.tables(self.database)) - 4
        folder = self.mariadb.folder
        for name, data in files.items():
            table, _, file = name.partition("/")
            _, chunk, *overlap = file.removesuffix(".txt").split("_")
            mine = f"{table}{'FullOverlap' * bool(overlap)}_{chunk}"
            (folder / "own.txt").write_bytes(data)
            (folder / "own.txt").chmod(0o644)
            self.ask(f"CREATE OR REPLACE TABLE own LIKE {mine}")
            self.ask(f"LOAD DATA INFILE '{folder}/own.txt' INTO TABLE own")
            ((_, here), (_, there)) = self.ask(f"CHECKSUM TABLE {mine}, own")
            assert here == there, name
            assert self.ask(f"SELECT COUNT(*) FROM {mine}") == [(data.count(b"\n"),)]
        self.ask("DROP TABLE own")


class Tables:
    """The chunk tables, all in one place."""

    def __init__(self, filled: Filled) -> None:
        self.chunks = filled.chunks
        self._ask = filled.ask

    def ask(self, chunk: int, sql: str) -> Any:
        return self._ask(sql)


@pytest.fixture
def filled(project: Any, mariadb: Any) -> Filled:
    return Filled(project, mariadb)


def test_what_is_in_the_database(filled: Filled) -> None:
    overlap = Overlap(tiling_of(200, 5), 0.01667)
    chunks = sorted({MIDDLE, *map(int, overlap.contributors(MIDDLE)), 0, 79600})
    ended = filled.project.run(",".join(map(str, chunks)))
    assert ended.status == 0, ended
    assert "views over all chunks: ForcedSource, Object, ObjectFullOverlap" in ended.err
    filled.assert_whole(chunks)
    assert not list((filled.project.run_dir / "chunks").rglob("*.txt*"))
    assert_right(Tables(filled), overlap, MIDDLE)
    assert filled.ask("SELECT COUNT(*) = COUNT(DISTINCT objectId) FROM Object") == [(1,)], "over the view"
    filled.project.edit("serverCfg.yml", f"kind: mysql\n  dbName: {filled.database}\n", "kind: files\n  dbName: x\n")
    for key in ("socket", "user"):
        (line,) = [line for line in filled.project.text("serverCfg.yml").splitlines(True) if f"  {key}: " in line]
        filled.project.edit("serverCfg.yml", line, "")
    ended = filled.project.run(",".join(map(str, chunks)), "--run-dir", "files")
    assert ended.status == 0, ended
    filled.assert_equal_to_files(filled.project, "files")


@pytest.mark.parametrize("victim", ["console", "client"])
def test_kill_9_in_the_middle_and_resume(filled: Filled, gates: Any, ends: Any, wait_until: Any, victim: str) -> None:
    project, chunks = filled.project, list(range(39600, 39620))
    text = "39600:39619"
    gates.shut(GATED)
    console = project.begin(text)
    gates.reached(GATED)
    wait_until(lambda: len(project.ledger.completed()) >= 4, "four chunks are made")
    if victim == "console":
        left = ends(project.processes())
        console.signal(signal.SIGKILL)
        console.end()
        left.wait()
        assert len(filled.chunks("Object")) >= 4
        gates.open()
        ended = project.run(text)
    else:
        os.kill(project.client(project.holder(GATED)), signal.SIGKILL)
        gates.open()
        ended = console.end()
    assert ended.status == 0, ended
    filled.assert_whole(chunks)
    assert project.processes() == []


def test_kill_9_again_and_again(filled: Filled, ends: Any, wait_until: Any) -> None:
    """Wherever it hits, be it in the middle of a load: every chunk is there once, as a whole."""
    project, text = filled.project, "39600:39619"
    for more in (1, 6, 12):
        console = project.begin(text)
        wait_until(lambda more=more: len(project.ledger.completed()) >= more, f"{more} chunks are made")
        left = ends(project.processes())
        console.signal(signal.SIGKILL)
        console.end()
        left.wait()
    assert project.run(text).status == 0
    filled.assert_whole(list(range(39600, 39620)))
    for row in project.report():
        counts = [filled.ask(f"SELECT COUNT(*) FROM {t}_{row['chunk_id']}") for t in ("Object", "ForcedSource")]
        assert sum(count for ((count,),) in counts) == int(row["rows"])


def test_the_database_restarts_in_the_middle(filled: Filled, gates: Any, wait_until: Any) -> None:
    project = filled.project
    gates.shut(GATED)
    console = project.begin("39600:39619")
    gates.reached(GATED)
    wait_until(lambda: len(project.ledger.completed()) >= 4, "four chunks are made")
    filled.mariadb.kill()
    gates.open()
    filled.mariadb.start()
    ended = console.end()
    assert ended.status == 0, ended
    filled.assert_whole(list(range(39600, 39620)))


def test_another_plan_is_refused_before_anything_is_made(filled: Filled) -> None:
    project = filled.project
    assert project.run("39600").status == 0
    rows = filled.ask("SELECT COUNT(*) FROM Object")
    project.edit("serverCfg.yml", "seed: 1", "seed: 2")
    ended = project.run("39601", "--run-dir", "other")
    assert ended.status == 2
    assert ended.err.splitlines() == [
        f"the database '{filled.database}' was filled by another plan: seed is 1 there, here 2",
        "serverCfg.yml:16: ingest.dbName: name another database (ingest.dbName), "
        "or have what is there dropped with --replace",
    ]
    assert not (project.folder / "other").exists()
    assert filled.ask("SELECT COUNT(*) FROM Object") == rows
    ended = project.run("39601", "--run-dir", "other", "--replace")
    assert ended.status == 0, ended
    assert filled.chunks("Object") == [39601]


def test_replace_is_for_databases(project: Any) -> None:
    ended = project.run("39600", "--replace")
    assert ended.status == 2
    assert ended.err == "--replace: is for a database; chunks of 'kind: files' go into a run directory of their own\n"


def test_a_password_is_nowhere_but_in_its_file(filled: Filled, gates: Any, wait_until: Any) -> None:
    project, mariadb = filled.project, filled.mariadb
    user, secret = filled.database, "s3cret-of-the-run"
    mariadb.query(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{secret}'")
    mariadb.query(f"GRANT ALL ON {filled.database}.* TO {user}@'127.0.0.1'")
    filled.section("host: 127.0.0.1", f"port: {mariadb.port}", f"user: {user}", "passwordFile: secret.txt")
    project.write("secret.txt", f"{secret}\n")
    gates.shut(GATED)
    console = project.begin(str(GATED))
    gates.reached(GATED)
    for pid in project.processes():
        for what in ("cmdline", "environ"):
            assert secret.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
    gates.open()
    ended = console.end()
    assert ended.status == 0, ended
    filled.assert_whole([GATED])
    assert secret not in ended.out + ended.err
    kept = [path for path in project.run_dir.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert kept == []


def test_a_client_that_comes_over_the_network_loads_by_itself(filled: Filled, gates: Any, wait_until: Any) -> None:
    project = filled.project
    project.clients(1)
    gates.shut(39600)
    console = project.begin("39600:39605", "--chunks-per-request", "1")
    gates.reached(39600)
    server = project.server()
    hand = ("--server", server["address"], "--workdir", "w1", "--name", "hand-1")
    client = project.start("dgclient", *hand, env={"DGCONSOLE_TOKEN": server["token"]})
    wait_until(lambda: len(project.ledger.completed()) >= 4, "it has made most")
    gates.open()
    assert console.end().status == 0
    assert client.end().status == 0
    filled.assert_whole(list(range(39600, 39606)))


def test_values_that_no_column_takes(filled: Filled) -> None:
    """The chunks are given up with the database's words; clients live on."""
    project = filled.project
    project.edit("fakeGenSpec.py", '"uPsFlux,gPsFlux', '"uPsFlux:YEAR,gPsFlux')
    project.generator("pass")
    project.edit("fakeGenSpec.py", "rows.uniform(6) + 20.0", "rows.uniform(6) + 1e39")
    ended = project.run("39600:39602")
    assert ended.status == 1, ended
    assert set(project.states().values()) == {"limbo"}
    assert "of Object was not taken as it is: Out of range value for column 'uPsFlux' at row 1; " in ended.err
    assert filled.chunks("Object") == []
    assert {row["client"] for row in project.report()} <= {"here-1", "here-2"}
