"""Client processes and the real coordinator: a run filled, clients lost, stopped, and failing."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from dgconsole.coordinator.options import Options
from dgconsole.coordinator.rundir import open_or_create
from dgconsole.coordinator.server import Coordinator
from dgconsole.ingest.destination import TransactionEnd
from dgconsole.ingest.files import FilesDestination
from dgconsole.plan.bundle import bundle_items
from dgconsole.plan.load import load_plan
from dgconsole.support.clock import SystemClock

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 39601, 39619, *range(57701, 57720), 79201]
Client = asyncio.subprocess.Process
Start = Callable[..., Awaitable[Client]]
Open = Callable[..., Awaitable[Coordinator]]


class Books:
    """A destination with transactions that keeps what became of each; chunks themselves go into files."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ends: dict[int, TransactionEnd] = {}

    async def prepare(self, tables: Sequence[str]) -> None:
        pass

    async def recover(self) -> dict[int, TransactionEnd]:
        return {}

    async def begin(self, number: int, client: str) -> int:
        self.begun.append(number)
        return number

    async def commit(self, transaction: int) -> None:
        assert transaction not in self.ends
        self.ends[transaction] = TransactionEnd.COMMITTED

    async def abort(self, transaction: int) -> TransactionEnd:
        return self.ends.setdefault(transaction, TransactionEnd.ABORTED)

    async def finish(self, *, complete: bool, partial_sky: bool) -> Sequence[str]:
        return ()

    async def close(self) -> None:
        pass


@pytest.fixture
async def opened(tmp_path: Path, config: Path) -> AsyncIterator[Open]:
    """``await opened(name, chunks, **options)``: a coordinator of the configuration, listening."""
    runs: list[Coordinator] = []

    async def make(
        name: str = "run", chunks: list[int] = CHUNKS, max_attempts: int = 3, books: Books | None = None
    ) -> Coordinator:
        settings, plan = load_plan(config)
        run_dir = open_or_create(tmp_path / name, plan, {})
        run_dir.chunks.mkdir()
        run = await Coordinator.open(
            run_dir,
            plan,
            np.array(chunks, np.int32),
            bundle_items(settings, plan, out_dir=str(run_dir.chunks), keep_csv=False),
            books or FilesDestination(run_dir.chunks),
            Options(
                end_when_finished=True,
                chunks_per_request=2,
                transaction_size=3,
                retry_wait=0.01,
                tick=0.05,
                max_attempts=max_attempts,
            ),
            SystemClock(),
            lambda source, level, text: None,
        )
        await run.listen(f"unix:{tmp_path / name / 's'}")
        runs.append(run)
        return run

    yield make
    for run in runs:
        await run.close()


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Start]:
    """``await begin(run, name)``: a client process of that run."""
    clients: list[Client] = []

    async def make(run: Coordinator, name: str, folder: str = "run", address: str = "") -> Client:
        run.expect(name, "here")
        place = address or f"unix:{tmp_path / folder / 's'}"
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dgconsole.client", "--server", place, "--name", name,
            "--workdir", str(tmp_path / "work" / name), "--token-file", "-",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert client.stdin is not None
        client.stdin.write(f"{run.token}\n".encode())
        clients.append(client)
        return client

    yield make
    for client in clients:
        if client.returncode is None:
            client.kill()
        await client.communicate()


async def ended(client: Client) -> tuple[int, str]:
    async with asyncio.timeout(60):
        assert client.stdout is not None
        text = (await client.stdout.read()).decode()
        return await client.wait(), text


def files(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run / "chunks")): p.read_bytes() for p in (run / "chunks").glob("*/*")}


async def test_one_client_or_two_the_same_bytes(tmp_path: Path, opened: Open, begin: Start) -> None:
    for folder, names in (("one", ["here-1"]), ("two", ["here-1", "here-2"])):
        run = await opened(folder)
        ends = [await ended(client) for client in [await begin(run, name, folder) for name in names]]
        assert [status for status, _ in ends] == [0] * len(names), ends
        assert run.counts().completed == len(CHUNKS)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert len(one) == 3 * len(CHUNKS)
    assert one == two


async def test_leaving_takes_no_time_also_over_tcp(opened: Open, begin: Start) -> None:
    run = await opened(chunks=[57701])
    client = await begin(run, "here-1", address=await run.listen("127.0.0.1:0"))
    await run.finished.wait()
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert (await ended(client))[0] == 0
    assert loop.time() - start < 0.9, "the coordinator closes its end as soon as the client has said Bye"


async def test_a_client_killed_in_mid_run_costs_nothing_but_time(tmp_path: Path, opened: Open, begin: Start) -> None:
    run = await opened()
    victim = await begin(run, "here-1")
    assert victim.stdout is not None
    while b" made: " not in await victim.stdout.readline():
        pass
    victim.kill()
    await victim.wait()
    run.client_exited("here-1", "ended by SIGKILL")
    assert (await ended(await begin(run, "here-2")))[0] == 0
    assert run.counts().completed == len(CHUNKS)
    made = [name for name in files(tmp_path / "run") if ".attempt-" not in name]
    assert len(made) == 3 * len(CHUNKS)


async def test_a_generator_that_raises_sends_the_chunk_to_limbo(
    tmp_path: Path, config: Path, opened: Open, begin: Start
) -> None:
    spec = config.parent / "fakeGenSpec.py"
    spoiled = spec.read_text().replace("columns.MagnitudeGenerator(n_mags=6)", "Trouble()")
    spec.write_text(
        "from dgconsole.catalog.columns import ColumnGenerator\n\n\nclass Trouble(ColumnGenerator):\n"
        "    def values(self, rows):\n        raise ValueError('no flux')\n\n\n" + spoiled
    )
    run = await opened(chunks=[57701], max_attempts=2)
    status, text = await ended(await begin(run, "here-1"))
    assert status == 0, text
    assert run.counts().limbo == 1
    (cause,) = run.causes()
    assert "no flux" in cause.text
    assert files(tmp_path / "run") == {}


@pytest.mark.parametrize("now", [False, True])
async def test_a_run_that_is_stopped_lets_its_clients_go(opened: Open, begin: Start, now: bool) -> None:
    run = await opened(chunks=list(range(57701, 57730)))
    client = await begin(run, "here-1")
    assert client.stdout is not None
    while b" made: " not in await client.stdout.readline():
        pass
    await run.stop(now=now)
    await run.stopped.wait()
    status, text = await ended(client)
    assert status == 0, text
    counts = run.counts()
    assert counts.completed
    assert counts.in_work == 0
    assert counts.limbo == 0


# ---- a destination with transactions


async def test_clients_fill_transactions(opened: Open, begin: Start) -> None:
    books = Books()
    run = await opened(books=books)
    ends = [await ended(client) for client in [await begin(run, f"here-{k}") for k in (1, 2)]]
    assert [status for status, _ in ends] == [0, 0], ends
    assert run.counts().completed == len(CHUNKS)
    assert list(books.ends.values()).count(TransactionEnd.COMMITTED) >= len(CHUNKS) / 3
    assert sorted(books.ends) == books.begun


async def test_a_killed_client_costs_one_transaction(opened: Open, begin: Start) -> None:
    books = Books()
    run = await opened(books=books)
    victim = await begin(run, "here-1")
    assert victim.stdout is not None
    while b" made: " not in await victim.stdout.readline():
        pass
    victim.kill()
    await victim.wait()
    run.client_exited("here-1", "ended by SIGKILL")
    assert (await ended(await begin(run, "here-2")))[0] == 0
    assert run.counts().completed == len(CHUNKS)
    assert sorted(books.ends) == books.begun


@pytest.mark.parametrize("now", [False, True])
async def test_a_client_that_is_stopped_leaves_no_transaction_open(opened: Open, begin: Start, now: bool) -> None:
    books = Books()
    run = await opened(chunks=list(range(57701, 57730)), books=books)
    client = await begin(run, "here-1")
    assert client.stdout is not None
    while b" made: " not in await client.stdout.readline():
        pass
    await run.stop(now=now)
    assert (await ended(client))[0] == 0
    run.client_exited("here-1", "ended")
    await run.stopped.wait()
    counts = run.counts()
    assert (counts.in_work, counts.delivered, counts.limbo, counts.retrying) == (0, 0, 0, 0)
    assert sorted(books.ends) == books.begun
    assert now or counts.completed


async def test_a_chunk_that_fails_undoes_its_transaction_and_no_more(
    config: Path, opened: Open, begin: Start
) -> None:
    spec = config.parent / "fakeGenSpec.py"
    spoiled = spec.read_text().replace("columns.MagnitudeGenerator(n_mags=6)", "Trouble()")
    spec.write_text(
        "from dgconsole.catalog.columns import ColumnGenerator\n\n\nclass Trouble(ColumnGenerator):\n"
        "    def values(self, rows):\n"
        "        if rows.chunk == 57705:\n            raise ValueError('no flux')\n"
        "        return [rows.dec] * 6\n\n\n" + spoiled
    )
    books = Books()
    run = await opened(chunks=list(range(57701, 57720, 2)), max_attempts=2, books=books)
    status, text = await ended(await begin(run, "here-1"))
    assert status == 0, text
    counts = run.counts()
    assert (counts.completed, counts.limbo) == (9, 1), text
    history = await run.history(57705)
    assert history is not None
    assert [attempt.outcome for attempt in history.attempts] == ["failed", "failed"]
    assert list(books.ends.values()).count(TransactionEnd.ABORTED) == 2
    assert sorted(books.ends) == books.begun
