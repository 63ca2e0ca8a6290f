"""Files written for the original load unchanged: its packages' names, and both forms of its vocabulary."""

import importlib
import sys
from pathlib import Path

import lsst
import pytest

from dgconsole.catalog import columns
from dgconsole.catalog.describe import describe
from dgconsole.catalog.dialects import calcSeedFrom, original_packages
from dgconsole.catalog.model import Spec
from dgconsole.catalog.spec import SpecFile, load_spec, read_spec
from dgconsole.support.errors import InputError

SPECS = Path(__file__).parent / "specs"


def load(name: str) -> Spec:
    return load_spec(read_spec(SPECS / name))


def generators(spec: Spec, table: str) -> list[object]:
    return [group.generator for group in spec.table(table).columns]


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.py")), ids=lambda path: path.name)
def test_each_loads_twice_and_leaves_nothing_behind(path: Path) -> None:
    before = {name for name in sys.modules if name.split(".")[0] == "lsst"}
    assert describe(load_spec(read_spec(path))) == describe(load_spec(read_spec(path)))
    after = {name for name in sys.modules if name.split(".")[0] == "lsst"}
    assert {name for name in after - before if not name.startswith("lsst.sphgeom")} == set()
    assert not hasattr(lsst, "dax")


def test_the_last_revision() -> None:
    spec = load("fakedb.py")
    assert [table.name for table in spec.tables] == ["Object", "CcdVisit", "ForcedSource"]
    assert spec.edge_width == 0.017
    assert spec.directors == {"Object": {"ForcedSource": "objectId"}}
    visits = spec.table("CcdVisit")
    assert (visits.from_file, visits.names) == ("visit_table.csv", ("ccdVisitId", "filterName", "ra", "decl"))
    line = (SPECS / "fakedb.py").read_text().splitlines()[visits.line - 1]
    assert line == 'spec["CcdVisit"] = {'
    objects = describe(spec).tables[0]
    assert (objects.ra, objects.dec) == ("psRa", "psDecl")
    (forced,) = generators(spec, "ForcedSource")
    assert isinstance(forced, columns.ForcedSourceGenerator)
    assert (forced.visit_radius, forced.filters) == (1.4, "ugriz")


def test_a_large_one() -> None:
    spec = load("wide.py")
    assert [table.name for table in spec.tables] == ["CcdVisit", "Object", "Source", "ForcedSource"]
    objects, source = describe(spec).tables[1:3]
    assert (objects.ra, objects.dec) == ("psRa", "psDecl")
    assert [column.name for column in source.columns[:3]] == ["sourceId", "ccdVisitId", "filterName"]
    assert spec.table("Source").columns[0].types[:3] == ("SID", "VID", "CHAR(1)")
    assert len(spec.warnings) == 1
    assert "the last 3 of 6 columns that UniformGenerator makes have no name" in spec.warnings[0]


def test_the_form_of_july_2020() -> None:
    spec = load("fake2020.py")
    assert [table.name for table in spec.tables] == ["Object", "CcdVisit", "ForcedSource"]
    assert spec.directors is None
    assert spec.edge_width is None
    identity, place, magnitudes = generators(spec, "Object")
    assert isinstance(identity, columns.ObjIdGenerator)
    assert isinstance(place, columns.RaDecGenerator)
    assert not place.ignore_edge_only
    assert isinstance(magnitudes, columns.MagnitudeGenerator)
    assert (magnitudes.n_mags, magnitudes.column_seed) == (5, 12)
    _, band, place = generators(spec, "CcdVisit")
    assert isinstance(band, columns.FilterGenerator)
    assert (band.filters, band.column_seed) == ("ugriz", 8)
    assert isinstance(place, columns.RaDecGenerator)
    assert place.ignore_edge_only
    forced = spec.table("ForcedSource")
    assert forced.prereq_row == "Object"
    assert set(forced.prereq_tables) == {"Object", "CcdVisit"}
    assert spec.warnings == ()


def test_the_form_of_june_2020() -> None:
    spec = load("early2020.py")
    kinds = [type(generator).__name__ for generator in generators(spec, "Object")]
    assert kinds == ["ObjIdGenerator", "RaDecGenerator", "MagnitudeGenerator"]
    visits = spec.table("CcdVisit")
    assert [group.names for group in visits.columns] == [("ccdVisitId",), ("ra", "decl"), ("filterName",)]
    assert describe(spec).tables[1].visit_column == "ccdVisitId"


def test_sphgeom_beside_the_alias() -> None:
    before = importlib.import_module("lsst.sphgeom")
    assert load("fullwidth.py").tables
    assert importlib.import_module("lsst.sphgeom") is before


def test_every_import_that_the_field_writes() -> None:
    with original_packages():
        generator = importlib.import_module("lsst.dax.data_generator")
        made = importlib.import_module("lsst.dax.data_generator.columns")
        assert generator.columns is made
        assert importlib.import_module("lsst.dax.data_generator.chunker").Chunker is generator.Chunker
        assert importlib.import_module("lsst.dax.data_generator.spatial").SpatialModel is generator.SpatialModel
        assert made.ColumnGenerator is columns.ColumnGenerator
    with pytest.raises(ImportError):
        importlib.import_module("lsst.dax.data_generator")


def test_what_it_covers_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import ModuleType

    dax, real = ModuleType("lsst.dax"), ModuleType("lsst.dax.data_generator")
    dax.data_generator = real  # type: ignore[attr-defined]
    monkeypatch.setattr(lsst, "dax", dax, raising=False)
    monkeypatch.setitem(sys.modules, "lsst.dax", dax)
    monkeypatch.setitem(sys.modules, "lsst.dax.data_generator", real)
    with original_packages():
        assert importlib.import_module("lsst.dax.data_generator") is not real
    assert importlib.import_module("lsst.dax.data_generator") is real
    assert dax.data_generator is real  # type: ignore[attr-defined]


def test_it_comes_off_when_the_spec_raises() -> None:
    with pytest.raises(InputError):
        load_spec(SpecFile("a.py", "a.py", b"import lsst.dax.data_generator\nraise KeyError"))
    assert not hasattr(lsst, "dax")
    assert "lsst.dax" not in sys.modules


def test_ccd_visits_need_four_names() -> None:
    text = (SPECS / "early2020.py").read_text().replace("ccdVisitId,ra,decl,filterName", "ccdVisitId,ra")
    with pytest.raises(InputError, match="give 4 names, not 2"):
        load_spec(SpecFile("a.py", "a.py", text.encode()))


def test_the_older_seed() -> None:
    assert calcSeedFrom(14012, 1, 7) == 140120701


def test_where_no_lsst_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dgconsole.catalog import dialects

    monkeypatch.setattr(dialects, "_real", lambda name: None)
    spec = load("fake2020.py")
    assert [table.name for table in spec.tables] == ["Object", "CcdVisit", "ForcedSource"]
    assert sys.modules["lsst"] is lsst


def test_a_density_map() -> None:
    text = """
import numpy as np
from lsst.dax.data_generator import Chunker, HealpixSpatialModel, columns
chunker = Chunker(0, 200, 5)
spec = {"Object": {"density": HealpixSpatialModel(np.arange(48.0), 2, True),
                   "columns": {"objectId": columns.ObjIdGenerator()}}}
"""
    spec = load_spec(SpecFile("a.py", "a.py", text.encode()))
    assert describe(spec).tables[0].density == "HealpixSpatialModel"
