"""The filter language of the chunk list: ``state:limbo host:db05 error:"no space" 104200..104300 4321``."""

import re
from dataclasses import dataclass, field

from dgconsole.snapshot import ChunkState
from dgconsole.views.text import harmless

FIELDS: tuple[str, ...] = ("state", "host", "client", "error", "attempts", "rows", "seconds")
NUMERIC = frozenset({"attempts", "rows", "seconds"})
HINT = "state:limbo  host:db05  client:db05-1  error:disk  attempts:>1  104200..104300  4321  !state:done"

_TOKEN = re.compile(r'(?P<no>!?)(?:(?P<field>[A-Za-z]+):)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"?|(?P<bare>[^\s"]*))')
_RANGE = re.compile(r"(\d{1,10})(?:\.\.(\d{1,10}))?\Z")
_COMPARED = re.compile(r"(>=|<=|>|<|=)?(\d+(?:\.\d*)?)\Z")

STATE_WORDS: dict[str, frozenset[ChunkState]] = {
    "pending": frozenset({ChunkState.PENDING, ChunkState.RETRYING}),
    "retrying": frozenset({ChunkState.RETRYING}),
    "assigned": frozenset({ChunkState.ASSIGNED}),
    "delivered": frozenset({ChunkState.DELIVERED}),
    "work": frozenset({ChunkState.ASSIGNED, ChunkState.DELIVERED}),
    "completed": frozenset({ChunkState.COMPLETED}),
    "done": frozenset({ChunkState.COMPLETED}),
    "limbo": frozenset({ChunkState.LIMBO}),
}
"""The states each word means, as the head counts them; a word may be cut short."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A number compared: ``attempts:>1``."""

    field: str
    sign: str
    value: float

    def holds(self, value: float) -> bool:
        """Whether ``value`` passes; arrays are the business of the chunk list."""
        signs = {
            "<": value < self.value,
            ">": value > self.value,
            "<=": value <= self.value,
            ">=": value >= self.value,
        }
        return signs.get(self.sign, value == self.value)


@dataclass(frozen=True, slots=True)
class Filter:
    """What was asked for. Within a field one match is enough; all fields must match; ``not_`` ones must not.

    Attributes
    ----------
    states, not_states
        Sets of states, one a word.
    texts, not_texts
        (field, text in lower case); field is host, client, error or "any".
    ids, not_ids
        Inclusive ranges of chunk ids.
    compares
        Numbers compared; all must hold.
    problem
        One line on what could not be read; empty when all could.
    """

    states: tuple[frozenset[ChunkState], ...] = ()
    not_states: tuple[frozenset[ChunkState], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    not_texts: tuple[tuple[str, str], ...] = ()
    ids: tuple[tuple[int, int], ...] = ()
    not_ids: tuple[tuple[int, int], ...] = ()
    compares: tuple[Compare, ...] = ()
    problem: str = field(default="", compare=False)

    def __bool__(self) -> bool:
        return any((self.states, self.not_states, self.texts, self.not_texts, self.ids, self.not_ids, self.compares))


def parse(text: str) -> Filter:
    """Read a filter; what cannot be read is left out and named in ``problem``. Never raises."""
    found: dict[str, list[object]] = {name: [] for name in Filter.__slots__ if name != "problem"}
    problems: list[str] = []
    for token in _TOKEN.finditer(text):
        if not token.group():
            continue
        prefix = "not_" if token["no"] else ""
        name = (token["field"] or "").lower()
        value = token["bare"] if token["quoted"] is None else re.sub(r"\\(.)", r"\1", token["quoted"])
        if not value:
            continue  # still being typed
        if not name:
            _plain(found, prefix, value, quoted=token["quoted"] is not None)
        elif name == "state":
            _state(found, prefix, value, problems)
        elif name in NUMERIC:
            _number(found, name, value, problems, negated=bool(prefix))
        elif name in FIELDS:
            found[prefix + "texts"].extend((name, part) for part in _alternatives(value, token["quoted"]))
        else:
            problems.append(f"{name}: is no field; fields are {', '.join(FIELDS)}")
    return Filter(**{name: tuple(values) for name, values in found.items()}, problem="; ".join(problems))  # type: ignore[arg-type]


def _alternatives(value: str, quoted: str | None) -> list[str]:
    parts = [value] if quoted is not None else value.split(",")
    return [part.lower() for part in parts if part]


def _plain(found: dict[str, list[object]], prefix: str, value: str, *, quoted: bool) -> None:
    span = None if quoted else _RANGE.match(value)
    if span:
        first = int(span[1])
        last = int(span[2]) if span[2] else first
        found[prefix + "ids"].append((min(first, last), max(first, last)))
    else:
        found[prefix + "texts"].append(("any", value.lower()))


def _state(found: dict[str, list[object]], prefix: str, value: str, problems: list[str]) -> None:
    for part in value.lower().split(","):
        if not part:
            continue
        hits = [states for word, states in STATE_WORDS.items() if word.startswith(part)]
        if hits:
            found[prefix + "states"].append(frozenset[ChunkState]().union(*hits))
        else:
            problems.append(f"{part} is no state; states are {', '.join(STATE_WORDS)}")


def _number(found: dict[str, list[object]], name: str, value: str, problems: list[str], *, negated: bool) -> None:
    match = _COMPARED.match(value)
    if match and not negated:
        found["compares"].append(Compare(name, match[1] or "=", float(match[2])))
    elif value not in (">", "<", ">=", "<=", "="):
        problems.append(f"{name} is compared with a number, as {name}:>1")


def quoted(name: str, text: str) -> str:
    """A filter term for exactly this text."""
    escaped = re.sub(r'(["\\])', r"\\\1", harmless(text))
    return f'{name}:"{escaped}"'
