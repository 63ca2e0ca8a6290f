"""An SSH connection at work: programs over there, the way back to our coordinator, and files sent."""

import asyncio
import contextlib
import posixpath
import secrets
import shlex
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar, cast

import asyncssh

from dgconsole.fleet.launchers.sshproblems import FAILURES, host_error
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

READ = 1 << 18
NOISE_LINES = 20
MAX_NOISE = 1 << 16
CLOSING = 5.0
"""Seconds for each step of an orderly end."""
SESSION_WAITS = (0.05, 0.2, 0.5, 1.0)
"""Seconds between tries to open a session: one that has just ended may still be counted over there (MaxSessions)."""

T = TypeVar("T")


class SshChannel:
    """A program over there. What it says on stderr is kept, the last lines of it."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], why_lost: Callable[[], str]) -> None:
        self._process = process
        self._why_lost = why_lost
        self._said = b""
        self._given_up = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        with contextlib.suppress(*FAILURES):
            while data := await self._process.stderr.read(READ):
                self._said = (self._said + data)[-MAX_NOISE:]

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.write(data)

    async def read(self) -> bytes:
        try:
            return await self._process.stdout.read(READ)
        except FAILURES:
            return b""

    async def noise(self) -> str:
        await self._listening
        lines = self._said.decode("utf-8", "replace").splitlines()[-NOISE_LINES:]
        return "; ".join(part for part in (*lines, self._why_lost()) if part)

    async def wait(self) -> int | None:
        """Its exit status, minus the signal that ended it, or None: lost, nobody knows how it ended.

        What is left on stdout is thrown away, so that a full pipe holds up no end.
        """
        ended = asyncio.create_task(self._drained())
        given_up = asyncio.create_task(self._given_up.wait())
        try:
            await asyncio.wait((ended, given_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ended, given_up):
                task.cancel()
            await asyncio.gather(ended, given_up, return_exceptions=True)
        return None if self._process.exit_status is None else self._process.returncode

    async def _drained(self) -> None:
        while await self.read():
            pass
        await self._process.wait_closed()

    async def close(self) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.write_eof()
        await self.wait()
        if self._given_up.is_set():
            self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    def kill(self) -> None:
        """Ask for its end (sshd does not do it for root) and hear no more of it: its stdin has ended in any case."""
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(OSError):
            self._process.close()
        self._given_up.set()


class SshConnection:
    """A host that is logged in to. ``target`` says where; ``why_lost`` and ``release`` come from the launcher.

    ``left`` are the sockets over there that earlier connections, lost ones, could not remove.
    """

    def __init__(
        self,
        conn: asyncssh.SSHClientConnection,
        host: HostConfig,
        target: str,
        *,
        why_lost: Callable[[], str],
        release: Callable[[], Awaitable[None]],
        left: list[str],
    ) -> None:
        self._conn = conn
        self._host = host
        self._target = target
        self._release = release
        self._listeners: list[asyncssh.SSHListener] = []
        self._left = left
        self._sockets: list[str] = []
        self._closed = False
        self.why_lost = why_lost

    async def run(self, argv: tuple[str, ...]) -> SshChannel:
        command = f"exec {command_line(argv)}"
        try:
            process = await self._session(lambda: self._conn.create_process(command, encoding=None))
        except FAILURES as error:
            raise self._problem(error, "start") from error
        return SshChannel(process, self.why_lost)

    async def _session(self, opening: Callable[[], Awaitable[T]]) -> T:
        for wait in SESSION_WAITS:
            try:
                return await opening()
            except asyncssh.ChannelOpenError:
                if self.why_lost():
                    raise
                await asyncio.sleep(wait)
        return await opening()

    async def server_address(self, address: str) -> str:
        """A socket over there that leads to ``address`` here; with ``connect: direct`` it is ``address`` itself.

        A UNIX socket under a name nobody can guess, 0600 as sshd makes it; where sshd forbids that, a free port of
        the loopback. HostError where both are forbidden.
        """
        kind, _, path = address.partition(":")
        if kind != "unix" and self._host.connect == "direct":
            return address
        host, _, port = address.rpartition(":")
        remote = f"/tmp/dgconsole-{secrets.token_hex(12)}.sock"  # noqa: S108 - unguessable, and sshd makes it 0600
        conn = self._conn
        try:
            if kind == "unix":
                listener = await conn.forward_remote_path(remote, path)
            else:
                listener = await conn.forward_remote_path_to_port(remote, host, int(port))
        except asyncssh.ChannelListenError:
            listener = None
        except FAILURES as error:
            raise self._problem(error, "forward") from error
        if listener is not None:
            self._listeners.append(listener)
            self._sockets.append(remote)
            return f"unix:{remote}"
        try:
            if kind == "unix":
                listener = await conn.forward_remote_port_to_path("127.0.0.1", 0, path)
            else:
                listener = await conn.forward_remote_port("127.0.0.1", 0, host, int(port))
        except FAILURES as error:
            if self.why_lost() or not isinstance(error, asyncssh.ChannelListenError):
                raise self._problem(error, "forward") from error
            raise HostError(
                f"{self._target}: its SSH server forbids forwards back to here",
                "Allow them there (AllowTcpForwarding remote, AllowStreamLocalForwarding remote) or set "
                f"hosts.{self._host.name}.connect: direct.",
                hopeless=True,
            ) from error
        self._listeners.append(listener)
        return f"127.0.0.1:{listener.get_port()}"

    async def put(self, source: Path, target: str) -> None:
        place = target.removeprefix("~/")
        part = f"{place}.{secrets.token_hex(4)}.part"
        try:
            async with await self._session(self._conn.start_sftp_client) as sftp:
                await sftp.makedirs(posixpath.dirname(place) or ".", exist_ok=True)
                try:
                    await sftp.put(source, part)
                    await sftp.posix_rename(part, place)
                except asyncssh.SFTPError:
                    with contextlib.suppress(asyncssh.SFTPError):
                        await sftp.remove(part)
                    raise
        except FAILURES as error:
            raise self._problem(error, f"copy to {target}") from error

    async def read_log(self, path: str) -> AsyncGenerator[bytes, None]:
        place = path.removeprefix("~/")
        try:
            async with (
                await self._session(self._conn.start_sftp_client) as sftp,
                contextlib.AsyncExitStack() as stack,
            ):
                for file in await _both_parts(sftp, place, stack):
                    left = (await file.stat()).size or 0
                    while data := cast("bytes", await file.read(min(READ, left))):
                        left -= len(data)
                        yield data
        except asyncssh.ChannelOpenError as error:
            if self.why_lost():
                raise self._problem(error, f"copy of {path}") from error
            reason = f"{self._target}: its SSH server gives no second session, and the host agent has the first"
            raise HostError(reason, f"Copy it by hand, or raise MaxSessions there: {path}") from error
        except FAILURES as error:
            raise self._problem(error, f"copy of {path}") from error

    async def close(self) -> None:
        """End it. A lost connection leaves its dead socket over there, for the next one to remove at its end."""
        if self._closed:
            return
        self._closed = True
        for listener in self._listeners:
            listener.close()
        self._left += self._sockets
        try:
            if self._left and not self.why_lost():
                await self._remove(tuple(self._left))
        finally:
            await end(self._conn)
            await self._release()

    async def _remove(self, sockets: tuple[str, ...]) -> None:
        with contextlib.suppress(HostError, TimeoutError):
            async with asyncio.timeout(CLOSING):
                removing = await self.run(("rm", "-f", "--", *sockets))
                await removing.close()
                if await removing.wait() == 0:
                    self._left[:] = [socket for socket in self._left if socket not in sockets]

    def _problem(self, error: BaseException, phase: str) -> HostError:
        if why := self.why_lost():
            return HostError(f"{self._target}: {phase}: {why}")
        return host_error(error, phase, self._target, name=self._host.name)


async def _both_parts(
    sftp: asyncssh.SFTPClient, log: str, stack: contextlib.AsyncExitStack
) -> list[asyncssh.SFTPClientFile]:
    """The older part of a log and the newest, opened so that a change from one to the other loses nothing."""
    while True:
        newest = await stack.enter_async_context(sftp.open(log, "rb"))
        parts = [newest]
        with contextlib.suppress(asyncssh.SFTPNoSuchFile):
            parts.insert(0, await stack.enter_async_context(sftp.open(f"{log}.1", "rb")))
        opened, now = (await newest.stat()).size or 0, (await sftp.stat(log)).size or 0
        if now >= opened:  # a file that became the older part has left an emptier one behind
            return parts


async def end(conn: asyncssh.SSHClientConnection) -> None:
    """Close it in good order, or at once when the other end does not play along."""
    conn.close()
    try:
        async with asyncio.timeout(CLOSING):
            await conn.wait_closed()
    except TimeoutError:
        conn.abort()


def command_line(argv: tuple[str, ...]) -> str:
    """``argv`` for a shell over there; a program under ``~/`` is looked for in the home there."""
    program, *rest = argv
    if program.startswith("~/"):
        return " ".join(['"$HOME"/' + shlex.quote(program[2:]), *map(shlex.quote, rest)])
    return shlex.join(argv)
