"""A client's whole log as a window that moves over it: a few thousand lines of any number."""

from dgconsole.snapshot import LogLine, WholeLines

KEEP = 20_000
"""Lines kept; beyond that the far end of the window goes."""


class WholeLog:
    """Lines around one place of a whole log; a line's number is where it begins, in bytes."""

    live = False
    hidden = 0

    def __init__(self, client: str, keep: int = KEEP) -> None:
        self.client = client
        self._keep = keep
        self._shown: list[LogLine] = []
        self.start = self.end = 0
        """The bytes of the lines that are here: from, to before."""
        self.size = 0
        """Bytes of the log; -1: there is none."""

    @property
    def shown(self) -> list[LogLine]:
        return self._shown

    @property
    def at_start(self) -> bool:
        return self.start <= 0

    @property
    def at_end(self) -> bool:
        return self.end >= self.size

    def replace(self, page: WholeLines) -> None:
        """Show these lines and no others."""
        self._shown = list(page.lines)
        self.start, self.end, self.size = page.start, page.end, page.size

    def prepend(self, page: WholeLines) -> None:
        """Take in the lines before those that are here."""
        self._shown[:0] = page.lines
        self.start, self.size = page.start, page.size
        if len(self._shown) > self._keep:
            self.end = self._shown[self._keep].number
            del self._shown[self._keep :]

    def append(self, page: WholeLines) -> None:
        """Take in the lines after those that are here."""
        self._shown += page.lines
        self.end, self.size = page.end, page.size
        if len(self._shown) > self._keep:
            del self._shown[: len(self._shown) - self._keep]
            self.start = self._shown[0].number

    def hold(self) -> None:
        """Nothing moves by itself here."""

    def release(self) -> None:
        """Nothing moves by itself here."""
