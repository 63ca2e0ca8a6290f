"""What a process with a thousand clients needs of the system, of the C library and of Python."""

import contextlib
import ctypes
import gc
import resource

_MMAP_THRESHOLD = -3
_BIG = 1 << 20
_THRESHOLDS = 10_000, 20, 20


def allow_many_files() -> None:
    """Take as many open files as the system allows: a client of this host is a connection, a log, and pipes."""
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def return_big_blocks() -> None:
    """Have the C library give back every block of a megabyte or more as soon as it is freed.

    Otherwise glibc keeps such blocks for later, up to 32 MB each (mallopt(3), M_MMAP_THRESHOLD): a process that takes
    arrays of all chunks again and again grows to twice what it uses. Elsewhere this does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _BIG)


def settle() -> None:
    """All that is there now stays: the garbage collector need not look through it again and again.

    With some 100,000 objects of modules and widgets a full collection stops everything for 0.1 s, and a busy
    coordinator has one every second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
