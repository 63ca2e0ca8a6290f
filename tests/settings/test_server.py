"""serverCfg.yml: what it may say, and every way to get it wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dgconsole.settings.frozen import frozen_files
from dgconsole.settings.server import find_spec, load_settings
from dgconsole.support.errors import InputError

Complaints = Callable[..., list[str]]


def test_a_right_file_reads(project: Path) -> None:
    settings = load_settings(project / "serverCfg.yml")
    assert settings.name == "skydb"
    assert (settings.seed, settings.visits, settings.objects) == (7, 30, 1000)
    assert set(settings.given) == {"seed", "visits", "objects"}
    assert (settings.transaction_size, settings.server_port) == (5, 13042)
    assert settings.spec.name == "spec.py"
    assert [config.table for config in settings.partitioners] == ["Object"]
    assert (settings.ingest_kind, settings.chunks, settings.pregenerated_dir) == ("files", None, None)
    assert settings.collect


def test_every_key_may_be_absent(project: Path) -> None:
    (project / "serverCfg.yml").write_text("# all defaults\n")
    (project / "cfgs").rename(project / "fakePartitionerCfgs")
    (project / "spec.py").rename(project / "fakeGenSpec.py")
    settings = load_settings(project / "serverCfg.yml")
    assert settings.name == "fakeGenSpec"
    assert (settings.seed, settings.visits, settings.objects, settings.transaction_size) == (1, 30, 1000, 10)
    assert settings.given == ()


def test_a_file_of_the_original_reads(project: Path) -> None:
    """Its placeholders are comments to YAML, hence null; all of its keys are known."""
    (project / "serverCfg.yml").write_text(
        """\
server:
  port: 13042
fakeDataGenerator:
  arguments: ''
  visits: 30
  objects: 1000
  seed: 1
  transaction_size: 7
  cfgFileName: spec.py
partitioner:
  cfgDir: cfgs
ingest:
  host: #INGEST_HOST#
  port: 25080
  authKey: #INGEST_AUTH#
  user:
  dbName: fakedb
  cfgDir:
pregenerated:
  cfgDir: pregenerated
"""
    )
    settings = load_settings(project / "serverCfg.yml")
    assert settings.secrets == {}
    assert settings.pregenerated_dir == str(project / "pregenerated")


def test_base_folder_of_the_original(project: Path) -> None:
    (project / "base").mkdir()
    (project / "cfgs").rename(project / "base" / "cfgs")
    (project / "spec.py").rename(project / "base" / "spec.py")
    text = (project / "serverCfg.yml").read_text()
    (project / "serverCfg.yml").write_text(text.replace("  seed: 7", "  seed: 7\n  baseCfgDir: base"))
    assert load_settings(project / "serverCfg.yml").spec.path == str(project / "base" / "spec.py")


def test_base_folder_as_the_original_is_run(project: Path) -> None:
    """From the top of its repository, where the file's own folder is called configs/fakedb."""
    text = (project / "serverCfg.yml").read_text()
    named = "/".join(project.parts[-2:])
    (project / "serverCfg.yml").write_text(text.replace("  seed: 7", f"  seed: 7\n  baseCfgDir: {named}"))
    assert load_settings(project / "serverCfg.yml").spec.path == str(project / "spec.py")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("seed: 7", "sed: 7", "serverCfg.yml:5: fakeDataGenerator.sed: unknown key; did you mean 'seed'?"),
        (
            "seed: 7",
            "dbName: 7",
            "serverCfg.yml:5: fakeDataGenerator.dbName: unknown key; did you mean 'ingest.dbName'?",
        ),
        ("server:", "sever:", "serverCfg.yml:1: sever: unknown key; did you mean 'server'?"),
        ("port: 13042", "port: x1", "serverCfg.yml:2: server.port: 'x1' is text; a whole number is wanted"),
        ("port: 13042", "port: 0", "serverCfg.yml:2: server.port: 0 is out of range: give a number from 1 to 65535"),
        ("port: 13042", "port: [1]", "serverCfg.yml:2: server.port: is a list; a whole number is wanted"),
        ("seed: 7", "seed: yes", "serverCfg.yml:5: fakeDataGenerator.seed: 'yes' is a yes/no value; a whole number"),
        (
            "seed: 7",
            "seed: 1.5",
            "serverCfg.yml:5: fakeDataGenerator.seed: 1.5 is a number; a whole number is wanted",
        ),
        ("spec.py", "nix.py", "serverCfg.yml:7: fakeDataGenerator.cfgFileName: nix.py: no such file or folder"),
        ("spec.py", "cfgs", "serverCfg.yml:7: fakeDataGenerator.cfgFileName: cfgs: is a folder, a file is wanted"),
        ("cfgDir: cfgs", "cfgDir: nix", "serverCfg.yml:9: partitioner.cfgDir: nix: no such file or folder"),
        ("cfgDir: cfgs", "cfgDir: spec.py", "serverCfg.yml:9: partitioner.cfgDir: spec.py: is no folder"),
        (
            "kind: files",
            "kind: qserv",
            "serverCfg.yml:11: ingest.kind: 'qserv' needs ingest.host, the host of its Rep",
        ),
        (
            "kind: files",
            "kind: file",
            "serverCfg.yml:11: ingest.kind: 'file' is no kind of destination; did you mean",
        ),
        ("kind: files", "port: db1", "serverCfg.yml:11: ingest.port: 'db1' is text; a whole number is wanted"),
        ("kind: files", "collect: 1", "serverCfg.yml:11: ingest.collect: 1 is a number; true or false is wanted"),
        ("kind: files", "colect: no", "serverCfg.yml:11: ingest.colect: unknown key; did you mean 'collect'?"),
        ("skydb", "../x", "serverCfg.yml:12: ingest.dbName: '../x' can't name a database"),
        ("skydb", "2020", "serverCfg.yml:12: ingest.dbName: 2020 is a number; plain text is wanted (put it into quo"),
        (
            "server:\n  port: 13042",
            "server: 5",
            "serverCfg.yml:1: server: 5 is a number; wanted are keys with values",
        ),
        (
            "--visits 30",
            "--vists 3",
            "serverCfg.yml:4: fakeDataGenerator.arguments: unknown option '--vists'; did yo",
        ),
        ("--visits 30", "--visits x", "serverCfg.yml:4: fakeDataGenerator.arguments: '--visits x': give a whole"),
        ("--visits 30", "--visits", "serverCfg.yml:4: fakeDataGenerator.arguments: '--visits ': give a whole number"),
        ("--visits 30", '--visits "3', "serverCfg.yml:4: fakeDataGenerator.arguments: '--visits \"3 --objects 1000'"),
        ("--visits 30", "--seed=8", "serverCfg.yml:4: fakeDataGenerator.arguments: '--seed 8' disagrees with the ke"),
        ("--visits 30", "--objects 9", "serverCfg.yml:4: fakeDataGenerator.arguments: '--objects' is there twice, w"),
    ],
)
def test_one_mistake_one_line(project: Path, complaints: Complaints, old: str, new: str, complaint: str) -> None:
    text = (project / "serverCfg.yml").read_text()
    assert old in text
    found = complaints(text.replace(old, new, 1))
    assert [line[: len(complaint)] for line in found] == [complaint]
    assert "\n" not in found[0]


def test_all_problems_of_all_files_at_once(project: Path, complaints: Complaints) -> None:
    (project / "cfgs" / "My_Object.cfg").write_text("{}")
    (project / "cfgs" / "Source.cfg").write_text('{"part": {"id": "nix"}}')
    text = (project / "serverCfg.yml").read_text().replace("seed: 7", "seed: x").replace("spec.py", "nix.py")
    found = complaints(text + "colour: red\n")
    assert any(line.startswith("serverCfg.yml:5: fakeDataGenerator.seed:") for line in found)
    assert any(line.startswith("serverCfg.yml:7: fakeDataGenerator.cfgFileName:") for line in found)
    assert any(line.startswith("serverCfg.yml:13: colour:") for line in found)
    assert any(line.startswith("cfgs/My_Object.cfg: table names have no underscore") for line in found)
    assert any(line.startswith("cfgs/Source.cfg") for line in found)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nix\.yml: no such file or folder"):
        load_settings(tmp_path / "nix.yml")


def test_equal_numbers_both_ways_agree(project: Path) -> None:
    text = (project / "serverCfg.yml").read_text()
    (project / "serverCfg.yml").write_text(text.replace("--visits 30", "--seed 7 --visits=30"))
    assert load_settings(project / "serverCfg.yml").seed == 7


def test_other_files_of_the_folder_are_passed_over(project: Path) -> None:
    for name in ("Object_template.cfg", "Forced.cfg-ignore", "notes.txt", ".hidden.cfg"):
        (project / "cfgs" / name).write_text("PLACEHOLDER")
    assert [config.table for config in load_settings(project / "serverCfg.yml").partitioners] == ["Object"]


def test_a_folder_without_tables_is_refused(project: Path, complaints: Complaints) -> None:
    (project / "cfgs" / "Object.cfg").rename(project / "cfgs" / "Object.off")
    assert complaints() == [
        "serverCfg.yml:9: partitioner.cfgDir: cfgs holds no *.cfg: each table to be delivered needs one, <Table>.cfg"
    ]


def test_a_table_name_is_letters_and_digits(project: Path, complaints: Complaints) -> None:
    (project / "cfgs" / "Object.cfg").rename(project / "cfgs" / "1 table.cfg")
    (line,) = complaints()
    assert line.startswith("cfgs/1 table.cfg: '1 table' can't name a table: letters and digits only")


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("no", False), ("", True), ("~", True)])
def test_files_are_collected_unless_told_otherwise(project: Path, written: str, meant: bool) -> None:
    with (project / "serverCfg.yml").open("a") as file:
        file.write(f"  collect: {written}\n")
    assert load_settings(project / "serverCfg.yml").collect is meant


@pytest.mark.parametrize("folder", ["/scratch/chunks", "~/chunks"])
def test_files_that_stay_on_their_hosts_have_a_folder_there(project: Path, folder: str) -> None:
    with (project / "serverCfg.yml").open("a") as file:
        file.write(f"  collect: false\n  outDir: {folder}\n")
    assert load_settings(project / "serverCfg.yml").out_dir == folder


@pytest.mark.parametrize("collect", ["", "  collect: true\n"])
def test_a_folder_for_files_that_come_home_is_refused(project: Path, complaints: Complaints, collect: str) -> None:
    with (project / "serverCfg.yml").open("a") as file:
        file.write(f"{collect}  outDir: /scratch\n")
    (line,) = complaints()
    assert "ingest.outDir: is for 'collect: false'" in line


@pytest.mark.parametrize("folder", ["chunks", "./chunks", "~other/chunks"])
def test_a_folder_of_other_hosts_is_not_relative(project: Path, complaints: Complaints, folder: str) -> None:
    with (project / "serverCfg.yml").open("a") as file:
        file.write(f"  collect: false\n  outDir: {folder}\n")
    (line,) = complaints()
    assert f"serverCfg.yml:14: ingest.outDir: '{folder}' is no path of other machines: begin it with / or ~/" in line


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'0:1000,4000'", "0:1000,4000"),
        ("1:30", "1:30"),
        ("[0, '800:811', 1:30]", "0,800:811,1:30"),
        ("4000", "4000"),
    ],
)
def test_chunks_are_read_as_written(project: Path, written: str, meant: str) -> None:
    with (project / "serverCfg.yml").open("a") as file:
        file.write(f"chunks: {written}\n")
    assert load_settings(project / "serverCfg.yml").chunks == meant


@pytest.mark.parametrize("written", ["[]", "[[1]]", "{a: 1}", "[0, null]"])
def test_chunks_that_name_none(project: Path, complaints: Complaints, written: str) -> None:
    (line,) = complaints((project / "serverCfg.yml").read_text() + f"chunks: {written}\n")
    assert line.startswith("serverCfg.yml:13: chunks: ")


def test_overrides_stand_in_for_the_file(project: Path) -> None:
    settings = load_settings(
        project / "serverCfg.yml", overrides={"ingest.dbName": "other", "pregenerated.cfgDir": "p"}
    )
    assert settings.name == "other"
    assert settings.pregenerated_dir == str(project / "p")


@pytest.mark.parametrize("spelling", ["s3cret", "'s3cret'", '"s3cret"   # mine', "12345"])
def test_the_key_of_the_service_is_in_no_copy(project: Path, spelling: str) -> None:
    with (project / "serverCfg.yml").open("a") as file:
        file.write(f"  authKey: {spelling}\npregenerated: {{cfgDir: made}}\n")
    (project / "made").mkdir()
    (project / "made" / "visits.csv").write_text("0,u,1,2\n")
    (project / "made" / "Object.cfg").write_text("not ours")
    settings = load_settings(project / "serverCfg.yml")
    secret = spelling.split()[0].strip("'\"")
    assert settings.secrets == {"ingest.authKey": secret}
    files = frozen_files(settings)
    assert set(files) == {
        "serverCfg.yml",
        "spec/spec.py",
        "partitioner/Object.cfg",
        "pregenerated/Object.cfg",
        "pregenerated/visits.csv",
    }
    assert not any(secret.encode() in data for data in files.values())
    assert b"authKey: null" in files["serverCfg.yml"]


def test_a_wrong_key_of_the_service_is_not_quoted(project: Path, complaints: Complaints) -> None:
    text = (project / "serverCfg.yml").read_text()
    assert complaints(f"{text}  authKey: {{s3cret: 1}}\n") == ["serverCfg.yml:13: ingest.authKey: must be one text"]


def test_the_spec_is_found_beside_other_problems(project: Path) -> None:
    text = (project / "serverCfg.yml").read_text().replace("seed: 7", "seed: x")
    (project / "serverCfg.yml").write_text(text + "pregenerated: {cfgDir: made}\n")
    found = find_spec(project / "serverCfg.yml")
    assert found is not None
    assert (found[0].name, found[1]) == ("spec.py", project)
    (project / "made").mkdir()
    found = find_spec(project / "serverCfg.yml")
    assert found is not None
    assert found[1] == project / "made"
    (project / "spec.py").unlink()
    assert find_spec(project / "serverCfg.yml") is None


# ---- ingest JSON

TABLE = {
    "database": "skydb",
    "table": "Object",
    "is_partitioned": 1,
    "is_director": 1,
    "schema": [{"name": "objectId", "type": "BIGINT NOT NULL"}, {"name": "ra", "type": "DOUBLE"}],
    "auth_key": "s3cret",
}
DATABASE = {"database": "skydb", "num_stripes": 200, "num_sub_stripes": 5, "overlap": 0.01667}


@pytest.fixture
def with_ingest(project: Path) -> Path:
    """The project with ingest JSON; returns that folder."""
    with (project / "serverCfg.yml").open("a") as file:
        file.write("  cfgDir: json\n")
    folder = project / "json"
    folder.mkdir()
    (folder / "skydb.json").write_text(json.dumps(DATABASE))
    (folder / "skydb_Object.json").write_text(json.dumps(TABLE, indent=2))
    (folder / "skydb_Source_template.json").write_text("PLACEHOLDER")
    return folder


def test_ingest_files_read(with_ingest: Path, project: Path) -> None:
    settings = load_settings(project / "serverCfg.yml")
    assert settings.ingest_database == DATABASE
    (table,) = settings.ingest_tables
    assert (table.table, table.is_partitioned, table.is_director) == ("Object", True, True)
    assert table.columns == (("objectId", "BIGINT NOT NULL"), ("ra", "DOUBLE"))
    assert "auth_key" not in table.raw
    assert not any(b"s3cret" in data for data in frozen_files(settings).values())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"database": "other"},
            "json/skydb_Object.json:2: database: is 'other', ingest.dbName is 'skydb': make them",
        ),
        ({"is_partitioned": "yes"}, "json/skydb_Object.json:4: is_partitioned: must be 0 or 1"),
        ({"schema": []}, "json/skydb_Object.json:6: schema: must be a list of {name, type}, one a column"),
        ({"schema": [{"name": "a"}]}, "json/skydb_Object.json:6: schema: column 1 needs a 'name' and a 'type'"),
        ({"table": 5}, "json/skydb_Object.json:3: table: must be the table's name"),
    ],
)
def test_ingest_mistakes(
    with_ingest: Path, complaints: Complaints, change: dict[str, object], complaint: str
) -> None:
    (with_ingest / "skydb_Object.json").write_text(json.dumps(TABLE | change, indent=2))
    assert [line[: len(complaint)] for line in complaints()] == [complaint]


def test_ingest_files_that_do_not_read(with_ingest: Path, complaints: Complaints) -> None:
    (with_ingest / "skydb.json").write_text('{"database": "skydb",\n oops}')
    (with_ingest / "a.json").write_text("[]")
    (with_ingest / "b.json").write_text("{}")
    (with_ingest / "c.json").write_text(json.dumps(TABLE))
    found = complaints()
    assert [line.partition(" ")[0] for line in found] == [
        "json/a.json:",
        "json/b.json:",
        "json/skydb.json:2:",
        "json/skydb_Object.json:3:",
    ]


def test_two_databases_are_one_too_many(with_ingest: Path, complaints: Complaints) -> None:
    (with_ingest / "z.json").write_text(json.dumps(DATABASE))
    (line,) = complaints()
    assert line.startswith("json/z.json: describes a database, as ")
