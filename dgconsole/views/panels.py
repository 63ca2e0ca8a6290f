"""How Overview's panels share the room: which there are, where, and how large."""

from typing import NamedTuple


class Box(NamedTuple):
    """A panel's place in cells, its border included."""

    x: int
    y: int
    width: int
    height: int


_WIDE, _HUGE = 100, 160
_CLIENTS, _RATE, _MAP = 6, 5, 8
"""Least lines of the clients' panel, of the rates' and of the map's."""


def arrange(width: int, height: int, rows: int, needs: int) -> dict[str, Box]:
    """Boxes by name: clients always; needs, rate, sky and log where there is room. They do not overlap.

    ``rows`` and ``needs`` are the lines that the clients and the needs would take, borders included.
    """
    if width >= _HUGE and height >= 30:
        return _huge(width, height, rows, needs)
    if width >= _WIDE and height >= 22:
        return _wide(width, height, rows, needs)
    return _stacked(width, height, rows, needs)


def _stacked(width: int, height: int, rows: int, needs: int) -> dict[str, Box]:
    """One below the other; in very few lines the first lines of the clients and of what needs a person."""
    if height < 14:
        need = 3 if height >= 7 else 0
        parts = [("clients", height - need), ("needs", need)]
    else:
        need = min(needs, 6 if height >= 22 else 5)
        clients = min(max(rows, _CLIENTS), height - need - _RATE)
        rest = height - need - clients
        rate = rest if rest < 16 else 11
        parts = [("clients", clients), ("needs", need), ("rate", rate), ("log", rest - rate)]
    return _below(parts, 0, width)


def _wide(width: int, height: int, rows: int, needs: int) -> dict[str, Box]:
    """Clients and needs across, rates and map side by side below them, the log where much is left."""
    need = min(needs, max(height // 4, 3))
    least = _MAP + 2 if height >= 30 else _RATE
    clients = min(max(rows, _CLIENTS), height - need - least)
    rest = height - need - clients
    both = rest if rest < 24 else 16
    boxes = _below([("clients", clients), ("needs", need), ("both", both), ("log", rest - both)], 0, width)
    x, y, _, lines = boxes.pop("both")
    map_width = min(4 * (lines - 2) + 4, width * 2 // 5) if lines >= _MAP else 0
    boxes["rate"] = Box(x, y, width - map_width, lines)
    if map_width:
        boxes["sky"] = Box(width - map_width, y, map_width, lines)
    return boxes


def _huge(width: int, height: int, rows: int, needs: int) -> dict[str, Box]:
    """Clients, needs and rates at the left; map and log beside them."""
    left = max(width * 3 // 5, min(132, width * 2 // 3))
    need = min(needs, height // 4)
    rate = min(max(height - need - max(rows, _CLIENTS), 11), 50)
    sky = min((width - left - 4) // 4 + 2, height * 3 // 5)
    return _below([("clients", height - need - rate), ("needs", need), ("rate", rate)], 0, left) | _below(
        [("sky", sky), ("log", height - sky)], left, width - left
    )


def _below(parts: list[tuple[str, int]], x: int, width: int) -> dict[str, Box]:
    boxes = {}
    y = 0
    for name, height in parts:
        if height > 2 or (name == "clients" and height > 0):
            boxes[name] = Box(x, y, width, height)
        y += height
    return boxes
