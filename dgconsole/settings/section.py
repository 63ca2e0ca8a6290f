"""Typed reading of a YAML tree that notes every problem and goes on; unknown keys get the nearest right one."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from dgconsole.settings.suggest import did_you_mean
from dgconsole.settings.yamltree import EMPTY, Node
from dgconsole.support.errors import Problem


class Section:
    """One mapping of a file while it is read.

    Each key is asked for once, by the method of its type. Null and empty text read as "not set". What is wrong
    goes to ``problems`` and reads as "not set" too, so that reading goes on and all problems come out at once.
    ``finish`` reports the keys that nobody asked for.

    Parameters
    ----------
    node
        The mapping (anything else is noted as a problem and reads as empty).
    file
        The path as messages name it.
    problems
        Shared by all sections of all files.
    path
        Dotted name of this section; empty for the whole file.
    """

    def __init__(self, node: Node, file: str, problems: list[Problem], path: str = "") -> None:
        self.file = file
        self.problems = problems
        self.name = path
        self.line = node.line
        self._asked: dict[str, None] = {}
        self._entries: dict[str, Node] = {}
        if _is_mapping(node.value):
            self._entries = node.value
        elif node.value is not None:
            problems.append(Problem(f"{_described(node)}; wanted are keys with values", file, node.line, path))

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        """All entries, for mappings whose keys are the user's own names."""
        return iter(self._entries.items())

    def key(self, name: str) -> str:
        """The dotted name of a key of this section."""
        return f"{self.name}.{name}" if self.name else name

    def line_of(self, name: str) -> int:
        """Where a key stands; the section's own line when it is absent."""
        entry = self._entries.get(name)
        return entry.line if entry else self.line

    def note(self, name: str, what: str) -> None:
        """Something is wrong with this key."""
        self.problems.append(Problem(what, self.file, self.line_of(name), self.key(name)))

    def node(self, name: str) -> Node | None:
        """The value as it stands; None when not set."""
        self._asked[name] = None
        entry = self._entries.get(name)
        return None if entry is None or entry.value is None or entry.value == "" else entry

    def section(self, name: str) -> "Section":
        """The mapping under a key; an empty one when not set."""
        return Section(self.node(name) or EMPTY, self.file, self.problems, self.key(name))

    def text(self, name: str) -> str | None:
        """Text; a number or a yes/no is refused, as it may not say what the user wrote."""
        node = self.node(name)
        if node is None:
            return None
        if isinstance(node.value, str) and node.value.isprintable():
            return node.value
        hint = " (put it into quotes)" if node.text and not isinstance(node.value, str) else ""
        self.note(name, f"{_described(node)}; plain text is wanted{hint}")
        return None

    def path(self, name: str, base: Path) -> Path | None:
        """A path; a relative one starts at ``base``, ``~`` is expanded."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return base / Path(text).expanduser()
        except RuntimeError:
            self.note(name, f"'{text}' names a user who is unknown here")
            return None

    def integer(self, name: str, *, least: int, most: int) -> int | None:
        """A whole number from ``least`` to ``most``."""
        node = self.node(name)
        if node is None:
            return None
        if not isinstance(node.value, int) or isinstance(node.value, bool):
            self.note(name, f"{_described(node)}; a whole number is wanted")
        elif not least <= node.value <= most:
            self.note(name, f"{node.value} is out of range: give a number from {least} to {most}")
        else:
            return node.value
        return None

    def flag(self, name: str) -> bool | None:
        """Yes or no."""
        node = self.node(name)
        if node is None:
            return None
        if isinstance(node.value, bool):
            return node.value
        self.note(name, f"{_described(node)}; true or false is wanted")
        return None

    def words(self, name: str) -> tuple[str, ...]:
        """Text, or a list of texts and numbers, as they are written."""
        node = self.node(name)
        if node is None:
            return ()
        items = node.value if isinstance(node.value, tuple) else (node,)
        wrong = [item for item in items if item.value is None or not (item.text and item.text.isprintable())]
        for item in wrong:
            self.problems.append(
                Problem(f"{_described(item)}; plain text is wanted", self.file, item.line, self.key(name))
            )
        return () if wrong else tuple(item.text for item in items)

    def script(self, name: str) -> tuple[tuple[int, str], ...]:
        """Shell lines, each with its line in the file: one text or a list of texts, which may be blocks of lines."""
        node = self.node(name)
        if node is None:
            return ()
        found: list[tuple[int, str]] = []
        for item in node.value if isinstance(node.value, tuple) else (node,):
            lines = item.text.rstrip("\n").split("\n")
            if not isinstance(item.value, str) or not all(_is_plain(line) for line in lines):
                what = f"{_described(item)}; a shell line is wanted, or a list of them (put it into quotes)"
                self.problems.append(Problem(what, self.file, item.line, self.key(name)))
                continue
            first = item.line + (1 if len(lines) > 1 else 0)  # a block begins below its key
            found += [(first + place, line) for place, line in enumerate(lines)]
        return tuple(found)

    def finish(self, elsewhere: tuple[str, ...] = ()) -> None:
        """Refuse every key that was never asked for; ``elsewhere`` are dotted keys of other sections."""
        for name, entry in self._entries.items():
            if name not in self._asked:
                what = f"unknown key; {did_you_mean(name, self._asked, elsewhere)}"
                self.problems.append(Problem(what, self.file, entry.line, self.key(name)))


def _is_mapping(value: object) -> TypeGuard[dict[str, Node]]:
    return isinstance(value, dict)


def _is_plain(text: str) -> bool:
    return text.replace("\t", " ").isprintable()


def _described(node: Node) -> str:
    """What a value is, in the user's words."""
    match node.value:
        case None:
            return "is empty"
        case dict():
            return "holds keys"
        case tuple():
            return "is a list"
        case bool():
            return f"'{node.text}' is a yes/no value"
        case int() | float():
            return f"{node.text} is a number"
        case str() if not node.text.isprintable():
            return "holds line ends or control characters"
        case str():
            return f"'{node.text}' is text"
        case _:
            return f"'{node.text}' is neither text nor a number"
