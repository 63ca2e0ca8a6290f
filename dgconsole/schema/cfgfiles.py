"""The partitioner's ``<Table>.cfg`` files: made whole, or with new field lists in what is there."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from dgconsole.catalog.description import SpecDescription
from dgconsole.ingest.schema import CHUNK, SUB_CHUNK
from dgconsole.schema.order import made_order
from dgconsole.schema.parts import Part
from dgconsole.settings.files import read_file
from dgconsole.settings.partitioner.config import load_partitioner
from dgconsole.settings.structs import TextFile
from dgconsole.settings.yamltree import decode
from dgconsole.support.errors import InputError, Problem


class Fields(Struct, frozen=True):
    """What a table's ``.cfg`` says: fields as made and as written, and (director) its position, else None."""

    table: str
    made: tuple[str, ...]
    written: tuple[str, ...]
    id: str
    position: tuple[str, str] | None


def of_felis(parts: Sequence[Part]) -> list[Fields]:
    """Of all tables that are cut in chunks."""
    found = []
    for part in parts:
        if part.partitioned:
            made = made_order(part)
            written = tuple(name for name in part.table.names if name in made)
            director = part.role == "director"
            key = part.id if director else part.key
            found.append(Fields(part.table.name, made, written, key, part.position if director else None))
    return found


def of_spec(spec: SpecDescription, tables: Iterable[str] = ()) -> list[Fields]:
    """Of the directors that a spec names and their children, or of those with a position if it names none."""
    directors = spec.directors
    if directors is None:
        directors = {table.name: {} for table in spec.tables if table.ra and not table.visit_column}
    keys = {child: key for children in directors.values() for child, key in children.items()}
    wanted = list(tables) or [*directors, *keys]
    found = []
    for table in spec.tables:
        if table.name in wanted and not table.from_file:
            names = tuple(column.name for column in table.columns)
            if table.name in keys:
                found.append(Fields(table.name, names, names, keys[table.name], None))
            else:
                own = table.id_column or table.visit_column
                found.append(Fields(table.name, names, names, own, (table.ra, table.dec) if table.ra else None))
    return found


def cfg_files(
    fields: Iterable[Fields], tiling: tuple[int, int], overlap: float, *, beside: Path | None
) -> dict[str, bytes]:
    """Name -> content. A table's file in the folder ``beside``, or its ``_template.cfg``, keeps all but its fields.

    Raises
    ------
    InputError
        A file there is no strict JSON, or the result would not be read again.
    """
    problems: list[Problem] = []
    files = {}
    for each in fields:
        name = f"{each.table}.cfg"
        try:
            tree = _there(beside, each.table) or _fresh(each, tiling, overlap)
            for side, names in (("in", each.made), ("out", (*each.written, CHUNK, SUB_CHUNK))):
                tree.setdefault(side, {}).setdefault("csv", {})["field"] = list(names)
            files[name] = json.dumps(tree, indent=4).encode() + b"\n"
            load_partitioner(TextFile(name, str((beside or Path()) / name), files[name]))
        except InputError as error:
            problems += error.problems
    InputError.raise_if(problems)
    return files


def _there(folder: Path | None, table: str) -> dict[str, Any] | None:
    names = () if folder is None else (f"{table}.cfg", f"{table}_template.cfg")
    path = next((folder / name for name in names if folder is not None and (folder / name).is_file()), None)
    if path is None:
        return None
    file = read_file(path)
    try:
        tree = json.loads(decode(file))
        if all(isinstance(tree.get(side, {}).get("csv", {}), dict) for side in ("in", "out")):
            return dict(tree)
    except (ValueError, AttributeError, RecursionError):
        pass
    what = "is no strict JSON, so that its fields can't be replaced: write them into another folder"
    raise InputError(Problem(what, file.path))


def _fresh(fields: Fields, tiling: tuple[int, int], overlap: float) -> dict[str, Any]:
    part: dict[str, Any] = {"num-stripes": tiling[0], "num-sub-stripes": tiling[1]}
    if fields.position is not None:
        part["pos"] = ", ".join(fields.position)
    part["overlap"] = overlap if fields.position is not None else 0.0
    if fields.id:
        part["id"] = fields.id
    part |= {"chunk": CHUNK, "sub-chunk": SUB_CHUNK}
    return {
        "part": part,
        "in": {"csv": {"delimiter": ",", "null": "", "field": []}},
        "out": {"csv": {"delimiter": "\t", "null": "\\N", "escape": "\\", "no-quote": True, "field": []}},
    }
