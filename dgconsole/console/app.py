"""The console as an application: five screens over one session, its keys, and how it ends."""

import asyncio
import locale
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.color import ColorSystem
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget
from textual.worker import WorkerFailed

from dgconsole.console import acting, palette, quitting, remembered, terminal
from dgconsole.console.asking import Asking
from dgconsole.console.dialogs import Facts
from dgconsole.console.head import HeadLines, KeyLine, TabLine
from dgconsole.console.helping import help_lines, key_line
from dgconsole.console.inturn import InTurn
from dgconsole.console.paint import Paint
from dgconsole.console.pane import Pane
from dgconsole.console.roles import Role
from dgconsole.console.steering import Steering
from dgconsole.console.themes import FEW_COLORS, NIGHT, nearest, remembered_as, themes_for
from dgconsole.console.unbroken import Unbroken
from dgconsole.snapshot import Answer, Question, Quit, RunState, SessionHandle
from dgconsole.support.clock import Clock, SystemClock
from dgconsole.support.errors import BugError, DgError
from dgconsole.views import head as heads
from dgconsole.views.signs import Signs
from dgconsole.views.text import harmless

if TYPE_CHECKING:
    from dgconsole.console.chunks import Chunks
    from dgconsole.console.feed import Feed
    from dgconsole.console.logs import Logs

TABS: tuple[str, ...] = ("Overview", "Sky", "Chunks", "Logs", "Report")
PERIOD = 0.25
"""Seconds between two looks at the session."""
SLEEPY_AFTER, SLEEPY = 2.0, 1.0
"""After so many seconds in which nothing happened there are so many between two looks."""

_log = logging.getLogger("dgconsole.console")

Start = Callable[[], Awaitable[SessionHandle]]


class _Main(Unbroken, Screen[object]):
    """What everything but questions stands on."""


class ConsoleApp(Unbroken, InTurn, Steering):
    """The console.

    Parameters
    ----------
    start
        Plans and opens the session, behind the first picture; heavy work in it belongs into a thread.
    name
        What the head calls the run until the first snapshot names it.
    clock
        For the age of what is shown.
    period
        Seconds between two looks at the session.
    role
        Whose session it is: what `q` ends, and which keys act.

    ``run()`` returns the run's exit status, or the error that ``start`` raised: an ``InputError`` as it came,
    anything that is none of ours as a ``BugError``.
    """

    CSS_PATH = "console.tcss"
    TITLE = "dgconsole"
    ENABLE_COMMAND_PALETTE = True

    paint: Paint
    """The styles of the theme; made anew with each theme."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(k + 1), f"go({k})", name, show=False, id=f"go-{name.lower()}", tooltip=f"Show the screen {name}"
            )
            for k, name in enumerate(TABS)
        ),
        Binding("r", "retry", "Retry", id="retry", tooltip="Retry the limbo chunks marked, or under the cursor"),
        Binding(
            "R",
            "retry_all",
            "Retry all",
            id="retry-all",
            tooltip="Retry all in limbo; clients that gave up come back",
        ),
        Binding("p", "pause", "Pause", id="pause", tooltip="Stop handing out, or go on; chunks in hand are finished"),
        Binding(
            "plus", "add_client", "Client", key_display="+", id="add-client", tooltip="One more client on this host"
        ),
        Binding(
            "minus",
            "stop_client",
            "Stop client",
            key_display="-",
            id="stop-client",
            tooltip="Stop this client after its chunk",
        ),
        Binding("d", "drain", "Drain", id="drain", tooltip="Stop all clients of this host after their chunks"),
        Binding("c", "reconnect", "Reconnect", id="reconnect", tooltip="Try a host again that was set aside"),
        Binding("l", "logs", "Log", id="logs", tooltip="The log of the client or host under the cursor"),
        Binding("e", "export", "Export", id="export", tooltip="Write the report as CSV, Markdown or JSON"),
        Binding(
            "t",
            "theme",
            "Theme",
            show=False,
            id="theme",
            tooltip="The next theme: night, day, contrast; it is remembered",
        ),
        Binding("question_mark", "help", "Help", key_display="?", id="help", tooltip="All keys that act here"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, tooltip="Leave; asks while chunks are in work"),
        Binding("q", "quit", "Quit", id="quit", tooltip="Leave; asks while chunks are in work"),
    ]

    def __init__(
        self,
        start: Start,
        name: str,
        *,
        clock: Clock | None = None,
        period: float = PERIOD,
        role: Role = Role.OWNER,
    ) -> None:
        without = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if without else None)
        if self.console.color_system == "standard" and terminal.colors() >= 256:
            self.console._color_system = ColorSystem.EIGHT_BIT  # Rich knows no more terminals than it has names of
        self.themes = themes_for(self.console.color_system, no_color=without)
        self.role = role
        self._start = start
        self._run_name = name
        self._clock = clock or SystemClock()
        self._period = period
        self.signs = Signs(unicode=_speaks_unicode())
        self._panes: list[Pane] = []
        self._active = 0
        self._focus: dict[int, Widget] = {}
        self._refreshing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._was_ended = False
        self._leaving = False
        self._told: set[str] = set()
        self._flags: tuple[object, ...] = ()
        for theme in self.themes:
            self.register_theme(theme)

    # ---- the picture

    def get_css_variables(self) -> dict[str, str]:
        variables = super().get_css_variables()
        self.paint = Paint(variables)
        return variables

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(NIGHT.variables)

    def get_default_screen(self) -> Screen[object]:
        return _Main(id="_default")

    def compose(self) -> ComposeResult:
        yield HeadLines(harmless(self._run_name), self.role.opening, unicode=self.signs.unicode)
        yield TabLine(TABS)
        yield Container(id="panes")
        yield KeyLine()

    def on_mount(self) -> None:
        self.theme = nearest(remembered.theme_name(), self.themes).name
        self.set_class(not self.signs.unicode, "-ascii")
        self.set_class(self.themes is FEW_COLORS, "-few-colors")
        self._head = self.query_one(HeadLines)
        self._tabs = self.query_one(TabLine)
        self._keys = self.query_one(KeyLine)
        self.screen.bindings_updated_signal.subscribe(self, self._show_keys)
        self.set_interval(1.0, self._show_head)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.run_worker(self._live(), exit_on_error=False)

    async def _add_overview(self) -> None:
        """The first screen, once the head is painted: what there is to see is seen as early as can be."""
        from dgconsole.console.overview import Overview

        overview = Overview()
        await self.query_one("#panes").mount(overview)
        self._panes = [overview]
        overview.focus_first()

    async def _add_panes(self) -> None:
        from dgconsole.console.chunks import Chunks
        from dgconsole.console.logs import Logs
        from dgconsole.console.report import Report
        from dgconsole.console.sky import Sky

        rest: list[Pane] = [Sky(), Chunks(), Logs(), Report()]
        for pane in rest:
            pane.display = False
        await self.query_one("#panes").mount_all(rest)
        self._panes += rest

    # ---- living

    def say_before(self, line: str) -> None:
        """What is heard while there is no run to show yet."""
        self._head.say(line)

    async def ask_before(self, text: str) -> str | None:
        """A secret that is wanted while there is no run yet; None: no answer."""
        answered: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        hint = "It is kept in memory only. Without it nothing is started."

        def take(answer: Answer | None) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.push_screen(Asking(Question(number=0, host="", text=text), hint), take)
        answer = await answered
        return None if answer is None else answer.text

    async def _live(self) -> None:
        """Open the session, then look at it again and again."""
        from dgconsole.console.feed import Feed

        try:
            await self._add_overview()
            handle = await self._start()
            feed = Feed(handle, await handle.snapshot(), self._clock)
            await self._add_panes()
        except DgError as error:
            self.exit(error)
            return
        except Exception as error:  # noqa: BLE001
            if self._exit:  # somebody left meanwhile, and took the screen along
                return
            _log.exception("the session could not be opened")
            self.exit(BugError(f"the session could not be opened: {error}"))
            return
        self.feed = feed
        if self.role is Role.READER:
            self.action_go(len(TABS) - 1)
        while True:
            await self.tick()
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), self._patience(feed))
            except TimeoutError:
                continue

    def _patience(self, feed: "Feed") -> float:
        """Seconds until the next look: longer where nothing has happened for a while."""
        return self._period if feed.quiet < SLEEPY_AFTER else max(self._period, SLEEPY)

    async def tick(self) -> None:
        """Look at the session once and show what is new. Nothing that goes wrong here ends the screen."""
        feed = self.feed
        if feed is None:
            return
        try:
            await feed.pull()
            self._show_head()
            self._follow_the_run(feed)
            if self.role.steers:
                self.follow_questions()
            await self.refresh_pane()
        except Exception as error:  # noqa: BLE001
            self._tell_trouble(error, "the picture could not be refreshed")

    async def refresh_pane(self) -> None:
        """Show the feed on the visible screen."""
        if self.feed is not None and self._panes:
            async with self._refreshing:
                await self._panes[self._active].refresh_from(self.feed)

    def _tell_trouble(self, error: Exception, what: str) -> None:
        text = f"{what}: {error or type(error).__name__}"
        if text not in self._told:
            self._told.add(text)
            _log.error(text, exc_info=error)
            self.notify(harmless(text), severity="warning", markup=False)

    def _handle_exception(self, error: Exception) -> None:
        """Textual would end here; once there is a screen, what went wrong is told on it and it goes on."""
        if not self._panes or not self.is_running:
            super()._handle_exception(error)
        else:
            cause = error.error if isinstance(error, WorkerFailed) else error
            self._tell_trouble(cause if isinstance(cause, Exception) else error, "something in the console failed")

    def _follow_the_run(self, feed: "Feed") -> None:
        if feed.ended and self._leaving:
            self.exit(self._status())
        elif feed.ended and not self._was_ended:
            self.action_go(len(TABS) - 1)
        self._was_ended = feed.ended
        flags = (feed.snapshot.state, feed.snapshot.counts.limbo > 0, self.has_bad_clients)
        if flags != self._flags:
            self._flags = flags
            self.refresh_bindings()

    def _show_head(self) -> None:
        feed = self.feed
        if feed is None:
            return
        snapshot = feed.snapshot
        top = heads.head(snapshot, feed.rates, self.signs, stale=feed.age)
        if self.role.value:
            top = top._replace(state=top.state._replace(text=f"{top.state.text}, {self.role.value}"))
        self._head.show(top, heads.bar(snapshot.counts))
        self._tabs.show(self._active, harmless(_near(snapshot.run_dir)))

    def _show_keys(self, _: object = None) -> None:
        if not self._is_modal():
            paused = self.feed is not None and self.feed.snapshot.state is RunState.PAUSED
            self._keys.show(key_line(self, self.screen.active_bindings, paused=paused))

    def _is_modal(self) -> bool:
        return len(self.screen_stack) > 1

    # ---- what acts when

    def check_action(self, action: str, _: tuple[object, ...]) -> bool | None:
        """Keys that cannot act now are greyed; hidden are only those that never act in this console."""
        if action in acting.NEEDS_A_SESSION and not self.may(action):
            return False
        return None if self.why_not(action) else True

    def why_not(self, action: str) -> str:
        """Why an action would do nothing now; empty when it would act."""
        return acting.why_not(action, self.feed.snapshot if self.feed is not None else None)

    async def run_action(
        self,
        action: str | tuple[str, str, tuple[object, ...]],
        default_namespace: DOMNode | None = None,
        namespaces: "dict[str, DOMNode] | None" = None,  # type: ignore[override]
    ) -> bool:
        """As Textual does it, but what an action raises is shown and does not end the screen."""
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except Exception as error:  # noqa: BLE001
            self._tell_trouble(error, "that did not work")
            return True

    # ---- going about

    @property
    def pane(self) -> Pane:
        """The visible screen."""
        return self._panes[self._active]

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The screens that are there already, in the order of their keys."""
        return tuple(self._panes)

    @property
    def tabs(self) -> tuple[str, ...]:
        return TABS

    def look_again(self) -> None:
        self._wake.set()

    def action_go(self, number: int) -> None:
        if number >= len(self._panes) or number == self._active:
            return
        if self.screen.focused is not None and not self._is_modal():
            self._focus[self._active] = self.screen.focused
        self._panes[self._active].display = False
        self._active = number
        self.pane.display = True
        if number in self._focus and self._focus[number].focusable:
            self._focus[number].focus()
        else:
            self.pane.focus_first()
        self._show_head()
        self.refresh_bindings()
        self._wake.set()

    def on_tab_line_picked(self, event: TabLine.Picked) -> None:
        self.action_go(event.number)

    def on_key_line_pressed(self, event: KeyLine.Pressed) -> None:
        self.simulate_key(event.key)

    async def open_chunk(self, chunk: int) -> None:
        """Show a chunk's history on the screen of chunks."""
        self.action_go(2)
        await self.refresh_pane()
        pane: Chunks = self.pane  # type: ignore[assignment]
        await pane.open_chunk(chunk)
        pane.focus_first()

    async def show_chunks(self, wanted: str) -> None:
        """Show the chunks that pass a filter."""
        self.action_go(2)
        await self.refresh_pane()
        pane: Chunks = self.pane  # type: ignore[assignment]
        pane.set_filter(wanted)
        pane.focus_first()

    async def action_logs(self) -> None:
        target = self.pane.target()
        self.action_go(3)
        await self.refresh_pane()
        pane: Logs = self.pane  # type: ignore[assignment]
        if target.client or target.host:
            pane.show_source(target.client or target.host)

    def action_theme(self) -> None:
        names = [theme.name for theme in self.themes]
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        kept = asyncio.to_thread(remembered.keep_theme, remembered_as(self.theme))
        self.run_worker(kept, "theme", exit_on_error=False)

    def watch_theme(self) -> None:
        """Everything painted by hand is painted again."""
        for widget in self.query("*"):
            widget.refresh()

    def action_help(self) -> None:
        self.push_screen(Facts(f"Keys on {TABS[self._active]}", help_lines(self, self.screen.active_bindings)))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action by name, with its key; one that cannot act now says why."""
        return palette.commands(self, screen)

    # ---- the end

    def _status(self) -> int:
        assert self.feed is not None
        return self.feed.snapshot.exit_status or 0

    async def action_quit(self) -> None:
        if self.role is not Role.OWNER:
            self.exit(self._status() if self.feed is not None and self.feed.ended else 0)
        elif self.feed is None or self.feed.ended:
            self.leave(now=True)
        elif self._is_modal():
            return
        elif not self.feed.snapshot.counts.in_work:
            self.leave(now=True)
        else:
            stopping = self.feed.snapshot.state is RunState.STOPPING
            question = quitting.question(self.feed.snapshot.counts.in_work, stopping=stopping)
            self.push_screen(question, self._quit_answered)

    def ask_to_end(self) -> None:
        """End a run that another console, or none, started; this one stays to show its end."""
        assert self.feed is not None
        stopping = self.feed.snapshot.state is RunState.STOPPING
        question = quitting.question(self.feed.snapshot.counts.in_work, stopping=stopping, title="End the run")
        self.push_screen(question, lambda answer: self.send(Quit(answer == "now")) if answer else None)

    def action_help_quit(self) -> None:
        """What ctrl+c does where there is nothing to copy."""
        self.call_later(self.action_quit)

    def _quit_answered(self, answer: str | None) -> None:
        if answer:
            self.leave(now=answer == "now")

    def leave(self, *, now: bool) -> None:
        """End the session, after the chunks in hand or ``now``, and leave with its exit status once it has ended.

        For `q`, and for whoever catches the signals.
        """
        self._leaving = True
        if self.feed is None:
            self.exit(quitting.INTERRUPTED)
        elif self.feed.ended:
            self.exit(self._status())
        else:
            self.send(Quit(now))


def _near(path: str) -> str:
    """A path as seen from here: relative where it lies below the current folder, with ~ below the home folder."""
    for base, prefix in ((Path.cwd(), ""), (Path.home(), "~/")):
        if Path(path).is_relative_to(base):
            return prefix + str(Path(path).relative_to(base))
    return path


def _speaks_unicode() -> bool:
    """What the locale says; stdout's own encoding doesn't, as Python writes UTF-8 in the C locale."""
    return locale.getencoding().lower().replace("-", "").startswith("utf")
