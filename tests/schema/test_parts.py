"""Directors, children and visits told by ids, positions and names, or said by the user."""

from pathlib import Path

import pytest

from dgconsole.schema.felis import load_felis
from dgconsole.schema.order import made_order
from dgconsole.schema.parts import Part, parts_of
from dgconsole.support.errors import InputError


def schema(path: Path, **tables: str) -> tuple[Part, ...]:
    """The parts of tables whose columns are ``name``, ``name=datatype`` or ``name=datatype=ucd``."""
    lines = ["tables:"]
    for table, columns in tables.items():
        lines += [f"- name: {table}", "  columns:"]
        for word in columns.split():
            name, kind, ucd = [*word.split("="), "", ""][:3]
            length = ", length: 1" if kind == "char" else ""
            lines.append(f'  - {{name: {name}, datatype: {kind or "double"}{length}, "ivoa:ucd": "{ucd}"}}')
    file = path / "s.yaml"
    file.write_text("\n".join(lines))
    return parts_of(load_felis(file))


def test_the_parts_of_a_usual_schema(felis: Path) -> None:
    told = {part.table.name: part for part in parts_of(load_felis(felis))}
    assert {name: part.role for name, part in told.items()} == {
        "Object": "director",
        "Source": "child",
        "ForcedSource": "child",
        "Filter": "plain",
    }
    assert (told["Object"].id, told["Object"].position) == ("objectId", ("coord_ra", "coord_dec"))
    source = told["Source"]
    assert (source.director, source.key, source.id) == ("Object", "objectId", "sourceId")
    assert (source.visit, source.band) == ("visit", "band")


def test_a_child_may_come_before_its_director(tmp_path: Path) -> None:
    source, thing = schema(
        tmp_path,
        DiaSource="diaSourceId=long diaObjectId=long ra dec",
        DiaObject="diaObjectId=long ra dec",
    )
    assert (source.role, source.director, source.key) == ("child", "DiaObject", "diaObjectId")
    assert thing.role == "director"


def test_visits_are_no_director(tmp_path: Path) -> None:
    (visits, thing) = schema(tmp_path, Visit="visitId=long band=char ra decl", Object="objectId=long ra decl")
    assert (visits.role, visits.id, visits.band) == ("visits", "visitId", "band")
    assert thing.role == "director"


def test_the_main_position_wins(tmp_path: Path) -> None:
    (part,) = schema(
        tmp_path,
        Object="objectId=long ra dec x=double=pos.eq.ra;meta.main y=double=pos.eq.dec;meta.main",
    )
    assert part.position == ("x", "y")


def test_the_user_knows_better(felis: Path) -> None:
    read = load_felis(felis)
    told = {
        part.table.name: part
        for part in parts_of(
            read,
            {"Source": ("sourceId", "ra", "decl")},
            {"ForcedSource": ("Source", "ccdVisitId")},
        )
    }
    assert told["Source"].role == told["Object"].role == "director"
    assert (told["ForcedSource"].director, told["ForcedSource"].key) == ("Source", "ccdVisitId")


def test_names_that_are_not_there(felis: Path) -> None:
    with pytest.raises(InputError) as caught:
        parts_of(load_felis(felis), {"Sauce": ("a", "b", "c")}, {"Filter": ("Objekt", "filterid")})
    assert [str(problem) for problem in caught.value.problems] == [
        "--director: there is no table 'Sauce'; did you mean 'Source'?",
        "--child: table 'Filter' has no column 'filterid'; did you mean 'filterId'?",
        "--child: 'Filter' can't follow 'Objekt': there is no such table; did you mean 'Object'?",
    ]


def test_what_one_generator_makes_is_together(felis: Path) -> None:
    told = {part.table.name: part for part in parts_of(load_felis(felis))}
    assert made_order(told["Object"])[:4] == ("objectId", "coord_ra", "coord_dec", "parentObjectId")
    assert made_order(told["ForcedSource"]) == ("objectId", "ccdVisitId", "psFlux", "psFluxErr", "band")
    for part in told.values():
        assert sorted(made_order(part)) == sorted(part.table.names)


def test_errors_between_the_coordinates_are_made_with_them(tmp_path: Path) -> None:
    (part,) = schema(tmp_path, Object="objectId=long psRa psRaErr psDecl psDeclErr x")
    assert made_order(part) == ("objectId", "psRa", "psRaErr", "psDecl", "psDeclErr", "x")
    (part,) = schema(tmp_path, Object="objectId=long psRa other psDecl psDeclErr x")
    assert made_order(part) == ("objectId", "psRa", "psDecl", "other", "psDeclErr", "x")
