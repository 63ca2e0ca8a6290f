"""Which chunks a run makes: ids and ranges as people write them, turned into an array."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgconsole.settings.files import line_of, read_file
from dgconsole.settings.structs import RunSettings
from dgconsole.settings.yamltree import decode
from dgconsole.sky.tiling import Tiling
from dgconsole.support.errors import InputError, Problem

_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The chunks of a run.

    Parameters
    ----------
    ids
        int32, ascending, each once.
    skipped
        How many numbers inside the ranges are no chunk of the tiling.
    partial
        Whether the tiling has other chunks beside.
    """

    ids: NDArray[np.int32]
    skipped: int
    partial: bool


def configured_targets(tiling: Tiling, settings: RunSettings) -> Targets:
    """The chunks that serverCfg.yml names, a relative ``@FILE`` beside it; all of the sky where it names none."""
    path = Path(settings.path)
    line = line_of(settings.server_file, "chunks:")
    return resolve_targets(tiling, settings.chunks, base=path.parent, key="chunks", file=str(path), line=line)


@dataclass(frozen=True, slots=True)
class _Item:
    """One id or inclusive range, and where it was written (``line`` 0: unknown)."""

    text: str
    low: int
    high: int
    line: int


def resolve_targets(
    tiling: Tiling, text: str | None, *, base: Path, key: str = "--chunks", file: str = "", line: int = 0
) -> Targets:
    """The chunks that ``text`` names.

    Parameters
    ----------
    text
        Ids and inclusive ranges between commas ("0:1000,4321"), or ``@FILE`` with one of them a line, blank
        lines allowed; None for all chunks of the tiling.
    base
        Where a relative FILE starts.
    key, file, line
        Where ``text`` comes from, for messages.

    Raises
    ------
    InputError
        What is neither an id nor a range, a reversed range, an id alone that is no chunk, a range that goes
        on beyond the largest id, no chunk at all. With file and line for ``@FILE``.
    """
    if text is None:
        return Targets(tiling.chunk_ids(), 0, partial=False)
    problems: list[Problem] = []
    if text.strip().startswith("@"):
        source = read_file(base / text.strip()[1:], key=key)
        words = list(enumerate(decode(source).splitlines(), 1))
        file, key, line = source.path, "", 0
    else:
        words = [(line, word) for word in text.split(",")]
    items = _items(words, file, key, problems)
    _check(tiling, items, file, key, problems)
    if len(problems) > _MOST_PROBLEMS:
        more = Problem(f"and {len(problems) - _MOST_PROBLEMS} more problems like these", file)
        problems = [*problems[:_MOST_PROBLEMS], more]
    InputError.raise_if(problems)
    targets = _union(tiling, items)
    if not len(targets.ids):
        raise InputError(Problem(f"{_quoted(text)} names no chunk: give at least one id", file, line, key))
    return targets


def _items(words: Iterable[tuple[int, str]], file: str, key: str, problems: list[Problem]) -> list[_Item]:
    items = []
    for line, word in words:
        text = word.strip()
        if not text:
            continue
        low, colon, high = (part.strip() for part in text.partition(":"))
        high = high if colon else low
        if _is_number(low) and _is_number(high):
            items.append(_Item(text, int(low), int(high), line))
        else:
            what = f"{_quoted(text)} is neither an id nor a range: write 4321 or 0:1000"
            problems.append(Problem(what, file, line, key))
    return items


def _check(tiling: Tiling, items: list[_Item], file: str, key: str, problems: list[Problem]) -> None:
    """Note every item that can't be meant."""
    largest = tiling.largest_id
    within = []
    for item in items:
        if item.low > item.high:
            what = f"{_quoted(item.text)} is a reversed range: write {item.high}:{item.low}"
        elif item.high > largest:
            what = f"{_quoted(item.text)} goes beyond the tiling: its largest chunk id is {largest}"
        else:
            within.append(item)
            continue
        problems.append(Problem(what, file, item.line, key))
    alone = [item for item in within if ":" not in item.text]
    wrong = np.flatnonzero(~tiling.is_chunk(np.array([item.low for item in alone], np.int64)))
    for item in (alone[index] for index in wrong):
        what = f"{_quoted(item.text)} is no chunk of {tiling.num_stripes} stripes: ids have gaps"
        problems.append(Problem(what, file, item.line, key))
    problems.sort(key=lambda problem: problem.line)


def _union(tiling: Tiling, items: list[_Item]) -> Targets:
    """All chunks within the ranges, and how many other numbers lie within them."""
    ids = tiling.chunk_ids()
    low = np.array([item.low for item in items], np.int64)
    end = np.array([item.high + 1 for item in items], np.int64)
    order = np.argsort(low, kind="stable")
    low, end = low[order], end[order]
    covered = np.concatenate(([0], np.maximum.accumulate(end)[:-1])) if len(end) else end
    numbers = int(np.maximum(end - np.maximum(low, covered), 0).sum())
    change = np.zeros(len(ids) + 1, np.int64)
    np.add.at(change, np.searchsorted(ids, low), 1)
    np.add.at(change, np.searchsorted(ids, end), -1)
    chosen = ids[np.cumsum(change)[:-1] > 0]
    return Targets(chosen, numbers - len(chosen), partial=len(chosen) < len(ids))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 1000


def _quoted(text: str) -> str:
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return repr(shown)
