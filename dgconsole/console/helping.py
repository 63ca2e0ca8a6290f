"""Help and the line of keys, both made from the bindings themselves."""

from collections.abc import Mapping
from typing import Any

from textual.app import App
from textual.binding import ActiveBinding, Binding

from dgconsole.views.grid import Cell
from dgconsole.views.text import pad

_FIRST = (
    "retry",
    "pause",
    "filter",
    "search",
    "open",
    "details",
    "mark",
    "follow",
    "level",
    "source",
    "whole_log",
    "copy",
    "sort",
    "add_client",
    "drain",
    "reconnect",
    "logs",
    "export",
    "retry_all",
    "stop_client",
)

Key = tuple[str, str, str, bool]


def key_line(app: App[Any], bindings: Mapping[str, ActiveBinding], *, paused: bool) -> tuple[Key, ...]:
    """(key, how it is written, what it does, whether it would act), most important first; help and quit last."""
    shown: dict[str, Key] = {}
    for active in bindings.values():
        binding = active.binding
        name = _name(binding)
        if binding.show and name not in shown:
            what = "Go on" if name == "pause" and paused else binding.description
            shown[name] = (binding.key, app.get_key_display(binding), what, active.enabled)
    order = [name for name in _FIRST if name in shown]
    order += [name for name in shown if name not in order and name not in ("help", "quit")]
    keys = [shown[name] for name in order]
    keys.append(("ctrl+p", "^p", "Palette", True))
    return (*keys, *(shown[name] for name in ("help", "quit") if name in shown))


def _name(binding: Binding) -> str:
    return binding.action.partition("(")[0].rpartition(".")[2]


def help_lines(app: App[Any], bindings: Mapping[str, ActiveBinding]) -> list[list[Cell]]:
    """All keys that act here: those of the screen, those that act everywhere, those that move."""
    groups: dict[str, list[list[Cell]]] = {"On this screen": [], "Everywhere": [], "Moving": []}
    seen: dict[tuple[str, str], list[Cell]] = {}
    for active in bindings.values():
        binding = active.binding
        if not binding.description or binding.system:
            continue
        written = app.get_key_display(binding)
        known = seen.get((binding.action, binding.description))
        if known is not None:
            known[0] = Cell(pad(f"{known[0].text.strip()} {written}", 11), "key")
            continue
        line = [
            Cell(pad(written, 11), "key" if active.enabled else "dim"),
            Cell(pad(binding.description, 15), "strong" if active.enabled else "dim"),
            Cell(binding.tooltip, "dim"),
        ]
        seen[binding.action, binding.description] = line
        group = "Everywhere" if active.node is app else "On this screen" if binding.tooltip else "Moving"
        groups[group].append(line)
    lines: list[list[Cell]] = []
    for title, entries in groups.items():
        if entries:
            lines += [[Cell(title, "plain")], *entries, []]
    return lines[:-1]
