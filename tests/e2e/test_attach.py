"""dgconsole attach on real runs: other terminals look, steer and leave; the run goes on."""

import asyncio
import re
import signal
import stat
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dgconsole.attach.attached import AttachedSession
from dgconsole.records.recorded import Recorded
from dgconsole.snapshot import Pause, Quit, Resume, RunState

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 57701]
TEXT = "0,39600,57701"
GATED = 57701


class Screens:
    """Terminals of 100 x 30, each with one command in it; afterwards it shows ``STATUS n``."""

    def __init__(self, project: Any, command: Callable[[str], list[str]], wait_until: Callable[..., None]) -> None:
        self._project, self._command, self._wait = project, command, wait_until
        self._socket = f"dgt{uuid.uuid4().hex[:8]}"

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", *words],
            check=True,
            capture_output=True,
            text=True,
            env=self._project.environment(),
            cwd=self._project.folder,
        ).stdout

    def open(self, name: str, *options: str) -> None:
        line = " ".join([*self._command("dgconsole"), *options])
        shell = f'{line}; echo "STATUS $?"; exec sleep 1000'
        self._tmux("new-session", "-d", "-s", name, "-x", "100", "-y", "30", "bash", "-c", shell)

    def text(self, name: str) -> str:
        return self._tmux("capture-pane", "-p", "-J", "-t", name)

    def see(self, name: str, *words: str) -> str:
        def shows() -> bool:
            text = self.text(name)
            return all(word in text for word in words)

        try:
            self._wait(shows, f"{words} on {name}")
        except AssertionError as error:
            raise AssertionError(f"{words} not on:\n{self.text(name)}") from error
        return self.text(name)

    def press(self, name: str, *keys: str) -> None:
        self._tmux("send-keys", "-t", name, *keys)

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True)


@pytest.fixture
def screens(need_tmux: None, project: Any, command: Any, wait_until: Any) -> Iterator[Screens]:
    made = Screens(project, command, wait_until)
    yield made
    made.close()


def begin(project: Any, gates: Any, wait_until: Any) -> Any:
    """A headless run that has one chunk left, which stays in work."""
    gates.shut(GATED)
    running = project.begin(TEXT)
    wait_until(lambda: project.ledger.completed() == {0, 39600}, "the others are made")
    gates.reached(GATED)
    return running


def test_two_consoles_on_a_headless_run(project: Any, gates: Any, wait_until: Any, screens: Screens) -> None:
    running = begin(project, gates, wait_until)
    assert stat.S_IMODE((project.run_dir / "control.sock").stat().st_mode) == 0o600
    screens.open("one", "attach", "run")
    screens.open("two", "attach", "run", "--read-only")
    screens.see("one", "running, attached", "66.6 %", "here-1")
    screens.see("two", "running, read-only", "66.6 %")
    screens.press("two", "p", "R", "+")
    screens.press("one", "p")
    screens.see("one", "paused, attached")
    screens.see("two", "paused, read-only")
    screens.press("one", "p")
    screens.see("two", "running, read-only")
    screens.press("one", "q")
    screens.see("one", "STATUS 0")
    assert running.running()
    gates.open()
    assert running.end().status == 0
    screens.see("two", "ended, read-only", "100.0 %", "Complete: all 3 chunks are made.")
    screens.press("two", "q")
    screens.see("two", "STATUS 0")
    log = project.console_log()
    assert log.count("an attached console asks:") == 2
    assert "an attached console asks: Pause" in log


def test_a_killed_session_is_one_clear_line(project: Any, gates: Any, wait_until: Any, screens: Screens) -> None:
    running = begin(project, gates, wait_until)
    screens.open("one", "attach", "run")
    screens.see("one", "running, attached")
    running.signal(signal.SIGKILL)
    running.end()
    screens.see("one", "ended, attached", "The session ended without a word", "66.6 %")
    screens.press("one", "q")
    text = screens.see("one", "STATUS 1", "goes on with the run.")
    assert len(re.findall("The session ended without a word", text)) == 1
    gates.open()
    assert project.run(TEXT).status == 0
    project.assert_whole(CHUNKS)


def test_the_run_is_ended_from_an_attached_console(
    project: Any, gates: Any, wait_until: Any, screens: Screens
) -> None:
    running = begin(project, gates, wait_until)
    screens.open("one", "attach", "run")
    screens.see("one", "running, attached")
    screens.press("one", "C-p")
    screens.see("one", "Search for commands")
    screens.press("one", "End the run")
    screens.see("one", "Ends the run itself")
    screens.press("one", "Enter")
    screens.see("one", "Finish, then stop")
    screens.press("one", "Right", "Enter")
    assert running.end().status == 130
    screens.see("one", "ended, attached", "2 of 3 chunks are made")
    screens.press("one", "q")
    screens.see("one", "STATUS 130")


def test_a_console_that_was_started_with_a_screen_is_attached_to_as_well(
    project: Any, gates: Any, wait_until: Any, screens: Screens
) -> None:
    gates.shut(GATED)
    options = [word for word in project.headless(TEXT)[1:] if word != "--headless"]
    screens.open("first", *options)
    wait_until(lambda: project.ledger.completed() == {0, 39600}, "the others are made")
    screens.open("second", "attach", "run")
    screens.see("second", "running, attached", "66.6 %")
    gates.reached(GATED)
    gates.open()
    screens.see("first", "Complete: all 3 chunks are made.")
    screens.see("second", "ended, attached", "Complete: all 3 chunks are made.")
    screens.press("first", "q")
    screens.see("first", "STATUS 0")
    screens.press("second", "1")
    screens.see("second", "The session has ended; q leaves.")
    screens.press("second", "q")
    screens.see("second", "STATUS 0")


def test_without_a_session_there_is_nothing_to_attach_to(project: Any) -> None:
    assert project.run("0").status == 0
    ended = project.start("dgconsole", "attach", "run").end()
    assert ended.status == 2
    assert (
        ended.err
        == f"{project.run_dir}: no session runs there; `dgconsole report {project.run_dir}` shows what was made\n"
    )
    for place, words in (("nowhere", "there is no such run directory"), (".", "is no run directory")):
        ended = project.start("dgconsole", "attach", place).end()
        assert (ended.status, ended.err.count("\n")) == (2, 1)
        assert words in ended.err


def test_attach_without_a_screen_says_what_prints(project: Any, gates: Any, wait_until: Any) -> None:
    running = begin(project, gates, wait_until)
    ended = project.start("dgconsole", "attach", "run").end()
    assert ended.status == 2
    assert "`dgconsole report run` prints" in ended.err
    gates.open()
    assert running.end().status == 0


def test_a_run_directory_with_a_path_too_long_for_a_socket(project: Any, gates: Any, wait_until: Any) -> None:
    deep = project.folder / ("d" * 60) / ("e" * 60)
    deep.parent.mkdir()
    project.run_dir = deep
    gates.shut(GATED)
    running = project._start([*project.headless(TEXT), "--run-dir", str(deep)], {})
    wait_until(lambda: project.ledger.completed() == {0, 39600}, "the others are made")
    assert not (deep / "control.sock").exists()
    assert (deep / "control.json").exists()

    async def look() -> str:
        face = await AttachedSession.open(deep, version="", afterwards=lambda: Recorded.open(deep))
        name = (await face.snapshot()).name
        await face.close()
        return name

    assert asyncio.run(look()) == "fakedb"
    gates.open()
    assert running.end().status == 0
    assert not (deep / "control.json").exists()


def test_a_run_whose_socket_cannot_be_made_goes_on_without_other_consoles(project: Any) -> None:
    assert project.run("0").status == 0
    (project.run_dir / "control.sock").mkdir()
    ended = project.run(TEXT)
    assert ended.status == 0, ended
    said = (project.run_dir / "logs" / "console.log").read_text().splitlines()
    (line,) = (line for line in said if "No other console can attach" in line)
    assert line.endswith("run/control.sock: Is a directory")
    assert ended.err.count("No other console can attach") == 1
    project.assert_whole(CHUNKS)


async def test_the_whole_of_a_run_over_the_socket(project: Any, gates: Any) -> None:
    """What an attached face reads of a real session, live and after its end, from its last word and its books."""
    gates.shut(GATED)
    running = project.begin(TEXT)
    async with asyncio.timeout(40):
        while project.ledger.completed() != {0, 39600}:  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.01)
    face = await AttachedSession.open(project.run_dir, version="", afterwards=lambda: Recorded.open(project.run_dir))
    snapshot = await face.snapshot()
    assert snapshot.counts.completed == 2
    assert [client.name for client in snapshot.clients] == ["here-1", "here-2"]
    table = await face.chunk_table()
    assert (table.count, len(table.ids), len(table.boxes)) == (3, 12, 96)
    states = await face.chunk_states(-1)
    assert states is not None
    assert sorted(states.states) == [1, 3, 3]
    assert (await face.chunk_history(0)).state == "completed"
    assert (await face.report()).counts.completed == 2
    assert any("target chunks: 3" in line.text for line in (await face.logs(0, 1000)).lines)
    assert (await face.command(Pause())).ok
    assert (await face.snapshot()).state is RunState.PAUSED
    assert (await face.command(Resume())).ok
    assert (await face.command(Quit(now=True))).ok
    async with asyncio.timeout(40):
        while not face.over:
            await face.snapshot()
            await asyncio.sleep(0.01)
    last = await face.snapshot()
    assert (last.state, last.exit_status) == (RunState.ENDED, 130)
    assert "2 of 3 chunks are made" in last.verdict
    assert (await face.chunk_states(states.revision)) is not None
    assert [each.outcome for each in (await face.chunk_history(GATED)).attempts] == ["returned"]
    await face.close()
    assert (await asyncio.to_thread(running.end)).status == 130
