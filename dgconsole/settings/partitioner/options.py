"""dgpartition's options: the command line read, merged with the ``.cfg`` files, checked as a whole."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from dgconsole.settings.partitioner.config import build
from dgconsole.settings.partitioner.forms import read_config
from dgconsole.settings.partitioner.keys import BY_NAME, OPTIONS, Kind, Option
from dgconsole.settings.partitioner.values import Values, merge
from dgconsole.settings.structs import PartitionerConfig, TextFile
from dgconsole.support.errors import InputError, Problem

CommandLine = dict[str, tuple[str, ...]]
"""Option name -> the values given, none for a flag."""

MOST_NODES = 99999


class PartitionerOptions(Struct, frozen=True, kw_only=True):
    """Everything one run of dgpartition needs to know. Sizes are in bytes."""

    config: PartitionerConfig
    inputs: tuple[str, ...]
    out_dir: str
    nodes: int
    index: str | None
    """The path in ``part.id-url``."""
    chunks: bool
    """False: only the index is wanted."""
    block_size: int
    pool_size: int
    verbose: bool


def parse_command_line(argv: Sequence[str]) -> CommandLine:
    """``--name value``, ``--name=value``, ``-n value``, unambiguous beginnings; loose words are passed over."""
    given: CommandLine = {}
    words = iter(argv)
    for word in words:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            option = _option(name)
        elif word.startswith("-") and len(word) > 1:
            option = _short(word[1])
            value, equals = word[2:], word[2:]
        else:
            continue
        if option.kind is Kind.FLAG:
            if equals:
                raise InputError(f"--{option.name} takes no value; leave out {value!r}")
            given[option.name] = ()
            continue
        if not equals:
            following = next(words, None)
            if following is None:
                raise InputError(f"--{option.name} needs a value after it")
            value = following
        given[option.name] = (*given.get(option.name, ()), value)
    return given


def _option(name: str) -> Option:
    if name in BY_NAME:
        return BY_NAME[name]
    if name == "in":
        return BY_NAME["in.path"]
    likely = [option for option in OPTIONS if option.name.startswith(name)]
    if len(likely) == 1:
        return likely[0]
    if likely:
        raise InputError(f"--{name} may be any of {', '.join(option.name for option in likely)}; write more of it")
    raise InputError(f"--{name}: no such option; --help lists them")


def _short(letter: str) -> Option:
    for option in OPTIONS:
        if option.short == letter:
            return option
    raise InputError(f"-{letter}: no such option; --help lists them")


def read_files(paths: Sequence[str]) -> tuple[TextFile, ...]:
    """The ``-c`` files, in order."""
    files, problems = [], []
    for path in paths:
        try:
            files.append(TextFile(Path(path).name, path, Path(path).read_bytes()))
        except OSError as error:
            problems.append(Problem(f"cannot be read ({error.strerror}); check the name after -c", path))
    InputError.raise_if(problems)
    return tuple(files)


def merge_options(files: Sequence[TextFile], command_line: CommandLine) -> PartitionerOptions:
    """Raise ``InputError`` with every problem of files and command line together."""
    values = Values(merge([read_config(file) for file in files], command_line))
    config = build(values, table=values.text("part.prefix", "chunk"), path=files[0].path if files else "")
    options = PartitionerOptions(
        config=config,
        inputs=values.texts("in.path") or (),
        out_dir=values.text("out.dir"),
        nodes=values.whole("out.num-nodes", 1, 1, MOST_NODES),
        index=_index(values),
        chunks=not values.flag("part.disable-chunks"),
        block_size=values.whole("mr.block-size", 4, 1, 1024) << 20,
        pool_size=values.whole("mr.pool-size", 1024, 0) << 20,
        verbose="verbose" in command_line,
    )
    values.whole("mr.num-workers", 1, 1)
    if not options.out_dir:
        values.problem("out.dir", "no output folder; give one with --out.dir")
    if not options.inputs and "in.path" not in values:
        values.problem("in.path", "no input; name files with --in.path")
    for key in ("in.is-parquet", "in.parq2csv-quote"):
        if values.flag(key):
            values.problem(key, "Parquet input is not supported; turn the files into CSV first")
    InputError.raise_if(values.problems)
    return options


def _index(values: Values) -> str | None:
    if "part.pos" in values:
        return None
    if "part.id-url" not in values:
        values.problem("part.id-url", "not given; a table without part.pos needs its director's index, file:///path")
        return None
    url = values.text("part.id-url")
    if not url.startswith("file:///"):
        values.problem("part.id-url", f"{url!r} is no file:///path; other places are not supported")
    return url.removeprefix("file://")


def help_text() -> str:
    """The options, one a line."""
    lines = ["usage: dgpartition -c Table.cfg [-c common.cfg] --in.path FILE ... --out.dir DIR [options]", ""]
    for option in OPTIONS:
        name = f"-{option.short} --{option.name}" if option.short else f"--{option.name}"
        value = "" if option.kind is Kind.FLAG else " VALUE"
        lines.append(f"  {name + value:<32} {option.help}")
    return "\n".join(lines) + "\n"
