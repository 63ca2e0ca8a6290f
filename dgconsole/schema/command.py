"""``dgschema``: ingest JSON, ``.cfg`` files and spec skeletons from a schema or the spec, and whether all agree."""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from dgconsole.catalog.description import SpecDescription
from dgconsole.catalog.examine import examine
from dgconsole.plan.load import load_plan
from dgconsole.schema import cfgfiles, database
from dgconsole.schema.felis import FelisSchema, load_felis
from dgconsole.schema.files import write_files
from dgconsole.schema.parts import Part, parts_of
from dgconsole.settings.server import find_spec, load_settings, read_preparation
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.arguments import Parser, whole
from dgconsole.support.errors import InputError, Problem

STRIPES, SUB_STRIPES, OVERLAP = 200, 5, 0.01667


def main(argv: Sequence[str]) -> int:
    """The command; 0, or InputError for all that is wrong."""
    given = _parser().parse_args(argv)
    run: Callable[[Namespace], int] = given.run
    return run(given)


def _parser() -> Parser:
    parser = Parser(
        "dgschema",
        "Ingest JSON, the partitioner's .cfg files and a spec to begin with, from a Felis schema or from the spec;\n"
        "and whether all of them agree.",
        epilog="dgschema COMMAND --help shows the options of a command. docs/schema.md goes through them by task.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    ingest = commands.add_parser(
        "ingest",
        help="ingest JSON: the database and a file for each table",
        description="Write the ingest JSON of a database: from spec and .cfg files (--config), with the types\n"
        "of a Felis schema (--config and --felis), or from the schema alone (--felis).",
    )
    ingest.set_defaults(run=_ingest)
    cfg = commands.add_parser(
        "cfg",
        help="the partitioner's .cfg files",
        description="Write <Table>.cfg for the tables that are cut in chunks. A file in strict JSON that is there\n"
        "already (with --overwrite), or a <Table>_template.cfg, keeps all but its two field lists.",
    )
    cfg.set_defaults(run=_cfg)
    for command in (ingest, cfg):
        command.add_argument("--config", type=Path, metavar="FILE", help="serverCfg.yml, for the spec that it names")
        command.add_argument("--out", type=Path, metavar="DIR", required=True, help="the folder to write into")
        command.add_argument("--overwrite", action="store_true", help="replace files that are there")
    spec = commands.add_parser(
        "spec",
        help="a spec to begin with",
        description="Print a spec for a Felis schema: one entry a table, a generator for each column, guessed by\n"
        "its name and type.",
    )
    spec.set_defaults(run=_spec)
    for command in (ingest, cfg, spec):
        _add_schema(command, required=command is spec)
    ingest.add_argument("--database", metavar="NAME", help="its name (default: the schema's, or ingest.dbName)")
    check = commands.add_parser(
        "check",
        help="whether spec, .cfg and ingest JSON agree",
        description="Hold spec, .cfg and ingest JSON against each other, as every start does; status 2 and a line\n"
        "for each place where they don't agree. Lines of 'prepare' are not run.",
    )
    check.set_defaults(run=_check)
    check.add_argument("--config", type=Path, metavar="FILE", required=True, help="serverCfg.yml")
    return parser


def _add_schema(command: Parser, *, required: bool) -> None:
    command.add_argument("--felis", type=Path, metavar="FILE", required=required, help="a schema in Felis' YAML")
    command.add_argument("--tables", type=_names, default=(), metavar="A,B", help="only these tables")
    command.add_argument(
        "--director",
        type=_director,
        action="append",
        default=[],
        metavar="TABLE=ID,RA,DEC",
        help="a table with positions of its own, where names don't tell",
    )
    command.add_argument(
        "--child",
        type=_child,
        action="append",
        default=[],
        metavar="TABLE=DIRECTOR,KEY",
        help="a table that follows a director by its column KEY",
    )
    command.add_argument("--stripes", type=whole("--stripes", least=1, most=10_000), metavar="N", help=f"({STRIPES})")
    command.add_argument(
        "--sub-stripes",
        type=whole("--sub-stripes", least=1, most=10_000),
        metavar="N",
        help=f"({SUB_STRIPES})",
    )
    command.add_argument("--overlap", type=_degrees, metavar="DEGREES", help=f"({OVERLAP})")


# ---- the commands


def _ingest(given: Namespace) -> int:
    if given.config is not None:
        _refuse(given, "spec and .cfg files", "director", "child", "stripes", "sub_stripes", "overlap", "tables")
        settings, plan = load_plan(given.config, overrides={"ingest.cfgDir": ""})
        made = database.of_spec(settings, plan, load_felis(given.felis) if given.felis is not None else None)
    else:
        schema, parts = _schema(given)
        made = database.of_felis(
            schema, parts, database=given.database or schema.name, tiling=_tiling(given), overlap=_overlap(given)
        )
        _tell(parts)
    if given.database:
        made = database.named(made, given.database)
    for words in database.objections(made):
        _say(f"Qserv would refuse this: {words}")
    return _write(given, database.json_files(made))


def _cfg(given: Namespace) -> int:
    if given.config is not None and given.felis is None:
        _refuse(given, "the spec", "director", "child", "stripes", "sub_stripes")
        spec = _examined(given.config)
        fields = cfgfiles.of_spec(spec, given.tables)
        tiling = (spec.num_stripes, spec.num_sub_stripes)
    elif given.config is not None:
        raise InputError("--config, --felis: one of them, the other stays out")
    else:
        _, parts = _schema(given)
        fields, tiling = cfgfiles.of_felis(parts), _tiling(given)
        _tell(parts)
    if not fields:
        raise InputError("no table has a position or follows one that has: name one with --director TABLE=ID,RA,DEC")
    return _write(given, cfgfiles.cfg_files(fields, tiling, _overlap(given), beside=given.out))


def _spec(given: Namespace) -> int:
    from dgconsole.schema.skeleton import skeleton

    schema, parts = _schema(given)
    if all(part.role != "director" for part in parts):
        raise InputError(
            Problem("no table has an id and a position: name one with --director TABLE=ID,RA,DEC", schema.path)
        )
    _tell(parts)
    print(skeleton(schema, parts, _tiling(given), _overlap(given)), end="")  # noqa: T201
    return 0


def _check(given: Namespace) -> int:
    try:
        settings, plan = load_plan(given.config)
    except InputError as error:
        raise InputError(*error.problems, *_unprepared(given.config)) from error
    for notice in plan.notices:
        _say(notice)
    delivered = [table for table in plan.tables if table.delivered]
    described = {table.table for table in settings.ingest_tables}
    for table in delivered:
        json = "ingest JSON" if table.name in described else "no ingest JSON"
        print(f"{table.name}: {table.role}, {len(table.columns)} columns; spec and .cfg agree, {json}")  # noqa: T201
    return 0


# ---- their parts


def _schema(given: Namespace) -> tuple[FelisSchema, tuple[Part, ...]]:
    if given.felis is None:
        raise InputError("--felis FILE, or --config FILE: say what to start from")
    schema = load_felis(given.felis, given.tables)
    InputError.raise_if(
        Problem(
            f"table '{table.name}': names of tables are letters and digits; leave it out with --tables",
            schema.path,
            table.line,
        )
        for table in schema.tables
        if not table.name.isalnum()
    )
    return schema, parts_of(schema, dict(given.director), dict(given.child))


def _tiling(given: Namespace) -> tuple[int, int]:
    tiling = given.stripes or STRIPES, given.sub_stripes or SUB_STRIPES
    try:
        tiling_of(*tiling)
    except ValueError as error:
        raise InputError(f"--stripes {tiling[0]} --sub-stripes {tiling[1]}: {error}") from error
    return tiling


def _overlap(given: Namespace) -> float:
    return OVERLAP if given.overlap is None else float(given.overlap)


def _examined(config: Path) -> SpecDescription:
    """The spec that serverCfg.yml names, whether or not the other files are there yet."""
    found = find_spec(config)
    if found is None:
        load_settings(config)
        raise InputError(Problem("names no spec: set fakeDataGenerator.cfgFileName", str(config)))
    spec, folder = found
    return examine(spec, cwd=folder)


def _unprepared(config: Path) -> list[Problem]:
    """A word on lines that may make what is missing."""
    try:
        preparation = read_preparation(config)
    except InputError:
        return []
    what = "its lines have not been run for this: a start runs them before it looks"
    return [Problem(what, preparation.file, preparation.lines[0][0], "prepare")] if preparation.lines else []


def _refuse(given: Namespace, whose: str, *options: str) -> None:
    for option in options:
        if getattr(given, option):
            raise InputError(f"--{option.replace('_', '-')}: with --config, {whose} say that")


def _tell(parts: Sequence[Part]) -> None:
    """What was guessed, so that a person sees where it is wrong."""
    for part in parts:
        words = {
            "director": f"a director, id {part.id}, position {part.position[0]}, {part.position[1]}",
            "child": f"follows {part.director} by {part.key}",
            "visits": "visits",
            "plain": "not cut in chunks: neither id and position nor a director",
        }
        _say(f"{part.table.name}: {words[part.role]}")


def _write(given: Namespace, files: dict[str, bytes]) -> int:
    write_files(given.out, files, overwrite=given.overwrite)
    for name in files:
        print(given.out / name)  # noqa: T201
    return 0


def _say(line: str) -> None:
    print(f"dgschema: {line}", file=sys.stderr)  # noqa: T201


# ---- options


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _director(text: str) -> tuple[str, tuple[str, ...]]:
    table, _, rest = text.partition("=")
    names = tuple(name.strip() for name in rest.split(","))
    if not table or len(names) != 3 or not all(names):
        raise InputError(f"--director {text!r}: write TABLE=ID,RA,DEC")
    return table, names


def _child(text: str) -> tuple[str, tuple[str, ...]]:
    table, _, rest = text.partition("=")
    names = tuple(name.strip() for name in rest.split(","))
    if not table or len(names) != 2 or not all(names):
        raise InputError(f"--child {text!r}: write TABLE=DIRECTOR,KEY")
    return table, names


def _degrees(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 10:
        raise InputError(f"--overlap {text!r}: give degrees from 0 to 10")
    return value
