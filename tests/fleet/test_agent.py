"""The host agent by itself: it never stops to listen, and leaves nothing behind, whatever it was busy with."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dgconsole.fleet import hostagent
from dgconsole.fleet.frames import Prepare, QuitAgent, Start, encode

PATIENCE = 20.0


class Agent:
    """A running agent, spoken to over its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout

    def tell(self, *orders: Any) -> None:
        for order in orders:
            self.stdin.write(encode(order))

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next event of this kind."""
        async with asyncio.timeout(PATIENCE):
            while line := await self.stdout.readline():
                said = line.rpartition(b"nonce ")[2].strip()
                if said and (told := json.loads(said))["is"] == kind:
                    return dict(told)
        raise AssertionError(f"it ended without a word of {kind}")


@pytest.fixture
async def agent() -> AsyncIterator[Callable[..., Any]]:
    made: list[asyncio.subprocess.Process] = []

    async def start(lease: float = 60.0) -> Agent:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, hostagent.__file__, "nonce", str(lease), stdin=pipe, stdout=pipe, limit=1 << 26
        )
        made.append(process)
        return Agent(process)

    yield start
    for process in made:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def prepare(*setup: str, remove: tuple[str, ...] = (), timeout: float = 60.0) -> Prepare:
    return Prepare(setup, {}, sys.executable, timeout, ("numpy", "no-such-package"), remove)


def start(folder: Path, program: str) -> Start:
    argv = (sys.executable, "-u", "-c", program)
    return Start("c", argv, str(folder), {}, "token", ".lock", "client.log")


async def ended(pid: int) -> None:
    """Wait for the end of a process that is no child of ours."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, over.set)
    try:
        async with asyncio.timeout(PATIENCE):
            await over.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


async def pid_in(file: Path) -> int:
    async with asyncio.timeout(PATIENCE):
        while not (file.exists() and file.read_text().endswith("\n")):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)
    return int(file.read_text())


@pytest.mark.parametrize("lease", [60.0, 1.0])
async def test_setup_lines_end_with_the_console(agent, tmp_path, lease):
    made = await agent(lease)
    made.tell(prepare(f"echo $$ > {tmp_path}/pid", "sleep 300"))
    shell = await pid_in(tmp_path / "pid")
    if lease > 1:
        made.stdin.close()
    why = {60.0: "its stdin was closed", 1.0: "it has heard nothing from the console for 1 s"}[lease]
    assert (await made.hear("ended"))["why"] == why
    assert await made.process.wait() == 0
    await ended(shell)


async def test_pings_are_answered_while_setup_lines_run_and_orders_wait(agent, tmp_path):
    os.mkfifo(tmp_path / "gate")
    made = await agent()
    made.tell(prepare(f"cat {tmp_path}/gate"), start(tmp_path, "print('up')"))
    made.stdin.write(b'{"do": "ping", "number": 7}\n')
    assert (await made.hear("pong"))["number"] == 7
    (tmp_path / "gate").write_text("")
    prepared = await made.hear("prepared")
    assert prepared["ok"]
    assert prepared["python"] == sys.version.split()[0]
    assert prepared["packages"]["numpy"]
    assert prepared["packages"]["no-such-package"] == ""
    assert (await made.hear("exited"))["with_agent"] is False


async def test_setup_lines_that_take_too_long_are_ended(agent, tmp_path):
    made = await agent()
    made.tell(prepare(f"echo $$ > {tmp_path}/pid", "sleep 300", timeout=0.5))
    shell = await pid_in(tmp_path / "pid")
    prepared = await made.hear("prepared")
    assert (prepared["ok"], prepared["phase"], prepared["text"]) == (False, "setup", "no end after 0.5 s")
    await ended(shell)


async def test_what_setup_lines_start_in_the_background_neither_holds_them_up_nor_stays(agent, tmp_path):
    made = await agent()
    made.tell(prepare(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 300' &"))
    assert (await made.hear("prepared"))["ok"]
    orphan = await pid_in(tmp_path / "pid")
    made.tell(QuitAgent(1.0))
    assert (await made.hear("ended"))["why"] == "told to"
    await ended(orphan)


async def test_what_it_is_to_remove_goes_at_its_end(agent, tmp_path):
    mine = tmp_path / "mine.sock"
    mine.touch()
    made = await agent()
    made.tell(prepare(remove=(str(mine), str(tmp_path / "gone already"))))
    await made.hear("prepared")
    assert mine.exists()
    made.stdin.close()
    await made.hear("ended")
    assert not mine.exists()


async def test_a_client_that_ends_with_the_agent_is_told_apart_and_none_starts_any_more(agent, tmp_path):
    stubborn = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up')\ntime.sleep(300)\n"
    made = await agent()
    made.tell(prepare(), start(tmp_path / "a", stubborn))
    await made.hear("started")
    made.stdin.write(b'{"do": "credit", "bytes": 1000}\n')
    await made.hear("log")
    made.tell(QuitAgent(0.5), start(tmp_path / "b", "print('up')"))
    refused = await made.hear("failed")
    assert (refused["busy"], refused["text"]) == (True, "the host agent is ending")
    exited = await made.hear("exited")
    assert (exited["status"], exited["with_agent"]) == (-signal.SIGKILL, True)


async def test_clients_that_end_in_the_middle_of_a_word_are_all_told_of(agent, tmp_path):
    """Their last output and their end are found in one look."""
    made = await agent()
    made.tell(prepare())
    await made.hear("prepared")
    names = [f"c{k}" for k in range(40)]
    for name in names:
        argv = ("sh", "-c", "echo words; echo more >&2; exit 3")
        made.tell(Start(name, argv, str(tmp_path / name), {}, "token", ".lock", "client.log"))
    assert {(await made.hear("exited"))["name"] for _ in names} == set(names)
    made.tell(QuitAgent(1.0))
    assert (await made.hear("ended"))["why"] == "told to"


async def test_it_ends_though_nobody_reads_what_it_says(agent, tmp_path):
    """As with a console that is stopped: its pipe is full, and stays so."""
    talks = "import sys\nwhile True: print('x' * 99)\n"
    made = await agent(2.0)
    made.stdout._transport.pause_reading()
    made.tell(prepare(), start(tmp_path, talks))
    made.stdin.write(b'{"do": "credit", "bytes": 100000000}\n')
    began = time.monotonic()
    await ended(made.process.pid)
    assert 2.0 < time.monotonic() - began < 2.0 + 1.0 + 5.0 + 2.0 + 2.0  # lease, one look, grace, last words
    made.stdout._transport.resume_reading()


def test_a_venv_of_ours_is_marked_as_used(tmp_path, monkeypatch):
    """Only its stamp; one that is not there is not made."""
    stamp = tmp_path / hostagent.VENV_STAMP
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    hostagent.Agent.mark_venv()
    assert not stamp.exists()
    stamp.touch()
    os.utime(stamp, (1, 1))
    hostagent.Agent.mark_venv()
    assert stamp.stat().st_mtime > 1
