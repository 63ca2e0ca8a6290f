"""The console's own version brought to a host over SSH, and clients of another one refused."""

import getpass
import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_a_deployed_host_works_with_the_consoles_wheel_and_no_other(project: Any, ssh_hosts: Any) -> None:
    """pip installs nothing but the wheel here; what that needs is lent by the console's own environment."""
    home = ssh_hosts.folder / "h2" / "home"
    host = ssh_hosts.start(f"SetEnv DGCONSOLE_TEST={project.mark} HOME={home}")
    keys = (
        f"launcher: ssh, address: {host.address}, port: {host.port}, user: {getpass.getuser()}, clients: 2, "
        f"python: {os.path.realpath(sys.executable)}, env: {{PIP_NO_DEPS: '1', PIP_NO_INDEX: '1'}}"
    )
    project.write("hosts.yml", f"hosts:\n  {host.name}: {{{keys}}}\n")

    ended = project.run("57701")
    assert ended.status == 1, ended
    assert "has no healpy, lsst-sphgeom, msgspec, numpy, polars, pyarrow, pyyaml, which clients need" in ended.err

    (venv,) = [path for path in (home / ".dgconsole" / "venvs").iterdir() if path.is_dir()]
    (site,) = (venv / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    ended = project.run("39600:39603,57701")
    assert ended.status == 0, ended
    assert {row["host"] for row in project.report()} == {host.name}

    (noted,) = site.glob("dgconsole-*.dist-info/direct_url.json")
    told = json.loads(noted.read_text())
    told["archive_info"] = {"hashes": {"sha256": "f" * 64}}
    noted.write_text(json.dumps(told))
    ended = project.run("0", "--run-dir", "other")
    assert ended.status == 1, ended
    assert (
        "the console refused this client: it was installed from the wheel ffffffffffff, the console has deployed"
        in ((project.folder / "other" / "logs" / "console.log").read_text())
    )
    assert project.processes() == []
    assert Path(venv, "dgconsole-constraints.txt").read_text().count("numpy==") == 1
