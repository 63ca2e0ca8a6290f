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


def file_stem(what: str) -> str:
    """What a file of lines of ``what`` is called, without its ending."""
    stem = "lines of " + (re.sub(r"[^\w.-]+", " ", what).strip()[:80] or "the log")
    return stem.replace(" ", "-")
