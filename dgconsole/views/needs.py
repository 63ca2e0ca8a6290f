"""What needs a person, as a short list: grouped by cause, each with the key that mends it."""

from collections import defaultdict
from typing import NamedTuple

from dgconsole.snapshot import ClientState, Notice, Question, Snapshot
from dgconsole.views.clients import troubled
from dgconsole.views.grid import Cell, Column, FixedRows, Line
from dgconsole.views.signs import BAD_CLIENTS, Signs
from dgconsole.views.text import few, harmless, plural


class Need(NamedTuple):
    """One line of the list.

    ``kind`` is question, cause, host, clients, silent or notice; ``key`` mends it and ``mend`` says what that does;
    ``chunks`` the limbo chunks of a cause; ``target`` the host or client it is about; ``more`` the whole story.
    """

    kind: str
    tone: str
    text: str
    key: str
    mend: str
    chunks: tuple[int, ...] = ()
    target: str = ""
    more: str = ""


CALM = Need("calm", "calm", "Nothing needs you.", "", "")

COLUMNS: tuple[Column, ...] = (
    Column("sign", "", 1),
    Column("text", "", 36, grow=1, middle=True),
    Column("key", "", 5, right=True),
    Column("mend", "", 13, rank=1),
)


def needs(snapshot: Snapshot) -> tuple[Need, ...]:
    """Everything that waits for a person, the worst first; ``CALM`` when nothing does; then what is only told."""
    found = [_notice(notice, "hot") for notice in snapshot.notices if notice.level == "error"]
    found += [_question(question) for question in snapshot.questions]
    for cause in snapshot.causes:
        where = f" on {few(tuple(map(harmless, cause.hosts)))}" if cause.hosts else ""
        text = f"{plural(cause.count, 'chunk')} in limbo: {harmless(cause.text)}"
        mend = "retry it" if cause.count == 1 else "retry them"
        found.append(Need("cause", "hot", text, "r", mend, cause.chunks, cause.text, text + where))
    for host in snapshot.hosts:
        if troubled(host):
            text = f"{harmless(host.name)} {harmless(host.state)}: {harmless(host.reason)}"
            mend = "what to do" if host.mend else "show"
            found.append(
                Need("host", "hot", text, "enter", mend, (), host.name, f"{text}. {harmless(host.mend)}".rstrip())
            )
    found += _bad_clients(snapshot)
    silent = [client for client in snapshot.clients if client.state is ClientState.SILENT]
    if silent:
        names = few(tuple(harmless(client.name) for client in silent))
        text = f"{plural(len(silent), 'client')} silent: {names}"
        found.append(Need("silent", "warm", text, "l", "its log", (), silent[0].name, text))
    found += [_notice(notice, "warm") for notice in snapshot.notices if notice.level == "warning"]
    found = found or [CALM]
    found += [_notice(notice, "dim") for notice in snapshot.notices if notice.level not in ("error", "warning")]
    return tuple(found)


def unsteered(found: tuple[Need, ...]) -> tuple[Need, ...]:
    """The same for a face that asks nothing of the run: only keys that show something are left."""
    return tuple(need if need.key in _SHOWS else need._replace(key="", mend="") for need in found)


_SHOWS = frozenset({"", "enter", "l", "q"})


def _bad_clients(snapshot: Snapshot) -> list[Need]:
    groups: dict[tuple[ClientState, str], list[str]] = defaultdict(list)
    told = {(host.name, host.reason) for host in snapshot.hosts if troubled(host)}
    for client in snapshot.clients:
        if client.state in BAD_CLIENTS and (client.host, client.reason) not in told:
            groups[client.state, client.reason].append(client.name)
    found = []
    for (state, reason), names in groups.items():
        shown = few(tuple(map(harmless, names)), 2)
        text = f"{shown} {state.value}" + (f": {harmless(reason)}" if reason else "")
        back = "bring it back" if len(names) == 1 else "bring back"
        found.append(Need("clients", "hot", text, "R", back, (), names[0], text))
    return found


def _question(question: Question) -> Need:
    text = " ".join(map(harmless, question.text.splitlines()))
    text = f"{harmless(question.host)} asks: {text}" if question.host else text
    return Need("question", "warm", text, "enter", "answer it", more=text)


def _notice(notice: Notice, tone: str) -> Need:
    text, key = harmless(notice.text), harmless(notice.key)
    return Need("notice", tone, text, key, _MENDS.get(key, ""), more=text)


_MENDS = {"p": "go on", "R": "retry all", "+": "start one"}


_TONES = {"calm": "good"}


def need_rows(found: tuple[Need, ...], signs: Signs) -> FixedRows:
    """The list as rows of a table without a header; keys are (kind, target, text of the head)."""
    ornaments = {
        "calm": signs.plain("✓", "+"),
        "hot": signs.plain("✗", "x"),
        "warm": signs.plain("▲", "!"),
        "dim": signs.plain("·", "."),
    }
    lines = []
    for need in found:
        tone = _TONES.get(need.tone, need.tone)
        text = Cell(need.text, tone)
        cells = (Cell(ornaments[need.tone], tone), text, Cell(need.key, "key"), Cell(need.mend, "dim"))
        lines.append(Line(cells) if need.key else Line(cells, note=text, note_from=1))
    return FixedRows(COLUMNS, lines, [(need.kind, need.target or need.text) for need in found])
