"""What a run may be told about how to go; the defaults are those of the contracts."""

from msgspec import Struct

from dgconsole.support.errors import InputError, Problem

_BOUNDS = {"max_attempts": (1, 255), "chunks_per_request": (1, 10_000), "transaction_size": (1, 2**31)}


class Options(Struct, frozen=True, kw_only=True):
    """All times in seconds."""

    max_attempts: int = 3
    chunks_per_request: int = 16
    """The most that one request gets."""
    transaction_size: int = 10
    """So many chunks, handed to one client, belong together."""
    grouped: bool = False
    """The destination has transactions: chunks are handed out in open ones only, and are complete when it commits."""
    heartbeat: float = 5.0
    lease: float = 30.0
    """Without a word for so long a client is gone."""
    hello_timeout: float = 10.0
    """A connection that says nothing for so long is closed."""
    stall_timeout: float = 600.0
    retry_wait: float = 1.0
    """Before the second attempt; four times as long before each further one."""
    retry_wait_limit: float = 60.0
    end_when_finished: bool = False
    """Tell idle clients NoMore when nothing is pending or assigned; else they wait for what a person may retry."""
    keep_in: str = ""
    """Folder on their hosts where files of clients that do not see the run directory stay; empty: they send them."""
    direct: bool = False
    """Clients bring their chunks to the destination themselves, wherever they are."""
    tick: float = 0.25
    gather: float = 0.002
    """How long events gather for one commit."""

    def __post_init__(self) -> None:
        """InputError for a number that makes no sense."""
        InputError.raise_if(
            Problem(f"is {getattr(self, key)}; it can be {low:,} to {high:,}", key=key)
            for key, (low, high) in _BOUNDS.items()
            if not low <= getattr(self, key) <= high
        )
