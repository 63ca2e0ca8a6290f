"""Where the worker stands: written by the worker's thread, read by the loop's, one way each."""

from collections.abc import Iterator
from contextlib import contextmanager

from dgconsole.client.orders import Reading
from dgconsole.support.clock import Clock
from dgconsole.support.errors import ChunkError, Fault


class Meter:
    """Counters of the chunk in hand, and the word to stop.

    The fraction is measured in batches against those of the last completed chunk, since neighbouring chunks have
    about as many; before there is one, ``part`` (tables done, of all) has to do.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.stop = False
        self.stage = ""
        self.part = 0.0
        self.rows = 0
        self.bytes = 0
        self._chunk = -1
        self._attempt = 0
        self._batches = 0
        self._first = 0
        self._usual = 0
        self._seconds: dict[str, float] = {}

    def begin(self, chunk: int, attempt: int) -> None:
        """A chunk is begun: its counters start at 0."""
        self.rows = self.bytes = 0
        self.stage = ""
        self.part = 0.0
        self._first = self._batches
        self._seconds = {}
        self._chunk, self._attempt = chunk, attempt

    def beat(self) -> None:
        """One more piece of work is done. Raises ChunkError STOPPED when the loop wants no more of this chunk."""
        self._batches += 1
        if self.stop:
            raise ChunkError(Fault.STOPPED, "abandoned")

    def completed(self) -> None:
        """The chunk is done; its batches are what the next one is measured by."""
        self._usual = self._batches - self._first

    @contextmanager
    def timed(self, stage: str, also: dict[str, float] | None = None) -> Iterator[None]:
        """The time within counts for ``stage``, of the chunk and of ``also`` (a table's seconds)."""
        self.stage = stage
        start = self._clock.now()
        try:
            yield
        finally:
            spent = self._clock.now() - start
            for seconds in (self._seconds, also):
                if seconds is not None:
                    seconds[stage] = seconds.get(stage, 0.0) + spent

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage of the chunk in hand."""
        return dict(self._seconds)

    def read(self) -> Reading:
        """The counters as they are now; single values may be of slightly different moments."""
        done = self._batches - self._first
        fraction = min(done / self._usual, 0.99) if self._usual else self.part
        return Reading(self._chunk, self._attempt, self.stage, fraction, self.rows, self.bytes, self._batches)
