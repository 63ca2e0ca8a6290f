"""The launcher for hosts reached over SSH: few logins at once, each jump host opened once and shared."""

import asyncio
import socket
from dataclasses import dataclass, replace

import asyncssh
from msgspec import Struct

from dgconsole.fleet.asking import Asker
from dgconsole.fleet.launchers.hostkeys import words_of
from dgconsole.fleet.launchers.sshclient import Witness
from dgconsole.fleet.launchers.sshconfig import Target, hop_config, resolve
from dgconsole.fleet.launchers.sshconnection import SshConnection, end
from dgconsole.fleet.launchers.sshproblems import FAILURES, host_error, text_of, too_long
from dgconsole.fleet.launchers.sshquestions import (
    AGAIN,
    PASSWORD,
    TRIES,
    Declined,
    Questions,
    Secret,
    Wanted,
)
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

Way = tuple[tuple[str, ...], str | None, str | None]
"""What makes two jumps the same: the hops up to it, identity, known_hosts."""


class Limits(Struct, frozen=True):
    """Time limits of the phases in seconds, and how many logins go on at once (sshd drops more: MaxStartups)."""

    resolve: float = 10.0
    connect: float = 10.0
    login: float = 15.0
    logins: int = 10
    logins_per_jump: int = 8


@dataclass(slots=True)
class Link:
    """One SSH connection and, where it goes through one, its jump host."""

    conn: asyncssh.SSHClientConnection
    witness: Witness
    target: Target
    jump: "Jump | None"

    def why_lost(self) -> str:
        """Why it ended by itself: the jump host first, for then that is the reason."""
        if self.jump is not None and (why := self.jump.why_lost()):
            return why
        return text_of(self.witness.lost) if self.witness.lost else ""


@dataclass(slots=True)
class Jump:
    """A jump host that its users share."""

    way: Way
    gate: asyncio.Semaphore
    opening: asyncio.Task[Link]
    users: int = 0
    closed: bool = False

    def link(self) -> Link | None:
        done = self.opening.done() and not self.opening.cancelled() and self.opening.exception() is None
        return self.opening.result() if done else None

    def why_lost(self) -> str:
        link = self.link()
        why = link.why_lost() if link else ""
        return f"jump host {self.way[0][-1]}: {why}" if why else ""


class Slot:
    """A place among the logins that go on at once; one that waits for a person gives it up."""

    def __init__(self, *gates: asyncio.Semaphore) -> None:
        self._gates = gates
        self._held: list[asyncio.Semaphore] = []

    async def __aenter__(self) -> "Slot":
        try:
            for gate in self._gates:
                await gate.acquire()
                self._held.append(gate)
        except BaseException:
            self.give_up()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give_up()

    def give_up(self) -> None:
        while self._held:
            self._held.pop().release()


class SshLauncher:
    """Opens connections; made once for a fleet, since the limits hold over all its hosts.

    ``asker`` puts to a person what servers and keys ask; None: nobody is there, and such a host is refused.
    """

    def __init__(self, limits: Limits | None = None, asker: Asker | None = None) -> None:
        self._limits = limits or Limits()
        self._questions = None if asker is None else Questions(asker)
        self._gate = asyncio.Semaphore(self._limits.logins)
        self._jumps: dict[Way, Jump] = {}
        self._left: dict[str, list[str]] = {}

    async def connect(self, host: HostConfig) -> SshConnection:
        """Log in to ``host``. HostError says the phase that failed; hopeless where only a person can mend it."""
        link = await self._open(host)

        async def release() -> None:
            await self._release(link.jump)

        left = self._left.setdefault(host.name, [])
        return SshConnection(link.conn, host, str(link.target), why_lost=link.why_lost, release=release, left=left)

    async def _open(self, host: HostConfig, *, way: Way | None = None) -> Link:
        """``way`` is given for a jump host."""
        target = await self._resolve(host, way)
        hops = target.hops if way is None else way[0][:-1]
        jump = await self._share(host, hops) if hops else None
        try:
            conn, witness = await self._logged_in(host.name, target, jump)
        except BaseException:
            await self._release(jump)
            raise
        return Link(conn, witness, target, jump)

    async def _logged_in(
        self, name: str, target: Target, jump: Jump | None
    ) -> tuple[asyncssh.SSHClientConnection, Witness]:
        """Log in, as often as it takes to learn what is wanted of a person; meanwhile no server waits for us."""
        gates = (self._gate,) if jump is None else (jump.gate, self._gate)
        refused = 0
        while True:
            try:
                async with Slot(*gates) as slot:
                    return await self._login(name, target, jump, slot)
            except Wanted as wanted:
                refused += wanted.refused is not None
                assert self._questions is not None
                if refused < TRIES:
                    await self._questions.learn(wanted, name)
                    continue
                self._questions.forget(wanted)
            raise HostError(f"{target}: the password was refused {TRIES} times", AGAIN, hopeless=True)

    async def _resolve(self, host: HostConfig, way: Way | None) -> Target:
        limit = self._limits.resolve
        name = host.address or host.name
        try:
            async with asyncio.timeout(limit):
                target = await asyncio.to_thread(resolve, host, is_jump=way is not None)
                if not (target.proxied or target.hops or (way and way[0][:-1])):
                    loop = asyncio.get_running_loop()
                    await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise too_long("resolve", name, limit) from None
        except FAILURES as error:
            raise host_error(error, "resolve", name, name=host.name) from error
        return target

    async def _login(
        self, name: str, target: Target, jump: Jump | None, slot: Slot
    ) -> tuple[asyncssh.SSHClientConnection, Witness]:
        phase, limit = "connect", target.connect_limit or self._limits.connect
        loop = asyncio.get_running_loop()
        tunnel = None
        if jump is not None:
            link = jump.link()
            assert link is not None, "a jump is shared once it is open"
            tunnel = link.conn

        def reached() -> None:
            nonlocal phase, limit
            phase, limit = "login", self._limits.login
            patience.reschedule(loop.time() + limit)

        def questioned(waiting: bool) -> None:
            slot.give_up()
            if not over:
                patience.reschedule(None if waiting else loop.time() + limit)

        over = False
        began = loop.time()
        witness = Witness(target, reached, self._questions, questioned)
        arguments = target.arguments | self._passphrase(target)
        try:
            async with asyncio.timeout(limit) as patience:
                try:
                    conn = await asyncssh.connect(tunnel=tunnel, client_factory=lambda: witness, **arguments)
                finally:
                    over = True
        except TimeoutError as error:
            if patience.expired():
                raise too_long(phase, str(target), limit) from None
            raise host_error(error, phase, str(target), name=name) from error
        except Wanted:
            raise
        except Declined as error:
            raise HostError(f"{target}: {error.what}", AGAIN, hopeless=True) from None
        except FAILURES as error:
            if jump is not None and (why := jump.why_lost()):
                raise HostError(f"{target}: {phase}: {why}") from error
            if witness.hung_up_on:
                waited = f"the server hung up after {loop.time() - began:.0f} s, as it had no answer yet to"
                raise HostError(f"{target}: {waited}: {witness.hung_up_on}", AGAIN, hopeless=True) from error
            if kinds := witness.kinds_not_asked_for():
                again = replace(target, arguments=target.arguments | {"server_host_key_algs": kinds})
                return await self._login(name, again, jump, slot)
            if witness.refusal is not None:
                reason, mend = words_of(witness.refusal, target.accept)
                raise HostError(f"{target}: {reason}", mend, hopeless=True) from error
            if witness.told is not None and isinstance(error, asyncssh.PermissionDenied):
                raise Wanted(Secret(PASSWORD, str(target)), refused=witness.told) from error
            asked = (*witness.asked, *(f"the passphrase of {key}" for key in self._left_out(target)))
            denied = isinstance(error, asyncssh.PermissionDenied)
            deaf = target.agent if denied and not await _answers(target.agent) else ""
            raise host_error(error, phase, str(target), name=name, asked=asked, deaf_agent=deaf) from error
        return conn, witness

    def _passphrase(self, target: Target) -> dict[str, object]:
        """How asyncssh gets the passphrases of keys; Wanted where one is needed before the server can be asked."""
        questions = self._questions
        if not target.locked:
            return {}
        if questions is None:
            return {"ignore_encrypted": True}  # the agent may have it
        if all(key.public for key in target.locked):
            return {"passphrase": questions.passphrase}
        if target.named:
            (key,) = target.locked
            return {"passphrase": questions.passphrase(key.file)}
        return {}

    def _left_out(self, target: Target) -> list[str]:
        """Keys that were not tried, since nobody told their passphrase."""
        asked = self._questions is not None and (target.named or all(key.public for key in target.locked))
        return [] if asked else [key.name for key in target.locked]

    async def _share(self, host: HostConfig, hops: tuple[str, ...]) -> Jump:
        """The jump host at the end of ``hops``, opened unless it is; ``_release`` gives it back."""
        way = (hops, host.identity, host.known_hosts)
        jump = self._jumps.get(way)
        if jump is None or jump.why_lost():
            opening = asyncio.create_task(self._open(hop_config(hops[-1], host), way=way))
            jump = Jump(way, asyncio.Semaphore(self._limits.logins_per_jump), opening)
            self._jumps[way] = jump
        jump.users += 1
        try:
            await asyncio.shield(jump.opening)
        except HostError as error:
            await self._release(jump)
            reason = error.reason if error.reason.startswith("jump host ") else f"jump host {error.reason}"
            raise HostError(reason, error.mend, hopeless=error.hopeless) from error
        except BaseException:
            await self._release(jump)
            raise
        return jump

    async def _release(self, jump: Jump | None) -> None:
        if jump is None:
            return
        jump.users -= 1
        failed = jump.opening.done() and jump.link() is None
        if (failed or not jump.users) and self._jumps.get(jump.way) is jump:
            del self._jumps[jump.way]
        if jump.users or jump.closed:
            return
        jump.closed = True
        jump.opening.cancel()
        await asyncio.gather(jump.opening, return_exceptions=True)
        if (link := jump.link()) is not None:
            await end(link.conn)
            await self._release(link.jump)


async def _answers(agent: str) -> bool:
    """Whether somebody listens at the socket of the SSH agent."""
    try:
        _, writer = await asyncio.open_unix_connection(agent)
    except OSError:
        return False
    writer.close()
    return True
