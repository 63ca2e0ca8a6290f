"""A spec to begin with, for a Felis schema: each column with a generator that its name and type suggest."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from dgconsole.plan.types import base_type, kind_of
from dgconsole.schema.felis import FelisColumn, FelisSchema
from dgconsole.schema.order import forced_columns, groups, is_error, is_flux, is_forced, position_group
from dgconsole.schema.parts import DEC, RA, Part

WIDTH = 100
BANDS = "ugrizy"
_VISITS = "CcdVisit"
_VISIT_TABLE = f'''\
    # Made for the others' sake: it has no .cfg, so it isn't delivered. --visits says how many there are in a chunk.
    "{_VISITS}": {{
        "columns": {{
            "ccdVisitId": columns.VisitIdGenerator(),
            "filterName": columns.FilterGenerator(filters="{BANDS}"),
            "ra,decl": columns.RaDecGenerator(),
        }},
    }},
'''
_MOMENTS = '''

class Moments(columns.ColumnGenerator):
    """Dates and times of ten years, as text."""

    def values(self, rows):
        start = np.datetime64("2026-01-01T00:00:00")
        seconds = (rows.uniform(len(rows.names)) * (10 * 365 * 86400)).astype("timedelta64[s]")
        return [np.char.replace((start + each).astype(str), "T", " ").astype(object) for each in seconds]

'''
_HEAD = '''\
"""A spec for the schema {name}, to be gone on with: the generators are guesses by the columns' names and types.

Look at a chunk of it with: datagen --chunk {chunk} THIS_FILE.py
"""

{imports}from dgconsole.catalog import Chunker, UniformSpatialModel, columns

# {stripes} stripes of {sub_stripes} sub-stripes; the .cfg files must say the same.
chunker = Chunker(0, {stripes}, {sub_stripes})
edge_width = {edge:g}
{own}
spec = {{
'''


def skeleton(schema: FelisSchema, parts: Sequence[Part], tiling: tuple[int, int], overlap: float) -> str:
    """The Python text of a spec: directors, visits, then children; other tables are named in comments."""
    from dgconsole.sky.tiling import tiling_of

    directors = [part for part in parts if part.role == "director"]
    children = [part for part in parts if part.role == "child"]
    visits = [part for part in parts if part.role == "visits"]
    density = '        # Objects per square degree.\n        "density": UniformSpatialModel(1000),\n'
    body = [_table(part, density) for part in directors]
    body += [_table(part) for part in visits]
    if children and not visits:
        body.append(_VISIT_TABLE)
    seen = visits[0].table.name if visits else _VISITS
    body += [_table(part, f'        "prereq_tables": ["{part.director}", "{seen}"],\n') for part in children]
    body += [
        f"    # {part.table.name}: neither position nor director; one can have it with from_file\n"
        for part in parts
        if part.role == "plain"
    ]
    written = "".join(body)
    moments = "Moments()" in written
    ids = tiling_of(*tiling).chunk_ids()
    head = _HEAD.format(
        name=schema.name,
        chunk=int(ids[len(ids) // 3]),
        imports="import numpy as np\n" if moments else "",
        stripes=tiling[0],
        sub_stripes=tiling[1],
        edge=math.ceil(overlap * 1000) / 1000,
        own=_MOMENTS if moments else "",
    )
    tail = ""
    for part in directors:
        own = [child for child in children if child.director == part.table.name]
        keys = ", ".join(f'"{child.table.name}": "{child.key}"' for child in own)
        tail += f'    "{part.table.name}": {{{keys}}},\n'
    return f"{head}{written}}}\n\ndirectors = {{\n{tail}}}\n"


def _table(part: Part, more: str = "") -> str:
    lines = "".join(_entry(names, generator) for names, generator in _entries(part))
    return f'    "{part.table.name}": {{\n{more}        "columns": {{\n{lines}        }},\n    }},\n'


def _entry(names: Sequence[str], generator: str) -> str:
    key = _key(names)
    line = f"{key}: {generator},\n"
    return line if "\n" not in key and len(line) <= WIDTH + 12 else f"{key}:\n                {generator},\n"


def _key(names: Sequence[str]) -> str:
    """The key of some columns, in texts of several lines where it is long."""
    rows = [""]
    for name in names:
        if rows[-1] and len(rows[-1]) + len(name) > WIDTH:
            rows.append("")
        rows[-1] += f"{name},"
    rows[-1] = rows[-1].rstrip(",")
    return "\n".join(f'            "{row}"' for row in rows)


def _entries(part: Part) -> Iterator[tuple[list[str], str]]:
    """(names with types, generator), columns that are made alike together."""
    columns = {column.name: column for column in part.table.columns}

    def suggested(group: tuple[str, ...]) -> tuple[str, str]:
        special = _special(part, group)
        return (special, "") if special else _by_name(columns[group[0]])

    for (make, count), found in groupby(groups(part), suggested):
        members = list(found)
        names = [name for group in members for name in group]
        if not count:
            yield [_typed(part, columns[name], paired=".SourceGenerator" in make) for name in names], make
        elif count == "1":
            for name in names:
                yield [_typed(part, columns[name])], make.format(n="")
        else:
            n = f"{count}={len(names)}" if count != "any" and len(names) > 1 else ""
            yield [_typed(part, columns[name]) for name in names], make.format(n=n).replace("(, ", "(")


def _typed(part: Part, column: FelisColumn, *, paired: bool = False) -> str:
    if paired:
        words = {part.id: "SID", part.key: "OID", part.visit: "VID", part.band: "CHAR(1)"}
        words |= {part.position[0]: "RA", part.position[1]: "DEC"}
        return f"{column.name}:{words[column.name]}"
    return f"{column.name}:{base_type(column.sql)}"


def _special(part: Part, group: tuple[str, ...]) -> str:
    """The generator of columns that have a part to play."""
    if part.role == "child":
        if is_forced(part) and group == forced_columns(part):
            return "columns.ForcedSourceGenerator(visit_radius=0.3)"
        if part.key in group:
            return "columns.SourceGenerator(visit_radius=0.3, target_percentage=0.3)"
        return ""
    if part.role in ("director", "visits") and group == position_group(part):
        return f"columns.RaDecGenerator({'include_err=True' if len(group) == 4 else ''})"
    if group == (part.id,):
        return "columns.VisitIdGenerator()" if part.role == "visits" else "columns.ObjIdGenerator()"
    if part.role == "visits" and group == (part.band,):
        return f'columns.FilterGenerator(filters="{BANDS}")'
    return ""


def _by_name(column: FelisColumn) -> tuple[str, str]:
    """A generator with a place for the number of columns, and what that is called; 1: one column at a time."""
    name = column.name.lower()
    kind, bits = kind_of(column.sql)
    uniform = "columns.UniformGenerator({{n}}, min_val={}, max_val={})"
    if kind == "time":
        return "Moments()", "any"
    if kind == "whole":
        if bits == 8 or "flag" in name:
            return uniform.format(0, 2), "n_columns"
        if name.endswith("id") and bits >= 32:
            return uniform.format(0, 2**31 - 1), "n_columns"
        return "columns.PoissonGenerator({n}, mean_val=10)", "n_columns"
    if kind != "real":
        return f'columns.FilterGenerator(filters="{BANDS}")', "1"
    if is_error(name):
        return uniform.format(0.05, 0.5), "n_columns"
    if is_flux(name):
        return "columns.MagnitudeGenerator({n}, min_mag=15, max_mag=27.5)", "n_mags"
    if name in RA or column.ucd.startswith("pos.eq.ra"):
        return uniform.format(0, 360), "n_columns"
    if name in DEC or column.ucd.startswith("pos.eq.dec"):
        return uniform.format(-90, 90), "n_columns"
    if any(word in name for word in ("mjd", "tai", "midpoint")):
        return uniform.format(61000, 64650), "n_columns"
    return uniform.format(0, 1), "n_columns"
