"""Big arrays that are no longer wanted go back to the system."""

import contextlib
import ctypes

_MMAP_THRESHOLD = -3
_BIG = 1 << 20


def return_big_blocks() -> None:
    """Have the C library give back every block of a megabyte or more as soon as it is freed.

    Otherwise glibc keeps such blocks for later, up to 32 MB each (mallopt(3), M_MMAP_THRESHOLD): a process that takes
    arrays of all chunks again and again grows to twice what it uses. Elsewhere this does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _BIG)
