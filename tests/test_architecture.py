"""docs/architecture.md says what the code does: its diagrams are those of the transition tables."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from dgconsole.coordinator.chunks import TRANSITIONS as CHUNKS
from dgconsole.fleet.hosts import TRANSITIONS as HOSTS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"


def diagram(steps: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"    {before} --> {after}: {why}" for before, after, why in steps]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def chunk_steps() -> Iterable[tuple[str, str, str]]:
    return ((before.name.lower(), after.name.lower(), why) for (before, after), why in CHUNKS.items())


def host_steps() -> Iterable[tuple[str, str, str]]:
    for before, events in HOSTS.items():
        for event, after in events.items():
            yield before.value.replace(" ", "_"), after.value.replace(" ", "_"), event.value


@pytest.mark.parametrize("steps", [chunk_steps, host_steps])
def test_the_diagrams_are_the_tables(steps):
    assert diagram(steps()) in PAGE.read_text()
