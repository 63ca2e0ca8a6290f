"""Text from elsewhere made harmless, and text made to fit: in terminal cells, never in characters."""

import re

from rich.cells import cell_len, set_cell_size

from dgconsole.support.logs import harmless as spelled
from dgconsole.support.ranges import folded

_NO_WIDTH = re.compile("[\ufe00-\ufe0f\u200b-\u200d\u2060\ufeff]")


def harmless(text: str) -> str:
    """``text`` on one line that cannot act on a terminal and is as wide as it measures.

    Control characters are spelled out, signs without a width (variation selectors, joiners) go.
    """
    if text.isascii() and text.isprintable():
        return text
    return spelled(_NO_WIDTH.sub("", text))


def clip(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, its end replaced by an ellipsis where it is longer."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…"


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
