"""A key or a password that stands nowhere: asked for on the screen of a real console, kept in memory alone."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CHUNK = 39610
SECRET = "typed-s3cret"


class Screen:
    """A console in a terminal of 100 x 30, whose keys are pressed."""

    def __init__(self, argv: list[str], folder: Path, env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        ends = {"stdin": slave, "stdout": slave, "stderr": slave}
        env = env | {"TERM": "xterm-256color"}
        self.process = subprocess.Popen(argv, cwd=folder, env=env, start_new_session=True, **ends)
        os.close(slave)
        os.set_blocking(self._master, False)
        self.shown = ""

    def shows(self, text: str) -> bool:
        """Whether it has shown a text since the last key."""
        try:
            while data := os.read(self._master, 65536):
                self.shown += data.decode(errors="replace")
        except OSError:
            pass
        return text in self.shown

    def press(self, keys: str) -> None:
        self.shown = ""
        os.write(self._master, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def screens(project: Any) -> Iterator[Callable[[], Screen]]:
    """``screens()``: the console on the project, with a screen."""
    opened: list[Screen] = []

    def make() -> Screen:
        argv = [word for word in project.headless(str(CHUNK)) if word != "--headless"]
        opened.append(Screen(argv, project.folder, project.environment()))
        return opened[-1]

    yield make
    for screen in opened:
        screen.close()


def section(project: Any, *lines: str) -> None:
    head, _, rest = project.text("serverCfg.yml").partition("ingest:\n")
    tail = rest[rest.index("\n\n") :]
    own = "".join(f"  {line}\n" for line in lines)
    project.write("serverCfg.yml", f"{head}ingest:\n{own}{tail}")


@pytest.fixture(params=["mysql", "qserv"])
def wanting(project: Any, request: pytest.FixtureRequest) -> str:
    """A project whose destination wants ``SECRET``; how the question begins."""
    if request.param == "qserv":
        qserv = request.getfixturevalue("qserv")
        for service in (qserv.controller, *qserv.workers.values()):
            service.key = SECRET
        section(project, f"host: {qserv.host}", f"port: {qserv.port}", "dbName: skydb", "publish: never")
        return "Key of the ingest services of the Qserv at 127.0.0.1:"
    mariadb = request.getfixturevalue("mariadb")
    name = mariadb.schema(made=False)
    mariadb.query(f"CREATE USER {name}@'127.0.0.1' IDENTIFIED BY '{SECRET}'")
    mariadb.query(f"GRANT ALL ON {name}.* TO {name}@'127.0.0.1'")
    section(project, "kind: mysql", "host: 127.0.0.1", f"port: {mariadb.port}", f"user: {name}", f"dbName: {name}")
    return f"Password of '{name}' for the database at 127.0.0.1:"


def test_it_is_asked_for_and_tried_and_kept_in_memory(
    project: Any, wanting: str, screens: Any, wait_until: Any, gates: Any
) -> None:
    gates.shut(CHUNK)
    screen = screens()
    wait_until(lambda: screen.shows(wanting), "the question is shown")
    assert not project.run_dir.exists()
    screen.press("wrong\r")
    wait_until(lambda: screen.shows("That was refused."), "it is asked again")
    screen.press(f"{SECRET}\r")
    gates.reached(CHUNK)
    assert not screen.shows(SECRET)
    for pid in project.processes():
        for what in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
    gates.open()
    wait_until(lambda: project.ledger.completed() == {CHUNK}, "the chunk is loaded")
    wait_until(lambda: screen.shows("Complete"), "the run has ended")
    screen.press("q")
    assert screen.process.wait(40) == 0
    kept = [path for path in project.run_dir.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert kept == []


def test_it_is_asked_for_again_when_the_run_goes_on(
    project: Any, wanting: str, screens: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "DGCONSOLE_AUTH_KEY" if wanting.startswith("Key") else "DGCONSOLE_DB_PASSWORD"
    project.generator("1 / 0")
    monkeypatch.setenv(variable, SECRET)
    assert project.run(str(CHUNK)).status == 1
    monkeypatch.delenv(variable)
    screen = screens()
    wait_until(lambda: screen.shows(wanting), "the question is shown")
    screen.press(f"{SECRET}\r")
    wait_until(lambda: screen.shows("0 of 1 chunks are made, 1 in limbo"), "the run is there again")
    screen.press("q")
    assert screen.process.wait(40) == 1


def test_no_answer_starts_nothing(project: Any, wanting: str, screens: Any, wait_until: Any) -> None:
    screen = screens()
    wait_until(lambda: screen.shows(wanting), "the question is shown")
    screen.press("\x1b")
    assert screen.process.wait(40) == 2
    assert not project.run_dir.exists()


def test_without_a_screen_one_line_says_how_to_give_it(project: Any, wanting: str) -> None:
    ended = project.run(str(CHUNK))
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    if wanting.startswith("Key"):
        assert "failed to pass authorization requirements" in line
        ways = (
            "name a file with the key (ingest.authKeyFile), set DGCONSOLE_AUTH_KEY, or start a console with a screen"
        )
    else:
        assert "Access denied for user" in line
        ways = "name a file with the password (ingest.passwordFile), set DGCONSOLE_DB_PASSWORD, or start a console"
    assert ways in line
    assert not project.run_dir.exists()
