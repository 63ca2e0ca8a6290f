"""The shipped run, and a plan made in one go from serverCfg.yml with its spec in a second process."""

from pathlib import Path
from typing import Any

import pytest

from dgconsole.plan import configured_targets
from dgconsole.plan.load import load_plan
from dgconsole.settings.hosts import load_hosts
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.errors import InputError

ROOT = Path(__file__).parents[2]


def test_the_shipped_run() -> None:
    settings, plan = load_plan(ROOT / "serverCfg.yml")
    assert (settings.name, settings.seed, settings.visits, settings.objects) == ("fakedb", 1, 30, 1000)
    assert [(table.name, table.role, table.delivered) for table in plan.tables] == [
        ("Object", "director", True),
        ("CcdVisit", "visits", False),
        ("ForcedSource", "child", True),
    ]
    assert plan.notices == ("objects 1000 has no effect: Object has a density",)
    assert [(host.name, host.launcher, host.clients) for host in load_hosts(ROOT / "hosts.yml")] == [
        ("here", "local", 2)
    ]


def test_the_shipped_part_of_the_sky() -> None:
    settings, plan = load_plan(ROOT / "serverCfg.yml")
    tiling = tiling_of(plan.num_stripes, plan.num_sub_stripes)
    targets = configured_targets(tiling, settings)
    assert targets.partial
    boxes = tiling.chunk_boxes(targets.ids)
    assert (boxes[:, 2].min(), boxes[:, 3].max()) == (-90.0, 90.0)
    equator = boxes[(boxes[:, 2] > -5.0) & (boxes[:, 3] < 5.0)]
    assert (equator[:, 0].min(), equator[:, 1].max()) == (0.0, 360.0)
    assert 100 <= len(targets.ids) <= 2000


def test_targets_of_the_file_are_refused_with_its_line(project: Any) -> None:
    project.write("serverCfg.yml", (project.folder / "serverCfg.yml").read_text() + "chunks: [0, '9:3']\n")
    with pytest.raises(InputError, match=r"serverCfg\.yml:5: chunks: '9:3' is a reversed range: write 3:9"):
        configured_targets(tiling_of(200, 5), project.settings())


def test_problems_of_config_and_spec_come_together(project: Any) -> None:
    project.edit("serverCfg.yml", "--visits 30", "--vists 30")
    project.edit("sky.py", "chunker = ", "raise ValueError('no luck')\nchunker = ")
    project.write("cfgs/My_Object.cfg", "{}")
    with pytest.raises(InputError) as caught:
        load_plan(project.folder / "serverCfg.yml")
    found = [str(problem).replace(f"{project.folder}/", "") for problem in caught.value.problems]
    assert [line.partition(" ")[0] for line in found] == ["serverCfg.yml:1:", "cfgs/My_Object.cfg:", "sky.py:3:"]
