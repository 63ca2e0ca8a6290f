"""Felis schemas: types in SQL, keys, tables picked out; and what is wrong with one, by line."""

from pathlib import Path

import pytest

from dgconsole.schema.felis import load_felis
from dgconsole.support.errors import InputError


def one_column(tmp_path: Path, text: str) -> str:
    path = tmp_path / "one.yaml"
    path.write_text(f"name: x\ntables:\n- name: T\n  columns:\n  - {{name: a, {text}}}\n")
    return load_felis(path).tables[0].columns[0].sql


def problems(path: Path, text: str, *tables: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_felis(path, tables)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("datatype: boolean", "BOOLEAN"),
        ("datatype: byte", "TINYINT"),
        ("datatype: short", "SMALLINT"),
        ("datatype: int", "INT"),
        ("datatype: long", "BIGINT"),
        ("datatype: float", "FLOAT"),
        ("datatype: double", "DOUBLE"),
        ("datatype: char, length: 4", "CHAR(4)"),
        ("datatype: string, length: 4", "VARCHAR(4)"),
        ("datatype: unicode, length: 4", "VARCHAR(4)"),
        ("datatype: text", "TEXT"),
        ("datatype: binary, length: 16", "VARBINARY(16)"),
        ("datatype: timestamp", "DATETIME"),
        ("datatype: timestamp, precision: 6", "DATETIME(6)"),
        ("datatype: long, nullable: false", "BIGINT NOT NULL"),
        ("datatype: long, nullable: true", "BIGINT"),
        ("datatype: long, nullable: ", "BIGINT"),
        ('datatype: long, "mysql:datatype": BIGINT UNSIGNED, nullable: false', "BIGINT UNSIGNED NOT NULL"),
        ('datatype: char, "mysql:datatype": "DECIMAL(10, 2)"', "DECIMAL(10, 2)"),
        ('"mysql:datatype": bigint not null, nullable: false', "bigint not null"),
    ],
)
def test_types(tmp_path: Path, text: str, sql: str) -> None:
    assert one_column(tmp_path, text) == sql


def test_a_primary_key_is_required(felis: Path) -> None:
    (table, *_) = load_felis(felis).tables
    assert table.key == ("objectId",)
    assert table.columns[0].sql == "BIGINT NOT NULL"


def test_a_key_of_several_columns_with_and_without_ids(tmp_path: Path) -> None:
    text = "name: x\ntables:\n- name: T\n  primaryKey: ['#T.a', '#q']\n  columns:\n"
    text += "  - {name: a, datatype: int}\n  - {name: b, '@id': '#q', datatype: int}\n  - {name: c, datatype: int}\n"
    path = tmp_path / "x.yaml"
    path.write_text(text)
    (table,) = load_felis(path).tables
    assert table.key == ("a", "b")
    assert [column.sql for column in table.columns] == ["INT NOT NULL", "INT NOT NULL", "INT"]


def test_only_some_tables(felis: Path) -> None:
    assert [table.name for table in load_felis(felis, ["Filter", "Object"]).tables] == ["Object", "Filter"]
    with pytest.raises(InputError, match=r"skydb\.yaml: there is no table 'Sauce'; did you mean 'Source'\?"):
        load_felis(felis, ["Sauce"])


def test_what_is_wrong_comes_out_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
name: x
tables:
- name: T
  columns:
  - {name: a, datatype: lung}
  - {name: b}
  - {name: c, datatype: char}
  - {name: a, datatype: int}
  - {name: "d e", datatype: int}
  - {name: f, datatype: int, "mysql:datatype": "INT; DROP"}
- columns: []
- name: U
- name: V
  columnRefs: {other: {T: {a: }}}
- name: T
"""
    assert problems(tmp_path / "x.yaml", text) == [
        "x.yaml:5: tables.columns.datatype: T.a: 'lung' is no type of Felis; did you mean 'long'?",
        "x.yaml:6: tables.columns.datatype: T.b has no datatype",
        "x.yaml:7: tables.columns.length: T.c: a char needs a length",
        "x.yaml:8: tables.columns.name: table 'T' has two columns 'a': keep one",
        "x.yaml:9: tables.columns.name: 'd e' is no name of a column: letters, digits, underscores",
        "x.yaml:10: tables.columns.mysql:datatype: T.f: 'INT; DROP' is no type of MySQL",
        "x.yaml:11: tables.name: the table has no name",
        "x.yaml:12: tables.columns: table 'U' has no columns",
        "x.yaml:14: tables.columnRefs: table 'V': columns of other files are not looked up: write them out, "
        "'felis dump --dereference-resources' does",
        "x.yaml:15: tables.name: there are two tables 'T': keep one",
    ]


def test_tables_that_are_not_asked_for_may_be_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("tables:\n- {name: A, columns: [{name: a, datatype: int}]}\n- {name: B}\n")
    schema = load_felis(path, ["A"])
    assert (schema.name, [table.name for table in schema.tables]) == ("x", ["A"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "x.yaml:1: broken YAML: expected the node content"),
        ("- a\n", "x.yaml:1: is a list; wanted are keys with values"),
        ("name: x\n", "x.yaml:1: tables: a Felis schema has a list of 'tables'"),
        ("tables: {a: 1}\n", "x.yaml:1: tables: a list is wanted"),
        ("tables: [a]\n", "x.yaml:1: tables: 'a' is text; wanted are keys with values"),
    ],
)
def test_no_schema_at_all(tmp_path: Path, text: str, says: str) -> None:
    assert problems(tmp_path / "x.yaml", text)[0].startswith(says)
