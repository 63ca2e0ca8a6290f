"""The coordinator's side of ``qserv``: registration, super-transactions, and the end of a run."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from dgconsole.ingest.destination import SecretError, TransactionEnd
from dgconsole.ingest.qserv.answers import Service, State, Transaction
from dgconsole.ingest.qserv.api import CONTROLLER, KNOWN, OLDEST, Controller, Say, controller_url, silent
from dgconsole.ingest.qserv.delivery import PORT
from dgconsole.ingest.qserv.failures import QservError, RefusedError, UnauthorizedError, ours
from dgconsole.ingest.qserv.finishing import Finishing
from dgconsole.ingest.qserv.http import DEFAULT_LIMITS, Http, Limits
from dgconsole.ingest.qserv.register import register
from dgconsole.ingest.qserv.regular import RegularTables
from dgconsole.ingest.qserv.transactions import Transactions
from dgconsole.ingest.qserv.wanted import check
from dgconsole.ingest.schema import DatabaseSchema
from dgconsole.settings.structs import IngestTarget
from dgconsole.settings.target import AUTH_KEY
from dgconsole.support.errors import BugError, InputError, Problem

START_TRIES = 3
"""How often a controller that does not answer is asked again while a person waits for the start."""


class QservDestination:
    """Calls of one event loop, many at a time; ``close`` ends its connections.

    Parameters
    ----------
    secrets
        Holds the authorization key under ``ingest.authKey``; without one the empty key is sent.
    run_id
        Of the run directory: marks this run's transactions at Qserv, for ever.
    say
        Takes lines for the log.
    """

    def __init__(
        self,
        schema: DatabaseSchema,
        target: IngestTarget,
        secrets: Mapping[str, str],
        *,
        run_id: str,
        say: Say = silent,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._schema = schema
        self._target = target
        self._key = secrets.get(AUTH_KEY, "")
        self._run = run_id
        self._say = say
        self._limits = limits
        self._http: Http | None = None
        self._controller: Controller | None = None
        self._transactions: Transactions | None = None
        self._index_failed = False

    async def prepare(self, tables: Sequence[str]) -> None:  # noqa: ARG002
        InputError.raise_if(check(self._schema))
        await self.close()
        async with self._or_closed():
            await self._prepare()

    async def _prepare(self) -> None:
        self._http = Http(self._key, self._limits)
        url = controller_url(self._target.host or "localhost", self._target.port or PORT)
        controller = self._controller = Controller(self._http, url, self._say)
        self._transactions = Transactions(controller, self._schema.database, self._run, self._say)
        try:
            self._check_service(await controller.meet(tries=START_TRIES))
            await self._make_room()
            await register(
                controller,
                self._schema,
                make=self._target.schema,
                index_later=self._target.index,
                ours=await self._filled_by_us(),
                say=self._say,
            )
            await controller.check_key(self._schema.database)
            self._announce()
        except UnauthorizedError as error:
            hint = "check the key (ingest.authKeyFile)"
            raise SecretError(AUTH_KEY, f"Qserv: {error.text}", hint, "ingest.host") from error
        except QservError as error:
            raise InputError(Problem(f"Qserv: {error.text}", key="ingest.host")) from error

    async def recover(self) -> Mapping[int, TransactionEnd]:
        async with self._or_closed():
            return await self._recover()

    async def _recover(self) -> Mapping[int, TransactionEnd]:
        transactions = self._open()
        ends: dict[int, TransactionEnd] = {}
        with ours("transactions of earlier sessions"):
            found = await transactions.all()
            for each in found:
                if not transactions.is_ours(each):
                    self._note_foreign(each)
                    continue
                if not each.state.ended:
                    self._say(f"transaction {each.id}, left {each.state} by an earlier session, is ended")
                state = await transactions.end_leftover(each)
                number = transactions.number_of(each)
                if number is not None and ends.get(number) is not TransactionEnd.COMMITTED:
                    ends[number] = _end(state)
            assert self._http is not None
            assert self._controller is not None
            regular = RegularTables(self._http, self._controller, transactions, self._schema, self._say)
            await regular.load(regular.missing(found), self._target.worker_hosts)
        return ends

    async def begin(self, number: int, client: str) -> int:
        with ours("no transaction can be opened"):
            return await self._open().begin(number=number, client=client)

    async def commit(self, transaction: int) -> None:
        with ours():
            built = await self._open().commit(transaction)
        if built is False and self._builds_at_commit:
            self._index_failed = True
            self._say(f"transaction {transaction} is committed, but its part of the director index was not built")

    async def abort(self, transaction: int) -> TransactionEnd:
        with ours():
            return _end(await self._open().abort(transaction))

    async def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        transactions = self._open()
        assert self._controller is not None
        finishing = Finishing(self._controller, self._schema, self._target, self._say)
        if not complete:
            return finishing.incomplete()
        with ours("at the end of the run"):
            await transactions.end_all()
            return await finishing.complete(
                partial_sky=partial_sky,
                built_at_commit=self._builds_at_commit and not self._index_failed,
            )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    @contextlib.asynccontextmanager
    async def _or_closed(self) -> AsyncIterator[None]:
        """Leave no connection where the start fails: nobody may come to ``close``."""
        try:
            yield
        except BaseException:
            await self.close()
            raise

    @property
    def _builds_at_commit(self) -> bool:
        built = self._schema.raw.get("auto_build_secondary_index")
        return not self._target.index if built is None else bool(built)

    def _announce(self) -> None:
        if self._target.publish == "auto":
            self._say(
                f"'{self._schema.database}' is published once every target chunk is complete, and takes no more rows "
                "then; 'ingest.publish: never' keeps it open"
            )

    def _open(self) -> Transactions:
        if self._http is None or self._transactions is None:
            raise BugError("a destination was used before it was prepared")
        return self._transactions

    def _check_service(self, service: Service) -> None:
        """Whether this is a controller that we can talk to, of the instance that the user means."""
        problems = []
        if service.kind != CONTROLLER:
            problems.append(
                Problem(f"a '{service.kind}' answers there, no Replication Controller", key="ingest.port")
            )
        elif service.version < OLDEST:
            what = f"this Qserv speaks version {service.version} of the API; files are taken from {OLDEST} on"
            problems.append(Problem(what, key="ingest.host"))
        wanted = self._target.instance
        if wanted is not None and wanted != service.instance_id:
            what = f"the Qserv there is '{service.instance_id}', not '{wanted}'"
            problems.append(Problem(what, key="ingest.instance"))
        InputError.raise_if(problems)
        if service.version > KNOWN:
            self._say(
                f"this Qserv speaks version {service.version} of the API, newer than {KNOWN}, which is known here"
            )

    async def _make_room(self) -> None:
        """Nobody else's rows may be in the database; with ``replace`` such a one is deleted."""
        assert self._controller is not None
        name = self._schema.database
        configuration = await self._controller.configuration()
        database = configuration.database(name)
        if database is None:
            return
        foreign = [
            found
            for found in await self._open().all()
            if found.state is State.FINISHED and not self._open().is_ours(found)
        ]
        if not foreign:
            return
        what = f"the database '{name}' at Qserv holds rows of another run ({len(foreign)} transactions)"
        if not self._target.replace:
            hint = "choose another dbName, delete it, or start with --replace to have it deleted"
            raise InputError(Problem(f"{what}: {hint}", key="ingest.dbName"))
        if database.is_published:
            hint = "it is published, and deleting it needs the administrator's key: do that by hand"
            raise InputError(Problem(f"{what}: {hint}", key="--replace"))
        self._say(f"{what}: it is deleted, as --replace says")
        await self._controller.delete_database(name)

    async def _filled_by_us(self) -> bool:
        """Whether rows of this run are in the database; then it may be published: a crash can follow on that."""
        try:
            found = await self._open().all()
        except RefusedError:
            return False  # there is no such database yet
        return any(self._open().is_ours(each) and each.state is State.FINISHED for each in found)

    def _note_foreign(self, found: Transaction) -> None:
        if not found.state.ended:
            whose = found.context.get("run") or found.context.get("tool") or "somebody else"
            self._say(
                f"transaction {found.id} of {self._schema.database} is {found.state} and not ours ({whose}): "
                "as long as it is, Qserv does not publish the database"
            )


def _end(state: State) -> TransactionEnd:
    return TransactionEnd.COMMITTED if state is State.FINISHED else TransactionEnd.ABORTED
