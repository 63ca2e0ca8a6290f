"""The fourth screen: what clients, hosts and the console say, merged by time or of one source."""

import base64
from collections.abc import Callable, Coroutine
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.worker import Worker

from dgconsole.console.feed import Feed
from dgconsole.console.freename import free_name
from dgconsole.console.logsaving import file_stem, save_lines
from dgconsole.console.logview import LogView
from dgconsole.console.pane import Lines, Pane, Target
from dgconsole.console.recall import RecallInput
from dgconsole.views.clients import natural
from dgconsole.views.grid import Cell
from dgconsole.views.logs import KEEP, LEVELS, LogStore, View, count_of, record
from dgconsole.views.numbers import local_date, size
from dgconsole.views.text import harmless, plural
from dgconsole.views.wholelog import WholeLog

OLDER = 2_000
"""Lines asked for at a time above those that are here."""
MOST_COPIED = 70_000
"""Bytes that terminals take into the clipboard, in base64."""


class Logs(Pane):
    """The choice of lines, the lines, the search."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow", tooltip="Follow the newest line, or stay"),
        Binding(
            "slash", "search", "Search", key_display="/", tooltip="Find a text; capitals count when there are any"
        ),
        Binding("n", "again(0)", "Next match", show=False, tooltip="Go to the next line that holds the text"),
        Binding("N", "again(1)", "Match before", show=False, tooltip="Go to the one before, also in older lines"),
        Binding("v", "level", "Level", tooltip="Leave out lines below the next level"),
        Binding("right", "source(1)", "Source", key_display="← →", tooltip="All lines, or those of one source"),
        Binding("left", "source(-1)", "Source before", show=False),
        Binding(
            "w",
            "app.whole_log",
            "Whole log",
            tooltip="Bring this client's whole log from its host to the run directory, and show it",
        ),
        Binding("y", "copy(0)", "Copy", tooltip="Copy the line that is marked, else the lines on the screen"),
        Binding("Y", "copy(1)", "Copy the screen", show=False, tooltip="Copy the lines on the screen"),
        Binding("S", "save", "Save these lines…", show=False, tooltip="Write the lines that are here to a file"),
        Binding("escape", "back", "Back", show=False, tooltip="Leave the search, then clear it, then show all"),
    ]

    def __init__(self) -> None:
        super().__init__("logs")
        self._store = LogStore()
        self._whole: WholeLog | None = None
        self._feed: Feed | None = None
        self._doing = ""

    def compose(self) -> ComposeResult:
        yield Lines("log-choice")
        with Vertical(classes="panel", id="log-panel") as panel:
            panel.border_title = "Logs"
            yield LogView("log-view", self._store)
        with Horizontal(id="search-line"):
            yield Lines("search-word")
            yield RecallInput("log-search", "text to find; enter, then n and N")
            yield Lines("search-count")

    def on_mount(self) -> None:
        self._view = self.query_one(LogView)
        self._field = self.query_one(RecallInput)
        self.query_one("#search-word", Lines).show_lines([[Cell(" / ", "key")]])
        self.query_one("#search-line").display = False

    def focus_first(self) -> None:
        self._view.focus()

    async def refresh_from(self, feed: Feed) -> None:
        self._feed = feed
        if await feed.pull_logs(self._store, KEEP) and self._whole is None:
            self._view.sync()
        self._say()

    # ---- what is said about the lines

    def _say(self) -> None:
        view = self._view
        source = self._source()
        cells = [
            Cell(f" {self.signs.plain('◂', '<')} ", "dim"),
            Cell(source, "strong"),
            Cell(f" {self.signs.plain('▸', '>')}", "dim"),
            Cell(self._level(), "dim"),
        ]
        if self._whole is None and view.following:
            cells.append(Cell(f"   {self.signs.plain('●', '*')} following", "good"))
        elif self._whole is None:
            fresh = f", {view.unseen:,} new" if view.unseen else ""
            cells.append(Cell(f"   {self.signs.plain('○', '-')} paused{fresh}  (f: follow)", "warm"))
            first = next((line for line in view.seen_lines() if line.wall), None)
            if first is not None and self._feed is not None:
                day, today = local_date(first.wall)[:10], local_date(self._feed.snapshot.wall)[:10]
                cells.append(Cell(f"   of {day}" if day != today else "", "dim"))
        self.query_one("#log-choice", Lines).show_lines([cells])
        dash = self.signs.plain("─", "-")
        count = len(view.store.shown) + view.store.hidden - view.unseen  # another title paints the panel anew
        title = f"Logs {dash} {plural(count, 'line')}"
        if view.needle:
            title += f" {dash} search: {view.needle}"
        self.retitle("#log-panel", title)
        self.resubtitle("#log-panel", self._doing or self._beyond())

    def _source(self) -> str:
        if self._whole is not None:
            return f"{harmless(self._whole.client)} whole log"
        return harmless(self._store.view.source) or "all sources"

    def _level(self) -> str:
        if self._whole is not None:
            there = self._whole.size >= 0
            return "   as its host kept it" if there else "   it is not in the run directory: w fetches it"
        level = self._store.view.level
        return f"   {LEVELS[level]} and above" if level else "   all levels"

    def _beyond(self) -> str:
        """What there is besides the lines that are here."""
        if self._whole is not None:
            whole = self._whole
            return f"byte {whole.start:,} to {whole.end:,} of {whole.size:,}"
        store = self._store
        file = f"logs/{harmless(store.view.source)}.log" if store.view.source else "logs/"
        if store.exhausted:
            return f"nothing older is in {file}"
        if store.full:
            return f"older lines are in {file}: too many to be shown here"
        if store.before and not store.view.source:
            return f"{store.before:,} older lines are in {file}: scroll up"
        return f"older lines are in {file}: scroll up" if store.before else ""

    def _do(self, words: str, work: Callable[..., Coroutine[object, object, None]], *args: object) -> None:
        """Work on the files of the run, one thing at a time; the newest counts."""
        doing: Callable[[], Coroutine[None, None, None]] = partial(self._doing_it, words, partial(work, *args))
        _: Worker[None] = self.run_worker(doing, group="log-files", exclusive=True)

    async def _doing_it(self, words: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
        self._doing = words
        self._say()
        try:
            await work()
        finally:
            self._doing = ""
            self._say()

    # ---- which lines

    def target(self) -> Target:
        source = self._whole.client if self._whole is not None else self._store.view.source
        for client in self._feed.snapshot.clients if self._feed else ():
            if client.name == source:
                return Target(client.chunk, client.name, client.host)
        return Target()

    def show_source(self, source: str) -> None:
        """Show the lines of one source, from the newest on."""
        self._choose(View(source, self._store.view.level))

    def show_whole(self, client: str) -> None:
        """Show what was brought of a client's whole log, from its end."""
        self._whole = WholeLog(client)
        self._view.exchange(self._whole)
        self._do("reading the whole log", self._whole_edge, True)

    def log_fetched(self, client: str) -> None:
        if self.target().client == client:
            self.show_whole(client)

    def _choose(self, view: View) -> None:
        self._store.choose(view)
        if self._whole is not None:
            self._whole = None
            self._view.exchange(self._store)
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

    async def action_source(self, by: int) -> None:
        assert self._feed is not None
        clients = {client.name for client in self._feed.snapshot.clients}
        files = await self._feed.handle.log_files()
        names = self._store.sources | clients | {file.source for file in files if not file.whole}
        sources = [(name, False) for name in {"", *names}]
        sources += [(file.source, True) for file in files if file.whole]
        sources.sort(key=lambda source: (natural(source[0]), source[1]))
        here = (self._whole.client, True) if self._whole is not None else (self._store.view.source, False)
        at = sources.index(here) if here in sources else 0
        name, whole = sources[(at + by) % len(sources)]
        if whole:
            self.show_whole(name)
        else:
            self.show_source(name)

    # ---- lines that are not here

    def on_log_view_beyond(self, event: LogView.Beyond) -> None:
        if self._whole is not None:
            if event.far:
                self._do("reading", self._whole_edge, event.by > 0)
            elif not (self._doing or (self._whole.at_start if event.by < 0 else self._whole.at_end)):
                self._do("reading", self._whole_more, event.by)
        elif event.by < 0 and self._store.reaches_back and not self._doing:
            self._do("loading older lines", self._scroll_back, event.by, event.far)

    async def _older(self) -> int:
        """Bring older lines; how many, 0 when there are none (within reach)."""
        assert self._feed is not None
        store = self._store
        while store.reaches_back:
            view, mark = store.view, store.mark
            page = await self._feed.handle.older(view.source, mark, OLDER, view.level)
            if store.view != view or store.mark != mark or self._view.following:
                return 0
            if count := store.prepend(page):
                self._view.sync()
                return count
        return 0

    async def _scroll_back(self, by: int, far: bool) -> None:
        if count := await self._older():
            self._view.move_by(-count if far else by)

    async def _whole_edge(self, end: bool) -> None:
        whole = self._whole
        assert self._feed is not None
        assert whole is not None
        whole.replace(await self._feed.handle.whole_log(whole.client, 1 << 62 if end else 0, OLDER, backward=end))
        self._view.show_edge(end=end)

    async def _whole_more(self, by: int) -> None:
        whole = self._whole
        assert self._feed is not None
        assert whole is not None
        at = whole.start if by < 0 else whole.end
        page = await self._feed.handle.whole_log(whole.client, at, OLDER, backward=by < 0)
        if by < 0:
            whole.prepend(page)
        else:
            whole.append(page)
        self._view.sync()
        self._view.move_by(by)

    # ---- search

    def action_search(self) -> None:
        self.query_one("#search-line").display = True
        self._field.open()

    def on_input_changed(self, event: RecallInput.Changed) -> None:
        if self._whole is None:
            self._search(event.value)

    def on_input_submitted(self, event: RecallInput.Submitted) -> None:
        self._field.keep()
        self._view.focus()
        if self._whole is not None:
            self._view.needle = event.value
            self.action_again(0)

    def action_again(self, backward: int) -> None:
        needle = self._view.needle
        if needle and self._whole is not None:
            self._do(f"searching for {needle}", self._search_whole, needle, bool(backward))
        elif needle and backward and self._store.reaches_back:
            if not self._view.search(needle, backward=True, again=True, wrap=False):
                self._do("searching older lines", self._search_older, needle)
        elif needle:
            self._search(needle, backward=bool(backward), again=True)

    def _search(self, needle: str, *, backward: bool = False, again: bool = False) -> None:
        found = self._view.search(needle, backward=backward, again=again)
        words = ""
        if needle and found:
            words = f" {plural(count_of(self._view.store.shown, needle), 'line')} match  n N "
        elif needle:
            words = " not found  N: in older lines " if self._store.reaches_back else " not found "
        self._say_found(words, "dim" if found else "warm")
        self._say()

    def _say_found(self, words: str, tone: str) -> None:
        self.query_one("#search-count", Lines).show_lines([[Cell(words, tone)]])

    async def _search_older(self, needle: str) -> None:
        self._view.stay()
        while count := await self._older():
            lines = self._store.shown
            self._doing = f"searching older lines: {local_date(lines[0].wall)}"
            self._say()
            self._view.hit = lines[count].number if count < len(lines) else -1
            if self._view.search(needle, backward=True, again=True, wrap=False):
                self._say_found(f" {plural(count_of(self._view.store.shown, needle), 'line')} match  n N ", "dim")
                return
        found = self._view.search(needle, backward=True, again=True)
        self._say_found(" no older one: from the end again " if found else " not in the older lines either ", "warm")

    async def _search_whole(self, needle: str, backward: bool) -> None:
        whole = self._whole
        assert self._feed is not None
        assert whole is not None
        ask = self._feed.handle.whole_log
        line = self._view.current()
        seen = self._view.seen_lines()
        at = line.number if line else seen[0].number if seen else 0
        if line is not None and not backward:
            here = await ask(whole.client, at, 1)
            at = here.end
        turned = False
        while True:
            page = await ask(whole.client, at, 1, backward=backward, needle=needle)
            if page.lines:
                break
            at = page.start if backward else page.end
            self._doing = f"searching for {needle}: {size(at)} of {size(page.size)}"
            self._say()
            if at <= 0 if backward else at >= page.size:
                if turned or page.size < 0:
                    self._say_found(" not found ", "warm")
                    return
                turned, at = True, page.size if backward else 0
        found = page.lines[0].number
        whole.replace(await ask(whole.client, found, OLDER, backward=True))
        whole.append(await ask(whole.client, found, OLDER))
        self._view.sync()
        self._view.go(found)
        self._say_found(" found  n N ", "dim")

    def action_back(self) -> None:
        if self._field.has_focus:
            self._field.keep()
            self._view.focus()
        elif self._view.needle:
            self._field.clear_kept()
            self._view.search("")
            self.query_one("#search-line").display = False
        elif self._whole is not None:
            self.show_source(self._whole.client)
        elif self._store.view != View():
            self._choose(View())
        else:
            self._view.follow(True)
        self._say()

    # ---- copy and save

    def action_copy(self, screen: int) -> None:
        current = self._view.current()
        lines = [current] if current is not None and not screen else self._view.seen_lines()
        text = "\n".join(map(record, lines))
        if not lines:
            self.notify("there is no line to copy", severity="warning")
        elif len(base64.b64encode(text.encode("utf-8", "replace"))) > MOST_COPIED:
            self.notify("that is more than a clipboard takes; S writes lines to a file", severity="warning")
        else:
            self.app.copy_to_clipboard(text)
            self.notify(f"{plural(len(lines), 'line')} sent to the clipboard; S writes lines to a file")

    def action_save(self) -> None:
        if self._feed is not None:
            lines = list(self._view.store.shown)
            suggested = free_name(self._feed.snapshot.run_dir, file_stem(self._source()), ".txt")
            text = f"{plural(len(lines), 'line')}, as they are here."
            self.offer_file("Save these lines", text, suggested, lambda path: save_lines(path, lines))
