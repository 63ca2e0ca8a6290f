"""One table's ``.cfg`` checked and filled in: what the console's plan, the client and dgpartition share."""

from pathlib import PurePath

from dgconsole.settings.partitioner.dialect import read_dialect
from dgconsole.settings.partitioner.forms import ConfigFile, leaves, read_config
from dgconsole.settings.partitioner.keys import IN_FILES
from dgconsole.settings.partitioner.values import Values, merge
from dgconsole.settings.structs import PartitionerConfig, TextFile
from dgconsole.settings.suggest import nearest
from dgconsole.sky.overlap import Overlap
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.errors import InputError, Problem

OURS = ("part.", "in.csv.", "out.csv.")
"""Where a key that is none of ours is taken for a slip of the pen."""


def load_partitioner(file: TextFile) -> PartitionerConfig:
    """A table's configuration, the table's name being the file's without its extension.

    Raises
    ------
    InputError
        With every problem of the file.
    """
    config = read_config(file)
    values = Values(merge([config], {}))
    values.problems.extend(_unknown_keys(config))
    built = build(values, table=PurePath(file.name).stem, path=file.path)
    InputError.raise_if(
        problem if problem.file else Problem(problem.what, file.path, problem.line, problem.key)
        for problem in values.problems
    )
    return built


def build(values: Values, *, table: str, path: str) -> PartitionerConfig:
    """The configuration that ``values`` give; what is wrong is added to their problems."""
    given = values.texts("in.csv.field")
    in_fields = given or ()
    if given == () or "in.csv.field" not in values:
        values.problem("in.csv.field", "the input columns are not named; list them all, in order")
    if len(set(in_fields)) < len(in_fields):
        twice = sorted({name for name in in_fields if in_fields.count(name) > 1})
        values.problem("in.csv.field", f"{', '.join(twice)}: named more than once; every column needs its own name")
    position = _position(values, in_fields)
    chunk, sub_chunk = values.text("part.chunk"), values.text("part.sub-chunk", "subChunkId")
    if not chunk:
        values.problem("part.chunk", "the column for the chunk id is not named; add it, for example chunkId")
    identifier = values.text("part.id") or None
    if identifier is not None and in_fields and identifier not in in_fields:
        values.problem("part.id", f"{identifier} is not an input column; name one of in.csv.field")
    if identifier is None and "part.pos" not in values:
        values.problem("part.pos", "neither part.pos nor part.id is given; a table needs one of them")
    names = [*(position or ()), *((identifier,) if identifier else ()), chunk, sub_chunk]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        values.problem(
            "part.chunk", f"{', '.join(twice)}: part.pos, id, chunk and sub-chunk must name different columns"
        )
    stripes = values.whole("part.num-stripes", 18, 1)
    sub_stripes = values.whole("part.num-sub-stripes", 100, 1)
    out_fields = list(values.texts("out.csv.field") or in_fields)
    out_fields += [name for name in (chunk, sub_chunk) if name not in out_fields]
    return PartitionerConfig(
        table=table,
        path=path,
        pos=position,
        id=identifier,
        chunk=chunk,
        sub_chunk=sub_chunk,
        overlap=_overlap(values, stripes, sub_stripes),
        num_stripes=stripes,
        num_sub_stripes=sub_stripes,
        prefix=values.text("part.prefix", "chunk"),
        in_fields=in_fields,
        out_fields=tuple(out_fields),
        in_dialect=read_dialect(values, "in"),
        out_dialect=read_dialect(values, "out"),
    )


def _position(values: Values, in_fields: tuple[str, ...]) -> tuple[str, str] | None:
    if "part.pos" not in values:
        return None
    text = values.text("part.pos")
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        values.problem("part.pos", f"{text!r} is not a pair of columns; write 'longitude, latitude'")
        return None
    unknown = [name for name in names if in_fields and name not in in_fields]
    if unknown:
        values.problem("part.pos", f"{' and '.join(unknown)}: not among the input columns; name two of in.csv.field")
    return names[0], names[1]


def _overlap(values: Values, stripes: int, sub_stripes: int) -> float:
    radius = values.number("part.overlap", 0.01)
    if not 0 <= radius <= 10:
        values.problem("part.overlap", f"the overlap is {radius:g}; it must be 0 to 10 degrees")
        return 0.0
    try:
        tiling = tiling_of(stripes, sub_stripes)
    except ValueError as error:
        values.problem("part.num-stripes", str(error))
        return 0.0
    if "part.pos" not in values:
        return 0.0
    try:
        Overlap(tiling, radius)
    except ValueError as error:
        values.problem("part.overlap", str(error))
        return 0.0
    return radius


def _unknown_keys(config: ConfigFile) -> list[Problem]:
    problems = []
    for key, plain in _keys(config):
        if (plain and key in IN_FILES) or not key.startswith(OURS):
            continue
        if key in IN_FILES:
            what = "in JSON a key with a dot in it has no effect; write it as nested objects"
        else:
            likely = nearest(key, IN_FILES)
            what = f"no such option; did you mean {likely}?" if likely else "no such option; take it out"
        problems.append(Problem(what, config.path, config.lines.get(key, 0), key))
    return problems


def _keys(config: ConfigFile) -> list[tuple[str, bool]]:
    if config.tree is None:
        return [(key, True) for key in config.texts]
    return [(key, plain) for key, _, plain in leaves(config.tree, IN_FILES)]
