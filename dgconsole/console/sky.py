"""The second screen: the sky as a map, with a cursor that names the chunk under it."""

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from dgconsole.console.feed import Feed
from dgconsole.console.freename import free_name
from dgconsole.console.pane import Lines, Pane, Target
from dgconsole.console.picture import save_picture
from dgconsole.console.prompt import Prompt
from dgconsole.console.skymap import SkyCanvas
from dgconsole.snapshot import CHUNK_STATES, ChunkState
from dgconsole.views.chunks import ChunkModel
from dgconsole.views.grid import Cell
from dgconsole.views.history import place
from dgconsole.views.signs import CHUNK_SIGNS
from dgconsole.views.skypicture import title_of
from dgconsole.views.text import harmless

_NUMBER = re.compile(r"[-+]?[0-9]{1,3}(\.[0-9]*)?")


class Frame(Vertical, can_focus=True):
    """The framed map; it has the focus."""


class Sky(Pane):
    """The map, what the cursor names, and the legend."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(0, -1)", "North", show=False),
        Binding("down", "move(0, 1)", "South", show=False),
        Binding("left", "move(-1, 0)", "East: RA grows", show=False),
        Binding("right", "move(1, 0)", "West: RA falls", show=False),
        Binding("z", "zoom(True)", "Closer", tooltip="Twice as close, around the chunk under the cursor"),
        Binding("Z", "zoom(False)", "Wider", show=False, tooltip="Half as close"),
        Binding("g", "go_to", "Go to", tooltip="Go to a chunk by its id, or to a place by RA and Dec"),
        Binding("i", "picture", "Picture", show=False, tooltip="Save the whole sky as a picture, SVG or PNG"),
        Binding("n", "next", "Next here", tooltip="The next of the chunks that share the cursor's place"),
        Binding("enter", "open", "Open chunk", key_display="enter", tooltip="Show the chunk's history"),
    ]

    def __init__(self) -> None:
        super().__init__("sky")
        self._feed: Feed | None = None
        self._model: ChunkModel | None = None
        self._here: list[int] = []
        self._at = 0
        self._sought = -1

    def compose(self) -> ComposeResult:
        with Frame(classes="panel", id="sky-frame") as frame:
            frame.border_title = "Sky"
            yield SkyCanvas("canvas", with_cursor=True)
        yield Lines("sky-words")

    def on_mount(self) -> None:
        self._canvas = self.query_one(SkyCanvas)
        self._words = self.query_one(Lines)

    def focus_first(self) -> None:
        self.query_one(Frame).focus()

    async def refresh_from(self, feed: Feed) -> None:
        self._feed, self._model = feed, await feed.pull_chunks()
        self._canvas.show(self._model, feed.chunks_version)
        dash = self.signs.plain("─", "-")
        part = f"{len(self._model):,} targets, a part of the sky" if feed.snapshot.partial_sky else "all of the sky"
        window = self._canvas.window
        close = f" {dash} {window.zoom} times as close, around {window.ra:.2f}° {window.dec:+.2f}°"
        self.retitle("#sky-frame", f"Sky {dash} {part}{close * (window.zoom > 1)}")
        self._say()

    def on_sky_canvas_moved(self, _: SkyCanvas.Moved) -> None:
        self._here = self._canvas.under_cursor()
        self._at = self._here.index(self._sought) if self._sought in self._here else 0
        self._sought = -1
        self._say()

    async def on_sky_canvas_opened(self, _: SkyCanvas.Opened) -> None:
        await self.action_open()

    def _say(self) -> None:
        model = self._model
        if model is None:
            return
        legend = self._legend()
        chunk = self._chunk_index()
        if chunk < 0:
            self._words.show_lines([[Cell("no target here", "dim")], [], legend])
            return
        sign = CHUNK_SIGNS[model.state(chunk)]
        client, host = model.client(chunk)
        first = [
            Cell(f"chunk {model.ids[chunk]}", "strong"),
            Cell(f"   {self.signs.of(sign)} {model.state(chunk).value}", sign.tone),
            Cell(f"   {harmless(client)} on {harmless(host)}" if client else "   not handed out yet", "dim"),
            Cell(f"   {int(model.rows[chunk]):,} rows" if model.rows[chunk] else ""),
        ]
        ra_min, ra_max, dec_min, dec_max = model.boxes[chunk].tolist()
        second = [Cell(f"{place((ra_min, ra_max, dec_min, dec_max))}", "dim")]
        cause = int(model.cause_of[chunk])
        if cause >= 0:
            first.append(Cell(f"   {harmless(model.causes[cause])}", "hot"))
        if len(self._here) > 1:
            second.append(Cell(f"   {self._at + 1} of {len(self._here)} chunks here: {self._mix(model)}", "dim"))
        self._words.show_lines([first, second, legend])

    def _legend(self) -> list[Cell]:
        """Each state with its sign and the colour that it has on the map."""
        cells: list[Cell] = []
        block = "" if self.app.no_color else self.signs.plain("█" if self.size.width < 100 else "██ ", "")
        for state, sign in CHUNK_SIGNS.items():
            color = "map-done" if state is ChunkState.COMPLETED else f"map-{state.value}"
            cells += [
                Cell(f"  {block}" if cells else block, color),
                Cell(f"{self.signs.of(sign)} {state.value}", sign.tone),
            ]
        return cells

    def _mix(self, model: ChunkModel) -> str:
        numbers: dict[int, int] = {}
        for index in self._here:
            code = int(model.states[index])
            numbers[code] = numbers.get(code, 0) + 1
        return ", ".join(f"{number:,} {CHUNK_STATES[code].value}" for code, number in numbers.items())

    def _chunk_index(self) -> int:
        return self._here[self._at] if self._at < len(self._here) else -1

    def target(self) -> Target:
        index = self._chunk_index()
        if self._model is None or index < 0:
            return Target()
        return Target(int(self._model.ids[index]), *self._model.client(index))

    def chunks_to_retry(self) -> tuple[int, ...]:
        target = self.target()
        return (target.chunk,) if target.chunk >= 0 else ()

    def action_move(self, dx: int, dy: int) -> None:
        self._canvas.move(dx, dy)

    async def action_zoom(self, closer: bool) -> None:
        self._sought = self._chunk_index()
        self._canvas.zoom(closer=closer, index=self._sought)
        if self._feed is not None:
            await self.refresh_from(self._feed)

    def action_go_to(self) -> None:
        text = "A chunk's id, or RA and Dec in degrees: 104233, or 12.5 -30.2"
        self.app.push_screen(Prompt("Go to", text, "Go"), self._go_to)

    def _go_to(self, text: str | None) -> None:
        if not text or self._model is None:
            return
        try:
            index = self._index_of(self._model, text)
        except ValueError as error:
            self.notify(str(error), severity="warning", markup=False)
            return
        self._sought = index
        self._canvas.point_at(index)

    def _index_of(self, model: ChunkModel, text: str) -> int:
        """Where the chunk stands that the text names, by its id or a place in it. ValueError: there is none."""
        words = text.replace(",", " ").split()
        if len(words) == 1 and words[0].isdigit():
            index = model.index(int(words[0]))
            what = f"chunk {words[0]}"
        else:
            numbers = [float(word) for word in words if _NUMBER.fullmatch(word)]
            if len(words) != 2 or len(numbers) != 2 or not -180.0 <= numbers[0] <= 360.0 or abs(numbers[1]) > 90.0:
                raise ValueError(f"{harmless(text)!r} is no id, and no RA and Dec in degrees")
            index = self._canvas.owner_of(*numbers)
            what = f"the place {words[0]} {words[1]}"
        if index < 0:
            raise ValueError(f"{what} is not in this run")
        return index

    def action_picture(self) -> None:
        if self._feed is None or self._model is None:
            return
        snapshot, boxes, states = self._feed.snapshot, self._model.boxes, self._model.states.copy()
        self.offer_file(
            "Save the sky as a picture",
            "The whole sky by the state of its chunks. The name ends in .svg or .png.",
            free_name(snapshot.run_dir, "sky", ".svg"),
            lambda path: save_picture(path, boxes, states, title_of(snapshot)),
        )

    def action_next(self) -> None:
        if self._here:
            self._at = (self._at + 1) % len(self._here)
            self._say()

    async def action_open(self) -> None:
        chunk = self.target().chunk
        if chunk >= 0:
            await self.console.open_chunk(chunk)
