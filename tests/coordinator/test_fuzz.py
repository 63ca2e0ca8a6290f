"""Clients that know the token and the rules but talk nonsense: the run goes on, and the books stay right."""

import asyncio
from random import Random
from typing import Any

import pytest

from dgconsole.support.errors import Fault
from dgconsole.wire import messages as m
from dgconsole.wire.messages import Role
from dgconsole.wire.session import RULES, WireSession


def nonsense(random: Random, kind: type[m.Message]) -> m.Message:
    """A message of this kind whose content is as likely wrong as right."""
    chunk, attempt = random.randint(95, 125), random.randint(1, 4)
    table = m.TableFigures(random.choice(["Object", "x" * 255, ""]), random.randint(0, 2**48), 0, 2**48, {"": 1e9})
    made: dict[type[m.Message], m.Message] = {
        m.Ask: m.Ask(random.choice([1, 3, 10_000])),
        m.Progress: m.Progress(chunk, attempt, "\0stage", random.random(), random.randint(0, 2**48), 0),
        m.Ping: m.Ping(random.randint(0, 5), random.randint(0, 5)),
        m.Completed: m.Completed(chunk, attempt, m.Figures((table,) * random.randint(0, 3), {"a": 0.0})),
        m.Kept: m.Kept(chunk, attempt, random.choice(["", "x" * 20_000]), random.choice(list(Fault))),
        m.Failed: m.Failed(chunk, attempt, random.choice(list(Fault)), "", "\N{BELL}\0" * 50, "x" * 20_000),
        m.GiveUp: m.GiveUp(random.choice(list(Fault)), ""),
        m.Bye: m.Bye(),
    }
    return made[kind]


@pytest.mark.parametrize("seed", range(6))
async def test_nonsense_within_the_rules(start: Any, seed: int) -> None:
    random = Random(seed)
    run = await start()

    async def talk(number: int) -> None:
        client = await run.client(f"here-{number}")
        session = WireSession(Role.CLIENT)
        for sender, message in (
            (Role.CLIENT, m.Hello("", 1, "", "", "", 0)),
            (Role.COORDINATOR, m.Welcome("", "", 1.0, 1.0, 0)),
            (Role.COORDINATOR, m.BundleEnd()),
            (Role.CLIENT, m.Ready("", "")),
        ):
            (session.sent if sender is Role.CLIENT else session.received)(message)
        files = (m.FileBegin, m.FileData, m.FileEnd)
        kinds = [kind for kind in RULES[Role.CLIENT] if kind not in (m.Hello, m.Ready, *files)]
        usual = [k for k in kinds if k not in (m.GiveUp, m.Bye)]
        for step in range(120):
            kind = random.choice(kinds if step > 80 else usual)
            if session.legal(Role.CLIENT, kind):
                message = nonsense(random, kind)
                session.sent(message)
                try:
                    await client.say(message)
                except ConnectionError:
                    return
            if random.random() < 0.05:
                await asyncio.sleep(0)
        client.cut()

    await asyncio.gather(*(talk(number) for number in (1, 2, 3)))
    assert run.coordinator.bug is None
    await run.until(lambda: run.coordinator.counts().assigned == 0)
    run.coordinator._core.validate()
    await run.coordinator.resume()
    await run.coordinator.retry_all()
    honest = await run.client("here-9")
    work = asyncio.create_task(honest.work())
    await run.coordinator.finished.wait()
    await run.coordinator.stop(now=False)
    await work
    counts = run.coordinator.counts()
    assert counts.completed == counts.total == 20
    assert run.coordinator.bug is None
    assert len({chunk for chunk, _ in run.destination.accepted}) == len(run.destination.accepted)
    assert sum(total.chunks for total in (await run.coordinator.report()).hosts) == 20
