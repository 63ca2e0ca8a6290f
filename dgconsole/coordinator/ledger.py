"""The ledger of a run: one SQLite file, one writer, many steps a commit; on disk before anyone is told."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from dgconsole.coordinator import events as e
from dgconsole.coordinator.books import LimboNote
from dgconsole.coordinator.chunks import Chunks, State
from dgconsole.coordinator.policy import Failure, fold
from dgconsole.ingest.destination import TransactionEnd
from dgconsole.support.errors import BugError, Fault, InputError, Problem
from dgconsole.wire.messages import Figures

VERSION = 2
"""``user_version`` of the file; another one is not read."""

_APPLICATION = 0x64676C67
_ENDED_BY_CRASH = "the console ended while this was in work"
_UNDONE_BY_CRASH = "its transaction was undone, as the console ended"

_INSERT = {
    e.ClientAdded: "INSERT INTO clients (client, name, host) VALUES (?, ?, ?)",
    e.TransactionOpened: "INSERT INTO transactions (id, client, started) VALUES (?, ?, ?)",
    e.Assigned: "INSERT INTO attempts (chunk, attempt, client, transaction_id, started) VALUES (?, ?, ?, ?, ?)",
}
_CLOSE_ATTEMPT = """
    UPDATE attempts SET started = ?, ended = ?, outcome = ?, fault = ?, stage = ?, error = ?,
    rows = ?, overlap_rows = ?, bytes = ?, figures = ?, folder = ?
    WHERE chunk = ? AND attempt = ? AND client = ? AND ended IS NULL"""
_DELIVER = """
    UPDATE attempts SET started = ?, ended = ?, outcome = 'delivered',
    rows = ?, overlap_rows = ?, bytes = ?, figures = ?
    WHERE chunk = ? AND attempt = ? AND client = ? AND ended IS NULL"""
_RELEASE = _CLOSE_ATTEMPT.replace("ended IS NULL", "outcome = 'delivered'")
_CLOSE_TRANSACTION = "UPDATE transactions SET ended = ?, outcome = nullif(?, '') WHERE id = ? AND ended IS NULL"
_NUMBER_TRANSACTION = "UPDATE transactions SET destination = ? WHERE id = ? AND ended IS NULL"
_ASSIGN = """
    UPDATE chunks SET state = 1, attempt = ?, used = ?, client = ?, retry_at = NULL
    WHERE chunk = ? AND state = 0 AND attempt = ? - 1"""
_END = """
    UPDATE chunks SET state = ?, used = ?, retry_at = ?
    WHERE chunk = ? AND state = 1 AND attempt = ? AND client = ?"""
_LOAD = "UPDATE chunks SET state = 2 WHERE chunk = ? AND state = 1 AND attempt = ? AND client = ?"
_UNLOAD = _END.replace("state = 1", "state = 2")
_REQUEUE = "UPDATE chunks SET state = 0, used = 0, retry_at = NULL WHERE chunk = ? AND state = 4"

_ENDED = "FROM attempts WHERE ended IS NOT NULL AND outcome <> 'delivered' AND error <> ?"

_CHUNK_ROW = [
    ("chunk", np.int32),
    ("state", np.uint8),
    ("attempt", np.int32),
    ("used", np.uint8),
    ("client", np.int32),
]
_MADE_ROW = [("chunk", np.int32), ("rows", np.int64), ("seconds", np.float32)]
_CREATION_ORDER = (
    e.ClientAdded,
    e.TransactionOpened,
    e.TransactionNumbered,
    e.Requeued,
    e.Ended,
    e.Released,
    e.Assigned,
    e.Delivered,
    e.TransactionClosed,
)


class Kept(msgspec.Struct, frozen=True):
    """What a ledger says at the start of a session; see ``Books`` for the parts."""

    chunks: Chunks
    names: tuple[tuple[str, str], ...]
    failures: dict[int, tuple[Failure, ...]]
    limbo: dict[int, LimboNote]
    next_transaction: int


def create(path: Path, ids: NDArray[np.int32]) -> None:
    """A new ledger of these targets, all pending: whole or not there at all. A million take about two seconds."""
    aside = path.with_name(path.name + ".new")
    for leftover in (aside, *_companions(aside), *_companions(path)):
        leftover.unlink(missing_ok=True)
    try:
        connection = sqlite3.connect(aside, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.executescript(files("dgconsole.coordinator").joinpath("schema.sql").read_text("utf-8"))
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO chunks (chunk) VALUES (?)", ((i,) for i in ids.tolist()))
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        finally:
            connection.close()
        _fsync(aside)
        aside.rename(path)
        _fsync(path.parent)
    except (sqlite3.Error, OSError) as error:
        for leftover in (aside, *_companions(aside)):
            leftover.unlink(missing_ok=True)
        raise InputError(Problem(f"cannot be made: {error}", file=str(path))) from error


class _Stored:
    """What can be read from an open ledger as a whole."""

    path: Path
    _connection: sqlite3.Connection

    def note(self, name: str) -> str | None:
        """The note of that name, if there is one."""
        try:
            row = self._connection.execute("SELECT text FROM notes WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error
        return str(row[0]) if row else None

    def kept(self) -> Kept:
        """The chunks and all that is noted about them."""
        query = self._connection.execute
        count = query("SELECT count(*) FROM chunks").fetchone()[0]
        stored = query("SELECT chunk, state, attempt, used, coalesce(client, -1) FROM chunks ORDER BY chunk")
        table = np.fromiter(stored, _CHUNK_ROW, count)
        chunks = Chunks(np.ascontiguousarray(table["chunk"]))
        for name in ("state", "attempt", "used", "client"):
            getattr(chunks, name)[:] = table[name]
        chunks.fresh[:] = chunks.state == State.PENDING
        chunks.recount()
        done = "SELECT chunk, rows, ended - started FROM attempts WHERE outcome = 'completed' ORDER BY chunk"
        made = np.fromiter(query(done), _MADE_ROW)
        at = np.searchsorted(chunks.ids, made["chunk"])
        chunks.rows[at], chunks.seconds[at] = made["rows"], made["seconds"]
        failures: dict[int, tuple[Failure, ...]] = {}
        limbo: dict[int, LimboNote] = {}
        failed = """
            SELECT a.chunk, a.client, a.fault, a.error, c.used FROM attempts a JOIN chunks c USING (chunk)
            WHERE c.state IN (0, 4) AND c.used > 0 AND outcome IN ('failed', 'lost') AND error <> ?
            ORDER BY a.chunk, a.attempt"""
        for chunk, client, fault, error, used in query(failed, (_ENDED_BY_CRASH,)):
            i, cause = chunks.index(chunk), fold(error)
            failures[i] = (*failures.get(i, ()), Failure(client, Fault(fault), cause))[-used:]
            if chunks.state[i] == State.LIMBO:
                limbo[i] = LimboNote(fault, error, cause, client)
        names = tuple(query("SELECT name, host FROM clients ORDER BY client"))
        next_transaction = query("SELECT coalesce(max(id), 0) + 1 FROM transactions").fetchone()[0]
        return Kept(chunks, names, failures, limbo, next_transaction)

    def ended(self, after: float = 0.0) -> Iterator[e.Ended]:
        """The attempts that ended after that, epoch seconds; without those that only a crash of the console ended."""
        decode = msgspec.json.Decoder(Figures).decode
        query = f"""
            SELECT chunk, attempt, client, iif(outcome = 'completed', 3, 0), 0,
            started, ended, outcome, fault, figures {_ENDED} AND ended > ?"""
        found = self._connection.execute(query, (_ENDED_BY_CRASH, after))
        for *values, started, at, outcome, fault, figures in found:
            chunk, attempt, client, state, used = values
            told = decode(figures) if figures else None
            yield e.Ended(chunk, attempt, client, state, used, None, started, at, outcome, fault, figures=told)

    def count_ended(self, until: float) -> int:
        """How many of them ended until then."""
        counted = self._connection.execute(f"SELECT count(*) {_ENDED} AND ended <= ?", (_ENDED_BY_CRASH, until))
        return int(counted.fetchone()[0])


class Ledger(_Stored):
    """The open ledger. All calls from one thread at a time; ``Reader`` is for other threads.

    Raises
    ------
    InputError
        The file is damaged, is not a ledger, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            _check(self._connection, path)
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "foreign_keys = ON",
                "wal_autocheckpoint = 4000",
                "cache_size = -32768",
            ):
                self._connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise _damaged(path, error) from error

    def close(self) -> None:
        self._connection.close()

    # ---- the start of a session

    def start(
        self, ids: NDArray[np.int32], now: float, transactions: Mapping[int, TransactionEnd] | None = None
    ) -> Kept:
        """Check the file, add targets, close what a crash left open, and give all that is kept.

        Attempts that were open end as lost; their chunks are pending and have used up no attempt. What was
        delivered is completed where its transaction was committed, as ``transactions`` says of those that the
        destination knows; else it goes back in the same way.
        """
        try:
            with ThreadPoolExecutor(1, "check") as beside:  # a big file takes a second
                checked = beside.submit(_verdict, self.path)
                self._connection.execute("BEGIN IMMEDIATE")
                self._recover(ids, now, transactions or {})
            if checked.result() != "ok":
                raise _damaged(self.path, checked.result())
            self._connection.execute("COMMIT")
            return self.kept()
        except InputError:
            self._give_up()
            raise
        except sqlite3.Error as error:
            self._give_up()
            raise _damaged(self.path, error) from error

    def _recover(self, ids: NDArray[np.int32], now: float, transactions: Mapping[int, TransactionEnd]) -> None:
        query = self._connection.execute
        self._connection.executemany("INSERT OR IGNORE INTO chunks (chunk) VALUES (?)", ((i,) for i in ids.tolist()))
        for number, end in transactions.items():
            if end is TransactionEnd.COMMITTED:
                self._commit_transaction(number, now)
        query(
            "UPDATE attempts SET outcome = 'returned', fault = 'stopped', stage = 'deliver', error = ?, "
            "rows = 0, overlap_rows = 0, bytes = 0, figures = '' WHERE outcome = 'delivered'",
            (_UNDONE_BY_CRASH,),
        )
        query(
            "UPDATE attempts SET ended = ?, outcome = 'lost', fault = 'lost', error = ? WHERE ended IS NULL",
            (now, _ENDED_BY_CRASH),
        )
        query("UPDATE chunks SET state = 0, used = used - 1 WHERE state IN (1, 2)")
        query("UPDATE chunks SET retry_at = NULL WHERE retry_at IS NOT NULL")
        query(
            "UPDATE transactions SET ended = ?, outcome = iif(destination IS NULL, NULL, 'aborted') "
            "WHERE ended IS NULL",
            (now,),
        )

    def _commit_transaction(self, number: int, now: float) -> None:
        """The destination has committed it, and this file may not know."""
        query = self._connection.execute
        if query("SELECT 1 FROM transactions WHERE id = ? AND ended IS NULL", (number,)).fetchone() is None:
            return
        unfinished = "SELECT chunk FROM attempts WHERE transaction_id = ? AND ended IS NULL ORDER BY chunk LIMIT 1"
        if row := query(unfinished, (number,)).fetchone():
            what = (
                f"the destination has transaction {number} committed, and chunk {row[0]} of it was not whole: "
                "some of its rows may be there; start again with another database and --run-dir"
            )
            raise InputError(Problem(what, file=str(self.path)))
        query(
            "UPDATE chunks SET state = 3 WHERE state = 2 AND chunk IN "
            "(SELECT chunk FROM attempts WHERE transaction_id = ? AND outcome = 'delivered')",
            (number,),
        )
        query(
            "UPDATE attempts SET outcome = 'completed' WHERE transaction_id = ? AND outcome = 'delivered'", (number,)
        )
        query("UPDATE transactions SET ended = ?, outcome = 'committed' WHERE id = ?", (now, number))

    def whole(self, ids: NDArray[np.int32]) -> bool:
        """Whether all targets, with ``ids`` among them, are complete."""
        try:
            query = self._connection.execute
            if query("SELECT 1 FROM chunks WHERE state <> 3 LIMIT 1").fetchone():
                return False
            known = query("SELECT count(*) FROM chunks").fetchone()[0]
            have = np.fromiter((row[0] for row in query("SELECT chunk FROM chunks")), np.int32, known)
            return bool(np.isin(ids, have).all())
        except sqlite3.Error as error:
            raise _damaged(self.path, error) from error

    # ---- notes

    def write_note(self, name: str, text: str) -> str:
        """Keep it, on disk when this returns ""; otherwise why not."""
        try:
            self._connection.execute("INSERT OR REPLACE INTO notes (name, text) VALUES (?, ?)", (name, text))
        except sqlite3.Error as error:
            return str(error)
        return ""

    # ---- while it runs

    def commit(self, steps: Sequence[e.Step]) -> str:
        """All of ``steps`` in one transaction, on disk when this returns "".

        Where it could not be written, nothing is, and the answer says why (disk full, say).

        Raises
        ------
        BugError
            A step contradicts what the ledger holds (an attempt that is not open, a chunk that is another's).
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for group in _groups(steps):
                self._write(group)
            connection.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._give_up()
            raise BugError(f"the ledger refused a step: {error}", map(repr, steps)) from error
        except BugError:
            self._give_up()
            raise
        except sqlite3.Error as error:
            self._give_up()
            return str(error)
        return ""

    def _give_up(self) -> None:
        with suppress(sqlite3.Error):  # it may have rolled back by itself
            self._connection.execute("ROLLBACK")

    def _write(self, group: dict[type[e.Step], list[Any]]) -> None:
        for kind in _CREATION_ORDER:
            steps = group.get(kind)
            if not steps:
                continue
            if kind in _INSERT:
                rows = [_assigned_row(s) if kind is e.Assigned else msgspec.structs.astuple(s) for s in steps]
                self._all(_INSERT[kind], rows)
            if kind is e.Assigned:
                self._all(_ASSIGN, [(s.attempt, s.used, s.client, s.chunk, s.attempt) for s in steps])
            elif kind is e.Ended:
                self._all(_CLOSE_ATTEMPT, [_ended_row(s) for s in steps])
                self._all(_END, [(s.state, s.used, s.retry_at, s.chunk, s.attempt, s.client) for s in steps])
            elif kind is e.Released:
                self._all(_RELEASE, [_ended_row(s) for s in steps])
                self._all(_UNLOAD, [(s.state, s.used, s.retry_at, s.chunk, s.attempt, s.client) for s in steps])
            elif kind is e.Delivered:
                self._all(_DELIVER, [_delivered_row(s) for s in steps])
                self._all(_LOAD, [(s.chunk, s.attempt, s.client) for s in steps])
            elif kind is e.TransactionNumbered:
                self._all(_NUMBER_TRANSACTION, [(s.destination, s.transaction) for s in steps])
            elif kind is e.Requeued:
                self._all(_REQUEUE, [(s.chunk,) for s in steps])
            elif kind is e.TransactionClosed:
                self._all(_CLOSE_TRANSACTION, [(s.at, s.outcome, s.transaction) for s in steps])

    def _all(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Every one of ``rows`` must change exactly one row of the table."""
        changed = self._connection.executemany(statement, rows).rowcount
        if changed != len(rows):
            story = [statement.strip(), *map(repr, rows[:10])]
            raise BugError(f"the ledger took {changed} of {len(rows)} changes", story)


class Reader(_Stored):
    """A second, read-only look at a ledger; may run in another thread, or another process, than the writer.

    ``alone``: nobody writes, and nothing is made beside the file, not even what readers and a writer share.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self.path = path
        uri = f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' * alone}"
        try:
            self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            _check(self._connection, path)
        except sqlite3.Error as error:
            raise _damaged(path, error) from error

    def close(self) -> None:
        self._connection.close()

    def rows(self, query: str, values: Iterable[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The answer to a query, row by row."""
        return iter(self._connection.execute(query, tuple(values)))


def _groups(steps: Iterable[e.Step]) -> Iterator[dict[type[e.Step], list[Any]]]:
    """Steps by kind, so that one call writes many; a new group begins where a chunk or transaction comes again."""
    group: dict[type[e.Step], list[Any]] = {}
    touched: set[tuple[bool, int]] = set()
    for step in steps:
        keys: tuple[tuple[bool, int], ...] = ()
        if isinstance(step, e.Assigned | e.Delivered | e.Ended | e.Requeued):
            keys = ((True, step.chunk),)
        elif isinstance(step, e.TransactionClosed):
            keys = ((False, step.transaction),)
        if any(key in touched for key in keys):
            yield group
            group, touched = {}, set()
        touched.update(keys)
        group.setdefault(type(step), []).append(step)
    if group:
        yield group


def _assigned_row(step: e.Assigned) -> tuple[Any, ...]:
    return (step.chunk, step.attempt, step.client, step.transaction, step.at)


def _ended_row(step: e.Ended) -> tuple[Any, ...]:
    told = (step.started, step.at, step.outcome, step.fault, step.stage, step.error)
    return (*told, *_columns(step.figures), step.folder, step.chunk, step.attempt, step.client)


def _delivered_row(step: e.Delivered) -> tuple[Any, ...]:
    return (step.started, step.at, *_columns(step.figures), step.chunk, step.attempt, step.client)


def _columns(figures: Figures | None) -> tuple[int, int, int, str]:
    return (*sums(figures), msgspec.json.encode(figures).decode() if figures else "")


def sums(figures: Figures | None) -> tuple[int, int, int]:
    """Rows, overlap rows and bytes over all tables."""
    tables = figures.tables if figures else ()
    return sum(t.rows for t in tables), sum(t.overlap_rows for t in tables), sum(t.bytes for t in tables)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise InputError(Problem("is not the ledger of a run", file=str(path)))
    if version != VERSION:
        raise InputError(Problem(f"is of version {version}; this program reads version {VERSION}", file=str(path)))


def _verdict(path: Path) -> str:
    """What SQLite finds wrong with the file, in a look of its own; "ok": nothing."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])


def _damaged(path: Path, what: object) -> InputError:
    if isinstance(what, sqlite3.OperationalError):  # no space, no right, locked
        return InputError(Problem(f"cannot be used: {what}", file=str(path)))
    return InputError(Problem(f"cannot be read ({what}); start again in another --run-dir", file=str(path)))


def _companions(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
