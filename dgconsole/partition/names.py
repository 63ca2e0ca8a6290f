"""File names: what a chunk's files are called, finally and while an attempt is not yet accepted."""

import re

PREFIX = "chunk"
ATTEMPT = re.compile(r"(?P<final>.+)\.attempt-(?P<attempt>[0-9]+)")


def chunk_file(chunk: int, overlap: bool = False, prefix: str = PREFIX) -> str:
    """``chunk_<N>.txt`` for a chunk's own rows, ``chunk_<N>_overlap.txt`` for the copies it gets."""
    return f"{prefix}_{chunk}_overlap.txt" if overlap else f"{prefix}_{chunk}.txt"


def attempt_name(final: str, attempt: int) -> str:
    """What a file is called until the attempt that wrote it is accepted."""
    return f"{final}.attempt-{attempt}"


def split_attempt(name: str) -> tuple[str, int] | None:
    """The final name and the attempt of a name that :func:`attempt_name` made; None for any other."""
    found = ATTEMPT.fullmatch(name)
    return (found["final"], int(found["attempt"])) if found else None
