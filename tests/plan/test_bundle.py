"""The bundle: what the console packs, the client reads back, and both plan alike; what a resume compares."""

from pathlib import Path
from typing import Any

import pytest

from dgconsole.catalog.describe import describe
from dgconsole.catalog.spec import load_spec
from dgconsole.plan import bundle_items, make_plan, read_bundle
from dgconsole.support.errors import PeerError

TYPES = ("BIGINT", "BIGINT", "FLOAT", "FLOAT", "TINYINT", "INT", "INT")


def store(project: Any, folder: Path) -> Path:
    settings = project.settings()
    for item in bundle_items(settings, project.plan(), out_dir="/data/chunks", keep_csv=True):
        (folder / item.kind).mkdir(parents=True, exist_ok=True)
        (folder / item.kind / item.name).write_bytes(item.data)
    return folder


def test_the_client_makes_the_consoles_plan(project: Any, tmp_path: Path) -> None:
    (project.folder / "made").mkdir()
    project.write("made/visit_table.csv", "0,u,1.0,2.0\n")
    project.database(auth_key="s3cret")
    project.table("ForcedSource", dict(zip("abcdefg", TYPES, strict=True)), auth_key="s3cret")
    project.edit("serverCfg.yml", "kind: files", "kind: files, authKey: s3cret")
    folder = store(project, tmp_path / "bundle")
    settings, header = read_bundle(folder)
    plan = make_plan(settings, describe(load_spec(settings.spec)))
    there = project.plan()
    assert plan.digest == there.digest == header.plan_digest
    assert plan.sky_digest == there.sky_digest == header.sky_digest
    assert plan.tables == there.tables
    assert (header.out_dir, header.keep_csv, header.ingest_kind, header.spec) == (
        "/data/chunks",
        True,
        "files",
        "sky.py",
    )
    assert settings.pregenerated_dir == str(folder / "pregenerated")
    assert not any(b"s3cret" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_spec_comes_first_and_the_header_last(project: Any) -> None:
    items = bundle_items(project.settings(), project.plan(), out_dir="", keep_csv=False)
    assert [(item.kind, item.name) for item in items] == [
        ("spec", "sky.py"),
        ("partitioner", "ForcedSource.cfg"),
        ("partitioner", "Object.cfg"),
        ("plan", "plan.json"),
    ]


@pytest.mark.parametrize("missing", ["plan/plan.json", "spec/sky.py"])
def test_half_a_bundle_is_the_other_ends_fault(project: Any, tmp_path: Path, missing: str) -> None:
    folder = store(project, tmp_path / "bundle")
    (folder / missing).unlink()
    with pytest.raises(PeerError, match="the bundle is not whole"):
        read_bundle(folder)


def test_a_header_that_does_not_read(project: Any, tmp_path: Path) -> None:
    folder = store(project, tmp_path / "bundle")
    (folder / "plan" / "plan.json").write_text('{"name": 5}')
    with pytest.raises(PeerError, match="the bundle is not whole"):
        read_bundle(folder)


def test_what_changes_the_output_changes_the_digest(project: Any) -> None:
    before = project.plan()
    project.edit("sky.py", "UniformSpatialModel(1000)", "UniformSpatialModel(2000)")
    project.edit("serverCfg.yml", "--visits 30", "--visits 31 --seed 5")
    project.edit("serverCfg.yml", "dbName: skydb", "dbName: other")
    project.cfg("CcdVisit", ["ccdVisitId", "filterName", "ra", "decl"], pos="ra, decl", overlap=0.0)
    after = project.plan()
    assert before.digest != after.digest
    changed = {name for name, _ in before.parts.items() ^ after.parts.items()}
    assert changed == {"name", "seed", "visits", "spec/sky.py", "partitioner/CcdVisit.cfg"}


def test_what_does_not_change_the_output_does_not(project: Any) -> None:
    before = project.plan()
    project.edit("serverCfg.yml", "cfgFileName: sky.py", "cfgFileName: sky.py, transaction_size: 3")
    project.write(
        "serverCfg.yml", (project.folder / "serverCfg.yml").read_text() + "chunks: 0\nserver: {port: 5000}\n"
    )
    assert project.plan().digest == before.digest


def test_where_files_stay_is_part_of_the_plan(project: Any, tmp_path: Path) -> None:
    before = project.plan()
    project.edit("serverCfg.yml", "kind: files", "kind: files, collect: false, outDir: ~/sky")
    after = project.plan()
    assert dict(after.parts.items() - before.parts.items()) == {"ingest.collect": "false", "ingest.outDir": "~/sky"}
    settings, header = read_bundle(store(project, tmp_path / "bundle"))
    assert (settings.collect, settings.out_dir) == (False, "~/sky")
    assert make_plan(settings, describe(load_spec(settings.spec))).digest == after.digest == header.plan_digest
