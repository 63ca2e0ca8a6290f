"""Somebody at a real terminal starts a run, watches it, mends what fails, exports the report and leaves."""

import csv
import shlex
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 57701]
TEXT = "0,39600,57701"
BAD, HELD = 39600, 57701
FLUX = """
import pathlib
import time

mended, go = pathlib.Path({mended!r}), pathlib.Path({go!r})


def flux(chunk):
    while chunk == {held} and not go.exists():
        time.sleep(0.05)
    if chunk == {bad} and not mended.exists():
        raise ValueError("no flux yet")
"""
"""One chunk fails until somebody mends it; another waits, so that the run does not end before."""


class Terminal:
    """A terminal with one command in it; afterwards it shows ``STATUS n``."""

    def __init__(self, project: Any, wait_until: Callable[..., None]) -> None:
        self._project, self._wait = project, wait_until
        self._socket = f"dgt{uuid.uuid4().hex[:8]}"

    def tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *words],
            check=True,
            capture_output=True,
            text=True,
            env=self._project.environment() | {"XDG_STATE_HOME": str(self._project.folder / "state")},
            cwd=self._project.folder,
        ).stdout

    def start(self, argv: list[str], term: str) -> None:
        line = f'TERM={term} {shlex.join(argv)}; echo "STATUS $?"; exec sleep 1000'
        self.tmux("new-session", "-d", "-x", "100", "-y", "30", "bash", "-c", line)

    def text(self) -> str:
        return self.tmux("capture-pane", "-p", "-J")

    def see(self, *words: str) -> str:
        try:
            self._wait(lambda: all(word in self.text() for word in words), f"{words} on the screen")
        except AssertionError as error:
            raise AssertionError(f"{words} not on:\n{self.text()}") from error
        return self.text()

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True)


@pytest.fixture
def terminal(need_tmux: None, project: Any, wait_until: Any) -> Iterator[Terminal]:
    made = Terminal(project, wait_until)
    yield made
    made.close()


@pytest.mark.parametrize("term", ["screen-256color", "screen"], ids=["256 colours", "16 colours"])
def test_start_watch_retry_export_quit(project: Any, terminal: Terminal, wait_until: Any, term: str) -> None:
    mended, go = project.folder / "mended", project.folder / "go"
    project.generator("flux(rows.chunk)", FLUX.format(mended=str(mended), go=str(go), held=HELD, bad=BAD))
    argv = [word for word in project.headless(TEXT, "--max-attempts", "1") if word != "--headless"]
    terminal.start(argv, term)
    terminal.see("33.3 %", "1 in work", "1 limbo", "1 chunk in limbo", "retry it", "1 Overview")
    assert "5 Report" in terminal.text()

    terminal.press("2")
    terminal.see("a part of the sky", f"chunk {BAD}", "✗ limbo")
    terminal.press("Enter")
    terminal.see("History", "attempt 1", "flux yet")
    terminal.press("4")
    terminal.see("● following", "ChunkError")

    terminal.press("3", "/", "limbo", "Enter")
    terminal.see("filter: limbo", "1 of 3 chunks")

    mended.touch()
    terminal.press("1")
    terminal.see("Needs you", "retry it")
    terminal.press("r")
    terminal.see("0 limbo", "Nothing needs you.")
    go.touch()
    terminal.see("100.0 %", "Complete: all 3 chunks are made.")

    terminal.press("e")
    terminal.see("Export the report", "Write", "report-2.csv")
    terminal.press("Enter")
    wait_until((project.run_dir / "report-2.csv").exists, "the report is written")
    wait_until(lambda: "Export the report" not in terminal.text(), "the dialog is gone")
    terminal.press("q")
    terminal.see("STATUS 0")
    with (project.run_dir / "report-2.csv").open(newline="") as file:
        rows = {int(row["chunk_id"]): row["state"] for row in csv.DictReader(file)}
    assert rows == dict.fromkeys(CHUNKS, "completed")
    project.assert_whole(CHUNKS)


def test_quit_asks_and_finishes_the_chunk_in_hand(project: Any, gates: Any, terminal: Terminal) -> None:
    gates.shut(HELD)
    terminal.start([word for word in project.headless(TEXT) if word != "--headless"], "screen-256color")
    gates.reached(HELD)
    terminal.see("66.6 %", "1 in work")
    terminal.press("q")
    terminal.see("1 chunk in work", "Finish, then stop", "Stop now", "Cancel")
    terminal.press("Escape")
    terminal.see("Needs you")
    terminal.press("q")
    terminal.see("Finish, then stop")
    terminal.press("Enter")
    terminal.see("stopping")
    gates.open()
    terminal.see("STATUS 0")
    project.assert_whole(CHUNKS)
