"""The types of the ingest JSON against what the spec makes, column by column, and names that only places join."""

from typing import Any

import pytest

from dgconsole.plan.types import kind_of

OBJECT = {
    "objectId": "BIGINT NOT NULL",
    "ra": "DOUBLE",
    "decl": "DOUBLE",
    "flux": "FLOAT",
    "chunkId": "INT",
    "subChunkId": "INT",
}
FORCED = {
    "objectId": "BIGINT",
    "ccdVisitId": "BIGINT",
    "psFlux": "FLOAT",
    "psFluxSigma": "FLOAT",
    "flags": "TINYINT",
    "chunkId": "INT",
    "subChunkId": "INT",
}


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("bigint(20) unsigned not null", ("whole", 64)),
        ("BOOLEAN", ("whole", 8)),
        ("Double Precision", ("real", 53)),
        ("DECIMAL(10,2)", ("real", 53)),
        ("varchar(32) NOT NULL", ("text", 0)),
        ("LONGTEXT", ("text", 0)),
        ("datetime(6)", ("time", 0)),
        ("GEOMETRY", ("", 0)),
        ("", ("", 0)),
    ],
)
def test_kinds(sql: str, kind: tuple[str, int]) -> None:
    assert kind_of(sql) == kind


def test_types_that_hold_all_are_passed_in_silence(project: Any) -> None:
    project.table("Object", OBJECT, is_director=1)
    project.table("ForcedSource", FORCED)
    assert project.plan().notices == ()


@pytest.mark.parametrize(
    ("column", "sql", "says"),
    [
        ("flux", "INT", "schema.flux: is INT, the spec makes fractions (FLOAT): make them agree"),
        ("ra", "bigint not null", "schema.ra: is BIGINT, the spec makes fractions (DOUBLE): make them agree"),
        ("flux", "DATETIME", "schema.flux: is DATETIME, the spec makes numbers (FLOAT): make them agree"),
        ("objectId", "INT", "schema.objectId: is INT, too small for ids of 64 bits: make it BIGINT"),
        ("objectId", "DOUBLE", "schema.objectId: is DOUBLE, too small for ids of 64 bits: make it BIGINT"),
        ("subChunkId", "FLOAT", "schema.subChunkId: is FLOAT: the partitioner writes whole numbers, make it INT"),
    ],
)  # fmt: skip
def test_types_that_cannot_hold_it_are_refused(project: Any, column: str, sql: str, says: str) -> None:
    project.table("Object", OBJECT | {column: sql}, is_director=1)
    (line,) = project.problems()
    place, _, rest = line.partition(": ")
    assert rest == says
    name, _, number = place.rpartition(":")
    assert name == "json/skydb_Object.json"
    assert f'"{column}"' in (project.folder / name).read_text().splitlines()[int(number) - 1]


def test_text_is_no_number(project: Any) -> None:
    project.edit("sky.py", '"gPsFlux:FLOAT": columns.MagnitudeGenerator()', '"band": columns.FilterGenerator()')
    project.table("Object", OBJECT, is_director=1)
    (line,) = project.problems()
    assert line.endswith("schema.flux: is FLOAT, the spec makes text (CHAR(1)): make them agree")


def test_ids_of_a_child_are_ids(project: Any) -> None:
    project.table("ForcedSource", FORCED | {"objectId": "INT", "ccdVisitId": "INT UNSIGNED"})
    assert [line.split(": ", 1)[1] for line in project.problems()] == [
        "schema.objectId: is INT, too small for ids of 64 bits: make it BIGINT",
        "schema.ccdVisitId: is INT UNSIGNED, too small for ids of 64 bits: make it BIGINT",
    ]


def test_holding_less_than_the_spec_says_is_worth_a_notice(project: Any) -> None:
    """Where the spec says no type, fractions are made for the type of the JSON: nothing is lost then."""
    project.edit("sky.py", '"gPsFlux:FLOAT"', '"gPsFlux:DOUBLE"')
    project.table("Object", OBJECT, is_director=1)
    assert project.plan().notices[-1].replace(f"{project.folder}/", "") == (
        "json/skydb_Object.json: some types hold less than the spec says: 'flux' is FLOAT, not DOUBLE"
    )


def test_other_names_go_by_place_and_are_said(project: Any) -> None:
    columns = {
        "id": "BIGINT",
        "lon": "DOUBLE",
        "lat": "DOUBLE",
        "mag": "FLOAT",
        "chunkId": "INT",
        "subChunkId": "INT",
    }
    project.table("Object", columns, is_director=1)
    assert project.plan().notices[-1].replace(f"{project.folder}/", "") == (
        "json/skydb_Object.json: columns go by place, and some have other names than in the spec: "
        "'id' is 'objectId', 'lon' is 'psRa', 'lat' is 'psDecl' and 1 more"
    )


def test_fields_of_a_cfg_in_another_order_are_refused(project: Any) -> None:
    names = ["objectId", "ccdVisitId", "psFluxSigma", "psFlux", "flags"]
    project.cfg("ForcedSource", names, id="objectId")
    (line,) = project.problems()
    assert line.endswith(
        "in.csv.field: field 3 is 'psFluxSigma', the spec has 'psFlux' there and 'psFluxSigma' at 4: "
        "put them in one order, they go by place"
    )
