"""Questions: enter is the suggested answer, escape leaves all as it is."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from dgconsole.console.paint import title_of
from dgconsole.console.pane import Lines
from dgconsole.console.prompt import Prompt
from dgconsole.console.unbroken import Unbroken
from dgconsole.views.grid import Cell
from dgconsole.views.text import harmless


class Question(Unbroken, ModalScreen[str]):
    """Some lines and some answers; the result is the answer's name, empty for "leave as it is"."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave as it is", show=False),
        Binding("left", "app.focus_previous", "Previous answer", show=False),
        Binding("right", "app.focus_next", "Next answer", show=False),
    ]

    def __init__(self, title: str, text: str, answers: Sequence[tuple[str, str]], *, hot: bool = False) -> None:
        """``answers`` are (name, label), the suggested one first; ``hot`` when the suggested one destroys."""
        super().__init__()
        self._title, self._text, self._answers, self._hot = title, text, answers, hot

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = title_of(self._title)
            yield Static(harmless(self._text), markup=False, classes="text")
            with Horizontal(classes="answers"):
                for number, (name, label) in enumerate(self._answers):
                    classes = "first hot" if self._hot and number == 0 else "first" if number == 0 else ""
                    yield Button(label, id=name or "leave", classes=classes, compact=True)

    def on_mount(self) -> None:
        self.query(Button).first().focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        name = event.button.id or ""
        self.dismiss("" if name == "leave" else name)

    def action_leave(self) -> None:
        self.dismiss("")


class Facts(Unbroken, ModalScreen[None]):
    """Lines to be read: help, a client, a host that is set aside."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark", "leave", "Back", show=False),
    ]

    def __init__(self, title: str, lines: list[list[Cell]]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog facts") as box:
            box.border_title = title_of(self._title)
            box.border_subtitle = "escape: back"
            yield Lines("facts-text")

    def on_mount(self) -> None:
        self.query_one(Lines).show_lines(self._lines)
        self.query_one(VerticalScroll).focus()

    def action_leave(self) -> None:
        self.dismiss(None)


EXPORTED = (".csv", ".md", ".json")


class ExportDialog(Prompt):
    """Where the report goes; the result is the path, empty for nowhere."""

    def __init__(self, suggested: str) -> None:
        text = (
            ".csv: one row for each target chunk. .md: the totals, to be read. .json: both. "
            "A file that exists is not overwritten unasked."
        )
        super().__init__("Export the report", text, "Write", suggested=suggested)

    def refusal(self, line: str) -> str:
        if line.lower().endswith(EXPORTED):
            return ""
        return f"The name says in which form: end it in {', '.join(EXPORTED[:-1])} or {EXPORTED[-1]}."
