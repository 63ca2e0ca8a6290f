"""Which column stands where in an output line: input fields by number, the chunk's ids, or a null."""

from collections.abc import Sequence

from dgconsole.settings.structs import PartitionerConfig

CHUNK, SUB_CHUNK, NULL = -1, -2, -3
"""Places that no input field fills."""


def layout_of(config: PartitionerConfig) -> tuple[int, ...]:
    """For every output column the number of its input field, or CHUNK, SUB_CHUNK, NULL.

    The two id columns are ours wherever they stand, also where the input has fields of these names.
    """
    places = {name: number for number, name in enumerate(config.in_fields)}
    places |= {config.chunk: CHUNK, config.sub_chunk: SUB_CHUNK}
    return tuple(places.get(name, NULL) for name in config.out_fields)


def cuts_of(layout: Sequence[int], width: int, alone: Sequence[int] = ()) -> tuple[int, ...]:
    """Where an input line must be cut so that every run of fields that stay together is one or more whole pieces.

    The first cut is 0, the last ``width``; each field of ``alone`` is a piece of its own.
    """
    cuts = {0, width, *alone, *(field + 1 for field in alone)}
    for before, here in zip([NULL, *layout], [*layout, NULL], strict=True):
        if before >= 0 and here != before + 1:
            cuts.add(before + 1)
        if here >= 0 and here != before + 1:
            cuts.add(here)
    return tuple(sorted(cuts))


def pieces_of(layout: Sequence[int], cuts: Sequence[int]) -> tuple[int, ...]:
    """The layout in pieces: piece i is the fields from ``cuts[i]`` up to ``cuts[i + 1]``."""
    piece_at = {cut: piece for piece, cut in enumerate(cuts[:-1])}
    return tuple(piece_at.get(place, place) for place in layout if place < 0 or place in piece_at)
