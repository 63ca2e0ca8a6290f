"""Generators of a user's own in the original's calling forms, called once for a whole chunk."""

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgconsole.catalog.frames import Frames
from dgconsole.catalog.globalstream import global_stream
from dgconsole.catalog.wholechunk import ChunkRequest
from dgconsole.support.errors import ChunkError, Fault


class Form(Enum):
    """How the original calls a generator, by revision."""

    BOX = "gen(box, length, seed, spec_cols, box_center=, unique_box_id=, prereq_tables=, edge_only=)"
    CHUNK = "gen(chunk_id, length, seed, prereq_row=, prereq_tables=)"


_BOX_KEYWORDS = frozenset({"box_center", "unique_box_id", "prereq_tables", "edge_only"})
_CHUNK_KEYWORDS = frozenset({"prereq_row", "prereq_tables"})
_CHUNK_NAMES = {"chunk_id", "cell_id", "prereq_row"}


class LegacyBox:
    """A box in degrees as generators of the box form get it; ``raA < raB`` and ``decA < decB``."""

    def __init__(self, ra_a: float, ra_b: float, dec_a: float, dec_b: float) -> None:
        self.raA = ra_a
        self.raB = ra_b
        self.decA = dec_a
        self.decB = dec_b

    def __repr__(self) -> str:
        return f"{{raA={self.raA} raB={self.raB} decA={self.decA} decB={self.decB}}}"


class LegacyGenerator:
    """Makes a generator in one of the original's calling forms a maker of whole chunks.

    It is called once for each (table, chunk), for the whole chunk and with numpy's and Python's global
    streams seeded from (seed, table, entry, chunk). In the chunk form and with ``prereq_row`` it is called once
    for each row of that table, all on one stream, and the answers are put after one another. So its rows
    are the same on every client, and its memory and cost follow the chunk.
    """

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self._call = _call_of(generator)

    @property
    def name(self) -> str:
        """The user's name for it."""
        return getattr(self.generator, "__name__", type(self.generator).__name__)

    def make(self, request: ChunkRequest) -> list[NDArray[Any]]:
        """The chunk's columns, as many as the generator gives but at least one for each name.

        Raises
        ------
        ChunkError
            The answer does not fit the names or the number of rows. What the user's code raises passes through.
        """
        with global_stream(_stream_seed(request)):
            answers = [self._columns(answer, request) for answer in self._answers(request)]
        if not answers:
            return [np.zeros(0) for _ in request.names]
        if len({len(columns) for columns in answers}) > 1:
            raise self._misfit(request, "returned more arrays for some rows than for others")
        made = answers[0] if len(answers) == 1 else [np.concatenate(parts) for parts in zip(*answers, strict=True)]
        lengths = {len(column) for column in made}
        if len(lengths) > 1:
            raise self._misfit(request, f"returned columns of different lengths ({_listed(lengths)})")
        if request.length is not None and not self._by_row(request) and lengths != {request.length}:
            raise self._misfit(request, f"returned {_listed(lengths)} rows where {request.length} were asked for")
        return made

    def _answers(self, request: ChunkRequest) -> Iterator[Any]:
        tables = Frames(request.tables)
        offered: dict[str, Any] = {"prereq_tables": tables, "prereq_row": None, "edge_only": False}
        if self._call.form is Form.BOX:
            places: tuple[Any, ...] = (LegacyBox(*request.box), request.length, request.seed, request.key)
            offered["unique_box_id"] = request.chunk * 8
            if "box_center" in self._call.keywords:
                offered["box_center"] = _center(request)
        else:
            places = (request.chunk, request.length, request.seed)
        keywords = {name: offered[name] for name in self._call.keywords}
        if not self._by_row(request):
            yield self.generator(*places[: self._call.places], **keywords)
            return
        for _, row in tables[request.row_of].iterrows():
            if "prereq_row" in keywords:
                keywords["prereq_row"] = row
            yield self.generator(*places[: self._call.places], **keywords)

    def _by_row(self, request: ChunkRequest) -> bool:
        return bool(request.row_of) and self._call.form is Form.CHUNK

    def _columns(self, answer: Any, request: ChunkRequest) -> list[NDArray[Any]]:
        columns = list(answer) if isinstance(answer, tuple | list) else [answer]
        if len(columns) < len(request.names):
            raise self._misfit(request, f"returned {len(columns)} arrays for {len(request.names)} names")
        return [self._column(column, request) for column in columns]

    def _column(self, column: Any, request: ChunkRequest) -> NDArray[Any]:
        values: NDArray[Any] = np.asarray(column)
        if values.ndim != 1:
            raise self._misfit(request, f"returned an array of shape {values.shape} where one column belongs")
        if values.dtype.kind == "b":
            return values.astype(np.int8)
        if values.dtype.kind == "S":
            values = values.astype(str)
        return values.astype(object) if values.dtype.kind == "U" else values

    def _misfit(self, request: ChunkRequest, what: str) -> ChunkError:
        return ChunkError(Fault.SPEC, f"{request.table}: {self.name} for {request.key!r} {what}")


@dataclass(frozen=True, slots=True)
class _Call:
    """How one generator wants to be called, read from its signature."""

    form: Form
    places: int
    """How many arguments go by position."""
    keywords: frozenset[str]


def _call_of(generator: Any) -> _Call:
    try:
        parameters = list(inspect.signature(generator).parameters.values())
    except (TypeError, ValueError):
        return _Call(Form.BOX, 4, _BOX_KEYWORDS)
    names = {p.name for p in parameters}
    required = [
        p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    of_chunks = bool(names & _CHUNK_NAMES)
    if "spec_cols" in names or (not of_chunks and (len(required) >= 4 or open_ended)):
        form, places, known = Form.BOX, 4, _BOX_KEYWORDS
    else:
        seeded = "seed" in names or len(required) >= 3 or open_ended
        form, places, known = Form.CHUNK, 3 if seeded else 2, _CHUNK_KEYWORDS
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return _Call(form, places, known if any_keyword else known & names)


def _stream_seed(request: ChunkRequest) -> int:
    address = repr((request.seed, request.table, request.key, request.chunk)).encode()
    return int.from_bytes(blake2b(address, digest_size=4).digest(), "little")


def _center(request: ChunkRequest) -> Any:
    """The middle of the box as astropy's SkyCoord, which the box form hands out."""
    SkyCoord = importlib.import_module("astropy.coordinates").SkyCoord  # noqa: N806
    box = request.box
    return SkyCoord((box.ra_min + box.ra_max) / 2, (box.dec_min + box.dec_max) / 2, unit="deg")


def _listed(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
