"""A small, right set of input files to spoil one by one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dgconsole.settings.server import load_settings
from dgconsole.support.errors import InputError

SERVER = """\
server:
  port: 13042
fakeDataGenerator:
  arguments: '--visits 30 --objects 1000'
  seed: 7
  transaction_size: 5
  cfgFileName: spec.py
partitioner:
  cfgDir: cfgs
ingest:
  kind: files
  dbName: skydb
"""

OBJECT = {
    "part": {
        "pos": "ra, decl",
        "id": "objectId",
        "chunk": "chunkId",
        "num-stripes": 200,
        "num-sub-stripes": 5,
        "overlap": 0.01667,
    },
    "in": {"csv": {"delimiter": ",", "field": ["objectId", "ra", "decl"]}},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with serverCfg.yml and all that it names."""
    (tmp_path / "serverCfg.yml").write_text(SERVER)
    (tmp_path / "spec.py").write_text("spec = {}\n")
    (tmp_path / "cfgs").mkdir()
    (tmp_path / "cfgs" / "Object.cfg").write_text(json.dumps(OBJECT, indent=1))
    return tmp_path


@pytest.fixture
def complaints(project: Path) -> Callable[..., list[str]]:
    """Load the project's serverCfg.yml, first replaced by ``text`` if given: the problems, folder names cut off."""

    def load(text: str | None = None) -> list[str]:
        if text is not None:
            (project / "serverCfg.yml").write_text(text)
        with pytest.raises(InputError) as caught:
            load_settings(project / "serverCfg.yml")
        return [str(problem).replace(f"{project}/", "") for problem in caught.value.problems]

    return load
