"""Every invariant of the core in one place; tests ask after each step."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.transactions import Stage, Transaction

if TYPE_CHECKING:
    from dgconsole.coordinator.books import Books


def problems(core: "Books") -> list[str]:
    """What contradicts itself; empty when all is well."""
    return [
        *core.chunks.problems(),
        *core.waiting.problems(),
        *_holders(core),
        *_transactions(core),
        *_delivered(core),
        *_rest(core),
    ]


def _holders(core: "Books") -> list[str]:
    """Each assigned chunk is in exactly one hand, or on its way to its final names."""
    chunks = core.chunks
    found = []
    holders: Counter[int] = Counter(core.accepting.keys())
    held = [(client.index, chunk, hold) for client in core.clients.values() for chunk, hold in client.hand.items()]
    held += [(-1, int(chunks.ids[i]), acceptance.hold) for i, acceptance in core.accepting.items()]
    for index, chunk, hold in held:
        i = hold.index
        if index >= 0:
            holders[i] += 1
            if chunks.client[i] != index:
                found.append(f"chunk {chunk} is in the hand of client {index}, booked for {chunks.client[i]}")
        if chunks.ids[i] != chunk or chunks.state[i] != State.ASSIGNED or chunks.attempt[i] != hold.attempt:
            found.append(f"chunk {chunk}: hand and arrays disagree: {hold}")
    found += [f"chunk {chunks.ids[i]} has {count} holders" for i, count in holders.items() if count > 1]
    if len(holders) != chunks.counts[State.ASSIGNED]:
        found.append(f"{chunks.counts[State.ASSIGNED]} chunks are assigned, {len(holders)} are held")
    return found


def _transactions(core: "Books") -> list[str]:
    """Each chunk in work belongs to one transaction, which is as far as they are."""
    found = []
    out = Counter(hold.transaction for client in core.clients.values() for hold in client.hand.values())
    out.update(acceptance.hold.transaction for acceptance in core.accepting.values())
    for number, transaction in core.transactions.items():
        if out.pop(number, 0) != transaction.out:
            found.append(f"transaction {number} does not have {transaction.out} chunks out")
        filled = [client.name for client in core.clients.values() if client.current == number]
        if filled != [] if transaction.sealed else filled != [transaction.client]:
            found.append(f"transaction {number} of {transaction.client} is filled by {filled}: {transaction}")
        found += [f"transaction {number}: {wrong}" for wrong in _contradictions(core, transaction)]
    found += [f"transaction {number} has chunks out but is not there" for number in out]
    for client in core.clients.values():
        if client.current and client.current not in core.transactions:
            found.append(f"{client.name} fills transaction {client.current}, which is not there")
    return found


def _contradictions(core: "Books", transaction: Transaction) -> Iterator[str]:
    stage, whole = transaction.stage, transaction.sealed and not transaction.out
    if not core.options.grouped:
        if whole or stage is not Stage.OPEN or transaction.delivered or transaction.doomed:
            yield f"should have ended, or is of a kind that is not there: {transaction}"
        return
    if stage is Stage.OPENING and (transaction.out or transaction.delivered or transaction.destination):
        yield f"is used before it is open: {transaction}"
    if stage in (Stage.COMMITTING, Stage.ABORTING, Stage.STUCK) and not whole:
        yield f"ends with chunks out: {transaction}"
    if stage is Stage.COMMITTING and (transaction.doomed or not transaction.delivered):
        yield f"must not be committed: {transaction}"
    if stage is Stage.OPEN and whole and not transaction.quiet_at:
        yield f"should end: {transaction}"
    if transaction.doomed and not transaction.sealed:
        yield f"takes more chunks though it is doomed: {transaction}"


def _delivered(core: "Books") -> list[str]:
    """Each delivered chunk waits for the end of exactly one transaction."""
    chunks, found = core.chunks, []
    waiting = Counter(i for transaction in core.transactions.values() for i in transaction.delivered)
    if waiting.keys() != core.loaded.keys() or chunks.counts[State.DELIVERED] != len(core.loaded):
        found.append(f"{chunks.counts[State.DELIVERED]} are delivered, {core.loaded.keys() ^ waiting.keys()} astray")
    for i, loaded in core.loaded.items():
        transaction = core.transactions.get(loaded.hold.transaction)
        if waiting[i] != 1 or transaction is None or i not in transaction.delivered:
            found.append(f"chunk {chunks.ids[i]} waits for {waiting[i]} transactions, not for {loaded.hold}")
        if chunks.state[i] != State.DELIVERED or chunks.attempt[i] != loaded.hold.attempt:
            found.append(f"chunk {chunks.ids[i]}: what is loaded and arrays disagree: {loaded.hold}")
    return found


def _rest(core: "Books") -> list[str]:
    chunks = core.chunks
    found = []
    if int(chunks.used.max(initial=0)) > core.options.max_attempts:
        found.append("a chunk has used more attempts than there are")
    limbo = {int(i) for i in (chunks.state == State.LIMBO).nonzero()[0]}
    if limbo != set(core.limbo):
        found.append(f"notes on limbo are not those of the chunks in limbo: {limbo ^ set(core.limbo)}")
    for client in core.clients.values():
        if client.over and client.hand:
            found.append(f"{client.name} is {client.state} with chunks in its hand")
        if core.peers.get(client.peer, "") != (client.name if client.peer else ""):
            found.append(f"{client.name} and its connection {client.peer} disagree")
        if (client.name in core.askers) != (client.wanted > 0):
            found.append(f"{client.name} wants {client.wanted} chunks; who waits: {list(core.askers)}")
    found += [
        f"{acceptance.client} is to keep files and is not there: {acceptance}"
        for acceptance in core.accepting.values()
        if acceptance.folder and core.peers.get(acceptance.peer) != acceptance.client
    ]
    unfinished = chunks.counts[State.PENDING : State.COMPLETED]
    if core.run.finished and (any(unfinished) or (core.options.grouped and core.transactions)):
        found.append(f"finished with {unfinished} pending, assigned, delivered and {core.transactions}")
    return found
