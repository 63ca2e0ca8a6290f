"""Makes the pictures in screenshots/ from real runs: ``make screenshots``, which is ``python tools/screenshots.py``.

One run is of the shipped spec. Another has three hosts, one of them a real SSH connection that nobody answers, and a
spec that cannot make some chunks. Each picture is the SVG that Textual exports, with a font that is there, and a PNG
of it.
"""

import asyncio
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import resvg_py
from textual.pilot import Pilot

from dgconsole.console.app import ConsoleApp
from dgconsole.session import Session, SessionOptions
from dgconsole.settings.hosts import load_hosts
from dgconsole.snapshot import RunState, SessionHandle, Snapshot
from dgconsole.support.errors import DgError

ROOT = Path(__file__).resolve().parents[1]
FONTS = Path("/usr/share/fonts/truetype/dejavu")
FAMILY = "DejaVu Sans Mono"
PATIENCE = 150.0
"""Seconds to wait for a run to be as far as a picture wants it."""
CHUNKS = "0:1624,24216:27893,39979:40019,78000:79600"
"""Both poles, a band around the sky and a piece at RA 0: long enough to be at work while the pictures are taken."""


NO_FLUX, NO_MEMORY = (10000, 20000, 30000, 45000), (22000, 50000)
"""Chunks that cannot be made; no other target is near, so no other fails with them."""
FAULTY = "0:1624,24216:27893,39600:40019,57701:62112,78000:79600," + ",".join(map(str, NO_FLUX + NO_MEMORY))
FLUXES = f"""
class Fluxes(columns.ColumnGenerator):
    def values(self, rows):
        if rows.chunk in {NO_FLUX}:
            raise ValueError(f"field {{rows.chunk}}: no flux in the input catalog")
        if rows.chunk in {NO_MEMORY}:
            raise MemoryError("cannot hold the light curves of this field")
        return rows.uniform(6) + 20.0


spec = {{"""
"""Put into the shipped spec in place of ``spec = {``."""


def _share(part: float) -> Callable[[Snapshot], bool]:
    return lambda snapshot: snapshot.counts.completed >= part * snapshot.counts.total


def _in_trouble(snapshot: Snapshot) -> bool:
    """A host is set aside, chunks are in limbo, and much is done all the same."""
    aside = any(host.state == "set aside" for host in snapshot.hosts)
    return aside and snapshot.counts.limbo > 2 and len(snapshot.causes) > 1 and _share(0.25)(snapshot)


class Shot(NamedTuple):
    """One picture: its name, the keys pressed before, the size in cells, and how far the run must be."""

    name: str
    keys: Sequence[str] = ()
    size: tuple[int, int] = (120, 40)
    when: Callable[[Snapshot], bool] = _share(0.0)


SHOTS: tuple[Shot, ...] = (
    Shot("overview", when=_share(0.3)),
    Shot("sky", ("2",)),
    Shot("logs", ("4",)),
    Shot("small-terminal", ("1",), (80, 24)),
    Shot("large-terminal", (), (200, 60)),
    Shot("chunks", ("3", "enter")),
    Shot("light-theme", ("1", "t")),
    Shot("high-contrast", ("t",)),
    Shot("report", ("t", "5"), when=_share(1.0)),
)
TROUBLE: tuple[Shot, ...] = (
    Shot("trouble", when=_in_trouble),
    Shot("three-hosts", ("end", "up", "enter")),
    Shot("limbo", ("escape", "5")),
)


def with_fonts(svg: str) -> str:
    """The SVG without fonts from the web, in DejaVu: the one that converters find."""
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code", FAMILY).replace("font-family: arial", 'font-family: "DejaVu Sans"')


def to_png(svg: str) -> bytes:
    """Rendered with the DejaVu fonts of the machine, nothing else."""
    fonts = [str(path) for path in sorted(FONTS.glob("*.ttf"))]
    if not fonts:
        raise SystemExit(f"{FONTS}: no fonts there; install fonts-dejavu-core")
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg, font_files=fonts, skip_system_fonts=True, monospace_family=FAMILY, font_family=FAMILY
        )
    )


async def take(handle: SessionHandle, shots: Sequence[Shot], folder: Path, *, period: float = 0.25) -> list[Path]:
    """Write ``<name>.svg`` and ``<name>.png`` for each shot of one console on a session; the paths written."""

    async def start() -> SessionHandle:
        return handle

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    app = ConsoleApp(start, "fakedb", period=period)
    async with app.run_test(size=shots[0].size) as pilot:
        for shot in shots:
            await _reach(app, pilot, shot.when)
            await pilot.resize_terminal(*shot.size)
            for key in shot.keys:
                app.simulate_key(key)
                await _settle(app)
            await _settle(app)
            svg = with_fonts(app.export_screenshot(title="dgconsole"))
            for path, data in (
                (folder / f"{shot.name}.svg", svg.encode()),
                (folder / f"{shot.name}.png", to_png(svg)),
            ):
                path.write_bytes(data)
                written.append(path)
    return written


async def _reach(app: ConsoleApp, pilot: Pilot[int | DgError], when: Callable[[Snapshot], bool]) -> None:
    """Wait until the run is so far, or has ended."""
    await pilot.pause()
    while app.feed is None:
        await pilot.pause(0.05)
    deadline = time.monotonic() + PATIENCE
    while not when(app.feed.snapshot) and app.feed.snapshot.state is not RunState.ENDED:
        if time.monotonic() > deadline:
            raise SystemExit(f"the run does not get so far: {app.feed.snapshot}")
        await pilot.pause(0.1)


async def _settle(app: ConsoleApp) -> None:
    """Look at the session twice, so that everything on the screen has its size and its content."""
    for _ in range(2):
        await asyncio.sleep(0.1)
        await app.tick()
    await asyncio.sleep(0.1)


async def _pictures(hosts: Path, config: Path, run_dir: Path, chunks: str, shots: Sequence[Shot]) -> list[Path]:
    session = await Session.open(load_hosts(hosts), config, SessionOptions(run_dir=run_dir, chunks=chunks))
    try:
        return await take(session, shots, ROOT / "screenshots")
    finally:
        await session.close()


async def _shipped() -> list[Path]:
    """The pictures of a run in which all is well."""
    return await _pictures(ROOT / "hosts.yml", ROOT / "serverCfg.yml", Path("runs/fakedb"), CHUNKS, SHOTS)


async def _faulty() -> list[Path]:
    """The pictures of a run in trouble."""
    folder = Path("faulty")
    folder.mkdir()
    shutil.copy(ROOT / "serverCfg.yml", folder)
    shutil.copytree(ROOT / "fakePartitionerCfgs", folder / "fakePartitionerCfgs")
    spec = (ROOT / "fakeGenSpec.py").read_text(encoding="utf-8")
    spec = spec.replace("spec = {", FLUXES, 1).replace("columns.MagnitudeGenerator(n_mags=6)", "Fluxes()")
    (folder / "fakeGenSpec.py").write_text(spec, encoding="utf-8")
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.99", 0))
        away = f"{{launcher: ssh, address: 127.0.0.99, port: {taken.getsockname()[1]}}}"
        hosts = (
            f"defaults: {{launcher: local}}\nhosts: {{db01: {{clients: 2}}, db02: {{clients: 1}}, db03: {away}}}\n"
        )
        (folder / "hosts.yml").write_text(hosts, encoding="utf-8")
        return await _pictures(folder / "hosts.yml", folder / "serverCfg.yml", Path("runs/faulty"), FAULTY, TROUBLE)


def main() -> int:
    """Makes all of them, or those of the runs that are named: shipped, faulty."""
    runs = {"shipped": _shipped, "faulty": _faulty}
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color"}
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_STATE_HOME"] = f"{scratch}/state"  # the theme that somebody likes stays theirs
        os.chdir(scratch)
        for name in sys.argv[1:] or runs:
            for path in asyncio.run(runs[name]()):
                print(path.relative_to(ROOT))
        os.chdir(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
