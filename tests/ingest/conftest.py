"""A small database for tests against the double of Qserv, and both sides of the destination to fill it with."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio
from qserv import Qserv

from dgconsole.ingest.qserv.delivery import QservDelivery
from dgconsole.ingest.qserv.destination import QservDestination
from dgconsole.ingest.qserv.http import Limits
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect, IngestTarget
from dgconsole.support.filenames import attempt_name, home_name, overlap_name

DIALECT = Dialect(delimiter="\t", quote=None, escape="\\", null="\\N")
QUICK = Limits(
    connect=2.0,
    answer=5.0,
    stall=2.0,
    load=5.0,
    waits=(0.01, 0.02, 0.04),
    poll=0.01,
    stuck=3.0,
    leftover=0.2,
    outage=0.5,
)

OBJECT = TableSchema(
    table="Object",
    columns=(
        ("objectId", "BIGINT NOT NULL"),
        ("ra", "DOUBLE"),
        ("decl", "DOUBLE"),
        ("flux", "FLOAT"),
        ("chunkId", "INT NOT NULL"),
        ("subChunkId", "INT NOT NULL"),
    ),
    key="objectId",
    position=("ra", "decl"),
    overlap=0.01667,
    dialect=DIALECT,
)
CHILD = TableSchema(
    table="ForcedSource",
    columns=(
        ("objectId", "BIGINT NOT NULL"),
        ("flags", "TINYINT"),
        ("chunkId", "INT NOT NULL"),
        ("subChunkId", "INT NOT NULL"),
    ),
    director="Object",
    key="objectId",
    dialect=DIALECT,
)
SCHEMA = DatabaseSchema(database="skydb", num_stripes=18, num_sub_stripes=3, overlap=0.01667, tables=(OBJECT, CHILD))
CHUNKS = (324, 325, 326, 327)
"""Some that the tiling has."""


@dataclass
class File:
    name: str
    path: Path
    rows: int
    bytes: int
    overlap: bool = False


@dataclass
class Table:
    table: str
    files: tuple[File, ...]


@dataclass
class Sky:
    """Files of chunks, destinations and deliveries for one double; ``lines``: what was said for the log."""

    qserv: Qserv
    folder: Path
    lines: list[str] = field(default_factory=list)
    made: list[QservDestination] = field(default_factory=list)
    schema: DatabaseSchema = SCHEMA
    limits: Limits = QUICK
    chunks: tuple[int, ...] = CHUNKS

    def target(self, **more: Any) -> IngestTarget:
        return IngestTarget(kind="qserv", host=self.qserv.host, port=self.qserv.port, **more)

    def destination(
        self,
        *,
        run_id: str = "run-1",
        key: str | None = None,
        schema: DatabaseSchema | None = None,
        make: bool = True,
        **target: Any,
    ) -> QservDestination:
        made = QservDestination(
            schema or self.schema,
            self.target(schema=make, **target),
            {"ingest.authKey": self.qserv.key if key is None else key},
            run_id=run_id,
            say=self.lines.append,
            limits=self.limits,
        )
        self.made.append(made)
        return made

    async def prepared(self, **more: Any) -> QservDestination:
        made = self.destination(**more)
        await made.prepare([table.table for table in self.schema.tables])
        await made.recover()
        return made

    async def delivery(self, *, name: str = "out", **more: Any) -> QservDelivery:
        secrets = {"ingest.authKey": self.qserv.key}
        made = QservDelivery(
            self.folder / name,
            self.schema,
            self.target(),
            secrets,
            **{"limits": self.limits, "say": self.lines.append} | more,
        )
        await asyncio.to_thread(made.prepare)
        return made

    def write(
        self,
        delivery: QservDelivery,
        chunk: int,
        attempt: int = 1,
        *,
        rows: int = 5,
        overlap: int = 2,
        child: int = 7,
    ) -> list[Table]:
        """Files as the partitioner leaves them."""
        home = [f"{chunk << 20 | n}\t{10 + n / 7!r}\t{n / 3!r}\t{n / 2}\t{chunk}\t{n % 3}" for n in range(rows)]
        copies = [f"{chunk << 30 | n}\t{10 + n / 7!r}\t{n / 3!r}\t\\N\t{chunk}\t{n % 3}" for n in range(overlap)]
        children = [f"{chunk << 20 | n % 5}\t{n % 100}\t{chunk}\t{n % 3}" for n in range(child)]
        wanted = {
            "Object": {home_name(chunk): home, overlap_name(chunk): copies},
            "ForcedSource": {home_name(chunk): children},
        }
        tables = []
        for table, files in wanted.items():
            written = []
            for name, lines in files.items():
                if lines:
                    path = delivery.folder(table, chunk) / attempt_name(name, attempt)
                    text = "".join(f"{line}\n" for line in lines)
                    path.write_text(text)
                    written.append(File(name, path, len(lines), len(text.encode()), "_overlap" in name))
            tables.append(Table(table, tuple(written)))
        return tables

    async def deliver(
        self, transaction: int, chunk: int, attempt: int = 1, *, delivery: QservDelivery | None = None, **rows: int
    ) -> None:
        """Write and deliver a chunk, on another thread as a client does."""
        by = delivery or await self.delivery()
        written = self.write(by, chunk, attempt, **rows)
        await asyncio.to_thread(by.deliver, chunk, attempt, written, transaction=transaction)

    def expected(self, *chunks: int, rows: int = 5, overlap: int = 2, child: int = 7) -> dict[str, int]:
        """``chunk_tables`` of the double once these are loaded."""
        found = {}
        for chunk in chunks:
            found[f"object_{chunk}"] = rows
            found[f"objectfulloverlap_{chunk}"] = overlap
            found[f"forcedsource_{chunk}"] = child
        return {name: count for name, count in found.items() if count}

    def loaded(self) -> dict[str, int]:
        return self.qserv.chunk_tables(self.schema.database)


@pytest_asyncio.fixture
async def sky(qserv: Qserv, tmp_path: Path) -> AsyncIterator[Sky]:
    made = Sky(qserv, tmp_path)
    yield made
    for destination in made.made:
        await destination.close()
