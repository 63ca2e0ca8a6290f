"""Lines, fields and dialects against a plain scanner that goes byte by byte."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dgconsole.partition.fields import split
from dgconsole.partition.recode import Texts, decode, encode, offsets_of
from dgconsole.partition.rows import RowError, TextBlock, read_blocks
from dgconsole.partition.text import spell
from dgconsole.settings.structs import Dialect
from dgconsole.support.errors import ChunkError

BOTH = Dialect(delimiter=",", quote='"', escape="\\", null="NULL")
QUOTES = Dialect(delimiter=",", quote='"', escape=None, null="")
ESCAPES = Dialect(delimiter="\t", quote=None, escape="\\", null="\\N")
PLAIN = Dialect(delimiter="|", quote=None, escape=None, null="-")
DIALECTS = (BOTH, QUOTES, ESCAPES, PLAIN)
LETTERS = {b"0": b"\0", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"Z": b"\x1a"}

dialects = st.sampled_from(DIALECTS)
lines = st.lists(
    st.binary(max_size=25).map(lambda raw: bytes(b'ab",\\\t|nN-'[code % 10] for code in raw)), max_size=6
)


def scan(line: bytes, dialect: Dialect) -> list[tuple[bytes, bytes]]:
    """(raw, decoded) of each field of a line, by the rules as they are told in words; ValueError for a bad line."""
    delimiter, quote, escape = (
        (sign or "").encode() or None for sign in (dialect.delimiter, dialect.quote, dialect.escape)
    )
    found: list[tuple[bytes, bytes]] = []
    at = 0
    while True:
        start, text = at, b""
        inside = bool(found) and quote is not None and line[at : at + 1] == quote
        at += inside
        while True:
            sign = line[at : at + 1]
            if sign == b"":
                if inside:
                    raise ValueError("open quote")
                found.append((line[start:at], text))
                return found
            if sign == escape:
                after = line[at + 1 : at + 2]
                if after == b"":
                    raise ValueError("trailing escape")
                text += LETTERS.get(after, after)
                at += 2
            elif inside and sign == quote and line[at + 1 : at + 2] == quote:
                text += sign
                at += 2
            elif inside and sign == quote and line[at + 1 : at + 2] in (b"", delimiter):
                inside = False
                at += 1
            elif not inside and sign == delimiter:
                found.append((line[start:at], text))
                at += 1
                break
            else:
                text += sign
                at += 1


def width_of(block: list[bytes], dialect: Dialect) -> int | None:
    """The number of fields if it is the same in every line and all lines are right."""
    try:
        widths = {len(scan(line, dialect)) for line in block}
    except ValueError:
        return None
    return widths.pop() if len(widths) == 1 else None


@settings(max_examples=400, deadline=None)
@given(lines, dialects)
@example([b'a,"x"",b"'], BOTH)
@example([b'a,"""a",""'], BOTH)
@example([b'a,"a"x,b"', b'"a,"b"'], BOTH)
@example([b'a,"x\\"",b'], BOTH)
@example([b"a\\\\,b\\,c"], BOTH)
@example([b'a,"a,"",b"'], QUOTES)
@example([b'a,"","" ,""'], QUOTES)
def test_fields_are_those_of_the_scanner(block: list[bytes], dialect: Dialect) -> None:
    width = width_of(block, dialect)
    text = bytearray(b"".join(line + b"\n" for line in block))
    if width is None:
        guess = len(scan(block[0], PLAIN)) if block else 1
        if not block:
            return
        with pytest.raises(RowError):
            split(TextBlock("", 1, len(block), text), guess, dialect)
        return
    fields = split(TextBlock("", 1, len(block), text), width, dialect)
    wanted = [field for line in block for field in scan(line, dialect)]
    raw = [bytes(text[a:b]) for a, b in zip(fields.starts.reshape(-1), fields.ends.reshape(-1), strict=True)]
    assert raw == [field[0] for field in wanted]
    changed = sorted({*fields.quoted.tolist(), *fields.escaped.tolist()})
    decoded = decode(fields, np.array(changed, np.int64), dialect).to_list()
    assert decoded == [wanted[number][1] for number in changed]
    untouched = [number for number in range(len(wanted)) if number not in changed]
    assert all(wanted[number][0] == wanted[number][1] for number in untouched)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text('ab",\\\t|\r\nN-', max_size=6), min_size=1, max_size=8), dialects)
@example(["\\N", "N"], ESCAPES)
@example(["NULL"], BOTH)
@example([""], QUOTES)
def test_arrays_are_spelled_as_single_texts_are(texts: list[str], dialect: Dialect) -> None:
    raw = [text.encode() for text in texts]
    many = Texts(np.frombuffer(b"".join(raw), np.uint8), offsets_of(np.array([len(text) for text in raw])))
    try:
        wanted = [spell(text, dialect).encode() for text in texts]
    except ChunkError:
        with pytest.raises(RowError):
            encode(many, dialect)
        return
    assert encode(many, dialect).to_list() == wanted


@settings(deadline=None)
@given(st.lists(st.text('ab",\\\t|\r\nN-', max_size=6), min_size=2, max_size=2), dialects)
def test_what_is_spelled_reads_back(texts: list[str], dialect: Dialect) -> None:
    try:
        line = b"x" + dialect.delimiter.encode() + dialect.delimiter.join(spell(t, dialect) for t in texts).encode()
    except ChunkError:
        assume(False)
    found = scan(line, dialect)
    assert [decoded for _, decoded in found] == [b"x", *(text.encode() for text in texts)]
    assert all(raw != dialect.null.encode() for raw, _ in found)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b",", b""]), max_size=30).map(b"".join),
    st.integers(1, 7),
)
def test_blocks_of_any_size_hold_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, size: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "in.csv"
    path.write_bytes(text)
    blocks = list(read_blocks(path, size, longest=1000))
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert b"".join(block.text for block in blocks) == lines + (b"" if not lines or lines.endswith(b"\n") else b"\n")
    expected = 1
    for block in blocks:
        assert block.first_line == expected
        assert block.text.endswith(b"\n")
        assert block.lines == block.text.count(b"\n")
        expected += block.lines


def test_a_line_without_end_is_not_collected_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"1,2\n" + b"x" * 5000)
    with pytest.raises(RowError, match="longer than 100 bytes") as caught:
        list(read_blocks(path, 64, longest=100))
    assert caught.value.row == 1
