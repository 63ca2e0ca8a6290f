"""Which message is legal when: one table, read by both ends of a connection; no sockets here.

Each end goes through phases of its own. A message is legal when its sender is in one of the phases that its rule
names and the other end has come far enough. Phases only grow, so what was legal for the sender is
legal for the receiver, however messages cross on the way.
"""

from enum import IntEnum

from msgspec import Struct

from dgconsole.support.errors import BugError, PeerError
from dgconsole.wire import messages as m
from dgconsole.wire.messages import Message, Role


class Phase(IntEnum):
    """How far one end has come, by what it has sent."""

    START = 0
    """Nothing yet."""
    GREETED = 1
    """The client said Hello; the coordinator Welcome, and its files follow."""
    READY = 2
    """The client said Ready; the coordinator has sent all its files."""
    LEAVING = 3
    """The client gave up; the coordinator needs nothing more."""
    ENDED = 4
    """The client said Bye; the coordinator refused the client."""


class Rule(Struct, frozen=True):
    """When a message may be sent: its sender's phases, how far the other end must be, the sender's next phase."""

    phases: frozenset[Phase]
    other: Phase
    then: Phase | None = None


START, GREETED, READY, LEAVING, ENDED = Phase
_WELCOMED = frozenset({GREETED, READY, LEAVING})

RULES: dict[Role, dict[type[Message], Rule]] = {
    Role.CLIENT: {
        m.Hello: Rule(frozenset({START}), START, GREETED),
        m.Ping: Rule(_WELCOMED, GREETED),
        m.Ready: Rule(frozenset({GREETED}), READY, READY),
        m.Ask: Rule(frozenset({READY}), READY),
        m.Progress: Rule(frozenset({READY}), READY),
        m.FileBegin: Rule(frozenset({READY}), READY),
        m.FileData: Rule(frozenset({READY}), READY),
        m.FileEnd: Rule(frozenset({READY}), READY),
        m.Completed: Rule(frozenset({READY}), READY),
        m.Kept: Rule(frozenset({READY, LEAVING}), READY),
        m.Failed: Rule(frozenset({READY}), READY),
        m.GiveUp: Rule(frozenset({GREETED, READY}), GREETED, LEAVING),
        m.Bye: Rule(_WELCOMED, START, ENDED),
    },
    Role.COORDINATOR: {
        m.Welcome: Rule(frozenset({START}), GREETED, GREETED),
        m.Refused: Rule(frozenset({START, GREETED, READY}), GREETED, ENDED),
        m.BundleFile: Rule(frozenset({GREETED}), GREETED),
        m.BundleEnd: Rule(frozenset({GREETED}), GREETED, READY),
        m.Assign: Rule(frozenset({READY}), READY),
        m.Keep: Rule(frozenset({READY, LEAVING}), READY),
        m.Settled: Rule(frozenset({READY, LEAVING}), READY),
        m.Pong: Rule(_WELCOMED, GREETED),
        m.NoMore: Rule(frozenset({READY}), READY, LEAVING),
        m.Stop: Rule(_WELCOMED, GREETED),
    },
}


class WireSession:
    """One connection as one end sees it."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self._phases = {Role.CLIENT: START, Role.COORDINATOR: START}

    def phase(self, role: Role) -> Phase:
        """How far that end has come, as far as is known here."""
        return self._phases[role]

    def legal(self, sender: Role, kind: type[Message]) -> bool:
        """Whether ``sender`` may send a message of this kind now."""
        rule = RULES[sender].get(kind)
        return rule is not None and self._phases[sender] in rule.phases and self._phases[sender.other] >= rule.other

    def sent(self, message: Message) -> None:
        """Note a message that this end is about to send; BugError when it may not."""
        if not self.legal(self.role, type(message)):
            raise BugError(self._story(self.role, message))
        self._advance(self.role, message)

    def received(self, message: Message) -> None:
        """Note a message of the other end; PeerError when it may not send it now."""
        if not self.legal(self.role.other, type(message)):
            raise PeerError(self._story(self.role.other, message))
        self._advance(self.role.other, message)

    def _advance(self, sender: Role, message: Message) -> None:
        then = RULES[sender][type(message)].then
        if then is not None:
            self._phases[sender] = then

    def _story(self, sender: Role, message: Message) -> str:
        own, other = self._phases[sender].name.lower(), self._phases[sender.other].name.lower()
        return f"{type(message).__name__} out of turn: the {sender} is {own}, the {sender.other} {other}"
