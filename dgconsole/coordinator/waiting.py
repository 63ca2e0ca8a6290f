"""Which pending chunk is next: the first pass in index order, then and before it the retries that are due."""

import heapq

import numpy as np

from dgconsole.coordinator.chunks import Chunks, State


class Waiting:
    """Pending chunks in the order in which they are handed out.

    Index order keeps the ledger's pages warm. An entry of the heap that the arrays no longer confirm is
    passed over when its turn comes, so nothing is ever searched for and removed.
    """

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._order = np.flatnonzero(chunks.state == State.PENDING).astype(np.int32)
        self._heap: list[tuple[float, int]] = []
        self.position = 0
        """How much of the first pass has been handed out; may be set back to an earlier value."""

    def put_back(self, i: int) -> None:
        """The chunk at index ``i`` is pending again, from its ``retry_at`` on."""
        heapq.heappush(self._heap, (float(self._chunks.retry_at[i]), i))

    def any_due(self, now: float) -> bool:
        """Whether somebody could be given something."""
        return self.position < len(self._order) or bool(self._heap and self._heap[0][0] <= now)

    def take(self, count: int, now: float, client: int, *, others: bool) -> list[int]:
        """Up to ``count`` indices of pending chunks for that client.

        With ``others`` (there are other clients) it is not given what it should not get next.
        """
        chunks, heap = self._chunks, self._heap
        taken: list[int] = []
        passed: list[tuple[float, int]] = []
        while heap and heap[0][0] <= now and len(taken) < count:
            entry = heapq.heappop(heap)
            i = entry[1]
            if chunks.state[i] != State.PENDING or chunks.fresh[i] or chunks.retry_at[i] != entry[0] or i in taken:
                continue
            if others and chunks.avoid[i] == client:
                passed.append(entry)
            else:
                taken.append(i)
        for entry in passed:
            heapq.heappush(heap, entry)
        end = min(len(self._order), self.position + count - len(taken))
        taken += self._order[self.position : end].tolist()
        self.position = end
        return taken

    def problems(self) -> list[str]:
        """What is wrong; empty when all is well."""
        chunks = self._chunks
        first_pass = np.zeros(len(chunks), np.bool_)
        first_pass[self._order[self.position :]] = True
        found = []
        if not np.array_equal(first_pass, chunks.fresh):
            found.append("the first pass does not hold exactly the fresh chunks")
        entries = {i for at, i in self._heap if chunks.retry_at[i] == at}
        back = np.flatnonzero((chunks.state == State.PENDING) & ~chunks.fresh)
        if lost := set(back.tolist()) - entries:
            found.append(f"chunk {chunks.ids[min(lost)]} is pending but nobody would get it")
        return found
