"""Names for files that people want beside a run."""

from pathlib import Path

from dgconsole.views.text import harmless


def free_name(run_dir: str, stem: str, suffix: str) -> str:
    """``<stem><suffix>`` in the run directory, or the next name that is free there."""
    folder = Path(run_dir if harmless(run_dir) == run_dir else "")
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return str(path)
