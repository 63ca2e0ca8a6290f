"""Rates over a sliding window and the time left as an interval, from the snapshots alone."""

from bisect import bisect_left
from collections import deque
from itertools import islice
from math import inf, sqrt
from typing import NamedTuple

from dgconsole.snapshot import RunState, Snapshot
from dgconsole.views.numbers import between
from dgconsole.views.signs import LIVE_CLIENTS

WINDOW = 60.0
"""Seconds over which the head's rates are taken."""
SPAN = 600.0
"""Seconds that are remembered for the curves."""
SMOOTH = 4.0
"""Least width in seconds of the mean behind one point of a curve."""
_GAP = 0.2
_TOLD_BY = (60.0, 180.0, 600.0)


class Rate(NamedTuple):
    """Per second: chunks, rows, bytes."""

    chunks: float = 0.0
    rows: float = 0.0
    bytes: float = 0.0


class _Sample(NamedTuple):
    at: float
    chunks: int
    rows: int
    bytes: int


class Rates:
    """Remembers the counters of the last ten minutes and answers how fast they grow."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()

    def add(self, snapshot: Snapshot) -> None:
        """Take in a snapshot; those of a run that hands nothing out any more add nothing."""
        if snapshot.state in (RunState.PLANNING, RunState.ENDED):
            return
        at = snapshot.wall
        samples = self._samples
        if samples and (at < samples[-1].at or snapshot.session_completed < samples[-1].chunks):
            samples.clear()  # the clock was set back, or this is another session
        if len(samples) > 1 and at - samples[-2].at < _GAP:
            samples.pop()
        samples.append(_Sample(at, snapshot.session_completed, snapshot.rows, snapshot.bytes))
        while samples[-1].at - samples[0].at > SPAN + WINDOW:
            samples.popleft()

    @property
    def remembered(self) -> float:
        """Seconds that the samples span."""
        return self._samples[-1].at - self._samples[0].at if self._samples else 0.0

    def done_within(self, window: float) -> tuple[int, float]:
        """Chunks done in the last ``window`` seconds, and the seconds really looked at."""
        first, last = self._ends(window)
        return (last.chunks - first.chunks, last.at - first.at) if first and last else (0, 0.0)

    def now(self, window: float = WINDOW) -> Rate:
        """The rates over the last ``window`` seconds; zero until two samples are there."""
        first, last = self._ends(window)
        if first is None or last is None or last.at <= first.at:
            return Rate()
        seconds = last.at - first.at
        return Rate(
            (last.chunks - first.chunks) / seconds,
            (last.rows - first.rows) / seconds,
            (last.bytes - first.bytes) / seconds,
        )

    def span(self) -> float:
        """Seconds that a curve shows: what is remembered, at least half a minute, at most ten."""
        return min(max(self.remembered, 30.0), SPAN)

    def curve(self, points: int) -> list[Rate | None]:
        """``points`` rates that run to now over ``span()`` seconds; None before the first sample."""
        if len(self._samples) < 2 or points < 1:
            return [None] * max(points, 0)
        samples = list(self._samples)
        times = [sample.at for sample in samples]
        last, step = times[-1], self.span() / points
        half = max(step, SMOOTH) / 2
        return [self._slope(samples, times, last - step * (points - k - 0.5), half) for k in range(points)]

    @staticmethod
    def _slope(samples: list[_Sample], times: list[float], middle: float, half: float) -> Rate | None:
        low, high = max(middle - half, times[0]), min(middle + half, times[-1])
        if high <= low or middle + half < times[0]:
            return None
        first, last = _counters(samples, times, low), _counters(samples, times, high)
        return Rate(*((b - a) / (high - low) for a, b in zip(first, last, strict=True)))

    def _ends(self, window: float) -> tuple[_Sample | None, _Sample | None]:
        if not self._samples:
            return None, None
        last = self._samples[-1]
        start = bisect_left(self._samples, last.at - window - 1e-9, key=lambda sample: sample.at)
        return next(islice(self._samples, start, None)), last


def _counters(samples: list[_Sample], times: list[float], at: float) -> tuple[float, float, float]:
    """The counters at a moment between two samples, on the straight line between them."""
    k = min(max(bisect_left(times, at), 1), len(times) - 1)
    a, b = samples[k - 1], samples[k]
    part = (at - a.at) / (b.at - a.at) if b.at > a.at else 1.0
    return (
        a.chunks + part * (b.chunks - a.chunks),
        a.rows + part * (b.rows - a.rows),
        a.bytes + part * (b.bytes - a.bytes),
    )


def mean_rate(snapshot: Snapshot) -> float:
    """Chunks per second over the whole session."""
    return snapshot.session_completed / snapshot.elapsed if snapshot.elapsed > 0 else 0.0


def time_left(snapshot: Snapshot, rates: Rates) -> str:
    """``~ 1 h 05 to 1 h 20 min left``, ``settling`` at first, empty when nothing is being handed out.

    The interval spans the rates of the last one, three and ten minutes, each widened by the scatter of a count.
    """
    left = snapshot.counts.pending + snapshot.counts.in_work
    if snapshot.state is not RunState.RUNNING or not left:
        return ""
    clients = sum(client.state in LIVE_CLIENTS for client in snapshot.clients)
    if snapshot.clients and not clients:
        return ""
    if snapshot.session_completed < max(2 * clients, 2):
        return "settling"
    slow, fast = inf, 0.0
    for window in _TOLD_BY:
        done, seconds = rates.done_within(window)
        if done and seconds > 0:
            scatter = 0.5 / sqrt(done)
            slow = min(slow, done / seconds * (1 - scatter))
            fast = max(fast, done / seconds * (1 + scatter))
    if not fast:
        return "settling"
    low, high = left / fast, left / slow
    return f"~ {between(low, high)} left" if high < 400 * 86_400 else "over a year left"
