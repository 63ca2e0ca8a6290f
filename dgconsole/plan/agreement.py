"""Checks that need no roles: the same tables, tiling, columns and files wherever they are named."""

import shlex
from pathlib import Path

from dgconsole.ingest.mysql.statements import check_bases, check_loadable
from dgconsole.partition.text import check_streamable
from dgconsole.plan.context import Context
from dgconsole.settings.frozen import spec_folder
from dgconsole.settings.structs import IngestTable
from dgconsole.settings.suggest import did_you_mean
from dgconsole.sky.tiling import Tiling, tiling_of


def check_names(context: Context) -> None:
    """No file for a table that the spec lacks; such files are left out of the other checks."""
    for table in list(context.configs):
        if table not in context.tables:
            what = (
                f"the spec has no table '{table}': rename or remove the file; {did_you_mean(table, context.tables)}"
            )
            context.in_cfg(table, "", what)
            del context.configs[table]
    for table, described in list(context.ingest.items()):
        if table not in context.tables:
            context.notices.append(f"{described.path} describes '{table}', which the spec lacks: not used")
            del context.ingest[table]


def check_tiling(context: Context) -> Tiling | None:
    """The spec's tiling, which every ``.cfg`` and the ingest database must share; None when it is none."""
    stripes, sub_stripes = context.spec.num_stripes, context.spec.num_sub_stripes
    try:
        tiling = tiling_of(stripes, sub_stripes)
    except ValueError as exc:
        context.in_globals("chunker", str(exc))
        return None
    for table, config in context.configs.items():
        found = {
            "num-stripes": (config.num_stripes, stripes),
            "num-sub-stripes": (config.num_sub_stripes, sub_stripes),
        }
        for key, (here, there) in found.items():
            named = context.line_in_cfg(table, f"part.{key}") > 0
            # A child goes where its director goes: only a tiling that its file states can contradict.
            if here != there and (named or config.pos is not None):
                default = "" if named else " (the default)"
                what = f"is {here}{default}, the spec's chunker has {there}: make them agree"
                context.in_cfg(table, f"part.{key}", what)
    base = context.settings.ingest_database
    for key, there in (("num_stripes", stripes), ("num_sub_stripes", sub_stripes)):
        if base is not None and base.get(key) != there:
            path = _database_path(context)
            context.in_json(path, key, f"is {base.get(key)}, the spec's chunker has {there}: make them agree")
    return tiling


def check_overlap(context: Context, directors: list[str]) -> None:
    """The ingest database's overlap is the directors'; an edge narrower than it is worth a notice."""
    base = context.settings.ingest_database
    edge = edge_width(context)
    for table in directors:
        config = context.configs.get(table)
        if config is None:
            continue
        if base is not None and base.get("overlap") != config.overlap:
            what = f"is {base.get('overlap')}, {config.path} has {config.overlap}: make them agree"
            context.in_json(_database_path(context), "overlap", what)
        if edge < config.overlap:
            context.notices.append(
                f"edge_width ({edge}) is less than the overlap of {table} ({config.overlap}): "
                "files of 'datagen --edgeonly' will lack rows of the overlap"
            )


def edge_width(context: Context) -> float:
    """Degrees; only 'datagen --edgeonly' uses it."""
    return 0.018 if context.spec.edge_width is None else context.spec.edge_width


def check_fields(context: Context) -> None:
    """As many fields in each ``.cfg`` as the spec has columns, in one order: they go by place, names may differ."""
    for table, config in context.configs.items():
        if not context.fields_fit(table):
            here, there = len(config.in_fields), len(context.tables[table].columns)
            what = f"has {here} fields, the spec's table '{table}' has {there} columns: they go by place, one for one"
            context.in_cfg(table, "in.csv.field", what)
            continue
        names = context.names(table)
        for place, (field, name) in enumerate(zip(config.in_fields, names, strict=True), 1):
            if field != name and field in names:
                there = names.index(field) + 1
                what = f"field {place} is '{field}', the spec has '{name}' there and '{field}' at {there}"
                context.in_cfg(table, "in.csv.field", f"{what}: put them in one order, they go by place")
                break


def check_dialects(context: Context) -> None:
    """Rows that never were CSV can be written in the dialect of each ``.cfg``."""
    for table, config in context.configs.items():
        for problem in check_streamable(config):
            context.in_cfg(table, problem.key, problem.what)


def check_loading(context: Context) -> None:
    """What is written can be loaded into a database, where the run does that."""
    if context.settings.ingest_kind != "mysql":
        return
    for table, what in check_bases(list(context.configs)):
        context.in_cfg(table, "", what)
    for table, config in context.configs.items():
        for key, what in check_loadable(config.out_dialect):
            context.in_cfg(table, f"out.csv.{key}", what)
        folded = [name.lower() for name in config.out_fields]
        if twice := [name for place, name in enumerate(config.out_fields) if name.lower() in folded[:place]]:
            what = f"a table has no two columns of one name, upper or lower case: {', '.join(twice)}"
            context.in_cfg(table, "out.csv.field", what)


def check_files(context: Context) -> None:
    """Tables from a file: the file is there, and nothing delivers it."""
    for name, table in context.tables.items():
        if not table.from_file:
            continue
        if name in context.configs:
            what = f"'{name}' comes from a file and isn't delivered: remove this file or give it another extension"
            context.in_cfg(name, "", what)
        plain = Path(table.from_file).name == table.from_file
        place = spec_folder(context.settings) / table.from_file
        if not plain:
            context.in_spec(
                f"'{table.from_file}' must be a plain name: it lies in pregenerated.cfgDir", name, "from_file"
            )
        elif context.settings.pregenerated_dir is None:
            what = f"set pregenerated.cfgDir to the folder that holds '{table.from_file}'"
            context.in_spec(f"comes from a file: {what}", name, "from_file")
        elif not place.is_file():
            folder = Path(context.settings.pregenerated_dir)
            shown = shlex.quote(_shown(folder / table.from_file))
            made = "" if folder.is_dir() else f"mkdir -p {shlex.quote(_shown(folder))} && "
            context.in_spec(f"{shown} is missing: make it with '{made}dgvisits -o {shown}'", name, "from_file")


def check_ingest(context: Context, directors: list[str], children: dict[str, tuple[str, str]]) -> None:
    """The ingest JSON of each delivered table: its role, and its columns in the order of the ``.cfg``."""
    for table, described in context.ingest.items():
        if table not in context.configs:
            continue
        if not described.is_partitioned:
            context.in_json(
                described.path, "is_partitioned", f"is 0, but {context.configs[table].path} cuts it in chunks"
            )
        elif described.is_director != (table in directors):
            role = "a director" if table in directors else "no director: set it to 0, and director_table"
            context.in_json(described.path, "is_director", f"'{table}' is {role}")
        elif table in children and described.raw.get("director_key") not in (None, children[table][1]):
            context.notices.append(
                f"{described.path}: director_key is '{described.raw['director_key']}', "
                f"the plan follows '{children[table][0]}' by '{children[table][1]}'"
            )
        _check_columns(context, described)
    if context.ingest:
        for table in context.configs:
            if table not in context.ingest:
                context.notices.append(f"no ingest JSON describes '{table}': its types are the spec's")


def _check_columns(context: Context, described: IngestTable) -> None:
    config = context.configs[described.table]
    fields, columns = config.out_fields, [name for name, _ in described.columns]
    if len(fields) != len(columns):
        what = f"has {len(columns)} columns, {config.path} writes {len(fields)}: they go by place, one for one"
        context.in_json(described.path, "schema", what)
        return
    fit = context.fields_fit(described.table)
    own = [context.column_of(described.table, name) if fit and name in config.in_fields else name for name in fields]
    for place, name in enumerate(columns):
        if name in (fields[place], own[place]):
            continue
        if name in fields or name in own:
            what = (
                f"column {place + 1} is '{name}', {config.path} writes '{fields[place]}' there: put them in one order"
            )
            context.in_json(described.path, "schema", what)
            return


def _database_path(context: Context) -> str:
    tables = {table.path for table in context.settings.ingest_tables}
    return next(file.path for file in context.settings.ingest_files if file.path not in tables)


def _shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
