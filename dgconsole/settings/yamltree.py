"""YAML text as a tree whose every node knows its line: the only place that talks to the YAML library."""

from dataclasses import dataclass, field, replace

import yaml
import yaml.reader

from dgconsole.settings.structs import TextFile
from dgconsole.support.errors import InputError, Problem


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the file.

    Parameters
    ----------
    value
        A scalar, a tuple of nodes, or a dict of nodes. Keys are the text as written: ``no`` stays "no".
    line
        From 1; for the value of a key the line of the key.
    text
        A scalar as written, quotes off: "0:1000" where YAML 1.1 would read a number to base 60.
    span
        First and last + 1 character of the value in the file's text.
    """

    value: object
    line: int
    text: str = ""
    span: tuple[int, int] = (0, 0)


EMPTY = Node({}, 0)
"""What a section that is absent or null reads as."""


def decode(file: TextFile) -> str:
    """The text of a file that must be UTF-8; InputError names the line that is not."""
    try:
        return file.data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = file.data.count(b"\n", 0, exc.start) + 1
        raise InputError(Problem("is not UTF-8 text: save it as UTF-8", file.path, line)) from exc


def parse_yaml(file: TextFile) -> Node:
    """Read one YAML document; an empty one is ``EMPTY``.

    Raises
    ------
    InputError
        With file and line: broken syntax, a key given twice, a tag of some other language, a value that
        holds itself; all doubled keys of the file at once.
    """
    text = decode(file)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        builder = _Builder(file.path, loader)
        tree = EMPTY if root is None else builder.build(root)
    except yaml.MarkedYAMLError as exc:
        raise InputError(_syntax_problem(exc, file.path)) from exc
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        what = f"holds a character that YAML forbids (code {exc.character})"
        raise InputError(Problem(what, file.path, line)) from exc
    except RecursionError as exc:
        raise InputError(Problem("is nested too deep, or a value holds itself", file.path)) from exc
    InputError.raise_if(builder.problems)
    return tree


@dataclass
class _Builder:
    """Turns the library's nodes into ours; shared ones (aliases) once."""

    file: str
    loader: yaml.SafeLoader
    problems: list[Problem] = field(default_factory=list)
    made: dict[int, Node] = field(default_factory=dict)

    def build(self, node: yaml.Node) -> Node:
        known = self.made.get(id(node))
        if known is None:
            known = self.made[id(node)] = self._build(node)
        return known

    def _build(self, node: yaml.Node) -> Node:
        line, span = node.start_mark.line + 1, (node.start_mark.index, node.end_mark.index)
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node), line, span=span)
        if isinstance(node, yaml.SequenceNode):
            return Node(tuple(self.build(item) for item in node.value), line, span=span)
        return Node(self._scalar(node), line, str(node.value), span)

    def _scalar(self, node: yaml.Node) -> object:
        try:
            return self.loader.construct_object(node)
        except ValueError:  # looks like a number or a date and is none ("2026-13-45"): text
            return str(node.value)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem("a key must be one word", self.file, line))
            elif key.value in found:
                what = f"is given twice, first on line {found[key.value].line}: keep one"
                self.problems.append(Problem(what, self.file, line, key.value))
            else:
                found[key.value] = replace(self.build(value), line=line)
        return found


def _syntax_problem(exc: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = exc.problem_mark or exc.context_mark
    what = ", ".join(part for part in (exc.problem, exc.context) if part)
    return Problem(f"broken YAML: {what}", file, mark.line + 1 if mark else 0)
