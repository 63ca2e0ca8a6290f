"""When a client gives up, and whose fault an error at a chunk is; pure but for errno tables."""

import errno
from collections.abc import Sequence
from pathlib import Path

from dgconsole.support.errors import ChunkError, Fault

GIVE_UP_AFTER = 3
"""So many faults of its own since the last chunk that it completed, and the client gives up."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def gives_up(outcomes: Sequence[Fault | None]) -> bool:
    """Whether a client whose attempts ended so (None: completed), the newest last, should leave.

    Faults of the chunk say nothing about the client: they neither count nor break the row.
    """
    own = 0
    for outcome in reversed(outcomes):
        if outcome is None:
            break
        own += outcome.of_client
    return own >= GIVE_UP_AFTER


def blame(error: BaseException, stage: str, workdir: Path) -> ChunkError:
    """An error raised while a chunk was made, as our kind, with one line for people.

    Parameters
    ----------
    stage
        What was going on: "generate", "partition" or "deliver".
    workdir
        Errors at files below it are the workdir's, at files elsewhere the destination's.
    """
    if isinstance(error, ChunkError):
        return error
    return ChunkError(_fault(error, stage, workdir), in_a_line(error))


def in_a_line(error: BaseException) -> str:
    """The error as one line: its class, unless it is an OSError, which says enough, and its text."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "out of memory"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _fault(error: BaseException, stage: str, workdir: Path) -> Fault:
    if isinstance(error, MemoryError):
        return Fault.MEMORY
    if isinstance(error, OSError) and error.errno in _FULL:
        return Fault.DISK
    if stage == "generate":
        return Fault.GENERATE
    if isinstance(error, OSError):
        return Fault.WORKDIR if _below(error.filename, workdir) else Fault.DELIVER
    return Fault.DELIVER if stage == "deliver" else Fault.PARTITION


def _below(name: object, folder: Path) -> bool:
    return isinstance(name, str) and (not Path(name).is_absolute() or Path(name).is_relative_to(folder))
