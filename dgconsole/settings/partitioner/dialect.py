"""How lines spell fields, as the options say it, and which spellings cannot work."""

from dgconsole.settings.partitioner.values import Values
from dgconsole.settings.structs import Dialect

MAX_FIELD = 255
"""Bytes of one field (and of a null string)."""
STANDARD_ESCAPES = frozenset("0bfnrtvNZ")
"""What has a meaning of its own after an escape character."""


def read_dialect(values: Values, side: str) -> Dialect:
    """The dialect under ``in.csv`` or ``out.csv``, defaults filled in; problems go to ``values``."""
    key = f"{side}.csv."
    escape = values.character(key + "escape", "\\")
    quote = values.character(key + "quote", '"')
    quoting = not values.flag(key + "no-quote")
    escaping = not values.flag(key + "no-escape")
    null = "NULL" if quoting else f"{escape}N" if escaping else ""
    dialect = Dialect(
        delimiter=values.character(key + "delimiter", "\t"),
        quote=quote if quoting else None,
        escape=escape if escaping else None,
        null=values.text(key + "null", null),
    )
    _check(values, key, dialect)
    return dialect


def _check(values: Values, key: str, dialect: Dialect) -> None:
    delimiter, quote, escape = dialect.delimiter, dialect.quote, dialect.escape
    if delimiter in "\0\r\n":
        values.problem(key + "delimiter", "the delimiter must not be NUL, CR or LF; choose another")
    for name, character in (("quote", quote), ("escape", escape)):
        if character is not None and (character in "\r\n" or character == delimiter):
            values.problem(key + name, f"the {name} must not be CR, LF or the delimiter; choose another")
    if escape is not None:
        if escape == quote:
            values.problem(key + "escape", "escape and quote are the same character; choose another for one of them")
        for name, character in (("delimiter", delimiter), ("quote", quote), ("escape", escape)):
            if character is not None and character in STANDARD_ESCAPES:
                values.problem(
                    key + name,
                    f"{character!r} means something else after an escape; take another {name}, or {key}no-escape",
                )
    if len(dialect.null.encode(errors="surrogateescape")) > MAX_FIELD:
        values.problem(key + "null", f"the null string is longer than {MAX_FIELD} bytes; shorten it")
    if any(sign in dialect.null for sign in ("\r", "\n", delimiter)):
        values.problem(key + "null", "the null string holds the delimiter, CR or LF; choose another")
