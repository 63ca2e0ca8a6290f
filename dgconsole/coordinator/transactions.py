"""A transaction: chunks of one client that belong together.

Without a transactional destination it only groups them in the ledger. With one (``Options.grouped``) it is opened
there before chunks are handed out in it, and is committed or undone there as a whole.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Stage(StrEnum):
    """How far a transaction has come."""

    OPENING = "opening"
    """The destination is to open it."""
    OPEN = "open"
    """Chunks are handed out in it, unless it is sealed."""
    COMMITTING = "committing"
    ABORTING = "aborting"
    STUCK = "stuck"
    """It could not be undone; tried again when a person says so."""


@dataclass(slots=True)
class Transaction:
    """One of them; ``client`` is its client's name, ``since`` when it was begun (clock seconds).

    ``destination`` is the destination's own number. ``room`` is for so many chunks; ``sealed``: it takes no more.
    ``out`` counts its chunks that are with the client, or on their way to their final names; ``delivered`` has
    those (by index) that wait for the commit. ``doomed`` says why it can only be undone ("" while it can be
    committed); that waits until ``quiet_at`` (clock seconds), as the client may be loading something until then.
    ``refused``: the destination did not commit it.
    """

    number: int
    client: str
    room: int
    since: float
    stage: Stage = Stage.OPEN
    destination: int = 0
    sealed: bool = False
    out: int = 0
    delivered: list[int] = field(default_factory=list)
    doomed: str = ""
    quiet_at: float = 0.0
    refused: bool = False

    def copy(self) -> "Transaction":
        return replace(self, delivered=list(self.delivered))
