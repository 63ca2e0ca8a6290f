"""The database that the chunk files fill: from the ingest JSON, else derived from spec and .cfg."""

from typing import Any

from dgconsole.plan.schema import database_schema
from dgconsole.settings.server import load_settings


def schema_of(project: Any) -> Any:
    plan = project.plan()
    return database_schema(load_settings(project.folder / "serverCfg.yml"), plan)


def test_without_ingest_json_names_and_types_are_the_specs(project: Any) -> None:
    schema = schema_of(project)
    assert (schema.database, schema.num_stripes, schema.num_sub_stripes) == ("skydb", 200, 5)
    assert schema.overlap == 0.01667
    director, child = schema.tables
    assert (director.table, director.is_director, director.key, director.position) == (
        "Object",
        True,
        "objectId",
        ("psRa", "psDecl"),
    )
    assert director.columns[0] == ("objectId", "BIGINT NOT NULL")
    assert director.columns[-2:] == (("chunkId", "INT NOT NULL"), ("subChunkId", "INT NOT NULL"))
    assert (child.table, child.director, child.key) == ("ForcedSource", "Object", "objectId")
    assert child.columns[-1] == ("subChunkId", "INT NOT NULL")


def test_a_sub_chunk_column_of_another_name_is_called_as_qserv_wants(project: Any) -> None:
    project.edit("cfgs/Object.cfg", '"chunk": "chunkId"', '"chunk": "chunkId", "sub-chunk": "sub"')
    assert schema_of(project).tables[0].columns[-1] == ("subChunkId", "INT NOT NULL")


def test_the_ingest_json_says_names_and_types_by_place(project: Any) -> None:
    project.table(
        "Object",
        {"id": "BIGINT", "lon": "DOUBLE", "lat": "DOUBLE", "flux": "FLOAT", "chunkId": "INT", "subChunkId": "INT"},
        is_director=1,
    )
    project.database()
    schema = schema_of(project)
    director = schema.tables[0]
    assert (director.key, director.position) == ("id", ("lon", "lat"))
    assert schema.raw["overlap"] == 0.01667
    assert schema.path.endswith("skydb.json")


def test_a_table_from_a_file_with_a_json_goes_whole(project: Any) -> None:
    project.edit("sky.py", '            "ccdVisitId": columns.VisitIdGenerator(),\n', "")
    project.edit("sky.py", '            "filterName": columns.FilterGenerator(),\n', "")
    project.edit(
        "sky.py", '        "columns": {\n            "ra,decl": columns.RaDecGenerator(),\n        },', FROM_FILE
    )
    (project.folder / "made").mkdir()
    project.write("made/visits.csv", "1,u,0.5,0.5\n")
    types = {"ccdVisitId": "BIGINT", "filterName": "CHAR(1)", "ra": "DOUBLE", "decl": "DOUBLE"}
    project.table("CcdVisit", types, is_partitioned=0)
    whole = schema_of(project).tables[-1]
    assert (whole.table, whole.partitioned, whole.file) == ("CcdVisit", False, f"{project.folder}/made/visits.csv")
    assert whole.columns == tuple(types.items())


FROM_FILE = '        "from_file": "visits.csv", "columns": "ccdVisitId,filterName,ra,decl",'
