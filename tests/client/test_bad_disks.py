"""Disks that are full, cannot be written, or go away: the client gives up and says why; others go on."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m

pytestmark = pytest.mark.slow

CHUNKS = [57701, 57702, 58100, 58101, 58102]

Mount = Callable[[Path, str], None]


@pytest.fixture
def mount(need_root: None, need: Callable[[bool, str], None]) -> Iterator[Mount]:
    """``mount(place, options)``: a small tmpfs, gone after the test."""
    places: list[Path] = []

    def make(place: Path, options: str) -> None:
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place])
        need(done.returncode == 0, "needs the right to mount a tmpfs")
        places.append(place)

    yield make
    for place in places:
        subprocess.run(["umount", "--lazy", place], check=True)


def assert_gave_up(console: Any, fault: Fault, words: str) -> None:
    failed = console.all(m.Failed)
    assert [message.fault for message in failed] == [fault] * 3
    (gave_up,) = console.all(m.GiveUp)
    assert gave_up.fault is fault
    assert words in gave_up.text
    assert isinstance(console.heard[-1], m.Bye)


async def test_a_full_destination(console: Any, start: Any, mount: Mount) -> None:
    """Room for the first chunk's 800 kB, not for the second's."""
    mount(console.chunk_folder, "size=1200k")
    console.chunks = list(CHUNKS)
    await console.open()
    status, text = await (await start()).end()
    assert status == 1
    assert_gave_up(console, Fault.DISK, "No space left on device")
    assert [message.chunk for message in console.all(m.Completed)] == CHUNKS[:1]
    assert {path.split("/")[1] for path in console.files()} == {"chunk_57701.txt", "chunk_57701_overlap.txt"}
    assert "gave up: 3 faults of its own in a row" in text.splitlines()[-1]


async def test_a_workdir_too_full_for_the_bundle(console: Any, start: Any, mount: Mount, tmp_path: Path) -> None:
    workdir = tmp_path / "w"
    mount(workdir, "size=8k")
    console.chunks = list(CHUNKS)
    await console.open()
    status, text = await (await start(workdir=workdir)).end()
    assert status == 1
    (gave_up,) = console.all(m.GiveUp)
    assert gave_up.fault is Fault.DISK
    assert "No space left" in text.splitlines()[-1]


async def test_a_workdir_that_fills_up(console: Any, start: Any, mount: Mount, tmp_path: Path) -> None:
    """With CSV files kept: room for those of two chunks."""
    workdir = tmp_path / "w"
    mount(workdir, "size=2200k")
    console.chunks, console.keep_csv = list(CHUNKS), True
    await console.open()
    assert (await (await start(workdir=workdir)).end())[0] == 1
    assert_gave_up(console, Fault.DISK, "no space left")
    completed = [message.chunk for message in console.all(m.Completed)]
    assert completed == CHUNKS[: len(completed)]
    assert completed
    assert not list((workdir / "csv").glob("*.part"))


async def test_a_workdir_that_cannot_be_written(console: Any, start: Any, mount: Mount, tmp_path: Path) -> None:
    workdir = tmp_path / "w"
    mount(workdir, "size=64k,ro")
    await console.open()
    status, text = await (await start(workdir=workdir)).end()
    assert status == 2
    assert text == f"ERROR --workdir: {workdir} cannot be used: Read-only file system\n"
    assert console.heard == []


async def test_a_workdir_that_is_taken_away(console: Any, start: Any) -> None:
    console.ends = False
    await console.open()
    client = await start()
    await console.until(m.Ask)
    shutil.rmtree(client.workdir)
    console.connections[0].say(m.Assign(tuple((chunk, 1) for chunk in CHUNKS)))
    assert (await client.end())[0] == 1
    assert_gave_up(console, Fault.WORKDIR, "is gone")


async def test_a_destination_that_is_taken_away(console: Any, start: Any) -> None:
    console.ends = False
    await console.open()
    client = await start()
    await console.until(m.Ask)
    shutil.rmtree(console.chunk_folder)
    console.connections[0].say(m.Assign(tuple((chunk, 1) for chunk in CHUNKS)))
    assert (await client.end())[0] == 1
    (gave_up,) = console.all(m.GiveUp)
    assert gave_up.fault.of_client


async def test_a_host_without_the_run_directory(console: Any, start: Any) -> None:
    await console.open()
    shutil.rmtree(console.chunk_folder)
    status, text = await (await start()).end()
    assert status == 1
    (gave_up,) = console.all(m.GiveUp)
    assert gave_up.fault is Fault.DELIVER
    assert "does not see the run directory" in text.splitlines()[-1]
