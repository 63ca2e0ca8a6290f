"""A question that wants a line of text."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from dgconsole.console.paint import title_of
from dgconsole.console.unbroken import Unbroken
from dgconsole.views.text import harmless


class Prompt(Unbroken, ModalScreen[str]):
    """The result is the line without space around it, empty for "leave as it is"."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave as it is", show=False)]

    def __init__(self, title: str, text: str, yes: str, *, suggested: str = "") -> None:
        """``yes`` is the label of the button; ``suggested`` stands in the field already."""
        super().__init__()
        self._title, self._text, self._yes, self._suggested = title, text, yes, suggested

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = title_of(self._title)
            yield Static(harmless(self._text), markup=False, classes="text")
            yield Input(self._suggested, compact=True, select_on_focus=False)
            with Horizontal(classes="answers"):
                yield Button(self._yes, id="yes", classes="first", compact=True)
                yield Button("Cancel", id="leave", compact=True)

    def on_mount(self) -> None:
        field = self.query_one(Input)
        field.focus()
        field.cursor_position = 0
        self.call_after_refresh(field.action_end)  # once it knows its width: the end of a long path is what is seen

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self._say_yes()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self._say_yes()
        else:
            self.dismiss("")

    def _say_yes(self) -> None:
        line = self.query_one(Input).value.strip()
        if line and (why := self.refusal(line)):
            self.query_one(".text", Static).update(harmless(why))
        else:
            self.dismiss(line)

    def refusal(self, line: str) -> str:  # noqa: ARG002
        """Why a line will not do, shown in place of the question; empty where it will."""
        return ""

    def action_leave(self) -> None:
        self.dismiss("")
