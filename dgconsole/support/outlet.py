"""A text stream whose reader may go away, or whose disk may fill up, without harm to who writes."""

import contextlib
import os
from typing import TextIO, cast


def outlet(stream: TextIO | None) -> TextIO:
    """``stream`` with no error of its own: what it cannot take is lost, and all that follows.

    None, as ``sys.stdout`` is where it was closed before the start, takes nothing.
    """
    return cast("TextIO", _Outlet(stream))


class _Outlet:
    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding = stream.encoding if stream is not None else "utf-8"

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("closed")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        if self._stream is not None:
            try:
                self._stream.write(text)
            except OSError:
                self._lose()
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            try:
                self._stream.flush()
            except OSError:
                self._lose()

    def _lose(self) -> None:
        """Nothing of what is still buffered may fail once more when the interpreter ends."""
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
