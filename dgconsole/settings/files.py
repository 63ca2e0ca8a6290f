"""Reading the user's files: what can't be read is a problem with words, not a traceback."""

from pathlib import Path

from dgconsole.settings.structs import TextFile
from dgconsole.support.errors import InputError, Problem

_MOST_BYTES = 16 << 20


def read_file(path: Path, *, key: str = "", asked_by: tuple[str, int] | None = None) -> TextFile:
    """Read one small input file.

    Parameters
    ----------
    path
        As messages shall name it.
    key, asked_by
        The key that names the file, and (file, line) where it stands: a missing file is blamed on them.
    """
    file, line = asked_by or (str(path), 0)
    named = f"{path}: " if asked_by else ""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as exc:
        raise InputError(Problem(named + _reason(exc), file, line, key)) from exc
    if len(data) > _MOST_BYTES:
        raise InputError(Problem(f"{named}is over {_MOST_BYTES >> 20} MiB: not a file of this kind", file, line, key))
    return TextFile(path.name, str(path), data)


def list_files(folder: Path, suffix: str, *, key: str, asked_by: tuple[str, int]) -> list[Path]:
    """The files of a folder whose names end in ``suffix``, in order of name; hidden ones are passed over."""
    try:
        found = sorted(folder.iterdir())
    except OSError as exc:
        raise InputError(Problem(f"{folder}: {_reason(exc)}", *asked_by, key)) from exc
    return [path for path in found if path.name.endswith(suffix) and path.name[0] != "." and path.is_file()]


def why_unreadable(path: Path) -> str:
    """Why a file can't be read, in words; empty when it can."""
    try:
        with path.open("rb"):
            return ""
    except OSError as exc:
        return _reason(exc)


def line_of(file: TextFile, word: str) -> int:
    """The first line that holds ``word``, from 1; 0 when none does."""
    at = file.data.find(word.encode())
    return file.data.count(b"\n", 0, at) + 1 if at >= 0 else 0


def _reason(exc: OSError) -> str:
    match exc:
        case FileNotFoundError():
            return "no such file or folder"
        case IsADirectoryError():
            return "is a folder, a file is wanted"
        case NotADirectoryError():
            return "is no folder"
        case PermissionError():
            return "may not be read: check its rights"
        case _:
            return f"cannot be read: {exc.strerror or exc}"
