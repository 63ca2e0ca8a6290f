"""The commands: parse first, import late; exit statuses and what stderr says are decided here alone."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from dgconsole import __version__
from dgconsole.support.arguments import Parser, whole
from dgconsole.support.errors import InputError

OK = 0
BAD_INPUT = 2
INTERRUPTED = 130

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


def guarded(main: Main, argv: Sequence[str] | None = None) -> int:
    """Run one command; bad input becomes its lines on stderr and status 2, an interrupt 130."""
    try:
        return main(sys.argv[1:] if argv is None else argv)
    except InputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
