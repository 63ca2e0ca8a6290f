"""What every screen is: a container that is shown a feed while it is visible, and knows what `r` means on it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from dgconsole.console.paint import BOLD, paint_of, title_of
from dgconsole.console.prompt import Prompt
from dgconsole.console.unbroken import Unbroken
from dgconsole.support.errors import InputError
from dgconsole.views.grid import Cell
from dgconsole.views.signs import Signs
from dgconsole.views.text import harmless

if TYPE_CHECKING:
    from dgconsole.console.app import ConsoleApp
    from dgconsole.console.feed import Feed


class Target(NamedTuple):
    """What the cursor of a screen is about; -1 and empty where it is about no such thing."""

    chunk: int = -1
    client: str = ""
    host: str = ""


class Pane(Unbroken, Vertical):
    """One of the five screens."""

    def __init__(self, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._titles: dict[str, str] = {}

    @property
    def console(self) -> "ConsoleApp":
        """The application, with its own type."""
        return cast("ConsoleApp", self.app)

    @property
    def signs(self) -> Signs:
        return self.console.signs

    def retitle(self, panel: str, title: str) -> None:
        """Give a panel another title; setting the same one again would paint all of it."""
        if self._titles.get(panel) != title:
            self._titles[panel] = title
            self.query_one(panel).border_title = title_of(title)

    def resubtitle(self, panel: str, subtitle: str) -> None:
        """The same for what stands at its lower edge."""
        key = f"{panel} below"
        if self._titles.get(key) != subtitle:
            self._titles[key] = subtitle
            self.query_one(panel).border_subtitle = title_of(subtitle)

    def offer_file(self, title: str, text: str, suggested: str, write: Callable[[Path], None]) -> None:
        """Ask where a file shall go, then have ``write`` make it in a thread; its InputError is shown.

        A read-only console, as one in a browser is, writes none.
        """

        async def writing(path: Path) -> None:
            try:
                await asyncio.to_thread(write, path)
            except InputError as error:
                self.notify(str(error), severity="warning", markup=False)
            else:
                self.notify(f"Written: {harmless(str(path))}", markup=False)

        def chosen(path: str | None) -> None:
            if path:
                self.run_worker(writing(Path(path).expanduser()), "save", group="save", exit_on_error=False)

        if self.console.role.writes:
            self.app.push_screen(Prompt(title, text, "Save", suggested=suggested), chosen)
        else:
            self.notify("This console is read-only: it writes no file.", severity="warning")

    async def refresh_from(self, feed: "Feed") -> None:
        """Show what the feed holds; called a few times a second while the screen is visible."""

    def focus_first(self) -> None:
        """Give the focus to the main thing of the screen."""

    def target(self) -> Target:
        """What the cursor stands on."""
        return Target()

    def log_fetched(self, client: str) -> None:
        """A client's whole log is in the run directory now."""

    def chunks_to_retry(self) -> tuple[int, ...]:
        """The chunks that `r` would retry here; those of them that are not in limbo do no harm."""
        return ()


class Lines(Unbroken, Static):
    """Lines of cells as static text; nothing in them is read as markup."""

    def __init__(self, id: str = "", *, classes: str = "") -> None:  # noqa: A002
        super().__init__("", id=id or None, classes=classes, markup=False)
        self._lines: list[list[Cell]] | None = None

    def show_lines(self, lines: list[list[Cell]]) -> None:
        """Show other lines."""
        if lines != self._lines:
            self._lines = lines
            self._write()

    def _write(self) -> None:
        colors = paint_of(self)
        parts: list[str | tuple[str, str]] = []
        for number, line in enumerate(self._lines or ()):
            if number:
                parts.append("\n")
            for cell in line:
                bold = "bold " if cell.tone in BOLD else ""
                parts.append((harmless(cell.text), f"{bold}{colors.tone(cell.tone)}"))
        self.update(Content.assemble(*parts))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self._lines is not None and self.is_attached:
            self._write()
