"""What people tell a session that goes on: answers, hosts that join, logs that are wanted whole."""

import asyncio
import getpass
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dgconsole.attach.attached import AttachedSession
from dgconsole.records.recorded import Recorded
from dgconsole.session import Session, SessionOptions
from dgconsole.settings.hosts import load_hosts
from dgconsole.snapshot import AddHost, Answer, Command, FetchLog, Quit, ReconnectHost, Reply, RunState, Snapshot

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Run:
    """A run of the shipped files in this process, with its own hosts.yml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self.session: Session
        for name in ("serverCfg.yml", "fakeGenSpec.py"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "fakePartitionerCfgs", folder / "fakePartitionerCfgs")

    async def open(self, hosts: str, chunks: str = "57701", *, headless: bool = False) -> None:
        file = self.folder / "hosts.yml"
        file.write_text(hosts)
        options: SessionOptions = SessionOptions(
            hosts_file=file, run_dir=self.run_dir, chunks=chunks, headless=headless
        )
        self.session = await Session.open(load_hosts(file), self.folder / "serverCfg.yml", options)

    async def tell(self, command: Command) -> Reply:
        return await self.session.command(command)

    async def until(self, condition: Callable[[Snapshot], Any]) -> Snapshot:
        async with asyncio.timeout(40):
            while not condition(snapshot := await self.session.snapshot()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # faces pull; nobody calls them
        return snapshot

    def log(self) -> str:
        return (self.run_dir / "logs" / "console.log").read_text()


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    made = Run(tmp_path)
    yield made
    if hasattr(made, "session"):
        await made.session.close()


def states(snapshot: Snapshot) -> dict[str, str]:
    return {host.name: host.state for host in snapshot.hosts}


async def test_a_host_joins_and_works(run: Run) -> None:
    await run.open("defaults: {clients: 2}\nhosts: {here: {clients: 1, setup: ['false']}}")
    await run.until(lambda now: states(now) == {"here": "set aside"})
    reply = await run.tell(AddHost("more"))
    assert reply == Reply(True, "more joins the run with 2 clients. hosts.yml stays as it is.")
    ended = await run.until(lambda now: now.state is RunState.ENDED)
    assert ended.counts.completed == 1
    assert {client.name for client in ended.clients} == {"here-1", "more-1", "more-2"}
    assert (run.run_dir / "logs" / "more-1.log").exists()
    for entry, why in (
        ("more", "hosts.more: host 'more' is in the run already"),
        (
            "other: {clints: 2, python: 3}",
            "hosts.other.clints: unknown key; did you mean 'clients'?; hosts.other.pyt",
        ),
    ):
        reply = await run.tell(AddHost(entry))
        assert not reply.ok
        assert why in reply.text
        assert "\n" not in reply.text
    assert "more joins the run" in run.log()


async def test_hosts_that_join_at_the_same_time_are_checked_against_each_other(run: Run) -> None:
    await run.open("hosts: {here: {setup: ['false']}}")
    replies = await asyncio.gather(*(run.tell(AddHost("'b[1-3]'")) for _ in range(2)))
    assert sorted(reply.ok for reply in replies) == [False, True]
    assert next(reply.text for reply in replies if reply.ok).startswith("b[1-3] join the run with 3 clients.")


async def test_a_host_that_joins_a_complete_run_waits_for_work(run: Run) -> None:
    await run.open("hosts: {here: {}}")
    await run.until(lambda now: now.state is RunState.ENDED)
    await run.session.close()
    await run.open("hosts: {here: {}}")
    reply = await run.tell(AddHost("more"))
    assert reply == Reply(
        True, "more joins the run with 1 client once there is work for it. hosts.yml stays as it is."
    )
    assert (await run.session.snapshot()).hosts == ()
    await run.tell(Quit(now=True))
    assert not (await run.tell(AddHost("late"))).ok


async def test_a_whole_log_is_fetched(run: Run) -> None:
    await run.open("hosts: {here: {}}")
    await run.until(lambda now: now.state is RunState.ENDED)
    reply = await run.tell(FetchLog("here-1"))
    target = run.run_dir / "logs" / "here-1.whole.log"
    assert reply.ok
    assert reply.text == f"The whole log of here-1, {target.stat().st_size / 1e3:.1f} kB: {target}"
    assert target.read_bytes() == (run.run_dir / "work" / "here-1" / "client.log").read_bytes()
    reply = await run.tell(FetchLog("elsewhere-1"))
    assert reply == Reply(False, "elsewhere-1 was not started from here: its log is where it was started.")


def lock(key: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", key], check=True, capture_output=True)


def over_ssh(host: Any) -> str:
    """As ourselves, whose interpreter can be run; in the host's own folder."""
    login = f"launcher: ssh, address: {host.address}, port: {host.port}, user: {getpass.getuser()}"
    return f"hosts:\n  far: {{{login}, deploy: none, python: {sys.executable}, workdir: {host.home}}}\n"


async def test_a_person_answers_and_the_host_works(run: Run, ssh_hosts: Any) -> None:
    host = ssh_hosts.start()
    lock(ssh_hosts.identity)
    await run.open(over_ssh(host))
    asked = await run.until(lambda now: now.questions)
    (question,) = asked.questions
    assert question.host == "far"
    assert question.text == "Passphrase of the key ~/.ssh/id_ed25519"
    assert question.secret
    assert await run.tell(Answer(question.number, None)) == Reply(True)
    assert await run.tell(Answer(question.number, "late")) == Reply(False, "That is no longer asked.")
    aside = await run.until(lambda now: states(now) == {"far": "set aside"})
    assert "was asked for, and not answered" in aside.hosts[0].reason
    assert aside.hosts[0].mend == "c asks again."
    assert (await run.tell(FetchLog("far-1"))).text == (
        "The log of far-1 was not fetched: far is set aside: logs can be had from it while it is up"
    )
    assert (await run.tell(ReconnectHost("far"))).ok
    asked = await run.until(lambda now: now.questions)
    await run.tell(Answer(asked.questions[0].number, "open sesame"))
    ended = await run.until(lambda now: now.state is RunState.ENDED)
    assert ended.counts.completed == 1
    assert (await run.tell(FetchLog("far-1"))).ok
    await run.session.close()
    assert "far: asks: Passphrase of the key" in run.log()
    for file in run.run_dir.rglob("*"):
        assert not file.is_file() or b"open sesame" not in file.read_bytes()


async def test_a_person_at_an_attached_console_answers(run: Run, ssh_hosts: Any) -> None:
    host = ssh_hosts.start()
    lock(ssh_hosts.identity)
    await run.open(over_ssh(host))
    afterwards = partial(Recorded.open, run.run_dir)
    face = await AttachedSession.open(run.run_dir, version="", afterwards=afterwards)
    watching = await AttachedSession.open(run.run_dir, version="", afterwards=afterwards, read_only=True)
    await run.until(lambda now: now.questions)
    (question,) = (await face.snapshot()).questions
    assert (question.host, question.text) == ("far", "Passphrase of the key ~/.ssh/id_ed25519")
    assert (await watching.snapshot()).questions == ()
    assert await face.command(Answer(question.number, "open sesame")) == Reply(True)
    assert (await run.until(lambda now: now.state is RunState.ENDED)).counts.completed == 1
    await face.close()
    await watching.close()


async def test_a_session_that_ends_while_it_asks(run: Run, ssh_hosts: Any) -> None:
    host = ssh_hosts.start()
    lock(ssh_hosts.identity)
    await run.open(over_ssh(host))
    await run.until(lambda now: now.questions)
    async with asyncio.timeout(20):
        await run.session.close()


async def test_nobody_is_asked_in_a_headless_run(run: Run, ssh_hosts: Any) -> None:
    host = ssh_hosts.start()
    lock(ssh_hosts.identity)
    await run.open(over_ssh(host), headless=True)
    ended = await run.until(lambda now: now.state is RunState.ENDED)
    assert ended.questions == ()
    assert f"asked for, and not answered: the passphrase of {ssh_hosts.identity}" in ended.hosts[0].reason.replace(
        "~/.ssh", str(ssh_hosts.identity.parent)
    )
