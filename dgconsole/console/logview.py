"""The log: lines painted on demand, following the end until somebody scrolls up."""

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from dgconsole.console.paint import guarded, paint_of
from dgconsole.console.unbroken import Unbroken
from dgconsole.snapshot import LogLine
from dgconsole.views.logs import Lines, matcher, place_of, plain, rank, seek
from dgconsole.views.numbers import local_time
from dgconsole.views.text import clip, harmless, pad

_TONES = ("dim", "", "warm", "hot")
_WORDS = ("debug", "info", "warn", "error")
_FAR = 1 << 40


class LogView(Unbroken, ScrollView, can_focus=True, inherit_bindings=False):
    """Shows the lines of ``store``, which may be exchanged."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "by(-1)", "Up", show=False),
        Binding("down,j", "by(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "first", "Oldest line; again: older ones", show=False),
        Binding("end", "last", "Newest line, and follow", show=False),
        Binding("shift+left", "pan(-1)", "Pan left", show=False),
        Binding("shift+right", "pan(1)", "Pan right", show=False),
    ]

    class Changed(Message):
        """Following began or ended."""

    class Beyond(Message):
        """Somebody wants to see what is not here: ``by`` lines before or after; ``far``: the very first, or last."""

        def __init__(self, by: int, *, far: bool = False) -> None:
            super().__init__()
            self.by = by
            self.far = far

    def __init__(self, id: str, store: Lines, *, active: bool = True) -> None:  # noqa: A002
        super().__init__(id=id)
        self.can_focus = active
        self.store = store
        self.following = True
        self.needle = ""
        self.hit = -1
        """Number of the line that the search stands on, or that was clicked; -1: none."""
        self._pan = 0
        self._top_number = -1
        self._seen = 0
        self._on_screen: list[int] = []

    @property
    def unseen(self) -> int:
        """Lines that came since following ended."""
        return max(len(self.store.shown) + self.store.hidden - self._seen, 0) if not self.following else 0

    def exchange(self, store: Lines) -> None:
        """Show other lines, from their end."""
        self.store.release()
        self.store = store
        self.hit = -1
        self._on_screen = []
        self.refresh()
        self.following = store.live
        self.show_edge(end=True)

    def sync(self) -> None:
        """Show what the store holds now; a line that stays keeps its place on the screen."""
        shown, top = self.store.shown, self.scroll_offset.y
        count = len(shown)
        if self.following:
            self._reach()
            self._seen = count
            self.scroll_to(y=count, animate=False, immediate=True, force=True)
        elif (at := place_of(shown, self._top_number)) != top:
            self._reach()
            self._seen = max(self._seen + at - top, 0)
            self.scroll_to(y=at, animate=False, immediate=True, force=True)
        elif self.virtual_size.height < top + self.size.height or count < self.virtual_size.height:
            self._reach()
        on_screen = [line.number for line in self.seen_lines()]
        if on_screen != self._on_screen:
            self._on_screen = on_screen
            self.refresh()

    def _reach(self) -> None:
        """Let all lines be scrolled to; that paints everything again, so it waits while somebody only reads."""
        if self.virtual_size.height != len(self.store.shown):
            self.virtual_size = Size(1, len(self.store.shown))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._note_top()

    def _note_top(self) -> None:
        shown, top = self.store.shown, self.scroll_offset.y
        self._top_number = shown[top].number if 0 <= top < len(shown) else -1

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A bar that was not there when the position changed starts at the position, not at the top."""
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def on_resize(self, _: object) -> None:
        """The newest line stays in view while the end is followed."""
        if self.following:
            self.call_after_refresh(self.sync)

    # ---- moving

    def follow(self, follow: bool) -> None:
        """Follow the end, or stay. What does not grow is not followed."""
        if follow and not self.store.live:
            self.post_message(self.Beyond(1, far=True))
            return
        if follow != self.following:
            self.following = follow
            if follow:
                self.store.release()
            else:
                self.store.hold()
                self._note_top()
            self._seen = len(self.store.shown)
            self.post_message(self.Changed())
        if follow:
            self.sync()

    def move_by(self, by: int) -> None:
        """Up (negative) or down; what lies beyond the lines that are here is asked for."""
        self._reach()
        wanted = self.scroll_offset.y + by
        top = max(min(wanted, self.max_scroll_y), 0)
        if self.store.live:
            self.follow(top >= self.max_scroll_y and by > 0)
        if not self.following:
            self.scroll_to(y=top, animate=False, immediate=True, force=True)
            if wanted != top:
                self.post_message(self.Beyond(wanted - top))

    def go(self, number: int) -> None:
        """Stand on a line, in the middle of the screen unless it is on it already."""
        self.stay()
        self._reach()
        self.hit = number
        at, top = place_of(self.store.shown, number), self.scroll_offset.y
        if not top <= at < top + self.size.height:
            self.scroll_to(y=max(at - self.size.height // 2, 0), animate=False, immediate=True, force=True)
        self.refresh()

    def show_edge(self, *, end: bool) -> None:
        """The last lines, or the first."""
        self._top_number = -1
        self.sync()
        self.scroll_to(y=self.max_scroll_y if end else 0, animate=False, immediate=True, force=True)
        self._note_top()

    def stay(self) -> None:
        """End following."""
        if self.following:
            self.follow(False)

    def action_by(self, by: int) -> None:
        self.move_by(by)

    def action_page(self, by: int) -> None:
        self.move_by(by * max(self.size.height - 1, 1))

    def action_first(self) -> None:
        if self.store.live and self.scroll_offset.y:
            self.move_by(-self.scroll_offset.y)
        else:
            self.stay()
            self.post_message(self.Beyond(-1, far=True))

    def action_last(self) -> None:
        self.follow(True)

    def action_pan(self, by: int) -> None:
        self._pan = max(self._pan + 20 * by, 0)
        self.refresh()

    def _on_mouse_scroll_up(self, _: object) -> None:
        self.move_by(-3)

    def _on_mouse_scroll_down(self, _: object) -> None:
        self.move_by(3)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        at = self.scroll_offset.y + offset.y if offset is not None else _FAR
        if self.can_focus and at < len(self.store.shown):
            self.go(self.store.shown[at].number)

    # ---- what is on the screen

    def seen_lines(self) -> list[LogLine]:
        """The lines on the screen."""
        top = self.scroll_offset.y
        return self.store.shown[top : top + self.size.height]

    def current(self) -> LogLine | None:
        """The line that the search stands on, or that was clicked, while it is on the screen."""
        return next((line for line in self.seen_lines() if line.number == self.hit), None)

    # ---- search

    def search(self, needle: str, *, backward: bool = False, again: bool = False, wrap: bool = True) -> bool:
        """Go to the next line that holds ``needle``; whether there is one."""
        self.needle = needle
        shown = self.store.shown
        if not needle or not shown:
            self.hit = -1
            self.refresh()
            return not needle
        here = place_of(shown, self.hit)
        if self.hit == -1 or here >= len(shown) or shown[here].number != self.hit:
            here = self.scroll_offset.y + (self.size.height - 1 if backward or self.following else 0)
            backward, again = backward or self.following, False
        start = here + (0 if not again else -1 if backward else 1)
        if wrap:
            start = min(start, len(shown) - 1) if start < len(shown) else 0
        found = seek(shown, needle, start, backward=backward, wrap=wrap)
        if found >= 0:
            self.go(shown[found].number)
        elif wrap:
            self.hit = -1
        self.refresh()
        return found >= 0

    # ---- painting

    @guarded
    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width - self.show_vertical_scrollbar
        at = y + self.scroll_offset.y
        shown = self.store.shown
        if at >= len(shown):
            return Strip.blank(width, paint_of(self).style("", "background"))
        return self._line(shown[at], width).adjust_cell_length(
            self.size.width, paint_of(self).style("", "background")
        )

    def _line(self, line: LogLine, width: int) -> Strip:
        paint = paint_of(self)
        ground = "cursor" if line.number == self.hit else "background"
        level = rank(line.level)
        tone = _TONES[level]
        segments = []
        room = width
        if line.wall:
            segments.append(Segment(local_time(line.wall) + " ", paint.style("dim", ground)))
            room -= 9
        if width >= 60:
            if line.wall:
                source = 10 if width < 100 else 16
                segments.append(Segment(pad(harmless(line.source), source) + " ", paint.style("busy", ground)))
                room -= source + 1
            word = _WORDS[level] if line.level else ""
            segments.append(Segment(pad(word, 6), paint.style(tone or "dim", ground)))
            room -= 6
        room = max(room, 1)
        text = clip(plain(line)[self._pan :], room)
        segments += self._marked(text, tone, ground)
        return Strip(segments).adjust_cell_length(width, paint.style("", ground))

    def _marked(self, text: str, tone: str, ground: str) -> list[Segment]:
        """The text with every place that the search finds shown in the cursor's colours."""
        paint = paint_of(self)
        needle = self.needle
        if not needle or not matcher(needle)(LogLine(0, 0.0, "", "", text)):
            return [Segment(text, paint.style(tone, ground))]
        hay = text if needle != needle.lower() else text.lower()
        segments = []
        at = 0
        while len(hay) == len(text) and (found := hay.find(needle, at)) >= 0:
            segments.append(Segment(text[at:found], paint.style(tone, ground)))
            segments.append(Segment(text[found : found + len(needle)], paint.pair("background", "tone-warm")))
            at = found + len(needle)
        return [*segments, Segment(text[at:], paint.style(tone, ground))]
