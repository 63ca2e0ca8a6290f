"""The end of a run at Qserv: publish, index, row counters; and a line for people on each, done or not."""

from dgconsole.ingest.qserv.api import Controller, Say
from dgconsole.ingest.qserv.failures import LostError, QservError, RefusedError
from dgconsole.ingest.schema import DatabaseSchema
from dgconsole.settings.structs import IngestTarget

TRIES = 3


class Finishing:
    """What is asked for in ``target``, of one database; everything may be called again."""

    def __init__(self, controller: Controller, schema: DatabaseSchema, target: IngestTarget, say: Say) -> None:
        self._controller = controller
        self._schema = schema
        self._target = target
        self._say = say

    def incomplete(self) -> list[str]:
        """Words where chunks are missing."""
        return [f"'{self._schema.database}' is not published: not every target chunk is complete"]

    async def complete(self, *, partial_sky: bool, built_at_commit: bool) -> list[str]:
        """Do what is asked for; words on each step.

        Raises
        ------
        QservError
            Nobody answers any more. What Qserv refuses is among the words.
        """
        name = self._schema.database
        if self._target.publish == "never":
            return [f"'{name}' is not published: ingest.publish is 'never'", *self._put_off()]
        try:
            lines = [await self._publish(partial_sky=partial_sky)]
        except RefusedError as error:
            return [f"'{name}' is not published: {error.text}", *self._put_off()]
        return [*lines, *await self._index(built_at_commit=built_at_commit), *await self._counters()]

    async def _publish(self, *, partial_sky: bool) -> str:
        name = self._schema.database
        words = f"'{name}' is published: it can be queried, and takes no more rows"
        if partial_sky:
            words += (
                "; it holds a part of the sky only, and to add the rest an administrator must unpublish it "
                f"(PUT /replication/config/database/{name})"
            )
        if await self._is_published():
            return words
        self._say(f"'{name}' is complete: Qserv publishes it, which may take long")
        for tries_left in reversed(range(TRIES)):
            try:
                await self._controller.publish(name)
                return words
            except LostError as error:
                self._say(f"publishing: {error.text}: looking how it stands")
                if await self._is_published():
                    return words
                if not tries_left:
                    raise
        raise AssertionError("not reached")

    async def _is_published(self) -> bool:
        found = (await self._controller.configuration()).database(self._schema.database)
        return found is not None and bool(found.is_published)

    async def _index(self, *, built_at_commit: bool) -> list[str]:
        if built_at_commit:
            return ["the director index was built with each transaction"]
        if not self._target.index:
            return ["no director index was built: set 'ingest.index: true', or ask Qserv for one"]
        lines = []
        for table in self._schema.tables:
            if table.is_director:
                self._say(f"the director index of {table.table} is built, which may take long")
                try:
                    await self._controller.build_index(self._schema.database, table.table)
                    lines.append(f"the director index of {table.table} is built")
                except QservError as error:
                    lines.append(f"the director index of {table.table} is not built: {error.text}")
        return lines

    async def _counters(self) -> list[str]:
        if not self._target.row_counters:
            return []
        lines = []
        for table in [table for table in self._schema.tables if table.partitioned]:
            try:
                await self._controller.count_rows(self._schema.database, table.table, overlaps=table.is_director)
                lines.append(f"the rows of {table.table} are counted")
            except QservError as error:
                lines.append(f"the rows of {table.table} are not counted: {error.text}")
        return lines

    def _put_off(self) -> list[str]:
        """Words on what is only done to published tables."""
        asked = [
            *(["the director index"] if self._target.index else []),
            *(["row counters"] if self._target.row_counters else []),
        ]
        return [f"not made before it is published: {' and '.join(asked)}"] if asked else []
