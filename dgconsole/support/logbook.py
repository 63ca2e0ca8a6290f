"""All that is said in a run: one numbered ring for the screen, one rotated file a source for keeps."""

import logging
import math
from datetime import UTC, datetime
from pathlib import Path

from dgconsole.support.clock import Clock
from dgconsole.support.logs import LogRing, Page, RotatingLog, harmless

RING_LINES = 50_000
FILE_BYTES = 16 * 1024 * 1024
OLD_FILES = 2
CONSOLE = "console"
"""The source of lines that no client said; hosts are written to its file as well."""


class LogBook:
    """Each client has a file of its own in ``folder`` (``<client>.log``), every other source is in console.log."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._ring = LogRing(RING_LINES)
        self._files: dict[str, RotatingLog] = {}
        self._clients: set[str] = set()
        self.handler: logging.Handler = _Handler(self)
        """Brings what libraries log (warnings and worse) into this book."""

    def add_client(self, name: str) -> None:
        """What ``name`` says from now on goes to a file of its own."""
        self._clients.add(name)

    def write(self, source: str, level: str, text: str) -> None:
        """Keep one line, or one for each line of ``text``."""
        wall = math.floor(self._clock.wall() * 1000.0) / 1000.0  # as the file has it
        stamp = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        file = self._file(source if source in self._clients else CONSOLE)
        for line in text.splitlines() or [""]:
            self._ring.append(wall, source, level.upper(), line)
            file.write(f"{stamp} {level.upper():<7} {source}: {harmless(line)}")

    def read(self, after: int, limit: int) -> Page:
        return self._ring.read(after, limit)

    @property
    def end(self) -> int:
        return self._ring.end

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> RotatingLog:
        if name not in self._files:
            self._files[name] = RotatingLog(self._folder / f"{name}.log", FILE_BYTES, OLD_FILES)
        return self._files[name]


class _Handler(logging.Handler):
    def __init__(self, book: LogBook) -> None:
        super().__init__(logging.WARNING)
        self._book = book

    def emit(self, record: logging.LogRecord) -> None:
        self._book.write(CONSOLE, record.levelname, self.format(record))
