"""The double as tests hold it: a controller and workers on a thread of their own, faults, looks into tables."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from qserv.controller import Controller
from qserv.faults import Fault, Faults
from qserv.service import Seen
from qserv.state import State, Transaction
from qserv.store import DUMMY, Store
from qserv.worker import Worker

KEY = "the-key-of-the-double"
ADMIN_KEY = "the-administrators-key"


class Qserv:
    """``start`` and ``stop`` it; what is asked of it besides is asked from any thread.

    Parameters
    ----------
    connect
        Makes a connection to the MariaDB.
    tag
        Begins the names of its schemas there.
    folder
        Where the MariaDB can read files.
    """

    def __init__(self, connect: Callable[[], Any], tag: str, folder: Path, *, workers: int = 2) -> None:
        self.host = "127.0.0.1"
        self.key = KEY
        self.state = State()
        self.store = Store(connect, tag, folder)
        self.faults = Faults()
        self.seen: list[Seen] = []
        common = (KEY, ADMIN_KEY, 55, self.faults, self.seen)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="qserv", daemon=True)
        self._thread.start()
        self.controller, self.workers = self.do(self._made(common, workers))

    async def _made(self, common: tuple[Any, ...], count: int) -> tuple[Controller, dict[str, Worker]]:
        controller = Controller(*common, self.state, self.store)
        workers = {f"w{n}": Worker(f"w{n}", *common, self.state, self.store) for n in range(1, count + 1)}
        controller.workers = dict(workers)
        return controller, workers

    @property
    def port(self) -> int:
        return self.controller.port

    def start(self) -> None:
        self.do(self.controller.start())
        for worker in self.workers.values():
            self.do(worker.start())

    def stop(self) -> None:
        for fault in self.faults.all:
            fault.release()
        for service in (self.controller, *self.workers.values()):
            self.do(service.stop())
        self.do(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.store.close()

    def do(self, job: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the services' loop."""
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(60)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    # ---- faults, and what came

    def fail(self, kind: str, method: str = "", path: str = "", **more: Any) -> Fault:
        """Arm a fault: see ``Fault``."""
        fault = Fault(kind, method, path, **more)
        self.faults.all.append(fault)
        return fault

    def be_version(self, number: int) -> None:
        for service in (self.controller, *self.workers.values()):
            service.version = number

    def came(self, method: str, path: str, **query: str) -> list[Seen]:
        """The requests with this method, path and (part of the) query that reached any service."""
        return [
            each
            for each in self.seen
            if (each.method, each.path) == (method, path) and query.items() <= each.query.items()
        ]

    def uploads(self) -> list[Seen]:
        return self.came("POST", "/ingest/csv")

    async def forget(self, database: str) -> None:
        """Somebody deletes a database."""
        self.controller.remove(self.state.database(database))
        await self.store.aside(self.store.drop_database, list(self.workers), database)

    # ---- what is there now

    def transactions(self) -> list[Transaction]:
        return list(self.state.transactions.values())

    def chunk_tables(self, database: str) -> dict[str, int]:
        """Rows by table (names in lower case), of the tables of chunks that have any."""
        found = {}
        for worker in self.workers:
            schema = self.store.schema(worker, database)
            for name in self.store.tables(schema):
                if "_" in name and not name.endswith(f"_{DUMMY}"):
                    ((count,),) = self.store.query(f"SELECT COUNT(*) FROM `{schema}`.`{name}`")
                    if count:
                        assert name not in found, f"{name} is on two workers"
                        found[name] = count
        return found

    def ask(self, database: str, name: str, sql: str) -> list[tuple[Any, ...]]:
        """A statement to the database of the worker that has the chunk table ``name``."""
        self.store.run(f"USE `{self._home(database, name)}`")
        return list(self.store.query(sql))

    def whole_tables(self, database: str, table: str) -> dict[str, int]:
        """Rows of a regular table by worker."""
        found = {}
        for worker in self.workers:
            ((found[worker],),) = self.store.query(
                f"SELECT COUNT(*) FROM `{self.store.schema(worker, database)}`.`{table}`"
            )
        return found

    def rows(self, database: str, name: str, *, whole: bool = False) -> list[tuple[Any, ...]]:
        """A table's rows, in order; with Qserv's own column only if they are to be ``whole``."""
        schema = self._home(database, name)
        shown = self.store.query(f"SELECT * FROM `{schema}`.`{name}`")
        return sorted(row[0 if whole else 1 :] for row in shown)

    def checksum(self, database: str, name: str) -> int:
        """Of a chunk table's contents, Qserv's own column left out."""
        schema = self._home(database, name)
        columns = self.store.query(f"SHOW COLUMNS FROM `{schema}`.`{name}`")
        kept = ", ".join(f"`{column}`" for column, *_ in columns if column != "qserv_trans_id")
        return self._checksum(schema, f"CREATE TABLE `{schema}`.scratch ENGINE=MyISAM AS SELECT {kept} FROM `{name}`")

    def checksum_of_file(self, database: str, name: str, path: Path) -> int:
        """What ``checksum`` of a table is that holds just the rows of a chunk file (tabs, no quotes)."""
        schema = self._home(database, name)
        columns = [column for column, *_ in self.store.query(f"SHOW COLUMNS FROM `{schema}`.`{name}`")][1:]
        kept = ", ".join(f"`{column}`" for column in columns)
        make = f"CREATE TABLE `{schema}`.scratch ENGINE=MyISAM AS SELECT {kept} FROM `{name}` LIMIT 0"
        return self._checksum(schema, make, path)

    def _checksum(self, schema: str, make: str, path: Path | None = None) -> int:
        self.store.run(f"USE `{schema}`")
        self.store.run(make)
        try:
            if path is not None:
                copy = self.store.folder / f"{self.store.tag}_check.csv"
                copy.write_bytes(path.read_bytes())
                try:
                    self.store.run(f"LOAD DATA INFILE '{copy}' INTO TABLE scratch CHARACTER SET latin1")
                finally:
                    copy.unlink()
            ((_, found),) = self.store.query("CHECKSUM TABLE scratch")
            return int(found)
        finally:
            self.store.run("DROP TABLE scratch")

    def _home(self, database: str, name: str) -> str:
        for worker in self.workers:
            schema = self.store.schema(worker, database)
            if name.lower() in self.store.tables(schema):
                return schema
        raise AssertionError(f"no worker has {name}")

    def partitions(self, database: str) -> Sequence[str]:
        """Names of all partitions (but p0) that any table has."""
        found = self.store.query(
            "SELECT DISTINCT partition_name FROM information_schema.partitions "
            f"WHERE table_schema LIKE '{self.store.tag}\\_%\\_{database}' AND partition_name <> 'p0'"
        )
        return sorted(name for (name,) in found)
