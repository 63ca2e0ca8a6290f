"""What is asked of a destination with transactions, in a line."""

from collections import Counter

from dgconsole.snapshot import Snapshot, TransactionTotals
from dgconsole.views.numbers import about, exact
from dgconsole.views.text import harmless, plural


def standing(snapshot: Snapshot) -> str:
    """``3 transactions open (1 committing, oldest 2 min), 12 committed in 0.42 s each, 1 aborted``; else empty."""
    parts = []
    if rows := snapshot.transactions:
        states = Counter(harmless(row.state) for row in rows if row.state != "open")
        said = [f"{count:,} {state}" for state, count in sorted(states.items())]
        said.append(f"oldest {about(max(row.seconds for row in rows))}")
        parts.append(f"{plural(len(rows), 'transaction')} open ({', '.join(said)})")
    if ended := ended_words(snapshot.transaction_totals):
        parts.append(ended)
    return ", ".join(parts)


def ended_words(totals: TransactionTotals) -> str:
    """``12 committed in 0.42 s each, 1 aborted``; empty where none has ended."""
    parts = []
    if totals.committed:
        each = f" in {exact(totals.commit_seconds)} each" if totals.commit_seconds else ""
        parts.append(f"{totals.committed:,} committed{each}")
    if totals.aborted:
        parts.append(f"{totals.aborted:,} aborted")
    return ", ".join(parts)
