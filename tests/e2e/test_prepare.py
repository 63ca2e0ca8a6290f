"""`prepare:` in whole runs, and databases that have a folder each, in both dialects of the original."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

VISITS_MADE = """\
prepare:
- mkdir -p made
- test -f made/visits.csv || dgvisits -n 100000 -o made/visits.csv
- date >> made/.times
"""
VISITS = '    "CcdVisit": {"from_file": "visits.csv", "columns": "ccdVisitId,filterName,ra,decl"},\n'


@pytest.fixture
def prepared(project: Any) -> Any:
    """A project whose visits are made by its preparation."""
    spec = project.text("fakeGenSpec.py")
    start, end = spec.index('    "CcdVisit": {'), spec.index("    # One row for each object and each visit")
    project.write("fakeGenSpec.py", spec[:start] + VISITS + spec[end:])
    project.write("serverCfg.yml", project.text("serverCfg.yml") + "pregenerated: {cfgDir: made}\n" + VISITS_MADE)
    project.clients(1)
    return project


def test_what_it_makes_is_read_by_the_run(prepared: Any) -> None:
    ended = prepared.run("57701")
    assert ended.status == 0, ended.err
    assert "prepare: made/visits.csv: 100000 visits" in ended.err.splitlines()
    assert "prepare: made/visits.csv: 100000 visits" in prepared.console_log()
    assert (prepared.run_dir / "plan/pregenerated/visits.csv").exists()
    prepared.assert_whole([57701])


def test_it_runs_again_when_a_run_is_resumed_and_may_change(prepared: Any) -> None:
    assert prepared.run("57701").status == 0
    prepared.edit("serverCfg.yml", "- mkdir -p made\n", "- mkdir -p made; echo changed\n")
    ended = prepared.run("57701,57702")
    assert ended.status == 0, ended.err
    assert "prepare: changed" in ended.err
    assert len(prepared.text("made/.times").splitlines()) == 2
    prepared.assert_whole([57701, 57702])


def test_a_line_that_fails_refuses_the_start(prepared: Any) -> None:
    prepared.edit("serverCfg.yml", "-n 100000", "-n none")
    ended = prepared.run("57701")
    assert ended.status == 2
    said = [line for line in ended.err.splitlines() if not line.startswith("prepare: ")]
    (line,) = said
    assert line.startswith("serverCfg.yml:")
    assert "prepare: 'test -f made/visits.csv || dgvisits -n none" in line
    assert "failed (status 2): -n 'none': give a whole number" in line
    assert not prepared.run_dir.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        ("hosts.yml", "clients: 1", "clientz: 1"),
        ("serverCfg.yml", "transaction_size", "transaction_sizes"),
    ],
)
def test_it_does_not_run_for_input_that_is_bad_anyway(prepared: Any, spoil: tuple[str, str, str]) -> None:
    prepared.edit(*spoil)
    ended = prepared.run("57701")
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1, ended.err
    assert not (prepared.folder / "made").exists()


def test_nor_for_a_command_line_that_is(prepared: Any) -> None:
    ended = prepared.run("57701", "--report", "nosuch/report.csv")
    assert (ended.status, ended.err) == (2, "--report: 'nosuch/report.csv': there is no such folder to write it in\n")
    assert not (prepared.folder / "made").exists()


def test_a_running_run_directory_is_not_prepared_again(prepared: Any, gates: Any) -> None:
    gates.shut(57701)
    first = prepared.begin("57701")
    gates.reached(57701)
    second = prepared.run("57701")
    assert second.status == 2
    assert "in use by process" in second.err
    assert len(prepared.text("made/.times").splitlines()) == 1
    gates.open()
    assert first.end().status == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(project: Any, ends: Any, wait_until: Any, number: signal.Signals) -> None:
    project.write("serverCfg.yml", project.text("serverCfg.yml") + "prepare: echo begun; sleep 1000 & sleep 1000\n")
    console = project.begin("57701")
    wait_until(lambda: "begun" in console.err, "it has begun")
    left = ends(project.processes())
    console.signal(number)
    assert console.end().status == 130
    left.wait()
    assert project.processes() == []
    assert not project.run_dir.exists()


# ---- a folder for each database

SERVER = """\
server:
  port: 13042
fakeDataGenerator:
  arguments: ''
  visits: 30
  objects: 1000
  seed: 1
  transaction_size: 7
  cfgFileName: fakeGenSpec.py
partitioner:
  cfgDir: partitionerCfgs
ingest:
  host: #INGEST_HOST#
  port: 25080
  authKey: #INGEST_AUTH#
  dbName: {name}
  cfgDir: ingestCfgs
pregenerated:
  cfgDir: pregenerated
prepare:
  - mkdir -p pregenerated
  - test -f pregenerated/visit_table.csv || dgvisits -n 20000 -o pregenerated/visit_table.csv
"""
SERVER_2020 = """\
server:
  port: 13042
fakeDataGenerator:
  arguments: '--visits 30 --objects 50'
  cfgFileName: fakeGenSpec.py
partitioner:
  cfgDir: fakePartitionerCfgs
"""
HEAD = """\
import lsst.dax.data_generator.columns as columns
from lsst.dax.data_generator import Chunker, UniformSpatialModel

chunker = Chunker(0, 200, 5)
edge_width = 0.017
spec = {
    "Object": {
        "columns": {
            "objectId": columns.ObjIdGenerator(),
            "psRa,psDecl": columns.RaDecGenerator(),
            "uPsFlux,gPsFlux,rPsFlux,iPsFlux,zPsFlux,yPsFlux": columns.MagnitudeGenerator(n_mags=6),
        },
        "density": UniformSpatialModel(100),
    },
    "CcdVisit": {"from_file": "visit_table.csv", "columns": "ccdVisitId,filterName,ra,decl"},
    "ForcedSource": {
        "prereq_tables": ["CcdVisit", "Object"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFlux_Err,flags": columns.ForcedSourceGenerator(visit_radius=1.4),
        },
    },
}
directors = {"Object": {"ForcedSource": "objectId"}}
"""
EARLY = """\
import lsst.dax.data_generator.columns as columns
from lsst.dax.data_generator import Chunker

chunker = Chunker(0, 200, 5)
spec = {
    "Object": {
        "columns": {
            "objectId": columns.ObjIdGenerator(),
            "ra,decl": columns.RaDecGenerator(chunker),
            "mag_u,mag_g,mag_r,mag_i,mag_z": columns.MagnitudeGenerator(n_mags=5),
        }
    },
    "CcdVisit": {
        "columns": {
            "ccdVisitId": columns.VisitIdGenerator(),
            "filterName": columns.FilterGenerator(filters="ugriz"),
            "ra,decl": columns.RaDecGenerator(chunker, ignore_edge_only=True),
        }
    },
    "ForcedSource": {
        "prereq_row": "Object",
        "prereq_tables": ["CcdVisit"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFluxSigma": columns.ForcedSourceGenerator(visit_radius=0.5),
        },
    },
}
"""
RELAXED = """\
# the older form
part = {
    pos = 'ra, decl'
    id = objectId
    chunk = chunkId
    overlap = 0.01667   # degrees
    num-stripes = 200
    num-sub-stripes = 5
}
in.csv = {
    null = ''
    delimiter = ','
    field = [ objectId ra decl mag_u mag_g mag_r mag_i mag_z ]
}
out.csv = {
    null = '\\\\N'
    delimiter = '\\t'
    escape = '\\\\'
    no-quote = true
}
"""
FORCED = {"objectId": "BIGINT", "ccdVisitId": "BIGINT", "psFlux": "FLOAT", "psFluxErr": "FLOAT", "flags": "TINYINT"}


@pytest.fixture
def databases(project: Any) -> Path:
    """``configs/<db>/`` with folders of the names that the original gives them, one in each dialect."""
    top: Path = project.folder / "configs"
    late, early = top / "latedb", top / "earlydb"
    for folder in (late / "ingestCfgs", early):
        folder.mkdir(parents=True)
    shutil.copytree(project.folder / "fakePartitionerCfgs", late / "partitionerCfgs")
    (late / "serverCfg.yml").write_text(SERVER.format(name="latedb"))
    (late / "fakeGenSpec.py").write_text(HEAD)
    base = {"database": "latedb", "num_stripes": 200, "num_sub_stripes": 5, "overlap": 0.01667, "auth_key": ""}
    (late / "ingestCfgs/latedb.json").write_text(json.dumps(base))
    old = {"is_partitioned": 1, "is_director": 0, "chunk_id_key": "chunkId", "director_key": "objectId"}
    columns = FORCED | {"chunkId": "INT", "subChunkId": "INT"}
    schema = [{"name": name, "type": sql} for name, sql in columns.items()]
    table = {"database": "latedb", "table": "ForcedSource", "schema": schema} | old
    (late / "ingestCfgs/latedb_ForcedSource.json").write_text(json.dumps(table))
    (late / "ingestCfgs/latedb_Object_template.json").write_text("PLACEHOLDER")
    (early / "serverCfg.yml").write_text(SERVER_2020)
    (early / "fakeGenSpec.py").write_text(EARLY)
    (early / "fakePartitionerCfgs").mkdir()
    (early / "fakePartitionerCfgs/Object.cfg").write_text(RELAXED)
    (early / "fakePartitionerCfgs/ForcedSource.cfg-ignore").write_text("switched off")
    return top


def test_each_database_has_a_folder(project: Any, databases: Path) -> None:
    """Started from elsewhere: whatever a file names lies in its own folder."""
    project.clients(2)
    for name, tables in (("latedb", {"Object", "ForcedSource"}), ("earlydb", {"Object"})):
        options = ("--config", f"configs/{name}/serverCfg.yml", "--run-dir", name, "--chunks", "57701")
        ended = project.start("dgconsole", "hosts.yml", "--headless", *options).end()
        assert ended.status == 0, ended.err
        made = {path.partition("/")[0] for path in project.files(name)}
        assert made == tables
    assert (databases / "latedb/pregenerated/visit_table.csv").exists()
    plain = (project.folder / "earlydb/chunks/Object/chunk_57701.txt").read_text().splitlines()
    assert len(plain) == 50
    assert project.start("dgschema", "check", "--config", "configs/latedb/serverCfg.yml").end().status == 0
