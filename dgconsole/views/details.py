"""One client or one host in full, as lines of text: how it stands, what it said last, what to do."""

from collections import Counter
from collections.abc import Sequence

from dgconsole.snapshot import ClientRow, HostRow, LogLine
from dgconsole.views.grid import Cell
from dgconsole.views.history import said_lines
from dgconsole.views.numbers import ago, local_date, short, size
from dgconsole.views.signs import BAD_CLIENTS, CLIENT_SIGNS, Signs
from dgconsole.views.text import harmless, pad

SAID = 12
"""Log lines that are shown."""


def client_lines(client: ClientRow, said: Sequence[LogLine], error: LogLine | None, signs: Signs) -> list[list[Cell]]:
    """``said``: the newest lines of its log; ``error``: its last line of that level."""
    sign = CLIENT_SIGNS[client.state]
    lines = [[Cell(pad("state", 12), "dim"), Cell(f"{signs.of(sign)} {client.state.value}", sign.tone)]]
    if client.reason:
        lines[0].append(Cell(f": {harmless(client.reason)}", sign.tone))
    working = f"{client.chunk}, {harmless(client.stage)} {client.fraction:.0%}" if client.chunk >= 0 else "none"
    if client.chunk >= 0 and client.chunk_bytes:
        written = size(client.chunk_bytes)
        working += f" of {written}" if client.stage == "deliver" else f", {written} written"
    facts = [
        ("host", harmless(client.host)),
        ("process", str(client.pid) if client.pid else ""),
        ("cpu", f"{client.cpu:.0f} % of a core" if client.cpu is not None else ""),
        ("memory", size(client.rss) if client.rss is not None else ""),
        ("workdir", harmless(client.workdir)),
        ("chunk", working),
        ("chunks", f"{client.done:,} done, {client.failed:,} failed"),
        ("made", f"{short(client.rows)} rows, {size(client.bytes)}"),
        ("rates", f"{short(client.rows_per_second)} rows/s, {size(client.bytes_per_second)}/s"),
        ("last word", ago(client.last_word)),
    ]
    lines += _facts(facts)
    if error is not None:
        text = f"{local_date(error.wall)}  {harmless(error.text)}"
        lines.append([Cell(pad("last error", 12), "dim"), Cell(text, "hot")])
    hints = "enter  its chunk    l  its log    -  stop it" if client.chunk >= 0 else "l  its log    -  stop it"
    if client.state in BAD_CLIENTS:
        hints = "l  its log    R  bring back"
    return [*lines, *_below(said), [], [Cell(hints, "dim")]]


def host_lines(host: HostRow | None, clients: Sequence[ClientRow], said: Sequence[LogLine]) -> list[list[Cell]]:
    """``host``: None for one that only clients started by hand are on; ``said``: the newest lines about it."""
    lines: list[list[Cell]] = []
    if host is not None:
        bad = bool(host.reason or host.mend)
        lines.append([Cell(pad("state", 12), "dim"), Cell(harmless(host.state), "hot" if bad else "")])
        if host.reason:
            lines.append([Cell(pad("because", 12), "dim"), Cell(harmless(host.reason), "hot")])
        if host.mend:
            lines.append([Cell(pad("what to do", 12), "dim"), Cell(harmless(host.mend), "strong")])
    states = Counter(client.state for client in clients)
    cpus = [client.cpu for client in clients if client.cpu is not None]
    memory = [client.rss for client in clients if client.rss is not None]
    facts = [
        ("launcher", harmless(host.launcher) if host is not None else "none: started by hand"),
        ("clients", ", ".join(f"{number:,} {state.value}" for state, number in states.most_common()) or "none"),
        ("cpu", f"{sum(cpus):.0f} % of a core" if cpus else ""),
        ("memory", size(sum(memory)) if memory else ""),
        ("chunks", f"{sum(c.done for c in clients):,} done, {sum(c.failed for c in clients):,} failed"),
    ]
    hints = "l  its log    +  one more client    d  drain    c  try it again"
    return [*lines, *_facts(facts), *_below(said), [], [Cell(hints, "dim")]]


def _facts(facts: Sequence[tuple[str, str]]) -> list[list[Cell]]:
    return [[Cell(pad(word, 12), "dim"), Cell(value)] for word, value in facts if value]


def _below(said: Sequence[LogLine]) -> list[list[Cell]]:
    return [[], *said_lines(said)] if said else []
