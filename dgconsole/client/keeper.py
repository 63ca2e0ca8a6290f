"""A thread that gives finished files their final names, so that they do not wait for the chunk in hand."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from dgconsole.client.orders import KeptFiles
from dgconsole.support.errors import ChunkError
from dgconsole.support.logs import harmless

LONGEST_LINE = 1_000


class Keeper:
    """One attempt after the other. The thread is there once something is kept.

    Parameters
    ----------
    keep
        Does it; raises ChunkError.
    post
        Takes what came of it; called on the keeper's thread.
    """

    def __init__(self, keep: Callable[[int, int], None], post: Callable[[KeptFiles], None]) -> None:
        self._keep = keep
        self._post = post
        self._jobs: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def keep(self, chunk: int, attempt: int) -> None:
        """KeptFiles follows."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
            self._thread.start()
        self._jobs.put((chunk, attempt))

    def close(self, patience: float) -> bool:
        """End the thread after what it was told; whether that was done within ``patience`` seconds."""
        if self._thread is None:
            return True
        self._jobs.put(None)
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._keep(*job)
            except ChunkError as error:
                self._post(KeptFiles(*job, harmless(error.text)[:LONGEST_LINE], error.fault))
            else:
                self._post(KeptFiles(*job))
