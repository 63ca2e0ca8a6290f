"""Pieces of a client's output joined into lines, with a note where something was left out."""

import re
from collections.abc import Iterator

MAX_LINE = 65536
CREDIT = 65536
"""Bytes of logs that an agent may have on the way to the console."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVEL = re.compile(r"^(" + "|".join(LEVELS) + r")\b:?\s?")


class LineJoiner:
    """Joins the pieces of one stream. ``whole`` says where the stream is kept in full."""

    def __init__(self, whole: str) -> None:
        self._whole = whole
        self._rest = b""

    def feed(self, data: str, dropped: int) -> Iterator[tuple[str, str]]:
        """(level, text) of each line that is complete now; ``data`` has a character for each byte (latin-1)."""
        if dropped:
            yield from self.flush()
            yield "WARNING", f"... {dropped / 1e6:,.1f} MB left out here, whole in {self._whole}"
        *lines, self._rest = (self._rest + data.encode("latin-1")).split(b"\n")
        for line in lines:
            yield _levelled(line)
        if len(self._rest) > MAX_LINE:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[str, str]]:
        """What is left of an unfinished line."""
        if self._rest:
            yield _levelled(self._rest)
            self._rest = b""


def _levelled(line: bytes) -> tuple[str, str]:
    text = line[:MAX_LINE].decode("utf-8", "backslashreplace").rstrip("\r")
    match = _LEVEL.match(text)
    return (match.group(1), text[match.end() :]) if match else ("INFO", text)
