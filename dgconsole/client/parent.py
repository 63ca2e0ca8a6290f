"""Children of a host agent die with it: by the end of their stdin, and by the kernel's word."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
TOKEN_LIMIT = 4096
HARD_END = 6.0
"""Seconds after the end of stdin by which this process has ended, whatever it is doing."""


def die_with(parent: int) -> bool:
    """Ask the kernel for a SIGTERM when ``parent`` dies (Linux); False when it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return os.getppid() == parent


def first_line(fd: int) -> str:
    """The first line of ``fd``, byte by byte, so that nothing after it is taken; empty where there is none."""
    line = bytearray()
    while len(line) < TOKEN_LIMIT:
        byte = os.read(fd, 1)
        if byte in (b"", b"\n"):
            break
        line += byte
    return line.decode("ascii", "replace").strip()


class EndOfInput:
    """Watches a file descriptor on a thread of its own; ``tell`` takes whom to call at its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._call: Callable[[], None] | None = None
        self._ended = False
        threading.Thread(target=self._watch, name="stdin", daemon=True).start()

    def tell(self, call: Callable[[], None]) -> None:
        """``call`` is called once, on the watching thread, or at once when the end has come before."""
        with self._lock:
            self._call = call
            ended = self._ended
        if ended:
            call()

    def _watch(self) -> None:
        try:
            while os.read(self._fd, 65536):
                pass
        except OSError:
            pass  # a descriptor that cannot be read has ended, too
        with self._lock:
            self._ended = True
            call = self._call
        if call is not None:
            call()
        threading.Event().wait(HARD_END)
        os._exit(1)
