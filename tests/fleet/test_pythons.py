"""A Python that cannot run agent or clients is named at once, in one line."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dgconsole.fleet.deploy.versions import CLIENTS_NEED, own_versions, pins
from dgconsole.fleet.hosts import HostState
from dgconsole.settings.structs import HostConfig

AGED = """#!{python}
import sys
sys.version_info = tuple(map(int, "{version}".split(".")))
sys.version = "{version}" + sys.version[sys.version.index(" "):]
at = sys.argv.index("-c")
code, sys.argv = sys.argv[at + 1], ["-c", *sys.argv[at + 2:]]
exec(code)
"""
"""A Python that takes itself for an older one."""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """``script(text)``: a program that can be run."""

    def make(text: str) -> str:
        path = tmp_path / "python"
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return make


async def reason_of(watched) -> str:
    """Why the host was set aside, and that it was so at once."""
    await watched.until(lambda: bool(watched.ends))
    (host,) = watched.fleet.hosts()
    assert host.state == "set aside"
    assert HostState.BACKING_OFF not in [state for _, state, _ in watched.changes]
    assert "\n" not in host.reason
    assert host.mend
    return host.reason


@pytest.mark.parametrize("status", [126, 127])
async def test_one_that_is_not_there_for_its_shell(run_fleet, script, status):
    python = script(f"#!/bin/sh\necho Welcome\necho 'line 1: exec: python3.99: no way' >&2\nexit {status}\n")
    reason = await reason_of(run_fleet(HostConfig(name="here", python=python)))
    assert reason == f"{python} cannot be run: Welcome; line 1: exec: python3.99: no way"


async def test_one_over_ssh_that_is_not_there(ssh_hosts, far_fleet):
    host = ssh_hosts.start()
    reason = await reason_of(far_fleet(host.config(deploy="none", python="python3.99")))
    assert reason.startswith("python3.99 cannot be run: ")
    assert reason.endswith("python3.99: not found")


async def test_one_that_is_killed_may_do_the_next_time(run_fleet, script):
    watched = run_fleet(HostConfig(name="here", python=script("#!/bin/sh\necho hm >&2\nkill -KILL $$\n")))
    await watched.until(lambda: bool(watched.ends))
    assert [state for _, state, _ in watched.changes].count(HostState.BACKING_OFF) == 3


async def test_one_that_is_too_old_for_the_agent(run_fleet, script):
    python = script(AGED.format(python=sys.executable, version="3.7.16"))
    reason = await reason_of(run_fleet(HostConfig(name="here", python=python)))
    assert reason == f"{python} cannot be run: it is Python 3.7.16, too old"


async def test_one_that_is_too_old_for_clients(run_fleet, script):
    python = script(AGED.format(python=sys.executable, version="3.9.18"))
    watched = run_fleet(HostConfig(name="here", python=python))
    assert await reason_of(watched) == f"{python} (Python 3.9.18) is too old for dgconsole"
    assert watched.fleet.hosts()[0].mend.startswith("Set hosts.here.python to a Python 3.11 or newer")


async def test_one_that_setup_lines_put_in_place_of_an_old_one_is_taken(run_fleet, client_python, tmp_path):
    """The agent runs on what the login finds, clients on what setup lines have found."""
    (tmp_path / "bin").mkdir()
    old = tmp_path / "old" / "dgpython"
    old.parent.mkdir()
    old.write_text(AGED.format(python=sys.executable, version="3.9.18"))
    old.chmod(0o755)
    (tmp_path / "bin" / "dgpython").symlink_to(client_python("print('up')"))
    login = tmp_path / "login"
    login.write_text(f'#!/bin/sh\nexec {old} "$@"\n')
    login.chmod(0o755)
    setup = (f"export PATH={tmp_path}/bin:$PATH", f"cp {tmp_path}/bin/dgpython {login}")
    watched = run_fleet(HostConfig(name="here", python=str(login), setup=setup))
    await watched.until(lambda: watched.said("here-1") == ["up"])


async def test_one_without_what_clients_need(run_fleet, script):
    hides = (
        "import importlib.metadata as m; real = m.version\n"
        "def version(name):\n    if name in ('numpy', 'healpy'): raise m.PackageNotFoundError(name)\n"
        "    return real(name)\nm.version = version\n"
    )
    python = script(AGED.format(python=sys.executable, version="3.11.99").replace("at = ", hides + "at = "))
    reason = await reason_of(run_fleet(HostConfig(name="here", python=python)))
    assert reason == f"{python} (Python 3.11.99) has no healpy, numpy, which clients need"


async def test_other_versions_of_what_makes_values_are_told(run_fleet, script):
    other = (
        "import importlib.metadata as m; real = m.version\nm.version = lambda n: '1.0' if n == 'numpy' else real(n)\n"
    )
    python = script(AGED.format(python=sys.executable, version="3.11.99").replace("at = ", other + "at = "))
    watched = run_fleet(HostConfig(name="here", python=python))
    await watched.until(lambda: any(source == "here" for source, _, _ in watched.lines))
    told = next(line for line in watched.lines if line[0] == "here")
    numpy = own_versions()["numpy"]
    assert told[1:] == (
        "WARNING",
        f"other versions than here, so values may differ in the last digit: numpy 1.0 (here {numpy})",
    )


def test_the_consoles_versions_hold_all_that_a_client_needs():
    versions = own_versions()
    assert set(CLIENTS_NEED) <= versions.keys()
    assert "bcrypt" in versions, "of an extra"
    assert not {"dgconsole", "pytest", "mypy"} & versions.keys()
    assert pins({"a": "1.0+cpu", "b-c": "2"}) == ("a==1.0", "b-c==2")
