"""SSH servers that behave oddly: late, talkative, deaf, half willing. Each ends in words, and none holds us up."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncssh
import pytest

from dgconsole.fleet.agentlink import AgentLink
from dgconsole.fleet.deploy.venv import deploy
from dgconsole.fleet.deploy.wheel import own_wheel
from dgconsole.fleet.launchers import sshconnection
from dgconsole.fleet.launchers.ssh import Limits, SshLauncher
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError


class Lets(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, username: str) -> bool:
        return False


class HangsUp(Lets):
    """Hangs up where the login should go on."""

    def begin_auth(self, username: str) -> bool:
        raise ConnectionResetError


class SendsAway(Lets):
    """Ends the login with a word."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    def begin_auth(self, username: str) -> bool:
        self._conn.disconnect(asyncssh.DISC_BY_APPLICATION, "the machine goes down for maintenance")
        return True


@pytest.fixture
async def serve(ssh_hosts: Any) -> AsyncIterator[Callable[..., Awaitable[HostConfig]]]:
    """``serve(server_class, **options)``: a server of asyncssh's own in this process, its key known."""
    servers: list[asyncssh.SSHAcceptor] = []

    async def start(server: type[asyncssh.SSHServer] = Lets, **options: Any) -> HostConfig:
        key = asyncssh.generate_private_key("ssh-ed25519")
        made = await asyncssh.listen(
            "127.0.0.8", 0, server_factory=server, server_host_keys=[key], config=None, **options
        )
        servers.append(made)
        port = made.get_port()
        with ssh_hosts.known_hosts.open("a") as known:
            known.write(f"[127.0.0.8]:{port} {key.export_public_key().decode()}")
        return HostConfig(name="odd", launcher="ssh", address="127.0.0.8", port=port, user="u", python="python3")

    yield start
    for made in servers:
        made.close()
        await made.wait_closed()


@pytest.fixture
async def before(ssh_hosts: Any) -> AsyncIterator[Callable[..., Awaitable[HostConfig]]]:
    """``before(host, greeting, wait=None)``: a port that says ``greeting``, waits, then leads to ``host``."""
    servers: list[asyncio.Server] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(host: Any, greeting: bytes, wait: asyncio.Event | None = None) -> HostConfig:
        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.current_task())
            far_reader, far_writer = await asyncio.open_connection(host.address, host.port)
            with contextlib.closing(writer), contextlib.closing(far_writer):
                writer.write(greeting)
                if wait is not None:
                    await wait.wait()
                await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

        server = await asyncio.start_server(meet, "127.0.0.9", 0)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        with ssh_hosts.known_hosts.open("a") as known:
            known.write(f"[127.0.0.9]:{port} {host.public_key}\n")
        return host.config(address="127.0.0.9", port=port)

    yield start
    for server in servers:
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def refused(host: HostConfig, **limits: float) -> HostError:
    with pytest.raises(HostError) as caught:
        await SshLauncher(Limits(**limits)).connect(host)
    return caught.value


async def failing(doing: Awaitable[Any]) -> HostError:
    with pytest.raises(HostError) as caught:
        await doing
    return caught.value


# ---- the login


async def test_a_server_may_talk_before_it_says_who_it_is(ssh_hosts, before):
    (ssh_hosts.folder / "banner").write_text("Authorised use only!\n" * 20)
    host = ssh_hosts.start(f"Banner {ssh_hosts.folder}/banner")
    talks = await before(host, b"Hello!\r\nThis machine is watched.\r\n")
    connection = await SshLauncher().connect(talks)
    await connection.close()


async def test_a_server_that_is_slow_to_say_who_it_is(ssh_hosts, before):
    host = ssh_hosts.start()
    awake = asyncio.Event()
    slow = await before(host, b"", awake)
    error = await refused(slow, login=0.3)
    assert not error.hopeless
    assert "no end of phase 'login' within 0.3 s" in error.reason
    connecting = asyncio.create_task(SshLauncher(Limits(connect=5.0, login=10.0)).connect(slow))
    awake.set()
    await (await connecting).close()


async def test_a_server_that_talks_without_end_is_not_listened_to_for_ever(ssh_hosts, before):
    talks = await before(ssh_hosts.start(), b"Welcome!\r\n" * 200_000, asyncio.Event())
    error = await refused(talks, login=3.0)
    assert not error.hopeless
    assert error.reason.startswith(f"{talks.user}@127.0.0.9:{talks.port}: ")


@pytest.mark.parametrize(
    ("server", "words"), [(HangsUp, "login: "), (SendsAway, "login: the machine goes down for maintenance")]
)
async def test_a_server_that_hangs_up_in_the_middle_of_a_login_may_be_tried_again(serve, server, words):
    host = await serve(server)
    error = await refused(host)
    assert not error.hopeless
    assert f"u@127.0.0.8:{host.port}: {words}" in error.reason


async def test_a_server_with_no_algorithm_of_ours_is_told_from_one_that_is_away(serve):
    host = await serve(encryption_algs=["3des-cbc"])
    error = await refused(host)
    assert error.hopeless
    assert "3des-cbc" in error.reason
    assert "~/.ssh/config" in error.mend


# ---- after the login


async def says_nothing(process: asyncssh.SSHServerProcess) -> None:
    process.exit(0)


async def closes(process: asyncssh.SSHServerProcess) -> None:
    process.close()


async def never_ends(process: asyncssh.SSHServerProcess) -> None:
    with contextlib.suppress(asyncssh.BreakReceived, asyncssh.SignalReceived):
        await asyncio.Event().wait()


async def talks_without_end(process: asyncssh.SSHServerProcess) -> None:
    with contextlib.suppress(OSError, asyncssh.SignalReceived):
        while True:
            process.stdout.write("la la la " * 1000)
            await process.stdout.drain()


@pytest.mark.parametrize("factory", [says_nothing, closes, None])
async def test_a_server_that_runs_nothing_for_us(serve, factory):
    """It ends the program at once, closes the channel without a word, or opens none."""
    connection = await SshLauncher().connect(await serve(process_factory=factory))
    error = await failing(AgentLink.open(connection, "python3", lease=5, patience=5))
    assert "hello" in error.reason or "start" in error.reason
    await connection.close()


async def test_a_program_that_never_speaks_runs_out_of_the_time_for_its_hello(serve, monkeypatch):
    monkeypatch.setattr(sshconnection, "CLOSING", 0.3)
    connection = await SshLauncher().connect(await serve(process_factory=never_ends))
    async with asyncio.timeout(5):
        error = await failing(AgentLink.open(connection, "python3", lease=5, patience=0.3))
        assert error.reason == "no end of phase 'hello' within 0.3 s"
        await connection.close()


async def test_a_program_that_talks_without_end_is_cut_short(serve, monkeypatch):
    monkeypatch.setattr(sshconnection, "CLOSING", 0.3)
    connection = await SshLauncher().connect(await serve(process_factory=talks_without_end))
    async with asyncio.timeout(10):
        error = await failing(AgentLink.open(connection, "python3", lease=5, patience=5))
        assert "no hello from the host agent; the host said: la la la" in error.reason
        assert len(error.reason) < 10_000
        await connection.close()


async def test_a_server_that_forwards_nothing_says_what_helps(serve):
    host = await serve(process_factory=says_nothing)
    connection = await SshLauncher().connect(host)
    error = await failing(connection.server_address("unix:/nowhere"))
    assert error.hopeless
    assert "forbids forwards" in error.reason
    assert "hosts.odd.connect: direct" in error.mend
    await connection.close()


async def test_a_server_without_SFTP_is_named(serve, tmp_path):
    """deploy needs it to send the wheel; that fails the same way the next time."""

    async def wants_the_wheel(process: asyncssh.SSHServerProcess) -> None:
        size = int(await process.stdin.readline())
        await process.stdin.readexactly(size)
        mark = (await process.stdin.readline()).split('"mark":"')[1].split('"')[0]
        process.stdout.write(f'\n{mark} {{"is":"wanted","target":"/tmp/nowhere/wheel"}}\n')
        process.exit(0)

    host = await serve(process_factory=wants_the_wheel)
    connection = await SshLauncher().connect(host)
    error = await failing(deploy(connection, host, own_wheel(tmp_path), patience=10, log=lambda *_: None))
    assert error.hopeless
    assert "copy to /tmp/nowhere/wheel" in error.reason
    assert "SFTP" in error.reason
    assert "Subsystem sftp" in error.mend
    assert "hosts.odd.deploy: none" in error.mend
    await connection.close()


async def test_a_server_that_is_gone_without_a_word_is_left_in_good_order(serve, monkeypatch):
    """Its connection is closed from over there while a program runs."""
    taken: list[asyncssh.SSHServerConnection] = []

    class Keeps(Lets):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            taken.append(conn)

    connection = await SshLauncher().connect(await serve(Keeps, process_factory=never_ends))
    channel = await connection.run(("sleep", "60"))
    taken[0].abort()
    assert await channel.wait() is None
    assert connection.why_lost() in ("Connection lost", "Connection reset by peer")
    await channel.close()
    await connection.close()
