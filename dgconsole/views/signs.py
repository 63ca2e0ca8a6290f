"""Each state's sign and tone: the same on every screen, with ASCII signs for terminals without UTF-8."""

from typing import NamedTuple

from dgconsole.snapshot import CHUNK_STATES, ChunkState, ClientState, RunState


class Sign(NamedTuple):
    """A sign, its ASCII stand-in and the tone it is painted in.

    Tones: ``dim`` (waits), ``busy`` (in work), ``soft`` (nearly done), ``good``, ``warm`` (look at it),
    ``hot`` (needs a person), ``plain``.
    """

    sign: str
    ascii: str
    tone: str


CHUNK_SIGNS: dict[ChunkState, Sign] = {
    ChunkState.PENDING: Sign("·", ".", "dim"),
    ChunkState.ASSIGNED: Sign("▶", ">", "busy"),
    ChunkState.DELIVERED: Sign("◆", "=", "soft"),
    ChunkState.COMPLETED: Sign("✓", "+", "good"),
    ChunkState.RETRYING: Sign("↻", "~", "warm"),
    ChunkState.LIMBO: Sign("✗", "x", "hot"),
}

CLIENT_SIGNS: dict[ClientState, Sign] = {
    ClientState.STARTING: Sign("◌", "o", "dim"),
    ClientState.WORKING: Sign("●", "*", "good"),
    ClientState.IDLE: Sign("○", "-", "dim"),
    ClientState.SILENT: Sign("?", "?", "warm"),
    ClientState.GAVE_UP: Sign("✗", "x", "hot"),
    ClientState.LOST: Sign("✗", "x", "hot"),
    ClientState.REFUSED: Sign("✗", "x", "hot"),
    ClientState.DRAINING: Sign("◍", "%", "soft"),
    ClientState.STOPPED: Sign("■", "#", "dim"),
    ClientState.DONE: Sign("✓", "+", "dim"),
}

RUN_SIGNS: dict[RunState, Sign] = {
    RunState.PLANNING: Sign("◌", "o", "dim"),
    RunState.RUNNING: Sign("●", "*", "good"),
    RunState.PAUSED: Sign("○", "-", "warm"),
    RunState.STOPPING: Sign("◍", "%", "warm"),
    RunState.ENDED: Sign("■", "#", "plain"),
}

SIGN_OF_CODE: tuple[Sign, ...] = tuple(CHUNK_SIGNS[state] for state in CHUNK_STATES)
"""Signs by the state codes of ``ChunkStates``."""

CODES: dict[ChunkState, int] = {state: code for code, state in enumerate(CHUNK_STATES)}

BAD_CLIENTS = frozenset({ClientState.GAVE_UP, ClientState.LOST, ClientState.REFUSED})
LIVE_CLIENTS = frozenset(
    {ClientState.STARTING, ClientState.WORKING, ClientState.IDLE, ClientState.SILENT, ClientState.DRAINING}
)


class Signs:
    """Picks the sign a terminal can show."""

    def __init__(self, *, unicode: bool = True) -> None:
        self.unicode = unicode

    def of(self, sign: Sign) -> str:
        return sign.sign if self.unicode else sign.ascii

    def plain(self, text: str, stand_in: str) -> str:
        """Any other ornament, with what ASCII has for it."""
        return text if self.unicode else stand_in
