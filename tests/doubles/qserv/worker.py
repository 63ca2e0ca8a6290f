"""A worker's HTTP ingest service: files by multipart, into the worker's tables."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from qserv.faults import Fault, Faults
from qserv.service import Call, Refused, Seen, Service
from qserv.state import Database, State, Transaction
from qserv.store import Store

DIALECT = {
    "fields_terminated_by": (("\\t", ","), "\\t"),
    "fields_enclosed_by": (("\\0", "'", '"'), "\\0"),
    "fields_escaped_by": (("\\\\",), "\\\\"),
    "lines_terminated_by": (("\\n",), "\\n"),
}
HEAD = re.compile(rb'Content-Disposition: form-data; name="([^"]+)"(?:; filename="([^"]+)")?', re.IGNORECASE)


class Cut(Exception):
    """The stream ended early, or the sender paused: what came is loaded all the same."""


@dataclass
class Upload:
    """One request on its way in: fields, then the only file."""

    fields: dict[str, str]
    file_name: str = ""
    data: bytes = b""
    contribution: dict[str, Any] | None = None
    transaction: Transaction | None = None
    database: Database | None = None


class Worker(Service):
    """``kinder``: a truncated upload becomes READ_FAILED instead of being loaded. ``pause``: the longest, seconds."""

    def __init__(
        self,
        name: str,
        key: str,
        admin_key: str,
        version: int,
        faults: Faults,
        log: list[Seen],
        state: State,
        store: Store,
    ) -> None:
        super().__init__(name, key, admin_key, version, faults, log)
        self.state = state
        self.store = store
        self.kinder = False
        self.pause = 5.0
        self.least_csv = 38
        self.at_once = 0
        self.most_at_once = 0
        self._files = 0
        self._tables = asyncio.Lock()
        self.route("GET", "/meta/version", self.meta, 0)

    async def meta(self, _: Call) -> dict[str, Any]:
        return {
            "kind": "replication-worker-ingest",
            "name": "http",
            "id": self.place,
            "instance_id": self.instance,
            "version": self.version,
        }

    async def answered(self, request: web.Request, seen: Seen) -> tuple[dict[str, Any], int]:
        if (request.method, request.path) != ("POST", "/ingest/csv"):
            return await super().answered(request, seen)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        head = {"success": 1, "error": "", "error_ext": {}, "warning": ""}
        upload = Upload({})
        try:
            cut = await self._receive(request, seen, upload)
            contribution = await self._loaded(upload, request, cut)
        except Refused as refused:
            return {**head, "success": 0, "error": refused.text, "error_ext": refused.ext}, refused.status
        finally:
            self.at_once -= 1
        return {**head, "contrib": contribution}, 400 if cut else 200

    async def _receive(self, request: web.Request, seen: Seen, upload: Upload) -> bool:
        """Read the parts; whether the stream was cut short."""
        kind = re.fullmatch(r"multipart/form-data; boundary=(\S+)", request.headers.get("Content-Type", ""))
        if kind is None or "Content-Length" not in request.headers:
            raise Refused("invalid parameters of the request, ex: no multipart body, or without its length")
        mark = b"--" + kind[1].encode()
        raw, start = bytearray(), -1
        reset = self.faults.take(("reset", "down"), self.place, request.method, request.path)
        cut = False
        try:
            while True:
                block = await self._block(request)
                if not block:
                    break
                raw += block
                if start < 0:
                    start = self._head(raw, mark, upload, seen)
                    if start >= 0:
                        await self._start_of_file(upload, request)
                if reset is not None and len(raw) - max(start, 0) >= reset.bytes:
                    await self._break(request, reset)
        except (Cut, ConnectionError, web.RequestPayloadError, asyncio.IncompleteReadError):
            cut = True
        if start < 0:
            raise Refused("operation failed due to: no file was sent in the request")
        end = raw.rfind(b"\r\n" + mark + b"--")
        if end < start:
            cut, end = True, len(raw)
        upload.data = bytes(raw[start:end])
        if not cut and (b"\r\n" + mark) in upload.data:
            raise Refused("operation failed due to: the service only allows one file per request")
        return cut

    async def _block(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self.pause):
                return await request.content.readany()
        except TimeoutError as error:
            self.faults.take(("notice_pause",), self.place, request.method, request.path)
            raise Cut from error
        except Exception as error:
            raise Cut from error

    async def _break(self, request: web.Request, fault: Fault) -> None:
        assert request.transport is not None
        request.transport.abort()
        if fault.kind == "down":
            asyncio.get_running_loop().create_task(self.stop())
        raise Cut

    def _head(self, raw: bytearray, mark: bytes, upload: Upload, seen: Seen) -> int:
        """Where the file begins, once it has; fields that came before it are noted."""
        at, fields = 0, {}
        while True:
            if not raw.startswith(mark + b"\r\n", at):
                return -1
            blank = raw.find(b"\r\n\r\n", at)
            if blank < 0:
                return -1
            found = HEAD.search(raw, at, blank)
            if found is None:
                raise Refused("invalid parameters of the request, ex: a part without a name")
            if found[2]:
                upload.fields, upload.file_name = fields, found[2].decode()
                seen.body = dict(fields)
                return blank + 4
            end = raw.find(b"\r\n" + mark, blank + 4)
            if end < 0:
                return -1
            fields[found[1].decode()] = raw[blank + 4 : end].decode()
            at = end + 2

    async def _start_of_file(self, upload: Upload, request: web.Request) -> None:
        fields = upload.fields
        self.check_key(fields)
        number = int(fields.get("version") or request.query.get("version") or self.version)
        if not self.least_csv <= number <= self.version:
            ext = {"min_version": self.least_csv, "max_version": self.version}
            raise Refused(f"the requested version {number} of the API is not supported", ext)
        for name in ("transaction_id", "table", "chunk", "overlap"):
            if name not in fields:
                raise Refused(f"invalid parameters of the request, ex: required parameter {name} is missing")
        dialect = {}
        for name, (allowed, default) in DIALECT.items():
            dialect[name] = fields.get(name) or default
            if dialect[name] not in allowed:
                raise Refused(f"invalid parameters of the request, ex: '{dialect[name]}' is not allowed for {name}")
        transaction = upload.transaction = self.state.transaction(int(fields["transaction_id"]))
        database = upload.database = self.state.database(transaction.database)
        if fields["table"] not in database.tables:
            raise Refused(f"operation failed due to: no such table '{fields['table']}'")
        chunk, overlap = int(fields["chunk"]), int(fields["overlap"])
        contribution = upload.contribution = {
            "id": self.state.next_contribution,
            "transaction_id": transaction.id,
            "worker": self.place,
            "database": database.name,
            "table": fields["table"],
            "chunk": chunk,
            "overlap": overlap,
            "url": f"data-csv://127.0.0.1/{upload.file_name}",
            "charset_name": fields.get("charset_name") or "latin1",
            "async": 0,
            "dialect_input": dialect,
            "num_bytes": 0,
            "num_rows": 0,
            "num_rows_loaded": 0,
            "num_warnings": 0,
            "warnings": [],
            "status": "IN_PROGRESS",
            "error": "",
            "http_error": 0,
            "system_error": 0,
            "retry_allowed": 1,
            "max_num_warnings": int(fields.get("max_num_warnings") or 64),
        }
        self.state.next_contribution += 1
        if transaction.state != "STARTED":
            self._note(upload, "CREATE_FAILED", f"transactionId={transaction.id} is not active")
        partitioned = database.tables[fields["table"]]["is_partitioned"]
        if partitioned and database.chunks.get(chunk) != self.place:
            raise Refused(f"operation failed due to: chunk {chunk} is not allocated to worker '{self.place}'")
        transaction.contributions.append(contribution)
        fault = self.faults.take(("read_failed",), self.place, request.method, request.path)
        if fault is not None:
            contribution["status"], contribution["error"] = "READ_FAILED", "no space for the temporary file"
            ext = {"http_error": 0, "system_error": 28, "retry_allowed": 1}
            raise Refused("operation failed due to: no space for the temporary file", ext)

    def _note(self, upload: Upload, status: str, error: str) -> None:
        assert upload.contribution is not None
        upload.contribution["status"], upload.contribution["error"] = status, error
        if upload.transaction is not None and upload.contribution not in upload.transaction.contributions:
            upload.transaction.contributions.append(upload.contribution)
        raise Refused(f"operation failed due to: {error}")

    async def _loaded(self, upload: Upload, request: web.Request, cut: bool) -> dict[str, Any]:
        contribution = upload.contribution
        assert contribution is not None
        assert upload.transaction is not None
        assert upload.database is not None
        about = (self.place, request.method, request.path)
        if cut and self.kinder:
            self._note(upload, "READ_FAILED", "the stream ended early")
        data = upload.data
        separator = contribution["dialect_input"]["fields_terminated_by"].replace("\\t", "\t").encode()
        rows = _rows(data)
        contribution["num_bytes"], contribution["num_rows"] = len(data), len(rows)
        contribution["retry_allowed"] = 0
        slow = self.faults.take(("slow_load",), *about)
        if slow is not None:
            await slow.hang()
        if self.faults.take(("load_failed",), *about):
            self._note(upload, "LOAD_FAILED", "MySQL load failed, ex: table is marked as crashed")
        if upload.transaction.state != "STARTED":
            self._note(upload, "LOAD_FAILED", f"transactionId={upload.transaction.id} is not active")
        if self.faults.take(("lose_row",), *about):
            del rows[-1]
        if self.faults.take(("spoil_row",), *about):
            rows[0] = rows[0].split(separator)[0]
        prefix = str(upload.transaction.id).encode() + separator
        self._files += 1
        path = self.store.folder / f"{self.store.tag}_{self.place}_{self._files}.csv"
        path.write_bytes(b"".join(prefix + row + b"\n" for row in rows))
        try:
            async with self._tables:
                await self.store.aside(self._partitions, upload)
            loaded, count, warnings = await self.store.aside(self._load, upload, path)
        finally:
            path.unlink()
        if upload.transaction.state in ("ABORTED", "IS_ABORTING"):
            schema = self.store.schema(self.place, upload.database.name)
            await self.store.aside(self.store.drop_partitions, schema, upload.transaction.id)
        contribution.update(
            num_rows_loaded=loaded,
            num_warnings=count,
            warnings=warnings[: contribution["max_num_warnings"]],
            status="FINISHED",
        )
        return contribution

    def _partitions(self, upload: Upload) -> None:
        """The chunk's tables of all partitioned tables, both flavours, with this transaction's partition in each."""
        database, transaction = upload.database, upload.transaction
        assert database is not None
        assert transaction is not None
        assert upload.contribution is not None
        schema = self.store.schema(self.place, database.name)
        if not database.tables[upload.contribution["table"]]["is_partitioned"]:
            self.store.add_partition(schema, upload.contribution["table"], transaction.id)
            return
        for table in database.partitioned():
            for name in self.store.chunk_tables(schema, table, upload.contribution["chunk"]):
                self.store.add_partition(schema, name, transaction.id)

    def _load(self, upload: Upload, path: Path) -> tuple[int, int, list[dict[str, Any]]]:
        assert upload.contribution is not None
        assert upload.database is not None
        table = upload.contribution["table"]
        name = table
        if upload.database.tables[table]["is_partitioned"]:
            flavour = "FullOverlap" if upload.contribution["overlap"] else ""
            name = f"{table}{flavour}_{upload.contribution['chunk']}"
        schema = self.store.schema(self.place, upload.database.name)
        contribution = upload.contribution
        return self.store.load(schema, name, path, contribution["charset_name"], contribution["dialect_input"])


def _rows(data: bytes) -> list[bytes]:
    """Lines; an escaped line end belongs to its row, and the last one needs none."""
    rows: list[bytes] = []
    open_row = b""
    for line in data.split(b"\n"):
        open_row += line
        if (len(line) - len(line.rstrip(b"\\"))) % 2:
            open_row += b"\n"
            continue
        rows.append(open_row)
        open_row = b""
    if open_row:
        rows.append(open_row)
    if rows and rows[-1] == b"":
        del rows[-1]
    return rows
