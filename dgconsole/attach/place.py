"""Where the session of a run directory listens for faces, and how to get hold of it."""

import asyncio
import json
import os
import socket
from pathlib import Path

from dgconsole.support.errors import InputError, Problem

SOCKET = "control.sock"
ELSEWHERE = "control.json"
"""Holds ``{"socket": PATH}`` where the run directory's own path is too long for a socket."""
_LONGEST = 100
"""Bytes in the path of a UNIX socket that every system takes."""
_PATIENCE = 5.0
"""Seconds for a connection to be taken."""


def run_directory(path: Path) -> Path:
    """``path``, absolute, if a run is in it. InputError when not."""
    path = path.absolute()
    if not path.is_dir():
        what = "is a file, not a run directory" if path.exists() else "there is no such run directory"
        raise InputError(Problem(what, file=str(path)))
    try:
        found = (path / "plan" / "plan.json").exists()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=str(path))) from error
    if not found:
        raise InputError(Problem("is no run directory: it holds no plan/plan.json", file=str(path)))
    return path


def socket_of(path: Path) -> Path:
    """Where a session of that run directory listens, if there is one."""
    try:
        told = json.loads((path / ELSEWHERE).read_bytes())
        return Path(str(told["socket"]))
    except FileNotFoundError:
        short = len(os.fsencode(path / SOCKET)) <= _LONGEST
        return (path if short else path.resolve()) / SOCKET
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(Problem("cannot be read", file=str(path / ELSEWHERE))) from error


async def connect(path: Path) -> socket.socket:
    """A connection to the session of a run directory. InputError: no session runs there, or it is another user's."""
    address = str(socket_of(path))
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, address), _PATIENCE)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        sock.close()
        what = f"no session runs there; `dgconsole report {path}` shows what was made"
        raise InputError(Problem(what, file=str(path))) from error
    except OSError as error:
        sock.close()
        what = f"its session cannot be reached: {error.strerror or error or 'no answer'}"
        raise InputError(Problem(what, file=str(path))) from error
    except BaseException:
        sock.close()
        raise
    return sock


def session_runs(path: Path) -> bool:
    """Whether somebody listens there now."""
    try:
        address = str(socket_of(path))
    except InputError:
        return False
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        try:
            sock.connect(address)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True
