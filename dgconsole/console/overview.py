"""The first screen: hosts and clients, the rates of the last minutes, what needs a person, and a small sky."""

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from dgconsole.console.charts import Charts, Series
from dgconsole.console.dialogs import Facts
from dgconsole.console.logview import LogView
from dgconsole.console.pane import Pane, Target
from dgconsole.console.recall import RecallInput
from dgconsole.console.table import LineTable
from dgconsole.snapshot import Snapshot
from dgconsole.views.clients import SORTS, ClientKey, HostKey, client_tree, troubled
from dgconsole.views.details import SAID, client_lines, host_lines
from dgconsole.views.filters import quoted
from dgconsole.views.grid import Cell
from dgconsole.views.logs import LogStore
from dgconsole.views.needs import CALM, Need, need_rows, needs, unsteered
from dgconsole.views.numbers import about, chunk_rate, short, size
from dgconsole.views.panels import Box, arrange
from dgconsole.views.text import plural
from dgconsole.views.transactions import standing

if TYPE_CHECKING:
    from dgconsole.console.feed import Feed


class Overview(Pane):
    """Clients above; rates, needs and a small sky below, as far as there is room."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "open",
            "Open",
            key_display="enter",
            tooltip="Fold a host, open a client's chunk, show a need",
        ),
        Binding("i", "details", "Details", tooltip="All that is known of the client or host under the cursor"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Keep the hosts and clients that hold a text"),
        Binding("s", "sort", "Sort", tooltip="Sort the clients by the next column"),
        Binding("S", "reverse", "Reverse order", show=False, tooltip="Sort the other way round"),
        Binding("escape", "back", "Back", show=False, tooltip="Leave the filter, then clear it"),
    ]

    def __init__(self) -> None:
        super().__init__("overview")
        self._folded: frozenset[str] = frozenset()
        self._sort, self._reverse = "name", False
        self._wanted = ""
        self._feed: Feed | None = None
        self._needs: tuple[Need, ...] = ()
        self._shown: tuple[object, ...] | None = None
        self._boxes: dict[str, Box] = {}
        self._log = LogStore(keep=500)

    def compose(self) -> ComposeResult:
        with Vertical(id="clients", classes="panel") as clients:
            clients.border_title = "Clients"
            yield LineTable(id="client-table", empty="no client yet", classes="-keeps-cursor")
            yield RecallInput("client-filter", "host, client, state or reason")
        with Vertical(id="needs", classes="panel") as box:
            box.border_title = "Needs you"
            yield LineTable(id="need-table", header=False)
        with Vertical(id="rate", classes="panel") as rate:
            rate.border_title = "Rate"
            yield Charts("charts", unicode=self.signs.unicode)
        with Vertical(id="small-sky", classes="panel") as sky:
            sky.border_title = "Sky"
        with Vertical(id="tail", classes="panel") as tail:
            tail.border_title = "Logs"
            yield LogView("tail-view", self._log, active=False)

    def on_mount(self) -> None:
        self._clients = self.query_one("#client-table", LineTable)
        self._need_table = self.query_one("#need-table", LineTable)
        self._charts = self.query_one(Charts)
        self._field = self.query_one(RecallInput)
        self._tail = self.query_one("#tail-view", LogView)
        self._field.display = False

    def focus_first(self) -> None:
        self._clients.focus()

    # ---- showing

    async def refresh_from(self, feed: "Feed") -> None:
        self._feed = feed
        snapshot = feed.snapshot
        self._needs = needs(snapshot) if self.console.role.steers else unsteered(needs(snapshot))
        self._need_table.show(need_rows(self._needs, self.signs))
        self._need_table.set_class(self._needs[0] != CALM, "-keeps-cursor")
        self._show_clients(snapshot)
        self._show_rates(feed)
        self._arrange()
        if self.query_one("#small-sky").display:
            await self._show_sky(feed)
        if self.query_one("#tail").display:
            fresh = await feed.pull_logs(self._log, 500)
            if fresh or self._tail.virtual_size.height != len(self._log.shown):
                self._tail.sync()

    def _show_clients(self, snapshot: Snapshot) -> None:
        wanted = (self.signs, self._folded, self._sort, self._reverse, self._wanted)
        shown = (snapshot.clients, snapshot.hosts, wanted)
        if self._shown is not None and shown[0] is self._shown[0] and shown[1:] == self._shown[1:]:
            self.resubtitle("#clients", standing(snapshot))
            return  # a crowd of clients is told of less often than all else
        self._shown = shown
        rows = client_tree(
            snapshot,
            self.signs,
            folded=self._folded,
            sort=self._sort,
            reverse=self._reverse,
            wanted=self._wanted,
        )
        self._clients.show(rows, self._sort, reverse=self._reverse)
        hosts = len({host.name for host in snapshot.hosts} | {client.host for client in snapshot.clients})
        title = f"Clients ─ {len(snapshot.clients):,} on {plural(hosts, 'host')}" if hosts else "Clients"
        if self._wanted:
            title += f" ─ filter: {self._wanted}"
        self.retitle("#clients", title.replace("─", self.signs.plain("─", "-")))
        self.resubtitle("#clients", standing(snapshot))
        self._clients.say_empty("nothing matches the filter; escape clears it" if self._wanted else "no client yet")

    def _show_rates(self, feed: "Feed") -> None:
        now = feed.rates.now()
        curve = feed.rates.curve(self._charts.points)
        chunks, rows, sizes = ([point and point[k] for point in curve] for k in range(3))
        said = (
            ("", "", "")
            if feed.ended
            else (chunk_rate(now.chunks), f"{short(now.rows)} rows/s", f"{size(now.bytes)}/s")
        )
        self._charts.show(
            (
                Series("chunks", said[0], chunks, "good"),
                Series("rows", said[1], rows, "busy"),
                Series("bytes", said[2], sizes, "soft"),
            )
        )
        self.retitle("#rate", f"Rate {self.signs.plain('─', '-')} last {about(feed.rates.span())}")

    async def _show_sky(self, feed: "Feed") -> None:
        from dgconsole.console.skymap import SkyCanvas

        panel = self.query_one("#small-sky")
        if not panel.query(SkyCanvas):
            await panel.mount(SkyCanvas("small-canvas"))
            return
        model = await feed.pull_chunks()
        panel.query_one(SkyCanvas).show(model, feed.chunks_version)
        self.retitle(
            "#small-sky", f"Sky {self.signs.plain('─', '-')} targets only" if feed.snapshot.partial_sky else "Sky"
        )

    def on_resize(self, _: events.Resize) -> None:
        self._arrange()

    def _arrange(self) -> None:
        """Share the room among the panels anew, where anything about it is different."""
        width, height = self.size
        if not height:
            return
        rows = max(len(self._clients.rows), 1) + 3 + self._field.display
        boxes = arrange(width, height, rows, max(len(self._needs), 1) + 2)
        if boxes == self._boxes:
            return
        self._boxes = boxes
        for name, panel in _PANELS.items():
            widget, box = self.query_one(panel), boxes.get(name)
            widget.display = box is not None
            if box is not None:
                widget.styles.offset = (box.x, box.y)
                widget.styles.width, widget.styles.height = box.width, box.height

    # ---- what the keys are about

    def target(self) -> Target:
        key = self._clients.key
        if self._need_table.has_focus and self._need():
            need = self._need()
            assert need is not None
            if need.kind == "host":
                return Target(host=need.target)
            if need.kind in ("clients", "silent"):
                return self._target_of(need.target)
        if isinstance(key, ClientKey):
            return self._target_of(key.client)
        return Target(host=key.host) if isinstance(key, HostKey) else Target()

    def _target_of(self, client: str) -> Target:
        for row in self._feed.snapshot.clients if self._feed else ():
            if row.name == client:
                return Target(row.chunk, row.name, row.host)
        return Target()

    def _need(self) -> Need | None:
        row = self._need_table.row
        return self._needs[row] if row < len(self._needs) else None

    def chunks_to_retry(self) -> tuple[int, ...]:
        need = self._need()
        if need is None or need.kind != "cause":
            need = next((other for other in self._needs if other.kind == "cause"), None)
        return need.chunks if need else ()

    async def action_open(self) -> None:
        if self._need_table.has_focus:
            await self._open_need()
            return
        key = self._clients.key
        snapshot = self._feed.snapshot if self._feed else None
        if snapshot is None:
            return
        if isinstance(key, HostKey):
            host = next((host for host in snapshot.hosts if host.name == key.host), None)
            if host is not None and troubled(host):
                await self.action_details()
            else:
                self._folded ^= {key.host}
                self._show_clients(snapshot)
        elif isinstance(key, ClientKey):
            client = next((client for client in snapshot.clients if client.name == key.client), None)
            if client is None:
                return
            if client.chunk >= 0:
                await self.console.open_chunk(client.chunk)
            else:
                await self.action_details()

    async def action_details(self) -> None:
        target, feed = self.target(), self._feed
        if feed is None:
            return
        clients = feed.snapshot.clients
        client = next((row for row in clients if row.name == target.client), None)
        if client is not None:
            errors = await feed.newest(client.name, 1, 3)
            said = await feed.newest(client.name, SAID)
            lines = client_lines(client, said, errors[-1] if errors else None, self.signs)
            self.app.push_screen(Facts(client.name, lines))
        elif target.host:
            host = next((row for row in feed.snapshot.hosts if row.name == target.host), None)
            own = [row for row in clients if row.host == target.host]
            lines = host_lines(host, own, await feed.newest(target.host, SAID))
            self.app.push_screen(Facts(target.host, lines))

    async def _open_need(self) -> None:
        need = self._need()
        if need is None or need == CALM:
            return
        if need.kind == "question" and self.console.role.steers:
            self.console.follow_questions()
        elif need.kind == "cause":
            await self.console.show_chunks(f"state:limbo {quoted('error', need.target)}")
        else:
            self._tell(need.text.partition(":")[0], *need.more.split(". ", 1))

    def _tell(self, title: str, *texts: str) -> None:
        lines = [[Cell(text)] for text in texts if text]
        self.app.push_screen(Facts(title, [part for line in lines for part in (line, [])][:-1]))

    def on_click(self, event: events.Click) -> None:
        """The small pictures of other screens lead there."""
        clicked = event.widget.ancestors_with_self if event.widget is not None else ()
        for panel, screen in (("small-sky", 1), ("tail", 3)):
            if any(widget.id == panel for widget in clicked):
                self.console.action_go(screen)

    # ---- filter and sort

    def action_filter(self) -> None:
        self._field.display = True
        self._field.open()
        self._arrange()

    def action_back(self) -> None:
        if self._field.has_focus:
            self._field.keep()
            self._clients.focus()
        elif self._wanted:
            self._field.clear_kept()
        self._field.display = bool(self._field.value)
        self._arrange()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._wanted = event.value.strip()
        if self._feed:
            self._show_clients(self._feed.snapshot)

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self._field.keep()
        self._field.display = bool(self._wanted)
        self._clients.focus()

    def _sort_by(self, column: str, *, reverse: bool) -> None:
        self._sort, self._reverse = column, reverse
        if self._feed:
            self._show_clients(self._feed.snapshot)

    def action_sort(self) -> None:
        column = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._sort_by(column, reverse=column not in ("name", "state"))

    def action_reverse(self) -> None:
        self._sort_by(self._sort, reverse=not self._reverse)

    def on_line_table_header_clicked(self, event: LineTable.HeaderClicked) -> None:
        if event.column in SORTS:
            self._sort_by(event.column, reverse=event.column == self._sort and not self._reverse)

    async def on_line_table_opened(self, _: LineTable.Opened) -> None:
        await self.action_open()


_PANELS = {"clients": "#clients", "needs": "#needs", "rate": "#rate", "sky": "#small-sky", "log": "#tail"}
