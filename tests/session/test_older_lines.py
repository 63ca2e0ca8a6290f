"""Older lines of real runs: of a session, of an attached console, of a report, joined to what each shows first."""

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dgconsole.attach.attached import AttachedSession
from dgconsole.console.feed import Feed
from dgconsole.records.recorded import Recorded
from dgconsole.session import Session, SessionOptions
from dgconsole.settings.hosts import load_hosts
from dgconsole.snapshot import LogLine, RunState, SessionHandle
from dgconsole.support.clock import SystemClock
from dgconsole.views.logs import LogStore

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HOSTS = "hosts: {here: {launcher: local, clients: 2}}\n"


async def open_run(folder: Path) -> Session:
    for name in ("serverCfg.yml", "fakeGenSpec.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "fakePartitionerCfgs", folder / "fakePartitionerCfgs", dirs_exist_ok=True)
    file = folder / "hosts.yml"
    file.write_text(HOSTS)
    options = SessionOptions(hosts_file=file, run_dir=folder / "run", chunks="57701,57702,57703", headless=True)
    return await Session.open(load_hosts(file), folder / "serverCfg.yml", options)


async def ended(session: Session) -> None:
    async with asyncio.timeout(60):
        while (await session.snapshot()).state is not RunState.ENDED:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # faces pull; nobody calls them


async def everything(handle: SessionHandle, most: int) -> list[LogLine]:
    """What a console shows that takes ``most`` lines at first, and scrolls up to the begin."""
    feed = Feed(handle, await handle.snapshot(), SystemClock())
    store = LogStore()
    await feed.pull_logs(store, most)
    store.hold()
    while store.reaches_back:
        store.prepend(await handle.older("", store.mark, 7))
    return store.shown


def told(lines: list[LogLine]) -> list[tuple[float, str, str]]:
    return sorted((line.wall, line.source, line.text) for line in lines)


async def test_all_lines_of_a_run_whoever_looks(tmp_path: Path) -> None:
    session = await open_run(tmp_path)
    try:
        await ended(session)
        ring = told(list((await session.logs(0, 10_000)).lines))
        assert len(ring) > 8

        async def books() -> Any:
            return await Recorded.open(tmp_path / "run")

        face = await AttachedSession.open(tmp_path / "run", version="1", afterwards=books)
        for handle in (session, face):
            for most in (1, 3, 10_000):
                assert told(await everything(handle, most)) == ring
        feed = Feed(face, await face.snapshot(), SystemClock())
        for chunk in (57701, 57702, 57703):
            history = await face.chunk_history(chunk)
            assert history is not None
            said = await feed.said_in(chunk, history.attempts[-1])
            assert any(line.text.startswith(f"chunk {chunk} made") for line in said)
            assert not any(line.text.startswith("chunk 5770") and str(chunk) not in line.text for line in said)
        row = next(row for row in (await face.snapshot()).clients if row.name == "here-1")
        assert Path(row.workdir).name
        await face.close()
    finally:
        await session.close()
    again = await open_run(tmp_path)
    try:
        await ended(again)
        second = told(await everything(again, 2))
        assert set(ring) < set(second)
        assert max(Counter(second).values()) == 1
    finally:
        await again.close()
    run = await Recorded.open(tmp_path / "run")
    closed = told(await everything(run, 5))
    assert set(second) <= set(closed)
    assert {file.source for file in await run.log_files()} == {"console", "here-1", "here-2"}
    await run.close()
