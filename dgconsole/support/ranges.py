"""Names of many hosts in one text: ``db[01-24,30].example.org`` to names, and names back to such a text."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence

MOST_NAMES = 10_000
_NUMBER = re.compile(r"[0-9]{1,9}")
_BRACKET = re.compile(r"(\[[^\[\]]*\])")
_PLACE = re.compile(r"((?<![0-9])[0-9]{1,9}(?![0-9]))")
_Numbers = tuple[str, ...]


def expand(text: str) -> tuple[str, ...]:
    """All names that a text stands for, in its order.

    Brackets hold numbers and inclusive ranges of them, separated by commas. Numbers keep their leading zeros: both
    ends of a range that has some are equally wide. With several brackets the last one turns fastest. Commas outside
    of brackets separate texts. A text without brackets and commas is a name by itself.

    Raises
    ------
    ValueError
        With words: brackets that don't pair, what is no number or range, a reversed range, mixed widths, a name that
        comes out twice, more than ``MOST_NAMES`` of them.
    """
    pieces = [_pieces(part) for part in _parts(text)]
    count = sum(math.prod(map(len, part)) for part in pieces)
    if count > MOST_NAMES:
        raise ValueError(f"stands for {count} hosts: {MOST_NAMES} at most")
    names: dict[str, None] = {}
    for part in pieces:
        for chosen in itertools.product(*(piece.numbers() for piece in part)):
            name = "".join(chosen)
            if name in names:
                raise ValueError(f"'{name}' comes out of it twice: keep one")
            names[name] = None
    return tuple(names)


def fold(names: Iterable[str]) -> str:
    """A short text that stands for the same names (in another order, perhaps): what ``expand`` reads.

    Names of hosts, that is without brackets and commas; doubled ones count once.
    """
    return ",".join(folded(names))


def folded(names: Iterable[str]) -> tuple[str, ...]:
    """The parts of ``fold``: a text for each set of names that ranges can tell."""
    groups: dict[tuple[str, ...], list[tuple[_Numbers, ...]]] = {}
    for name in dict.fromkeys(names):
        parts = _PLACE.split(name)
        groups.setdefault(tuple(parts[::2]), []).append(tuple((number,) for number in parts[1::2]))
    return tuple(_written(around, block) for around, blocks in groups.items() for block in _merged(blocks))


# ---- from text


class _Piece:
    """What stands at one place of a name: the alternatives of a bracket, or plain text (one alternative)."""

    def __init__(self, *items: str | tuple[int, int, int]) -> None:
        self._items = items

    def __len__(self) -> int:
        return sum(1 if isinstance(item, str) else item[1] - item[0] + 1 for item in self._items)

    def numbers(self) -> list[str]:
        """The alternatives in order."""
        found: list[str] = []
        for item in self._items:
            if isinstance(item, str):
                found.append(item)
            else:
                first, last, width = item
                found += [f"{number:0{width}}" for number in range(first, last + 1)]
        return found


def _parts(text: str) -> list[str]:
    """The text cut at the commas outside of brackets."""
    if re.search(r"[\[\]]", _BRACKET.sub("", text)):
        raise ValueError("has a bracket without its other half: write as in db[01-24,30]")
    parts = re.split(r",(?![^\[\]]*\])", text)
    if not all(parts):
        raise ValueError("has a comma too many, or no name at all")
    return parts


def _pieces(part: str) -> list[_Piece]:
    return [
        _Piece(*(_item(item) for item in piece[1:-1].split(","))) if piece[:1] == "[" else _Piece(piece)
        for piece in _BRACKET.split(part)
    ]


def _item(text: str) -> str | tuple[int, int, int]:
    """A number, or a range as (first, last, width; 0 for as wide as it is)."""
    first, dash, last = text.partition("-")
    if not (_NUMBER.fullmatch(first) and (not dash or _NUMBER.fullmatch(last))):
        raise ValueError(f"'{text}' in brackets is no number and no range of numbers such as 01-24")
    if not dash:
        return first
    if int(first) > int(last):
        raise ValueError(f"'{text}' runs backwards: write {last}-{first}")
    padded = _is_padded(first) or _is_padded(last)
    if padded and len(first) != len(last):
        raise ValueError(f"'{text}' has ends of different width: write both with the same number of digits")
    return int(first), int(last), len(first) if padded else 0


def _is_padded(number: str) -> bool:
    return len(number) > 1 and number[0] == "0"


# ---- to text


def _merged(blocks: list[tuple[_Numbers, ...]]) -> list[tuple[_Numbers, ...]]:
    """Blocks of numbers (one set for each place) joined, place after place, where all other places are equal."""
    for place in reversed(range(len(blocks[0]))):
        joined: dict[tuple[_Numbers, ...], list[str]] = {}
        for block in blocks:
            joined.setdefault(block[:place] + block[place + 1 :], []).extend(block[place])
        blocks = [
            (*others[:place], tuple(sorted(numbers, key=lambda number: (int(number), len(number)))), *others[place:])
            for others, numbers in joined.items()
        ]
    return blocks


def _written(around: Sequence[str], block: Sequence[_Numbers]) -> str:
    between = [numbers[0] if len(numbers) == 1 else f"[{','.join(_runs(numbers))}]" for numbers in block]
    return "".join(text for pair in itertools.zip_longest(around, between, fillvalue="") for text in pair)


def _runs(numbers: Sequence[str]) -> list[str]:
    """Ascending numbers, each run of one width (or without leading zeros) as a range."""
    runs: list[tuple[str, str]] = []
    for number in numbers:
        if runs and int(number) == int(runs[-1][1]) + 1 and _go_together(runs[-1][0], number):
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return [first if first == last else f"{first}-{last}" for first, last in runs]


def _go_together(first: str, last: str) -> bool:
    return len(first) == len(last) or not (_is_padded(first) or _is_padded(last))
