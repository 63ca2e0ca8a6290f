"""A console on a session that is not its own: on the terminal, or in the browser where `serve` starts it."""

import asyncio
import contextlib
import os
import select
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dgconsole.console import terminal
from dgconsole.support.errors import DgError

if TYPE_CHECKING:
    from dgconsole.console.app import ConsoleApp
    from dgconsole.console.roles import Role
    from dgconsole.snapshot import SessionHandle

INTERRUPTED = 130


def has_screen() -> bool:
    """Whether there is something to paint on: a terminal, or a browser behind pipes."""
    return terminal.has_screen() or _in_a_browser()


def _in_a_browser() -> bool:
    return "TEXTUAL_DRIVER" in os.environ


async def show(open_: Callable[[], Awaitable["SessionHandle"]], run_dir: Path, role: "Role") -> int:
    """Until `q`, or a signal; the exit status."""
    from dgconsole.console.app import ConsoleApp

    app = ConsoleApp(open_, run_dir.name, role=role)
    if _in_a_browser():
        threading.Thread(target=_leave_with_stdin, daemon=True).start()
    with _leaving_on_signals(app):
        result = await app.run_async()
    if isinstance(result, DgError):
        raise result
    return INTERRUPTED if result is None else result


@contextlib.contextmanager
def _leaving_on_signals(app: "ConsoleApp") -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(number: int) -> None:
        if number == signal.SIGHUP:  # there is no screen any more to be put in order
            os._exit(INTERRUPTED)
        app.exit(INTERRUPTED)

    for number in numbers:
        loop.add_signal_handler(number, leave, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _leave_with_stdin() -> None:
    """End at once when whoever holds the other end of stdin is gone; a driver of pipes would go on for ever."""
    watched = select.poll()
    watched.register(0, 0)  # of its end alone: what comes is the driver's to read
    watched.poll()
    os._exit(INTERRUPTED)
