"""How a call of Qserv's services can fail, told apart by what may be done next; none leaves this room."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dgconsole.support.errors import ChunkError, Fault


class QservError(Exception):
    """A call failed; ``text`` is one line for people, without secrets."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class RefusedError(QservError):
    """The service answered and did not do it; ``ext`` is the answer's ``error_ext``, ``status`` that of HTTP."""

    def __init__(self, text: str, ext: Mapping[str, object], status: int = 200) -> None:
        self.ext = ext
        self.status = status
        super().__init__(text)

    @property
    def versions(self) -> tuple[int, int] | None:
        """(least, largest) number of the API where it was refused for ours."""
        least, largest = self.ext.get("min_version"), self.ext.get("max_version")
        return (least, largest) if isinstance(least, int) and isinstance(largest, int) else None

    @property
    def retry_allowed(self) -> bool:
        """Whether a contribution failed while it was read: no table was touched, and it may be sent again."""
        return self.status == 200 and self.ext.get("retry_allowed") == 1


class UnauthorizedError(RefusedError):
    """The key is wrong, or one is wanted where none was sent."""


class UnreachableError(QservError):
    """No connection came about: nothing of the call was sent, and it may be repeated."""


class LostError(QservError):
    """No answer that can be read: whether it was done is to be looked up."""


@contextmanager
def ours(what: str = "") -> Iterator[None]:
    """The one place where this room's failures become ChunkErrors (fault DELIVER); ``what`` begins their text."""
    try:
        yield
    except QservError as error:
        raise ChunkError(Fault.DELIVER, f"{what}: {error.text}" if what else error.text) from error
