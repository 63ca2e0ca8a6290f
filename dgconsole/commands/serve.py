"""``dgconsole serve RUN_DIR``: attach in the browser, on this machine only, behind an address that nobody guesses."""

import asyncio
import contextlib
import secrets
import shlex
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgconsole import __version__
from dgconsole.support.arguments import Parser, whole
from dgconsole.support.errors import InputError

if TYPE_CHECKING:
    from aiohttp import web

HERE = "127.0.0.1"
_START = "import sys; from dgconsole.cli import dgconsole; sys.exit(dgconsole())"


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        "dgconsole serve",
        "`dgconsole attach` in a browser: prints the address to open. It listens on this machine only "
        f"({HERE}); whoever has the address sees the run. From elsewhere: ssh -L PORT:{HERE}:PORT.",
        epilog="exit status: 0 ended by ctrl+c; 2 no session runs there, or textual-serve is missing",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run directory (--run-dir) of that run")
    parser.add_argument(
        "--port", type=whole("--port", least=0, most=65535), default=0, metavar="N", help="default: a free one"
    )
    parser.add_argument("--write", action="store_true", help="let the browser steer the run; default: read-only")
    given = parser.parse_args(argv)
    try:
        import textual_serve  # noqa: F401
    except ImportError as error:
        raise InputError("serve needs the package textual-serve: pip install 'dgconsole[serve]'") from error
    asyncio.run(_find_session(given.run_dir))
    _serve(given.run_dir.absolute(), given.port, write=given.write)
    return 0


async def _find_session(path: Path) -> None:
    """InputError where there is none that we could attach to."""
    from dgconsole.attach.attached import AttachedSession
    from dgconsole.attach.place import run_directory
    from dgconsole.records.recorded import Recorded

    async def unused() -> Recorded:
        raise AssertionError

    session = await AttachedSession.open(run_directory(path), version=__version__, read_only=True, afterwards=unused)
    await session.close()


def _serve(run_dir: Path, port: int, *, write: bool) -> None:
    """Until ctrl+c or a signal."""
    from aiohttp import web

    with contextlib.closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HERE, port))
            listener.listen()
        except OSError as error:
            raise InputError(f"--port '{port}': {HERE}:{port} cannot be had: {error.strerror}") from error
        port = listener.getsockname()[1]
        attach = [sys.executable, "-P", "-c", _START, "attach", str(run_dir), *([] if write else ["--read-only"])]
        print(  # noqa: T201
            f"http://{HERE}:{port}/{(token := secrets.token_urlsafe(24))}/",
            f"{'Whoever has this address can steer the run' if write else 'Read-only'}; ctrl+c ends it.",
            sep="\n",
            flush=True,
        )
        application = _application(shlex.join(attach), run_dir.name, port, token)
        web.run_app(application, sock=listener, print=lambda *_: None, access_log=None)


async def _application(command: str, name: str, port: int, token: str) -> "web.Application":
    """textual-serve's pages below the token; nothing else is answered."""
    from aiohttp import web
    from textual_serve.server import Server

    class Quiet(Server):
        async def on_startup(self, app: web.Application) -> None:
            """Says nothing; the address is printed once it is known to be ours."""

    async def guard(_: web.Request, response: web.StreamResponse) -> None:
        """The page loads nothing from elsewhere, is shown in no other page, and tells nobody its address."""
        here = f"{HERE}:{port}"
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
            f"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://{here}; "
            "frame-ancestors 'none'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"

    served = Quiet(command, host=HERE, port=port, title=f"dgconsole {name}")
    application = web.Application()
    application.add_subapp(f"/{token}", await served._make_app())
    application.on_response_prepare.append(guard)
    return application
