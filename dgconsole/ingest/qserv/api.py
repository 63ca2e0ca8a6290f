"""The Replication Controller's services, one method each; which of them may be repeated is said here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from yarl import URL

from dgconsole.ingest.qserv.answers import (
    Configuration,
    Contribution,
    Location,
    Service,
    State,
    Transaction,
    read,
)
from dgconsole.ingest.qserv.failures import LostError, RefusedError
from dgconsole.ingest.qserv.http import Answer, Http, Limits

KNOWN = 55
"""The number of the API that this is written for."""

OLDEST = 38
"""The first that takes files by ``/ingest/csv``."""

MANY_CHUNKS = 54
"""The first that places many chunks with one call."""

CONTROLLER, WORKER = "replication-controller", "replication-worker-ingest"

Say = Callable[[str], None]


def silent(line: str) -> None:
    """For callers that want no lines."""


class Versioned:
    """One service: the number of its API goes with every call; ``say`` takes lines for the log."""

    def __init__(self, http: Http, base: URL, say: Say = silent) -> None:
        self._http = http
        self._base = base
        self._say = say
        self._warned: set[str] = set()
        self.version = KNOWN

    @property
    def limits(self) -> Limits:
        return self._http.limits

    @property
    def place(self) -> str:
        """The address for people."""
        return f"{self._base.host}:{self._base.port}"

    async def meet(self, *, tries: int | None = None) -> Service:
        """Ask who is there; from then on the number sent is the service's, or ours where that is smaller.

        ``tries``: how often it is asked again where it does not answer; None: as often as others.
        """
        service = read(await self._http.get(self._base / "meta/version", tries=tries), Service)
        self.version = min(KNOWN, service.version)
        return service

    async def get(self, path: str, query: Mapping[str, str] | None = None, body: Answer | None = None) -> Answer:
        return await self._agreed(lambda: self._http.get(self.url(path, query), body))

    async def call(
        self,
        method: str,
        path: str,
        body: Answer,
        query: Mapping[str, str] | None = None,
        *,
        repeat: bool = False,
        patient: bool = False,
    ) -> Answer:
        return await self._agreed(
            lambda: self._http.call(method, self.url(path, query), body, repeat=repeat, patient=patient)
        )

    def url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        return (self._base / path).with_query({**(query or {}), "version": str(self.version)})

    async def _agreed(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """Send; where only a newer number is taken for this call, once more with that. It was not done then."""
        try:
            answer = await send()
        except RefusedError as refused:
            if not self.adapts(refused):
                raise
            answer = await send()
        self._hear(answer)
        return answer

    def adapts(self, refused: RefusedError) -> bool:
        """Whether only the number was too small: from now on a larger one is sent."""
        least, largest = refused.versions or (0, 0)
        if not self.version < least <= largest:
            return False
        self._say(f"{self.place} wants API version {least}: it is sent from now on")
        self.version = least
        return True

    def _hear(self, answer: Answer) -> None:
        """Pass on a warning that came with an answer, each text once."""
        warning = self._http.scrubbed(answer.get("warning") or "")
        if warning and warning not in self._warned:
            self._warned.add(warning)
            self._say(f"{self.place} warns: {warning}")


class Controller(Versioned):
    """The Replication Controller. Every call may raise a QservError."""

    async def configuration(self) -> Configuration:
        answer = await self.get("replication/config")
        return read(answer.get("config"), Configuration)

    async def check_key(self, database: str) -> None:
        """Change nothing, with authorization: refused where the key is wrong or there is no such database."""
        await self.call("PUT", "ingest/config", {"database": database}, repeat=True)

    async def register_database(self, body: Mapping[str, object]) -> None:
        """Not to be repeated blindly: a second one is refused."""
        await self.call("POST", "ingest/database", dict(body), patient=True)

    async def register_table(self, body: Mapping[str, object]) -> None:
        """Not to be repeated blindly: a second one is refused. Tables are made on all workers."""
        await self.call("POST", "ingest/table", dict(body), patient=True)

    async def delete_database(self, database: str) -> None:
        """Of one that is not published; with all its data."""
        await self.call("DELETE", f"ingest/database/{database}", {}, patient=True)

    async def begin(self, database: str, context: Mapping[str, object]) -> Transaction:
        """A second one opens another transaction. The director index gets a partition: that may take a while."""
        answer = await self.call(
            "POST", "ingest/trans", {"database": database, "context": dict(context)}, patient=True
        )
        found = _transactions(answer)
        if not found:
            raise LostError("Qserv opened a transaction and did not say which")
        return found[0]

    async def end(self, transaction: int, *, abort: bool) -> bool | None:
        """Commit or abort; returns whether the director index was built, None where the answer does not say."""
        answer = await self.call(
            "PUT", f"ingest/trans/{transaction}", {}, {"abort": "1" if abort else "0"}, patient=True
        )
        built = answer.get("secondary-index-build-success")
        return None if built is None else bool(built)

    async def state(self, transaction: int) -> State:
        found = _transactions(await self.get(f"ingest/trans/{transaction}"))
        if not found:
            raise LostError(f"Qserv says nothing of transaction {transaction}")
        return found[0].state

    async def transactions(self, database: str) -> list[Transaction]:
        """All of a database, with their contexts."""
        return _transactions(await self.get("ingest/trans", {"database": database, "include_context": "1"}))

    async def contributions(self, transaction: int, table: str, chunk: int) -> list[Contribution]:
        """What was sent to one chunk of one table, failed ones too."""
        query = {"contrib": "1", "contrib_long": "1", "include_warnings": "1", "table": table, "chunk": str(chunk)}
        answer = await self.get(f"ingest/trans/{transaction}", query)
        files: list[Any] = []
        for database in answer.get("databases", {}).values():
            for found in database.get("transactions", ()):
                files += found.get("contrib", {}).get("files", ())
        return read(files, list[Contribution])

    async def locate(self, transaction: int, chunks: Sequence[int]) -> list[Location]:
        """Where chunks go, in their order; the first to ask has them placed. May be repeated."""
        if self.version >= MANY_CHUNKS:
            body = {"transaction_id": transaction, "chunks": list(chunks)}
            answer = await self.call("POST", "ingest/chunks", body, repeat=True)
            placed = read(answer.get("locations"), list[Location])
            if len(placed) != len(chunks):
                raise LostError(f"Qserv places {len(placed)} of {len(chunks)} chunks")
            return placed
        found = []
        for chunk in chunks:
            body = {"transaction_id": transaction, "chunk": chunk}
            answer = await self.call("POST", "ingest/chunk", body, repeat=True)
            found.append(read(answer.get("location"), Location))
        return found

    async def regular(self, database: str) -> list[Location]:
        """Every worker: each takes a whole copy of a regular table. The service reads the body of this GET."""
        return read((await self.get("ingest/regular", body={"database": database})).get("locations"), list[Location])

    async def publish(self, database: str) -> None:
        """May take hours. A lost answer is looked up in the configuration."""
        body = {"consolidate_secondary_index": 0, "row_counters_deploy_at_qserv": 0}
        await self.call("PUT", f"ingest/database/{database}", body, patient=True)

    async def build_index(self, database: str, table: str) -> None:
        """The director index, anew; of a published table."""
        body = {"database": database, "director_table": table, "rebuild": 1}
        await self.call("POST", "ingest/index/secondary", body, repeat=True, patient=True)

    async def count_rows(self, database: str, table: str, *, overlaps: bool) -> None:
        """Have rows counted by chunk, anew, and the counts used for queries."""
        body = {
            "database": database,
            "table": table,
            "overlap_selector": "CHUNK_AND_OVERLAP" if overlaps else "CHUNK",
            "force_rescan": 1,
            "row_counters_state_update_policy": "ENABLED",
            "row_counters_deploy_at_qserv": 1,
        }
        await self.call("POST", "ingest/table-stats", body, repeat=True, patient=True)


def controller_url(host: str, port: int) -> URL:
    return URL.build(scheme="http", host=host, port=port)


def _transactions(answer: Answer) -> list[Transaction]:
    databases = answer.get("databases")
    if not isinstance(databases, dict):
        raise LostError("an answer of Qserv's on transactions holds no databases")
    found: list[Transaction] = []
    for database in databases.values():
        found += read(database.get("transactions", ()), list[Transaction])
    return found
