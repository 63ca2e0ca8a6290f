"""Super-transactions of one run: opened with our mark, ended once, and looked up wherever an answer was lost."""

import asyncio

from dgconsole.ingest.qserv.answers import State, Transaction
from dgconsole.ingest.qserv.api import Controller, Say
from dgconsole.ingest.qserv.failures import LostError, QservError, RefusedError, UnreachableError

TOOL = "dgconsole"
SLOWEST_POLL = 10.0
"""Times the first wait between two looks."""

LATE = 3
"""Looks at a transaction that is still STARTED after its commit's answer was lost, before the commit is sent anew."""


class Transactions:
    """The transactions of one database that belong to ``run``; any number of calls at a time."""

    def __init__(self, controller: Controller, database: str, run: str, say: Say) -> None:
        self._controller = controller
        self._database = database
        self._run = run
        self._say = say
        self._limits = controller.limits

    def is_ours(self, transaction: Transaction) -> bool:
        return transaction.context.get("tool") == TOOL and transaction.context.get("run") == self._run

    @staticmethod
    def number_of(transaction: Transaction) -> int | None:
        """The coordinator's number of one of ours."""
        number = transaction.context.get("number")
        return number if isinstance(number, int) else None

    async def all(self) -> list[Transaction]:
        return await self._controller.transactions(self._database)

    async def begin(self, **marks: object) -> int:
        """Open one with ``marks`` in its context. Where the answer is lost, the context finds it."""
        context = {"tool": TOOL, "run": self._run, **marks}
        try:
            opened = await self._controller.begin(self._database, context)
        except LostError as error:
            self._say(f"{error.text}: looking whether the transaction was opened")
            left = [found for found in await self.all() if found.context == context]
            open_ones = [found for found in left if found.state is State.STARTED]
            opened = open_ones[0] if open_ones else await self._controller.begin(self._database, context)
        if opened.state is not State.STARTED:
            raise RefusedError(f"Qserv opened transaction {opened.id} and left it {opened.state}", {})
        return opened.id

    async def commit(self, transaction: int) -> bool | None:
        """Commit; returns whether the director index was built, None where nobody knows.

        A lost answer is looked up. Only where the transaction is still open, after some looks, is it told again.

        Raises
        ------
        QservError
            It is not committed, or nobody could be asked for long.
        """
        for lost_before in (False, True):
            try:
                return await self._controller.end(transaction, abort=False)
            except UnreachableError:
                raise
            except QservError as error:
                failure = error
            self._say(f"commit of transaction {transaction}: {failure.text}: looking how it stands")
            state = await self._settled(transaction, self._limits.stuck, from_started=True)
            if state is State.FINISHED:
                return None
            if state is not State.STARTED or isinstance(failure, RefusedError) or lost_before:
                break
        raise RefusedError(f"transaction {transaction} is not committed, it is {state}: {failure.text}", {})

    async def abort(self, transaction: int) -> State:
        """Abort until it is ABORTED, or found to be FINISHED; which of these.

        Raises
        ------
        QservError
            It is neither, and nobody may publish the database before a person has ended it.
        """
        why = ""
        for wait in (*self._limits.waits, None):
            try:
                await self._controller.end(transaction, abort=True)
            except QservError as error:
                why = error.text
            try:
                state = await self._settled(transaction, self._limits.stuck)
            except QservError as error:
                state, why = None, error.text
            if state is not None and (state.ended or state in PASSING):
                break
            if wait is not None:
                await asyncio.sleep(wait)
        if state is not None and state.ended:
            return state
        said = f"transaction {transaction} cannot be aborted ({state or 'its state is not known'})"
        raise RefusedError(f"{said}, which keeps the database from being published: {why}", {})

    async def end_leftover(self, found: Transaction) -> State:
        """What became of one that an earlier session left: a commit under way is waited for, all else aborted."""
        state = found.state
        if state is State.IS_FINISHING:
            self._say(f"transaction {found.id} of an earlier session is being committed: waiting for it")
            state = await self._settled(found.id, self._limits.leftover)
        return state if state.ended else await self.abort(found.id)

    async def end_all(self) -> None:
        """End those of ours that are still open."""
        for found in await self.all():
            if self.is_ours(found) and not found.state.ended:
                await self.end_leftover(found)

    async def _settled(self, transaction: int, patience: float, *, from_started: bool = False) -> State:
        """The state once it is none that passes by itself, or after ``patience`` seconds.

        ``from_started``: something was sent that leads out of STARTED, and may still be on its way.
        """
        clock = asyncio.get_running_loop().time
        began, heard, wait, looks = clock(), clock(), self._limits.poll, 0
        state = State.STARTED
        while True:
            try:
                state = await self._controller.state(transaction)
                heard = clock()
                looks += 1
            except (LostError, UnreachableError):
                if clock() - heard > self._limits.outage:
                    raise
            else:
                late = from_started and state is State.STARTED and looks < LATE
                if not late and state not in PASSING:
                    return state
            if clock() - began > patience:
                self._say(f"transaction {transaction} has been {state} for {clock() - began:.0f} s")
                return state
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, self._limits.poll * SLOWEST_POLL)


PASSING = (State.IS_STARTING, State.IS_FINISHING, State.IS_ABORTING)
