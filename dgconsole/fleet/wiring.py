"""What every host runner needs of its surroundings: addresses, time limits, and whom to tell."""

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from dgconsole.fleet.clients import ClientEnd
from dgconsole.fleet.deploy.wheel import Wheel
from dgconsole.fleet.hosts import HostState
from dgconsole.fleet.launchers.channel import Connect

Log = Callable[[str, str, str], None]
"""(source, level, text)."""
OnClientExit = Callable[[str, str, ClientEnd, bool], None]
"""(client, host, how it ended, whether it will be started again)."""
OnHostChange = Callable[[str, HostState, str], None]
"""(host, its new state, reason)."""
OnDeploy = Callable[[str, str], None]
"""(host, SHA-256 of the wheel that its clients run from now on)."""


class Timing(Struct, frozen=True):
    """Time limits in seconds; tests make them small."""

    connect: float = 10.0
    prepare: float = 300.0
    ping: float = 5.0
    lease: float = 30.0
    first_wait: float = 1.0
    grace: float = 5.0
    first_message: float = 120.0
    """What a client that was started has to say hello."""


class Wiring(Struct, frozen=True, kw_only=True):
    """``server`` is where the coordinator listens here, ``direct`` where any machine finds it ("" nowhere).

    ``run`` names the run on other machines; ``connect`` is by launcher; ``wheel`` gives the console's own, made once.
    """

    work_root: Path
    run: str
    connect: Mapping[str, Connect]
    wheel: Callable[[], Wheel]
    server: str
    direct: str
    token: str
    version: str
    log: Log
    on_client_exit: OnClientExit
    on_host_change: OnHostChange
    on_deploy: OnDeploy
    timing: Timing
