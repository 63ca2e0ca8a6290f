"""Text from elsewhere made harmless, and text made to fit: in terminal cells, never in characters."""

import re

from rich.cells import cell_len, set_cell_size

from dgconsole.support.logs import harmless as spelled
from dgconsole.support.ranges import folded

_NO_WIDTH = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff]"
)
_MARK = (
    "\u0300-\u036f\u0483-\u0489\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_STACKED = re.compile(f"([{_MARK}]{{2}})[{_MARK}]+")

_SIGNS_A_CELL = 4
"""More than so many in one cell are not looked at: a line may be very long."""


def harmless(text: str) -> str:
    """``text`` on one line that cannot act on a terminal and is as wide as it measures.

    Control characters are spelled out; signs without a width of their own (variation selectors, joiners, fillers,
    tones of skin) go, and so do more than two marks on one letter.
    """
    if text.isascii() and text.isprintable():
        return text
    return spelled(_STACKED.sub(r"\1", _NO_WIDTH.sub("", text)))


def clip(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, its end replaced by an ellipsis where it is longer."""
    if width <= 0:
        return ""
    text = text[: _SIGNS_A_CELL * width + 1]
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


def clip_middle(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells; where it is longer its middle goes, as its end may say the most."""
    if width < 24 or cell_len(text) <= width:
        return clip(text, width)
    front = (width - 1) // 2
    end = text[-(width - 1 - front) :]
    while cell_len(end) > width - 1 - front:
        end = end[1:]
    return f"{set_cell_size(text, front).rstrip()}…{end.lstrip()}"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``text`` in exactly ``width`` cells; ``right`` aligns it there."""
    text = clip(text, width)
    room = " " * (width - cell_len(text))
    return room + text if right else text + room


def number(text: str, width: int) -> str:
    """A number flush right in ``width`` cells; one that does not fit shows as hashes, never cut in two."""
    return text.rjust(width) if len(text) <= width else "#" * width


def few(names: tuple[str, ...], most: int = 3) -> str:
    """All names, as ranges where they are more than ``most``; else the first ones, and how many more there are."""
    groups = names if len(names) <= most else folded(names)
    return ", ".join(groups) if len(groups) <= most else f"{', '.join(names[:most])} and {len(names) - most} more"


def plural(count: int, one: str, many: str = "") -> str:
    """``1 chunk``, ``1,204 chunks``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
