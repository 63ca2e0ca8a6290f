"""The meter: seconds by stage, a fraction that means something, and the word to stop."""

import pytest

from dgconsole.client.meter import Meter
from dgconsole.support.clock import ManualClock
from dgconsole.support.errors import ChunkError, Fault


def test_seconds_are_counted_by_stage_for_the_chunk_and_the_table() -> None:
    clock = ManualClock()
    meter = Meter(clock)
    meter.begin(7, 1)
    first: dict[str, float] = {}
    for stage, spent, table in (("generate", 1.0, first), ("partition", 2.0, first), ("generate", 3.0, None)):
        with meter.timed(stage, table):
            clock.advance(spent)
    assert meter.seconds == {"generate": 4.0, "partition": 2.0}
    assert first == {"generate": 1.0, "partition": 2.0}
    meter.begin(8, 1)
    assert meter.seconds == {}


def test_the_fraction_is_measured_by_the_chunk_before() -> None:
    meter = Meter(ManualClock())
    meter.begin(7, 1)
    meter.part = 0.5
    for _ in range(4):
        meter.beat()
    assert meter.read().fraction == 0.5
    meter.completed()
    meter.begin(8, 2)
    meter.beat()
    reading = meter.read()
    assert (reading.chunk, reading.attempt, reading.fraction, reading.batches) == (8, 2, 0.25, 5)
    for _ in range(9):
        meter.beat()
    assert meter.read().fraction == 0.99


def test_the_word_to_stop_is_heard_at_the_next_batch() -> None:
    meter = Meter(ManualClock())
    meter.begin(7, 1)
    meter.stop = True
    with pytest.raises(ChunkError) as caught:
        meter.beat()
    assert caught.value.fault is Fault.STOPPED
