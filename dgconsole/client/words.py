"""The lines that a client writes about its chunks; pure."""

from dgconsole.support.errors import Fault
from dgconsole.wire.messages import Figures


def completed_line(chunk: int, figures: Figures) -> str:
    """What one completed chunk came to."""
    rows = sum(table.rows for table in figures.tables)
    overlap = sum(table.overlap_rows for table in figures.tables)
    size = sum(table.bytes for table in figures.tables)
    seconds = figures.seconds
    stages = ", ".join(f"{stage} {seconds[stage]:.2f} s" for stage in seconds)
    return (
        f"chunk {chunk} made: {rows:,} rows, {overlap:,} overlap rows, {size / 1e6:,.1f} MB"
        f" in {sum(seconds.values()):.2f} s ({stages})"
    )


def failed_line(chunk: int, attempt: int, fault: Fault, stage: str, text: str) -> str:
    """Why one attempt failed."""
    where = f" in {stage}" if stage else ""
    return f"chunk {chunk} attempt {attempt} failed{where} ({fault.value}): {text}"
