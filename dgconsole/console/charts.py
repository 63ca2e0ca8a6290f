"""Curves of the last minutes: filled areas of block characters, as many lines high as there is room."""

from typing import NamedTuple

from dgconsole.console.paint import Painted
from dgconsole.views.grid import Cell
from dgconsole.views.text import pad

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_TENTHS = " .:-=+*#%"


class Series(NamedTuple):
    """A curve: its name, the present value as text, its points (None: nothing known) and its tone."""

    name: str
    value: str
    points: list[float | None]
    tone: str


class Charts(Painted):
    """Several series one below the other."""

    LABEL = 9
    VALUE = 16

    def __init__(self, id: str, *, unicode: bool) -> None:  # noqa: A002
        super().__init__(id=id)
        self._series: tuple[Series, ...] = ()
        self._levels = _EIGHTHS if unicode else _TENTHS

    @property
    def points(self) -> int:
        """How many points a line has room for."""
        return max(self.size.width - (self.LABEL + self.VALUE if self._shared else 0), 0)

    @property
    def _shared(self) -> bool:
        """Whether name, curve and value of a series stand on one line."""
        return self.size.height < 6

    def _line_of(self, y: int) -> tuple[int, int, int]:
        """Which series line ``y`` belongs to, which of its lines that is (0 has its name), and how many it has."""
        if self._shared:
            return y, 0, 1
        each, longer = divmod(self.size.height, 3)
        for series in range(3):
            lines = each + (series < longer)
            if y < lines:
                return series, y, lines
            y -= lines
        return 3, 0, 1

    def show(self, series: tuple[Series, ...]) -> None:
        if series != self._series:
            self._series = series
            self.refresh()

    def cells(self, y: int, width: int, /) -> list[Cell]:
        which, line, lines = self._line_of(y)
        if which >= len(self._series):
            return []
        series = self._series[which]
        if self._shared:
            curve = "".join(self._block(series, k, 0, 1) for k in range(len(series.points)))
            return [
                Cell(pad(series.name, self.LABEL), "dim"),
                Cell(pad(curve, max(width - self.LABEL - self.VALUE, 0)), series.tone),
                Cell(pad(series.value, self.VALUE, right=True), "strong"),
            ]
        if line == 0:
            name = pad(series.name, max(width - len(series.value), 0))
            return [Cell(name, "dim"), Cell(series.value, "strong")]
        lines -= 1
        level = lines - line
        curve = "".join(self._block(series, k, level, lines) for k in range(len(series.points)))
        return [Cell(curve, f"{series.tone}/{40 + 60 * (level + 1) // lines}")]

    def _block(self, series: Series, k: int, level: int, lines: int) -> str:
        value = series.points[k]
        if value is None:
            return " "
        top = max((point for point in series.points if point), default=0.0)
        steps = round(value / top * 8 * lines) if top else 0
        return self._levels[max(min((steps if value <= 0 else max(steps, 1)) - 8 * level, 8), 0 if level else 1)]
