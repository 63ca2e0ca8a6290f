"""Every invariant of the core in one place; tests ask after each step."""

from collections import Counter
from typing import TYPE_CHECKING

from dgconsole.coordinator.chunks import State

if TYPE_CHECKING:
    from dgconsole.coordinator.books import Books


def problems(core: "Books") -> list[str]:
    """What contradicts itself; empty when all is well."""
    return [
        *core.chunks.problems(),
        *core.waiting.problems(),
        *_holders(core),
        *_transactions(core),
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
    found = []
    open_chunks: Counter[int] = Counter()
    for client in core.clients.values():
        open_chunks.update(hold.transaction for hold in client.hand.values())
        if client.current and client.current not in client.transactions:
            found.append(f"{client.name} fills transaction {client.current}, which is not open")
    open_chunks.update(acceptance.hold.transaction for acceptance in core.accepting.values())
    for client in core.clients.values():
        for number, count in client.transactions.items():
            if open_chunks.pop(number, 0) != count:
                found.append(f"transaction {number} of {client.name} does not have {count} open chunks")
            if not count and number != client.current:
                found.append(f"transaction {number} of {client.name} should have ended")
    found += [f"transaction {number} has open chunks but is not open" for number in open_chunks]
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
    pending, assigned = chunks.counts[State.PENDING], chunks.counts[State.ASSIGNED]
    if core.run.finished and (pending or assigned):
        found.append(f"finished with {pending} pending and {assigned} assigned")
    return found
