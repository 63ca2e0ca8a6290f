"""Option values as they were given, merged over files and command line, and turned into what they must be."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dgconsole.settings.partitioner.forms import ConfigFile, Tree, leaves, merge_patch
from dgconsole.settings.partitioner.keys import IN_FILES, Kind
from dgconsole.support.errors import Problem


@dataclass(frozen=True, slots=True)
class Given:
    """One option as given: a JSON value with its type, or the texts of the relaxed form or the command line."""

    value: object
    typed: bool
    file: str = ""
    line: int = 0


def merge(files: Sequence[ConfigFile], command_line: Mapping[str, tuple[str, ...]]) -> dict[str, Given]:
    """What holds for each option.

    The command line wins. Among JSON files the last wins, maps merge and null removes; as soon as one file
    is in the relaxed form, the first file that sets a key wins.
    """
    merged: dict[str, Given] = {}
    if all(file.tree is not None for file in files):
        tree: Tree = {}
        for file in files:
            tree = merge_patch(tree, file.tree or {})
        merged.update(_of_tree(tree, {key: (file.path, file.lines[key]) for file in files for key in file.lines}))
    else:
        for file in reversed(files):
            merged.update(_of_file(file))
    merged.update({key: Given(texts, typed=False) for key, texts in command_line.items()})
    return merged


def _of_file(file: ConfigFile) -> dict[str, Given]:
    if file.tree is not None:
        return _of_tree(file.tree, {key: (file.path, line) for key, line in file.lines.items()})
    return {
        key: Given(texts, False, file.path, file.lines.get(key, 0))
        for key, texts in file.texts.items()
        if key in IN_FILES
    }


def _of_tree(tree: Tree, places: Mapping[str, tuple[str, int]]) -> dict[str, Given]:
    return {
        key: Given(value, True, *places.get(key, ("", 0)))
        for key, value, plain in leaves(tree, IN_FILES)
        if plain and key in IN_FILES and value is not None
    }


class Values:
    """Reads options of the wanted kind; what does not fit becomes a problem and reads as the default."""

    def __init__(self, given: Mapping[str, Given]) -> None:
        self.given = given
        self.problems: list[Problem] = []

    def problem(self, key: str, what: str) -> None:
        place = self.given.get(key, Given(None, typed=False))
        self.problems.append(Problem(what, place.file, place.line, key))

    def __contains__(self, key: str) -> bool:
        return key in self.given

    def flag(self, key: str) -> bool:
        given = self.given.get(key)
        if given is None or not given.typed:
            return given is not None
        if not isinstance(given.value, bool):
            self._refuse(key, Kind.FLAG, "write true or false, without quotes")
        return given.value is True

    def text(self, key: str, default: str = "") -> str:
        value = self._one(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self._refuse(key, Kind.TEXT, "put it in quotes")
            return default
        return value

    def character(self, key: str, default: str) -> str:
        """A single byte, as the character of that code."""
        value = self._one(key)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
            return chr(value)
        code = os.fsencode(value) if isinstance(value, str) else b""
        if len(code) != 1:
            self._refuse(key, Kind.CHARACTER, "give exactly one")
            return default
        return chr(code[0])

    def whole(self, key: str, default: int, low: int, high: int | None = None) -> int:
        number = self._number(key, Kind.WHOLE)
        if number is None:
            return default
        if number < low or (high is not None and number > high):
            wanted = f"{low} to {high}" if high is not None else f"{low} or more"
            self.problem(key, f"{number} is out of range; it must be {wanted}")
            return default
        return int(number)

    def number(self, key: str, default: float) -> float:
        number = self._number(key, Kind.NUMBER)
        return default if number is None else float(number)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts; None where it is not given."""
        given = self.given.get(key)
        if given is None:
            return None
        items = given.value
        if not isinstance(items, (tuple, list)) or not all(isinstance(item, str) for item in items):
            self._refuse(key, Kind.LIST, "write a list of texts, [ ... ]")
            return None
        return tuple(items)

    def _number(self, key: str, kind: Kind) -> float | None:
        value = self._one(key)
        given = self.given.get(key)
        if value is None or given is None:
            return None
        if given.typed:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return value
        elif isinstance(value, str) and "_" not in value:
            try:
                return int(value) if kind is Kind.WHOLE else float(value)
            except ValueError:
                pass
        self._refuse(key, kind, "write it without quotes or a unit")
        return None

    def _one(self, key: str) -> object:
        given = self.given.get(key)
        if given is None:
            return None
        if given.typed:
            return given.value
        assert isinstance(given.value, tuple)
        if len(given.value) != 1:
            many = "is given more than once" if given.value else "has no value"
            self.problem(key, f"the option {many}; give it one value")
            return None
        return given.value[0]

    def _refuse(self, key: str, kind: Kind, mend: str) -> None:
        self.problem(key, f"{self._shown(key)} is not a {kind}; {mend}")

    def _shown(self, key: str) -> str:
        value = self.given[key].value
        if isinstance(value, tuple) and len(value) == 1:
            value = value[0]
        text = repr(value)
        return text if len(text) < 60 else text[:56] + "..."
