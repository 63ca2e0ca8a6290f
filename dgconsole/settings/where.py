"""Where serverCfg.yml says what turns out to be wrong only when it is tried."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dgconsole.settings.structs import RunSettings
from dgconsole.settings.yamltree import parse_yaml
from dgconsole.support.errors import InputError, Problem


@contextmanager
def placed(settings: RunSettings) -> Iterator[None]:
    """Problems with keys of serverCfg.yml get the file and the line they stand on."""
    try:
        yield
    except InputError as error:
        raise InputError(*(_placed(problem, settings) for problem in error.problems)) from error


def _placed(problem: Problem, settings: RunSettings) -> Problem:
    if problem.file or not problem.key or problem.key.startswith("-"):
        return problem
    node = parse_yaml(settings.server_file)
    for part in problem.key.split("."):
        entries = node.value if isinstance(node.value, dict) else {}
        if part not in entries:
            break
        node = entries[part]
    return replace(problem, file=settings.path, line=node.line)
