"""The fourth screen: what clients, hosts and the console say, merged by time or of one source."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from dgconsole.console.feed import Feed
from dgconsole.console.logview import LogView
from dgconsole.console.pane import Lines, Pane, Target
from dgconsole.views.clients import natural
from dgconsole.views.grid import Cell
from dgconsole.views.logs import KEEP, LEVELS, LogStore, View
from dgconsole.views.text import harmless, plural


class Logs(Pane):
    """The choice of lines, the lines, the search."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow", tooltip="Follow the newest line, or stay"),
        Binding(
            "slash", "search", "Search", key_display="/", tooltip="Find a text; capitals count when there are any"
        ),
        Binding("n", "again(0)", "Next match", show=False),
        Binding("N", "again(1)", "Match before", show=False),
        Binding("v", "level", "Level", tooltip="Leave out lines below the next level"),
        Binding("right", "source(1)", "Source", key_display="← →", tooltip="All lines, or those of one source"),
        Binding("left", "source(-1)", "Source before", show=False),
        Binding(
            "w",
            "app.whole_log",
            "Whole log",
            tooltip="Bring this client's whole log from its host to the run directory",
        ),
        Binding("escape", "back", "Back", show=False, tooltip="Leave the search, then clear it, then show all"),
    ]

    def __init__(self) -> None:
        super().__init__("logs")
        self._store = LogStore()
        self._feed: Feed | None = None

    def compose(self) -> ComposeResult:
        yield Lines("log-choice")
        with Vertical(classes="panel", id="log-panel") as panel:
            panel.border_title = "Logs"
            yield LogView("log-view", self._store)
        with Horizontal(id="search-line"):
            yield Lines("search-word")
            yield Input(id="log-search", placeholder="text to find; enter, then n and N", compact=True)
            yield Lines("search-count")

    def on_mount(self) -> None:
        self._view = self.query_one(LogView)
        self._field = self.query_one(Input)
        self.query_one("#search-word", Lines).show_lines([[Cell(" / ", "key")]])
        self.query_one("#search-line").display = False

    def focus_first(self) -> None:
        self._view.focus()

    async def refresh_from(self, feed: Feed) -> None:
        self._feed = feed
        if await feed.pull_logs(self._store, KEEP):
            self._view.sync()
        self._say()

    def _say(self) -> None:
        store, view = self._store, self._view
        source = harmless(store.view.source) or "all sources"
        cells = [
            Cell(f" {self.signs.plain('◂', '<')} ", "dim"),
            Cell(source, "strong"),
            Cell(f" {self.signs.plain('▸', '>')}", "dim"),
            Cell(f"   {LEVELS[store.view.level]} and above" if store.view.level else "   all levels", "dim"),
        ]
        if view.following:
            cells.append(Cell(f"   {self.signs.plain('●', '*')} following", "good"))
        else:
            fresh = f", {view.unseen:,} new" if view.unseen else ""
            cells.append(Cell(f"   {self.signs.plain('○', '-')} paused{fresh}  (f: follow)", "warm"))
        self.query_one("#log-choice", Lines).show_lines([cells])
        title = f"Logs {self.signs.plain('─', '-')} {plural(len(store.shown), 'line')}"
        if store.lost:
            title += f", {store.lost:,} older in the run directory's logs"
        self.retitle("#log-panel", title)

    def target(self) -> Target:
        source = self._store.view.source
        for client in self._feed.snapshot.clients if self._feed else ():
            if client.name == source:
                return Target(client.chunk, client.name, client.host)
        return Target()

    def show_source(self, source: str) -> None:
        """Show the lines of one source, from the newest on."""
        self._choose(View(source, self._store.view.level))

    def _choose(self, view: View) -> None:
        self._store.choose(view)
        self._view.follow(True)
        self._view.sync()
        self._say()

    def on_log_view_changed(self, _: LogView.Changed) -> None:
        self._say()

    def action_follow(self) -> None:
        self._view.follow(not self._view.following)

    def action_level(self) -> None:
        view = self._store.view
        self._choose(view._replace(level=(view.level + 1) % len(LEVELS)))

    def action_source(self, by: int) -> None:
        clients = {client.name for client in self._feed.snapshot.clients} if self._feed else set()
        sources = ["", *sorted(self._store.sources | clients, key=natural)]
        at = sources.index(self._store.view.source) if self._store.view.source in sources else 0
        self._choose(self._store.view._replace(source=sources[(at + by) % len(sources)]))

    # ---- search

    def action_search(self) -> None:
        self.query_one("#search-line").display = True
        self._field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._search(event.value)

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self._view.focus()

    def action_again(self, backward: int) -> None:
        if self._view.needle:
            self._search(self._view.needle, backward=bool(backward), again=True)

    def _search(self, needle: str, *, backward: bool = False, again: bool = False) -> None:
        found = self._view.search(needle, backward=backward, again=again)
        words = ""
        if needle:
            words = f" {plural(self._store.matches(needle), 'line')} match  n N " if found else " not found "
        self.query_one("#search-count", Lines).show_lines([[Cell(words, "dim" if found else "warm")]])
        self._say()

    def action_back(self) -> None:
        if self._field.has_focus:
            self._view.focus()
        elif self._view.needle:
            self._field.value = ""
            self.query_one("#search-line").display = False
        elif self._store.view != View():
            self._choose(View())
        else:
            self._view.follow(True)
