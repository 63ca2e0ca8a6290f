"""The relaxed form of a ``.cfg`` file: keys, values, groups and comments; every scalar is text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from dgconsole.support.errors import InputError, Problem

CLOSING = {"{": "}", "[": "]", "(": ")"}
SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)+")
BARE = re.compile(r"[^ \t\r\n#,:=()\[\]{}\"'\x00-\x1f\x7f][^ \t\r\n#,:=()\[\]{}\x00-\x1f\x7f]*")
PLAIN = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*")}
HEX = re.compile(r"[0-9A-Fa-f]{1,4}")
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of one key. ``value`` is None for a lone string at the top, which is a flag."""

    key: str
    value: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """``text``, ``end``, or the sign itself."""
    text: str
    at: int


def parse_relaxed(text: str, file: str) -> tuple[Entry, ...]:
    """All values of a file in the relaxed form, in order; ``InputError`` where it stops making sense."""
    try:
        return tuple(_Parser(text, file).entries())
    except RecursionError as error:
        raise InputError(Problem("groups are nested too deep here to be a configuration", file)) from error


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.place = 0
        self.ahead = self._token()

    def entries(self) -> Iterator[Entry]:
        yield from self._group("", Token("end", "", 0))

    def _fail(self, what: str, at: int) -> NoReturn:
        raise InputError(Problem(what, self.file, self._line(at)))

    def _line(self, at: int) -> int:
        return self.text.count("\n", 0, at) + 1

    def _next(self) -> Token:
        token, self.ahead = self.ahead, self._token()
        return token

    def _token(self) -> Token:
        if space := SPACE.match(self.text, self.place):
            self.place = space.end()
        at = self.place
        if at == len(self.text):
            return Token("end", "", at)
        sign = self.text[at]
        if sign in "{[()]},:=":
            self.place += 1
            return Token(sign, sign, at)
        if sign in PLAIN:
            return Token("text", self._quoted(sign), at)
        bare = BARE.match(self.text, at)
        if bare is None:
            self._fail(f"a control character ({sign!r}) stands here; put it in quotes as an escape", at)
        self.place = bare.end()
        return Token("text", bare[0], at)

    def _quoted(self, quote: str) -> str:
        start = self.place
        self.place += 1
        parts: list[str] = []
        while True:
            plain = PLAIN[quote].match(self.text, self.place)
            assert plain is not None
            parts.append(plain[0])
            self.place = plain.end()
            if self.place + 1 > len(self.text) or (self.text[self.place] == "\\" and self.place + 2 > len(self.text)):
                self._fail(f"the text that opens with {quote} here never ends", start)
            if self.text[self.place] == quote:
                self.place += 1
                return "".join(parts)
            parts.append(self._escape())

    def _escape(self) -> str:
        letter = self.text[self.place + 1]
        self.place += 2
        if letter != "u":
            return ESCAPES.get(letter, letter)
        code = HEX.match(self.text, self.place)
        if code is None:
            self._fail("\\u needs hexadecimal digits after it", self.place)
        self.place = code.end()
        return chr(int(code[0], 16))

    def _group(self, prefix: str, opening: Token) -> Iterator[Entry]:
        closing = CLOSING.get(opening.kind, "end")
        while True:
            token = self._next()
            if token.kind == closing:
                return
            if token.kind in CLOSING:
                yield from self._group(prefix, token)
            elif token.kind == "text":
                yield from self._item(prefix, token)
            elif token.kind == "end":
                self._fail(f"the group that opens with {opening.text} here is never closed", opening.at)
            elif token.kind != ",":
                self._fail(f"{token.text} stands here without what belongs before it", token.at)

    def _item(self, prefix: str, token: Token) -> Iterator[Entry]:
        line = self._line(token.at)
        if self.ahead.kind not in (":", "="):
            yield Entry(prefix or token.text, token.text if prefix else None, line)
            return
        key = ".".join(part for part in (prefix, token.text.strip(".")) if part)
        self._next()
        value = self._next()
        if value.kind == "text":
            yield Entry(key, value.text, line)
        elif value.kind in CLOSING:
            yield from self._group(key, value)
        else:
            self._fail(f"the key {key} has no value; write one after the sign", token.at)
