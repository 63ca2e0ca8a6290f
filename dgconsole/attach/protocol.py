"""What a face and a session say to each other over control.sock."""

from functools import reduce
from operator import or_
from typing import Any

import msgspec
from msgspec import Struct

from dgconsole.snapshot import (
    ChunkHistory,
    ChunkStates,
    ChunkTable,
    Command,
    LogFile,
    LogMark,
    LogPage,
    OlderLines,
    Reply,
    Report,
    Snapshot,
    WholeLines,
)

PROTOCOL = 1
"""Grows whenever a struct here or in ``snapshot`` loses a field, or one changes its meaning."""

MOST_ASKED = 8 << 20
"""The longest frame, in bytes, that a session takes."""
MOST_ANSWERED = 1 << 29
"""The longest frame, in bytes, that a face takes: the sky in its finest tiling, several times over."""

# Every frame: 4 bytes length of what follows, 4 bytes number of the question (big-endian), 1 byte kind, body.
ASKS, ANSWERS, FAILS, FAREWELL = range(4)
"""Kinds of frame. ASKS: a question. ANSWERS: its answer. FAILS: one line of text instead of one.
FAREWELL: the session is about to end (number 0); nothing follows."""


class Hello(Struct, frozen=True):
    """The first frame of a face. A session never carries out a command of a face that is ``read_only``."""

    protocol: int
    version: str
    read_only: bool


class Welcome(Struct, frozen=True):
    """The answer; ``session`` is another one each time that a session starts."""

    protocol: int
    version: str
    session: str


class Question(Struct, frozen=True, tag=True):
    """The base of all questions; they are the calls of ``SessionHandle``."""


class GetSnapshot(Question, frozen=True):
    """-> Snapshot"""


class GetTable(Question, frozen=True):
    """-> ChunkTable"""


class GetStates(Question, frozen=True):
    """-> ChunkStates | None"""

    since: int


class GetHistory(Question, frozen=True):
    """-> ChunkHistory | None"""

    chunk: int


class GetLogs(Question, frozen=True):
    """-> LogPage"""

    after: int
    limit: int


class GetOlder(Question, frozen=True):
    """-> OlderLines"""

    source: str
    before: LogMark | None
    limit: int
    level: int


class GetWholeLog(Question, frozen=True):
    """-> WholeLines"""

    client: str
    at: int
    limit: int
    backward: bool
    needle: str


class GetLogFiles(Question, frozen=True):
    """-> tuple[LogFile, ...]"""


class GetReport(Question, frozen=True):
    """-> Report"""


class Do(Question, frozen=True):
    """-> Reply. ``command`` is one of the commands of ``snapshot``."""

    command: msgspec.Raw


class Farewell(Struct, frozen=True):
    """The last state of a session, its report, and its newest log lines."""

    snapshot: Snapshot
    report: Report
    logs: LogPage


ENCODER = msgspec.msgpack.Encoder()
QUESTIONS: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
    GetSnapshot | GetTable | GetStates | GetHistory | GetLogs | GetOlder | GetWholeLog | GetLogFiles | GetReport | Do
)
COMMANDS: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(reduce(or_, Command.__subclasses__()))
_ANSWERS: dict[type[Question], Any] = {
    GetSnapshot: Snapshot,
    GetTable: ChunkTable,
    GetStates: ChunkStates | None,
    GetHistory: ChunkHistory | None,
    GetLogs: LogPage,
    GetOlder: OlderLines,
    GetWholeLog: WholeLines,
    GetLogFiles: tuple[LogFile, ...],
    GetReport: Report,
    Do: Reply,
}
ANSWER_TO: dict[type[Question], msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(answer) for kind, answer in _ANSWERS.items()
}
