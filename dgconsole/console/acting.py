"""Which actions would do something now, and in a word why the others would not."""

from dgconsole.snapshot import RunState, Snapshot
from dgconsole.views.signs import BAD_CLIENTS

NEEDS_A_RUN = frozenset({"pause", "add_client", "stop_client", "drain", "reconnect"})
NEEDS_A_SESSION = NEEDS_A_RUN | {"retry", "retry_all", "logs", "export", "go", "add_host", "whole_log"}


def why_not(action: str, snapshot: Snapshot | None) -> str:
    """Why an action of the application would do nothing now; empty when it would act."""
    if action not in NEEDS_A_SESSION:
        return ""
    if snapshot is None:
        return "the run is still being planned"
    if action in NEEDS_A_RUN and snapshot.state is RunState.ENDED:
        return "the run has ended"
    if action in ("retry", "retry_all") and not snapshot.counts.limbo:
        if action == "retry":
            return "no chunk is in limbo"
        if not any(client.state in BAD_CLIENTS for client in snapshot.clients):
            return "no chunk is in limbo, and no client gave up"
    return ""
