"""The launcher for this machine: the agent over plain pipes, in a session of its own."""

import asyncio
import contextlib
import os
import shutil
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO

from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

READ = 1 << 18
NOISE_LINES = 20


class LocalChannel:
    """An agent that is a child of this process; a signal to our terminal's group does not reach it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._said: deque[str] = deque(maxlen=NOISE_LINES)
        self._listening = asyncio.create_task(self._listen(process.stderr))

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while line := await stderr.readline():
            self._said.append(line.decode("utf-8", "replace").rstrip())

    def write(self, data: bytes) -> None:
        if not self._stdin.is_closing():
            self._stdin.write(data)

    async def read(self) -> bytes:
        return await self._stdout.read(READ)

    async def noise(self) -> str:
        await self._listening
        return "; ".join(self._said)

    async def wait(self) -> int | None:
        while await self.read():
            pass
        return await self._process.wait()

    async def close(self) -> None:
        self._stdin.close()
        with contextlib.suppress(ConnectionError):
            await self._stdin.wait_closed()
        await self.wait()
        await self._listening

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class LocalConnection:
    """This machine: always there, nothing to forward."""

    def __init__(self, host: HostConfig) -> None:
        self._host = host

    async def run(self, argv: tuple[str, ...]) -> LocalChannel:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except OSError as error:
            raise HostError(
                f"{argv[0]} cannot be started: {error.strerror}",
                f"Set hosts.{self._host.name}.python to a Python that exists.",
                hopeless=True,
            ) from error
        return LocalChannel(process)

    async def server_address(self, address: str) -> str:
        return address

    async def put(self, source: Path, target: str) -> None:
        def copy() -> None:
            place = Path(target).expanduser()
            part = place.with_name(f"{place.name}.part")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, part)
            part.replace(place)

        try:
            await asyncio.to_thread(copy)
        except OSError as error:
            raise HostError(f"{error.filename or target} cannot be written: {error.strerror}") from error

    async def read_log(self, path: str) -> AsyncGenerator[bytes, None]:
        try:
            with contextlib.ExitStack() as stack:
                for file in await asyncio.to_thread(_both_parts, Path(path), stack):
                    left = os.fstat(file.fileno()).st_size
                    while data := await asyncio.to_thread(file.read, min(READ, left)):
                        left -= len(data)
                        yield data
        except OSError as error:
            raise HostError(f"{error.filename or path} cannot be read: {error.strerror}") from error

    def why_lost(self) -> str:
        return ""

    async def close(self) -> None:
        return


def _both_parts(log: Path, stack: contextlib.ExitStack) -> list[BinaryIO]:
    """The older part of a log and the newest, opened so that a change from one to the other loses nothing."""
    while True:
        newest = stack.enter_context(log.open("rb"))
        parts: list[BinaryIO] = [newest]
        with contextlib.suppress(FileNotFoundError):
            parts.insert(0, stack.enter_context(log.with_name(f"{log.name}.1").open("rb")))
        if os.path.samestat(os.fstat(newest.fileno()), log.stat()):
            return parts


async def connect_local(host: HostConfig) -> LocalConnection:
    """The way to this machine."""
    return LocalConnection(host)
