"""How a client process ended, and whether it is started again; pure."""

import signal
from enum import StrEnum

from msgspec import Struct

from dgconsole.support.lastwords import tells_of_a_lost_console

MAX_RESTARTS = 3


class EndKind(StrEnum):
    """What an exit status of dgclient means."""

    DONE = "done"
    GAVE_UP = "gave up"
    REFUSED = "refused"
    """Bad input or a locked workdir: the same again would fail the same way."""
    VANISHED = "vanished"
    """Killed, crashed, lost with its agent, or left without its console; started again."""


class ClientEnd(Struct, frozen=True):
    """The end of one client process, in a word and a line."""

    kind: EndKind
    text: str


def end_of(status: int, words: str = "", *, with_agent: bool = False) -> ClientEnd:
    """The meaning of ``status`` (as waitpid has it: negative for a signal).

    Parameters
    ----------
    words
        What the client said last; a console that it lost is found again by the next one.
    with_agent
        The host agent was ending, and ended it.
    """
    if status == 0:
        return ClientEnd(EndKind.DONE, "no more chunks")
    if with_agent and status != 2:
        return ClientEnd(EndKind.VANISHED, "ended with its host agent")
    if status == 1 and tells_of_a_lost_console(words):
        return ClientEnd(EndKind.VANISHED, words)
    if status == 1:
        return ClientEnd(EndKind.GAVE_UP, f"{words or 'gave up; its log says why'} (exit status 1)")
    if status == 2:
        return ClientEnd(EndKind.REFUSED, f"{words or 'could not start; its log says why'} (exit status 2)")
    if status < 0:
        return ClientEnd(EndKind.VANISHED, f"ended by {signal.Signals(-status).name}")
    return ClientEnd(EndKind.VANISHED, f"crashed (exit status {status})")


def restarts(end: ClientEnd, tried: int) -> bool:
    """Whether a client that ended so, and was restarted ``tried`` times already, is started again."""
    return end.kind is EndKind.VANISHED and tried < MAX_RESTARTS
