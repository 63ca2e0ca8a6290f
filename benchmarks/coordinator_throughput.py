"""How many completions a second the coordinator books, with clients that take no time to make a chunk.

    python benchmarks/coordinator_throughput.py [--clients 200] [--chunks 20000] [--ask 4] [--dir DIR]

The clients are in a process of their own and speak the wire over a UNIX socket; every hand-out and every
completion is on disk (synchronous=FULL) before it is told. Printed, not asserted.
"""

import argparse
import asyncio
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dgconsole import __version__
from dgconsole.coordinator.options import Options
from dgconsole.coordinator.rundir import open_or_create
from dgconsole.coordinator.server import Coordinator
from dgconsole.ingest.destination import Refusals
from dgconsole.plan import Plan
from dgconsole.support.clock import SystemClock
from dgconsole.wire import messages as m
from dgconsole.wire.framing import FrameReader, encode
from dgconsole.wire.messages import Role

SECONDS = {"generate": 0.8, "partition": 0.3, "deliver": 0.05}
TABLES = tuple(m.TableFigures(name, 820, 330, 200_000, SECONDS) for name in ("Object", "ForcedSource"))
PLAN = Plan(
    name="bench",
    num_stripes=200,
    num_sub_stripes=5,
    edge_width=0.018,
    seed=1,
    visits=30,
    objects=1000,
    tables=(),
    notices=(),
    digest="d",
    sky_digest="s",
    parts={},
)


class Nowhere:
    """A destination that takes everything at once."""

    def prepare(self, tables: Sequence[str]) -> None: ...

    def accept(self, _: Sequence[tuple[int, int, Mapping[str, Sequence[str]]]]) -> Refusals:
        return {}

    def sweep(self) -> None: ...

    def close(self) -> None: ...


class Client(asyncio.Protocol):
    """Completes whatever it is handed, at once."""

    def __init__(self, number: int, token: str, ask: int, done: asyncio.Future[None]) -> None:
        self._hello = m.Hello(token, m.PROTOCOL, __version__, f"here-{number}", "here", number)
        self._frames = FrameReader(Role.CLIENT)
        self._ask = encode(m.Ask(ask))
        self._done = done
        self._open = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(encode(self._hello))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        answers = []
        for message in self._frames.feed(data):
            if isinstance(message, m.BundleEnd):
                answers += [encode(m.Ready(PLAN.digest, PLAN.sky_digest)), self._ask]
            elif isinstance(message, m.Assign):
                self._open = len(message.chunks)
                answers += [encode(m.Completed(*pair, m.Figures(TABLES, SECONDS))) for pair in message.chunks]
            elif isinstance(message, m.Settled):
                self._open -= 1
                if not self._open:
                    answers.append(self._ask)
            elif isinstance(message, m.NoMore):
                answers.append(encode(m.Bye()))
        self._transport.write(b"".join(answers))  # type: ignore[attr-defined]

    def connection_lost(self, _: Exception | None) -> None:
        self._done.set_result(None)


def play_clients(path: str, token: str, count: int, ask: int) -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        ends = [loop.create_future() for _ in range(count)]
        for number, end in enumerate(ends, 1):
            await loop.create_unix_connection(lambda n=number, e=end: Client(n, token, ask, e), path)  # type: ignore[misc]
        await asyncio.gather(*ends)

    asyncio.run(play())


async def run(folder: Path, clients: int, chunks: int, ask: int) -> None:
    run_dir = open_or_create(folder / "run", PLAN, {})
    options = Options(end_when_finished=True, chunks_per_request=ask, transaction_size=100)
    began = time.perf_counter()
    targets = np.arange(chunks, dtype=np.int32)
    coordinator = await Coordinator.open(
        run_dir, PLAN, targets, (), Nowhere(), options, SystemClock(), lambda *_: None
    )
    opened = time.perf_counter() - began
    address = await coordinator.listen(run_dir.client_address)
    arguments = (address.removeprefix("unix:"), coordinator.token, clients, ask)
    others = multiprocessing.get_context("spawn").Process(target=play_clients, args=arguments)
    others.start()
    while not (first := coordinator.counts().completed):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    began, cpu = time.perf_counter(), time.process_time()
    await coordinator.finished.wait()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    done = chunks - first
    await coordinator.close()
    others.join()
    size = run_dir.ledger.stat().st_size / 1e6
    run_dir.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{clients} clients, {chunks:,} chunks, {ask} a request; ledger opened in {opened:.2f} s")
    rates = f"{done / seconds:,.0f} completions/s, {cpu / done * 1e6:.0f} us CPU each"
    print(f"{rates}, {memory:.0f} MB of memory, ledger {size:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--ask", type=int, default=4)
    parser.add_argument("--dir", default=None, help="where the ledger is written (default: the temporary folder)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        asyncio.run(run(Path(folder), given.clients, given.chunks, given.ask))


if __name__ == "__main__":
    main()
