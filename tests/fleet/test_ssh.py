"""The SSH launcher against real servers: programs, the way back, files, host keys, and every refusal in words."""

import asyncio
import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncssh
import pytest

from dgconsole.fleet.agentlink import AgentLink
from dgconsole.fleet.launchers import sshconfig
from dgconsole.fleet.launchers.hostkeys import KnownHosts
from dgconsole.fleet.launchers.ssh import Limits, SshLauncher
from dgconsole.fleet.launchers.sshproblems import host_error
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

LOST = "Connection (lost|reset by peer)"
"""How the end of a connection is seen when the server is killed: with nothing unread, or with something."""


@pytest.fixture
def launcher() -> SshLauncher:
    return SshLauncher()


@pytest.fixture
async def echo(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a UNIX socket that says back what it is told, as the coordinator's stands in."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(b"heard " + data)
            await writer.drain()
        writer.close()

    path = tmp_path / "echo.sock"
    server = await asyncio.start_unix_server(serve, path)
    yield f"unix:{path}"
    server.close()


@pytest.fixture
def mute() -> Iterator[tuple[str, int]]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.9", 0)) as listener:
        yield listener.getsockname()


def keygen(*words: object) -> None:
    subprocess.run(["ssh-keygen", *map(str, words)], check=True, capture_output=True)


async def refused(launcher: SshLauncher, host: HostConfig) -> HostError:
    with pytest.raises(HostError) as caught:
        await launcher.connect(host)
    assert caught.value.reason
    return caught.value


async def until(condition: Callable[[], bool]) -> None:
    """For what a server's own processes do, of which nobody is told."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def output_of(connection, *argv: str) -> bytes:
    channel = await connection.run(argv)
    said = b""
    while data := await channel.read():
        said += data
    await channel.close()
    return said


# What a person at the far end of the forward would do: send a line to ADDRESS and print the answer.
ASK = """
import socket, sys
kind, _, rest = sys.argv[1].rpartition(":")
if kind == "unix":
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(rest)
else:
    peer = socket.create_connection((kind, int(rest)))
peer.sendall(b"a word")
print(peer.recv(100).decode())
"""


# ---- programs


async def test_a_program_runs_with_its_streams_apart_and_its_words_unharmed(ssh_hosts, launcher):
    connection = await launcher.connect(ssh_hosts.start().config())
    script = "import sys; print(sys.argv[1:], sys.stdin.buffer.readline()); sys.exit('trouble')"
    channel = await connection.run((ssh_hosts.python, "-c", script, "it's", "two words", "$HOME", "*"))
    channel.write(b"\x00\xff binary\n")
    said = b""
    while data := await channel.read():
        said += data
    assert said == rb"""["it's", 'two words', '$HOME', '*'] b'\x00\xff binary\n'""" + b"\n"
    assert await channel.wait() == 1
    await channel.close()
    assert await channel.noise() == "trouble"
    await connection.close()
    assert connection.why_lost() == ""


async def test_a_program_below_the_home_there(ssh_hosts, launcher):
    host = ssh_hosts.start()
    tool = host.home / "a tool"
    tool.write_text("#!/bin/sh\necho at home $1\n")
    tool.chmod(0o755)
    connection = await launcher.connect(host.config())
    assert await output_of(connection, "~/a tool", "~/x") == b"at home ~/x\n"
    await connection.close()


async def test_much_output_comes_whole(ssh_hosts, launcher):
    connection = await launcher.connect(ssh_hosts.start().config())
    said = await output_of(connection, ssh_hosts.python, "-c", "for _ in range(100_000): print('x' * 99)")
    assert said == (b"x" * 99 + b"\n") * 100_000
    await connection.close()


async def test_a_signal_and_a_missing_program_are_told_from_a_loss(ssh_hosts, launcher):
    host = ssh_hosts.start()
    connection = await launcher.connect(host.config())
    killed = await connection.run(("/bin/sh", "-c", "kill -9 $$"))
    assert await killed.wait() == -signal.SIGKILL
    missing = await connection.run(("python3.99",))
    assert await missing.wait() == 127
    assert "python3.99" in await missing.noise()
    lost = await connection.run(("sleep", "60"))
    for pid in host.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert await lost.wait() is None
    assert re.fullmatch(LOST, connection.why_lost())
    assert re.search(LOST, await lost.noise())
    lost.write(b"nobody reads this")
    with pytest.raises(HostError, match=LOST) as caught:
        await connection.run(("true",))
    assert not caught.value.hopeless
    await connection.close()


async def test_shell_noise_comes_first_and_is_passed_on(ssh_hosts, launcher):
    host = ssh_hosts.start()
    (host.home / ".bashrc").write_text("echo Welcome; echo mind the gap >&2\n")
    connection = await launcher.connect(host.config())
    channel = await connection.run(("echo", "hello"))
    assert await channel.read() + await channel.read() == b"Welcome\nhello\n"
    await channel.close()
    assert await channel.noise() == "mind the gap"
    await connection.put(Path(__file__), "~/deep/down/copy.py")
    assert (host.home / "deep/down/copy.py").read_bytes() == Path(__file__).read_bytes()
    await connection.close()


async def test_a_killed_channel_is_heard_no_more_and_its_stdin_ends(ssh_hosts, launcher):
    connection = await launcher.connect(ssh_hosts.start().config())
    channel = await connection.run(("/bin/sh", "-c", "trap '' TERM; echo up; read x; sleep 60"))
    assert await channel.read() == b"up\n"
    channel.kill()
    await asyncio.wait_for(channel.close(), 5)
    await connection.close()


async def test_the_host_agent_speaks_through_it(ssh_hosts, launcher):
    host = ssh_hosts.start("MaxSessions 1")
    (host.home / ".bashrc").write_text("echo Welcome\n")
    connection = await launcher.connect(host.config())
    link = await AgentLink.open(connection, ssh_hosts.python, lease=5, patience=10)
    assert link.hello.cwd == str(host.home)
    await link.close(5)
    await connection.close()
    assert host.processes() == []


async def test_a_host_that_falls_silent_is_lost_after_some_questions(ssh_hosts, launcher, monkeypatch):
    monkeypatch.setattr(sshconfig, "KEEPALIVE", 0.2)
    host = ssh_hosts.start()
    connection = await launcher.connect(host.config())
    channel = await connection.run(("cat",))
    for pid in host.sessions():
        os.kill(pid, signal.SIGSTOP)
    assert await channel.wait() is None
    assert connection.why_lost() == "Server not responding to keepalive"
    await connection.close()
    await connection.close()


async def test_the_fast_cipher_is_used_unless_the_configuration_names_others(ssh_hosts, launcher):
    host = ssh_hosts.start()
    for words, cipher in (("", "aes128-gcm@openssh.com"), ("Ciphers aes256-ctr\n", "aes256-ctr")):
        (ssh_hosts.home / ".ssh" / "config").write_text(words)
        connection = await launcher.connect(host.config())
        assert connection._conn.get_extra_info("send_cipher") == cipher
        await connection.close()


# ---- files


async def test_a_file_appears_whole_over_an_old_one_and_nothing_is_left_beside_it(ssh_hosts, launcher, tmp_path):
    host = ssh_hosts.start()
    source = tmp_path / "wheel"
    source.write_bytes(os.urandom(3_000_000))
    target = host.home / "wheels" / "wheel"
    connection = await launcher.connect(host.config())
    await connection.put(Path(__file__), str(target))
    await connection.put(source, "~/wheels/wheel")
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["wheel"]
    with pytest.raises(HostError, match="copy to /proc/nowhere/wheel"):
        await connection.put(source, "/proc/nowhere/wheel")
    await connection.close()


async def test_a_host_with_one_session_takes_a_file_and_then_a_program(ssh_hosts, launcher, echo):
    connection = await launcher.connect(ssh_hosts.start("MaxSessions 1").config())
    address = await connection.server_address(echo)
    for _ in range(5):
        await connection.put(Path(__file__), "~/copy.py")
        assert await output_of(connection, ssh_hosts.python, "-c", ASK, address) == b"heard a word\n"
    await connection.close()


# ---- the way back


async def test_the_way_back_is_a_socket_of_the_user_and_goes_with_the_connection(ssh_hosts, launcher, echo):
    host = ssh_hosts.start()
    connection = await launcher.connect(host.config())
    address = await connection.server_address(echo)
    kind, _, path = address.partition(":")
    assert kind == "unix"
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert Path(path).stat().st_uid == host.uid
    assert await output_of(connection, ssh_hosts.python, "-c", ASK, address) == b"heard a word\n"
    await connection.close()
    assert not Path(path).exists()


async def test_the_socket_of_a_lost_connection_goes_with_the_next(ssh_hosts, launcher, echo):
    host = ssh_hosts.start()
    paths = []
    for lost in (True, False):
        connection = await launcher.connect(host.config())
        paths.append(Path((await connection.server_address(echo)).removeprefix("unix:")))
        if lost:
            for pid in host.sessions():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await until(lambda: bool(connection.why_lost()))  # noqa: B023
        await connection.close()
        assert [path.exists() for path in paths] == [lost] * len(paths)


async def test_the_way_back_is_a_port_of_the_loopback_where_sockets_are_forbidden(ssh_hosts, launcher, echo):
    connection = await launcher.connect(ssh_hosts.start("AllowStreamLocalForwarding no").config())
    address = await connection.server_address(echo)
    assert address.startswith("127.0.0.1:")
    assert await output_of(connection, ssh_hosts.python, "-c", ASK, address) == b"heard a word\n"
    await connection.close()


async def test_the_way_back_to_a_port_of_this_machine(ssh_hosts, launcher):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"heard " + await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for extra in ("", "AllowStreamLocalForwarding no"):
        connection = await launcher.connect(ssh_hosts.start(extra).config())
        address = await connection.server_address(f"127.0.0.1:{port}")
        assert address != f"127.0.0.1:{port}"
        assert await output_of(connection, ssh_hosts.python, "-c", ASK, address) == b"heard a word\n"
        await connection.close()
    server.close()


async def test_a_host_that_forbids_forwards_is_told_what_helps(ssh_hosts, launcher, echo):
    host = ssh_hosts.start("DisableForwarding yes")
    connection = await launcher.connect(host.config())
    with pytest.raises(HostError, match="forbids forwards") as caught:
        await connection.server_address(echo)
    assert caught.value.hopeless
    assert "AllowTcpForwarding" in caught.value.mend
    assert f"hosts.{host.name}.connect: direct" in caught.value.mend
    await connection.close()
    connection = await launcher.connect(host.config(connect="direct"))
    assert await connection.server_address("console.example.org:4711") == "console.example.org:4711"
    await connection.close()


# ---- host keys


async def test_an_unknown_host_key_is_shown_with_the_line_that_takes_it(ssh_hosts, launcher):
    host = ssh_hosts.start(known=False)
    error = await refused(launcher, host.config())
    assert error.hopeless
    assert f"the host key of {host.entry} is unknown: ssh-ed25519 {host.fingerprint}" in error.reason
    assert f"ssh -p {host.port} {host.user}@{host.address} true" in error.mend
    assert "Failed" not in host.log()
    assert "Postponed" not in host.log()
    assert host.user not in host.log()


async def test_a_changed_host_key_is_shown_with_the_lines_that_mend_it(ssh_hosts, launcher):
    host, other = ssh_hosts.start(known=False), ssh_hosts.start()
    ssh_hosts.known_hosts.write_text(f"{host.entry} {other.public_key}\n")
    error = await refused(launcher, host.config())
    assert error.hopeless
    assert "has changed" in error.reason
    assert host.fingerprint in error.reason
    assert f"ssh-keygen -R '{host.entry}' -f {ssh_hosts.known_hosts}" in error.mend
    removal = error.mend.partition(": ")[2].partition(";")[0]
    keygen(*shlex.split(removal)[1:])
    assert ssh_hosts.known_hosts.read_text() == ""
    ssh_hosts.known_hosts.write_text(f"{host.address} {other.public_key}\n")
    assert f"ssh-keygen -R {host.address} -f {ssh_hosts.known_hosts}" in (await refused(launcher, host.config())).mend
    second = ssh_hosts.known_hosts.with_name("known_hosts2")
    ssh_hosts.known_hosts.rename(second)
    assert f"ssh-keygen -R {host.address} -f {second}" in (await refused(launcher, host.config())).mend


@pytest.mark.parametrize("trusted", ["nowhere", "{entry}", "{address}"])
@pytest.mark.parametrize("revoked", ["{entry}", "{address}", "*"])
async def test_a_revoked_host_key_is_refused_wherever_it_is_trusted(ssh_hosts, launcher, trusted, revoked):
    host = ssh_hosts.start(known=False)
    names = {"entry": host.entry, "address": host.address}
    ssh_hosts.known_hosts.write_text(
        f"{trusted.format(**names)} {host.public_key}\n@revoked {revoked.format(**names)} {host.public_key}\n"
    )
    error = await refused(launcher, host.config())
    assert error.hopeless
    assert f"is revoked by {ssh_hosts.known_hosts}:2: ssh-ed25519 {host.fingerprint}" in error.reason
    assert host.user not in host.log()


async def test_a_host_key_of_another_kind_counts_as_changed(ssh_hosts, launcher):
    host = ssh_hosts.start(known=False)
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    ssh_hosts.known_hosts.write_text(f"{host.entry} {other}")
    error = await refused(launcher, host.config())
    assert error.hopeless
    assert f"has changed; it now shows ssh-ed25519 {host.fingerprint}" in error.reason


def test_an_authority_or_a_key_that_is_revoked_certifies_nothing(tmp_path):
    good, bad, host = (asyncssh.generate_private_key("ssh-ed25519").convert_to_public() for _ in range(3))
    lines = [("@cert-authority", good), ("@cert-authority", bad), ("@revoked", bad), ("@revoked", host)]
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{mark} *.org {key.export_public_key().decode()}" for mark, key in lines))
    trusted, authorities, revoked, *_ = KnownHosts([file]).match("a.org", "10.0.0.1", 2201)
    assert (trusted, authorities) == ([], [good])
    assert bad in revoked
    assert host in revoked


async def test_hashed_names_and_a_file_of_ones_own_are_known(ssh_hosts, launcher):
    host = ssh_hosts.start()
    keygen("-H", "-f", ssh_hosts.known_hosts)
    assert host.address not in ssh_hosts.known_hosts.read_text()
    await (await launcher.connect(host.config())).close()
    own = ssh_hosts.home / "own_known_hosts"
    own.touch()
    error = await refused(launcher, host.config(known_hosts=str(own)))
    assert f"UserKnownHostsFile={own}" in error.mend
    own.write_text(f"{host.entry} {host.public_key}\n")
    await (await launcher.connect(host.config(known_hosts=str(own)))).close()
    missing = await refused(launcher, host.config(known_hosts="/nowhere/known"))
    assert missing.hopeless
    assert "/nowhere/known does not exist" in missing.reason


@pytest.mark.parametrize("words", ["UserKnownHostsFile none", "StrictHostKeyChecking no"])
async def test_no_configuration_switches_the_check_off(ssh_hosts, launcher, words):
    host = ssh_hosts.start(known=False)
    (ssh_hosts.home / ".ssh" / "config").write_text(f"{words}\n")
    error = await refused(launcher, host.config())
    assert error.hopeless
    assert ("UserKnownHostsFile none" if "none" in words else "is unknown") in error.reason
    assert (await refused(launcher, host.config(known_hosts="none"))).hopeless


# ---- users, keys, questions


async def test_the_configuration_of_ssh_says_where_and_who(ssh_hosts, launcher):
    host = ssh_hosts.start()
    (ssh_hosts.home / ".ssh" / "config").write_text(
        f"Host db\n  Hostname {host.address}\n  Port {host.port}\n  User {host.user}\n"
        "  UserKnownHostsFile ~/.ssh/elsewhere %d/.ssh/known_hosts\n"
    )
    connection = await launcher.connect(HostConfig(name="db", launcher="ssh"))
    assert await output_of(connection, "whoami") == f"{host.user}\n".encode()
    await connection.close()
    (ssh_hosts.home / ".ssh" / "config").write_text("Host *\n  Port abc\n")
    error = await refused(launcher, HostConfig(name="db", launcher="ssh"))
    assert error.hopeless
    assert "line 2" in error.reason


async def test_a_wrong_user_and_a_wrong_key_are_refused_for_good(ssh_hosts, launcher, tmp_path):
    host = ssh_hosts.start()
    wrong = await refused(launcher, host.config(user="nobody-we-know"))
    assert wrong.hopeless
    assert "the login was refused" in wrong.reason
    assert f"hosts.{host.name}.user" in wrong.mend
    keygen("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other")
    assert (await refused(launcher, host.config(identity=str(tmp_path / "other")))).hopeless
    missing = await refused(launcher, host.config(identity="/nowhere/key"))
    assert missing.hopeless
    assert "/nowhere/key: No such file" in missing.reason


async def test_a_key_that_needs_a_passphrase_is_named(ssh_hosts, launcher):
    host = ssh_hosts.start()
    keygen("-q", "-p", "-N", "secret", "-f", ssh_hosts.identity)
    error = await refused(launcher, host.config())
    assert error.hopeless
    assert "the passphrase of ~/.ssh/id_ed25519" in error.reason
    error = await refused(launcher, host.config(identity=str(ssh_hosts.identity)))
    assert error.hopeless
    assert f"asked for, and not answered: the passphrase of {ssh_hosts.identity}" in error.reason
    assert "ssh-add" in error.mend


class Asks(asyncssh.SSHServer):
    """A server that wants a code from a person."""

    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str):
        return "", "", "", [("One-time code: ", False)]

    def validate_kbdint_response(self, username: str, responses) -> bool:
        return False


async def test_what_a_server_asks_of_a_person_is_named(ssh_hosts, launcher):
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.8", 0, server_factory=Asks, server_host_keys=[key], config=None)
    port = server.get_port()
    ssh_hosts.known_hosts.write_text(f"[127.0.0.8]:{port} {key.export_public_key().decode()}")
    error = await refused(launcher, HostConfig(name="asks", launcher="ssh", address="127.0.0.8", port=port))
    assert error.hopeless
    assert "asked for, and not answered: One-time code" in error.reason
    server.close()
    await server.wait_closed()


# ---- hosts that are not there, or not quite


async def test_a_closed_port_may_be_open_later(ssh_hosts, launcher, mute):
    address, _ = mute
    with socket.socket() as unused:
        unused.bind((address, 0))
        error = await refused(
            launcher, HostConfig(name="h", launcher="ssh", address=address, port=unused.getsockname()[1], user="u")
        )
    assert not error.hopeless
    assert "connect" in error.reason
    assert "refused" in error.reason


async def test_a_server_that_never_speaks_runs_out_of_the_time_for_its_phase(ssh_hosts, mute):
    address, port = mute
    host = HostConfig(name="h", launcher="ssh", address=address, port=port, user="u")
    error = await refused(SshLauncher(Limits(login=0.3)), host)
    assert not error.hopeless
    assert error.reason == f"u@{address}:{port}: no end of phase 'login' within 0.3 s"


async def test_a_name_that_does_not_resolve(ssh_hosts, launcher):
    error = await refused(launcher, HostConfig(name="h", launcher="ssh", address="nosuch.invalid"))
    assert "nosuch.invalid: resolve" in error.reason
    assert "hosts.h.address" in error.mend


@pytest.mark.parametrize(("code", "hopeless"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False)])
def test_only_a_name_service_that_is_away_is_worth_another_try(code, hopeless):
    error = host_error(socket.gaierror(code, "Name or service not known"), "resolve", "h", name="h")
    assert error.hopeless is hopeless


def test_no_error_is_without_words():
    for error in (TimeoutError(), ConnectionResetError(), OSError(), asyncssh.ConnectionLost(""), ValueError()):
        told = host_error(error, "connect", "u@h", name="h")
        assert told.reason.startswith("u@h: connect: ")
        assert len(told.reason) > len("u@h: connect: ")


async def test_logins_dropped_by_a_busy_server_may_be_tried_again(ssh_hosts):
    host = ssh_hosts.start("MaxStartups 2:100:2")
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            waiting = stack.enter_context(socket.create_connection((host.address, host.port)))
            assert waiting.recv(4) == b"SSH-"
        error = await refused(SshLauncher(), host.config())
    assert not error.hopeless
    assert "MaxStartups" in error.mend


async def test_no_more_logins_at_once_than_a_server_takes(ssh_hosts):
    host = ssh_hosts.start("MaxStartups 10:100:10")
    # A few fewer: the server counts a login for some moments longer than we do.
    launcher = SshLauncher(Limits(logins=5))
    connections = await asyncio.gather(*(launcher.connect(host.config()) for _ in range(40)))
    assert "MaxStartups" not in host.log()
    await asyncio.gather(*(connection.close() for connection in connections))


# ---- jumps


def accepted(log: str) -> int:
    return log.count("Accepted publickey")


async def test_a_jump_host_is_opened_once_for_all_behind_it_and_ends_with_the_last(ssh_hosts, launcher):
    jump, host = ssh_hosts.start(), ssh_hosts.start()
    behind = host.config(jump=f"{jump.user}@{jump.address}:{jump.port}")
    connections = await asyncio.gather(*(launcher.connect(behind) for _ in range(20)))
    assert accepted(jump.log()) == 1
    assert accepted(host.log()) == 20
    assert await output_of(connections[7], "whoami") == f"{host.user}\n".encode()
    for connection in connections[1:]:
        await connection.close()
    assert await output_of(connections[0], "whoami") == f"{host.user}\n".encode()
    await connections[0].close()
    await until(lambda: not jump.sessions())
    await (await launcher.connect(behind)).close()
    assert accepted(jump.log()) == 2


async def test_two_jumps_from_the_configuration_of_ssh(ssh_hosts, launcher):
    first, second, host = ssh_hosts.start(), ssh_hosts.start(), ssh_hosts.start()
    (ssh_hosts.home / ".ssh" / "config").write_text(
        "".join(
            f"Host {name}\n  Hostname {at.address}\n  Port {at.port}\n  User {at.user}\n  ProxyJump {jump}\n"
            for name, at, jump in (("one", first, "one"), ("two", second, "one"), ("three", host, "two"))
        )
    )
    connection = await launcher.connect(HostConfig(name="three", launcher="ssh"))
    assert [accepted(at.log()) for at in (first, second, host)] == [1, 1, 1]
    assert await output_of(connection, "whoami") == f"{host.user}\n".encode()
    await connection.close()
    await until(lambda: not any(at.sessions() for at in (first, second, host)))


async def test_a_lost_jump_host_is_named_by_all_behind_it_and_opened_again(ssh_hosts, launcher):
    jump, host = ssh_hosts.start(), ssh_hosts.start()
    name = f"{jump.user}@{jump.address}:{jump.port}"
    connections = [await launcher.connect(host.config(jump=name)) for _ in range(2)]
    for pid in jump.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await until(lambda: all(connection.why_lost() for connection in connections))
    assert all(re.fullmatch(f"jump host {name}: {LOST}", connection.why_lost()) for connection in connections)
    again = await launcher.connect(host.config(jump=name))
    for connection in (*connections, again):
        await connection.close()
    assert accepted(jump.log()) == 2


async def test_what_is_wrong_with_a_jump_host_is_said_of_it(ssh_hosts, launcher):
    jump, host = ssh_hosts.start(known=False), ssh_hosts.start()
    name = f"{jump.user}@{jump.address}:{jump.port}"
    error = await refused(launcher, host.config(jump=name))
    assert error.hopeless
    assert error.reason.startswith(f"jump host {name}: the host key of {jump.entry} is unknown")
    closed = ssh_hosts.start("AllowTcpForwarding no")
    error = await refused(launcher, host.config(jump=f"{closed.user}@{closed.address}:{closed.port}"))
    assert error.hopeless
    assert "AllowTcpForwarding" in error.mend
    (ssh_hosts.home / ".ssh" / "config").write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    assert "is behind itself" in (await refused(launcher, host.config(jump="a"))).reason
    assert accepted(host.log()) == 0
