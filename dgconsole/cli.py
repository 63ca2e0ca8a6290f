"""The commands: parse first, import late; exit statuses and what stderr says are decided here alone."""

import asyncio
import contextlib
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Coroutine, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dgconsole import __version__
from dgconsole.support.arguments import Parser, whole
from dgconsole.support.errors import BugError, DgError, InputError

if TYPE_CHECKING:
    from dgconsole.session import Session
    from dgconsole.session.secrets import Ask
    from dgconsole.settings.structs import HostConfig

BAD_INPUT = 2
INTERRUPTED = 130
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

COMMANDS = ("attach", "report", "serve")
"""Words that stand where hosts.yml does otherwise; each is a module of ``commands``."""

Main = Callable[[Sequence[str]], int]


def dgconsole() -> int:
    """``dgconsole hosts.yml``: the console, or the same run without a screen."""
    return guarded(_dgconsole)


def dgclient() -> int:
    """``dgclient --server ADDRESS --workdir DIR``: one client."""
    from dgconsole.client.command import main

    return guarded(main)


def datagen() -> int:
    """``datagen --chunk N SPEC.py``: one chunk's CSV files."""
    from dgconsole.catalog.datagen import main

    return guarded(main)


def dgpartition() -> int:
    """``dgpartition -c Table.cfg --in.path FILE --out.dir DIR``: existing CSV, partitioned as sph-partition does."""
    from dgconsole.partition.command import main

    return guarded(main)


def dgvisits() -> int:
    """``dgvisits -o FILE``: the visit table of the whole sky."""
    from dgconsole.catalog.visits import main

    return guarded(main)


def dgschema() -> int:
    """``dgschema COMMAND``: ingest JSON, ``.cfg`` files and specs from a schema, and whether they agree."""
    from dgconsole.schema.command import main

    return guarded(main)


def guarded(main: Main, argv: Sequence[str] | None = None) -> int:
    """Run one command; bad input becomes its lines on stderr and status 2, an interrupt 130."""
    try:
        return main(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        _say(str(error))
        return BAD_INPUT
    except BugError as error:
        _say(f"dgconsole broke one of its own rules: {error}", *error.story[-10:])
        raise
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED


def _say(*lines: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        print(*lines, sep="\n", file=sys.stderr)  # noqa: T201


def _dgconsole(argv: Sequence[str]) -> int:
    if argv[:1] and argv[0] in COMMANDS:
        main: Main = import_module(f"dgconsole.commands.{argv[0]}").main
        return main(argv[1:])
    given = _parser().parse_args(argv)
    hosts = _load_hosts(Path(given.hosts), given.config)
    config = given.config or Path(given.hosts).parent / "serverCfg.yml"
    from dgconsole.console.terminal import has_screen

    if given.headless or not has_screen():
        return asyncio.run(_run_headless(hosts, config, given))
    return asyncio.run(_run_console(hosts, config, given))


def _parser() -> Parser:
    parser = Parser(
        "dgconsole",
        "Start the clients that hosts.yml names, hand out chunks of the sky, and watch them come.",
        epilog="exit status: 0 every target chunk completed; 1 some are not; 2 bad input, nothing started; "
        "130 ended by q or a signal\n\n"
        "dgconsole attach RUN_DIR   the console on a run that goes on elsewhere\n"
        "dgconsole report RUN_DIR   what a run came to, whether it is finished, crashed or goes on\n"
        "dgconsole serve RUN_DIR    attach in a browser",
    )
    parser.add_argument("hosts", metavar="hosts.yml", help="which hosts run how many clients")
    parser.add_argument("--headless", action="store_true", help="no screen: progress on stderr, a table on stdout")
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: serverCfg.yml beside hosts.yml")
    parser.add_argument("--chunks", metavar="IDS", help="'0:1000,4321' or @FILE; default: serverCfg.yml's, else all")
    parser.add_argument("--run-dir", type=Path, metavar="DIR", help="default: runs/<dbName>; one that exists goes on")
    parser.add_argument("--report", type=Path, metavar="FILE", help="a second copy of report.csv")
    parser.add_argument(
        "--max-attempts", type=whole("--max-attempts", least=1, most=1000), default=3, metavar="N", help="default: 3"
    )
    parser.add_argument(
        "--chunks-per-request",
        type=whole("--chunks-per-request", least=1, most=10_000),
        default=5,
        metavar="N",
        help="at most so many chunks in a client's hand (default: 5)",
    )
    parser.add_argument("--skip-ingest", action="store_true", help="chunks become files, whatever serverCfg.yml says")
    parser.add_argument(
        "--skip-schema", action="store_true", help="make no database and no table at the destination: they are there"
    )
    parser.add_argument(
        "--ingest-host", metavar="HOST", help="instead of ingest.host: Qserv's controller, a database"
    )
    parser.add_argument(
        "--auth-key-file", type=Path, metavar="FILE", help="its first line is the key of Qserv's ingest services"
    )
    parser.add_argument(
        "--replace", action="store_true", help="drop what another plan has put into the database, and fill it anew"
    )
    parser.add_argument("--keep-csv", action="store_true", help="clients keep the CSV that datagen would write")
    parser.add_argument("--version", action="version", version=f"dgconsole {__version__}")
    return parser


def _load_hosts(path: Path, config: Path | None) -> "tuple[HostConfig, ...]":
    """hosts.yml; when it is wrong, what is wrong with all other files is told in the same go."""
    from dgconsole.settings.hosts import load_hosts

    try:
        return load_hosts(path)
    except InputError as error:
        from dgconsole.plan.load import load_plan
        from dgconsole.settings.server import read_preparation

        beside = config or path.parent / "serverCfg.yml"
        if not beside.exists():
            raise
        try:
            if not read_preparation(beside).lines:  # else files may yet be made
                load_plan(beside)
        except InputError as more:
            raise InputError(*error.problems, *more.problems) from error
        raise


async def _open(
    hosts: "tuple[HostConfig, ...]",
    config: Path,
    given: Namespace,
    *,
    headless: bool,
    say: Callable[[str], None],
    ask: "Ask | None" = None,
) -> "Session":
    from dgconsole.session import Session, SessionOptions
    from dgconsole.support import resources

    resources.allow_many_files()
    resources.return_big_blocks()
    options: SessionOptions = SessionOptions(
        hosts_file=Path(given.hosts),
        run_dir=given.run_dir,
        chunks=given.chunks,
        report=given.report,
        max_attempts=given.max_attempts,
        chunks_per_request=given.chunks_per_request,
        keep_csv=given.keep_csv,
        replace=given.replace,
        skip_ingest=given.skip_ingest,
        skip_schema=given.skip_schema,
        ingest_host=given.ingest_host,
        auth_key_file=given.auth_key_file,
        headless=headless,
    )
    session = await Session.open(hosts, config, options, say=say, ask=ask)
    resources.settle()
    return session


async def _run_headless(hosts: "tuple[HostConfig, ...]", config: Path, given: Namespace) -> int:
    from rich.console import Console

    from dgconsole.headless import run_headless
    from dgconsole.support.outlet import outlet

    said, printed = Console(file=outlet(sys.stderr), stderr=True), Console(file=outlet(sys.stdout))

    def say(line: str) -> None:
        said.print(f"prepare: {line}", markup=False, highlight=False, soft_wrap=True)

    session = await _open(hosts, config, given, headless=True, say=say)
    try:
        with _ending_signals(lambda _: session.end_now()):
            return await run_headless(session, said, printed)
    finally:
        await session.close()


async def _run_console(hosts: "tuple[HostConfig, ...]", config: Path, given: Namespace) -> int:
    from dgconsole.console.app import ConsoleApp

    opened: list[Session] = []

    def say(line: str) -> None:
        app.say_before(f"prepare: {line}")

    async def start() -> "Session":
        opened.append(await _open(hosts, config, given, headless=False, say=say, ask=app.ask_before))
        return opened[0]

    app = ConsoleApp(start, Path(given.hosts).name)

    async def end_now(number: int) -> None:
        terminal_gone = number == signal.SIGHUP and not os.isatty(sys.__stdout__.fileno() if sys.__stdout__ else -1)
        paint = app.batch_update() if terminal_gone else contextlib.nullcontext()  # a screen that is gone takes none
        with paint:
            for session in opened:
                await session.end_now()
                await session.close()
            if terminal_gone:
                os._exit(INTERRUPTED)
        app.exit(INTERRUPTED)

    try:
        with _ending_signals(end_now):
            result = await app.run_async()
    finally:
        for session in opened:
            await session.close()
    if isinstance(result, DgError):
        raise result
    return INTERRUPTED if result is None else result


@contextlib.contextmanager
def _ending_signals(end_now: Callable[[int], Coroutine[object, object, object]]) -> Iterator[None]:
    """A signal ends the session at once: chunks in hand go back, clients end. A second one ends the process.

    Under nohup, which has SIGHUP ignored, the run outlives the terminal.
    """
    loop = asyncio.get_running_loop()
    numbers = [each for each in ENDING_SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]
    ending: list[asyncio.Task[object]] = []

    def on_signal(number: int) -> None:
        if ending:
            os._exit(INTERRUPTED)
        ending.append(loop.create_task(end_now(number)))

    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
