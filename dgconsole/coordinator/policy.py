"""What to do about an attempt that failed, how much a request gets, when to stop handing out: pure functions."""

import re
from collections.abc import Sequence

from msgspec import Struct

from dgconsole.support.errors import Fault

GUARD_CHUNKS = 3
"""The same error on so many chunks in a row, with none completed between, pauses handing out."""

OF_THE_CHUNK = frozenset({Fault.SPEC, Fault.GENERATE, Fault.PARTITION})
"""Faults that come from what is made, not from where: only these can make a chunk poison or call the guard."""


class Failure(Struct, frozen=True):
    """One failed attempt as far as it decides about the next. ``cause`` is the folded text."""

    client: int
    fault: Fault
    cause: str


class Retry(Struct, frozen=True):
    """Try again after ``wait`` seconds, on another client than ``avoid`` (-1: any) where there is one."""

    wait: float
    uses_attempt: bool
    avoid: int


class GiveItUp(Struct, frozen=True):
    """Leave the chunk in limbo; ``reason`` says why no more attempts are made."""

    reason: str


_PATH = re.compile(r"(?<![\w.])~?/[^\s'\",:;()\[\]]+")
_HEX = re.compile(r"\b0x[0-9a-fA-F]+\b")
_NUMBER = re.compile(r"[-+]?\b\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def fold(text: str) -> str:
    """The text with numbers and paths folded: errors that differ in nothing else have one cause.

    >>> fold("no space left on /scratch/dg/here-2 (chunk 4321)")
    'no space left on … (chunk #)'
    """
    return _NUMBER.sub("#", _HEX.sub("#", _PATH.sub("…", text)))


def growing_wait(used: int, base: float, limit: float) -> float:
    """Seconds before attempt ``used + 1``: base, 4 base, 16 base ... up to ``limit``."""
    return float(min(limit, base * 4.0 ** min(used - 1, 20)))


def judge(
    failure: Failure, earlier: Sequence[Failure], *, used: int, max_attempts: int, base: float, limit: float
) -> Retry | GiveItUp:
    """What follows a failed attempt.

    Parameters
    ----------
    failure, earlier
        This failure, and those of this chunk since it was last given fresh attempts.
    used
        Attempts used, this one counted.
    base, limit
        Of the growing wait, in seconds.
    """
    if failure.fault is Fault.STOPPED:
        return Retry(0.0, uses_attempt=False, avoid=-1)
    if failure.fault is Fault.SPEC:
        return GiveItUp("an error of the spec itself fails the same everywhere")
    if failure.fault in OF_THE_CHUNK and any(
        past.cause == failure.cause and past.fault is failure.fault and past.client != failure.client
        for past in earlier
    ):
        return GiveItUp("the same error on two clients")
    if used >= max_attempts:
        return GiveItUp(f"{used} attempt{'s' if used != 1 else ''} used up")
    return Retry(growing_wait(used, base, limit), uses_attempt=True, avoid=failure.client)


def share(*, left: int, clients: int, asked: int, limit: int) -> int:
    """How many chunks a request gets: at most half of its client's part of what is left.

    So a short run uses all clients. ``clients`` are those expected to take part. At least 1 is given, at most
    ``limit`` and what was asked.
    """
    return min(asked, limit, max(1, left // (2 * max(1, clients))))
