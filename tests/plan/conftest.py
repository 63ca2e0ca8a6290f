"""A small project whose files agree, to be spoilt one by one, and planned without a second process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgconsole.catalog.describe import describe
from dgconsole.catalog.spec import load_spec
from dgconsole.plan import Plan, make_plan
from dgconsole.settings.frozen import spec_folder
from dgconsole.settings.server import load_settings
from dgconsole.settings.structs import RunSettings
from dgconsole.support.errors import InputError

SERVER = """\
fakeDataGenerator: {arguments: '--visits 30', cfgFileName: sky.py}
partitioner: {cfgDir: cfgs}
ingest: {kind: files, dbName: skydb, cfgDir: json}
pregenerated: {cfgDir: made}
"""

SPEC = """\
from dgconsole.catalog import Chunker, UniformSpatialModel, columns

chunker = Chunker(0, 200, 5)
edge_width = 0.018
spec = {
    "Object": {
        "density": UniformSpatialModel(1000),
        "columns": {
            "objectId": columns.ObjIdGenerator(),
            "psRa,psDecl": columns.RaDecGenerator(),
            "gPsFlux:FLOAT": columns.MagnitudeGenerator(),
        },
    },
    "CcdVisit": {
        "columns": {
            "ccdVisitId": columns.VisitIdGenerator(),
            "filterName": columns.FilterGenerator(),
            "ra,decl": columns.RaDecGenerator(),
        },
    },
    "ForcedSource": {
        "prereq_tables": ["Object", "CcdVisit"],
        "columns": {
            "objectId,ccdVisitId,psFlux,psFluxSigma,flags": columns.ForcedSourceGenerator(),
        },
    },
}
directors = {"Object": {"ForcedSource": "objectId"}}
"""

TILING = {"num-stripes": 200, "num-sub-stripes": 5, "chunk": "chunkId"}


def cfg(fields: list[str], **part: object) -> dict[str, Any]:
    return {"part": {**TILING, **part}, "in": {"csv": {"delimiter": ",", "field": fields}}}


class Project:
    """The folder of the files, and the ways to change and plan it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("cfgs", "json"):
            (folder / name).mkdir()
        self.write("serverCfg.yml", SERVER)
        self.write("sky.py", SPEC)
        self.cfg("Object", ["objectId", "ra", "decl", "flux"], pos="ra, decl", id="objectId", overlap=0.01667)
        self.cfg("ForcedSource", ["objectId", "ccdVisitId", "psFlux", "psFluxSigma", "flags"], id="objectId")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def cfg(self, table: str, fields: list[str], **part: object) -> None:
        self.write(f"cfgs/{table}.cfg", json.dumps(cfg(fields, **part), indent=1))

    def database(self, **changes: object) -> None:
        base = {"database": "skydb", "num_stripes": 200, "num_sub_stripes": 5, "overlap": 0.01667}
        self.write("json/skydb.json", json.dumps(base | changes, indent=1))

    def table(self, name: str, columns: dict[str, str], **changes: object) -> None:
        schema = [{"name": column, "type": sql} for column, sql in columns.items()]
        base = {"database": "skydb", "table": name, "is_partitioned": 1, "is_director": 0, "schema": schema}
        self.write(f"json/skydb_{name}.json", json.dumps(base | changes, indent=1))

    def settings(self) -> RunSettings:
        return load_settings(self.folder / "serverCfg.yml")

    def plan(self) -> Plan:
        settings = self.settings()
        return make_plan(settings, describe(load_spec(settings.spec, cwd=spec_folder(settings))))

    def problems(self) -> list[str]:
        """What the plan finds wrong, folder names cut off."""
        with pytest.raises(InputError) as caught:
            self.plan()
        return [str(problem).replace(f"{self.folder}/", "") for problem in caught.value.problems]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def one_problem(project: Project) -> Callable[[str], None]:
    """Assert that the plan finds one problem, and how it begins."""

    def check(begins: str) -> None:
        assert [line[: len(begins)] for line in project.problems()] == [begins]

    return check
