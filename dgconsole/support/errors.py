"""The five kinds of error that the project raises: each says whose fault it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class DgError(Exception):
    """The base of our family; never raised itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in the user's input: what, where, what to do.

    Parameters
    ----------
    what
        One line: what is so and what to do about it.
    file, line, key
        Where; empty or 0 where it does not apply. ``line`` counts from 1, ``key`` is dotted.
    """

    what: str
    file: str = ""
    line: int = 0
    key: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.key, self.what) if part)


class InputError(DgError):
    """The user's input is wrong; nothing was started. Carries every problem found (exit status 2)."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(p if isinstance(p, Problem) else Problem(p) for p in problems)
        super().__init__("\n".join(map(str, self.problems)))

    @classmethod
    def raise_if(cls, problems: Iterable[Problem]) -> None:
        """Raise one error with all of ``problems``, if there are any."""
        found = tuple(problems)
        if found:
            raise cls(*found)


class PeerError(DgError):
    """The other end of a connection broke the rules or went away; that connection ends."""


class HostError(DgError):
    """A host cannot be used: ``reason`` says what is so, ``mend`` what to do.

    ``hopeless``: trying again by itself would fail the same way, so the host is set aside at once.
    """

    def __init__(self, reason: str, mend: str = "", *, hopeless: bool = False) -> None:
        self.reason = reason
        self.mend = mend
        self.hopeless = hopeless
        super().__init__(f"{reason}. {mend}" if mend else reason)


class Fault(StrEnum):
    """Why an attempt at a chunk failed."""

    SPEC = "spec"
    """The spec itself: it fails the same everywhere, so a retry is hopeless."""
    GENERATE = "generate"
    """Raised while rows were generated; counts against the chunk."""
    PARTITION = "partition"
    """Raised while rows were placed or written; counts against the chunk."""
    DELIVER = "deliver"
    """The destination did not take the files; counts against the client."""
    DISK = "disk"
    """No space or an I/O error where the client works; counts against the client."""
    WORKDIR = "workdir"
    """The client's working directory is gone or not writable; counts against the client."""
    MEMORY = "memory"
    """The client ran out of memory; counts against the client."""
    STALL = "stall"
    """No progress for longer than the stall time-out."""
    LOST = "lost"
    """The client vanished or its lease ran out; blames nobody."""
    STOPPED = "stopped"
    """The attempt was given back because somebody stopped the client; uses up no attempt."""

    @property
    def of_client(self) -> bool:
        """Whether this fault is the client's own, so that three in a row make it give up."""
        return self in (Fault.DELIVER, Fault.DISK, Fault.WORKDIR, Fault.MEMORY)


class ChunkError(DgError):
    """One attempt at one chunk failed."""

    def __init__(self, fault: Fault, text: str) -> None:
        self.fault = fault
        self.text = text
        super().__init__(text)


class BugError(DgError):
    """We broke one of our own rules; ``story`` holds what led to it, for the log."""

    def __init__(self, text: str, story: Iterable[str] = ()) -> None:
        self.story = tuple(story)
        super().__init__(text)
