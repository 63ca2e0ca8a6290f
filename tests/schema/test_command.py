"""``dgschema``: what it writes is what the other commands read, and a chunk is made with it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgconsole.catalog.examine import examine
from dgconsole.catalog.spec import read_spec
from dgconsole.plan.load import load_plan
from dgconsole.schema.command import main
from dgconsole.settings.ingest import load_ingest_folder
from dgconsole.support.errors import InputError

ROOT = Path(__file__).parents[2]
SERVER = """\
fakeDataGenerator: {cfgFileName: sky.py, visits: 30}
partitioner: {cfgDir: cfgs}
ingest: {dbName: skydb, cfgDir: json}
"""


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """A copy of the shipped files."""
    for name in ("serverCfg.yml", "fakeGenSpec.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "fakePartitionerCfgs", tmp_path / "fakePartitionerCfgs")
    return tmp_path


@pytest.fixture
def whole(felis: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project made of nothing but a Felis schema."""
    folder = felis.parent
    assert main(["spec", "--felis", str(felis)]) == 0
    (folder / "sky.py").write_text(capsys.readouterr().out)
    assert main(["cfg", "--felis", str(felis), "--out", str(folder / "cfgs")]) == 0
    assert main(["ingest", "--felis", str(felis), "--out", str(folder / "json")]) == 0
    (folder / "serverCfg.yml").write_text(SERVER)
    capsys.readouterr()
    return folder


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def run(*argv: object) -> list[str]:
        with pytest.raises(InputError) as caught:
            main([str(word) for word in argv])
        return [str(problem) for problem in caught.value.problems]

    return run


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def folder_json(path: Path) -> Any:
    return load_ingest_folder(path, database="skydb", asked_by=("", 0))


# ---- from a Felis schema alone


def test_ingest_json_of_a_schema(whole: Path) -> None:
    names = {"skydb.json", *(f"skydb_{table}.json" for table in ("Object", "Source", "ForcedSource", "Filter"))}
    assert {path.name for path in (whole / "json").iterdir()} == names
    assert read(whole / "json/skydb.json") == {
        "version": 12,
        "database": "skydb",
        "num_stripes": 200,
        "num_sub_stripes": 5,
        "overlap": 0.01667,
        "auto_build_secondary_index": 1,
        "auth_key": "",
    }
    director = read(whole / "json/skydb_Object.json")
    schema = {column["name"]: column["type"] for column in director.pop("schema")}
    assert director == {
        "version": 12,
        "database": "skydb",
        "table": "Object",
        "is_partitioned": 1,
        "director_table": "",
        "director_key": "objectId",
        "longitude_key": "coord_ra",
        "latitude_key": "coord_dec",
        "auth_key": "",
    }
    assert list(schema)[:3] == ["objectId", "coord_dec", "coord_ra"]
    assert (schema["objectId"], schema["coord_ra"]) == ("BIGINT NOT NULL", "DOUBLE")
    assert list(schema.items())[-2:] == [("chunkId", "INT NOT NULL"), ("subChunkId", "INT NOT NULL")]
    assert (schema["gPsFlux"], schema["primary"], schema["seen"]) == ("FLOAT NOT NULL", "TINYINT(1)", "DATETIME(3)")
    child = read(whole / "json/skydb_Source.json")
    assert (child["director_table"], child["director_key"], child["longitude_key"]) == ("Object", "objectId", "")
    assert child["schema"][-1]["name"] == "subChunkId"
    plain = read(whole / "json/skydb_Filter.json")
    assert plain["is_partitioned"] == 0
    assert [column["name"] for column in plain["schema"]] == ["filterId", "name"]
    assert len(folder_json(whole / "json").tables) == 4


def test_an_id_that_is_not_unique_says_so(felis: Path) -> None:
    text = felis.read_text()
    felis.write_text(text.replace('"#Object.objectId"', '["#Object.objectId", "#Object.nPix"]', 1))
    main(["ingest", "--felis", str(felis), "--out", str(felis.parent / "json"), "--tables", "Object"])
    director = read(felis.parent / "json/skydb_Object.json")
    assert (director["unique_primary_key"], director["version"]) == (0, 21)


def test_the_tiling_and_the_name_can_be_said(felis: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = felis.parent / "json"
    argv = f"ingest --felis {felis} --out {out} --tables Object --database other"
    main([*argv.split(), "--stripes", "340", "--sub-stripes", "3", "--overlap", "0.01"])
    base = read(out / "other.json")
    assert (base["num_stripes"], base["num_sub_stripes"], base["overlap"]) == (340, 3, 0.01)
    assert read(out / "other_Object.json")["database"] == "other"
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"{out}/other.json", f"{out}/other_Object.json"]
    assert said.err == "dgschema: Object: a director, id objectId, position coord_ra, coord_dec\n"


def test_cfg_files_of_a_schema(whole: Path) -> None:
    made = read(whole / "cfgs/Object.cfg")
    assert made["part"]["pos"] == "coord_ra, coord_dec"
    assert made["in"]["csv"]["field"][:3] == ["objectId", "coord_ra", "coord_dec"]
    assert made["out"]["csv"]["field"][:3] == ["objectId", "coord_dec", "coord_ra"]
    assert "pos" not in read(whole / "cfgs/ForcedSource.cfg")["part"]
    assert {path.name for path in (whole / "cfgs").iterdir()} == {"Object.cfg", "Source.cfg", "ForcedSource.cfg"}


def test_a_spec_of_a_schema_is_one(whole: Path) -> None:
    description = examine(read_spec(whole / "sky.py"))
    tables = {table.name: table for table in description.tables}
    assert description.warnings == ()
    assert list(tables) == ["Object", "CcdVisit", "Source", "ForcedSource"]
    assert description.directors == {"Object": {"Source": "objectId", "ForcedSource": "objectId"}}
    types = {column.name: column.type for column in tables["Object"].columns}
    assert (types["parentObjectId"], types["gPsFlux"], types["seen"]) == ("BIGINT", "FLOAT", "DATETIME(3)")
    words = {column.name: column.type for column in tables["Source"].columns}
    assert (words["sourceId"], words["objectId"], words["visit"], words["band"]) == ("SID", "OID", "VID", "CHAR(1)")


def test_all_of_it_agrees(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(whole / "serverCfg.yml")]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "Object: director, 12 columns; spec and .cfg agree, ingest JSON",
        "Source: child, 9 columns; spec and .cfg agree, ingest JSON",
        "ForcedSource: child, 5 columns; spec and .cfg agree, ingest JSON",
    ]
    assert "hold less" not in said.err
    assert "'Filter', which the spec lacks" in said.err


def fill(folder: Path) -> None:
    """One chunk, by a run of its own."""
    (folder / "hosts.yml").write_text("hosts: {here: {clients: 1}}\n")
    code = "import sys; from dgconsole.cli import dgconsole; sys.exit(dgconsole())"
    argv = [sys.executable, "-c", code, "hosts.yml", "--headless", "--chunks", "14007"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_chunk_is_made_of_it(whole: Path) -> None:
    """Nothing but the schema: spec, .cfg and JSON carry a run, the files have the schema's columns in its order."""
    fill(whole)
    chunks = whole / "runs/skydb/chunks"
    row = (chunks / "Object/chunk_14007.txt").read_text().splitlines()[0].split("\t")
    assert len(row) == 14
    assert row[12] == "14007"
    assert -90 <= float(row[1]) <= 90
    assert len(row[7]) == 1
    assert row[9] in ("0", "1")
    assert len(row[11]) == len("2026-01-01 00:00:00")
    objects = {line.split("\t")[0] for line in (chunks / "Object/chunk_14007.txt").read_text().splitlines()}
    forced = [line.split("\t") for line in (chunks / "ForcedSource/chunk_14007.txt").read_text().splitlines()]
    assert forced
    assert {row[2] for row in forced} <= objects


@pytest.mark.slow
def test_a_database_takes_its_types(whole: Path, mariadb: Any) -> None:
    """Nothing is cut or refused on the way into a real server, and its columns are the schema's."""
    database = mariadb.schema(made=False)
    target = f"kind: mysql, socket: {mariadb.socket}, user: root, dbName: {database}, cfgDir: json"
    (whole / "serverCfg.yml").write_text(SERVER.replace("dbName: skydb, cfgDir: json", target))
    for path in (whole / "json").iterdir():
        path.write_text(path.read_text().replace('"database": "skydb"', f'"database": "{database}"'))
    fill(whole)
    names = "SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = DATABASE()"
    kinds = dict(mariadb.query(f"{names} AND table_name = 'Object_14007'", database=database))
    assert list(kinds)[:3] == ["objectId", "coord_dec", "coord_ra"]
    assert (kinds["seen"], kinds["primary"], kinds["skymap"]) == ("datetime(3)", "tinyint(1)", "varchar(12)")
    ((rows, first, last),) = mariadb.query(
        "SELECT COUNT(*), CAST(MIN(seen) AS CHAR), CAST(MAX(seen) AS CHAR) FROM Object_14007", database=database
    )
    assert rows > 500
    assert "2026" <= first < last < "2036"


# ---- from the spec


def test_ingest_json_of_the_spec(shipped: Path) -> None:
    assert main(["ingest", "--config", str(shipped / "serverCfg.yml"), "--out", str(shipped / "json")]) == 0
    child = read(shipped / "json/fakedb_ForcedSource.json")
    assert (child["director_table"], child["director_key"]) == ("Object", "objectId")
    assert [column["type"] for column in child["schema"]] == [
        "BIGINT NOT NULL",
        "BIGINT",
        "DOUBLE",
        "DOUBLE",
        "TINYINT",
        "INT NOT NULL",
        "INT NOT NULL",
    ]
    text = (shipped / "serverCfg.yml").read_text().replace("dbName: fakedb", "dbName: fakedb\n  cfgDir: json")
    (shipped / "serverCfg.yml").write_text(text)
    _, plan = load_plan(shipped / "serverCfg.yml")
    assert plan.notices == ("objects 1000 has no effect: Object has a density",)


def test_ingest_json_that_is_there_is_not_looked_at(shipped: Path) -> None:
    """So that it can be made anew after the spec has changed."""
    text = (shipped / "serverCfg.yml").read_text().replace("dbName: fakedb", "dbName: fakedb\n  cfgDir: json")
    (shipped / "serverCfg.yml").write_text(text)
    main(["ingest", "--config", str(shipped / "serverCfg.yml"), "--out", str(shipped / "json")])
    (shipped / "json/fakedb_Object.json").write_text("{broken")
    main(["ingest", "--config", str(shipped / "serverCfg.yml"), "--out", str(shipped / "json"), "--overwrite"])
    assert read(shipped / "json/fakedb_Object.json")["table"] == "Object"


def test_the_spec_with_the_types_of_a_schema(whole: Path, refused: Callable[..., list[str]]) -> None:
    """What the original's makeingestspec was for."""
    (whole / "json").rename(whole / "first")
    argv = ["ingest", "--config", whole / "serverCfg.yml", "--felis", whole / "skydb.yaml", "--out", whole / "json"]
    assert main([str(word) for word in argv]) == 0
    for table in ("", "_Object", "_Source", "_ForcedSource"):
        assert read(whole / f"json/skydb{table}.json") == read(whole / f"first/skydb{table}.json")

    def differing(old: str, new: str) -> list[str]:
        text = (whole / "skydb.yaml").read_text()
        assert old in text
        (whole / "other.yaml").write_text(text.replace(old, new))
        argv[4] = whole / "other.yaml"
        return [line.replace(f"{whole}/", "") for line in refused(*argv, "--overwrite")]

    assert differing("name: nPix", "name: nPixels") == [
        "other.yaml:5: table 'Object' has no column 'nPix', which the spec makes; did you mean 'nPixels'?",
        "other.yaml:5: the spec's table 'Object' makes no nPixels: Felis has more columns",
    ]
    assert differing("name: ForcedSource", "name: Forced") == [
        "other.yaml: there is no table 'ForcedSource', which is delivered; did you mean 'Source'?"
    ]
    text = (whole / "skydb.yaml").read_text().splitlines(keepends=True)
    first, second = (line for line in text if '#Object.gPsFlux"' in line or '#Object.rPsFlux"' in line)
    assert differing(first + second, second + first) == [
        "cfgs/Object.cfg: out.csv.field: column 5 is 'gPsFlux', Felis has 'rPsFlux' there: put them in one order"
    ]


def test_the_shipped_cfg_files_can_be_made_from_the_shipped_spec(shipped: Path) -> None:
    out = shipped / "made"
    assert main(["cfg", "--config", str(shipped / "serverCfg.yml"), "--out", str(out)]) == 0
    for name in ("Object.cfg", "ForcedSource.cfg"):
        assert read(out / name) == read(shipped / "fakePartitionerCfgs" / name)


def test_field_lists_follow_the_spec_and_all_else_stays(shipped: Path) -> None:
    cfg = shipped / "fakePartitionerCfgs/Object.cfg"
    cfg.write_text(cfg.read_text().replace("0.01667", "0.01"))
    spec = shipped / "fakeGenSpec.py"
    position = '"ra,decl": columns.RaDecGenerator(),'
    spec.write_text(spec.read_text().replace(position, f'{position} "x": columns.UniformGenerator(),', 1))
    argv = ["cfg", "--config", str(shipped / "serverCfg.yml"), "--out", str(cfg.parent), "--overwrite"]
    assert main(argv) == 0
    assert read(cfg)["part"]["overlap"] == 0.01
    assert read(cfg)["in"]["csv"]["field"][2:4] == ["decl", "x"]
    load_plan(shipped / "serverCfg.yml")


def test_templates_are_filled(shipped: Path) -> None:
    cfgs = shipped / "fakePartitionerCfgs"
    tree = read(cfgs / "Object.cfg")
    tree["part"]["overlap"] = 0.012
    tree["in"]["csv"]["field"] = tree["out"]["csv"]["field"] = ["PLACEHOLDER"]
    (cfgs / "Object_template.cfg").write_text(json.dumps(tree))
    (cfgs / "Object.cfg").unlink()
    (cfgs / "ForcedSource.cfg").unlink()
    assert main(["cfg", "--config", str(shipped / "serverCfg.yml"), "--out", str(cfgs)]) == 0
    assert read(cfgs / "Object.cfg")["part"]["overlap"] == 0.012
    assert read(cfgs / "Object.cfg")["out"]["csv"]["field"][-2:] == ["chunkId", "subChunkId"]
    load_plan(shipped / "serverCfg.yml")


def test_a_cfg_in_the_older_form_is_left_alone(shipped: Path, refused: Callable[..., list[str]]) -> None:
    cfg = shipped / "fakePartitionerCfgs/Object.cfg"
    cfg.write_text("part.pos = 'ra, decl'\n")
    (line,) = refused("cfg", "--config", shipped / "serverCfg.yml", "--out", cfg.parent, "--overwrite")
    assert line.startswith(f"{cfg}: is no strict JSON")
    assert cfg.read_text() == "part.pos = 'ra, decl'\n"


# ---- nothing is replaced unasked; what is wrong


def test_files_that_are_there_stay(felis: Path, refused: Callable[..., list[str]]) -> None:
    out = felis.parent / "json"
    out.mkdir()
    (out / "skydb_Object.json").write_text("mine")
    assert refused("ingest", "--felis", felis, "--out", out) == [
        f"{out}/skydb_Object.json: is there already: --overwrite replaces it"
    ]
    assert [path.name for path in out.iterdir()] == ["skydb_Object.json"]
    assert (out / "skydb_Object.json").read_text() == "mine"
    main(["ingest", "--felis", str(felis), "--out", str(out), "--overwrite"])
    assert read(out / "skydb_Object.json")["table"] == "Object"
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be(felis: Path, refused: Callable[..., list[str]]) -> None:
    (felis.parent / "file").write_text("")
    (line,) = refused("ingest", "--felis", felis, "--out", felis.parent / "file")
    assert line.startswith(f"{felis.parent}/file: can't be written")


def test_check_says_every_place(whole: Path, refused: Callable[..., list[str]]) -> None:
    made = whole / "json/skydb_Object.json"
    made.write_text(made.read_text().replace('"FLOAT NOT NULL"', '"INT"'))
    cfg = whole / "cfgs/Source.cfg"
    cfg.write_text(cfg.read_text().replace('"visit",', "").replace('"visit"', '"x"'))
    lines = [line.replace(f"{whole}/", "") for line in refused("check", "--config", whole / "serverCfg.yml")]
    keys = [line.split(": ")[1] for line in lines]
    assert keys == ["in.csv.field", "schema", "schema.gPsFlux"]
    assert all(line.partition(":")[2].partition(":")[0].isdigit() for line in lines)


def test_check_runs_no_preparation_and_says_so(whole: Path, refused: Callable[..., list[str]]) -> None:
    (whole / "serverCfg.yml").write_text(SERVER + "prepare: touch ran\n")
    assert main(["check", "--config", str(whole / "serverCfg.yml")]) == 0
    shutil.rmtree(whole / "json")
    lines = refused("check", "--config", whole / "serverCfg.yml")
    assert lines[-1].endswith(":4: prepare: its lines have not been run for this: a start runs them before it looks")
    assert not (whole / "ran").exists()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("", "the following arguments are required: COMMAND (dgschema --help shows the options)"),
        ("ingest --out x", "--felis FILE, or --config FILE: say what to start from"),
        ("cfg --out x --felis a --config b", "--config, --felis: one of them, the other stays out"),
        ("spec --felis nosuch.yaml", "nosuch.yaml: no such file or folder"),
        ("spec --felis {felis} --tables Filter", "{felis}: no table has an id and a position"),
        ("cfg --out x --felis {felis} --tables Filter", "no table has a position or follows one that has"),
        ("ingest --out x --felis {felis} --overlap wide", "--overlap 'wide': give degrees from 0 to 10"),
        ("ingest --out x --felis {felis} --director Object", "--director 'Object': write TABLE=ID,RA,DEC"),
        ("ingest --out x --felis {felis} --child a=b", "--child 'a=b': write TABLE=DIRECTOR,KEY"),
        ("ingest --out x --felis {felis} --stripes 0", "--stripes '0': give a whole number from 1 to 10000"),
        ("ingest --out x --config y --stripes 3", "--stripes: with --config, spec and .cfg files say that"),
        ("check", "the following arguments are required: --config (dgschema check --help shows the options)"),
    ],
)
def test_bad_command_lines(felis: Path, refused: Callable[..., list[str]], argv: str, says: str) -> None:
    (line,) = refused(*argv.format(felis=felis).split())
    assert line.startswith(says.format(felis=felis))


def test_a_table_name_that_names_no_file(felis: Path, refused: Callable[..., list[str]]) -> None:
    felis.write_text(felis.read_text().replace("name: Filter", "name: Filter_Names"))
    (line,) = refused("ingest", "--felis", felis, "--out", felis.parent / "json")
    assert (
        line
        == f"{felis}:44: table 'Filter_Names': names of tables are letters and digits; leave it out with --tables"
    )
