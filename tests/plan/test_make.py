"""The plan: what it says of files that agree, and each way in which they may not."""

from collections.abc import Callable
from typing import Any

import pytest

from dgconsole.plan.make import base_type

OneProblem = Callable[[str], None]

OBJECT_COLUMNS = {
    "objectId": "BIGINT NOT NULL",
    "ra": "DOUBLE NOT NULL",
    "decl": "DOUBLE NOT NULL",
    "flux": "float",
    "chunkId": "INT NOT NULL",
    "subChunkId": "INT NOT NULL",
}


def test_files_that_agree(project: Any) -> None:
    plan = project.plan()
    assert (plan.name, plan.num_stripes, plan.num_sub_stripes, plan.edge_width) == ("skydb", 200, 5, 0.018)
    assert [(t.name, t.role, t.delivered, t.director, t.key, t.overlap) for t in plan.tables] == [
        ("Object", "director", True, "", "objectId", 0.01667),
        ("CcdVisit", "visits", False, "", "", 0.0),
        ("ForcedSource", "child", True, "Object", "objectId", 0.0),
    ]
    assert plan.notices == ()


def test_names_may_differ_fields_go_by_place(project: Any) -> None:
    columns = project.plan().tables[0].columns
    assert [(column.name, column.type) for column in columns] == [
        ("objectId", "BIGINT"),
        ("psRa", "DOUBLE"),
        ("psDecl", "DOUBLE"),
        ("gPsFlux", "FLOAT"),
    ]


def test_types_come_from_the_ingest_files(project: Any) -> None:
    project.database()
    project.table("Object", OBJECT_COLUMNS | {"flux": "double  not null default 0"}, is_director=1)
    plan = project.plan()
    assert [column.type for column in plan.tables[0].columns] == ["BIGINT", "DOUBLE", "DOUBLE", "DOUBLE"]
    assert plan.notices == ("no ingest JSON describes 'ForcedSource': its types are the spec's",)


@pytest.mark.parametrize(
    ("sql", "base"),
    [("float", "FLOAT"), ("CHAR(1)  NOT NULL", "CHAR(1)"), ("int unsigned default null", "INT UNSIGNED")],
)
def test_base_types(sql: str, base: str) -> None:
    assert base_type(sql) == base


# ---- one tiling


def test_another_tiling_in_a_cfg(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/Object.cfg", '"num-stripes": 200', '"num-stripes": 180')
    one_problem("cfgs/Object.cfg:3: part.num-stripes: is 180, the spec's chunker has 200: make them agree")


def test_a_directors_cfg_without_a_tiling(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/Object.cfg", '  "num-stripes": 200,\n', "")
    one_problem("cfgs/Object.cfg: part.num-stripes: is 18 (the default), the spec's chunker has 200")


def test_a_childs_cfg_needs_no_tiling(project: Any) -> None:
    project.edit("cfgs/ForcedSource.cfg", '  "num-stripes": 200,\n  "num-sub-stripes": 5,\n', "")
    assert project.plan().tables[2].delivered


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({"num_stripes": 340}, "json/skydb.json:3: num_stripes: is 340, the spec's chunker has 200"),
        ({"num_sub_stripes": 3}, "json/skydb.json:4: num_sub_stripes: is 3, the spec's chunker has 5"),
        ({"overlap": 0.01}, "json/skydb.json:5: overlap: is 0.01, cfgs/Object.cfg has 0.01667"),
    ],
)
def test_another_tiling_in_the_database(
    project: Any, one_problem: OneProblem, change: dict[str, object], begins: str
) -> None:
    project.database(**change)
    one_problem(begins)


def test_an_overlap_that_the_tiling_forbids(project: Any) -> None:
    project.edit("cfgs/Object.cfg", "0.01667", "0.2")
    (line,) = project.problems()
    assert line.startswith("cfgs/Object.cfg:8: part.overlap: an overlap of 0.2 degrees is more than")


def test_an_edge_narrower_than_the_overlap_is_a_notice(project: Any) -> None:
    project.edit("sky.py", "edge_width = 0.018", "edge_width = 0.0166")
    (notice,) = project.plan().notices
    assert notice.startswith("edge_width (0.0166) is less than the overlap of Object (0.01667)")


def test_an_edge_of_the_width_of_the_overlap_is_fine(project: Any) -> None:
    project.edit("sky.py", "edge_width = 0.018", "edge_width = 0.01667")
    assert project.plan().notices == ()


def test_no_edge_width_is_the_old_one(project: Any) -> None:
    project.edit("sky.py", "edge_width = 0.018\n", "")
    assert project.plan().edge_width == 0.018


# ---- tables and fields


def test_a_dialect_that_rows_can_not_be_written_in(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/Object.cfg", '"in": {', '"out": {"csv": {"null": "-99", "no-quote": true}},\n "in": {')
    one_problem("cfgs/Object.cfg:10: out.csv.null: '-99' cannot be told from a number")


def test_a_cfg_for_no_table(project: Any, one_problem: OneProblem) -> None:
    project.cfg("Objekt", ["a", "b"], id="a")
    one_problem("cfgs/Objekt.cfg: the spec has no table 'Objekt': rename or remove the file; did you mean 'Object'?")


def test_the_number_of_fields(project: Any, one_problem: OneProblem) -> None:
    project.cfg("Object", ["objectId", "ra", "decl"], pos="ra, decl", id="objectId", overlap=0.01667)
    one_problem("cfgs/Object.cfg:14: in.csv.field: has 3 fields, the spec's table 'Object' has 4 columns")


def test_a_position_that_is_another_column(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/Object.cfg", "ra, decl", "decl, ra")
    one_problem(
        "cfgs/Object.cfg:6: part.pos: 'decl, ra' are the spec's columns 'psDecl, psRa'; the position is in 'psRa, "
    )


def test_an_id_that_is_another_column(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/Object.cfg", '"id": "objectId"', '"id": "flux"')
    one_problem("cfgs/Object.cfg:7: part.id: 'flux' is the spec's column 'gPsFlux'; a director's id is objectId")


def test_a_child_by_another_column(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/ForcedSource.cfg", '"id": "objectId"', '"id": "ccdVisitId"')
    one_problem(
        "cfgs/ForcedSource.cfg:6: part.id: 'ccdVisitId' is the spec's column 'ccdVisitId'; 'ForcedSource' follows"
    )


def test_a_child_with_a_position(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/ForcedSource.cfg", '"id": "objectId"', '"pos": "psFlux, flags"')
    one_problem(
        "cfgs/ForcedSource.cfg:6: part.pos: 'ForcedSource' follows its director 'Object' by id: take part.pos out"
    )


def test_a_director_without_a_position(project: Any, one_problem: OneProblem) -> None:
    project.edit("cfgs/Object.cfg", '"pos": "ra, decl",', "")
    one_problem("cfgs/Object.cfg: part.pos: 'Object' is a director: add part.pos, its two position fields")


def test_a_table_that_nothing_needs_is_a_notice(project: Any) -> None:
    (project.folder / "cfgs" / "ForcedSource.cfg").unlink()
    plan = project.plan()
    assert [table.name for table in plan.tables] == ["Object"]
    assert plan.notices == (
        "table 'CcdVisit' is not made: nothing delivers it (there is no CcdVisit.cfg) and no table needs it",
        "table 'ForcedSource' is not made: nothing delivers it (there is no ForcedSource.cfg) and no table needs it",
        "visits 30 has no effect: no table takes it",
    )


def test_a_director_that_is_not_delivered(project: Any) -> None:
    (project.folder / "cfgs" / "Object.cfg").unlink()
    tables = {table.name: table for table in project.plan().tables}
    assert (tables["Object"].role, tables["Object"].delivered, tables["Object"].overlap) == ("director", False, 0.0)
    assert tables["ForcedSource"].director == "Object"


# ---- roles without ``directors``


def test_roles_from_the_cfg_files(project: Any) -> None:
    project.edit("sky.py", 'directors = {"Object": {"ForcedSource": "objectId"}}\n', "")
    roles = {table.name: (table.role, table.director, table.key) for table in project.plan().tables}
    assert roles == {
        "Object": ("director", "", "objectId"),
        "CcdVisit": ("visits", "", ""),
        "ForcedSource": ("child", "Object", "objectId"),
    }


def test_a_child_without_a_director(project: Any, one_problem: OneProblem) -> None:
    project.edit("sky.py", 'directors = {"Object": {"ForcedSource": "objectId"}}\n', "")
    (project.folder / "cfgs" / "Object.cfg").unlink()
    one_problem("sky.py:21: spec.ForcedSource.prereq_tables: 'ForcedSource' follows a director")


def test_a_director_that_follows_one(project: Any) -> None:
    project.edit("sky.py", '{"Object": {"ForcedSource"', '{"ForcedSource": {}, "Object": {"ForcedSource"')
    assert any(
        line.startswith("sky.py:28: directors: 'ForcedSource' is a director and follows one")
        for line in project.problems()
    )


def test_a_director_without_position_columns(project: Any) -> None:
    project.edit("sky.py", "directors = {", 'directors = {"CcdVisit": {}, ')
    project.edit("sky.py", '"ra,decl": columns.RaDecGenerator()', '"ra,decl": columns.UniformGenerator(n_columns=2)')
    assert any(
        line.startswith("sky.py:14: spec.CcdVisit.columns: a director has its position")
        for line in project.problems()
    )


# ---- ingest JSON

FORCED_COLUMNS = {
    "objectId": "BIGINT",
    "ccdVisitId": "BIGINT",
    "psFlux": "FLOAT",
    "psFluxSigma": "FLOAT",
    "flags": "TINYINT",
    "chunkId": "INT",
    "subChunkId": "INT",
}


@pytest.mark.parametrize(
    ("columns", "changes", "begins"),
    [
        (OBJECT_COLUMNS, {}, "json/skydb_Object.json:5: is_director: 'Object' is a director"),
        (
            OBJECT_COLUMNS,
            {"is_partitioned": 0},
            "json/skydb_Object.json:4: is_partitioned: is 0, but cfgs/Object.cfg",
        ),
        (
            {"objectId": "BIGINT"},
            {"is_director": 1},
            "json/skydb_Object.json:6: schema: has 1 columns, cfgs/Object.cf",
        ),
        (
            {"ra": "DOUBLE", "objectId": "BIGINT", "c": "INT", "d": "INT", "e": "INT", "f": "INT"},
            {"is_director": 1},
            "json/skydb_Object.json:6: schema: column 1 is 'ra', cfgs/Object.cfg writes 'objectId' there",
        ),
    ],
)
def test_ingest_files_that_disagree(
    project: Any, one_problem: OneProblem, columns: dict[str, str], changes: dict[str, object], begins: str
) -> None:
    project.table("Object", columns, **changes)
    one_problem(begins)


def test_a_wrong_key_in_a_childs_ingest_file_is_a_notice(project: Any) -> None:
    """The original ships such a file."""
    project.table("ForcedSource", FORCED_COLUMNS, director_key="sourceId")
    project.table("Other", {"a": "INT"})
    notices = [notice.replace(f"{project.folder}/", "") for notice in project.plan().notices]
    assert notices == [
        "json/skydb_Other.json describes 'Other', which the spec lacks: not used",
        "json/skydb_ForcedSource.json: director_key is 'sourceId', the plan follows 'Object' by 'objectId'",
        "no ingest JSON describes 'Object': its types are the spec's",
    ]


# ---- tables from a file, counts


def from_file(project: Any) -> None:
    project.edit(
        "sky.py",
        """\
        "columns": {
            "ccdVisitId": columns.VisitIdGenerator(),
            "filterName": columns.FilterGenerator(),
            "ra,decl": columns.RaDecGenerator(),
        },
""",
        """\
        "from_file": "visit_table.csv",
        "columns": "ccdVisitId,filterName,ra,decl",
""",
    )


def test_a_missing_visit_table_says_how_to_make_it(project: Any, one_problem: OneProblem) -> None:
    from_file(project)
    one_problem(
        "sky.py:14: spec.CcdVisit.from_file: made/visit_table.csv is missing: "
        "make it with 'mkdir -p made && dgvisits -o made/visit_table.csv'"
    )
    (project.folder / "made").mkdir()
    (line,) = project.problems()
    assert line.endswith("made/visit_table.csv is missing: make it with 'dgvisits -o made/visit_table.csv'")


def test_a_visit_table_without_a_folder(project: Any, one_problem: OneProblem) -> None:
    from_file(project)
    project.edit("serverCfg.yml", "pregenerated: {cfgDir: made}", "")
    one_problem(
        "sky.py:14: spec.CcdVisit.from_file: comes from a file: set pregenerated.cfgDir to the folder that holds"
    )


def test_a_visit_table_from_a_file(project: Any) -> None:
    from_file(project)
    (project.folder / "made").mkdir()
    project.write("made/visit_table.csv", "0,u,1.0,2.0\n")
    plan = project.plan()
    assert [table.name for table in plan.tables] == ["Object", "CcdVisit", "ForcedSource"]
    assert "pregenerated/visit_table.csv" in plan.parts
    assert plan.notices == ("visits 30 has no effect: no table takes it",)


def test_a_table_from_a_file_is_not_delivered(project: Any) -> None:
    from_file(project)
    (project.folder / "made").mkdir()
    project.write("made/visit_table.csv", "0,u,1.0,2.0\n")
    project.cfg("CcdVisit", ["ccdVisitId", "filterName", "ra", "decl"], pos="ra, decl", overlap=0.0)
    assert any(
        line.startswith("cfgs/CcdVisit.cfg: 'CcdVisit' comes from a file and isn't") for line in project.problems()
    )


def test_counts_without_effect_are_noticed_when_given(project: Any) -> None:
    project.edit("serverCfg.yml", "--visits 30", "--visits 30 --objects 50")
    assert project.plan().notices == ("objects 50 has no effect: Object has a density",)
    project.edit("sky.py", '        "density": UniformSpatialModel(1000),\n', "")
    assert project.plan().notices == ()


def test_all_problems_at_once(project: Any) -> None:
    project.edit("cfgs/Object.cfg", '"num-stripes": 200', '"num-stripes": 180')
    project.edit("cfgs/ForcedSource.cfg", '"id": "objectId"', '"id": "flags"')
    project.cfg("Nix", ["a"], id="a")
    project.database(num_stripes=7)
    assert len(project.problems()) == 4
