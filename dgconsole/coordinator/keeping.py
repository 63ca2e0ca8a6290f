"""Files that stay on their clients' hosts: the client is asked to name them finally, and the answer is booked."""

from dgconsole.coordinator import events as e
from dgconsole.coordinator.attempts import Attempts
from dgconsole.coordinator.books import Acceptance
from dgconsole.coordinator.clients import Client, Hold
from dgconsole.coordinator.grouping import Orders
from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m


class Keeping(Attempts):
    """The part of the core that does for such files what the destination does for those in the run directory.

    Until a client has confirmed, its attempt goes with its connection: it goes back without blame, though the
    files may have their names over there. What counts is in the ledger alone.
    """

    def _order_to_keep(self, client: Client, message: m.Completed, hold: Hold, now: float) -> Orders:
        self.accepting[hold.index] = Acceptance(
            hold, client.name, client.peer, message.figures, client.folder, asked=now
        )
        return [e.Send(client.peer, m.Keep(message.chunk, message.attempt))]

    def _kept(self, client: Client, message: m.Kept, now: float) -> Orders:
        chunk, attempt = message.chunk, message.attempt
        i = self.chunks.index(chunk)
        acceptance = self.accepting.get(i)
        if acceptance is None or acceptance not in self._asked(client) or acceptance.hold.attempt != attempt:
            text = f"{client.name} says that it keeps attempt {attempt} at chunk {chunk}, unasked: passed over"
            return [e.Log(client.name, "info", text)]
        self.touch_row(i)
        if not message.error:
            return self._final(i, acceptance, now)
        fault = message.fault if message.fault.of_client else Fault.DELIVER
        return self._not_final(chunk, acceptance, fault, message.error, now)

    def _was_asked(self, peer: int, message: m.Kept) -> bool:
        """Whether the one on this connection was asked to keep that attempt, and has not answered."""
        acceptance = self.accepting.get(self.chunks.index(message.chunk))
        asked = acceptance is not None and bool(acceptance.folder) and acceptance.peer == peer
        return asked and acceptance is not None and acceptance.hold.attempt == message.attempt

    def _asked(self, client: Client) -> list[Acceptance]:
        """What the client was asked to keep and has not answered."""
        if not client.folder:
            return []
        return [each for each in self.accepting.values() if each.folder and each.peer == client.peer]

    def _longest_asked(self, client: Client, now: float) -> float:
        """Seconds since the oldest order to keep something that is not answered."""
        return now - min((each.asked for each in self._asked(client)), default=now)

    def _unanswered(self, client: Client, now: float) -> Orders:
        """The client's connection is at its end: what it has not confirmed goes back."""
        orders: Orders = []
        for acceptance in self._asked(client):
            hold = acceptance.hold
            chunk = int(self.chunks.ids[hold.index])
            text = f"{client.name} went before it had named the files of chunk {chunk}: it is made again"
            orders += self._attempt_failed(
                client, chunk, hold, Fault.STOPPED, "deliver", text, now, acceptance=acceptance
            )
            orders.append(e.Log(client.name, "info", text))
        return orders
