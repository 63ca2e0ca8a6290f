"""In which order a spec makes a Felis table's columns: as they come, but what one generator makes is together."""

from collections.abc import Callable, Iterable

from dgconsole.plan.types import kind_of
from dgconsole.schema.felis import FelisColumn
from dgconsole.schema.parts import Part


def made_order(part: Part) -> tuple[str, ...]:
    """The names of a table's columns in the order of its spec; files may have them in Felis' order all the same."""
    return tuple(name for group in groups(part) for name in group)


def groups(part: Part) -> list[tuple[str, ...]]:
    """The columns as the keys of a spec name them: special ones together, all others one by one."""
    names = [name for name in part.table.names if name not in ("chunkId", "subChunkId")]
    first = _paired(part) if part.role == "child" else ()
    together = [first] if first else [position_group(part)]
    if part.role == "visits":
        together = [(part.id,), (part.band,), position_group(part)]
        names.sort(key=lambda name: [*together[0], *together[1], *together[2], name].index(name))
    found: list[tuple[str, ...]] = []
    for name in names:
        group = next((group for group in together if name in group), (name,))
        if group not in found:
            found.append(group)
    return sorted(found, key=lambda group: group != first) if first else found


def position_group(part: Part) -> tuple[str, ...]:
    """(RA, Dec), or (RA, error, Dec, error) where the columns stand like that."""
    ra, dec = part.position
    names = part.table.names
    if ra and names.index(dec) == names.index(ra) + 2 and names.index(dec) + 1 < len(names):
        four = names[names.index(ra) : names.index(ra) + 4]
        if all(
            name.lower().startswith(of.lower()) and is_error(name) for name, of in ((four[1], ra), (four[3], dec))
        ):
            return four
    return part.position


def is_forced(part: Part) -> bool:
    """Whether its rows are measurements at known places."""
    return bool(part.role == "child" and part.visit and "forced" in part.table.name.lower())


def forced_columns(part: Part) -> tuple[str, ...]:
    """What a ForcedSourceGenerator can make, as far as there are such columns: ids, flux, its error, flags."""
    rest = [column for column in part.table.columns if column.name not in (part.key, part.visit, part.id)]
    real = [column for column in rest if kind_of(column.sql)[0] == "real" and column.name not in part.position]
    flux = _first(real, lambda name: is_flux(name) and not is_error(name))
    error = _first(real, lambda name: is_flux(name) and is_error(name))
    flags = _first(
        [column for column in rest if kind_of(column.sql)[0] == "whole"], lambda name: "flag" in name.lower()
    )
    found = [part.key, part.visit]
    for name in (flux, error, flags):
        if not name:
            break
        found.append(name)
    return tuple(found)


def is_error(name: str) -> bool:
    return any(word in name.lower() for word in ("err", "sigma", "stddev"))


def is_flux(name: str) -> bool:
    return any(word in name.lower() for word in ("flux", "mag"))


def _paired(part: Part) -> tuple[str, ...]:
    if is_forced(part):
        return forced_columns(part)
    names = (part.id if part.id != part.key else "", part.key, part.visit, *part.position, part.band)
    return tuple(dict.fromkeys(name for name in part.table.names if name in names and name))


def _first(columns: Iterable[FelisColumn], fits: Callable[[str], bool]) -> str:
    return next((column.name for column in columns if fits(column.name)), "")
