"""What the screens know of the session: the newest snapshot, the rates, and the chunks once somebody looks."""

from dgconsole.snapshot import AttemptRow, LogLine, LogMark, RunState, SessionHandle, Snapshot
from dgconsole.support.clock import Clock
from dgconsole.support.errors import DgError
from dgconsole.views.chunks import ChunkModel
from dgconsole.views.history import LAST_LINES, SLACK, said_in
from dgconsole.views.logs import LogStore
from dgconsole.views.rates import Rates

PAGE = 5_000
"""Log lines asked for at a time."""


class Feed:
    """Pulls; the session is never asked for what nobody looks at."""

    def __init__(self, handle: SessionHandle, first: Snapshot, clock: Clock) -> None:
        self.handle = handle
        self.snapshot = first
        self.rates = Rates()
        self.rates.add(first)
        self.chunks: ChunkModel | None = None
        self.chunks_version = 0
        """Grows with every change of ``chunks``."""
        self._clock = clock
        self._figures = _figures(first)
        self._pulled = self._news = clock.now()
        self._chunks_pulled = -1.0

    @property
    def age(self) -> float:
        """Seconds since a snapshot was had."""
        return self._clock.now() - self._pulled

    @property
    def quiet(self) -> float:
        """Seconds since a snapshot said anything new, but for clocks."""
        return self._pulled - self._news

    @property
    def ended(self) -> bool:
        return self.snapshot.state is RunState.ENDED

    def wall(self) -> float:
        """Epoch seconds now."""
        return self._clock.wall()

    async def pull(self) -> None:
        """Take the newest snapshot."""
        self.snapshot = await self.handle.snapshot()
        self._pulled = self._clock.now()
        if (figures := _figures(self.snapshot)) != self._figures:
            self._figures, self._news = figures, self._pulled
        self.rates.add(self.snapshot)

    async def pull_chunks(self) -> ChunkModel:
        """The chunks as they stand; a big sky is looked at once a second."""
        if self.chunks is None:
            self.chunks = ChunkModel(await self.handle.chunk_table())
        model = self.chunks
        now = self._clock.now()
        if self._chunks_pulled < 0 or now - self._chunks_pulled >= (0.2 if len(model) < 300_000 else 1.0):
            self._chunks_pulled = now
            news = await self.handle.chunk_states(model.revision)
            if news is not None:
                model.update(news)
                self.chunks_version += 1
            if model.set_causes(self.snapshot.causes):
                self.chunks_version += 1
        return model

    async def newest(self, source: str, most: int, level: int = 0) -> tuple[LogLine, ...]:
        """The last log lines of a source; none where the log cannot be read."""
        try:
            return (await self.handle.older(source, None, most, level)).lines
        except (DgError, OSError):
            return ()

    async def said_in(self, chunk: int, attempt: AttemptRow) -> tuple[LogLine, ...]:
        """The last log lines of an attempt; none where the log cannot be read."""
        before = None if attempt.ended is None else LogMark(attempt.ended + SLACK)
        try:
            page = await self.handle.older(attempt.client, before, 10 * LAST_LINES)
        except (DgError, OSError):
            return ()
        return said_in(page.lines, chunk, attempt)

    async def pull_logs(self, store: LogStore, most: int) -> bool:
        """Bring a store up to the newest line, or over all but the newest ``most``; whether it got any."""
        end, first = self.snapshot.log_end, store.next
        if end - store.next > most:
            store.skip_to(end - most)
        while store.next < end:
            start = store.next
            store.add(await self.handle.logs(start, PAGE))
            if store.next == start:
                break
        return store.next != first


def _figures(snapshot: Snapshot) -> tuple[object, ...]:
    """All of a snapshot that changes only when something happens."""
    clients = [(c.name, c.state, c.chunk, c.stage, c.fraction, c.done, c.cpu) for c in snapshot.clients]
    said = (snapshot.hosts, snapshot.causes, snapshot.notices, snapshot.questions, snapshot.log_end)
    return (snapshot.state, snapshot.counts, snapshot.rows, clients, *said)
