"""From start to the first chunks in hand over SSH, for 1, 10 and 50 hosts on loopback; prints, asserts nothing.

    python benchmarks/ssh_start.py [--hosts 1 10 50]

Four SSH servers of the user who runs it (openssh-server) stand for all hosts, with one client each. Against it: as
many logins alone, ten at a time as the fleet does. All of it shares this machine's cores: what agents and above all
clients take there, each a Python with its libraries, they take beside each other on real hosts. The memory is that
of the console's process. Each count of hosts has a process of its own.
"""

import argparse
import asyncio
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncssh

from dgconsole.fleet.wiring import Timing
from dgconsole.session import Session, SessionOptions
from dgconsole.settings.structs import HostConfig

ROOT = Path(__file__).parents[1]
SERVERS, AT_ONCE = 4, 10
CHUNKS = "39600:40019"
PATIENT = Timing(connect=300.0, prepare=300.0)
LOOK_EVERY = 0.02


class Servers:
    """SSH servers on 127.0.0.2 and on, their keys known."""

    def __init__(self, folder: Path) -> None:
        self.identity, self.known_hosts = folder / "id", folder / "known_hosts"
        self.places: list[tuple[str, int]] = []
        self._running: list[subprocess.Popen[bytes]] = []
        make_key(self.identity)
        for number in range(2, 2 + SERVERS):
            self._start(folder / f"h{number}", f"127.0.0.{number}")

    def _start(self, folder: Path, address: str) -> None:
        (folder / "home").mkdir(parents=True)
        make_key(folder / "hostkey")
        with socket.socket() as probe:
            probe.bind((address, 0))
            port = probe.getsockname()[1]
        (folder / "config").write_text(
            f"Port {port}\nListenAddress {address}\nHostKey {folder}/hostkey\nPidFile none\nUsePAM no\n"
            f"StrictModes no\nAuthorizedKeysFile {self.identity}.pub\nSetEnv HOME={folder}/home\n"
        )
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "sshd"
        argv = [sshd, "-D", "-e", "-f", str(folder / "config")]
        self._running.append(subprocess.Popen(argv, stderr=subprocess.PIPE))
        while b"listening" not in self._running[-1].stderr.readline():
            pass
        with self.known_hosts.open("a") as known:
            known.write(f"[{address}]:{port} {(folder / 'hostkey.pub').read_text()}")
        self.places.append((address, port))

    def host(self, number: int) -> HostConfig:
        address, port = self.places[number % SERVERS]
        return HostConfig(
            name=f"db{number + 1:02}",
            launcher="ssh",
            deploy="none",
            python=sys.executable,
            address=address,
            port=port,
            user=getpass.getuser(),
            identity=str(self.identity),
            known_hosts=str(self.known_hosts),
        )

    def close(self) -> None:
        for server in self._running:
            server.terminate()
            server.wait()


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def resident() -> float:
    """Megabytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def logins(servers: Servers, count: int) -> float:
    """Seconds for so many logins, nothing else."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def login(host: HostConfig) -> asyncssh.SSHClientConnection:
        async with gate:
            return await asyncssh.connect(
                host.address,
                port=host.port,
                username=host.user,
                client_keys=[host.identity],
                known_hosts=host.known_hosts,
                config=None,
                agent_path=None,
            )

    began = time.perf_counter()
    connections = await asyncio.gather(*(login(servers.host(number)) for number in range(count)))
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
        await connection.wait_closed()
    return seconds


async def measure(folder: Path, count: int) -> None:
    for name in ("serverCfg.yml", "fakeGenSpec.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "fakePartitionerCfgs", folder / "fakePartitionerCfgs")
    servers = Servers(folder)
    try:
        alone = await logins(servers, count)
        options = SessionOptions(run_dir=folder / "run", chunks=CHUNKS, timing=PATIENT)
        began, before, cpu = time.perf_counter(), resident(), time.process_time()
        session = await Session.open([servers.host(n) for n in range(count)], folder / "serverCfg.yml", options)
        opened = time.perf_counter() - began
        at: dict[str, float] = {}
        memory = 0.0
        while "all" not in at:
            await asyncio.sleep(LOOK_EVERY)
            snapshot, now = await session.snapshot(), time.perf_counter() - began
            up = sum(host.state == "up" for host in snapshot.hosts)
            busy = {client.host for client in snapshot.clients if client.chunk >= 0}
            if up == count and "up" not in at:
                at["up"], memory = now, resident()
            if busy:
                at.setdefault("first", now)
            if len(busy) == count:
                at["all"] = now
        later, cpu = resident(), time.process_time() - cpu
        await session.close()
    finally:
        servers.close()
    print(
        f"{count:3} hosts: logins alone {alone:.2f} s; run opened {opened:.2f} s, all agents up {at['up']:.2f} s "
        f"({at['up'] / alone:.1f}x), first chunk {at['first']:.2f} s ({at['first'] / alone:.1f}x), "
        f"every host has one {at['all']:.2f} s ({at['all'] / alone:.1f}x); "
        f"console {cpu:.1f} s of CPU, {before:.0f} MB, with all agents {memory:.0f}, with all clients {later:.0f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 10, 50])
    counts = parser.parse_args().hosts
    if len(counts) > 1:
        for count in counts:
            subprocess.run([sys.executable, __file__, "--hosts", str(count)], check=True)
        return
    with tempfile.TemporaryDirectory(prefix="dg") as folder:
        asyncio.run(measure(Path(folder), counts[0]))


if __name__ == "__main__":
    main()
