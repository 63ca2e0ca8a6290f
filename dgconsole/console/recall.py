"""A field that remembers what was asked in it."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from dgconsole.console.unbroken import Unbroken

_MOST = 50


class RecallInput(Unbroken, Input):
    """Comes back with the last text, selected, so that typing replaces it; up and down go through the others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(-1)", "Asked before", show=False),
        Binding("down", "recall(1)", "Asked after", show=False),
    ]

    def __init__(self, id: str, placeholder: str) -> None:  # noqa: A002
        super().__init__(id=id, placeholder=placeholder, compact=True)
        self._asked: list[str] = []
        self._at = 0

    def open(self) -> None:
        """Take the focus, with the last text if there is none."""
        self._at = len(self._asked)
        if not self.value and self._asked:
            self.action_recall(-1)
        self.focus()
        self.action_select_all()

    def keep(self) -> None:
        """Remember what stands there, as the newest."""
        text = self.value.strip()
        if text:
            self._asked = [*(asked for asked in self._asked if asked != text), text][-_MOST:]
        self._at = len(self._asked)

    def clear_kept(self) -> None:
        """Remember what stands there, and leave the field empty."""
        self.keep()
        self.value = ""

    def action_recall(self, by: int) -> None:
        at = self._at + by
        if not 0 <= at <= len(self._asked):
            return
        self._at = at
        self.value = self._asked[at] if at < len(self._asked) else ""
        self.cursor_position = len(self.value)
