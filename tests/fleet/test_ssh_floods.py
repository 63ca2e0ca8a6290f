"""Clients that print without measure, over SSH: their work goes on, others are heard, the console stays small."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dgconsole.fleet.fleet import Fleet
from dgconsole.fleet.wiring import Timing

pytestmark = pytest.mark.slow

SIZE = 100_000_000
START = "import os, sys, time\nsys.stdin.readline()\n"
END = "open('flooded', 'w').close()\nos.write(1, b'\\nafter the flood\\n')\nsys.stdin.read()\n"
WRITE = """
data = {data}
for _ in range({size} // len(data)):
    rest = data
    while rest:
        rest = rest[os.write(1, rest):]
"""
FLOODS = {
    "lines": "(b'x' * 99 + b'\\n') * 600",
    "one line": "b'x' * 60_000",
    "junk": "bytes(set(range(256)) - {10, 13}) * 240",
    "empty lines": "b'\\n' * 60_000",
}
TICKS = START + "while True:\n    print('tick', time.monotonic(), flush=True)\n    time.sleep(0.02)\n"
MOST_LATE = 3.0
"""Seconds that a line of another client may be late, three times what is wanted, as test machines are busy."""
MOST_GROWTH = 60_000_000


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError


class Heard:
    """What a fleet's log comes to; the lines themselves are not kept."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.lines = 0
        self.longest = 0
        self.said: dict[str, list[str]] = {"quiet": [], "loud": []}

    def __call__(self, source: str, level: str, text: str) -> None:
        self.lines += 1
        self.longest = max(self.longest, len(text))
        if text.startswith("tick "):
            self.late.append(time.monotonic() - float(text.split()[1]))
        elif "left out here" in text or "after the flood" in text:
            self.said.setdefault(source, []).append(text)


@pytest.fixture
async def fleet_of(tmp_path: Path) -> AsyncIterator[Callable[..., tuple[Fleet, Heard]]]:
    made: list[Fleet] = []

    def start(*hosts: Any) -> tuple[Fleet, Heard]:
        heard = Heard()
        fleet = Fleet(
            hosts,
            run_dir=tmp_path / "run",
            server="unix:/nowhere",
            token="secret-token",
            log=heard,
            on_client_exit=lambda *_: None,
            on_host_change=lambda *_: None,
            timing=Timing(connect=10, prepare=10, ping=0.2, lease=5, first_wait=0.1, grace=2),
        )
        fleet.start()
        made.append(fleet)
        return fleet, heard

    yield start
    for fleet in made:
        await fleet.stop(1.0)


@pytest.mark.parametrize("flood", FLOODS)
async def test_100_MB_of_output(ssh_hosts: Any, far_python: Any, fleet_of: Any, flood: str) -> None:
    """One client of a host prints them while another says every 20 ms what time it is."""
    host = ssh_hosts.start()
    program = START + WRITE.format(data=FLOODS[flood], size=SIZE) + END
    both = f"import sys\nexec({TICKS!r} if 'loud-2' in sys.argv else {program!r})\n"
    before = resident()
    fleet, heard = fleet_of(host.config(name="loud", deploy="none", python=far_python(both), clients=2))
    workdir = host.home / ".dgconsole" / "run" / "loud-1"
    async with asyncio.timeout(60):
        while not any("after the flood" in text for text in heard.said.get("loud-1", [])):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (workdir / "flooded").exists()
    assert len(heard.late) >= 5
    assert max(heard.late) < MOST_LATE
    assert resident() - before < MOST_GROWTH
    assert heard.longest <= 65536 * 4  # a byte that is no text takes four characters
    assert [process.running for process in fleet.processes()] == [True, True]
    gaps = [text for text in heard.said["loud-1"] if "left out here" in text]
    assert gaps
    assert all("whole in loud:~/.dgconsole/run/loud-1/client.log" in gap for gap in gaps)
    kept = sum(path.stat().st_size for path in workdir.glob("client.log*"))
    assert 16_000_000 < kept < 40_000_000
    await fleet.stop(1.0)
    assert host.processes() == []
