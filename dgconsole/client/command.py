"""The command ``dgclient``: one client, from its command line to its exit status."""

import json
import os
import platform
import sys
from argparse import Namespace
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from dgconsole import __version__
from dgconsole.client.address import Address, read_address
from dgconsole.client.parent import EndOfInput, die_with, first_line
from dgconsole.support.arguments import Parser
from dgconsole.support.errors import InputError, Problem

BAD_INPUT = 2
TOKEN_VARIABLE = "DGCONSOLE_TOKEN"  # noqa: S105 - the name of a variable
ONE_THREAD = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LONGEST_NAME = 100


def main(argv: Sequence[str]) -> int:
    """Run one client: 0 no more chunks, 1 gave up or lost its console, 2 bad input or a locked workdir."""
    parent = os.getppid()
    try:
        options = _parse(argv)
        address = read_address(options.server)
        token, end = _token(options.token_file, parent)
        return _run(options, address, token, end)
    except InputError as error:
        for line in str(error).splitlines():
            log("ERROR", line)
        return BAD_INPUT


def own_build() -> str:
    """SHA-256 of the wheel that this dgconsole was installed from; "" where it was installed otherwise.

    pip notes it: https://packaging.python.org/specifications/direct-url.
    """
    try:
        noted = metadata.distribution("dgconsole").read_text("direct_url.json")
        archive = json.loads(noted or "{}").get("archive_info", {})
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    return str(archive.get("hashes", {}).get("sha256") or archive.get("hash", "").removeprefix("sha256="))


def log(level: str, text: str) -> None:
    """One line on stderr: the level, then the text. A reader that went away is no reason to stop."""
    from dgconsole.support.logs import harmless

    try:
        sys.stderr.write(f"{level} {harmless(text)}\n")
        sys.stderr.flush()
    except OSError:
        return


def _parse(argv: Sequence[str]) -> Namespace:
    parser = Parser("dgclient", "One client: makes the chunks that a running dgconsole hands out.")
    parser.add_argument("--server", required=True, metavar="HOST:PORT", help="the console's address, or unix:PATH")
    parser.add_argument("--workdir", required=True, metavar="DIR", help="a directory of this client's own")
    parser.add_argument("--name", default="", help="how the console shall call it (default: the console chooses)")
    parser.add_argument(
        "--retry", action="store_true", help="connect again, every few seconds, when the console is lost"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"holds the token, as the run directory's server.json does; - for stdin (default: {TOKEN_VARIABLE})",
    )
    parser.add_argument("--version", action="version", version=f"dgclient {__version__}")
    options = parser.parse_args(argv)
    if options.name and (len(options.name) > LONGEST_NAME or not options.name.isprintable()):
        raise InputError(Problem(f"{options.name!r}: give up to {LONGEST_NAME} printable characters", key="--name"))
    return options


def _token(file: str | None, parent: int) -> tuple[str, EndOfInput | None]:
    """The token, and for a child of a host agent the watch over its stdin."""
    given = os.environ.pop(TOKEN_VARIABLE, "")
    if file == "-":
        token = first_line(0)
        if not token or not die_with(parent):
            raise InputError(Problem("stdin ended before the token", key="--token-file -"))
        return token, EndOfInput(0)
    token = _token_in(Path(file)) if file is not None else given
    if not token:
        raise InputError(f"the console wants a token: give --token-file FILE or set {TOKEN_VARIABLE}")
    return token, None


def _token_in(path: Path) -> str:
    try:
        text = path.read_text().strip()
        token = json.loads(text)["token"] if text.startswith("{") else text
    except OSError as error:
        raise InputError(Problem(f"{str(path)!r} cannot be read: {error.strerror}", key="--token-file")) from error
    except (ValueError, KeyError) as error:
        raise InputError(Problem(f"{str(path)!r} holds no token", key="--token-file")) from error
    return str(token)


def _run(options: Namespace, address: Address, token: str, end: EndOfInput | None) -> int:
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    from dgconsole.client.life import Life
    from dgconsole.client.workdir import Workdir
    from dgconsole.wire.messages import PROTOCOL, Hello

    workdir = Workdir(Path(options.workdir))
    workdir.enter()
    hello = Hello(token, PROTOCOL, __version__, options.name, platform.node(), os.getpid(), own_build())
    life = Life(hello, address, workdir, log, retry=options.retry)
    status = life.run(end)
    if life.stuck:
        sys.stderr.flush()
        os._exit(status)
    return status
