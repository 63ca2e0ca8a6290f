"""Where clients come in: sockets, who is let in under which name, the bundle, and what is sent to whom."""

import asyncio
import hmac
import os
import re
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from dgconsole import __version__
from dgconsole.coordinator import events as e
from dgconsole.coordinator.core import Core
from dgconsole.coordinator.incoming import Incoming
from dgconsole.coordinator.peers import BundleItem, Peer
from dgconsole.coordinator.receiving import Receiver
from dgconsole.plan import Plan
from dgconsole.support.errors import ChunkError, Fault, InputError, Problem
from dgconsole.wire import messages as m

LogLine = Callable[[str, str, str], None]
"""Called with source, level and text."""

Start = Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"]
"""Makes a named task that somebody looks after."""

_PARTING = 1.0
"""Seconds for a client to read what it was sent last."""

_BACKLOG = 1024
"""So many clients may knock at the same moment; on a UNIX socket the next one would be turned away."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Reception:
    """All connections of a run. What comes in becomes events, given to ``put``.

    Parameters
    ----------
    chunks
        The folder of the run directory that files of other machines come into.
    shown
        What the destination wants to be shown; clients are told.
    files
        Runs what writes those files.
    failed
        Told of each task that ends; for errors of ours.

    ``ending`` is set by who knows that nobody is to be let in any more.
    """

    def __init__(
        self,
        core: Core,
        plan: Plan,
        bundle: Sequence[BundleItem],
        *,
        chunks: Path,
        shown: Mapping[str, str],
        files: Executor,
        put: Callable[[e.Event], None],
        log: LogLine,
        start: Start,
        failed: "Callable[[asyncio.Task[None]], None]",
    ) -> None:
        self.token = secrets.token_urlsafe(24)
        self.ending = False
        self._core = core
        self._plan = plan
        self._bundle = tuple(bundle)
        self._chunks = chunks
        self._shown = dict(shown)
        self._files = files
        self._put = put
        self._log = log
        self._start = start
        self._failed = failed
        self._servers: list[asyncio.Server] = []
        self._peers: dict[int, Peer] = {}
        self._names: dict[str, Peer] = {}
        self._hosts: dict[str, str] = {}
        self._collects: dict[str, bool] = {}
        self._builds: dict[str, str] = {}
        self._next_peer = 1
        self._alone = asyncio.Event()
        self._alone.set()

    @property
    def empty(self) -> bool:
        """Whether no client that is known is connected."""
        return not self._names

    # ---- the doors

    async def listen(self, address: str) -> str:
        """Take clients at ``unix:PATH`` or ``HOST:PORT`` (port 0: a free one); the address where they find it.

        May be called for more than one address. InputError where it cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            if address.startswith("unix:"):
                server = await loop.create_unix_server(self._peer, sock=_unix_socket(address), backlog=_BACKLOG)
                actual = address
            else:
                host, _, port = address.rpartition(":")
                server = await loop.create_server(
                    self._peer, host.strip("[]") or "127.0.0.1", int(port), backlog=_BACKLOG
                )
                where = server.sockets[0].getsockname()
                actual = f"[{where[0]}]:{where[1]}" if ":" in where[0] else f"{where[0]}:{where[1]}"
        except (OSError, ValueError, OverflowError) as error:
            raise InputError(Problem(f"cannot listen there: {error}", key=address)) from error
        self._servers.append(server)
        return actual

    def shut(self) -> None:
        """Nobody else comes in."""
        for server in self._servers:
            server.close()

    async def part(self) -> None:
        """End all connections, those that do not read within a second the hard way."""
        for leave in (lambda peer: peer.end("the console has ended"), Peer.abort):
            for peer in list(self._peers.values()):
                leave(peer)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._alone.wait(), _PARTING)

    def abort(self) -> None:
        """Cut all connections."""
        for peer in list(self._peers.values()):
            peer.abort()

    # ---- who comes

    def expect(self, client: str, host: str, *, collect: bool = False, build: str = "") -> None:
        """The fleet is about to start ``client``; ``host`` is the name for reports.

        ``build`` is the SHA-256 of the wheel that it must have been installed from, "" any.

        ``collect``: it does not see the run directory, and sends its files, or keeps them where ``keep_in`` of the
        options says. Clients that nobody expects do so when they come over the network.
        """
        self._hosts[client] = host
        self._collects[client] = collect
        self._builds[client] = build
        self._put(e.Expected(client, host))

    def _peer(self) -> Peer:
        self._next_peer += 1
        return Peer(self._next_peer - 1, self, self._core.options.hello_timeout)

    def opened(self, peer: Peer) -> None:
        self._peers[peer.number] = peer
        self._alone.clear()

    def closed(self, peer: Peer, how: str) -> None:
        del self._peers[peer.number]
        if not self._peers:
            self._alone.set()
        if peer.name:
            del self._names[peer.name]
            self._put(e.Gone(peer.number, how))
        else:
            self._log("console", "info", f"a connection ended before it was known: {how}")

    def hello(self, peer: Peer, message: m.Hello) -> None:
        name, host = message.name, self._hosts.get(message.name) or message.host
        if not hmac.compare_digest(message.token.encode(), self.token.encode()):
            return self._refuse(peer, "wrong token")
        ours = (m.PROTOCOL, __version__)
        if (message.protocol, message.version) != ours:
            theirs = f"version {message.version} (protocol {message.protocol})"
            return self._refuse(
                peer, f"client is {theirs}, the console {ours[1]} (protocol {ours[0]}): install the same"
            )
        build = self._builds.get(name, "")
        if build and message.build != build:
            theirs = f"the wheel {message.build[:12]}" if message.build else "no wheel"
            reason = f"it was installed from {theirs}, the console has deployed {build[:12]}: remove its venv there"
            return self._refuse(peer, reason)
        if self._core.run.stopping or self.ending:
            return self._refuse(peer, "the run is ending")
        if not _NAME.fullmatch(host):
            return self._refuse(peer, f"{host!r} is no name of a host (letters, digits, . _ -)")
        name = name or self._free_name(host)
        if not _NAME.fullmatch(name):
            return self._refuse(peer, f"{name!r} is no name of a client (letters, digits, . _ -)")
        if name in self._names:
            return self._refuse(peer, f"a client named {name} is connected already")
        peer.name = name
        self._names[name] = peer
        return self._put(e.Joined(peer.number, name, host, message.pid))

    def _free_name(self, host: str) -> str:
        number = 1
        while (name := f"{host}-{number}") in self._names or name in self._hosts:
            number += 1
        return name

    def ready(self, peer: Peer, message: m.Ready) -> None:
        plan = self._plan
        if message.sky_digest != plan.sky_digest:
            reason = "its tables of the sky differ from the console's (another math library): its chunks would too"
        elif message.plan_digest != plan.digest:
            reason = "the plan that it built differs from the console's"
        elif peer.keeps and not message.folder.startswith("/"):
            reason = f"it does not say where it keeps its files ({message.folder!r})"
        else:
            return self._put(e.Readied(peer.number, message.folder if peer.keeps else ""))
        self._put(e.TurnedAway(peer.number, reason))
        return self._refuse(peer, reason)

    def said(self, peer: Peer, message: m.FromClient) -> None:
        self._put(e.Said(peer.number, message))

    def holds(self, peer: Peer, chunk: int, attempt: int) -> bool:
        client = self._core.client_of(peer.number)
        hold = client.hand.get(chunk) if client is not None else None
        return hold is not None and hold.attempt == attempt

    def undelivered(self, peer: Peer, chunk: int, attempt: int, error: ChunkError) -> None:
        fault = Fault.STOPPED if error.fault is Fault.DISK else error.fault  # the disk is ours: nobody is to blame
        self._put(e.Undelivered(peer.number, chunk, attempt, fault, error.text))

    def trouble(self, text: str) -> None:
        self._put(e.DestinationTrouble(text))

    def _refuse(self, peer: Peer, reason: str) -> None:
        self._log("console", "warning", f"refused {peer.name or 'a client'}: {reason}")
        peer.send(m.Refused(reason))
        peer.end(reason)

    # ---- what goes out

    def send(self, number: int, message: m.FromCoordinator) -> None:
        """To that connection, if it is still there."""
        if peer := self._peers.get(number):
            peer.send(message)

    def drop(self, number: int, reason: str) -> None:
        """End that connection, once it has read what it was sent."""
        if peer := self._peers.get(number):
            peer.end(reason)

    def handled(self, batch: Sequence[e.Event]) -> None:
        """What came with these events was dealt with: more may come."""
        for event in batch:
            if isinstance(event, e.Said) and (peer := self._peers.get(event.peer)):
                peer.handled()

    def greet(self, number: int, name: str, host: str) -> None:
        """Welcome that client, and send it the bundle."""
        peer = self._peers.get(number)
        if peer is None:
            return
        options = self._core.options
        far = self._collects.get(name, peer.over_network) and not options.direct
        peer.keeps, collect = far and bool(options.keep_in), far and not options.keep_in
        if collect:
            self._collect(peer, name)
        keep = options.keep_in if peer.keeps else ""
        files = len(self._bundle)
        peer.send(m.Welcome(name, host, options.heartbeat, options.lease, files, collect, self._shown, keep))
        self._start(peer.send_bundle(self._bundle), f"bundle for {name}")

    def _collect(self, peer: Peer, name: str) -> None:
        tables = [table.name for table in self._plan.tables if table.delivered]
        receiver = Receiver(Incoming(self._chunks, tables), peer, self._files)
        peer.collect(receiver, self._core.options.heartbeat)

        def ended(task: "asyncio.Task[None]") -> None:
            self._failed(task)
            if not task.cancelled():
                self.closed(peer, peer.how)

        self._start(receiver.run(), f"files of {name}").add_done_callback(ended)


def _unix_socket(address: str) -> socket.socket:
    """A socket that only this user may connect to, in place of what a crash left behind."""
    path = Path(address.removeprefix("unix:"))
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
    return made
