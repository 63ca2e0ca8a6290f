"""A client's working directory: made, locked, cleared of this client's own leftovers, watched, and left."""

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path

from dgconsole.support.errors import ChunkError, Fault, InputError, Problem

LOCK = ".lock"
BUNDLE = "bundle"
OUT = "out"
CSV = "csv"
FAILED = "failed"
KEPT_FAILURES = 3
PART = ".part"
"""Ends the name of a CSV file that is still being written."""

LEAST_FREE = 1 << 20
"""Bytes that must be free before a chunk is begun."""


class Workdir:
    """The directory of one client, locked as long as the object lives.

    The lock is the kernel's (flock): it goes with the process, however that ends.
    """

    def __init__(self, path: Path) -> None:
        """Make the directory (0700) where there is none, and lock it.

        Raises
        ------
        InputError
            It cannot be made or written, or another client works in it.
        """
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - a path through a link stays as it was given
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self._not_locked(error) from error
        self._note_holder()
        self._identity = _identity(self.path)

    @property
    def bundle(self) -> Path:
        """Where the bundle is kept, as ``<kind>/<name>``."""
        return self.path / BUNDLE

    @property
    def out(self) -> Path:
        """Where files that are to be sent wait."""
        return self.path / OUT

    @property
    def csv(self) -> Path:
        """Where ``--keep-csv`` leaves the intermediate files."""
        return self.path / CSV

    def enter(self) -> None:
        """Clear what an earlier client left here, nothing else, and make this the current directory."""
        try:
            self.clear()
            os.chdir(self.path)
        except OSError as error:
            raise _unusable(self.path, error) from error

    def clear(self) -> None:
        """Remove the bundle, unsent files and half-written CSV files. Whole CSV files and notes on failures stay."""
        for folder in (self.bundle, self.out):
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                shutil.rmtree(folder)
        for part in self.csv.glob(f"*{PART}"):
            part.unlink(missing_ok=True)

    def check(self) -> None:
        """Before a chunk: the directory is still there, can be written, and has space.

        Raises
        ------
        ChunkError
            WORKDIR or DISK.
        """
        try:
            same = _identity(self.path) == self._identity
            space = os.statvfs(self.path)
        except OSError as error:
            raise ChunkError(Fault.WORKDIR, f"the workdir {self.path} is gone: {error.strerror}") from error
        if not same:
            raise ChunkError(Fault.WORKDIR, f"the workdir {self.path} was replaced by another")
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ChunkError(Fault.WORKDIR, f"the workdir {self.path} cannot be written")
        if space.f_bavail * space.f_frsize < LEAST_FREE:
            raise ChunkError(Fault.DISK, f"the workdir {self.path} has no space left")

    def note_failure(self, chunk: int, attempt: int, text: str) -> None:
        """Keep a note on a failed attempt in ``failed/``; the last three are kept. Never an error itself."""
        folder = self.path / FAILED
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            notes = sorted(folder.glob("chunk_*.txt"), key=lambda note: note.stat().st_mtime_ns)
            for note in notes[: len(notes) - KEPT_FAILURES + 1] if len(notes) >= KEPT_FAILURES else ():
                note.unlink()
            (folder / f"chunk_{chunk}_attempt-{attempt}.txt").write_text(text, errors="backslashreplace")
        except OSError:
            return  # the failure itself is reported; a workdir that takes no note shows at the next check

    def _note_holder(self) -> None:
        """Who holds the lock, for the message to the next one; a full disk does without."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode("ascii"), 0)

    def _not_locked(self, error: OSError) -> InputError:
        holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip()
        os.close(self._lock)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            return _unusable(self.path, error)
        who = f" (process {holder})" if holder.isdigit() else ""
        what = f"another client works in {self.path}{who}: give each client a workdir of its own"
        return InputError(Problem(what, key="--workdir"))


def _unusable(path: Path, error: OSError) -> InputError:
    return InputError(Problem(f"{path} cannot be used: {error.strerror}", key="--workdir"))


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
