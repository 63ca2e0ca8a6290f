"""What stands on every screen: the head line with the bar, the tabs, and the line of keys."""

from collections.abc import Sequence

from textual import events
from textual.message import Message

from dgconsole.console.paint import Painted, width_of
from dgconsole.views.grid import Cell
from dgconsole.views.head import Bar, Head, split_bar
from dgconsole.views.text import clip, pad


class HeadLines(Painted):
    """Two lines: the run and its rates; the bar with the counts and the percentage."""

    GROUND = "surface"

    def __init__(self, name: str, opening: str, *, unicode: bool) -> None:
        """``opening``: what is done before there is anything to show."""
        super().__init__(id="head")
        self._doing = "reading the plan; the first chunks follow" if opening == "planning" else ""
        self._top = Head(name, Cell(f"{'◌' if unicode else 'o'} {opening}", "dim"), "", "", ())
        self._bar = Bar(0, 0, 0, 0, (), "")
        self._fills = "█▓▒░" if unicode else "#=x."

    def show(self, top: Head, bar: Bar) -> None:
        """Paint again what differs."""
        if (top, bar) != (self._top, self._bar):
            self._top, self._bar = top, bar
            self.refresh()

    def say(self, text: str) -> None:
        """What is going on before there is a bar to paint."""
        self._doing = text
        self.refresh()

    def cells(self, line: int, width: int, /) -> list[Cell]:
        return self._first(width) if line == 0 else self._second(width)

    def _first(self, width: int) -> list[Cell]:
        top = self._top
        left = [
            Cell(" dgconsole  ", "key"),
            Cell(clip(top.name, max(width // 4, 8)), "strong"),
            Cell("   "),
            top.state,
        ]
        if top.clock:
            left.append(Cell(f"  {top.clock}"))
        if top.left:
            left.append(Cell(f"   {top.left}", "dim" if top.left == "settling" else ""))
        room = width - width_of(left) - 1
        right: list[Cell] = []
        for text in top.rates:
            cell = Cell(f"   {text}", "strong" if not right else "")
            if width_of([*right, cell]) > room:
                break
            right.append(cell)
        return [*left, Cell(" " * (room - width_of(right))), *right]

    def _second(self, width: int) -> list[Cell]:
        bar = self._bar
        if not bar.percent:
            return [Cell(clip(f" {self._doing}", width), "dim")]
        words = [cell for word in bar.words for cell in (word, Cell("  "))]
        share = Cell(f"{bar.percent:>7}", "strong")
        while words and width_of(words) + len(share.text) > width - 20:
            words = words[:-2]
        room = width - 3 - width_of(words) - len(share.text) - 1
        parts = split_bar(bar, max(room, 0))
        blocks = [
            Cell(fill * cells, tone)
            for fill, cells, tone in zip(self._fills, parts, ("good", "busy", "hot", "faint"), strict=True)
        ]
        return [Cell(" "), *blocks, Cell("  "), *words, share]


class TabLine(Painted):
    """The names of the screens with their keys; a click goes there."""

    GROUND = "background"

    class Picked(Message):
        """A tab was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(id="tabs")
        self._names = names
        self._active = 0
        self._aside = ""

    def show(self, active: int, aside: str) -> None:
        """``active`` counts from 0; ``aside`` stands at the right where there is room."""
        if (active, aside) != (self._active, self._aside):
            self._active, self._aside = active, aside
            self.refresh()

    def _tabs(self, width: int) -> list[Cell]:
        gap = " " if width < 70 else "  "
        tabs = []
        for number, name in enumerate(self._names):
            tone = "key" if number == self._active else "dim"
            mark = "▌" if number == self._active else " "
            tabs.append(Cell(f"{mark}{number + 1} {name}{gap}", tone))
        return tabs

    def cells(self, _line: int, width: int, /) -> list[Cell]:
        tabs = self._tabs(width)
        room = width - width_of(tabs) - 2
        return [*tabs, Cell(pad(self._aside, room, right=True), "dim")] if room > 24 else tabs

    def on_click(self, event: events.Click) -> None:
        x = 0
        for number, tab in enumerate(self._tabs(self.size.width)):
            x += width_of([tab])
            if event.x < x:
                self.post_message(self.Picked(number))
                return


class KeyLine(Painted):
    """The keys that act here and now; a click is the key. Made from the bindings alone."""

    GROUND = "surface"

    class Pressed(Message):
        """A key's name was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._keys: tuple[tuple[str, str, str, bool], ...] = ()

    def show(self, keys: tuple[tuple[str, str, str, bool], ...]) -> None:
        """Each key as (key, how it is written, what it does, whether it would act), most important first.

        The last two (help and quit) always stay, and from 100 columns on the palette before them.
        """
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _fitting(self, width: int) -> list[tuple[str, str, str, bool]]:
        kept = list(self._keys)
        last = 3 if width >= 100 else 2
        while len(kept) > 2 and sum(len(k[1]) + len(k[2]) + 3 for k in kept) > width - 1:
            del kept[-1 - min(last, len(kept) - 1)]
        return kept

    def cells(self, _line: int, width: int, /) -> list[Cell]:
        cells = [Cell(" ")]
        for _, written, what, enabled in self._fitting(width):
            cells += [Cell(written, "key" if enabled else "dim"), Cell(f" {what}  ", "" if enabled else "dim")]
        return cells

    def on_click(self, event: events.Click) -> None:
        x = 1
        for key, written, what, enabled in self._fitting(self.size.width):
            x += len(written) + len(what) + 3
            if event.x < x:
                if enabled:
                    self.post_message(self.Pressed(key))
                return
