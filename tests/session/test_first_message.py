"""A client process that is there and says nothing."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from dgconsole.fleet.wiring import Timing
from dgconsole.session import Session, SessionOptions
from dgconsole.settings.hosts import load_hosts

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MUTE = """#!/bin/sh
case "$*" in *dgconsole.client*) exec sleep 1000;; esac
exec {python} "$@"
"""


async def test_a_client_that_says_nothing_is_ended_and_the_phase_is_named(tmp_path: Path) -> None:
    for name in ("serverCfg.yml", "fakeGenSpec.py"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "fakePartitionerCfgs", tmp_path / "fakePartitionerCfgs")
    python = tmp_path / "python"
    python.write_text(MUTE.format(python=sys.executable))
    python.chmod(0o755)
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(f"hosts: {{mute: {{python: {python}}}, here: {{}}}}")
    options = SessionOptions(
        run_dir=tmp_path / "run",
        chunks="57701",
        headless=True,
        timing=Timing(first_message=2.0, first_wait=0.1, grace=0.5),
    )
    session = await Session.open(load_hosts(hosts), tmp_path / "serverCfg.yml", options)
    try:
        log = tmp_path / "run" / "logs" / "console.log"
        words = "mute-1: no end of phase 'first message' within 2 s; its process is ended"
        async with asyncio.timeout(40):
            while words not in log.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # nobody calls who reads
            while (now := await session.snapshot()).exit_status is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await session.close()
    assert now.counts.completed == 1
