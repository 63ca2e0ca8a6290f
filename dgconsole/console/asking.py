"""The dialog for what only a person can say: a passphrase, a password, a code; what is typed is kept nowhere."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from dgconsole.console.paint import title_of
from dgconsole.console.unbroken import Unbroken
from dgconsole.snapshot import Answer, Question
from dgconsole.views.text import harmless

_OF_A_HOST = "Without an answer the host is set aside; c on it asks again."


class Asking(Unbroken, ModalScreen[Answer | None]):
    """One question; the result is the answer ("none" on escape), or None when nobody asks any more.

    ``hint`` says what happens without an answer; a host's question has one of its own.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "No answer", show=False)]

    def __init__(self, question: Question, hint: str = "") -> None:
        super().__init__()
        self.question = question
        self._hint = _OF_A_HOST if question.host else hint

    def compose(self) -> ComposeResult:
        question = self.question
        *before, asked = [harmless(line) for line in question.text.splitlines()] or [""]
        with Vertical(classes="dialog") as box:
            box.border_title = title_of(f"{question.host or 'The run'} asks")
            if before:
                yield Static("\n".join(before), markup=False, classes="before")
            yield Static(asked, markup=False, classes="asked")
            yield Input(password=question.secret, compact=True, select_on_focus=False)
            if self._hint:
                yield Static(self._hint, markup=False, classes="hint")
            with Horizontal(classes="answers"):
                yield Button("Answer", id="yes", classes="first", compact=True)
                yield Button("No answer", id="leave", compact=True)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self._answer()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "yes":
            self._answer()
        else:
            self.action_leave()

    def _answer(self) -> None:
        self.dismiss(Answer(self.question.number, self.query_one(Input).value))

    def action_leave(self) -> None:
        self.dismiss(Answer(self.question.number, None))
