"""A spec examined in a process of its own: whatever it does, the caller gets a description or an InputError.

``python -m dgconsole.catalog.examine ANSWER TRACE SECONDS`` is the other end: it reads the spec on stdin and
writes its answer, a length and msgpack, to the descriptor ANSWER. TRACE takes what Python's fault handler
says when the time is up or the process crashes; the line of the spec is read from it.
"""

import contextlib
import faulthandler
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

import msgspec

from dgconsole.catalog.description import SpecDescription
from dgconsole.catalog.spec import SpecFile, SpecSource, load_spec, stopped
from dgconsole.support.errors import InputError, Problem

TIMEOUT = 30.0
"""Seconds that a spec may take to be read."""
_GRACE = 10.0
"""Seconds more for the interpreter to start, and for the child to notice by itself that its time is up."""
_LARGEST = 1 << 26


class _Task(msgspec.Struct):
    name: str
    path: str
    data: bytes


class _Place(msgspec.Struct):
    what: str
    file: str
    line: int
    key: str


class _Answer(msgspec.Struct):
    description: SpecDescription | None
    problems: list[_Place]


def examine(spec: SpecSource, *, cwd: Path | None = None, timeout: float = TIMEOUT) -> SpecDescription:
    """Run a spec in a process of its own, with ``cwd`` as current directory, and describe what it defines.

    Raises
    ------
    InputError
        Whatever `load_spec` finds; also where the spec takes longer than ``timeout`` seconds, or ends the
        process or crashes it. With the file, and the line where one is known.
    """
    folder = cwd or Path.cwd()
    if not folder.is_dir():
        raise InputError(Problem("there is no such folder to run the spec in", str(folder)))
    task = msgspec.msgpack.encode(_Task(spec.name, spec.path, spec.data))
    read_end, write_end = os.pipe()
    with tempfile.TemporaryFile() as trace, os.fdopen(read_end, "rb", buffering=0) as answers:
        try:
            child = _start(folder, write_end, trace, timeout)
        finally:
            os.close(write_end)
        try:
            _hand_over(child, task)
            answer = _read_answer(answers, timeout + _GRACE)
            if answer is None:
                raise InputError(_how_it_ended(child, spec, trace, timeout))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    InputError.raise_if(Problem(p.what, p.file, p.line, p.key) for p in answer.problems)
    assert answer.description is not None
    return answer.description


def _start(folder: Path, write_end: int, trace: IO[bytes], timeout: float) -> "subprocess.Popen[bytes]":
    # -P: nothing that lies in the folder stands in for a module of Python's.
    command = [sys.executable, "-P", "-m", __spec__.name, str(write_end), str(trace.fileno()), str(timeout)]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=trace,
        pass_fds=(write_end, trace.fileno()),
        start_new_session=True,
    )


def _hand_over(child: "subprocess.Popen[bytes]", task: bytes) -> None:
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin as stdin:
        stdin.write(task)


def _read_answer(answers: IO[bytes], seconds: float) -> _Answer | None:
    """The child's answer; None where it ends, or lets the time pass, without a whole one."""
    deadline = time.monotonic() + seconds
    data = bytearray()
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "little"):
        ready, _, _ = select.select([answers], [], [], max(0.0, deadline - time.monotonic()))
        part = answers.read(1 << 16) if ready else b""
        if not part or len(data) > _LARGEST:
            return None
        data += part
    try:
        return msgspec.msgpack.decode(data[4:], type=_Answer)
    except msgspec.DecodeError:
        return None


def _how_it_ended(child: "subprocess.Popen[bytes]", spec: SpecSource, trace: IO[bytes], timeout: float) -> Problem:
    """The problem to tell of a child that gave no answer."""
    try:
        status = child.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return Problem(_too_long(timeout), spec.path)
    trace.seek(0)
    text = trace.read(1 << 16).decode(errors="replace")
    line = _line_of(text, spec.path)
    if text.startswith("Timeout ("):
        return Problem(_too_long(timeout), spec.path, line)
    if status < 0:
        return Problem(f"the spec crashed Python ({signal.Signals(-status).name}) while it was read", spec.path, line)
    last = text.strip().splitlines()[-1:] if status and not line else []
    said = f": {last[0]}" if last else ""
    return Problem(f"the spec ended the process (status {status}) while it was read{said}", spec.path, line)


def _too_long(timeout: float) -> str:
    return f"the spec was not read to its end within {timeout:g} s; it must only define tables, not wait or make data"


def _line_of(trace: str, path: str) -> int:
    """The innermost line of the spec that the fault handler wrote: of the thread at fault, else of the main one."""
    threads = re.split(r"\n(?=Thread 0x|Current thread 0x)", "\n" + trace)[1:]
    chosen = next((text for text in threads if text.startswith("Current")), threads[-1] if threads else "")
    written = path.encode("ascii", "backslashreplace").decode()
    found = re.search(rf'File "{re.escape(written)}", line (\d+)', chosen)
    return int(found[1]) if found else 0


def main(argv: Sequence[str]) -> NoReturn:
    """The other end: ANSWER, TRACE (descriptors) and SECONDS."""
    answer_to, trace_to, seconds = int(argv[0]), int(argv[1]), float(argv[2])
    process, end = os.getpid(), os._exit
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=_Task)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def refuse(status: int = 0) -> NoReturn:
        if os.getpid() != process:
            end(status)
        raise SystemExit(status)

    vars(os)["_exit"] = refuse
    faulthandler.enable(trace_to)
    faulthandler.dump_traceback_later(seconds, exit=True, file=trace_to)
    answer = _answer(SpecFile(task.name, task.path, task.data))
    if os.getpid() != process:
        end(1)
    faulthandler.cancel_dump_traceback_later()
    data = msgspec.msgpack.encode(answer)
    with os.fdopen(answer_to, "wb") as answers:
        answers.write(len(data).to_bytes(4, "little") + data)
    end(0)


def _answer(source: SpecFile) -> _Answer:
    from dgconsole.catalog.describe import describe

    try:
        return _Answer(describe(load_spec(source)), [])
    except InputError as error:
        problems = error.problems
    except BaseException as error:  # noqa: BLE001 - the user's code may raise anything
        problems = stopped(source, error).problems
    return _Answer(None, [_Place(p.what, p.file, p.line, p.key) for p in problems])


if __name__ == "__main__":
    main(sys.argv[1:])
