"""From an empty or an old run directory to a core that goes on: ledger opened, destination asked, state loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgconsole.coordinator import ledger as ledgers
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.ledger import Ledger
from dgconsole.coordinator.noted import tally_of
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.tally import Tally
from dgconsole.ingest.destination import Destination, TransactionalDestination, TransactionEnd
from dgconsole.support.clock import Clock
from dgconsole.support.errors import ChunkError, InputError, Problem

FINISHED = "finished"
"""Name of the ledger's note that a transactional destination has done what follows the last chunk."""


def open_ledger(path: Path, targets: NDArray[np.int32]) -> tuple[Ledger, bool]:
    """The ledger, and whether a transactional destination has nothing left to do for it."""
    if not path.exists():
        ledgers.create(path, targets)
    ledger = Ledger(path)
    try:
        return ledger, ledger.whole(targets) and ledger.note(FINISHED) is not None
    except BaseException:
        ledger.close()
        raise


def load(
    ledger: Ledger,
    targets: NDArray[np.int32],
    ends: Mapping[int, TransactionEnd],
    options: Options,
    clock: Clock,
) -> tuple[Core, Tally]:
    """All that the ledger holds, with what has ended since according to the destination."""
    kept = ledger.start(targets, clock.wall(), ends)
    tally = tally_of(ledger, kept.names)
    core = Core(
        kept.chunks,
        options,
        names=kept.names,
        failures=kept.failures,
        limbo=kept.limbo,
        next_transaction=kept.next_transaction,
        offset=clock.wall() - clock.now(),
    )
    return core, tally


async def recover(destination: TransactionalDestination, tables: Sequence[str]) -> Mapping[int, TransactionEnd]:
    """Make it ready; what became there of what earlier sessions left open."""
    try:
        await destination.prepare(tables)
        return await destination.recover()
    except ChunkError as error:
        raise InputError(Problem(error.text)) from error


def ready(destination: Destination, tables: Sequence[str]) -> None:
    """Make it ready, and rid of what attempts left behind. Blocks."""
    try:
        destination.prepare(tables)
        destination.sweep()
    except ChunkError as error:
        raise InputError(Problem(error.text)) from error
