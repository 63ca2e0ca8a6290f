"""How a client process ended, and whether it is started again; pure."""

import signal
from enum import StrEnum

from msgspec import Struct

MAX_RESTARTS = 3


class EndKind(StrEnum):
    """What an exit status of dgclient means."""

    DONE = "done"
    GAVE_UP = "gave up"
    REFUSED = "refused"
    """Bad input or a locked workdir: the same again would fail the same way."""
    VANISHED = "vanished"
    """Killed, crashed, or lost with its agent; started again."""


class ClientEnd(Struct, frozen=True):
    """The end of one client process, in a word and a line."""

    kind: EndKind
    text: str


def end_of(status: int) -> ClientEnd:
    """The meaning of ``status`` (as waitpid has it: negative for a signal)."""
    if status == 0:
        return ClientEnd(EndKind.DONE, "no more chunks")
    if status == 1:
        return ClientEnd(EndKind.GAVE_UP, "gave up (exit status 1); its log says why")
    if status == 2:
        return ClientEnd(EndKind.REFUSED, "could not start (exit status 2); its log says why")
    if status < 0:
        return ClientEnd(EndKind.VANISHED, f"ended by {signal.Signals(-status).name}")
    return ClientEnd(EndKind.VANISHED, f"crashed (exit status {status})")


def restarts(end: ClientEnd, tried: int) -> bool:
    """Whether a client that ended so, and was restarted ``tried`` times already, is started again."""
    return end.kind is EndKind.VANISHED and tried < MAX_RESTARTS
