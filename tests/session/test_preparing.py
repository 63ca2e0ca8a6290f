"""`prepare:`: lines in one shell, in the folder of serverCfg.yml; the first that fails refuses the start."""

import asyncio
import fcntl
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dgconsole.session.preparing import run_preparation
from dgconsole.support.errors import InputError

BASE = "fakeDataGenerator: {cfgFileName: sky.py}\npartitioner: {cfgDir: cfgs}\ningest: {dbName: skydb}\n"


class Prepared:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "serverCfg.yml"
        self.heard: list[str] = []

    def write(self, text: str) -> None:
        self.config.write_text(BASE + text)

    async def run(self, text: str) -> tuple[str, ...]:
        self.write(text)
        return await run_preparation(self.config, self.folder / "run", self.heard.append)

    async def refused(self, text: str) -> str:
        with pytest.raises(InputError) as caught:
            await self.run(text)
        return str(caught.value).replace(f"{self.folder}/", "")


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    return Prepared(tmp_path)


@pytest.fixture
def gone() -> Callable[[int], None]:
    """Wait until a process is no more, told by the kernel."""

    def wait(pid: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        ready = poll.poll(10_000)
        os.close(fd)
        assert ready

    return wait


async def test_without_the_key_nothing_runs(prepared: Prepared) -> None:
    assert await prepared.run("") == ()
    assert await prepared.run("prepare:\n") == ()


async def test_the_lines_share_one_shell_in_the_files_folder(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    lines = await prepared.run("prepare:\n- WORD=made\n- mkdir in && cd in\n- echo $WORD > out; echo one; pwd >&2\n")
    assert (prepared.folder / "in/out").read_text() == "made\n"
    assert sorted(lines) == sorted(["one", f"{prepared.folder}/in"]) == sorted(prepared.heard)


async def test_one_line_or_a_block_will_do(prepared: Prepared) -> None:
    assert await prepared.run("prepare: echo a\n") == ("a",)
    assert await prepared.run("prepare: |\n  for x in a b; do\n    echo $x \\\n      c\n  done\n") == ("a c", "b c")


async def test_our_own_commands_are_found(prepared: Prepared) -> None:
    (found,) = await prepared.run("prepare: command -v python\n")
    assert Path(found).parent == Path(sys.executable).parent


async def test_output_is_kept_harmless_and_whole(prepared: Prepared) -> None:
    lines = await prepared.run(r"""prepare: "printf 'a\\033[2Jb\\r\\n\\xff\\nlast'" """)
    assert lines == ("a\\x1b[2Jb", "\ufffd", "last")


FAILURES = {
    "the second of three": (
        "prepare:\n- echo fine\n- ls no\n- touch after\n",
        "6: prepare: 'ls no' failed (status 2): ls: cannot access 'no': No such file or directory",
    ),
    "within a block": (
        "prepare:\n\n- echo\n- |\n  # words\n  echo\n  (exit 7)\n  touch after\n",
        "10: prepare: '(exit 7)' failed (status 7)",
    ),
    "one text": ("prepare: false; touch after\n", "4: prepare: 'false; touch after' failed (status 1)"),
    "a function": (
        "prepare:\n- f() { echo; false; }\n- f\n- touch after\n",
        "6: prepare: 'f' failed (status 1)",
    ),
    "a file of its own": (
        'prepare:\n- printf "echo\\necho\\nfalse\\n" > lib\n- . ./lib\n- touch after\n',
        "6: prepare: '. ./lib' failed (status 1)",
    ),
    "no such command": (
        "prepare:\n- nosuch\n",
        "5: prepare: 'nosuch' failed (status 127): nosuch: command not found",
    ),
    "no shell": (
        "prepare:\n- echo\n- if echo; fi\n",
        "6: prepare: 'if echo; fi' failed (status 2): syntax error near unexpected token `fi'",
    ),
    "killed": ("prepare:\n- echo\n- kill -9 $$\n", "5: prepare: its shell was ended by SIGKILL"),
    "many words": (
        "prepare: printf '%s\\n' 1 2 3 4 >&2; exit 3\n",
        "4: prepare: 'printf '%s\\n' 1 2 3 4 >&2; exit 3' failed (status 3): 2; 3; 4",
    ),
}


@pytest.mark.parametrize(("text", "says"), FAILURES.values(), ids=FAILURES)
async def test_the_line_that_fails_is_named_with_its_last_words(prepared: Prepared, text: str, says: str) -> None:
    assert await prepared.refused(text) == f"serverCfg.yml:{says}"
    assert not (prepared.folder / "after").exists()


async def test_a_file_with_wrong_keys_runs_nothing(prepared: Prepared) -> None:
    said = await prepared.refused("prepare: touch made\nserver: {prot: 1}\n")
    assert said == "serverCfg.yml:5: server.prot: unknown key; did you mean 'port'?"
    said = await prepared.refused("prepare: [touch made, 7, [x]]\n")
    assert said.splitlines() == [
        "serverCfg.yml:4: prepare: 7 is a number; a shell line is wanted, or a list of them (put it into quotes)",
        "serverCfg.yml:4: prepare: is a list; a shell line is wanted, or a list of them (put it into quotes)",
    ]
    assert not (prepared.folder / "made").exists()


async def test_files_that_are_not_there_yet_are_no_reason(prepared: Prepared) -> None:
    await prepared.run("prepare: touch made\npregenerated: {cfgDir: later}\n")
    prepared.config.write_text(
        "ingest: {kind: qserv, host: q, dbName: skydb, cfgDir: nosuch, authKeyFile: key}\nprepare: touch key\n"
    )
    await run_preparation(prepared.config, prepared.folder / "run")
    assert (prepared.folder / "key").exists()


async def test_a_run_directory_in_use_runs_nothing(prepared: Prepared) -> None:
    (prepared.folder / "run").mkdir()
    with (prepared.folder / "run/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        assert "in use by process 4711" in await prepared.refused("prepare: touch made\n")
    assert not (prepared.folder / "made").exists()
    await prepared.run("prepare: touch made\n")
    assert (prepared.folder / "made").exists()


async def test_cancelled_it_ends_the_whole_group(prepared: Prepared, gone: Callable[[int], None]) -> None:
    pids: list[int] = []
    started = asyncio.Event()

    def heard(line: str) -> None:
        pids.append(int(line))
        if len(pids) == 2:
            started.set()

    prepared.write("prepare: |\n  trap '' TERM\n  sleep 1000 &\n  echo $!\n  echo $$\n  sleep 1000\n")
    running = asyncio.create_task(run_preparation(prepared.config, None, heard))
    await asyncio.wait_for(started.wait(), 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in pids:
        gone(pid)


async def test_what_it_leaves_running_is_ended(prepared: Prepared, gone: Callable[[int], None]) -> None:
    (pid,) = await prepared.run("prepare: sleep 1000 & echo $!\n")
    gone(int(pid))
