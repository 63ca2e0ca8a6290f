"""Chunks in limbo grouped by what put them there."""

from collections.abc import Mapping, Sequence

from dgconsole.coordinator.books import LimboNote
from dgconsole.coordinator.chunks import Chunks
from dgconsole.snapshot import Cause

_MOST_IDS = 10_000


def causes(chunks: Chunks, limbo: Mapping[int, LimboNote], names: Sequence[tuple[str, str]]) -> tuple[Cause, ...]:
    """One cause for each fault and folded text, the most frequent first. A cause of one text keeps it unfolded."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, note in limbo.items():
        groups.setdefault((note.fault, note.cause), []).append(i)
    found = []
    for (fault, cause), members in groups.items():
        members.sort()
        texts = {limbo[i].text for i in members}
        hosts = {names[limbo[i].client][1] for i in members}
        found.append(
            Cause(
                text=texts.pop() if len(texts) == 1 else cause,
                fault=fault,
                count=len(members),
                chunks=tuple(int(chunks.ids[i]) for i in members[:_MOST_IDS]),
                hosts=tuple(sorted(hosts)),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.count, each.text)))
