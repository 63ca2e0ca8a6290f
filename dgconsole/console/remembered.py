"""The theme that a person chose, kept for the next console: one word in a file of theirs."""

import os
from pathlib import Path


def _file() -> Path:
    """``dgconsole/theme`` below the folder that the XDG base directories have for such state."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    return (Path(folder) if folder else Path.home() / ".local" / "state") / "dgconsole" / "theme"


def theme_name() -> str:
    """The name that was kept; empty when there is none, or none that can be read."""
    try:
        with _file().open(encoding="ascii") as file:
            return file.read(40).strip()
    except (OSError, ValueError, RuntimeError):  # no home folder, no such file, some other file
        return ""


def keep_theme(name: str) -> None:
    """Keep a name; where that cannot be, the console of next time begins as it did this time."""
    try:
        path = _file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name + "\n", encoding="ascii")
    except (OSError, RuntimeError):
        pass
