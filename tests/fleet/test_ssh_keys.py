"""Keys and agents of the console's user against real SSH servers: which one lets us in, and words where none does."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgconsole.fleet.launchers.ssh import SshLauncher
from dgconsole.support.errors import HostError


def keygen(*words: object) -> None:
    subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True)


class Agent:
    """An SSH agent of our own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "agent.sock"
        self._process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", self.socket], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        assert b"SSH_AUTH_SOCK" in self._process.stdout.readline()

    def add(self, key: Path) -> None:
        subprocess.run(["ssh-add", "-q", key], check=True, env=os.environ | {"SSH_AUTH_SOCK": str(self.socket)})

    def end(self) -> None:
        """What is left is a socket where nobody answers."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def agent(
    ssh_hosts: Any, monkeypatch: pytest.MonkeyPatch, need: Callable[[bool, str], None], tmp_path: Path
) -> Iterator[Agent]:
    """An agent that holds nothing yet, named by the environment."""
    made = Agent(ssh_hosts.folder)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(made.socket))
    yield made
    made.end()


@pytest.fixture
def new_key(tmp_path: Path) -> Callable[[str], Path]:
    """``new_key(name)``: one that no host lets in."""

    def make(name: str) -> Path:
        path = tmp_path / name
        keygen("-t", "ed25519", "-N", "", "-f", path)
        return path

    return make


async def in_and_out(host: Any, **keys: object) -> None:
    connection = await SshLauncher().connect(host.config(**keys))
    await connection.close()


async def refused(host: Any, **keys: object) -> HostError:
    with pytest.raises(HostError) as caught:
        await SshLauncher().connect(host.config(**keys))
    assert caught.value.hopeless, "a refused login is not tried again"
    return caught.value


async def test_a_key_that_only_the_agent_has_lets_us_in(ssh_hosts, agent):
    host = ssh_hosts.start()
    agent.add(ssh_hosts.identity)
    ssh_hosts.identity.unlink()
    await in_and_out(host)
    ssh_hosts.identity.with_suffix(".pub").unlink()
    await in_and_out(host)


async def test_the_agent_that_ssh_s_configuration_names(ssh_hosts, agent, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK")
    host = ssh_hosts.start()
    agent.add(ssh_hosts.identity)
    ssh_hosts.identity.unlink()
    await refused(host)
    (ssh_hosts.home / ".ssh" / "config").write_text(f"IdentityAgent {agent.socket}\n")
    await in_and_out(host)


async def test_an_agent_that_is_gone_is_passed_over_for_keys_in_files(ssh_hosts, agent):
    host = ssh_hosts.start()
    agent.end()
    await in_and_out(host)


async def test_an_agent_that_is_gone_is_named_where_it_would_have_been_needed(ssh_hosts, agent):
    host = ssh_hosts.start()
    agent.add(ssh_hosts.identity)
    ssh_hosts.identity.unlink()
    agent.end()
    error = await refused(host)
    assert "the login was refused" in error.reason
    assert f"no SSH agent answers at {agent.socket}" in error.reason
    assert "ssh-add" in error.mend
    agent.socket.unlink()
    assert f"no SSH agent answers at {agent.socket}" in (await refused(host)).reason


async def test_an_agent_without_the_right_key(ssh_hosts, agent, new_key):
    host = ssh_hosts.start()
    ssh_hosts.identity.unlink()
    error = await refused(host)
    assert "no SSH agent" not in error.reason
    agent.add(new_key("other"))
    assert "ssh-add" in (await refused(host)).mend
    assert host.log().count("Accepted") == 0


async def test_an_agent_full_of_keys_hides_not_the_one_that_is_named(ssh_hosts, agent, new_key):
    """Six wrong keys use up what a server allows (MaxAuthTries); ``identity`` goes first."""
    host = ssh_hosts.start()
    for number in range(7):
        agent.add(new_key(f"wrong{number}"))
    error = await refused(host)
    assert "Too many authentication failures" in error.reason
    assert f"hosts.{host.name}.identity" in error.mend
    await in_and_out(host, identity=str(ssh_hosts.identity))


async def test_a_named_key_with_a_passphrase_is_taken_from_the_agent(ssh_hosts, agent):
    host = ssh_hosts.start()
    agent.add(ssh_hosts.identity)
    keygen("-p", "-N", "secret", "-f", ssh_hosts.identity)
    await in_and_out(host, identity=str(ssh_hosts.identity))
    (ssh_hosts.home / ".ssh" / "config").write_text(f"IdentityFile {ssh_hosts.identity}\n")
    await in_and_out(host)


async def test_keys_of_other_kinds(ssh_hosts, tmp_path):
    host = ssh_hosts.start()
    allowed = host.folder / "authorized_keys"
    for kind, bits in (("rsa", "3072"), ("ecdsa", "256")):
        key = ssh_hosts.home / f"id_{kind}"
        keygen("-t", kind, "-b", bits, "-N", "", "-f", key)
        allowed.write_text(key.with_suffix(".pub").read_text())
        await refused(host)
        await in_and_out(host, identity=str(key))


@pytest.mark.parametrize(
    ("text", "words"), [("", "is no good"), ("no key at all\n", "is no good"), ("folder", "Is a directory")]
)
async def test_a_named_key_that_is_none(ssh_hosts, tmp_path, text, words):
    host = ssh_hosts.start()
    key = tmp_path / "key"
    if text == "folder":
        key.mkdir()
    else:
        key.write_text(text)
    error = await refused(host, identity=str(key))
    assert words in error.reason
    assert str(key) in error.reason + error.mend or f"hosts.{host.name}.identity" in error.mend
