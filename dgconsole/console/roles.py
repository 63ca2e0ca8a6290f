"""What a console is to the run that it shows: the one that runs it, one attached to it, or a reader of its books."""

from enum import Enum


class Role(Enum):
    """The value is what the head says of it, after the state of the run."""

    OWNER = ""
    """The session lives and ends with this console."""
    ATTACHED = "attached"
    """The session runs elsewhere; this console steers it and leaves it alone when it goes."""
    WATCHER = "read-only"
    """As ATTACHED, without commands."""
    READER = "report"
    """There is no session, only what one left."""

    @property
    def steers(self) -> bool:
        return self in (Role.OWNER, Role.ATTACHED)

    @property
    def writes(self) -> bool:
        """Whether it may have the report written."""
        return self is not Role.WATCHER

    @property
    def opening(self) -> str:
        """What the head says before the first look."""
        return {Role.OWNER: "planning", Role.READER: "reading"}.get(self, "attaching")
