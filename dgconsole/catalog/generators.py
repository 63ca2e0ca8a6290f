"""One entry of a table's ``columns``: what fills it, and whether it fits its names."""

from dataclasses import dataclass

from dgconsole.catalog.columns import (
    ColumnGenerator,
    ForcedSourceGenerator,
    PairGenerator,
    SourceGenerator,
    Vocabulary,
)
from dgconsole.catalog.dialects import CcdVisitGenerator
from dgconsole.catalog.legacy import LegacyGenerator
from dgconsole.catalog.model import ColumnSet
from dgconsole.catalog.wholechunk import ChunkColumns


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the catalog takes it, and what is to be said about it."""

    groups: tuple[ColumnSet, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def checked_entry(entry: ColumnSet) -> Entry:
    """The entry, its generator wrapped where it has one of the original's calling forms."""
    generator = entry.generator
    if isinstance(generator, type):
        return Entry(problems=(f"{generator.__name__} is a class; write {generator.__name__}(...)",))
    if isinstance(generator, CcdVisitGenerator):
        return _several(entry, generator)
    if isinstance(generator, ColumnGenerator) and not callable(generator):
        return _own(entry, generator)
    if isinstance(generator, ChunkColumns):
        return Entry((entry,))
    if callable(generator):
        wrapped = LegacyGenerator(generator)
        notice = f"{wrapped.name} makes a whole chunk at once: memory and time follow the chunk"
        return Entry((ColumnSet(entry.names, entry.types, wrapped, entry.key),), warnings=(notice,))
    return Entry(
        problems=(
            f"a {type(generator).__name__} makes no columns; give a generator such as columns.UniformGenerator()",
        )
    )


def _several(entry: ColumnSet, generator: CcdVisitGenerator) -> Entry:
    try:
        parts = generator.parts(entry.names)
    except ValueError as error:
        return Entry(problems=(str(error),))
    groups: list[ColumnSet] = []
    start = 0
    for count, part in parts:
        names, types = entry.names[start : start + count], entry.types[start : start + count]
        groups.append(ColumnSet(names, types, part, ",".join(names)))
        start += count
    return Entry(tuple(groups))


def _own(entry: ColumnSet, generator: ColumnGenerator) -> Entry:
    kind, given, made = type(generator).__name__, len(entry.names), generator.n_arrays
    if not isinstance(generator, Vocabulary | PairGenerator) and type(generator).values is ColumnGenerator.values:
        return Entry(problems=(f"{kind} makes no columns; give it a method values(rows)",))
    if isinstance(generator, SourceGenerator):
        wrong = [sql for sql in entry.types if sql not in SourceGenerator.TYPES]
        if wrong:
            known = ", ".join(SourceGenerator.TYPES)
            return Entry(problems=(f"{kind} knows no type {wrong[0]!r}; write name:TYPE with one of {known}",))
    if made is not None and given > made:
        return Entry(problems=(f"{given} names for the {made} columns that {kind} makes; take {given - made} out",))
    if made is None or given == made or (isinstance(generator, ForcedSourceGenerator) and given == made - 1):
        return Entry((entry,))
    lost = f"the last {made - given} of {made} columns that {kind} makes have no name and are dropped"
    return Entry((entry,), warnings=(lost,))
