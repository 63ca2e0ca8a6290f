"""A client's whole log is brought home as one file, or not at all."""

import asyncio
import os
from pathlib import Path

import pytest

from dgconsole.fleet.hosts import HostState
from dgconsole.fleet.launchers.local import LocalConnection
from dgconsole.fleet.launchers.ssh import SshLauncher
from dgconsole.fleet.wholelog import fetch
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

TALKS = """
import sys
for i in range(300_000): print('line', i, 'x' * 80)
print('over', file=sys.stderr)
sys.stdin.read()
"""


def write_log(folder: Path) -> bytes:
    """Both parts of a log, larger than what is read at a time."""
    older, newest = (os.urandom(1_500_000) for _ in range(2))
    (folder / "client.log.1").write_bytes(older)
    (folder / "client.log").write_bytes(newest)
    return older + newest


async def test_over_ssh_both_parts_come_as_one(ssh_hosts, tmp_path):
    host = ssh_hosts.start()
    (host.home / "w").mkdir()
    whole = write_log(host.home / "w")
    target = tmp_path / "h-1.whole.log"
    target.write_text("of an earlier time")
    connection = await SshLauncher().connect(host.config())
    for log in ("~/w/client.log", str(host.home / "w" / "client.log")):
        assert await fetch(connection, log, target) == 3_000_000
        assert target.read_bytes() == whole
    (host.home / "w" / "client.log.1").unlink()
    assert await fetch(connection, "~/w/client.log", target) == 1_500_000
    with pytest.raises(HostError, match=r"copy of ~/nowhere/client\.log: No such file"):
        await fetch(connection, "~/nowhere/client.log", target)
    with pytest.raises(HostError, match="cannot be written: No such file"):
        await fetch(connection, "~/w/client.log", tmp_path / "nowhere" / "log")
    assert target.stat().st_size == 1_500_000
    assert list(tmp_path.iterdir()) == [target]
    await connection.close()
    with pytest.raises(HostError):
        await fetch(connection, "~/w/client.log", target)


async def test_a_host_that_gives_one_session_says_so(ssh_hosts, tmp_path):
    host = ssh_hosts.start("MaxSessions 1")
    connection = await SshLauncher().connect(host.config())
    channel = await connection.run(("cat",))
    with pytest.raises(HostError, match="no second session") as caught:
        await fetch(connection, "~/client.log", tmp_path / "log")
    assert "MaxSessions" in caught.value.mend
    await channel.close()
    await connection.close()


async def test_on_this_machine_it_is_copied(tmp_path):
    (tmp_path / "w").mkdir()
    whole = write_log(tmp_path / "w")
    connection = LocalConnection(HostConfig(name="here"))
    assert await fetch(connection, str(tmp_path / "w" / "client.log"), tmp_path / "log") == 3_000_000
    assert (tmp_path / "log").read_bytes() == whole
    with pytest.raises(HostError, match="cannot be read: No such file"):
        await fetch(connection, "/nowhere/client.log", tmp_path / "log")


async def test_a_log_that_is_rotated_meanwhile_loses_nothing_that_was_there(ssh_hosts, tmp_path):
    host = ssh_hosts.start()
    log = host.home / "client.log"
    log.write_bytes(b"1" * 1_000_000)
    connection = await SshLauncher().connect(host.config())
    pieces = connection.read_log("~/client.log")
    first = await anext(pieces)
    log.rename(f"{log}.1")
    log.write_bytes(b"2" * 10)
    rest = [piece async for piece in pieces]
    assert first + b"".join(rest) == b"1" * 1_000_000
    await connection.close()


async def test_the_fleet_fetches_what_a_client_of_its_printed(run_fleet, client_python, tmp_path):
    watched = run_fleet(HostConfig(name="here", python=client_python(TALKS)))
    await watched.until(lambda: "over" in watched.said("here-1"))
    target = tmp_path / "here-1.whole.log"
    size = await watched.fleet.fetch_log("here-1", target)
    lines = target.read_text().splitlines()
    assert size == target.stat().st_size > 16 << 20, "two parts"
    assert len(lines) == 300_001
    await watched.fleet.stop(1)
    with pytest.raises(HostError, match="here is ended: logs can be had from it while it is up"):
        await watched.fleet.fetch_log("here-1", target)


async def test_hosts_join_a_fleet_that_is_at_work(run_fleet, client_python):
    python = client_python("import sys\nprint('up', flush=True)\nsys.stdin.read()\n")
    watched = run_fleet(HostConfig(name="first", python=python))
    await watched.until(lambda: watched.said("first-1") == ["up"])
    new = [HostConfig(name=name, clients=2, python=python) for name in ("second", "third")]
    assert watched.fleet.add_hosts(new) == [(f"{host.name}-{n}", host.name) for host in new for n in (1, 2)]
    await watched.until(lambda: sum(text == "up" for *_, text in watched.lines) == 5)
    assert [row.name for row in watched.fleet.hosts()] == ["first", "second", "third"]
    await watched.fleet.stop(1)
    assert {row.state for row in watched.fleet.hosts()} == {HostState.ENDED.value}
    await asyncio.sleep(0)
