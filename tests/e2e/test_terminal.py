"""The terminal that a console was started in is closed: chunks in hand go back, clients end."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 57701]
TEXT = "0,39600,57701"
GATED = 57701


class Terminal:
    """The controlling terminal of one process, 100 x 30; ``close`` is what closing its window does."""

    def __init__(self, argv: list[str], folder: Any, env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        line = 'exec 0<>"$0" 1>&0 2>&0; exec "$@"'  # the first terminal that a session's leader opens is its own
        name = os.ttyname(slave)
        self.process = subprocess.Popen(
            ["bash", "-c", line, name, *argv], cwd=folder, env=env, start_new_session=True, stdin=subprocess.DEVNULL
        )
        os.set_blocking(self._master, False)
        self._slave = slave
        self.shown = b""

    def read(self) -> bytes:
        """All that was shown so far; goes on reading, so that the program is not held up."""
        try:
            while data := os.read(self._master, 65536):
                self.shown += data
        except OSError:
            pass
        return self.shown

    def close(self) -> None:
        for fd in (self._master, self._slave):
            os.close(fd)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.process.kill()
        terminal.process.wait()


@pytest.mark.parametrize("options", [(), ("--headless",)], ids=["console", "headless"])
def test_the_terminal_is_closed(
    project: Any, gates: Any, ends: Any, wait_until: Any, terminals: list[Terminal], options: tuple[str, ...]
) -> None:
    gates.shut(GATED)
    argv = [word for word in project.headless(TEXT) if word != "--headless"]
    terminal = Terminal([*argv, *options], project.folder, {**project.environment(), "TERM": "xterm-256color"})
    terminals.append(terminal)
    wait_until(lambda: terminal.read() and project.ledger.completed() == {0, 39600}, "the others are made")
    gates.reached(GATED)
    assert terminal.process.poll() is None
    assert (b"\x1b[?1049h" in terminal.read()) is not bool(options), "the console has a screen of its own"
    left = ends(project.processes())
    terminal.close()
    assert terminal.process.wait(40) == 130
    left.wait()
    states = project.states()
    assert states == {0: "completed", 39600: "completed", GATED: "pending"}
    gates.open()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)
    assert [outcome for _, outcome in project.ledger.attempts(GATED)] == ["returned", "completed"]
