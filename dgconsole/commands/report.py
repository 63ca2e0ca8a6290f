"""``dgconsole report RUN_DIR``: what a run came to, shown or printed, whether it is finished, crashed or goes on."""

import asyncio
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, AnyStr

from dgconsole.commands.screen import has_screen, show
from dgconsole.snapshot import ChunkState
from dgconsole.support.arguments import Parser
from dgconsole.support.errors import InputError

if TYPE_CHECKING:
    from dgconsole.records.recorded import Recorded
    from dgconsole.snapshot import Report

FORMATS = ("table", "csv", "json", "md", "clg", "svg", "png")
PICTURES = ("svg", "png")


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        "dgconsole report",
        "The report of a run, from its run directory. Nothing there is changed. With a terminal and without "
        "--format: the console.",
        epilog="exit status: 0 shown or printed; 2 there is no run to report",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the run directory (--run-dir) of that run")
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help="print: table, csv (as report.csv), json, md; clg: ids and ranges that --chunks @FILE reads; "
        "svg or png: the sky map as a picture",
    )
    parser.add_argument(
        "--state",
        metavar="STATE",
        help=f"only chunks in that state: {', '.join(state.value for state in ChunkState)}",
    )
    given = parser.parse_args(argv)
    if given.format is not None and given.format not in FORMATS:
        raise InputError(f"--format {given.format!r}: give one of {', '.join(FORMATS)}")
    state = _state(given.state)
    if given.format in PICTURES and state is not None:
        raise InputError(f"--state: {given.format} shows all states; leave it out, or give another --format")
    if given.format == "png" and sys.stdout.isatty():
        raise InputError("--format png: a terminal cannot show it; write it to a file: > sky.png")
    return asyncio.run(_report(given.run_dir, given.format, state))


def _state(word: str | None) -> ChunkState | None:
    if word is None:
        return None
    try:
        return ChunkState(word)
    except ValueError:
        raise InputError(f"--state {word!r}: give one of {', '.join(state.value for state in ChunkState)}") from None


async def _report(path: Path, form: str | None, state: ChunkState | None) -> int:
    from dgconsole.records.recorded import Recorded

    run = await Recorded.open(path)
    try:
        if form is None and state is None and has_screen():
            from dgconsole.console.roles import Role

            async def opened() -> Recorded:
                return run

            return await show(opened, run.run_dir, Role.READER)
        if form in PICTURES:
            _print([await _picture(run, form)], sys.stdout.buffer)
            return 0
        report = await run.report()
        _print(_pieces(run, report, form or "table", state), sys.stdout)
        return 0
    finally:
        await run.close()


async def _picture(run: "Recorded", form: str) -> bytes:
    from dgconsole.console.picture import picture
    from dgconsole.views.chunks import ChunkModel
    from dgconsole.views.skypicture import title_of

    chunks = ChunkModel(await run.chunk_table())
    states = await run.chunk_states(-1)
    assert states is not None
    chunks.update(states)
    return picture(form, chunks.boxes, chunks.states, title_of(await run.snapshot()))


def _pieces(run: "Recorded", report: "Report", form: str, state: ChunkState | None) -> Iterator[str]:
    from dgconsole.records.export import text_of
    from dgconsole.views.exports import as_lines, as_markdown, as_ranges

    rows = run.rows(state)
    if form == "table":
        if state is not None:
            yield from as_lines(rows)
            yield "\n"
        yield _tables(report, all_of_it=state is None)
    elif form == "clg":
        yield from as_ranges(rows)
    elif form == "md":
        yield from as_markdown(report, run.name, rows if state is not None else ())
    else:
        yield from text_of(form, report, run.name, rows)


def _tables(report: "Report", *, all_of_it: bool) -> str:
    import io

    from rich.console import Console

    from dgconsole.headless import print_report
    from dgconsole.views.signs import Signs

    text = io.StringIO()
    terminal = sys.stdout.isatty()
    width = None if terminal else 120
    console = Console(file=text, force_terminal=terminal, width=width)
    signs = Signs(unicode=(sys.stdout.encoding or "utf-8").lower().startswith("utf"))
    print_report(report, console, signs, tables=all_of_it)
    return text.getvalue()


def _print(pieces: Iterable[AnyStr], stream: IO[AnyStr]) -> None:
    """Whoever reads may have enough of it at any time; a disk that is full is an error."""
    try:
        for piece in pieces:
            stream.write(piece)
        stream.flush()
    except BrokenPipeError:
        _lose(stream)
    except OSError as error:
        _lose(stream)
        raise InputError(f"stdout: the report cannot be written: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise InputError(f"stdout: its encoding ({error.encoding}) has not every sign; set PYTHONUTF8=1") from None


def _lose(stream: IO[AnyStr]) -> None:
    """What is still buffered must not fail once more at the interpreter's end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
