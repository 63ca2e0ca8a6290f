"""Real client processes against a small console: chunks made, failures told, ends clean."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m

pytestmark = pytest.mark.slow

CHUNKS = [0, 39600, 39619, 57701, 57702, 58100, 79201]


async def test_chunks_of_the_shipped_catalog(console: Any, start: Any) -> None:
    console.chunks = list(CHUNKS)
    await console.open()
    client = await start("here-1")
    status, text = await client.end()
    assert status == 0, text
    assert text.splitlines()[-1] == "INFO ends: no more chunks"
    assert all(line.split()[0] in ("INFO", "WARNING") for line in text.splitlines())
    assert len([line for line in text.splitlines() if " made: " in line]) == len(CHUNKS)
    completed = {message.chunk: message for message in console.all(m.Completed)}
    assert sorted(completed) == CHUNKS
    names = set(console.files())
    for chunk in CHUNKS:
        objects, sources = completed[chunk].figures.tables
        assert (objects.table, sources.table) == ("Object", "ForcedSource")
        assert set(completed[chunk].figures.seconds) == {"generate", "partition", "deliver"}
        file = console.files()[f"Object/chunk_{chunk}.txt"]
        assert file.count(b"\n") == objects.rows
        assert all(line.split(b"\t")[-2] == str(chunk).encode() for line in file.splitlines())
        overlap = console.files()[f"Object/chunk_{chunk}_overlap.txt"]
        assert overlap.count(b"\n") == objects.overlap_rows
        assert objects.bytes == len(file) + len(overlap)
        assert sources.overlap_rows == 0
    assert len(names) == 3 * len(CHUNKS)
    assert isinstance(console.heard[-1], m.Bye)


async def test_two_clients_make_the_same_bytes_as_one(console: Any, start: Any) -> None:
    console.chunks = list(CHUNKS)
    await console.open()
    await (await start("here-1")).end()
    alone = console.files()
    for path in console.chunk_folder.glob("*/*"):
        path.unlink()
    console.chunks, console.each = list(CHUNKS), 1
    clients = [await start("here-1"), await start("here-2")]
    assert [(await client.end())[0] for client in clients] == [0, 0]
    assert console.files() == alone


async def test_csv_files_are_kept_where_that_is_wanted(console: Any, start: Any) -> None:
    console.chunks, console.keep_csv = [57701], True
    await console.open()
    client = await start("here-1")
    assert (await client.end())[0] == 0
    tables = ("CcdVisit", "ForcedSource", "Object")
    kept = sorted(path.name for path in (client.workdir / "csv").iterdir())
    assert kept == [f"chunk57701_CT_{table}.csv" for table in tables]
    made = console.files()["Object/chunk_57701.txt"]
    csv = (client.workdir / "csv" / "chunk57701_CT_Object.csv").read_bytes()
    columns = [line.split(b"\t")[:-2] for line in made.splitlines()]
    assert columns == [line.split(b",") for line in csv.splitlines()]


async def test_the_token_may_come_from_the_environment_or_from_server_json(
    console: Any, start: Any, tmp_path: Path
) -> None:
    await console.open()
    assert (await (await start("a", stdin=False)).end())[0] == 0
    (tmp_path / "server.json").write_text('{"address": "unix:/x", "token": "a-token-for-tests"}')
    client = await start("b", "--token-file", str(tmp_path / "server.json"), stdin=False, token="wrong")
    assert (await client.end())[0] == 0


async def test_a_wrong_token_is_refused(console: Any, start: Any) -> None:
    await console.open()
    status, text = await (await start(token="wrong")).end()
    assert (status, text) == (2, "ERROR ends: the console refused this client: wrong token\n")


async def test_a_second_client_in_one_workdir_is_told_so(console: Any, start: Any) -> None:
    console.ends = False
    await console.open()
    first = await start("here-1")
    await console.until(m.Ask)
    status, text = await (await start("here-2", workdir=first.workdir)).end()
    assert status == 2
    (line,) = text.splitlines()
    assert line.startswith("ERROR --workdir: another client works in")
    assert f"process {first.process.pid}" in line


async def test_nobody_there(console: Any, start: Any) -> None:
    status, text = await (await start()).end()
    assert status == 1
    assert "cannot connect to unix:" in text
    assert "No such file" in text


async def test_a_console_that_goes_away_ends_the_client(console: Any, start: Any) -> None:
    console.ends = False
    await console.open()
    client = await start()
    await console.until(m.Ask)
    await console.close()
    status, text = await client.end()
    assert (status, text.splitlines()[-1]) == (1, "ERROR ends: lost the console: the connection was closed")


async def test_a_console_that_falls_silent_is_lost_after_the_lease(console: Any, start: Any) -> None:
    console.ends, console.pongs = False, False
    console.heartbeat, console.lease = 0.2, 1.0
    await console.open()
    status, text = await (await start()).end()
    assert status == 1
    assert "no word from the console for 1 s" in text
    assert len(console.all(m.Ping)) >= 3


async def test_heartbeats_keep_an_idle_client_alive(console: Any, start: Any) -> None:
    console.ends = False
    console.heartbeat, console.lease = 0.1, 1.0
    await console.open()
    await start()
    await console.until(m.Ping, 15)
    console.connections[0].say(m.NoMore())
    await console.until(m.Bye)


async def test_a_console_that_comes_back_is_found_again(console: Any, start: Any, tmp_path: Path) -> None:
    console.ends = False
    await console.open()
    client = await start("here-1", "--retry")
    await console.until(m.Ask)
    await console.close()
    line = b""
    while b"trying again" not in line:
        line = await client.process.stdout.readline()
        assert line
    console.socket.unlink(missing_ok=True)
    console.chunks, console.ends = [57701], True
    await console.open()
    status, text = await client.end()
    assert status == 0, text
    assert len(console.all(m.Completed)) == 1


FAILING = """
from dgconsole.catalog.columns import ColumnGenerator

class Trouble(ColumnGenerator):
    def values(self, rows):
        trouble(rows)

"""


def spoil(config: Path, body: str) -> None:
    """Give the spec a generator of the user's own whose ``values`` runs ``body`` for each batch."""
    spec = config.parent / "fakeGenSpec.py"
    text = spec.read_text().replace("columns.MagnitudeGenerator(n_mags=6)", "Trouble()")
    spec.write_text(f"{FAILING}\ndef trouble(rows):\n    {body}\n\n{text}")


async def test_an_error_of_the_spec_is_told_for_each_chunk_and_the_client_goes_on(
    console: Any, start: Any, config: Path
) -> None:
    spoil(config, "raise ValueError('no flux\\nhere')")
    console.chunks = CHUNKS[:5]
    await console.open()
    client = await start()
    status, text = await client.end()
    assert status == 0, text
    failed = console.all(m.Failed)
    assert [message.chunk for message in failed] == CHUNKS[:5]
    for message in failed:
        assert message.fault in (Fault.GENERATE, Fault.SPEC)
        assert message.stage == "generate"
        assert "no flux" in message.text
        assert "\n" not in message.text
        assert "Traceback" in message.details
    assert console.files() == {}
    notes = sorted(path.name for path in (client.workdir / "failed").iterdir())
    assert notes == sorted(f"chunk_{chunk}_attempt-1.txt" for chunk in CHUNKS[2:5])


async def test_a_spec_without_maps_loads_nothing_heavy(console: Any, start: Any, config: Path) -> None:
    heavy = ("healpy", "astropy", "scipy", "pyarrow", "sqlite3", "asyncssh", "textual", "rich", "lsst.sphgeom")
    spoil(config, f"import sys; raise ValueError(repr([name for name in {heavy} if name in sys.modules]))")
    console.chunks = [57701]
    await console.open()
    await (await start()).end()
    assert "ValueError: []" in console.all(m.Failed)[0].text


async def test_a_client_without_memory_gives_up_and_says_so(console: Any, start: Any, config: Path) -> None:
    spoil(config, "raise MemoryError")
    console.chunks = list(CHUNKS)
    await console.open()
    status, text = await (await start()).end()
    assert status == 1
    assert len(console.all(m.Failed)) == 3
    (gave_up,) = console.all(m.GiveUp)
    assert gave_up.fault is Fault.MEMORY
    assert "gave up" in text.splitlines()[-1]
    assert console.files() == {}


def hold_up(config: Path) -> None:
    """A generator that says so when it is reached, and never returns."""
    spoil(config, "import threading; print('REACHED', flush=True); threading.Event().wait()")


async def reached(client: Any) -> None:
    line = b""
    while b"REACHED" not in line:
        line = await client.process.stdout.readline()
        assert line, "the client has ended"


async def test_sigterm_gives_back_what_is_in_hand_and_leaves_nothing(console: Any, start: Any, config: Path) -> None:
    hold_up(config)
    console.chunks = [57701, 57702]
    await console.open()
    client = await start()
    await reached(client)
    client.process.send_signal(signal.SIGTERM)
    status, text = await client.end()
    assert status == 1
    assert text.splitlines()[-1] == "ERROR ends: SIGTERM"
    assert [(f.chunk, f.fault) for f in console.all(m.Failed)] == [(57701, Fault.STOPPED), (57702, Fault.STOPPED)]
    assert isinstance(console.heard[-1], m.Bye)
    assert console.files() == {}


async def test_the_end_of_stdin_ends_the_client(console: Any, start: Any, config: Path) -> None:
    hold_up(config)
    console.chunks = [57701]
    await console.open()
    client = await start()
    await reached(client)
    client.process.stdin.close()
    status, text = await client.end()
    assert (status, text.splitlines()[-1]) == (1, "ERROR ends: its host agent is gone")
    assert console.files() == {}


async def test_sigint_does_not_reach_a_client_of_the_fleet(console: Any, start: Any) -> None:
    console.ends = False
    await console.open()
    client = await start()
    await console.until(m.Ask)
    client.process.send_signal(signal.SIGINT)
    console.connections[0].say(m.NoMore())
    assert (await client.end())[0] == 0


async def test_stop_now_ends_a_client_that_is_in_mid_chunk(console: Any, start: Any, config: Path) -> None:
    hold_up(config)
    console.chunks = [57701]
    await console.open()
    client = await start()
    await reached(client)
    console.connections[0].say(m.Stop(now=True))
    status, text = await client.end()
    assert status == 0
    assert "WARNING the chunk in hand does not stop; leaving without it" in text
    assert console.files() == {}


async def test_kill_9_leaves_no_lock(console: Any, start: Any) -> None:
    console.ends = False
    await console.open()
    client = await start()
    await console.until(m.Ask)
    client.process.kill()
    await client.end()
    console.ends = True
    assert (await (await start("here-1")).end())[0] == 0


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
child.stdin.write(b"a-token-for-tests\\n")
child.stdin.flush()
print(child.pid, flush=True)
sys.stdin.read()
"""


async def test_a_client_dies_with_its_host_agent(console: Any, start: Any, tmp_path: Path) -> None:
    console.ends = False
    await console.open()
    client = [sys.executable, "-m", "dgconsole.client", "--server", f"unix:{console.socket}"]
    client += ["--workdir", str(tmp_path / "w"), "--name", "here-1", "--token-file", "-"]
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, *client, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    await console.until(m.Ask)
    agent.kill()
    await console.until(m.Bye)
    assert agent.stdout is not None
    text = (await agent.stdout.read()).decode()  # until the last holder of the pipe has ended
    assert "ERROR ends: " in text
    await agent.wait()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--server", "x", "--workdir", "w"], "--server: 'x' is no address"),
        (["--workdir", "w"], "--server"),
        (["--server", "h:1", "--workdir", "w", "--nmae", "x"], "--nmae"),
        (["--server", "h:1", "--workdir", "w"], "token"),
        (["--server", "h:1", "--workdir", "w", "--token-file", "missing"], "'missing' cannot be read"),
        (["--server", "h:1", "--workdir", "w", "--token-file", "-"], "stdin ended before the token"),
    ],
)
async def test_bad_input_is_one_line_and_status_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dgconsole.client", *arguments, cwd=tmp_path, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    text, _ = await process.communicate()
    assert process.returncode == 2
    (line,) = text.decode().splitlines()
    assert line.startswith("ERROR ")
    assert words in line
    assert list(tmp_path.iterdir()) == []
