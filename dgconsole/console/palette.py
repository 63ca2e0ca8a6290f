"""The command palette's lines: every action of every screen by name, with its key, and why it would not act now."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from dgconsole.console.pane import Pane
from dgconsole.console.roles import Role

if TYPE_CHECKING:
    from dgconsole.console.app import ConsoleApp

Command = tuple[str, str, Callable[[], None]]


def commands(app: "ConsoleApp", screen: Screen[object]) -> Iterable[SystemCommand]:
    """First what acts on the visible screen and everywhere, then what the other screens have."""
    shown: set[str] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        if _has_words(binding) and not binding.system and binding.action != "command_palette":
            shown.add(_name(binding.action))
            yield _command(app, binding, binding.description, _caller(app, binding.action, active.node))
    yield from _without_a_key(app, shown)
    for number, pane in enumerate(app.panes):
        if pane is app.pane:
            continue
        for listed in type(pane).BINDINGS:
            if isinstance(listed, Binding) and _has_words(listed) and _name(listed.action) not in ("back", "open"):
                title = f"{app.tabs[number]}: {listed.description}"
                yield _command(app, listed, title, _going_caller(app, number, listed.action))


def _without_a_key(app: "ConsoleApp", shown: set[str]) -> Iterable[SystemCommand]:
    if app.feed is None:
        return
    if app.role.steers:
        what = "Take one more host, or a range of them, into the run"
        yield SystemCommand("Add a host…", what, _caller(app, "add_host", app))
        if "whole_log" not in shown:
            what = "Bring the whole log of the client under the cursor into the run directory"
            yield SystemCommand("Whole log", what, _caller(app, "whole_log", app))
    if app.role is Role.ATTACHED and not app.feed.ended:
        what = "Ends the run itself, for every console; asks, as q does in the console that started it"
        yield SystemCommand("End the run…", what, app.ask_to_end)


def _has_words(binding: Binding) -> bool:
    return bool(binding.tooltip)


def _name(action: str) -> str:
    return action.partition("(")[0].rpartition(".")[2]


def _command(app: "ConsoleApp", binding: Binding, title: str, call: Callable[[], None]) -> SystemCommand:
    reason = app.why_not(_name(binding.action))
    what = f"{app.get_key_display(binding)}   {binding.tooltip}{f'   (not now: {reason})' if reason else ''}"
    return SystemCommand(title, what, call)


def _caller(app: "ConsoleApp", action: str, node: DOMNode) -> Callable[[], None]:
    def call() -> None:
        app.run_worker(app.run_action(action, node), exit_on_error=False)

    return call


def _going_caller(app: "ConsoleApp", number: int, action: str) -> Callable[[], None]:
    """Goes to the screen first, so that what happens is seen."""

    async def act() -> None:
        pane: Pane = app.pane
        await app.refresh_pane()
        pane.focus_first()
        await app.run_action(action, pane)

    def call() -> None:
        app.action_go(number)
        app.call_after_refresh(act)  # it has its size by then

    return call
