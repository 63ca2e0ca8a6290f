"""The coordinator over real sockets, with small clients that speak the wire."""

import asyncio
import csv
from pathlib import Path
from typing import Any

from dgconsole.snapshot import ClientState, RunState


async def test_clients_fill_a_run(start: Any, fast: Any, tmp_path: Path) -> None:
    run = await start(range(100, 140))
    clients = [await run.client(f"here-{k}") for k in (1, 2)]
    assert clients[0].files == {"spec/spec.py": b"x" * 600_000, "plan/plan.json": b""}
    work = [asyncio.create_task(client.work()) for client in clients]
    await run.coordinator.finished.wait()
    assert run.coordinator.run_state is RunState.ENDED
    counts = run.coordinator.counts()
    assert (counts.total, counts.completed) == (40, 40)
    assert sorted(chunk for chunk, _ in run.destination.accepted) == list(range(100, 140))
    assert run.destination.names[100] == {"Object": ("chunk_100.txt", "chunk_100_overlap.txt")}
    await run.coordinator.stop(now=False)
    done = await asyncio.gather(*work)
    assert sum(done) == 40
    assert min(done) > 0
    await run.coordinator.stopped.wait()
    rows = run.coordinator.clients()
    assert [row.state for row in rows] == [ClientState.STOPPED, ClientState.STOPPED]
    assert sum(row.done for row in rows) == 40
    await run.coordinator.write_csv(tmp_path / "report.csv")
    report = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert [int(row["chunk_id"]) for row in report] == list(range(100, 140))
    assert {row["state"] for row in report} == {"completed"}
    assert {row["host"] for row in report} == {"here"}
    totals = await run.coordinator.report()
    assert totals.tables[0].rows == 400
    assert {total.name for total in totals.stages} == {"generate", "partition"}
    assert sum(total.chunks for total in totals.hosts) == 40
