"""Pictures of the console: the SVG that Textual exports, with a font that is there, and a PNG of it.

``take`` makes the pictures asked for of one session, ``take_all`` those of the documentation.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import resvg_py
from textual.pilot import Pilot

from dgconsole.console.app import ConsoleApp
from dgconsole.snapshot import SessionHandle

FONTS = Path("/usr/share/fonts/truetype/dejavu")
FAMILY = "DejaVu Sans Mono"


class Shot(NamedTuple):
    """One picture: its name, the size in cells, the keys pressed before."""

    name: str
    size: tuple[int, int] = (120, 40)
    keys: Sequence[str] = ()


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
            svg_string=svg,
            font_files=fonts,
            skip_system_fonts=True,
            monospace_family=FAMILY,
            font_family=FAMILY,
        )
    )


async def picture(handle: SessionHandle, shot: Shot, *, name: str = "fakedb") -> str:
    """The SVG of one picture of the console on a session."""

    async def start() -> SessionHandle:
        return handle

    app = ConsoleApp(start, name, period=3600.0)
    async with app.run_test(size=shot.size) as pilot:
        await settle(app, pilot)
        for key in shot.keys:
            await pilot.press(key)
            await settle(app, pilot)
        return with_fonts(app.export_screenshot(title="dgconsole"))


async def settle(app: ConsoleApp, pilot: Pilot[Any]) -> None:
    """Look at the session a few times, so that everything on the screen has its size and its content."""
    for _ in range(3):
        await pilot.pause()
        await app.tick()


async def take(handle: SessionHandle, shots: Sequence[Shot], folder: Path) -> list[Path]:
    """Write ``<name>.svg`` and ``<name>.png`` for each shot; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for shot in shots:
        svg = await picture(handle, shot)
        for path, data in ((folder / f"{shot.name}.svg", svg.encode()), (folder / f"{shot.name}.png", to_png(svg))):
            path.write_bytes(data)
            written.append(path)
    return written


SHOTS: tuple[Shot, ...] = (
    Shot("overview"),
    Shot("sky", keys=("2",)),
    Shot("chunks", keys=("3", "enter")),
    Shot("logs", keys=("4",)),
    Shot("report", keys=("5",)),
    Shot("small-terminal", size=(80, 24)),
    Shot("light-theme", keys=("t",)),
)


async def take_all(handle: SessionHandle, folder: Path) -> list[Path]:
    """The pictures of the documentation."""
    return await take(handle, SHOTS, folder)
