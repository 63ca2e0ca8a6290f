"""The one place where this room turns OSErrors into our kind."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from dgconsole.support.errors import ChunkError, Fault

_OF_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)


@contextmanager
def mapped(otherwise: Fault = Fault.DELIVER) -> Iterator[None]:
    """OSErrors become ChunkErrors: DISK where space or the medium failed, else ``otherwise``."""
    try:
        yield
    except OSError as error:
        fault = Fault.DISK if error.errno in _OF_DISK else otherwise
        raise ChunkError(fault, f"{error.filename or 'chunk files'}: {error.strerror}") from error
