"""``dgconsole attach RUN_DIR``: the console on a run that goes on elsewhere."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgconsole import __version__
from dgconsole.commands.screen import has_screen, show
from dgconsole.support.arguments import Parser
from dgconsole.support.errors import InputError

if TYPE_CHECKING:
    from dgconsole.records.recorded import Recorded


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        "dgconsole attach",
        "The console on a run that another dgconsole runs, on this machine. q leaves it alone.",
        epilog="exit status: 0 left while it went on; else as the run's; 2 no session runs there",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run directory (--run-dir) of that run")
    parser.add_argument("--read-only", action="store_true", help="only look: nothing can be asked of the run")
    given = parser.parse_args(argv)
    return asyncio.run(_attach(given.run_dir, read_only=given.read_only))


async def _attach(path: Path, *, read_only: bool) -> int:
    from dgconsole.attach.attached import UNTOLD, AttachedSession
    from dgconsole.attach.place import run_directory

    run_dir = run_directory(path)
    books: list[Recorded] = []

    async def afterwards() -> "Recorded":
        from dgconsole.records.recorded import Recorded

        if not books:
            books.append(await Recorded.open(run_dir))
        return books[0]

    session = await AttachedSession.open(run_dir, version=__version__, read_only=read_only, afterwards=afterwards)
    try:
        if not has_screen():
            raise InputError(f"attach shows a screen and stdout is none; `dgconsole report {path}` prints")
        from dgconsole.console.roles import Role

        async def opened() -> AttachedSession:
            return session

        status = await show(opened, run_dir, Role.WATCHER if read_only else Role.ATTACHED)
        if session.untold:
            print(f"{run_dir}: {UNTOLD}", file=sys.stderr)  # noqa: T201
        return status
    finally:
        await session.close()
        for each in books:
            await each.close()
