"""The worker's thread: one job at a time, its end told to the loop; and the stop that it may not hear at once."""

import threading
import traceback
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from dgconsole.client.maker import ChunkMaker
from dgconsole.client.meter import Meter
from dgconsole.client.orders import Broke, Event, Made, Planned, Unprepared
from dgconsole.client.rules import blame, in_a_line
from dgconsole.client.workdir import Workdir
from dgconsole.ingest.destination import PlacingDelivery
from dgconsole.ingest.keep import KeepDelivery
from dgconsole.support.errors import ChunkError, DgError, Fault
from dgconsole.support.logs import harmless

Setup = Callable[[], tuple[ChunkMaker, Planned]]
LONGEST_DETAILS = 16_000
LONGEST_LINE = 1_000


class Worker:
    """Runs jobs on a thread of its own, so that heartbeats go on whatever a job does.

    Parameters
    ----------
    post
        Takes the event that a job comes to; called on the worker's thread.
    """

    def __init__(self, workdir: Workdir, meter: Meter, post: Callable[[Event], None]) -> None:
        self._workdir = workdir
        self._meter = meter
        self._post = post
        self._maker: ChunkMaker | None = None
        self._jobs: SimpleQueue[Callable[[], Event] | None] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def prepare(self, setup: Setup) -> None:
        """Build plan and maker; Planned or Unprepared follows."""
        self._begin(lambda: self._prepare(setup))

    def expect(self, chunks: Sequence[int]) -> None:
        """These will be made."""
        if self._maker is not None and isinstance(self._maker.delivery, PlacingDelivery):
            self._maker.delivery.expect(chunks)

    def make(self, chunk: int, attempt: int, transaction: int = 0) -> None:
        """Make one chunk; Made or Broke follows."""
        self._begin(lambda: self._make(chunk, attempt, transaction))

    def stop(self) -> None:
        """Ask the job in hand to stop at its next batch."""
        self._meter.stop = True

    def ended(self, patience: float) -> bool:
        """Wait up to ``patience`` seconds for the job in hand; whether the worker is idle."""
        return self._idle.wait(patience)

    def discard(self, chunk: int, attempt: int) -> None:
        """Remove what the attempt has written, whether or not its thread still runs."""
        if self._maker is not None:
            self._maker.discard(chunk, attempt)

    def keep(self, chunk: int, attempt: int) -> None:
        """Give the files of an attempt, which stay on this host, their final names; from any thread. ChunkError."""
        assert self._maker is not None, "files before the plan"
        assert isinstance(self._maker.delivery, KeepDelivery), "kept files are this delivery's alone"
        self._maker.delivery.keep(chunk, attempt)

    def leave(self) -> None:
        """Close the delivery; only while nothing is made or kept."""
        if self._maker is not None:
            self._maker.delivery.close()

    def close(self) -> None:
        """End the thread after the job in hand."""
        self._jobs.put(None)

    def _begin(self, job: Callable[[], Event]) -> None:
        self._idle.clear()
        self._meter.stop = False
        self._jobs.put(job)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            event = job()
            self._idle.set()
            self._post(event)

    def _prepare(self, setup: Setup) -> Event:
        try:
            self._maker, planned = setup()
        except ChunkError as error:
            return Unprepared(error.fault, _line(error.text))
        except DgError as error:
            return Unprepared(Fault.SPEC, _line(f"the plan cannot be built here: {error}"))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the spec is code of the user's
            fault = blame(error, "partition", self._workdir.path).fault
            return Unprepared(fault if fault.of_client else Fault.SPEC, _line(in_a_line(error)))
        return planned

    def _make(self, chunk: int, attempt: int, transaction: int) -> Event:
        assert self._maker is not None, "a chunk before the plan"
        try:
            return Made(chunk, attempt, self._maker.make(chunk, attempt, transaction))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - generators are code of the user's
            stage = self._meter.stage
            mine = blame(error, stage, self._workdir.path)
            story = story_of(error)
        if mine.fault is not Fault.STOPPED:
            self._workdir.note_failure(chunk, attempt, f"{stage} ({mine.fault.value}): {mine.text}\n\n{story}")
        return Broke(chunk, attempt, mine.fault, stage, _line(mine.text), _encodable(story))


def story_of(error: BaseException) -> str:
    """The traceback; none for a fault of the client that we found ourselves: a full disk says all in its line."""
    if isinstance(error, ChunkError) and error.fault.of_client:
        return ""
    return "".join(traceback.format_exception(error))[-LONGEST_DETAILS:]


def _line(text: str) -> str:
    return harmless(text)[:LONGEST_LINE]


def _encodable(text: str) -> str:
    """Without halves of surrogate pairs, which no message can carry."""
    return text.encode("utf-8", "backslashreplace").decode()[:LONGEST_DETAILS]
