"""The console's side of deploy: send the program, send the wheel if it is wanted, and say what went wrong."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from msgspec import Struct

from dgconsole.fleet.deploy.remote import UNHEARD
from dgconsole.fleet.deploy.wheel import CONSTRAINTS, Wheel
from dgconsole.fleet.frames import NOT_FOUND, TOO_OLD, bootstrap
from dgconsole.fleet.launchers.channel import Channel, Connection
from dgconsole.fleet.wiring import Log
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

LEASE = 30.0
"""Seconds without a sign of the console after which the program over there gives up."""
PINGS_PER_LEASE = 6
MAX_NOISE = 256 * 1024
DEFAULT_PYTHON = "python3"
LEAST_PYTHON = (3, 6)
"""For the program over there, which then says what clients need."""


class Answer(Struct, frozen=True, tag_field="is"):
    """What the program over there says."""


class Note(Answer, frozen=True, tag="note"):
    """What it does now, for the log."""

    text: str


class Ready(Answer, frozen=True, tag="ready"):
    """The venv is there; ``python`` is the path of its Python."""

    python: str


class Wanted(Answer, frozen=True, tag="wanted"):
    """The wheel is not there yet: put it at ``target``, then ask again."""

    target: str


class Failed(Answer, frozen=True, tag="failed"):
    """It cannot be done: which part (python, venv, network, versions, pip, files), and why."""

    part: str
    text: str


_decoder: msgspec.json.Decoder[Note | Ready | Wanted | Failed] = msgspec.json.Decoder(Note | Ready | Wanted | Failed)


async def deploy(connection: Connection, host: HostConfig, wheel: Wheel, *, patience: float, log: Log) -> str:
    """Have a venv with ``wheel`` on the host and return the path of its Python; quick when it is there already.

    What comes with the wheel has the versions of its pins. ``host.python`` (default ``python3``) makes the venv;
    ``host.env`` is set for pip, so PIP_FIND_LINKS and PIP_NO_INDEX name a wheel house. One session of the connection
    at a time is used. However many consoles ask at once, one venv is made. HostError when it cannot be (hopeless), or
    has no end within ``patience`` seconds.
    """
    try:
        async with asyncio.timeout(patience):
            answer = await _ask(connection, host, wheel, "", log)
            if isinstance(answer, Wanted):
                log(host.name, "INFO", f"sends {wheel.path.name} ({wheel.path.stat().st_size / 1e6:.1f} MB)")
                await connection.put(wheel.path, answer.target)
                answer = await _ask(connection, host, wheel, answer.target, log)
    except TimeoutError:
        raise HostError(f"no end of phase 'deploy' within {patience:g} s") from None
    if isinstance(answer, Ready):
        return answer.python
    if isinstance(answer, Wanted):
        raise HostError(f"the wheel did not arrive whole at {answer.target}")
    raise HostError(f"deploy failed: {answer.text}", _mend(answer.part, host.name, wheel), hopeless=True)


async def _ask(
    connection: Connection, host: HostConfig, wheel: Wheel, arrival: str, log: Log
) -> Ready | Wanted | Failed:
    """Run the program once, to its last answer."""
    python = host.python or DEFAULT_PYTHON
    mark = "dgconsole-deploy-" + secrets.token_hex(16)
    request = {
        "mark": mark,
        "lease": LEASE,
        "name": wheel.path.name,
        "sha256": wheel.sha256,
        "version": wheel.version,
        "least_python": wheel.least_python,
        "key": wheel.key,
        "pins": wheel.pins,
        "arrival": arrival,
        "env": host.env,
    }
    source = (Path(__file__).parent / "remote.py").read_bytes()
    channel = await connection.run((python, "-I", "-u", "-c", bootstrap(LEAST_PYTHON)))
    pinging = asyncio.create_task(_ping(channel))
    try:
        channel.write(b"%d\n" % len(source) + source + msgspec.json.encode(request) + b"\n")
        noise: list[str] = []
        async for answer in _answers(channel, mark.encode(), noise):
            if not isinstance(answer, Note):
                return answer
            log(host.name, "INFO", answer.text)
        said = "; ".join(part for part in (*noise[-20:], (await channel.noise()).strip()) if part)
        if lost := connection.why_lost():
            raise HostError(lost)
        status = await channel.wait()
        if status == UNHEARD:
            raise HostError(f"deploy was broken off: {said}")
        least = ".".join(map(str, wheel.least_python))
        if status in (NOT_FOUND, TOO_OLD):
            reason = f"{python} cannot be run: {said or 'it said nothing'}"
        else:
            reason = f"{python} ended without an answer to deploy; the host said: {said or 'nothing'}"
        mend = f"Set hosts.{host.name}.python to a Python {least} or newer; R tries again."
        hopeless = bool(said) or status in (NOT_FOUND, TOO_OLD)
        raise HostError(reason, mend if hopeless else "", hopeless=hopeless)
    except BaseException:
        channel.kill()
        raise
    finally:
        pinging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pinging
        await channel.close()


async def _ping(channel: Channel) -> None:
    while True:
        await asyncio.sleep(LEASE / PINGS_PER_LEASE)
        channel.write(b"\n")


async def _answers(channel: Channel, mark: bytes, noise: list[str]) -> AsyncIterator[Note | Ready | Wanted | Failed]:
    """Answers as they come, until the program's stdout ends; what else the host printed goes to ``noise``."""
    buffer, heard = b"", 0
    while data := await channel.read():
        heard += len(data)
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            if line.startswith(mark + b" "):
                yield _decoder.decode(line[len(mark) + 1 :])
            elif line.strip():
                noise.append(line.decode("utf-8", "replace").strip())
        if heard > MAX_NOISE:
            raise HostError(f"the host prints without end; last: {noise[-1][:200] if noise else ''}", hopeless=True)
    if buffer.strip():
        noise.append(buffer.decode("utf-8", "replace").strip())


def _mend(part: str, host: str, wheel: Wheel) -> str:
    house = f"-c {wheel.path.with_name(CONSTRAINTS)} {wheel.path}"
    return {
        "python": f"Set hosts.{host}.python to a newer Python; R tries again.",
        "venv": f"Install the venv module there (Debian: apt install python3-venv), "
        f"or set hosts.{host}.python to a Python that has it; R tries again.",
        "network": f"Name a wheel house: PIP_FIND_LINKS and PIP_NO_INDEX=1 in hosts.{host}.env; R tries again.",
        "versions": "Hosts get the console's own versions. Fill the wheel house with them: "
        f"pip download -d FOLDER {house}; hosts.{host}.env names it (PIP_FIND_LINKS); R tries again.",
        "pip": f"Mend it there, or install dgconsole yourself and set hosts.{host}.deploy: none; R tries again.",
        "files": "Make room or grant the right to write there; R tries again.",
    }[part]
