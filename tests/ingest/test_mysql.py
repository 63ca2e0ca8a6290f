"""Loading into a real MariaDB: dialects, types, bad rows, crashes between the steps, whose database it is."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dgconsole.ingest.destination import Attempt
from dgconsole.ingest.mysql.delivery import MySqlDelivery
from dgconsole.ingest.mysql.destination import MySqlDestination
from dgconsole.ingest.mysql.names import Reader
from dgconsole.ingest.mysql.views import MOST_CHUNKS
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect, IngestTarget
from dgconsole.support.errors import ChunkError, Fault, InputError
from dgconsole.support.filenames import attempt_name, home_name

PLAIN = Dialect(quote=None, null="\\N")
COLUMNS = (("id", "BIGINT NOT NULL"), ("flux", "FLOAT"), ("name", "VARCHAR(8)"), ("chunkId", "INT NOT NULL"))
ROWS = "1\t0.5\ta\t7\n2\t\\N\tb\t7\n"


class File:
    """One file as the partitioner has written it."""

    def __init__(self, path: Path, name: str, text: str, rows: int) -> None:
        path.write_text(text)
        self.path, self.name, self.rows, self.bytes = path, name, rows, len(text.encode())
        self.overlap = "overlap" in name


class Written:
    def __init__(self, table: str, files: tuple[File, ...]) -> None:
        self.table, self.files = table, files


class Base:
    """A database and both sides of the destination that fills it."""

    def __init__(self, mariadb: Any, folder: Path, ending: ExitStack) -> None:
        self.mariadb = mariadb
        self.name = mariadb.schema(made=False)
        self.folder = folder
        self.target = IngestTarget(kind="mysql", socket=str(mariadb.socket), user="root", database=self.name)
        self.parts = {"digest": "a" * 64, "seed": "1", "spec/sky.py": "b" * 64}
        self.dialect = PLAIN
        self.columns: tuple[tuple[str, str], ...] = COLUMNS
        self.raw: dict[str, object] = {}
        self._ending = ending

    def schema(self) -> DatabaseSchema:
        table = TableSchema(table="Object", columns=self.columns, key="id", dialect=self.dialect, raw=self.raw)
        return DatabaseSchema(database=self.name, num_stripes=18, num_sub_stripes=10, overlap=0.0, tables=(table,))

    def destination(self, patience: float = 10.0) -> MySqlDestination:
        made = MySqlDestination(self.target, self.schema(), self.parts, "", patience=patience)
        self._ending.callback(made._link.close)
        return made

    def filling(self, patience: float = 10.0) -> MySqlDestination:
        made = self.destination(patience)
        made.prepare(["Object"])
        return made

    def delivery(self, patience: float = 10.0, beat: Callable[[], None] = lambda: None) -> MySqlDelivery:
        made = MySqlDelivery(self.folder / "out", self.target, self.schema(), "", patience=patience, beat=beat)
        self._ending.callback(made.close)
        made.prepare()
        return made

    def deliver(self, delivery: MySqlDelivery, text: str, rows: int, chunk: int = 7, attempt: int = 1) -> Attempt:
        name = home_name(chunk)
        path = delivery.folder("Object", chunk) / attempt_name(name, attempt)
        delivery.deliver(chunk, attempt, [Written("Object", (File(path, name, text, rows),))])
        return Attempt(chunk, attempt, {"Object": (name,)})

    def rows(self, table: str = "Object_7") -> list[tuple[Any, ...]]:
        return self.mariadb.query(f"SELECT * FROM {table}", database=self.name)  # type: ignore[no-any-return]

    def tables(self) -> list[str]:
        return [name for name in self.mariadb.tables(self.name) if name != "dgconsole_plan"]


@pytest.fixture
def base(mariadb: Any, tmp_path: Path) -> Iterator[Base]:
    with ExitStack() as ending:
        yield Base(mariadb, tmp_path, ending)


# ---- what comes in


def test_rows_come_in_as_they_were_written(base: Base) -> None:
    destination, delivery = base.filling(), base.delivery()
    assert destination.accept([base.deliver(delivery, ROWS, 2)]) == {}
    assert base.rows() == [(1, 0.5, "a", 7), (2, None, "b", 7)]
    assert list((base.folder / "out" / "Object").iterdir()) == []


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        (Dialect(quote=None, null="\\N"), "1\t\\N\ta\\\tb\\\\c\\n'\t7\n"),
        (Dialect(null="\\N"), "1\t\\N\ta\\\tb\\\\c\\n'\t7\n"),
        (Dialect(null="NULL"), "1\tNULL\ta\\\tb\\\\c\\n'\t7\n"),
        (Dialect(null="NULL", escape=None, delimiter=","), '1,NULL,"a\tb\\c"",",7\n'),
        (Dialect(null="", quote=None, delimiter=","), "1,,a\\,b\\\\c\\n',7\n"),
        (Dialect(null="nil", quote=None, escape=None, delimiter="|"), "1|nil|a\tb\\c'|7\n"),
        (Dialect(null="!N", quote=None, escape="!", delimiter="\t"), "1\t!N\ta!\tb\\c!n'\t7\n"),
    ],
    ids=["escape", "escape and quote", "word", "word and quote", "empty", "no escape", "other escape"],
)
def test_every_dialect_is_read_as_it_is_meant(base: Base, dialect: Dialect, line: str) -> None:
    base.dialect = dialect
    destination = base.filling()
    assert destination.accept([base.deliver(base.delivery(), line, 1)]) == {}
    ((number, flux, name, chunk),) = base.rows()
    assert (number, flux, chunk) == (1, None, 7)
    assert name in ("a\tb\\c\n'", 'a\tb\\c",', "a,b\\c\n'", "a\tb\\c'")


@pytest.mark.parametrize("text", ["NULL", "N", "null", "\\\\N", ""])
def test_a_text_that_looks_like_null_stays_text(base: Base, text: str) -> None:
    base.dialect = Dialect(null="\\N")  # with a quote, LOAD DATA by itself would take the word for null
    destination = base.filling()
    destination.accept([base.deliver(base.delivery(), f"1\t\\N\t{text}\t7\n", 1)])
    assert base.rows() == [(1, None, text.replace("\\\\", "\\"), 7)]


def test_bits_and_text_of_any_language(base: Base) -> None:
    base.columns = (("id", "BIGINT"), ("flag", "BIT(1)"), ("name", "VARCHAR(8)"), ("chunkId", "INT"))
    destination = base.filling()
    destination.accept([base.deliver(base.delivery(), "1\t1\tΔ星\t7\n2\t\\N\tü\t7\n", 2)])
    assert base.rows() == [(1, b"\x01", "Δ星", 7), (2, None, "ü", 7)]


def test_digits_that_a_decimal_has_no_room_for_are_rounded_off(base: Base) -> None:
    base.columns = (("id", "BIGINT"), ("flux", "DECIMAL(5,2)"), ("name", "CHAR(1)"), ("chunkId", "INT"))
    base.filling().accept([base.deliver(base.delivery(), "1\t1.23567\ta\t7\n", 1)])
    assert [float(flux) for _, flux, _, _ in base.rows()] == [1.24]


def test_names_that_are_words_of_sql(base: Base) -> None:
    base.columns = (("select", "BIGINT"), ("a`b", "FLOATE NOT NULL"), ("key", "VARCHAR(8)"), ("%s", "INT"))
    destination = base.filling()
    destination.accept([base.deliver(base.delivery(), "1\t0.5\ta\t7\n", 1)])
    assert base.rows() == [(1, 0.5, "a", 7)]


def test_charset_and_collation_are_those_of_the_ingest_json(base: Base) -> None:
    base.raw = {"charset_name": "latin1", "collation_name": "latin1_bin"}
    base.filling().accept([base.deliver(base.delivery(), ROWS, 2)])
    sql = "SELECT table_collation FROM information_schema.tables WHERE table_schema=%s AND table_name='object_7'"
    assert base.mariadb.query(sql, base.name) == [("latin1_bin",)]


@pytest.mark.parametrize(
    ("engine", "meant"), [(None, "Aria"), ("aria", "Aria"), ("MyISAM", "MyISAM"), ("InnoDB", "InnoDB")]
)
def test_the_engine(base: Base, engine: str | None, meant: str) -> None:
    base.target = replace(base.target, engine=engine)
    destination, delivery = base.filling(), base.delivery()
    for attempt in (1, 2):
        assert destination.accept([base.deliver(delivery, ROWS, 2, attempt=attempt)]) == {}
    sql = "SELECT engine FROM information_schema.tables WHERE table_schema=%s AND table_name='object_7'"
    assert base.mariadb.query(sql, base.name) == [(meant,)]
    assert base.tables() == ["object_7"]


# ---- what does not


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x\t0.5\ta\t7\n", "Incorrect integer value: 'x' for column .*id.* at row 1"),
        ("1\tnan\ta\t7\n", "flux"),
        ("1\t1e39\ta\t7\n", "Out of range value for column 'flux'"),
        ("1\t0.5\tmuch too long\t7\n", "Data too long for column 'name'|Data truncated for column 'name'"),
        ("1\t0.5\ta\n", "Row 1 doesn't contain data for all columns"),
        ("1\t0.5\ta\t7\t8\n", "Row 1 was truncated"),
        ("\\N\t0.5\ta\t7\n", "Column set to default value; NULL supplied to NOT NULL column 'id'"),
    ],
)
def test_rows_that_do_not_fit_are_the_fault_of_what_is_made(base: Base, line: str, said: str) -> None:
    base.filling()
    with pytest.raises(ChunkError, match=f"chunk_7.txt of Object was not taken as it is: .*({said})") as caught:
        base.deliver(base.delivery(), line, 1)
    assert caught.value.fault is Fault.PARTITION


def test_only_the_first_warnings_are_shown(base: Base) -> None:
    base.filling()
    with pytest.raises(ChunkError, match=r"'x3'.* and 97 more$"):
        base.deliver(base.delivery(), "".join(f"x{n}\t0.5\ta\t7\n" for n in range(1, 101)), 100)


def test_a_missing_row_is_not_delivered(base: Base) -> None:
    base.filling()
    with pytest.raises(ChunkError, match=r"chunk_7\.txt of Object: 3 rows were sent, 2 were taken") as caught:
        base.deliver(base.delivery(), ROWS, 3)
    assert caught.value.fault is Fault.DELIVER


@pytest.mark.parametrize(
    ("engine", "columns", "raw", "said"),
    [
        ("NoSuch", COLUMNS, {}, "Unknown storage engine 'NoSuch'.* set ingest.engine to one that SHOW ENGINES lists"),
        (
            None,
            (("id", "BIGNT"),),
            {},
            "table Object: .*data type: 'BIGNT'.* check the columns' types in spec",
        ),
        (None, COLUMNS, {"charset_name": "klingon"}, "Unknown character set: 'klingon'.* check 'charset_name'"),
        (None, COLUMNS, {"collation_name": "utf8mb4_x"}, "Unknown collation: 'utf8mb4_x'.* check 'collation_name'"),
    ],
)
def test_what_no_table_can_be_made_of_is_said_before_the_run(
    base: Base, engine: str | None, columns: Any, raw: dict[str, object], said: str
) -> None:
    base.target, base.columns, base.raw = replace(base.target, engine=engine), columns, raw
    with pytest.raises(ChunkError, match=said):
        base.filling()


# ---- who may


def test_a_user_over_tcp_with_a_password_that_nothing_shows(base: Base) -> None:
    mariadb = base.mariadb
    mariadb.query(f"CREATE USER {base.name}@'127.0.0.1' IDENTIFIED BY 's3cret'")
    mariadb.query(f"GRANT ALL ON {base.name}.* TO {base.name}@'127.0.0.1'")
    base.target = replace(base.target, socket=None, host="127.0.0.1", port=mariadb.port, user=base.name)
    destination = MySqlDestination(base.target, base.schema(), base.parts, "s3cret")
    destination.check()
    assert not any("s3cret" in repr(thing) for thing in (destination, base.target, destination._link))
    wrong = MySqlDestination(base.target, base.schema(), base.parts, "other")
    with pytest.raises(
        InputError, match=r"Access denied .*check ingest.user and the password \(ingest.passwordFile\)"
    ):
        wrong.check()


def test_rights_that_lack_are_said_before_the_run(base: Base) -> None:
    mariadb = base.mariadb
    mariadb.query(f"CREATE USER {base.name}@'127.0.0.1'")
    base.target = replace(base.target, socket=None, host="127.0.0.1", port=mariadb.port, user=base.name)
    with pytest.raises(ChunkError, match="grant the user all rights on the database"):
        base.filling()


def test_nobody_answers(base: Base) -> None:
    base.target = replace(base.target, socket=str(base.folder / "no.sock"))
    with pytest.raises(InputError, match=r"no database answers at .*no\.sock: No such file or directory"):
        base.destination().check()
    base.target = replace(base.target, socket=None, host="127.0.0.1", port=1)
    with pytest.raises(InputError, match=r"no database answers at 127.0.0.1:1: Connection refused"):
        base.destination().check()


def test_loading_from_clients_may_be_switched_off(base: Base) -> None:
    base.mariadb.query("SET GLOBAL local_infile = 0")
    try:
        for begin in (base.destination().check, base.delivery):
            with pytest.raises((ChunkError, InputError), match="takes no LOAD DATA LOCAL: SET GLOBAL local_infile=1"):
                begin()
    finally:
        base.mariadb.query("SET GLOBAL local_infile = 1")


# ---- whose database it is


def test_a_database_of_the_same_plan_is_filled_further(base: Base) -> None:
    first = base.filling()
    first.accept([base.deliver(base.delivery(), ROWS, 2)])
    first.close()
    base.destination().check()
    base.filling()
    assert base.tables() == ["object_7"]


def test_a_database_of_another_plan_is_refused_and_left_alone(base: Base) -> None:
    first = base.filling()
    first.accept([base.deliver(base.delivery(), ROWS, 2)])
    first.close()
    base.parts |= {"digest": "c" * 64, "seed": "2", "spec/sky.py": "d" * 64, "objects": "5"}
    with pytest.raises(InputError) as caught:
        base.destination().check()
    assert [problem.what for problem in caught.value.problems] == [
        f"the database '{base.name}' was filled by another plan: objects is not part of the plan that filled it",
        f"the database '{base.name}' was filled by another plan: seed is 1 there, here 2",
        f"the database '{base.name}' was filled by another plan: another spec/sky.py",
        "name another database (ingest.dbName), or have what is there dropped with --replace",
    ]
    with pytest.raises(InputError):
        base.filling()
    assert len(base.rows()) == 2


def test_replace_drops_what_the_other_plan_left_and_nothing_else(base: Base) -> None:
    first = base.filling()
    first.accept([base.deliver(base.delivery(), ROWS, 2)])
    first.finish(complete=True, partial_sky=True)
    first.close()
    for name in ("Notes", "Object_all", "Other_7"):
        base.mariadb.query(f"CREATE TABLE {name} (a INT)", database=base.name)
    base.parts |= {"digest": "c" * 64}
    base.target = replace(base.target, replace=True)
    base.destination().check()
    assert "object_7" in base.tables()
    base.filling().close()
    assert base.tables() == ["notes", "object_all", "other_7"]
    base.target = replace(base.target, replace=False)
    base.destination().check()


def test_chunk_tables_of_unknown_origin_are_refused(base: Base) -> None:
    base.mariadb.query(f"CREATE DATABASE {base.name}")
    base.mariadb.query("CREATE TABLE Object_12 (a INT)", database=base.name)
    with pytest.raises(InputError, match=r"holds 1 chunk tables \(object_12, \.\.\.\) that no plan of ours made"):
        base.destination().check()


def test_a_console_that_died_while_it_made_the_plans_table(base: Base) -> None:
    base.mariadb.query(f"CREATE DATABASE {base.name}")
    base.mariadb.query("CREATE TABLE dgconsole_plan (part VARCHAR(250), value TEXT)", database=base.name)
    base.destination().check()
    base.filling().close()
    base.destination().check()


def test_two_runs_do_not_fill_one_database_at_once(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgconsole.ingest.mysql.destination.LOCK_WAIT", 0)
    first = base.filling()
    with pytest.raises(InputError, match=f"another run fills the database '{base.name}' right now"):
        base.destination().check()
    first.close()
    base.destination().check()


@pytest.mark.slow
def test_a_server_as_it_comes_keeps_upper_case_and_is_strict(new_mariadb: Any, tmp_path: Path) -> None:
    with ExitStack() as ending:
        base = Base(new_mariadb("--skip-name-resolve"), tmp_path, ending)
        destination, delivery = base.filling(), base.delivery()
        for attempt in (1, 2):
            assert destination.accept([base.deliver(delivery, ROWS, 2, attempt=attempt)]) == {}
        with pytest.raises(ChunkError, match="Out of range value"):
            base.deliver(delivery, "1\t1e39\ta\t7\n", 1, chunk=8)
        destination.finish(complete=True, partial_sky=True)
        destination.close()
        assert base.tables() == ["Object", "Object_7"]
        base.parts |= {"digest": "c" * 64}
        base.target = replace(base.target, replace=True)
        base.filling()
        assert base.tables() == []


# ---- crashes between the steps


def test_a_console_that_died_before_it_accepted(base: Base) -> None:
    base.filling()._link.close()
    base.deliver(base.delivery(), ROWS, 2)
    assert base.tables() == ["object_7__new1"]
    base.filling().sweep()
    assert base.tables() == []


@pytest.fixture
def replaced(base: Base) -> Attempt:
    """A second attempt is loaded where a first one was accepted."""
    first, delivery = base.filling(), base.delivery()
    first.accept([base.deliver(delivery, ROWS, 2)])
    first.close()
    return base.deliver(delivery, "3\t0.5\tc\t7\n", 1, attempt=2)


def test_a_table_that_an_interrupted_try_left_is_no_obstacle(base: Base) -> None:
    destination, delivery = base.filling(), base.delivery()
    base.mariadb.query("CREATE TABLE Object_7__new1 (a INT)", database=base.name)
    assert destination.accept([base.deliver(delivery, ROWS, 2)]) == {}
    assert len(base.rows()) == 2


def test_a_console_that_died_after_the_renaming(base: Base, replaced: Attempt) -> None:
    base.mariadb.query("RENAME TABLE Object_7 TO Object_7__old, Object_7__new2 TO Object_7", database=base.name)
    again = base.filling()
    assert again.accept([replaced]) == {}
    assert (base.tables(), len(base.rows())) == (["object_7"], 1)


def test_the_old_table_is_swept_where_the_new_one_is_in_its_place(base: Base, replaced: Attempt) -> None:
    base.mariadb.query("RENAME TABLE Object_7 TO Object_7__old, Object_7__new2 TO Object_7", database=base.name)
    base.filling().sweep()
    assert (base.tables(), len(base.rows())) == (["object_7"], 1)


def test_the_old_table_comes_back_where_nothing_is_in_its_place(base: Base, replaced: Attempt) -> None:
    base.mariadb.query("RENAME TABLE Object_7 TO Object_7__old", database=base.name)
    base.filling().sweep()
    assert (base.tables(), len(base.rows())) == (["object_7"], 2)


def test_an_old_table_that_was_not_dropped_is_in_nobodys_way(base: Base, replaced: Attempt) -> None:
    base.mariadb.query("CREATE TABLE Object_7__old LIKE Object_7", database=base.name)
    assert base.filling().accept([replaced]) == {}
    assert (base.tables(), len(base.rows())) == (["object_7"], 1)


def test_the_server_dies_after_the_load_and_after_the_accept(base: Base) -> None:
    destination, delivery = base.filling(), base.delivery()
    item = base.deliver(delivery, ROWS, 2)
    base.mariadb.kill()
    base.mariadb.start()
    assert destination.accept([item]) == {}
    base.mariadb.kill()
    base.mariadb.start()
    assert base.rows() == [(1, 0.5, "a", 7), (2, None, "b", 7)]
    base.deliver(delivery, ROWS, 2, chunk=8)
    destination.close()
    assert base.tables() == ["object_7"]


def test_a_server_that_is_back_soon_is_waited_for(base: Base) -> None:
    waiting = threading.Event()
    destination, delivery = base.filling(30.0), base.delivery(30.0, waiting.set)
    base.mariadb.kill()
    waiting.clear()

    def bring_back() -> None:
        assert waiting.wait(30)
        base.mariadb.start()

    helper = threading.Thread(target=bring_back)
    helper.start()
    item = base.deliver(delivery, ROWS, 2)
    helper.join()
    assert destination.accept([item]) == {}
    assert len(base.rows()) == 2


def test_a_server_that_stays_away(base: Base) -> None:
    destination, delivery = base.filling(0.3), base.delivery(0.3)
    item = base.deliver(delivery, ROWS, 2)
    base.mariadb.kill()
    try:
        begun = time.monotonic()
        with pytest.raises(ChunkError, match=r"no database answers .* \(tried for 0 s\)") as caught:
            base.deliver(delivery, ROWS, 2, chunk=8)
        assert time.monotonic() - begun < 0.6  # its patience once, not once a try
        assert caught.value.fault is Fault.DELIVER
        refused = destination.accept([item, Attempt(9, 1, {})])
        # What waits for a person, not a fault of the chunk: its tables are there.
        assert {key: error.fault for key, error in refused.items()} == {(7, 1): Fault.DISK, (9, 1): Fault.DISK}
    finally:
        base.mariadb.start()
    assert destination.accept([item]) == {}


@pytest.mark.slow
def test_it_beats_as_long_as_the_server_loads(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgconsole.ingest.mysql.link.TICK", 0.01)
    beats = []

    def beat() -> None:
        """The server stands still from the first packet on, for a while."""
        beats.append(len(beats))
        base.mariadb.freeze() if len(beats) == 2 else None
        base.mariadb.thaw() if len(beats) == 8 else None

    destination, delivery = base.filling(), base.delivery(beat=beat)
    assert destination.accept([base.deliver(delivery, ROWS, 2)]) == {}
    assert len(beats) >= 8
    assert len(base.rows()) == 2


def test_a_large_file_beats_as_it_is_taken(base: Base) -> None:
    beats: list[None] = []
    destination, delivery = base.filling(), base.delivery(beat=lambda: beats.append(None))
    assert destination.accept([base.deliver(delivery, "1\t0.5\ta\t7\n" * 100_000, 100_000)]) == {}
    assert len(beats) > 10


@pytest.mark.parametrize("at", [2, 4])
def test_what_a_beat_raises_breaks_the_load_off(base: Base, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    monkeypatch.setattr("dgconsole.ingest.mysql.link.TICK", 0.01)
    beats = []

    def beat() -> None:
        beats.append(len(beats))
        if len(beats) == 2:
            base.mariadb.freeze()
        if len(beats) == at:
            base.mariadb.thaw()
            raise ChunkError(Fault.STOPPED, "abandoned")

    base.filling()
    delivery = base.delivery(beat=beat)
    with pytest.raises(ChunkError) as caught:
        base.deliver(delivery, ROWS, 2)
    assert caught.value.fault is Fault.STOPPED
    assert len(beats) == at
    delivery.discard(7, 1)
    assert base.tables() == []
    delivery.close()


def test_a_server_that_never_says_whether_it_has_loaded(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgconsole.ingest.mysql.link.TICK", 0.01)
    monkeypatch.setattr("dgconsole.ingest.mysql.link.TRIES", 1)
    beats: list[None] = []

    def beat() -> None:
        beats.append(None)
        base.mariadb.freeze() if len(beats) == 2 else None

    base.filling()
    delivery = base.delivery(beat=beat)
    monkeypatch.setattr("dgconsole.ingest.mysql.link.ANSWER_TIMEOUT", 0.05)  # not that of this connection's reads
    try:
        with pytest.raises(ChunkError, match="has taken a file and not answered in 0 s"):
            base.deliver(delivery, ROWS, 2)
    finally:
        base.mariadb.thaw()


def test_a_load_is_broken_off_from_outside(base: Base) -> None:
    """As a client does that leaves at once: its thread hangs in a load that a lock holds up."""
    base.filling()
    begun = threading.Event()
    delivery = base.delivery(beat=begun.set)
    name, errors = home_name(7), []
    file = File(delivery.folder("Object", 7) / attempt_name(name, 1), name, ROWS, 2)
    lock = base.mariadb.connect(base.name)
    with lock, lock.cursor() as cursor:
        cursor.execute("CREATE TABLE Object_7__new1 (a INT)")
        cursor.execute("LOCK TABLES Object_7__new1 READ")

        def load() -> None:
            delivery._thread = threading.get_ident()
            try:
                delivery.deliver(7, 1, [Written("Object", (file,))])  # type: ignore[list-item]
            except ChunkError as error:
                errors.append(error)

        worker = threading.Thread(target=load)
        worker.start()
        assert begun.wait(10)
        sql = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'DROP TABLE%new1%'"
        while not base.mariadb.query(sql):
            pass

        def wanted() -> None:
            raise ChunkError(Fault.STOPPED, "abandoned")

        delivery._beat = wanted
        with pytest.raises(ChunkError):  # the lock is still held; what stays is swept later
            delivery.discard(7, 1)
        worker.join(10)
    assert [error.fault for error in errors] == [Fault.STOPPED]
    assert not file.path.exists()


# ---- afterwards


def test_views_over_all_chunks(base: Base) -> None:
    destination, delivery = base.filling(), base.delivery()
    destination.accept([base.deliver(delivery, ROWS, 2, chunk=chunk) for chunk in (7, 8)])
    (said,) = destination.finish(complete=True, partial_sky=True)
    assert said == f"database '{base.name}': views over all chunks: Object"
    assert len(base.rows("Object")) == 4
    destination.accept([base.deliver(delivery, ROWS, 2, chunk=9)])
    destination.finish(complete=True, partial_sky=True)
    assert len(base.rows("Object")) == 6


def test_no_view_over_too_many_chunks(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_CHUNKS == 500
    monkeypatch.setattr("dgconsole.ingest.mysql.views.MOST_CHUNKS", 2)
    destination, delivery = base.filling(), base.delivery()
    destination.accept([base.deliver(delivery, ROWS, 2, chunk=chunk) for chunk in (7, 8)])
    destination.finish(complete=True, partial_sky=True)
    destination.accept([base.deliver(delivery, ROWS, 2, chunk=9)])
    (said,) = destination.finish(complete=True, partial_sky=True)
    assert "no view over Object, as over 2 chunk tables are too many for one" in said
    assert base.tables() == ["object_7", "object_8", "object_9"]


def test_names_are_told_apart() -> None:
    reader = Reader(["Object", "Obj", "ObjectX"])
    assert reader.read("object_7") == ("Object", False, 7, "")
    assert reader.read("ObjectFullOverlap_7__new12") == ("Object", True, 7, "new12")
    assert reader.read("objfulloverlap_0__old") == ("Obj", True, 0, "old")
    assert reader.read("ObjectX_1234567890") == ("ObjectX", False, 1234567890, "")
    strangers = ["object", "object_x", "object_7_8", "object_7__new", "object_7__newest", "xobject_7", "object_-1"]
    assert [reader.read(name) for name in strangers] == [None] * len(strangers)
