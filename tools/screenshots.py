"""Makes the pictures in screenshots/ from a real run of the shipped spec: ``python tools/screenshots.py``.

Each is the SVG that Textual exports, with a font that is there, and a PNG of it.
"""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import resvg_py
from textual.pilot import Pilot

from dgconsole.console.app import ConsoleApp
from dgconsole.session import Session, SessionOptions
from dgconsole.settings.hosts import load_hosts
from dgconsole.snapshot import SessionHandle
from dgconsole.support.errors import DgError

ROOT = Path(__file__).resolve().parents[1]
FONTS = Path("/usr/share/fonts/truetype/dejavu")
FAMILY = "DejaVu Sans Mono"
CHUNKS = "0:1624,24216:27893,39979:40019,78000:79600"
"""Both poles, a band around the sky and a piece at RA 0: long enough to be at work while the pictures are taken."""


class Shot(NamedTuple):
    """One picture: its name, the keys pressed before, the size in cells, and the share of chunks done by then."""

    name: str
    keys: Sequence[str] = ()
    size: tuple[int, int] = (120, 40)
    done: float = 0.0


SHOTS: tuple[Shot, ...] = (
    Shot("overview", done=0.3),
    Shot("sky", ("2",)),
    Shot("logs", ("4",)),
    Shot("small-terminal", ("1",), (80, 24)),
    Shot("chunks", ("3", "enter")),
    Shot("light-theme", ("1", "t")),
    Shot("report", ("t", "5"), done=1.0),
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
            await _reach(app, pilot, shot.done)
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


async def _reach(app: ConsoleApp, pilot: Pilot[int | DgError], share: float) -> None:
    """Wait until so much of the run is done."""
    await pilot.pause()
    while app.feed is None:
        await pilot.pause(0.05)
    while app.feed.snapshot.counts.completed < share * app.feed.snapshot.counts.total and not app.feed.ended:
        await pilot.pause(0.1)


async def _settle(app: ConsoleApp) -> None:
    """Look at the session twice, so that everything on the screen has its size and its content."""
    for _ in range(2):
        await asyncio.sleep(0.1)
        await app.tick()
    await asyncio.sleep(0.1)


async def _real_run(folder: Path) -> list[Path]:
    """The pictures of the documentation, from a run in a folder of its own."""
    options = SessionOptions(run_dir=Path("runs/fakedb"), chunks=CHUNKS)
    session = await Session.open(load_hosts(ROOT / "hosts.yml"), ROOT / "serverCfg.yml", options)
    try:
        return await take(session, SHOTS, folder)
    finally:
        await session.close()


def main() -> int:
    """Makes all of them."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        for path in asyncio.run(_real_run(ROOT / "screenshots")):
            print(path.relative_to(ROOT))
        os.chdir(ROOT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
