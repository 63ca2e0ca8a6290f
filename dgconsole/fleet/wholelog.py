"""A client's whole log brought home: what its host keeps of it, older part first, as one file."""

import asyncio
import contextlib
import secrets
from pathlib import Path

from dgconsole.fleet.launchers.channel import Connection
from dgconsole.support.errors import HostError


async def fetch(connection: Connection, log: str, target: Path) -> int:
    """Copy the log at ``log`` over there to ``target``, which appears only when it is whole; its size in bytes.

    HostError when it cannot be read there or not be written here.
    """
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    size = 0
    try:
        with await asyncio.to_thread(part.open, "xb") as file:
            async with contextlib.aclosing(connection.read_log(log)) as pieces:
                async for data in pieces:
                    await asyncio.to_thread(file.write, data)
                    size += len(data)
        await asyncio.to_thread(part.replace, target)
    except OSError as error:
        raise HostError(f"{error.filename or target} cannot be written: {error.strerror or error}") from error
    finally:
        await asyncio.to_thread(part.unlink, missing_ok=True)
    return size
