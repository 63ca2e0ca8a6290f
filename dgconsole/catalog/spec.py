"""Spec files: read, run in this process, checked."""

import ast
import contextlib
import sys
import warnings
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import NamedTuple, Protocol

from dgconsole.catalog.check import Checker
from dgconsole.catalog.dialects import original_packages
from dgconsole.catalog.globalstream import global_stream
from dgconsole.catalog.model import Spec
from dgconsole.catalog.sourcelines import SourceLines, read_lines
from dgconsole.support.errors import InputError, Problem

_LONGEST = 300


class SpecSource(Protocol):
    """A spec file as read: its name (no folders), where it came from, its content."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class SpecFile(NamedTuple):
    """The simplest `SpecSource`."""

    name: str
    path: str
    data: bytes


def read_spec(path: Path) -> SpecFile:
    """The file at ``path``, not run yet. Raises InputError where it can't be read."""
    try:
        return SpecFile(path.name, str(path), path.read_bytes())
    except OSError as error:
        raise InputError(Problem(f"the spec can't be read: {error.strerror}", str(path))) from error


def load_spec(source: SpecSource, *, cwd: Path | None = None) -> Spec:
    """Run a spec file in this process and check what it defines.

    The file is run as a module of its own, with ``cwd`` as current directory, with the original's package names
    in place, and with the global random streams seeded, so that every process reads the same spec.

    Raises
    ------
    InputError
        The file is no Python, raises, ends the process by ``sys.exit``, or defines no valid spec: all
        problems of the last kind at once, each with its line.
    """
    code, lines = _compile(source)
    module = ModuleType(f"spec_{Path(source.name).stem}")
    sys.modules[module.__name__] = module
    try:
        with original_packages(), global_stream(0), contextlib.chdir(cwd or Path.cwd()):
            exec(code, vars(module))  # noqa: S102
    except InputError as error:
        raise InputError(*(_placed(problem, source, error.__traceback__) for problem in error.problems)) from error
    except (Exception, SystemExit) as error:
        raise stopped(source, error) from error
    return Checker(Path(source.name).stem, source.path, vars(module), lines).spec()


def stopped(source: SpecSource, error: BaseException) -> InputError:
    """What a spec raised, as bad input with the line of the spec that led to it."""
    return InputError(Problem(_in_words(error), source.path, _line_in(source, error.__traceback__)))


def _in_words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    match error:
        case SystemExit():
            return f"the spec ends the process (exit({error.code!r})); it must only define tables: take that out"
        case ModuleNotFoundError():
            return f"{text}; install it for {sys.executable}, or take the import out"
        case SyntaxError(filename=str() as name, lineno=int() as line):
            return f"the spec imports what is not valid Python: {error.msg} ({name}:{line})"
        case ValueError() | TypeError() if _of_vocabulary(error.__traceback__):
            return text
    return f"the spec raises {type(error).__name__}{': ' if text else ''}{text}"


def _of_vocabulary(trace: TracebackType | None) -> bool:
    """Whether it was one of our own classes that refused what the spec gave it."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(trace.tb_frame.f_code.co_filename).parent == Path(__file__).parent


def _line_in(source: SpecSource, trace: TracebackType | None) -> int:
    """The innermost line of the spec file in a traceback; 0 where it is not in it."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source.path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _compile(source: SpecSource) -> tuple[CodeType, SourceLines]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source.data, source.path)
            return compile(tree, source.path, "exec", dont_inherit=True), read_lines(tree)
    except SyntaxError as error:
        raise InputError(Problem(f"not valid Python: {error.msg}", source.path, error.lineno or 0)) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputError(Problem(f"not valid Python: {error}", source.path)) from error


def _placed(problem: Problem, source: SpecSource, trace: TracebackType | None) -> Problem:
    if problem.file:
        return problem
    return Problem(problem.what, source.path, _line_in(source, trace), problem.key)
