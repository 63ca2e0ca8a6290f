"""Totals by host, client, table and stage, from attempts that are on disk."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.events import Ended
from dgconsole.snapshot import Total

DELIVER = "deliver"
"""The stage in which files go to the destination."""


@dataclass(slots=True)
class Sum:
    """One line of totals; ``seconds`` are spent in the stages, for a failed attempt from its turn to its end."""

    chunks: int = 0
    failed: int = 0
    rows: int = 0
    overlap_rows: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def total(self, name: str) -> Total:
        return Total(
            name=name,
            chunks=self.chunks,
            failed=self.failed,
            rows=self.rows,
            overlap_rows=self.overlap_rows,
            bytes=self.bytes,
            seconds=self.seconds,
        )


@dataclass(slots=True)
class Tally:
    """All sums of a run; ``everything`` over all completed chunks."""

    everything: Sum = field(default_factory=Sum)
    hosts: dict[str, Sum] = field(default_factory=dict)
    clients: dict[str, Sum] = field(default_factory=dict)
    tables: dict[str, Sum] = field(default_factory=dict)
    stages: dict[str, Sum] = field(default_factory=dict)
    attempts: int = 0
    """How many are counted."""
    first_started: float = math.inf
    last_ended: float = 0.0
    """When the oldest attempt began and the newest ended, epoch seconds; infinite and 0 when none has."""

    def __post_init__(self) -> None:
        for name in ("hosts", "clients", "tables", "stages"):
            setattr(self, name, defaultdict(Sum, getattr(self, name)))

    def add(self, ended: Ended, client: str, host: str) -> None:
        """Count one attempt that has ended."""
        self.attempts += 1
        self.first_started = min(self.first_started, ended.started)
        self.last_ended = max(self.last_ended, ended.at)
        if ended.outcome == "returned":
            return
        sums = (self.hosts[host], self.clients[client])
        worked = sum(ended.figures.seconds.values()) if ended.figures else ended.at - ended.started
        for each in sums:
            each.seconds += worked
        if ended.state != State.COMPLETED or ended.figures is None:
            for each in (*sums, self.everything):
                each.failed += 1
            return
        rows = overlap_rows = size = 0
        for table in ended.figures.tables:
            each = self.tables[table.table]
            each.chunks += 1
            each.rows += table.rows
            each.overlap_rows += table.overlap_rows
            each.bytes += table.bytes
            each.seconds += sum(table.seconds.values())
            rows, overlap_rows, size = rows + table.rows, overlap_rows + table.overlap_rows, size + table.bytes
        for each in (*sums, self.everything):
            each.chunks += 1
            each.rows += rows
            each.overlap_rows += overlap_rows
            each.bytes += size
        for stage, seconds in ended.figures.seconds.items():
            self.stages[stage].chunks += 1
            self.stages[stage].seconds += seconds
        if DELIVER in self.stages:
            self.stages[DELIVER].bytes = self.everything.bytes


def totals(sums: dict[str, Sum]) -> tuple[Total, ...]:
    """The sums as they cross to a face, by name."""
    return tuple(each.total(name) for name, each in sorted(sums.items()))
