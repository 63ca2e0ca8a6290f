"""A client's own folder in one that clients share: locked while it lives, and cleared by others once it does not."""

import fcntl
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from dgconsole.support.errors import ChunkError, Fault

LOCK = ".lock"
PATIENCE = 5.0
"""Seconds for somebody who clears it to have done so."""

_OWN = re.compile(r"\..+-[0-9a-f]{8}")


class OwnFolder:
    """``<root>/.<owner>``; the owner's name ends with eight hex digits.

    The lock is the kernel's: it goes with the process. Where a file system has none, nobody clears for others.
    """

    def __init__(self, root: Path, owner: str) -> None:
        self.path = root / f".{owner}"
        self._lock = -1

    def take(self) -> None:
        """Make it, empty but for its lock, which is held from here on.

        Raises
        ------
        ChunkError
            DELIVER: another process has it.
        OSError
            It cannot be made.
        """
        deadline = time.monotonic() + PATIENCE
        while not self._try_to_take():
            if time.monotonic() > deadline:
                raise ChunkError(Fault.DELIVER, f"{self.path} is another client's")
            time.sleep(0.05)
        for left in self.path.iterdir():
            if left.name != LOCK:
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()

    def clear_others(self) -> None:
        """Remove the folders of clients that are no more; what cannot be removed stays."""
        with suppress(OSError):
            for folder in list(self.path.parent.iterdir()):
                if _OWN.fullmatch(folder.name) and folder != self.path:
                    _clear(folder)

    def leave(self) -> None:
        """Remove it, and let it go."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def _try_to_take(self) -> bool:
        if self.path.is_symlink():
            self.path.unlink()
        self.path.mkdir(mode=0o700, exist_ok=True)
        try:
            fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # somebody was clearing it
            return False
        if _locked(fd, self.path) is False:
            os.close(fd)
            return False
        self._lock = fd
        return True


def _locked(fd: int, folder: Path) -> bool | None:
    """Whether the lock of ``folder``, open as ``fd``, is ours now; None where there are no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    try:
        return os.path.samestat(os.fstat(fd), (folder / LOCK).stat())
    except FileNotFoundError:
        return False  # it was cleared while we waited


def _clear(folder: Path) -> None:
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return  # just being made, or another user's
    try:
        if _locked(fd, folder):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(fd)
