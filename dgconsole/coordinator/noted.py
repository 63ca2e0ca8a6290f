"""The totals of a run from its ledger: those that the last session noted, and what has ended since."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from dgconsole.coordinator.ledger import Ledger, Reader
from dgconsole.coordinator.tally import Tally

TOTALS = "totals"
"""Name of the note."""


def note_totals(ledger: Ledger, tally: Tally) -> None:
    """Note them for the next session. Where that cannot be written, it adds them up again."""
    text = msgspec.json.encode(tally).decode()
    if ledger.note(TOTALS) != text:
        ledger.write_note(TOTALS, text)


def tally_of(ledger: Ledger | Reader, names: Sequence[tuple[str, str]]) -> Tally:
    """All attempts that have ended, added up; ``names`` are (client, host) by index.

    To add up a million takes five seconds. A note stands for the attempts that it counts as long as the ledger has
    just as many that ended until then: attempts are never taken away.
    """
    tally = Tally()
    if text := ledger.note(TOTALS):
        with suppress(msgspec.DecodeError):  # another version's
            tally = msgspec.json.decode(text, type=Tally)
    if tally.attempts != ledger.count_ended(tally.last_ended):
        tally = Tally()
    for ended in ledger.ended(tally.last_ended):
        tally.add(ended, *names[ended.client])
    return tally
