"""What a run said, from the end of its log files."""

import re
from datetime import datetime
from pathlib import Path

from dgconsole.snapshot import LogLine
from dgconsole.support.logs import harmless

_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\S+Z) ([A-Z]+) +(\S+): (.*)")
_MOST_OF_ONE = 2 << 20
_MOST_OF_ALL = 32 << 20


def newest_lines(folder: Path) -> tuple[LogLine, ...]:
    """The newest lines of all files in ``folder`` by time, numbered from 0; some MB at most."""
    files = sorted(folder.glob("*.log"))
    share = min(_MOST_OF_ONE, _MOST_OF_ALL // max(len(files), 1))
    found = sorted((line for path in files for line in _tail(path, share)), key=lambda line: line[0])
    return tuple(LogLine(number, *line) for number, line in enumerate(found))


def _tail(path: Path, most: int) -> list[tuple[float, str, str, str]]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - most, 0))
            data = file.read(most)
    except OSError:
        return []
    if size > most:
        data = data.partition(b"\n")[2]
    lines = []
    for text in data.decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(text)
        if match is None:
            continue
        try:
            wall = datetime.fromisoformat(match[1]).timestamp()
        except ValueError:
            continue
        lines.append((wall, match[3], match[2], harmless(match[4])))
    return lines
