"""The names of a chunk's files: final ones, and the ones that an attempt writes under until it is accepted."""

PREFIX = "chunk"
_MARK = ".attempt-"


def home_name(chunk: int, prefix: str = PREFIX) -> str:
    """The file of the chunk's own rows; only ``dgpartition`` knows other prefixes."""
    return f"{prefix}_{chunk}.txt"


def overlap_name(chunk: int, prefix: str = PREFIX) -> str:
    """The file of the rows that lie in the overlap of the chunk's sub-chunks."""
    return f"{prefix}_{chunk}_overlap.txt"


def attempt_name(final: str, attempt: int) -> str:
    """The name under which attempt number ``attempt`` writes the file ``final``."""
    return f"{final}{_MARK}{attempt}"


def is_attempt_name(name: str) -> bool:
    """Whether ``name`` is one that ``attempt_name`` gives."""
    final, mark, number = name.rpartition(_MARK)
    return bool(final and mark) and number.isascii() and number.isdigit()
