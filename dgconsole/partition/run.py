"""One run over existing CSV files: blocks of lines are cut, placed, spelled anew and appended where they go."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dgconsole.partition.fields import Fields, Index, split
from dgconsole.partition.index import read_index
from dgconsole.partition.layout import CHUNK, SUB_CHUNK
from dgconsole.partition.output import OutputFolder, SubChunkCounts
from dgconsole.partition.place import Placer, Places, place_by_id, place_by_position, refuse_null
from dgconsole.partition.render import Renderer
from dgconsole.partition.rows import RowError, TextBlock, read_blocks
from dgconsole.settings.partitioner.dialect import MAX_FIELD
from dgconsole.settings.partitioner.options import PartitionerOptions
from dgconsole.support.errors import InputError, Problem

LARGEST_BLOCK = 8 << 20
"""Bytes; larger blocks leave the processor's caches and only cost memory."""


class Totals(NamedTuple):
    """What a run came to."""

    rows: int = 0
    copies: int = 0


class Partitioner:
    """The stages of a run, set up from its options."""

    def __init__(self, options: PartitionerOptions) -> None:
        config = options.config
        self.options = options
        self.config = config
        self.width = len(config.in_fields)
        self.place = self._placer()
        self.renderer = Renderer(config)
        self.counts = SubChunkCounts()
        self.id_column = -1
        if config.id is not None and config.pos is not None:
            self.id_column = config.in_fields.index(config.id)
            self.index_renderer = Renderer(config, (self.id_column, CHUNK, SUB_CHUNK), raw=False)

    def _placer(self) -> Placer:
        if self.config.pos is not None:
            return place_by_position(self.config)
        assert self.options.index is not None
        dialects = (self.config.out_dialect, self.config.in_dialect)
        return place_by_id(self.config, read_index(Path(self.options.index), dialects))

    def run(self) -> Totals:
        """Partition all inputs; on any error nothing of it stays."""
        options = self.options
        inputs = usable_inputs(options.inputs)
        totals = Totals()
        folder = OutputFolder(
            Path(options.out_dir), pool=options.pool_size, nodes=options.nodes, prefix=self.config.prefix
        )
        with folder:
            for block in self._blocks(inputs):
                try:
                    places = self._block(block, folder)
                except RowError as error:
                    raise _at(block.file, block.first_line + error.row, error.what) from error
                copies = int(places.overlap.sum())
                totals = Totals(totals.rows + len(places.row) - copies, totals.copies + copies)
                folder.settle()
            if options.chunks and totals.rows:
                folder.append(f"{self.config.prefix}_index.bin", self.counts.to_bytes())
        return totals

    def _blocks(self, inputs: Sequence[Path]) -> Iterator[TextBlock]:
        """The inputs from the last to the first, as sph-partition takes them."""
        for path in reversed(inputs):
            try:
                size = min(self.options.block_size, LARGEST_BLOCK)
                yield from read_blocks(path, size, self.width * (MAX_FIELD + 1))
            except RowError as error:
                raise _at(str(path), error.row + 1, error.what) from error

    def _block(self, block: TextBlock, folder: OutputFolder) -> Places:
        fields = split(block, self.width, self.config.in_dialect)
        places = self.place(fields)
        if self.id_column >= 0:
            self._index(fields, places, folder)
        if self.options.chunks:
            self._chunks(fields, places, folder)
            self.counts.add(places)
        return places

    def _index(self, fields: Fields, places: Places, folder: OutputFolder) -> None:
        refuse_null(fields, self.id_column, self.config)
        lines = self.index_renderer.render(fields, places, np.flatnonzero(~places.overlap))
        folder.append(f"{self.config.prefix}_object_index.txt", lines.text)

    def _chunks(self, fields: Fields, places: Places, folder: OutputFolder) -> None:
        order, bounds = by_file(places)
        lines = self.renderer.render(fields, places, order)
        chunks, overlaps = places.chunk[order].tolist(), places.overlap[order].tolist()
        for first, last in pairwise(bounds):
            folder.append_chunk(chunks[first], overlaps[first], lines.part(first, last))


def by_file(places: Places) -> tuple[Index, list[int]]:
    """The order that puts rows of one file together, as they come; and where in it each file begins, and the end."""
    files = places.chunk.astype(np.int64) * 2 + places.overlap
    files -= files.min(initial=0)
    if files.max(initial=0) < 1 << 16:
        files = files.astype(np.uint16)  # a radix sort is several times faster
    order = np.argsort(files, kind="stable")
    changes = np.flatnonzero(np.diff(files[order])) + 1
    return order, [0, *changes.tolist(), len(order)] if len(order) else [0]


def usable_inputs(paths: Sequence[str]) -> tuple[Path, ...]:
    """The inputs that hold something; missing and empty ones are passed over, as sph-partition does.

    Raises
    ------
    InputError
        None is left, or one is a folder.
    """
    found = []
    for name in paths:
        path = Path(name)
        if path.is_dir():
            raise InputError(Problem("is a folder; name the files in it", name, 0, "in.path"))
        if path.exists() and path.stat().st_size > 0:
            found.append(path)
    if not found:
        raise InputError(
            Problem(f"no input: {', '.join(paths)} missing or empty; name files with data", key="in.path")
        )
    return tuple(found)


def _at(file: str, line: int, what: str) -> InputError:
    return InputError(Problem(what, file, line))
