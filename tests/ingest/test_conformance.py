"""What every kind of destination must do; a new kind joins by one more maker."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dgconsole.coordinator.incoming import Incoming
from dgconsole.ingest.collect import CollectDelivery
from dgconsole.ingest.destination import Attempt, Delivery, Destination, Refusals, TransactionEnd, WrittenTable
from dgconsole.ingest.files import FilesDelivery, FilesDestination
from dgconsole.ingest.mysql.delivery import MySqlDelivery
from dgconsole.ingest.mysql.destination import MySqlDestination
from dgconsole.ingest.qserv.delivery import QservDelivery
from dgconsole.ingest.qserv.destination import QservDestination
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect, IngestTarget
from dgconsole.support.errors import BugError, ChunkError, Fault
from dgconsole.support.filenames import attempt_name, home_name, overlap_name
from dgconsole.wire.messages import FileBegin, FileMessage

TABLES = ("Object", "ForcedSource")


@dataclass
class File:
    name: str
    path: Path
    bytes: int
    rows: int = 1
    overlap: bool = False


@dataclass
class Table:
    table: str
    files: tuple[File, ...]


@dataclass
class Pair:
    """Both sides of one destination, and a look at what has become final: {"<Table>/<name>": content}."""

    delivery: Delivery
    destination: Destination
    final: Callable[[], dict[str, str]]
    aside: Callable[[], list[str]]


def files_pair(folder: Path) -> Pair:
    root = folder / "run" / "chunks"
    root.parent.mkdir()

    def found() -> list[Path]:
        return sorted(path for path in root.rglob("*") if path.is_file())

    return Pair(
        FilesDelivery(root, TABLES),
        FilesDestination(root),
        lambda: {str(p.relative_to(root)): p.read_text() for p in found() if ".attempt-" not in p.name},
        lambda: [str(p.relative_to(root)) for p in found() if ".attempt-" in p.name],
    )


class Collected(CollectDelivery):
    """Sends files to a console that writes them where its destination takes them from."""

    def __init__(self, out: Path, root: Path) -> None:
        super().__init__(out, TABLES, self._send_on)
        self._root = root
        self._incoming: dict[tuple[int, int], Incoming] = {}
        self._last = Incoming(root, TABLES)

    def _send_on(self, message: FileMessage) -> None:
        if isinstance(message, FileBegin):
            key = (message.chunk, message.attempt)
            self._last = self._incoming.setdefault(key, Incoming(self._root, TABLES))
        assert self._last.take(message, held=True) is None

    def discard(self, chunk: int, attempt: int) -> None:
        super().discard(chunk, attempt)
        if not self.sending and (chunk, attempt) in self._incoming:
            self._incoming.pop((chunk, attempt)).drop()

    sending = False

    def deliver(self, *arguments: Any, **more: Any) -> None:
        self.sending = True
        super().deliver(*arguments, **more)
        self.sending = False


def collect_pair(folder: Path) -> Pair:
    pair = files_pair(folder)
    pair.delivery = Collected(folder / "out", folder / "run" / "chunks")
    return pair


def mysql_pair(folder: Path, mariadb: Any) -> Pair:
    database, out = mariadb.schema(made=False), folder / "out"
    dialect = Dialect(quote=None, null="\\N")
    columns = (("line", "VARCHAR(200) NOT NULL"),)
    tables = tuple(TableSchema(table=table, columns=columns, dialect=dialect) for table in TABLES)
    schema = DatabaseSchema(database=database, num_stripes=18, num_sub_stripes=10, overlap=0.01, tables=tables)
    target = IngestTarget(kind="mysql", socket=str(mariadb.socket), user="root", database=database)
    destination = MySqlDestination(target, schema, {"digest": "0" * 64}, "")
    files = {table.lower() + ending: (table, end) for table in TABLES for ending, end in OVERLAPS.items()}

    def final() -> dict[str, str]:
        found = {}
        for name in mariadb.tables(database):
            base, _, chunk = name.partition("_")
            if chunk.isdigit():
                table, end = files[base]
                lines = mariadb.query(f"SELECT line FROM {name}", database=database)
                found[f"{table}/chunk_{chunk}{end}.txt"] = "".join(f"{line}\n" for (line,) in lines)
        return found

    def aside() -> list[str]:
        left = [str(path) for path in out.rglob("*") if path.is_file()]
        return left + [name for name in mariadb.tables(database) if "__" in name]

    return Pair(MySqlDelivery(out, target, schema, ""), destination, final, aside)


OVERLAPS = {"": "", "fulloverlap": "_overlap"}


class Grouped:
    """A destination with transactions, used as the coordinator does: one for each attempt here.

    To accept is to commit, to discard to undo; a sweep is what the next session begins with.
    """

    def __init__(self, destination: QservDestination, delivery: QservDelivery) -> None:
        self._destination, self._delivery = destination, delivery
        self._open: dict[tuple[int, int], int] = {}
        self._ended: dict[tuple[int, int], TransactionEnd] = {}
        self._number = 0
        self._runner = asyncio.Runner()

    def prepare(self, tables: Sequence[str] = TABLES) -> None:
        if not self._number:
            self._runner.run(self._destination.prepare(tables))
        self._delivery.prepare()

    def folder(self, table: str, chunk: int) -> Path:
        return self._delivery.folder(table, chunk)

    def deliver(self, chunk: int, attempt: int, written: Sequence[WrittenTable], *, transaction: int = 0) -> None:
        self._number += 1
        transaction = self._runner.run(self._destination.begin(self._number, "here-1"))
        self._open[chunk, attempt] = transaction
        self._delivery.deliver(chunk, attempt, written, transaction=transaction)

    def discard(self, chunk: int, attempt: int) -> None:
        self._delivery.discard(chunk, attempt)
        if (chunk, attempt) in self._open:
            self._runner.run(self._destination.abort(self._open[chunk, attempt]))

    def accept(self, items: Sequence[tuple[int, int, Mapping[str, Sequence[str]]]]) -> Refusals:
        refused = {}
        for chunk, attempt, _ in items:
            try:
                self._runner.run(self._destination.commit(self._open[chunk, attempt]))
            except ChunkError as error:
                refused[chunk, attempt] = ChunkError(error.fault, f"chunk_{chunk}: {error.text}")
        return refused

    def sweep(self) -> None:
        self._runner.run(self._destination.recover())

    def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        return self._runner.run(self._destination.finish(complete=complete, partial_sky=partial_sky))

    def close(self) -> None:
        for transaction in self._open.values():
            with suppress(BugError):  # closed before
                self._runner.run(self._destination.abort(transaction))
        self._runner.run(self._destination.close())

    def end(self) -> None:
        self._runner.close()


LINE = "subChunkId"
"""A director must have such a column; here it has no other."""


def qserv_pair(folder: Path, qserv: Any) -> Pair:
    out = folder / "out"
    qserv.state.is_chunk = lambda *_: True
    columns, dialect = ((LINE, "VARCHAR(200) NOT NULL"),), Dialect(quote=None, null="\\N")
    director, child = (
        TableSchema(table=table, columns=columns, dialect=dialect, key=LINE, position=position, director=of)
        for table, position, of in (("Object", (LINE, LINE), ""), ("ForcedSource", None, "Object"))
    )
    schema = DatabaseSchema(
        database="sky", num_stripes=18, num_sub_stripes=10, overlap=0.01, tables=(director, child)
    )
    target = IngestTarget(kind="qserv", host=qserv.host, port=qserv.port, index=True)
    keys = {"ingest.authKey": qserv.key}
    both_sides = Grouped(
        QservDestination(schema, target, keys, run_id="a-run"), QservDelivery(out, schema, target, keys)
    )
    files = {table.lower() + ending: (table, end) for table in TABLES for ending, end in OVERLAPS.items()}

    def rows(state: str) -> dict[str, str]:
        found = {}
        wanted = {each.id for each in qserv.transactions() if each.state == state}
        for name in qserv.chunk_tables("sky"):
            base, _, chunk = name.partition("_")
            table, end = files[base]
            lines = [line for transaction, line in qserv.rows("sky", name, whole=True) if transaction in wanted]
            if lines:
                found[f"{table}/chunk_{chunk}{end}.txt"] = "".join(f"{line}\n" for line in lines)
        return found

    def aside() -> list[str]:
        return [str(path) for path in out.rglob("*") if path.is_file()] + list(rows("STARTED"))

    return Pair(both_sides, both_sides, lambda: rows("FINISHED"), aside)


REPLACING = ("files", "collect", "mysql")
"""Where a chunk that was accepted may be made again; no coordinator does that once a commit made it complete."""


def made(request: pytest.FixtureRequest, folder: Path) -> Iterator[Pair]:
    pair = {
        "files": lambda: files_pair(folder),
        "collect": lambda: collect_pair(folder),
        "mysql": lambda: mysql_pair(folder, request.getfixturevalue("mariadb")),
        "qserv": lambda: qserv_pair(folder, request.getfixturevalue("qserv")),
    }[request.param]()
    pair.destination.prepare(TABLES)
    pair.delivery.prepare()
    yield pair
    pair.destination.close()
    if isinstance(pair.delivery, MySqlDelivery):
        pair.delivery.close()
    if isinstance(pair.delivery, Grouped):
        pair.delivery.end()


@pytest.fixture(params=[*REPLACING, "qserv"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    yield from made(request, tmp_path)


@pytest.fixture(params=REPLACING)
def replacing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    yield from made(request, tmp_path)


def deliver(pair: Pair, chunk: int, attempt: int, texts: dict[str, dict[str, str]]) -> Attempt:
    """Write and deliver {table: {name: text}} as the partitioner and the client do."""
    tables = []
    for table, files in texts.items():
        written = []
        for name, text in files.items():
            path = pair.delivery.folder(table, chunk) / attempt_name(name, attempt)
            path.write_text(text)
            written.append(File(name, path, len(text.encode()), overlap=name == overlap_name(chunk)))
        tables.append(Table(table, tuple(written)))
    pair.delivery.deliver(chunk, attempt, tables)
    return Attempt(chunk, attempt, {table: tuple(files) for table, files in texts.items()})


def both(chunk: int, text: str) -> dict[str, dict[str, str]]:
    return {
        "Object": {home_name(chunk): f"{text} home\n", overlap_name(chunk): f"{text} overlap\n"},
        "ForcedSource": {home_name(chunk): f"{text} child\n"},
    }


def test_nothing_is_final_before_it_is_accepted(pair: Pair) -> None:
    item = deliver(pair, 7, 1, both(7, "a"))
    assert pair.final() == {}
    assert pair.destination.accept([item]) == {}
    assert pair.final() == {
        "Object/chunk_7.txt": "a home\n",
        "Object/chunk_7_overlap.txt": "a overlap\n",
        "ForcedSource/chunk_7.txt": "a child\n",
    }
    assert pair.aside() == []


def test_many_attempts_are_accepted_at_once(pair: Pair) -> None:
    items = [deliver(pair, chunk, 1, both(chunk, str(chunk))) for chunk in range(20)]
    assert pair.destination.accept(items) == {}
    assert len(pair.final()) == 60


def test_to_accept_twice_is_no_error(pair: Pair) -> None:
    item = deliver(pair, 7, 1, both(7, "a"))
    pair.destination.accept([item])
    before = pair.final()
    assert pair.destination.accept([item]) == {}
    assert pair.final() == before


def test_a_later_attempt_replaces_all_files_of_an_earlier_one(replacing: Pair) -> None:
    replacing.destination.accept([deliver(replacing, 7, 1, both(7, "a"))])
    replacing.destination.accept([deliver(replacing, 7, 2, {"Object": {home_name(7): "b\n"}})])
    assert replacing.final() == {"Object/chunk_7.txt": "b\n"}


def test_two_attempts_at_one_chunk_do_not_touch_each_other(pair: Pair) -> None:
    old = deliver(pair, 7, 1, both(7, "old"))
    deliver(pair, 7, 2, both(7, "new"))
    pair.delivery.discard(7, 2)
    assert pair.destination.accept([old]) == {}
    assert pair.final()["Object/chunk_7.txt"] == "old home\n"


def test_discard_leaves_nothing_and_is_no_error_twice(pair: Pair) -> None:
    deliver(pair, 7, 3, both(7, "a"))
    pair.delivery.discard(7, 3)
    pair.delivery.discard(7, 3)
    assert (pair.final(), pair.aside()) == ({}, [])


def test_a_sweep_removes_what_attempts_left_and_nothing_else(pair: Pair) -> None:
    pair.destination.accept([deliver(pair, 7, 1, both(7, "a"))])
    deliver(pair, 8, 2, both(8, "b"))
    before = pair.final()
    pair.destination.sweep()
    assert (pair.final(), pair.aside()) == (before, [])


def test_closing_leaves_only_final_files(pair: Pair) -> None:
    deliver(pair, 8, 2, both(8, "b"))
    pair.destination.close()
    assert pair.aside() == []


def test_an_attempt_that_is_gone_is_refused_and_the_others_are_accepted(pair: Pair) -> None:
    good = deliver(pair, 1, 1, both(1, "a"))
    gone = deliver(pair, 2, 1, both(2, "b"))
    pair.delivery.discard(2, 1)
    refused = pair.destination.accept([gone, good])
    assert list(refused) == [(2, 1)]
    assert refused[2, 1].fault is Fault.DELIVER
    assert "chunk_2" in refused[2, 1].text
    assert sorted(pair.final()) == ["ForcedSource/chunk_1.txt", "Object/chunk_1.txt", "Object/chunk_1_overlap.txt"]


def test_a_chunk_without_rows_is_accepted_without_files(pair: Pair) -> None:
    assert pair.destination.accept([deliver(pair, 9, 1, {})]) == {}
    assert pair.final() == {}


def test_a_file_cut_short_is_not_delivered(pair: Pair) -> None:
    path = pair.delivery.folder("Object", 4) / attempt_name(home_name(4), 1)
    path.write_text("half")
    with pytest.raises(ChunkError, match="4 bytes, 9 were written") as caught:
        pair.delivery.deliver(4, 1, [Table("Object", (File(home_name(4), path, 9),))])
    assert caught.value.fault is Fault.DELIVER
