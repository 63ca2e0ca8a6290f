"""The log: lines of one store painted on demand, following the end until somebody scrolls up."""

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from dgconsole.console.paint import guarded, paint_of
from dgconsole.console.unbroken import Unbroken
from dgconsole.snapshot import LogLine
from dgconsole.views.logs import LogStore, matcher, plain, rank
from dgconsole.views.numbers import local_time
from dgconsole.views.text import clip, harmless, pad

_TONES = ("dim", "", "warm", "hot")
_WORDS = ("debug", "info", "warn", "error")


class LogView(Unbroken, ScrollView, can_focus=True, inherit_bindings=False):
    """Shows the chosen lines of a ``LogStore``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "by(-1)", "Up", show=False),
        Binding("down,j", "by(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "first", "Oldest line", show=False),
        Binding("end", "last", "Newest line, and follow", show=False),
        Binding("shift+left", "pan(-1)", "Pan left", show=False),
        Binding("shift+right", "pan(1)", "Pan right", show=False),
    ]

    class Changed(Message):
        """Following began or ended."""

    def __init__(self, id: str, store: LogStore, *, active: bool = True) -> None:  # noqa: A002
        super().__init__(id=id)
        self.can_focus = active
        self.store = store
        self.following = True
        self.needle = ""
        self.hit = -1
        """Number of the line that the search stands on."""
        self._pan = 0
        self._top_number = -1
        self._seen = 0

    @property
    def unseen(self) -> int:
        """Lines that came since following ended."""
        return max(len(self.store.shown) - self._seen, 0) if not self.following else 0

    def sync(self) -> None:
        """Show what the store holds now; a line that stays keeps its place on the screen."""
        count = len(self.store.shown)
        if self.virtual_size.height != count:
            self.virtual_size = Size(1, count)
        if self.following:
            self._seen = count
            self.scroll_to(y=count, animate=False, immediate=True, force=True)
        elif self._top_number >= 0:
            top = next((k for k, line in enumerate(self.store.shown) if line.number >= self._top_number), 0)
            if top != self.scroll_offset.y:
                self._seen = max(self._seen + top - self.scroll_offset.y, 0)
                self.scroll_to(y=top, animate=False, immediate=True, force=True)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        shown, top = self.store.shown, round(new_value)
        self._top_number = shown[top].number if 0 <= top < len(shown) else -1

    # ---- moving

    def follow(self, follow: bool) -> None:
        """Follow the end, or stay."""
        if follow != self.following:
            self.following = follow
            self._seen = len(self.store.shown)
            self.post_message(self.Changed())
        if follow:
            self.sync()

    def _scroll(self, y: int) -> None:
        top = max(min(y, self.max_scroll_y), 0)
        self.follow(top >= self.max_scroll_y)
        if not self.following:
            self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def action_by(self, by: int) -> None:
        self._scroll(self.scroll_offset.y + by)

    def action_page(self, by: int) -> None:
        self._scroll(self.scroll_offset.y + by * max(self.size.height - 1, 1))

    def action_first(self) -> None:
        self._scroll(0)

    def action_last(self) -> None:
        self.follow(True)

    def action_pan(self, by: int) -> None:
        self._pan = max(self._pan + 20 * by, 0)
        self.refresh()

    def _on_mouse_scroll_up(self, _: object) -> None:
        self._scroll(self.scroll_offset.y - 3)

    def _on_mouse_scroll_down(self, _: object) -> None:
        self._scroll(self.scroll_offset.y + 3)

    # ---- search

    def search(self, needle: str, *, backward: bool = False, again: bool = False) -> bool:
        """Go to the next line that holds ``needle``; whether there is one."""
        self.needle = needle
        shown = self.store.shown
        if not needle or not shown:
            self.hit = -1
            self.refresh()
            return not needle
        here = next((k for k, line in enumerate(shown) if line.number == self.hit), -1)
        if here < 0:
            here = self.scroll_offset.y + (self.size.height - 1 if backward or self.following else 0)
            backward, again = backward or self.following, False
        start = here + (0 if not again else -1 if backward else 1)
        found = self.store.search(needle, min(start, len(shown) - 1) if start < len(shown) else 0, backward=backward)
        if found < 0:
            self.hit = -1
        else:
            self.follow(False)
            self.hit = shown[found].number
            top = self.scroll_offset.y
            if not top <= found < top + self.size.height:
                self.scroll_to(y=max(found - self.size.height // 2, 0), animate=False, immediate=True, force=True)
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
        segments = [Segment(local_time(line.wall) + " ", paint.style("dim", ground))]
        room = width - 9
        if width >= 60:
            source = 10 if width < 100 else 16
            segments.append(Segment(pad(harmless(line.source), source) + " ", paint.style("busy", ground)))
            segments.append(Segment(pad(_WORDS[level], 6), paint.style(tone or "dim", ground)))
            room -= source + 7
        text = clip(plain(line)[self._pan :], max(room, 1))
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
