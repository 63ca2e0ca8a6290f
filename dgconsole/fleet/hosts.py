"""The life of a host as a table: which state follows which event, and the waits between tries."""

import random
from enum import StrEnum

from dgconsole.support.errors import BugError


class HostState(StrEnum):
    """Where a host stands."""

    QUEUED = "queued"
    CONNECTING = "connecting"
    """The agent is being started and the host prepared."""
    UP = "up"
    BACKING_OFF = "backing off"
    """The agent was lost; it is started again after a wait."""
    SET_ASIDE = "set aside"
    """Cannot be used until a person mends it."""
    DRAINING = "draining"
    """Its clients finish what they have; no new ones start."""
    DRAINED = "drained"
    """Its clients and its agent have ended; a client that is wanted brings it back."""
    ENDED = "ended"


class HostEvent(StrEnum):
    """What can happen to a host."""

    CONNECT = "connect"
    PREPARED = "prepared"
    LOST = "lost"
    """The agent went away, and there are tries left."""
    HOPELESS = "hopeless"
    """It cannot work like this, or the tries are used up."""
    DRAIN = "drain"
    REOPEN = "reopen"
    """A client is wanted before the last one has ended."""
    EMPTY = "empty"
    END = "end"


TRANSITIONS: dict[HostState, dict[HostEvent, HostState]] = {
    HostState.QUEUED: {
        HostEvent.CONNECT: HostState.CONNECTING,
        HostEvent.END: HostState.ENDED,
    },
    HostState.CONNECTING: {
        HostEvent.PREPARED: HostState.UP,
        HostEvent.LOST: HostState.BACKING_OFF,
        HostEvent.HOPELESS: HostState.SET_ASIDE,
        HostEvent.END: HostState.ENDED,
    },
    HostState.UP: {
        HostEvent.LOST: HostState.BACKING_OFF,
        HostEvent.HOPELESS: HostState.SET_ASIDE,
        HostEvent.DRAIN: HostState.DRAINING,
        HostEvent.END: HostState.ENDED,
    },
    HostState.BACKING_OFF: {
        HostEvent.CONNECT: HostState.CONNECTING,
        HostEvent.HOPELESS: HostState.SET_ASIDE,
        HostEvent.END: HostState.ENDED,
    },
    HostState.SET_ASIDE: {
        HostEvent.CONNECT: HostState.CONNECTING,
        HostEvent.END: HostState.ENDED,
    },
    HostState.DRAINING: {
        HostEvent.REOPEN: HostState.UP,
        HostEvent.EMPTY: HostState.DRAINED,
        HostEvent.END: HostState.ENDED,
    },
    HostState.DRAINED: {
        HostEvent.CONNECT: HostState.CONNECTING,
        HostEvent.END: HostState.ENDED,
    },
    HostState.ENDED: {},
}


def after(state: HostState, event: HostEvent) -> HostState:
    """The state that follows; BugError where the table has no such step."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise BugError(f"a host that is {state} cannot meet {event}") from None


def wait_before(attempt: int, *, first: float = 1.0, most: float = 60.0) -> float:
    """Seconds before the ``attempt``-th try again (from 1): doubling from ``first`` up to ``most``."""
    return min(most, first * 2.0 ** (attempt - 1))


def jittered(seconds: float) -> float:
    """``seconds`` a quarter more or less, so that hosts lost together do not all come back in the same moment."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
