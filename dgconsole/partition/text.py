"""Text of streamed rows in the output dialect, and which dialects rows can be streamed in."""

import re
from typing import TYPE_CHECKING

from dgconsole.settings.structs import Dialect, PartitionerConfig
from dgconsole.support.errors import ChunkError, Fault, Problem
from dgconsole.support.filenames import PREFIX

if TYPE_CHECKING:
    import polars as pl

IN_NUMBERS = frozenset("0123456789+-.e")
"""What the text of a number is made of; numbers are written as they come, without a look at the dialect."""

LETTERS = {"\r": "r", "\n": "n"}
"""What follows the escape for line ends."""

LIKE_A_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?")


def check_streamable(config: PartitionerConfig) -> list[Problem]:
    """What keeps this table from being written by :class:`~dgconsole.partition.writer.ChunkTableWriter`."""
    problems = []
    out = config.out_dialect

    def note(key: str, what: str) -> None:
        problems.append(Problem(what, config.path, 0, key))

    for name, character in (("delimiter", out.delimiter), ("quote", out.quote), ("escape", out.escape)):
        if character is not None and character in IN_NUMBERS:
            note(f"out.csv.{name}", f"{character!r} also stands in numbers; choose another {name}")
        elif character is not None and not character.isascii():
            note(f"out.csv.{name}", f"{character!r} is not ASCII; choose another {name}")
    if LIKE_A_NUMBER.fullmatch(out.null):
        note("out.csv.null", f"{out.null!r} cannot be told from a number; choose another null, for example \\N")
    if not _is_text(out.null):
        note("out.csv.null", "the null string is not UTF-8 text; choose another")
    if config.prefix != PREFIX:
        note("part.prefix", f"{config.prefix!r}: chunk files of a run are always called {PREFIX}_<id>; leave it out")
    return problems


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def specials(dialect: Dialect) -> tuple[str, ...]:
    """What cannot stand as it is in a field."""
    return tuple(sign for sign in (dialect.delimiter, dialect.escape, dialect.quote, "\r", "\n") if sign is not None)


def spell(text: str, dialect: Dialect) -> str:
    """A text as a field of the dialect, spelled as sph-partition does; ``ChunkError`` where there is no way."""
    if not any(sign in text for sign in specials(dialect)):
        if text != dialect.null:
            return text
        if dialect.quote is None:
            raise ChunkError(
                Fault.PARTITION, f"a text says {text!r}, which is the null of the output; set out.csv.null"
            )
        return f"{dialect.quote}{text}{dialect.quote}"
    if dialect.escape is not None:
        escaped = {ord(sign): dialect.escape + LETTERS.get(sign, sign) for sign in specials(dialect)}
        return text.translate(escaped)
    if dialect.quote is None or "\r" in text or "\n" in text:
        raise ChunkError(Fault.PARTITION, f"the text {text[:40]!r} needs an escape; set out.csv.escape")
    return dialect.quote + text.replace(dialect.quote, 2 * dialect.quote) + dialect.quote


def spell_series(series: "pl.Series", dialect: Dialect) -> "pl.Series":
    """A column of text as fields of the dialect; null stays null."""
    marked = series.str.contains_any(list(specials(dialect))) | (series == dialect.null)
    if not marked.any():
        return series
    texts = series.filter(marked).unique()
    return series.replace(texts, [spell(text, dialect) for text in texts])
