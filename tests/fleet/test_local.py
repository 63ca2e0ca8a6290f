"""The local launcher and the host agent: clients start, are heard, are restarted, and never outlive anything."""

import asyncio
import fcntl
import os
import signal
from pathlib import Path

import pytest

from dgconsole.fleet.clients import EndKind
from dgconsole.fleet.frames import Load
from dgconsole.fleet.hosts import HostState
from dgconsole.fleet.wiring import Timing
from dgconsole.settings.structs import HostConfig

TALKS = """
import os, sys
print("INFO token", sys.stdin.readline().strip())
print("WARNING cwd", os.getcwd())
print("argv", sys.argv[1:])
print("threads", os.environ["POLARS_MAX_THREADS"], os.environ.get("COLOUR"))
sys.stdin.read()
"""
WAITS = "import sys\nsys.stdin.readline()\nprint('up', flush=True)\nsys.stdin.read()\nprint('stdin closed')\n"
STUBBORN = """
import signal, time, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    time.sleep(0.1)
"""


def process_ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


async def test_a_client_gets_its_token_on_stdin_a_workdir_and_one_thread(run_fleet, client_python, tmp_path):
    watched = run_fleet(HostConfig(name="here", clients=1, python=client_python(TALKS), env={"COLOUR": "red"}))
    await watched.until(lambda: len(watched.lines) >= 4)
    workdir = tmp_path / "run" / "work" / "here-1"
    assert watched.lines[0] == ("here-1", "INFO", "token secret-token")
    assert watched.lines[1] == ("here-1", "WARNING", f"cwd {workdir}")
    assert "secret-token" not in watched.lines[2][2]
    assert watched.lines[3][2] == "threads 1 red"
    assert workdir.stat().st_mode & 0o777 == 0o700
    assert "token secret-token" in (workdir / "client.log").read_text()


async def test_stop_ends_every_client_even_one_that_ignores_TERM(run_fleet, client_python):
    watched = run_fleet(HostConfig(name="here", clients=3, python=client_python(STUBBORN)))
    await watched.until(lambda: len(watched.lines) >= 3)
    pids = [p.pid for p in watched.fleet.processes()]
    await watched.fleet.stop(0.2)
    assert all(map(process_ended, pids))
    assert [host.state for host in watched.fleet.hosts()] == ["ended"]


async def test_a_killed_client_is_started_again_three_times(run_fleet, client_python):
    watched = run_fleet(HostConfig(name="here", clients=1, python=client_python(WAITS)))
    for starts in range(1, 5):
        await watched.until(lambda n=starts: watched.said("here-1").count("up") == n)
        os.kill(watched.fleet.processes()[0].pid, signal.SIGKILL)
        await watched.until(lambda n=starts: len(watched.ends) == n)
    assert [again for *_, again in watched.ends] == [True, True, True, False]
    assert {end.kind for _, _, end, _ in watched.ends} == {EndKind.VANISHED}
    assert not watched.fleet.alive()
    assert watched.fleet.restart_ended() == [("here-1", "here")]
    await watched.until(lambda: watched.said("here-1").count("up") == 5)


@pytest.mark.parametrize(("status", "kind"), [(0, EndKind.DONE), (1, EndKind.GAVE_UP), (2, EndKind.REFUSED)])
async def test_a_client_that_ends_by_itself_is_not_started_again(run_fleet, client_python, status, kind):
    watched = run_fleet(HostConfig(name="here", python=client_python(f"raise SystemExit({status})")))
    await watched.until(lambda: bool(watched.ends))
    assert watched.ends[0][2].kind is kind
    assert watched.ends[0][3] is False


async def test_killing_the_agent_ends_its_clients_and_brings_both_back(run_fleet, client_python):
    watched = run_fleet(HostConfig(name="here", clients=2, python=client_python(WAITS)))
    await watched.until(lambda: sum(text == "up" for *_, text in watched.lines) == 2)
    pids = [p.pid for p in watched.fleet.processes()]
    parent = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    await watched.until(lambda: sum(text == "up" for *_, text in watched.lines) == 4)
    assert all(map(process_ended, pids))
    assert ("here", HostState.BACKING_OFF) in [change[:2] for change in watched.changes]


async def test_a_held_workdir_lock_is_waited_for(run_fleet, client_python, tmp_path):
    workdir = tmp_path / "w" / "here-1"
    workdir.mkdir(parents=True)
    with (workdir / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        watched = run_fleet(HostConfig(name="here", python=client_python(WAITS), workdir=str(tmp_path / "w")))
        await watched.until(lambda: any("is locked: waiting for it" in text for text in watched.said("here-1")))
    await watched.until(lambda: watched.said("here-1")[-1] == "up")
    assert watched.ends == []


async def test_a_flood_of_output_neither_blocks_the_client_nor_floods_the_console(run_fleet, client_python):
    flood = "import sys\nfor i in range(200_000): print('x' * 99)\nprint('over', file=sys.stderr)\nsys.stdin.read()\n"
    watched = run_fleet(HostConfig(name="here", python=client_python(flood)))
    await watched.until(lambda: "over" in watched.said("here-1"))
    kept = sum(text.startswith("xxx") for text in watched.said("here-1"))
    left_out = [text for text in watched.said("here-1") if "left out here" in text]
    assert kept == 200_000 or (left_out and "client.log" in left_out[0])


async def test_any_bytes_may_be_printed_and_are_cut_anywhere(run_fleet, client_python):
    """Bytes that are no text, control signs, characters of several bytes over the edges of frames."""
    prints = "os.write(1, bytes(set(range(256)) - {10, 13}) + b'\\n' + ('\u00e9\u20ac' * 5_000).encode() + b'\\n')\n"
    watched = run_fleet(HostConfig(name="here", python=client_python(f"import os, sys\n{prints}sys.stdin.read()\n")))
    await watched.until(lambda: len(watched.said("here-1")) == 2)
    first, second = watched.said("here-1")
    assert first.startswith("\0\1\2")
    assert first.endswith("\\xfe\\xff")
    assert second == "\u00e9\u20ac" * 5_000
    assert {host for host, state, _ in watched.changes if state is HostState.BACKING_OFF} == set()


async def test_setup_lines_run_once_in_one_shell_before_the_clients(run_fleet, client_python, tmp_path):
    setup = ("X=1", f"echo once >> {tmp_path}/setups", "export COLOUR=blue$X")
    watched = run_fleet(HostConfig(name="here", clients=2, python=client_python(TALKS), setup=setup))
    await watched.until(lambda: sum("threads" in text for *_, text in watched.lines) == 2)
    assert {text for *_, text in watched.lines if "threads" in text} == {"threads 1 blue1"}
    assert (tmp_path / "setups").read_text() == "once\n"


@pytest.mark.parametrize("line", ["cd /no/such/folder", ". /no/such/folder", "echo /no/such/folder >&2; exit 0"])
async def test_a_failing_setup_line_sets_the_host_aside_and_says_which(run_fleet, client_python, line):
    watched = run_fleet(
        HostConfig(name="bad", python=client_python(WAITS), setup=("true", line)),
        HostConfig(name="good", python=client_python(WAITS)),
    )
    await watched.until(lambda: bool(watched.ends) and "up" in watched.said("good-1"))
    bad, good = watched.fleet.hosts()
    assert (bad.state, good.state) == ("set aside", "up")
    assert "line 2 failed" in bad.reason
    assert "/no/such/folder" in bad.reason
    assert watched.ends[0][0] == "bad-1"


async def test_a_python_that_does_not_exist_sets_the_host_aside(run_fleet):
    watched = run_fleet(HostConfig(name="here", python="/no/such/python"))
    await watched.until(lambda: bool(watched.ends))
    assert watched.fleet.hosts()[0].state == "set aside"
    assert "/no/such/python" in watched.fleet.hosts()[0].reason


async def test_an_unwritable_workdir_is_told_and_not_tried_for_ever(run_fleet, client_python, tmp_path):
    (tmp_path / "file").write_text("")
    watched = run_fleet(HostConfig(name="here", python=client_python(WAITS), workdir=str(tmp_path / "file")))
    await watched.until(lambda: bool(watched.ends))
    assert watched.ends[0][2].kind is EndKind.GAVE_UP
    assert str(tmp_path / "file") in watched.ends[0][2].text


async def test_clients_are_added_and_ended_while_the_host_runs(run_fleet, client_python):
    watched = run_fleet(HostConfig(name="here", python=client_python(WAITS)))
    await watched.until(lambda: "up" in watched.said("here-1"))
    assert watched.fleet.add_client("here") == "here-2"
    await watched.until(lambda: "up" in watched.said("here-2"))
    watched.fleet.end_client("here-1")
    await watched.until(lambda: [end[0] for end in watched.ends] == ["here-1"])
    assert watched.ends[0][3] is False
    watched.fleet.drain("here")
    watched.fleet.end_client("here-2")
    await watched.until(lambda: watched.fleet.hosts()[0].state == "drained")
    assert not watched.fleet.alive()


async def test_a_client_that_is_added_brings_a_drained_host_back(run_fleet, client_python):
    """Whether its agent has gone, is about to go, or still has clients."""
    watched = run_fleet(HostConfig(name="here", clients=1, python=client_python(WAITS)))
    await watched.until(lambda: "up" in watched.said("here-1"))
    watched.fleet.drain("here")
    watched.fleet.add_client("here")
    await watched.until(lambda: "up" in watched.said("here-2"))
    assert watched.fleet.hosts()[0].state == "up"
    watched.fleet.drain("here")
    watched.fleet.end_client("here-1")
    watched.fleet.end_client("here-2")
    await watched.until(lambda: len(watched.ends) == 2)
    watched.fleet.add_client("here")
    await watched.until(lambda: "up" in watched.said("here-3"))
    watched.fleet.drain("here")
    watched.fleet.end_client("here-3")
    await watched.until(lambda: watched.fleet.hosts()[0].state == "drained")
    watched.fleet.add_client("here")
    assert watched.fleet.alive()
    await watched.until(lambda: "up" in watched.said("here-4"))
    assert watched.fleet.hosts()[0].state == "up"


async def test_load_is_told_in_percent_of_a_core(run_fleet, client_python):
    watched = run_fleet(HostConfig(name="here", clients=1, python=client_python(WAITS)))
    await watched.until(lambda: "up" in watched.said("here-1"))
    (runner,) = watched.fleet._runners.values()
    runner.processes.on_event(Load({"here-1": (0.93, 4096)}))
    (process,) = watched.fleet.processes()
    assert (process.cpu, process.rss) == (pytest.approx(93.0), 4096)


ORPHAN_MAKER = """
import asyncio, sys
from pathlib import Path
from dgconsole.fleet.fleet import Fleet
from dgconsole.settings.structs import HostConfig
async def main():
    host = HostConfig(name="here", clients=2, python=sys.argv[1])
    deaf = lambda *a: None
    fleet = Fleet([host], run_dir=Path(sys.argv[2]), server="unix:/n", token="t",
                  log=lambda *a: print(*a, flush=True), on_client_exit=deaf, on_host_change=deaf)
    fleet.start()
    while sum(p.running for p in fleet.processes()) < 2:
        await asyncio.sleep(0.02)
    print("PIDS", *[p.pid for p in fleet.processes()], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_no_client_outlives_a_console_that_is_killed(client_python, tmp_path):
    import sys

    console = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ORPHAN_MAKER, client_python(WAITS), str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        while not (line := (await console.stdout.readline()).decode()).startswith("PIDS"):
            assert line
        pids = [int(word) for word in line.split()[1:]]
        agent = int(Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()[1])
        watch = [os.pidfd_open(pid) for pid in (*pids, agent)]
        console.kill()
        await console.wait()
        loop = asyncio.get_running_loop()
        for fd in watch:
            ended = asyncio.Event()
            loop.add_reader(fd, ended.set)
            await ended.wait()
            loop.remove_reader(fd)
            os.close(fd)


async def test_a_client_that_waits_for_its_restart_comes_back_though_its_agent_dies_meanwhile(
    run_fleet, client_python
):
    timing = Timing(connect=10, prepare=10, ping=0.2, lease=2, first_wait=1.0, grace=2)
    watched = run_fleet(HostConfig(name="here", clients=2, python=client_python(WAITS)), timing=timing)
    await watched.until(lambda: sum(text == "up" for *_, text in watched.lines) == 2)
    first, second = watched.fleet.processes()
    agent = int(Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(first.pid, signal.SIGKILL)
    await watched.until(lambda: len(watched.ends) == 1)
    os.kill(agent, signal.SIGKILL)
    await watched.until(lambda: [watched.said(p.name).count("up") for p in (first, second)] == [2, 2])


async def test_clients_that_lost_their_console_or_ended_with_their_agent_come_back(run_fleet, client_python):
    lost = "import sys\nprint('ERROR ends: lost the console: no word')\nprint('more')\nsys.exit(1)\n"
    watched = run_fleet(HostConfig(name="here", python=client_python(lost)))
    await watched.until(lambda: len(watched.ends) == 4)
    assert {end.kind for _, _, end, _ in watched.ends} == {EndKind.VANISHED}
    assert watched.ends[0][2].text == "lost the console: no word"
    assert [again for *_, again in watched.ends] == [True, True, True, False]


async def test_an_agent_that_is_ended_has_its_clients_brought_back(run_fleet, client_python):
    """Each says then that it was ended by a signal, which by itself is no reason."""
    obeys = (
        "import signal, sys\n"
        "def end(*_):\n    print('ERROR ends: SIGTERM')\n    sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\nwhile True: signal.pause()\n"
    )
    watched = run_fleet(HostConfig(name="here", clients=2, python=client_python(obeys)))
    await watched.until(lambda: sum(text == "up" for *_, text in watched.lines) == 2)
    pid = watched.fleet.processes()[0].pid
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGTERM)
    await watched.until(lambda: sum(text == "up" for *_, text in watched.lines) == 4)
    assert [(end.text, again) for _, _, end, again in watched.ends] == [("ended with its host agent", True)] * 2
    assert ("here", HostState.BACKING_OFF, "the host agent ended: SIGTERM") in watched.changes


async def test_an_agent_that_breaks_says_how(run_fleet, client_python):
    watched = run_fleet(HostConfig(name="here", python=client_python(WAITS)))
    await watched.until(lambda: "up" in watched.said("here-1"))
    (runner,) = watched.fleet._runners.values()
    runner._link._channel.write(b"no order\n")
    await watched.until(lambda: watched.said("here-1").count("up") == 2)
    (reason,) = [reason for _, state, reason in watched.changes if state is HostState.BACKING_OFF]
    assert reason.startswith("the host agent ended: ")
    assert "JSONDecodeError" in reason
    assert watched.ends[0][3] is True


async def test_a_client_that_has_run_long_enough_has_its_tries_back(run_fleet, client_python, monkeypatch):
    monkeypatch.setattr("dgconsole.fleet.processes.STEADY", 0.0)
    watched = run_fleet(HostConfig(name="here", clients=1, python=client_python(WAITS)))
    for starts in range(1, 7):
        await watched.until(lambda n=starts: watched.said("here-1").count("up") == n)
        os.kill(watched.fleet.processes()[0].pid, signal.SIGKILL)
        await watched.until(lambda n=starts: len(watched.ends) == n)
    assert all(again for *_, again in watched.ends)
