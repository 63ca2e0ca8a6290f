"""``prepare:`` of serverCfg.yml: shell lines that run before any file is read that they may make."""

import asyncio
import codecs
import contextlib
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from dgconsole.coordinator.rundir import refuse_used
from dgconsole.settings.server import read_preparation
from dgconsole.settings.structs import Preparation
from dgconsole.support.errors import InputError, Problem
from dgconsole.support.logs import harmless

Say = Callable[[str], None]

PREPARE = "prepare"
"""The source that console.log names for their output."""
KEEP = 10_000
"""Lines of output that are kept for console.log."""
QUOTED = 3
"""Last lines of stderr that a failure is told with."""
GRACE = 2.0
"""Seconds between TERM and KILL for what runs when nobody wants it any more."""
_LONGEST = 2000

# The line that a person wrote and bash is at, also where a function or a sourced file is at fault.
_HEAD = """\
set -e; dg_here() {{ if [[ ${{#BASH_SOURCE[@]}} -eq 2 ]] && (($1 > 1)); then dg_at=$1; fi; }}; \
trap 'dg_here $LINENO' DEBUG ERR; trap 'echo "$dg_at" >{at}' EXIT
"""


async def run_preparation(
    config: Path, run_dir: Path | None, say: Say | None = None, *, wrong: Sequence[Problem] = ()
) -> tuple[str, ...]:
    """Run the lines in one bash, in the folder of serverCfg.yml, up to the first that fails.

    Whatever they leave running in their process group is ended, also where this is cancelled. ``PATH`` begins
    with the folder of our own commands.

    Parameters
    ----------
    run_dir
        The run directory, None for the default; one that another console works in is refused.
    say
        Takes each line of output as it comes.
    wrong
        What refuses the start anyway: then nothing runs.

    Returns
    -------
    lines
        The output, both kinds; the last ``KEEP`` lines of it.

    Raises
    ------
    InputError
        A line failed. Or the file's own keys are wrong, or its run directory is in use: nothing has run then.
    """
    preparation = await asyncio.to_thread(read_preparation, config)
    if not preparation.lines:
        return ()
    InputError.raise_if(wrong)
    refuse_used(run_dir or Path("runs") / preparation.name)
    with tempfile.TemporaryDirectory(prefix="dgconsole-") as folder, _ending_signals():
        return await _Shell(preparation, Path(folder), say).run()


class _Shell:
    """One bash with all lines."""

    def __init__(self, preparation: Preparation, folder: Path, say: Say | None) -> None:
        self._preparation = preparation
        self._script = folder / "prepare"
        self._at = folder / "at"
        self._say = say
        self._output: deque[str] = deque(maxlen=KEEP)
        self._errors: deque[str] = deque(maxlen=QUOTED)

    async def run(self) -> tuple[str, ...]:
        body = "\n".join(text for _, text in self._preparation.lines)
        self._script.write_text(_HEAD.format(at=shlex.quote(str(self._at))) + body + "\n")
        async with contextlib.AsyncExitStack() as stack:
            # Pipes of our own: the library's wait for the process waits for whoever has its pipes open, too.
            readers, ends = [], []
            for kept in (None, self._errors):
                end, stream = await _pipe(stack)
                readers.append(asyncio.create_task(self._read(stream, kept)))
                stack.callback(readers[-1].cancel)
                ends.append(end)
            process = await self._start(*ends)
            for end in ends:
                end.close()
            try:
                status = await process.wait()
                _signal_group(process.pid, signal.SIGKILL)
                await asyncio.wait(readers, timeout=GRACE)  # what has left the group may keep them open
            except BaseException:
                await _end(process)
                raise
        if status != 0:
            raise self._failed(status)
        return tuple(self._output)

    async def _start(self, stdout: IO[bytes], stderr: IO[bytes]) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                "bash",
                str(self._script),
                cwd=self._preparation.folder,
                env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise self._problem(f"bash can't be started: {error.strerror}") from error

    async def _read(self, stream: asyncio.StreamReader, kept: "deque[str] | None") -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while data := await stream.read(1 << 16):
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            for line in lines:
                self._heard(line, kept)
            rest = rest[:_LONGEST]
        if rest:
            self._heard(rest, kept)

    def _heard(self, text: str, kept: "deque[str] | None") -> None:
        line = harmless(text.rstrip("\r"))[:_LONGEST]
        self._output.append(line)
        if kept is not None and line.strip():
            kept.append(line.strip())
        if self._say is not None:
            self._say(line)

    def _failed(self, status: int) -> InputError:
        """Which line it was, and the last of what it said; bash names lines of the script, which is ours."""
        if status < 0:
            return self._problem(f"its shell was ended by {signal.Signals(-status).name}")
        own = re.compile(rf"{re.escape(str(self._script))}: line ([0-9]+): ")
        written = self._at.read_text().strip() if self._at.exists() else ""
        at = int(written or 2)
        for line in self._errors:
            found = own.match(line)
            if found and line[found.end() :].startswith(("syntax error", "unexpected EOF")):
                at = int(found[1])
        lines = self._preparation.lines
        number, text = lines[min(at - 2, len(lines) - 1)]  # ours is the first line of the script
        words = "; ".join(own.sub("", line) for line in self._errors)
        return self._problem(f"'{text.strip()}' failed (status {status}){': ' if words else ''}{words}", number)

    def _problem(self, what: str, line: int = 0) -> InputError:
        return InputError(Problem(what, self._preparation.file, line or self._preparation.lines[0][0], "prepare"))


async def _pipe(stack: contextlib.AsyncExitStack) -> tuple[IO[bytes], asyncio.StreamReader]:
    """The end to write to, and what comes out at the other; both are closed with the stack."""
    out, end = os.pipe()
    stack.callback((closing := os.fdopen(end, "wb", buffering=0)).close)
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(out, "rb", buffering=0)
    )
    stack.callback(transport.close)
    return closing, stream


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole group, at once where even this is cancelled."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


@contextlib.contextmanager
def _ending_signals() -> Iterator[None]:
    """Signals that would end this process and leave the shell cancel the task instead."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    taken = []
    if threading.current_thread() is threading.main_thread() and task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                loop.add_signal_handler(number, task.cancel)
                taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
