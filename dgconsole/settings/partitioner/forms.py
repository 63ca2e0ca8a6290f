"""A ``.cfg`` file as read: strict JSON where it is that, else the relaxed form; with the line of every key."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dgconsole.settings.partitioner.relaxed import Entry, parse_relaxed
from dgconsole.settings.structs import TextFile
from dgconsole.support.errors import InputError, Problem

Tree = dict[str, object]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file.

    Parameters
    ----------
    path
        As the user named it.
    tree
        JSON: the object as it stands. Relaxed: None.
    texts
        Relaxed: dotted key -> its values (none for a flag).
    lines
        Dotted key -> line, where known.
    """

    path: str
    tree: Tree | None
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def read_config(file: TextFile) -> ConfigFile:
    """Raise ``InputError`` for a file that is neither JSON nor the relaxed form."""
    try:
        text = file.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.data.count(b"\n", 0, error.start) + 1
        raise InputError(Problem("not UTF-8 text; save it as UTF-8", file.path, line)) from error
    if not text.strip():
        raise InputError(Problem("the file is empty; it must hold a configuration", file.path))
    start = len(text) - len(text.lstrip())
    try:
        tree, end = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        return _relaxed(file.path, text, error)
    if not isinstance(tree, dict):
        if text[start] in "[\"'":
            raise InputError(Problem("the file must hold one JSON object, { ... }", file.path, 1))
        return _relaxed(file.path, text, ValueError("no JSON object"))
    return ConfigFile(file.path, tree, lines=_lines_of_json(text[:end], file.path))


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _relaxed(path: str, text: str, strict: Exception) -> ConfigFile:
    try:
        entries = parse_relaxed(text, path)
    except InputError as error:
        if not isinstance(strict, json.JSONDecodeError) or not text.lstrip().startswith("{"):
            raise
        relaxed = error.problems[0]
        what = (
            f"not valid JSON ({strict.msg}, line {strict.lineno}), and not the relaxed form either ({relaxed.what})"
        )
        raise InputError(Problem(what, path, strict.lineno)) from error
    texts: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        texts[entry.key] = texts.get(entry.key, ()) + (() if entry.value is None else (entry.value,))
    return ConfigFile(path, None, texts, _first_lines(entries))


def _lines_of_json(text: str, path: str) -> dict[str, int]:
    """JSON reads the same under the relaxed grammar, which knows its lines."""
    try:
        return _first_lines(parse_relaxed(text, path))
    except InputError:
        return {}


def _first_lines(entries: tuple[Entry, ...]) -> dict[str, int]:
    lines: dict[str, int] = {}
    for entry in entries:
        lines.setdefault(entry.key, entry.line)
    return lines


def merge_patch(into: Tree, patch: Mapping[str, object]) -> Tree:
    """JSON merge patch (RFC 7396): objects merge, everything else replaces, null removes."""
    merged = dict(into)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            old = merged.get(key)
            merged[key] = merge_patch(old if isinstance(old, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def leaves(
    tree: Mapping[str, object], options: frozenset[str], prefix: str = ""
) -> Iterator[tuple[str, object, bool]]:
    """Every (dotted key, value, plain) of a tree.

    ``plain`` is False where a part of the key itself holds a dot: such a key names no option. Descent ends
    at the name of an option, so that an object in the place of a value is seen.
    """
    for part, value in tree.items():
        key = f"{prefix}.{part}" if prefix else part
        if isinstance(value, dict) and (key not in options or "." in part):
            yield from ((k, v, p and "." not in part) for k, v, p in leaves(value, options, key))
        else:
            yield key, value, "." not in part
