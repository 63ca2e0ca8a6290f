"""What keeps chunk files from being loaded into a database is seen before the start."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dgconsole.plan import bundle_items, read_bundle

OneProblem = Callable[[str], None]


@pytest.fixture
def database(project: Any) -> Any:
    """The project, to be loaded into a database, its dialect as the shipped files have it."""
    project.edit("serverCfg.yml", "kind: files", "kind: mysql, host: db7")
    for table in ("Object", "ForcedSource"):
        dialect(project, table, null="\\N", **{"no-quote": True})
    return project


def dialect(project: Any, table: str, **keys: object) -> None:
    path = project.folder / "cfgs" / f"{table}.cfg"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"out": {"csv": keys}}, indent=1))


def test_the_database_is_no_part_of_the_plan_but_of_the_bundle(database: Any, tmp_path: Any) -> None:
    before = database.plan()
    database.edit("serverCfg.yml", "host: db7", "host: db8")
    assert database.plan().digest == before.digest
    for item in bundle_items(database.settings(), database.plan(), out_dir="", keep_csv=False):
        (tmp_path / "bundle" / item.kind).mkdir(parents=True, exist_ok=True)
        (tmp_path / "bundle" / item.kind / item.name).write_bytes(item.data)
    settings, header = read_bundle(tmp_path / "bundle")
    assert settings.target == header.target == database.settings().target


def test_a_null_that_is_also_text_is_refused(database: Any, one_problem: OneProblem) -> None:
    dialect(database, "Object", null="nil")
    one_problem(
        "cfgs/Object.cfg:23: out.csv.null: with quoting on, LOAD DATA can't tell the null 'nil' from the same"
    )


@pytest.mark.parametrize(
    "keys",
    [{"null": "NULL"}, {"null": "\\N"}, {"null": "", "no-quote": True}, {"null": "NULL", "no-escape": True}],
    ids=str,
)
def test_dialects_that_can_be_loaded(database: Any, keys: dict[str, object]) -> None:
    dialect(database, "Object", **keys)
    database.plan()


def test_two_columns_of_one_name(database: Any, one_problem: OneProblem) -> None:
    dialect(database, "Object", null="\\N", field=["objectId", "ra", "decl", "RA", "chunkId", "subChunkId"])
    one_problem("cfgs/Object.cfg:25: out.csv.field: a table has no two columns of one name, upper or lower case: RA")


def test_a_name_that_grows_too_long(database: Any) -> None:
    long = "Object" * 6
    database.write("sky.py", (database.folder / "sky.py").read_text().replace('"Object"', f'"{long}"'))
    (database.folder / "cfgs" / "Object.cfg").rename(database.folder / "cfgs" / f"{long}.cfg")
    (line,) = database.problems()
    assert line.startswith(f"cfgs/{long}.cfg: '{long}' is too long for a table of chunks: 31 characters at most")
