"""All state of a run in one place, and how a batch of changes is taken back."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.coordinator import events as e
from dgconsole.coordinator.chunks import Chunks, Row, State
from dgconsole.coordinator.clients import Client, Hold
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.policy import Failure
from dgconsole.coordinator.transactions import Transaction
from dgconsole.coordinator.waiting import Waiting
from dgconsole.snapshot import RunState
from dgconsole.wire.messages import Figures


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A completed attempt whose files are being made final.

    The destination does that, and it no longer depends on its client; or, with a ``folder`` of the client's host
    where they stay, the client itself, asked at ``asked`` (clock seconds).
    """

    hold: Hold
    client: str
    peer: int
    figures: Figures
    folder: str = ""
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A delivered attempt that waits for the commit of its transaction. ``at``: when it was (clock seconds)."""

    hold: Hold
    client: str
    figures: Figures
    at: float


@dataclass(frozen=True, slots=True)
class LimboNote:
    """Why a chunk is in limbo. ``cause`` is the folded text."""

    fault: str
    text: str
    cause: str
    client: int


@dataclass(slots=True)
class Run:
    """What there is one of. Pauses are kept by reason, the text for people beside them; ResumeRun clears all."""

    pauses: dict[str, str] = field(default_factory=dict)
    stopping: bool = False
    finished: bool = False
    held: tuple[e.Event, ...] = ()
    next_transaction: int = 1
    refusals: int = 0
    """Transactions in a row that the destination did not commit."""
    guard_cause: str = ""
    guard_chunks: frozenset[int] = frozenset()
    sealed: bool = False

    @property
    def broken(self) -> bool:
        """The ledger could not be written, and nobody has said to go on since."""
        return "ledger" in self.pauses


class Books:
    """The working copy of what the ledger holds, and of what need not survive: who is connected, who waits.

    Parameters
    ----------
    chunks
        The targets, nothing of them assigned or delivered.
    names
        (name, host) of the clients that the ledger knows, by index.
    failures, limbo
        By index of the chunk: what the ledger knows of failed attempts since the last fresh start.
    next_transaction
        The first number that the ledger has not seen.
    offset
        Epoch seconds minus clock seconds: what is added to ``now`` for the ledger.
    """

    def __init__(
        self,
        chunks: Chunks,
        options: Options,
        *,
        names: Iterable[tuple[str, str]] = (),
        failures: dict[int, tuple[Failure, ...]] | None = None,
        limbo: dict[int, LimboNote] | None = None,
        next_transaction: int = 1,
        offset: float = 0.0,
    ) -> None:
        self.chunks = chunks
        self.options = options
        self.offset = offset
        self.run = Run(next_transaction=next_transaction)
        self.clients: dict[str, Client] = {}
        self.names = list(names)
        self.failures = failures or {}
        self.limbo = limbo or {}
        self.accepting: dict[int, Acceptance] = {}
        self.loaded: dict[int, Loaded] = {}
        self.transactions: dict[int, Transaction] = {}
        self.waiting = Waiting(chunks)
        self.askers: dict[str, None] = {}
        self.peers: dict[int, str] = {}
        self.revision = 1
        self.chunk_revision = 1
        self.changed = np.ones(len(chunks), np.int64)
        """The revision at which each chunk changed last."""
        self._numbers = {key: number for number, key in enumerate(self.names)}
        self._census: tuple[int, int] | None = None
        self.begin()

    def begin(self) -> None:
        """From here on everything can be taken back, until the next ``begin``."""
        self._saved_rows: dict[int, tuple[Row, tuple[Any, ...]]] = {}
        self._saved_transactions: dict[int, Transaction | None] = {}
        self._saved_clients: dict[str, Client | None] = {}
        self._saved_run = copy(self.run)
        self._saved_run.pauses = dict(self.run.pauses)
        self._saved_marks = (self.waiting.position, len(self.names))

    def take_back(self) -> None:
        """All is as it was at ``begin``."""
        chunks = self.chunks
        self.waiting.position, names = self._saved_marks
        del self.names[names:]
        self._numbers = {key: number for number, key in enumerate(self.names)}
        notes: tuple[dict[int, Any], ...] = (self.failures, self.limbo, self.accepting, self.loaded)
        for i, (row, saved) in self._saved_rows.items():
            chunks.restore(i, row)
            self.changed[i] = self.revision + 1
            for kept, note in zip(notes, saved, strict=True):
                kept.pop(i, None)
                if note is not None:
                    kept[i] = note
            if chunks.state[i] == State.PENDING and not chunks.fresh[i]:
                self.waiting.put_back(i)
        chunks.recount()
        for name, client in self._saved_clients.items():
            if client is None:
                del self.clients[name]
            else:
                self.clients[name] = client
        for number, transaction in self._saved_transactions.items():
            if transaction is None:
                self.transactions.pop(number, None)
            else:
                self.transactions[number] = transaction
        self.run = self._saved_run
        self.peers = {client.peer: name for name, client in self.clients.items() if client.peer}
        self.askers = {name: None for name, client in self.clients.items() if client.wanted}
        self._census = None
        self.revision += 1
        self.chunk_revision = self.revision
        self.begin()

    def changed_since(self, revision: int) -> NDArray[np.int32] | None:
        """Indices of the chunks that changed after a revision, ascending; None where those are many, or all."""
        at = np.flatnonzero(self.changed > revision)
        return at.astype(np.int32) if 4 * len(at) < len(self.chunks) else None

    def touch_row(self, i: int) -> None:
        """Before any change of the chunk at index ``i`` or of what is noted about it."""
        self.changed[i] = self.revision
        if i not in self._saved_rows:
            self._saved_rows[i] = (
                self.chunks.row(i),
                (self.failures.get(i), self.limbo.get(i), self.accepting.get(i), self.loaded.get(i)),
            )

    def touch_client(self, client: Client) -> None:
        """Before any change of ``client``."""
        if client.name not in self._saved_clients:
            self._saved_clients[client.name] = client.copy()

    def add_transaction(self, transaction: Transaction) -> None:
        self._saved_transactions.setdefault(transaction.number, None)
        self.transactions[transaction.number] = transaction

    def touch_transaction(self, transaction: Transaction) -> None:
        """Before any change of it."""
        if transaction.number not in self._saved_transactions:
            self._saved_transactions[transaction.number] = transaction.copy()

    def remove_transaction(self, transaction: Transaction) -> None:
        self.touch_transaction(transaction)
        del self.transactions[transaction.number]

    def enter(self, name: str, host: str, now: float) -> tuple[Client, list[e.Order]]:
        """A new record for this client, in place of an earlier one of that name that takes no more part."""
        orders: list[e.Order] = []
        number = self._numbers.get((name, host))
        if number is None:
            number = self._numbers[name, host] = len(self.names)
            self.names.append((name, host))
            orders.append(e.Persist(e.ClientAdded(number, name, host)))
        before = self.clients.get(name)
        if name not in self._saved_clients:
            self._saved_clients[name] = before.copy() if before else None
        client = self.clients[name] = Client(name, host, number, heard=now)
        self.recount_clients()
        return client, orders

    def client_of(self, peer: int) -> Client | None:
        name = self.peers.get(peer)
        return self.clients[name] if name is not None else None

    @property
    def open_there(self) -> bool:
        """Whether the destination has, or is about to have, an open transaction of ours."""
        return self.options.grouped and bool(self.transactions)

    def recount_clients(self) -> None:
        """After any change of who takes part or is ready."""
        self._census = None

    def census(self) -> tuple[int, int]:
        """How many clients are expected to take part, and how many of them are ready."""
        if self._census is None:
            clients = self.clients.values()
            self._census = (sum(client.takes_part for client in clients), sum(client.ready for client in clients))
        return self._census

    @property
    def state(self) -> RunState:
        """What the run as a whole is doing."""
        busy = self.chunks.counts[State.ASSIGNED] or self.chunks.counts[State.DELIVERED]
        if self.run.finished or (self.run.stopping and not busy):
            return RunState.ENDED
        if self.run.stopping:
            return RunState.STOPPING
        return RunState.PAUSED if self.run.pauses else RunState.RUNNING
