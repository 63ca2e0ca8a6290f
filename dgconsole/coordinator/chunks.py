"""The chunks of a run as arrays, and the only ways in which one may change its state."""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dgconsole.support.errors import BugError


class State(IntEnum):
    """Stored states of a chunk; the numbers are those of the ledger and of ``snapshot.CHUNK_STATES``."""

    PENDING = 0
    """Nobody has it: never handed out, or an attempt ended and the next may begin at ``retry_at``."""
    ASSIGNED = 1
    """One client has it, under one attempt number; its files may be on their way to the final names."""
    DELIVERED = 2
    """It is loaded, and waits for the commit of its transaction; only where the destination has transactions."""
    COMPLETED = 3
    """Its files have their final names. Nothing leaves this state."""
    LIMBO = 4
    """No more attempts are made until a person asks for them."""


TRANSITIONS: Final[dict[tuple[State, State], str]] = {
    (State.PENDING, State.ASSIGNED): "handed out",
    (State.ASSIGNED, State.COMPLETED): "files accepted",
    (State.ASSIGNED, State.DELIVERED): "loaded in its transaction",
    (State.DELIVERED, State.COMPLETED): "transaction committed",
    (State.DELIVERED, State.PENDING): "transaction undone",
    (State.ASSIGNED, State.PENDING): "attempt ended otherwise",
    (State.ASSIGNED, State.LIMBO): "attempts used up, or hopeless",
    (State.LIMBO, State.PENDING): "a person retries it",
}
"""Every change of state there is, and what brings it about."""

_LEGAL: Final = frozenset((int(a), int(b)) for a, b in TRANSITIONS)

Row = tuple[int, int, int, int, float, int, bool, int, float]


class Chunks:
    """Working copy of all target chunks, in the order of their ids; about 40 bytes each.

    ``attempt`` is the number of the newest attempt (the fence; never goes back), ``used`` how many attempts count
    against the limit. ``client`` is the index of the client that has or last had the chunk, ``avoid``
    that of the one that should not get it next (-1 none). ``retry_at`` (clock seconds) matters while
    pending. ``fresh``: pending and not yet taken from the first pass in index order. ``rows`` and ``seconds``
    are of the completed attempt.
    """

    def __init__(self, ids: NDArray[np.int32]) -> None:
        count = len(ids)
        self.ids = ids
        self.state = np.zeros(count, np.uint8)
        self.attempt = np.zeros(count, np.int32)
        self.used = np.zeros(count, np.uint8)
        self.client = np.full(count, -1, np.int32)
        self.avoid = np.full(count, -1, np.int32)
        self.retry_at = np.zeros(count, np.float64)
        self.fresh = np.ones(count, np.bool_)
        self.rows = np.zeros(count, np.int64)
        self.seconds = np.zeros(count, np.float32)
        self.counts = [count, 0, 0, 0, 0]
        self.retrying = 0

    def __len__(self) -> int:
        return len(self.ids)

    def index(self, chunk: int) -> int:
        """Where that id is; -1 when it is no target."""
        if not 0 <= chunk < 2**31:
            return -1
        at = int(np.searchsorted(self.ids, np.int32(chunk)))
        return at if at < len(self.ids) and self.ids[at] == chunk else -1

    def recount(self) -> None:
        """Make the counts agree with the arrays, after the arrays were set as a whole."""
        self.counts = [int(n) for n in np.bincount(self.state, minlength=len(State))]
        self.retrying = int(np.count_nonzero((self.state == State.PENDING) & (self.used > 0)))

    def move(self, i: int, to: State, used: int) -> None:
        """Change the state of the chunk at index ``i``, with ``used`` attempts from now on."""
        old = int(self.state[i])
        if (old, int(to)) not in _LEGAL:
            raise BugError(
                f"chunk {self.ids[i]}: no way from {State(old).name.lower()} to {to.name.lower()}",
                [f"attempt {self.attempt[i]}, used {self.used[i]}, client {self.client[i]}"],
            )
        if old == State.PENDING and self.used[i]:
            self.retrying -= 1
        if to is State.PENDING and used:
            self.retrying += 1
        self.counts[old] -= 1
        self.counts[to] += 1
        self.state[i] = to
        self.used[i] = used

    def row(self, i: int) -> Row:
        """All that can change of one chunk, to be put back by ``restore``."""
        return (
            int(self.state[i]),
            int(self.attempt[i]),
            int(self.used[i]),
            int(self.client[i]),
            float(self.retry_at[i]),
            int(self.avoid[i]),
            bool(self.fresh[i]),
            int(self.rows[i]),
            float(self.seconds[i]),
        )

    def restore(self, i: int, row: Row) -> None:
        """Put back what ``row`` took; ``recount`` is up to the caller."""
        (
            self.state[i],
            self.attempt[i],
            self.used[i],
            self.client[i],
            self.retry_at[i],
            self.avoid[i],
            self.fresh[i],
            self.rows[i],
            self.seconds[i],
        ) = row

    def problems(self) -> list[str]:
        """What is wrong within the arrays alone; empty when all is well."""
        found = []
        counts, retrying = self.counts, self.retrying
        self.recount()
        if (counts, retrying) != (self.counts, self.retrying):
            found.append(f"counts {counts}, {retrying} are not those of the arrays: {self.counts}, {self.retrying}")
        checks = {
            "fresh but not pending": self.fresh & (self.state != State.PENDING),
            "in work without a client": np.isin(self.state, (State.ASSIGNED, State.DELIVERED)) & (self.client < 0),
            "more attempts used than were begun": self.used > self.attempt,
            "rows though not completed": (self.rows != 0) & (self.state != State.COMPLETED),
        }
        for words, wrong in checks.items():
            if wrong.any():
                found.append(f"chunk {self.ids[int(np.argmax(wrong))]}: {words}")
        return found
