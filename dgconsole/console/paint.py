"""Styles by tone, made once a theme, and lines of cells turned into strips."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.markup import escape
from textual.strip import Strip
from textual.widget import Widget

from dgconsole.console.themes import TONES
from dgconsole.console.unbroken import Unbroken
from dgconsole.views.grid import Cell
from dgconsole.views.text import clip, harmless

_log = logging.getLogger("dgconsole.console")

BOLD = frozenset({"strong", "hot", "key"})


def _light(color: str) -> float:
    """How bright a colour is to the eye, from 0 to 1, roughly as it is perceived."""
    red, green, blue = RichColor.parse(color.removeprefix("ansi_")).get_truecolor()  # from 0 to 255
    linear = ((part / 255) ** 2.2 for part in (red, green, blue))
    return float(sum(k * part for k, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) ** 0.45)


class Paint:
    """The styles of one theme: a tone on a ground, both by name."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._made: dict[tuple[str, str], Style] = {}

    def color(self, name: str) -> str:
        """A colour of the theme as ``#rrggbb``, or as one of the terminal's own 16: ``ansi_red``."""
        return self._variables[name]

    @property
    def reverses(self) -> bool:
        """Whether the cursor's line is painted the other way round, all in one colour."""
        return self._variables.get("cursor-look") == "reverse"

    def _style(self, front: str, ground: str, *, bold: bool = False, reverse: bool = False) -> Style:
        """Colours as ``color()`` has them; reversed they look the same where there are any, else reversed."""
        front, ground = front.removeprefix("ansi_"), ground.removeprefix("ansi_")
        if reverse:
            front, ground = ground, front
        return Style(color=front, bgcolor=ground, bold=bold or None, reverse=reverse or None)

    def tone(self, tone: str) -> str:
        """The colour of a tone of the views (``good/40``: 40 % of it on the background), or any of the theme."""
        name, _, share = tone.partition("/")
        color = self.color(f"tone-{name}" if name in TONES else name or "foreground")
        if not share or color.startswith("ansi_"):
            return color
        return Color.parse(self.color("background")).blend(Color.parse(color), int(share) / 100).hex

    def style(self, tone: str, ground: str) -> Style:
        """``tone`` as ``tone()`` reads it; ``ground`` a colour of the theme."""
        made = self._made.get((tone, ground))
        if made is None:
            bold = tone in BOLD
            if ground == "cursor" and self.reverses:
                made = self._style(self.color("background"), self.color("foreground"), bold=bold, reverse=True)
            else:
                made = self._style(self.tone(tone), self.color(ground), bold=bold)
            if ground == "cursor-away" and self.color(ground) == self.color("background"):
                made += Style(underline=True)
            self._made[tone, ground] = made
        return made

    def pair(self, front: str, ground: str) -> Style:
        """Any two colours of the theme."""
        made = self._made.get((f"={front}", ground))
        if made is None:
            made = self._style(self.color(front), self.color(ground), reverse=front == "background")
            self._made[f"={front}", ground] = made
        return made

    def over(self, ground: str) -> Style:
        """A sign over a colour of the theme, in whichever of the text's and the ground's colour is seen better."""
        made = self._made.get(("=over", ground))
        if made is None:
            light = {name: _light(self.color(name)) for name in (ground, "tone-strong", "background")}
            front = max(("tone-strong", "background"), key=lambda name: abs(light[name] - light[ground]))
            made = self._style(self.color(front), self.color(ground), bold=True)
            self._made["=over", ground] = made
        return made

    def line(self, cells: Iterable[Cell], width: int, ground: str) -> Strip:
        """Cells side by side, in exactly ``width`` terminal cells; what is too long ends in an ellipsis."""
        segments = []
        room = width
        for cell in cells:
            text = clip(harmless(cell.text), room)
            segments.append(Segment(text, self.style(cell.tone, ground)))
            room -= cell_len(text)
            if room <= 0:
                break
        if room > 0:
            segments.append(Segment(" " * room, self.style("", ground)))
        return Strip(segments, width)


def guarded(render_line: Callable[[Any, int], Strip]) -> Callable[[Any, int], Strip]:
    """A ``render_line`` that never raises: a line that cannot be made says so, and the log has the story."""

    @wraps(render_line)
    def guard(self: Widget, y: int) -> Strip:
        try:
            return render_line(self, y)
        except Exception:  # noqa: BLE001
            _log.exception("%r: line %d could not be painted", self, y)
            return paint_of(self).line([Cell("this line could not be shown", "warm")], self.size.width, "background")

    return guard


class Painted(Unbroken, Widget):
    """A widget of lines made of cells; a subclass says what line ``y`` holds."""

    GROUND = "background"

    def cells(self, line: int, width: int, /) -> list[Cell]:
        """The cells of one line, counted from 0."""
        raise NotImplementedError

    @guarded
    def render_line(self, y: int) -> Strip:
        width = self.size.width
        return paint_of(self).line(self.cells(y, width), width, self.GROUND)


def paint_of(widget: Widget) -> Paint:
    """The paint of the widget's application."""
    paint = widget.app.paint  # type: ignore[attr-defined]
    assert isinstance(paint, Paint)
    return paint


def title_of(text: str) -> str:
    """Text from elsewhere as a border's title, which would read markup."""
    return escape(harmless(text))


def width_of(cells: Iterable[Cell]) -> int:
    """Terminal cells that these take."""
    return sum(cell_len(cell.text) for cell in cells)
