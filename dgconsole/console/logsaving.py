"""Lines of the log written to a file."""

import re
from collections.abc import Sequence
from pathlib import Path

from dgconsole.snapshot import LogLine
from dgconsole.support.errors import InputError
from dgconsole.views.logs import record
from dgconsole.views.text import harmless


def save_lines(path: Path, lines: Sequence[LogLine]) -> None:
    """Write the lines as they are shown; a file that is there stays as it is. InputError: it was not. Blocks."""
    name = harmless(str(path))
    try:
        with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{record(line)}\n" for line in lines)
    except FileExistsError:
        raise InputError(f"{name} exists; choose another name") from None
    except OSError as error:
        raise InputError(f"{name} cannot be written: {error.strerror}") from error


def free_log_name(run_dir: str, what: str) -> str:
    """A name for lines of ``what`` in the run directory that is free there."""
    folder = Path(run_dir if harmless(run_dir) == run_dir else "")
    stem = "lines of " + (re.sub(r"[^\w.-]+", " ", what).strip()[:80] or "the log")
    stem = stem.replace(" ", "-")
    path, number = folder / f"{stem}.txt", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.txt"
    return str(path)
