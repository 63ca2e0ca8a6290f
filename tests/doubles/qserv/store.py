"""The MariaDB behind the double: one schema for each worker and database, tables as a worker makes them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

DUMMY = 1234567890


class Store:
    """Statements run in threads, each with a connection of its own."""

    def __init__(self, connect: Callable[[], Any], tag: str, folder: Path) -> None:
        self._connect = connect
        self._mine = threading.local()
        self._all: list[Any] = []
        self.tag = tag
        self.folder = folder

    def close(self) -> None:
        for connection in self._all:
            with contextlib.suppress(Exception):
                connection.close()

    def run(self, sql: str) -> int:
        """Affected rows."""
        with self._connection().cursor() as cursor:
            return int(cursor.execute(sql))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection().cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    async def aside(self, job: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.to_thread(job, *arguments)

    def _connection(self) -> Any:
        if not hasattr(self._mine, "connection"):
            self._mine.connection = self._connect()
            self._all.append(self._mine.connection)
        return self._mine.connection

    # ---- a worker's statements

    def schema(self, worker: str, database: str) -> str:
        return f"{self.tag}_{worker}_{database}".lower()

    def meta(self) -> str:
        return f"{self.tag}_meta"

    def tables(self, schema: str) -> list[str]:
        rows = self.query(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'")
        return sorted(name for (name,) in rows)

    def create_database(self, workers: Sequence[str], database: str) -> None:
        self.run(f"CREATE DATABASE IF NOT EXISTS `{self.meta()}`")
        for worker in workers:
            self.run(f"CREATE DATABASE IF NOT EXISTS `{self.schema(worker, database)}`")

    def drop_database(self, workers: Sequence[str], database: str) -> None:
        """Its director indexes too."""
        for name in self.tables(self.meta()):
            if name.startswith(f"{database.lower()}__"):
                self.run(f"DROP TABLE `{self.meta()}`.`{name}`")
        for worker in workers:
            self.run(f"DROP DATABASE IF EXISTS `{self.schema(worker, database)}`")

    def create_table(self, workers: Sequence[str], database: str, table: dict[str, Any], *, index: bool) -> None:
        columns = ", ".join(f"`{column['name']}` {column['type']}" for column in table["columns"])
        name = table["name"]
        for worker in workers:
            schema = self.schema(worker, database)
            self.run(
                f"CREATE TABLE IF NOT EXISTS `{schema}`.`{name}` ({columns}) ENGINE=MyISAM "
                f"DEFAULT CHARSET={table['charset_name']} COLLATE={table['collation_name']} "
                "PARTITION BY LIST (qserv_trans_id) (PARTITION p0 VALUES IN (0))"
            )
            if table["is_partitioned"]:
                self.chunk_tables(schema, name, DUMMY)
        if index:
            key = table["director_key"]
            unique = "UNIQUE KEY" if table["unique_primary_key"] else "KEY"
            self.run(
                f"CREATE TABLE `{self.meta()}`.`{database}__{name}` (qserv_trans_id INT NOT NULL, `{key}` BIGINT, "
                f"chunkId INT, subChunkId INT, {unique} (qserv_trans_id, `{key}`), KEY (`{key}`)) ENGINE=InnoDB "
                "PARTITION BY LIST (qserv_trans_id) (PARTITION p0 VALUES IN (0))"
            )

    def chunk_tables(self, schema: str, table: str, chunk: int) -> list[str]:
        names = [f"{table}_{chunk}", f"{table}FullOverlap_{chunk}"]
        for name in names:
            self.run(f"CREATE TABLE IF NOT EXISTS `{schema}`.`{name}` LIKE `{schema}`.`{table}`")
        return names

    def add_partition(self, schema: str, name: str, transaction: int) -> None:
        self.run(
            f"ALTER TABLE `{schema}`.`{name}` ADD PARTITION IF NOT EXISTS "
            f"(PARTITION p{transaction} VALUES IN ({transaction}))"
        )

    def load(
        self, schema: str, name: str, path: Path, charset: str, dialect: dict[str, str]
    ) -> tuple[int, int, list]:
        """Rows loaded, number of warnings, the first warnings."""
        enclosed = dialect["fields_enclosed_by"]
        enclosure = "" if enclosed == "\\0" else f" ENCLOSED BY '{chr(92) + enclosed}'"
        self.run("SET SESSION max_error_count=64")
        loaded = self.run(
            f"LOAD DATA INFILE '{path}' INTO TABLE `{schema}`.`{name}` CHARACTER SET '{charset}' "
            f"FIELDS TERMINATED BY '{dialect['fields_terminated_by']}'{enclosure} "
            f"ESCAPED BY '{dialect['fields_escaped_by']}' LINES TERMINATED BY '{dialect['lines_terminated_by']}'"
        )
        warnings = self.query("SHOW WARNINGS")
        ((count,),) = self.query("SELECT @@warning_count") if not warnings else ((len(warnings),),)
        return loaded, int(count), [dict(zip(("level", "code", "message"), row, strict=True)) for row in warnings]

    def drop_partitions(self, schema: str, transaction: int) -> None:
        for name in self.tables(schema):
            self.run(f"ALTER TABLE `{schema}`.`{name}` DROP PARTITION IF EXISTS p{transaction}")

    def remove_partitioning(self, schema: str) -> None:
        for name in self.tables(schema):
            self.run(f"ALTER TABLE `{schema}`.`{name}` REMOVE PARTITIONING")
