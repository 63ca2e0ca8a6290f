"""Where in a spec file its tables, keys and columns are written, read from the source without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class SourceLines:
    """Line numbers, counted from 1, of what a spec file defines at its top level; 0 where the source doesn't show it.

    A spec is Python and may build its dicts in any way; literals, ``dict(...)`` calls, names of either and
    later additions (``spec["T"] = {...}``, ``spec.update(...)``) are followed, anything else is not.
    """

    names: dict[str, int] = field(default_factory=dict)
    entries: dict[tuple[str, ...], int] = field(default_factory=dict)
    repeated: list[tuple[tuple[str, ...], int]] = field(default_factory=list)
    """Keys written twice in one dict literal (Python keeps the last): the path of keys, and the second line."""

    def of(self, *path: str) -> int:
        """The line of ``spec[path[0]][path[1]]...``, or of the nearest thing around it."""
        while path:
            if path in self.entries:
                return self.entries[path]
            path = path[:-1]
        return self.names.get("spec", 0)


def read_lines(tree: ast.Module) -> SourceLines:
    """Collect the lines of a parsed spec file."""
    lines = SourceLines()
    literals: dict[str, ast.expr] = {}
    for target, value, line in _assignments(tree):
        if isinstance(target, ast.Name):
            lines.names[target.id] = line
            literals[target.id] = value
            if target.id == "spec":
                lines.entries.clear()
                lines.repeated.clear()
                _collect(value, (), lines, literals)
        else:
            path = _subscripts(target)
            if path is not None:
                lines.entries[path] = line
                _collect(value, path, lines, literals)
    return lines


def _assignments(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr, int]]:
    """(target, value, line) of what the top level assigns; what is added to ``spec`` has the target ``spec[...]``."""
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield target, value, statement.lineno
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield target, value, statement.lineno
            case (
                ast.AugAssign(target=ast.Name(id="spec"), op=ast.BitOr(), value=added)
                | ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="spec"), attr="update"), args=[added]))
            ):
                for key, value in _items(added):
                    name = ast.Constant(key.value)
                    yield ast.Subscript(ast.Name("spec"), name), value, key.lineno
            case _:
                pass


def _subscripts(target: ast.expr) -> tuple[str, ...] | None:
    """``("Object", "density")`` for ``spec["Object"]["density"]``."""
    match target:
        case ast.Name(id="spec"):
            return ()
        case ast.Subscript(value=inner, slice=ast.Constant(value=str() as key)):
            path = _subscripts(inner)
            return None if path is None else (*path, key)
    return None


@dataclass(frozen=True, slots=True)
class _Key:
    value: str
    lineno: int


def _items(node: ast.expr) -> Iterator[tuple[_Key, ast.expr]]:
    """The entries of a dict literal, or of ``dict(name=...)``, whose keys are plain text."""
    match node:
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield _Key(key.value, key.lineno), value
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            for keyword in keywords:
                if keyword.arg is not None:
                    yield _Key(keyword.arg, keyword.value.lineno), keyword.value
        case _:
            pass


def _collect(node: ast.expr, path: tuple[str, ...], lines: SourceLines, literals: dict[str, ast.expr]) -> None:
    if isinstance(node, ast.Name):
        node = literals.get(node.id, node)
    here: set[str] = set()
    for key, value in _items(node):
        inner = (*path, key.value)
        if key.value in here:
            lines.repeated.append((inner, key.lineno))
        here.add(key.value)
        lines.entries[inner] = key.lineno
        if len(inner) < 3:
            _collect(value, inner, lines, literals)
