"""The dgpartition command: partitions existing CSV files as sph-partition does."""

import sys
from collections.abc import Sequence

from dgconsole.partition.run import Partitioner
from dgconsole.settings.partitioner.options import help_text, merge_options, parse_command_line, read_files
from dgconsole.support.errors import InputError


def main(argv: Sequence[str]) -> int:
    """Exit status: 0 done, 1 any error (one line on stderr, nothing written), 130 interrupted."""
    try:
        given = parse_command_line(argv)
        if "help" in given:
            sys.stdout.write(help_text())
            return 0
        options = merge_options(read_files(given.get("config-file", ())), given)
        totals = Partitioner(options).run()
    except InputError as error:
        return _fail("; ".join(map(str, error.problems)))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except MemoryError:
        return _fail("out of memory; set a smaller mr.block-size")
    except KeyboardInterrupt:
        _fail("interrupted; the output is as it was before")
        return 130
    if options.verbose:
        sys.stdout.write(f"{totals.rows} rows, {totals.copies} copies in overlaps\n")
    return 0


def _fail(what: str) -> int:
    sys.stderr.write(f"dgpartition: {what}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
