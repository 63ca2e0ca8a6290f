"""Hosts and their clients as the lines of a tree-table."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from dgconsole.snapshot import ClientRow, ClientState, HostRow, Snapshot
from dgconsole.views.grid import EMPTY, Cell, Column, FixedRows, Line
from dgconsole.views.numbers import ago, short, size
from dgconsole.views.signs import BAD_CLIENTS, CLIENT_SIGNS, Signs
from dgconsole.views.text import harmless

COLUMNS: tuple[Column, ...] = (
    Column("name", "host/client", 12, grow=2),
    Column("state", "state", 11, grow=1),
    Column("chunk", "chunk", 7, rank=1, right=True),
    Column("stage", "stage", 22, rank=2, grow=1),
    Column("done", "done", 7, rank=1, right=True),
    Column("failed", "failed", 7, rank=3, right=True),
    Column("rows", "rows/s", 7, rank=4, right=True),
    Column("bytes", "bytes/s", 8, rank=5, right=True),
    Column("cpu", "cpu", 5, rank=7, right=True),
    Column("rss", "memory", 7, rank=8, right=True),
    Column("word", "last word", 10, rank=6, right=True),
)
_NOTE_FROM = 2
_METER = 7

SORTS: tuple[str, ...] = ("name", "state", "done", "failed", "rows", "bytes", "cpu", "rss", "word")


class HostKey(NamedTuple):
    """The line of a host."""

    host: str


class ClientKey(NamedTuple):
    """The line of a client."""

    client: str
    host: str


def meter(fraction: float, signs: Signs) -> str:
    """A small bar of seven cells."""
    full = round(max(0.0, min(fraction, 1.0)) * _METER)
    return signs.plain("▆", "#") * full + signs.plain("▁", "-") * (_METER - full)


def natural(name: str) -> tuple[object, ...]:
    """A sort key that puts ``db9`` before ``db10``."""
    parts: list[object] = []
    digits = ""
    for char in name + "\0":
        if char.isdecimal() and char.isascii():
            digits += char
            continue
        if digits:
            parts.append((0, int(digits), ""))
            digits = ""
        parts.append((1, 0, char))
    return tuple(parts)


def client_tree(
    snapshot: Snapshot,
    signs: Signs,
    *,
    folded: frozenset[str] = frozenset(),
    sort: str = "name",
    reverse: bool = False,
    wanted: str = "",
) -> FixedRows:
    """The table's rows. ``folded`` hosts hide their clients; ``wanted`` keeps names, states, reasons that hold it."""
    hosts = {host.name: host for host in snapshot.hosts}
    groups: dict[str, list[ClientRow]] = {name: [] for name in hosts}
    for client in snapshot.clients:
        groups.setdefault(client.host, []).append(client)
    if wanted:
        groups = {
            name: kept
            for name, clients in groups.items()
            if (kept := [c for c in clients if _holds(wanted, c.name, c.state, c.reason)])
            or _holds(
                wanted, name, hosts[name].state if name in hosts else "", hosts[name].reason if name in hosts else ""
            )
        }
    by_name = sorted(groups, key=natural)
    if sort != "name":
        by_name.sort(key=lambda name: _group_value(sort, groups[name]), reverse=reverse)
    elif reverse:
        by_name.reverse()
    lines: list[Line] = []
    keys: list[Hashable] = []
    for name in by_name:
        clients = sorted(groups[name], key=lambda client: natural(client.name))
        if sort != "name":
            clients.sort(key=lambda client: _value(sort, client), reverse=reverse)
        elif reverse:
            clients.reverse()
        closed = name in folded
        lines.append(_host_line(name, hosts.get(name), clients, signs, closed=closed))
        keys.append(HostKey(name))
        if not closed:
            lines += [_client_line(client, signs) for client in clients]
            keys += [ClientKey(client.name, name) for client in clients]
    return FixedRows(COLUMNS, lines, keys)


def troubled(host: HostRow) -> bool:
    """Whether a host is set aside or otherwise waits for a person."""
    return bool(host.reason or host.mend)


def _holds(wanted: str, *texts: str) -> bool:
    return any(wanted.lower() in text.lower() for text in texts)


def _speed(client: ClientRow) -> tuple[float, float]:
    """Rows and bytes per second; none for a client that makes nothing, whatever it did a moment ago."""
    if client.state in _MAKING:
        return client.rows_per_second, client.bytes_per_second
    return 0.0, 0.0


_MAKING = frozenset({ClientState.WORKING, ClientState.SILENT, ClientState.DRAINING})


def _value(sort: str, client: ClientRow) -> float | str:
    figures: dict[str, float | str] = {
        "state": client.state.value,
        "done": client.done,
        "failed": client.failed,
        "rows": _speed(client)[0],
        "bytes": _speed(client)[1],
        "cpu": client.cpu or 0.0,
        "rss": client.rss or 0,
        "word": client.last_word or 0.0,
    }
    return figures[sort]


def _group_value(sort: str, clients: Sequence[ClientRow]) -> float | str:
    values = [_value(sort, client) for client in clients]
    if sort == "state":
        return min((str(value) for value in values), default="~")
    figures = [value for value in values if not isinstance(value, str)]
    return max(figures, default=0.0) if sort == "word" else sum(figures)


def _host_line(name: str, host: HostRow | None, clients: Sequence[ClientRow], signs: Signs, *, closed: bool) -> Line:
    if clients or (host is not None and troubled(host)):
        arrow = signs.plain("▸", ">") if closed else signs.plain("▾", "v")
    else:
        arrow = " "
    title = Cell(f"{arrow} {harmless(name)}", "strong")
    if host is not None and troubled(host):
        mend = "  (enter: what to do)" if host.mend else ""
        text = f"{harmless(host.reason or host.state)}{mend}"
        state = Cell(f"{signs.plain('✗', 'x')} {harmless(host.state)}", "hot")
        return Line((title, state), Cell(text, "hot"), _NOTE_FROM)
    state = _summary(clients, signs) if clients else Cell(harmless(host.state) if host else "", "dim")
    cpus = [client.cpu for client in clients if client.cpu is not None]
    memory = [client.rss for client in clients if client.rss is not None]
    words = [client.last_word for client in clients if client.last_word is not None]
    failed = sum(client.failed for client in clients)
    return Line(
        (
            title,
            state,
            EMPTY,
            EMPTY,
            Cell(f"{sum(client.done for client in clients):,}", "strong"),
            Cell(f"{failed:,}", "warm" if failed else "dim"),
            Cell(short(sum(_speed(client)[0] for client in clients))),
            Cell(size(sum(_speed(client)[1] for client in clients))),
            Cell(f"{sum(cpus):.0f} %" if cpus else "", "dim"),
            Cell(size(sum(memory)) if memory else "", "dim"),
            Cell(ago(min(words)) if words else "", "dim"),
        )
    )


def _summary(clients: Sequence[ClientRow], signs: Signs) -> Cell:
    states = Counter(client.state for client in clients)
    for state in (*sorted(BAD_CLIENTS), ClientState.SILENT, ClientState.WORKING, ClientState.STARTING):
        if states[state]:
            sign = CLIENT_SIGNS[state]
            return Cell(f"{signs.of(sign)} {states[state]:,} {_SHORT.get(state, state.value)}", sign.tone)
    state, number = states.most_common(1)[0]
    return Cell(f"{signs.of(CLIENT_SIGNS[state])} {number:,} {state.value}", CLIENT_SIGNS[state].tone)


_SHORT = {ClientState.WORKING: "work"}


def _client_line(client: ClientRow, signs: Signs) -> Line:
    sign = CLIENT_SIGNS[client.state]
    title = Cell(f"    {harmless(client.name)}", "")
    state = Cell(f"{signs.of(sign)} {client.state.value}", sign.tone)
    if client.state in BAD_CLIENTS and client.reason:
        return Line((title, state), Cell(harmless(client.reason), sign.tone), _NOTE_FROM)
    busy = client.chunk >= 0
    old = client.state is ClientState.SILENT
    stage = (
        f"{harmless(client.stage)[:9]:9} {meter(client.fraction, signs)} {client.fraction:4.0%}"
        if busy and client.stage
        else ""
    )
    tone = "" if busy else "dim"
    return Line(
        (
            title,
            state,
            Cell(str(client.chunk) if busy else "", ""),
            Cell(stage, "dim" if old else "busy"),
            Cell(f"{client.done:,}", tone),
            Cell(f"{client.failed:,}", "warm" if client.failed else "dim"),
            Cell(short(_speed(client)[0]), tone),
            Cell(size(_speed(client)[1]), tone),
            Cell(f"{client.cpu:.0f} %" if client.cpu is not None else "", "dim"),
            Cell(size(client.rss) if client.rss is not None else "", "dim"),
            Cell(ago(client.last_word), "warm" if old else "dim"),
        )
    )
