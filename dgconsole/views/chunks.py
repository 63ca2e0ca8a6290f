"""All target chunks as arrays: taken from the session, filtered, sorted and shown line by line."""

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.snapshot import CHUNK_STATES, Cause, ChunkState, ChunkStates, ChunkTable
from dgconsole.views.filters import Compare, Filter
from dgconsole.views.grid import EMPTY, Cell, Column, Line
from dgconsole.views.numbers import exact
from dgconsole.views.signs import CODES, SIGN_OF_CODE, Signs
from dgconsole.views.text import harmless

COLUMNS: tuple[Column, ...] = (
    Column("mark", "", 1),
    Column("id", "chunk", 7, right=True),
    Column("state", "state", 12),
    Column("attempts", "tries", 6, rank=2, right=True),
    Column("client", "client", 12, rank=1, grow=1),
    Column("host", "host", 10, rank=5, grow=1),
    Column("rows", "rows", 11, rank=3, right=True),
    Column("seconds", "time", 8, rank=4, right=True),
    Column("ra", "RA", 19, rank=6, right=True),
    Column("dec", "Dec", 19, rank=7, right=True),
    Column("error", "cause", 14, rank=1, grow=3, middle=True),
)
SORTS: tuple[str, ...] = ("id", "state", "attempts", "client", "host", "rows", "seconds", "dec", "error")
_STATE_ORDER = np.array(
    [
        [
            ChunkState.LIMBO,
            ChunkState.RETRYING,
            ChunkState.ASSIGNED,
            ChunkState.DELIVERED,
            ChunkState.PENDING,
            ChunkState.COMPLETED,
        ].index(s)
        for s in CHUNK_STATES
    ],
    dtype=np.uint8,
)
"""By code: what needs a person first, then what moves, then what waits, then what is done."""


class ChunkModel:
    """The working copy of what the session says about every target.

    Attributes
    ----------
    ids
        int32, shape (n,), ascending.
    boxes
        float64, shape (n, 4): ra_min, ra_max, dec_min, dec_max in degrees.
    states, attempts
        uint8, shape (n,): codes into ``CHUNK_STATES``; attempts used.
    clients
        int32, shape (n,): index into ``client_names``, -1 none.
    rows, seconds
        int64 and float32, shape (n,).
    cause_of
        int32, shape (n,): index into ``causes``, the texts of what keeps chunks in limbo or failed last; -1 none.
    """

    def __init__(self, table: ChunkTable) -> None:
        n = table.count
        self.ids = np.frombuffer(table.ids, "<i4", count=n)
        self.boxes = np.frombuffer(table.boxes, "<f8", count=4 * n).reshape(n, 4)
        self.states = np.zeros(n, np.uint8)
        self.attempts = np.zeros(n, np.uint8)
        self.clients = np.full(n, -1, np.int32)
        self.rows = np.zeros(n, np.int64)
        self.seconds = np.zeros(n, np.float32)
        self.client_names: tuple[str, ...] = ()
        self.client_hosts: tuple[str, ...] = ()
        self.causes: tuple[str, ...] = ()
        self.cause_of = np.full(n, -1, np.int32)
        self._limbo: tuple[Cause, ...] = ()
        self._failed = (np.zeros(0, np.int32), np.zeros(0, np.int32))
        self._failed_texts: tuple[str, ...] = ()
        self.revision = -1

    def __len__(self) -> int:
        return len(self.ids)

    def update(self, news: ChunkStates) -> NDArray[np.intp]:
        """Take in the states; the indices whose state changed, shape (m,)."""
        at = np.arange(len(self)) if news.at is None else np.frombuffer(news.at, "<i4").astype(np.intp)
        states = np.frombuffer(news.states, np.uint8)
        changed: NDArray[np.intp] = at[states != self.states[at]]
        self.states[at] = states
        self.attempts[at] = np.frombuffer(news.attempts, np.uint8)
        self.clients[at] = np.frombuffer(news.clients, "<i4")
        self.rows[at] = np.frombuffer(news.rows, "<i8")
        self.seconds[at] = np.frombuffer(news.seconds, "<f4")
        self.client_names, self.client_hosts = news.client_names, news.client_hosts
        self.revision = news.revision
        failed = (np.frombuffer(news.failed, "<i4"), np.frombuffer(news.failed_of, "<i4"))
        if news.failed_texts != self._failed_texts or not all(map(np.array_equal, failed, self._failed)):
            self._failed, self._failed_texts = failed, news.failed_texts
            self._place_causes()
        return changed

    def set_causes(self, causes: tuple[Cause, ...]) -> bool:
        """Take in the causes of limbo; whether they differ from those known."""
        if causes == self._limbo:
            return False
        self._limbo = causes
        self._place_causes()
        return True

    def _place_causes(self) -> None:
        self.causes = (*(cause.text for cause in self._limbo), *self._failed_texts)
        self.cause_of = np.full(len(self), -1, np.int32)
        chunks, texts = self._failed
        self.cause_of[chunks] = texts + len(self._limbo)
        for number, cause in enumerate(self._limbo):
            self.cause_of[self.indices(cause.chunks)] = number

    def indices(self, ids: Sequence[int]) -> NDArray[np.intp]:
        """Where these ids stand; ids that are no targets are left out."""
        wanted = np.asarray(ids, np.int32)
        if not len(self) or not len(wanted):
            return np.zeros(0, np.intp)
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self) - 1)
        found: NDArray[np.intp] = at[self.ids[at] == wanted]
        return found

    def index(self, chunk: int) -> int:
        """Where one id stands, -1 when it is no target."""
        if not 0 <= chunk < 2**31:
            return -1
        found = self.indices((chunk,))
        return int(found[0]) if len(found) else -1

    def client(self, index: int) -> tuple[str, str]:
        """Client and host that have or last had the chunk at ``index``; empty when none."""
        number = int(self.clients[index])
        known = 0 <= number < len(self.client_names)
        return (self.client_names[number], self.client_hosts[number]) if known else ("", "")

    def state(self, index: int) -> ChunkState:
        return CHUNK_STATES[int(self.states[index])]

    # ---- filter and sort

    def select(self, wanted: Filter, sort: str = "id", *, reverse: bool = False) -> NDArray[np.int32]:
        """Indices of the chunks that pass, in order, int32."""
        order = np.flatnonzero(self.passes(wanted)) if wanted else np.arange(len(self))
        if sort != "id":
            keys = self._sort_keys(sort)[order]
            order = order[np.argsort(_descending(keys) if reverse else keys, kind="stable")]
        elif reverse:
            order = order[::-1]
        return np.ascontiguousarray(order, np.int32)

    def passes(self, wanted: Filter) -> NDArray[np.bool_]:
        """Which chunks pass the filter, bool, shape (n,)."""
        mask = np.ones(len(self), np.bool_)
        if wanted.states:
            mask &= self._in_states(frozenset[ChunkState]().union(*wanted.states))
        if wanted.not_states:
            mask &= ~self._in_states(frozenset[ChunkState]().union(*wanted.not_states))
        if wanted.ids:
            mask &= self._in_ranges(wanted.ids)
        if wanted.not_ids:
            mask &= ~self._in_ranges(wanted.not_ids)
        for name in {name for name, _ in wanted.texts if name != "any"}:
            mask &= np.logical_or.reduce([self._text(name, text) for field, text in wanted.texts if field == name])
        for name, text in wanted.texts:
            if name == "any":
                mask &= self._text(name, text)
        for name, text in wanted.not_texts:
            mask &= ~self._text(name, text)
        for compare in wanted.compares:
            mask &= self._compared(compare)
        return mask

    def _in_states(self, states: frozenset[ChunkState]) -> NDArray[np.bool_]:
        table = np.zeros(256, np.bool_)
        table[[CODES[state] for state in states]] = True
        return table[self.states]

    def _in_ranges(self, ranges: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
        mask = np.zeros(len(self), np.bool_)
        for first, last in ranges:
            low, high = np.searchsorted(self.ids, (first, last + 1))
            mask[low:high] = True
        return mask

    def _compared(self, compare: Compare) -> NDArray[np.bool_]:
        values: NDArray[Any] = getattr(self, compare.field)
        tests = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
        passed: NDArray[np.bool_] = tests.get(compare.sign, np.equal)(values, compare.value)
        return passed

    def _text(self, name: str, text: str) -> NDArray[np.bool_]:
        if name == "host":
            return self._by_client(self.client_hosts, text)
        if name == "client":
            return self._by_client(self.client_names, text)
        errors = np.array([*(text in harmless(cause).lower() for cause in self.causes), False], np.bool_)[
            self.cause_of
        ]
        if name == "error":
            return errors
        words = np.array([text in state.value for state in CHUNK_STATES], np.bool_)
        return (
            errors
            | words[self.states]
            | self._by_client(self.client_names, text)
            | self._by_client(self.client_hosts, text)
        )

    def _by_client(self, names: tuple[str, ...], text: str) -> NDArray[np.bool_]:
        return np.array([*(text in harmless(name).lower() for name in names), False], np.bool_)[self.clients]

    def _sort_keys(self, sort: str) -> NDArray[Any]:
        if sort == "state":
            return _STATE_ORDER[self.states]
        if sort in ("client", "host"):
            return _ranks(self.client_names if sort == "client" else self.client_hosts)[self.clients]
        if sort == "error":
            return _ranks(self.causes)[self.cause_of]
        if sort == "dec":
            return np.asarray(self.boxes[:, 2])
        keys: NDArray[Any] = getattr(self, sort)
        return keys


def _ranks(names: tuple[str, ...]) -> NDArray[np.int32]:
    """Rank by index for names; the last element, which -1 finds, ranks behind all."""
    ranks = np.full(len(names) + 1, len(names), np.int32)
    ranks[np.array(sorted(range(len(names)), key=names.__getitem__), np.intp)] = np.arange(len(names), dtype=np.int32)
    return ranks


def _descending(keys: NDArray[Any]) -> NDArray[Any]:
    """Keys that sort the other way, so that equals keep their order."""
    return -keys.astype(np.float64)


class ChunkRows:
    """The rows of the chunk list: an order over the model; each line is made when it is painted."""

    def __init__(self, model: ChunkModel, order: NDArray[np.int32], marked: set[int], signs: Signs) -> None:
        self.model = model
        self.order = order
        self._marked = marked
        self._signs = signs

    @property
    def columns(self) -> tuple[Column, ...]:
        """The column of causes stands there only while there are some."""
        return COLUMNS if self.model.causes else COLUMNS[:-1]

    def __len__(self) -> int:
        return len(self.order)

    def key(self, row: int) -> Hashable:
        return int(self.model.ids[self.order[row]])

    def find(self, key: Hashable) -> int:
        index = self.model.index(key) if isinstance(key, int) else -1
        if index < 0:
            return -1
        rows = np.flatnonzero(self.order == index)
        return int(rows[0]) if len(rows) else -1

    def line(self, row: int) -> Line:
        model, i = self.model, int(self.order[row])
        chunk = int(model.ids[i])
        sign = SIGN_OF_CODE[model.states[i]]
        client, host = self._names.get(int(model.clients[i]), ("", ""))
        tries, rows, seconds = int(model.attempts[i]), int(model.rows[i]), float(model.seconds[i])
        ra_min, ra_max, dec_min, dec_max = model.boxes[i].tolist()
        cause = int(model.cause_of[i])
        return Line(
            (
                Cell(self._signs.plain("■", "*") if chunk in self._marked else "", "key"),
                Cell(str(chunk)),
                Cell(f"{self._signs.of(sign)} {CHUNK_STATES[model.states[i]].value}", sign.tone),
                Cell(str(tries) if tries else "", "warm" if tries > 1 else "dim"),
                Cell(client),
                Cell(host, "dim"),
                Cell(f"{rows:,}" if rows else ""),
                Cell(exact(seconds) if seconds else "", "dim"),
                Cell(f"{ra_min:8.4f} {ra_max:8.4f}°", "dim"),
                Cell(f"{dec_min:+8.4f} {dec_max:+8.4f}°", "dim"),
                Cell(harmless(model.causes[cause])) if cause >= 0 else EMPTY,
            )
        )

    @cached_property
    def _names(self) -> dict[int, tuple[str, str]]:
        pairs = zip(self.model.client_names, self.model.client_hosts, strict=True)
        return {n: (harmless(client), harmless(host)) for n, (client, host) in enumerate(pairs)}
