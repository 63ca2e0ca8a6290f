"""What the terminal can show, as far as its name and its database entry tell."""

import os
import sys

_DUMB = frozenset({"dumb", "unknown"})


def has_screen() -> bool:
    """Whether stdout is a terminal that can be painted on, rather than one that only takes lines."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in _DUMB


def colors() -> int:
    """How many colours terminfo says there are; 0 when it says nothing."""
    import curses

    try:
        curses.setupterm(os.environ.get("TERM", ""), fd=1)
        return max(curses.tigetnum("colors"), 0)
    except (curses.error, OSError, ValueError):
        return 0
