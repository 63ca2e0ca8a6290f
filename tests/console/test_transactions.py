"""A destination's transactions on the screen."""

import pytest

from dgconsole.snapshot import TransactionRow, TransactionTotals

pytestmark = pytest.mark.slow


def row(number: int, state: str = "open") -> TransactionRow:
    return TransactionRow(number=number, client="db01-1", chunks=10, delivered=7, state=state, seconds=65.0)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
async def test_they_stand_below_the_clients(scene, open_console, size):
    session = scene("running")
    async with open_console(session, size) as face:
        assert "transaction" not in face.text()
        session.transactions = [row(7, "committing"), row(8)]
        session.transaction_totals = TransactionTotals(committed=12, aborted=1, commit_seconds=0.42)
        session.advance(1.0)
        await face.look()
        assert "2 transactions open (1 committing, oldest 1 min)" in face.text()
        assert "12 committed" in face.text()
        session.transactions = []
        session.advance(1.0)
        await face.look()
        assert "open (" not in face.text()
        await face.press("5")
        await face.look()
        assert "transactions 12 committed in 0.42 s each, 1 aborted" in " ".join(face.text().split())
