"""What the terminal can show, as far as its name and its database entry tell."""

import curses
import os

DUMB = frozenset({"", "dumb", "unknown"})


def is_dumb() -> bool:
    """Whether the terminal cannot put the cursor anywhere, so that a screen would be a heap of signs."""
    return os.environ.get("TERM", "") in DUMB


def colors() -> int:
    """How many colours terminfo says there are; 0 when it says nothing."""
    try:
        curses.setupterm(os.environ.get("TERM", ""), fd=1)
        return max(curses.tigetnum("colors"), 0)
    except (curses.error, OSError, ValueError):
        return 0
