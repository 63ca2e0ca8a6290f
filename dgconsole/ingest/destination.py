"""What every kind of destination does, on the client's side and on the coordinator's."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from dgconsole.support.errors import ChunkError, InputError, Problem


class SecretError(InputError):
    """The destination wants another secret than it was shown.

    ``name`` is the secret's (``ingest.authKey``, ``ingest.password``); ``said`` the refusal, ``hint`` what to do.
    """

    def __init__(self, name: str, said: str, hint: str, key: str) -> None:
        self.name = name
        self.said = said
        super().__init__(Problem(f"{said}; {hint}" if hint else said, key=key))


class WrittenFile(Protocol):
    """One file that the partitioner wrote: its final name, where it is now, what it holds."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def overlap(self) -> bool: ...


class WrittenTable(Protocol):
    """All files of one table of one chunk; none where there were no rows."""

    @property
    def table(self) -> str: ...
    @property
    def files(self) -> Sequence[WrittenFile]: ...


class Delivery(Protocol):
    """The client's side: takes a chunk's files to where the destination wants them.

    Every call may raise ChunkError: DISK where space or the medium failed, else DELIVER.
    """

    def prepare(self) -> None:
        """Once, before the first chunk: the destination can be reached."""

    def folder(self, table: str, chunk: int) -> Path:
        """Where the partitioner writes this table's files, under the attempt's names; it exists."""

    def deliver(self, chunk: int, attempt: int, written: Sequence[WrittenTable], *, transaction: int = 0) -> None:
        """The attempt's files are whole and fsynced; after this call the coordinator can accept them.

        ``transaction``: the destination's number of the one that they are loaded in; 0 where it has none.
        """

    def discard(self, chunk: int, attempt: int) -> None:
        """Remove whatever this attempt has written; nothing to remove is no error."""

    def close(self) -> None:
        """Nothing more is delivered: end connections, and remove what nobody will ask for. Any thread."""


@runtime_checkable
class PlacingDelivery(Protocol):
    """A delivery that has to find out where each chunk goes, and does so for many at a time."""

    def expect(self, chunks: Sequence[int]) -> None:
        """These will be delivered soon; from any thread, and in no time."""


class Attempt(NamedTuple):
    """An attempt that passed the fence: the final names of its files by table; none where there were no rows."""

    chunk: int
    attempt: int
    names: Mapping[str, Sequence[str]]


Refusals = dict[tuple[int, int], ChunkError]
"""(chunk, attempt) -> why it could not be accepted."""


class TransactionEnd(StrEnum):
    """What became of a transaction that an earlier session left behind."""

    COMMITTED = "committed"
    ABORTED = "aborted"


@runtime_checkable
class TransactionalDestination(Protocol):
    """The coordinator's side where chunks are loaded in transactions of the destination; many calls at a time.

    Every call may raise ChunkError (fault DELIVER): the destination refuses, or could not be reached for long.
    ``number`` is the coordinator's number of a transaction, unique in a run directory; ``transaction`` the
    destination's own. Any call may be cancelled when the session ends.
    """

    async def prepare(self, tables: Sequence[str]) -> None:
        """Once, before anything is handed out. InputError: what a person has to mend, nothing was begun.

        A run directory whose chunks are all complete, and that was told so by ``finish``, calls neither this nor
        ``recover``.
        """

    async def recover(self) -> Mapping[int, TransactionEnd]:
        """End what earlier sessions of this run left open; what became of each transaction, by ``number``.

        After ``prepare``. Of a transaction that is not in the answer, nothing is there.
        """

    async def begin(self, number: int, client: str) -> int:
        """Open a transaction for chunks of one client; called once for a ``number``."""

    async def commit(self, transaction: int) -> None:
        """Make it lasting. An answer that is lost is looked up; it is never committed twice."""

    async def abort(self, transaction: int) -> TransactionEnd:
        """Take back all that was loaded in it; what became of it. To abort it a second time is no error.

        COMMITTED where ``commit`` raised though it had come about: then it stays.
        """

    async def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        """Nothing is left to load: publish and index as configured; words for people on what was done, or why not.

        With ``complete`` no transaction of this run may stay open (one whose ``begin`` raised, say). Called again
        where the run went on after that, and in a later session where it raised. What is done already is no error.
        """

    async def close(self) -> None:
        """The run is over and all clients have ended."""


class Destination(Protocol):
    """The coordinator's side: makes delivered attempts final. Called in a thread, one call at a time."""

    def prepare(self, tables: Sequence[str]) -> None:
        """Once, before anything is handed out. Raises ChunkError when the destination cannot take files."""

    def accept(self, items: Sequence[tuple[int, int, Mapping[str, Sequence[str]]]]) -> Refusals:
        """Make the files of these attempts (see Attempt) final, and lasting, before returning.

        An attempt that cannot be accepted is in the answer, and the others are not touched by it. To accept
        an attempt a second time is no error. A final file of an earlier attempt that this one lacks is removed.
        """

    def sweep(self) -> None:
        """Remove what attempts left behind; only while no client works."""

    def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        """Nothing is left to accept in this session; words for people on what was done. May be called again."""

    def close(self) -> None:
        """The run is over and all clients have ended."""
