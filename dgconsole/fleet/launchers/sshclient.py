"""What we answer when asyncssh asks about a host: no unknown keys, no passwords; everything asked is remembered."""

from collections.abc import Callable, Sequence

import asyncssh
from asyncssh.public_key import get_default_public_key_algs

from dgconsole.fleet.launchers.hostkeys import DEFAULT_PORT, Refusal
from dgconsole.fleet.launchers.sshconfig import Target


class Witness(asyncssh.SSHClient):
    """Stands by one connection. ``lost`` is why it ended, None while it lives or when we ended it ourselves."""

    def __init__(self, target: Target, on_reached: Callable[[], None]) -> None:
        self._target = target
        self._on_reached = on_reached
        self._conn: asyncssh.SSHClientConnection | None = None
        self.refusal: Refusal | None = None
        self.asked: list[str] = []
        self.lost: Exception | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._conn = conn
        self._on_reached()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refusal = self._target.keys.refusal(host, addr, port, key)
        return False

    def kinds_not_asked_for(self) -> list[str]:
        """After a failure: the kinds of host key to ask for in another try, empty where that would change nothing.

        asyncssh asks only for the kinds that are known of a host, and a server that has none of them just hangs up,
        once it has said who it is. Asked for all kinds, known ones first, it shows the key that has changed.
        """
        conn, target = self._conn, self._target
        if conn is None or self.refusal or self.asked or "server_host_key_algs" in target.arguments:
            return []
        if not isinstance(self.lost, (asyncssh.ConnectionLost, OSError)) or conn.get_server_host_key() is not None:
            return []
        address = (conn.get_extra_info("peername") or ("",))[0]
        port = target.port if target.port != DEFAULT_PORT else None
        known = target.keys.match(target.key_name, address, port)[0]
        if not known or not conn.get_extra_info("server_version"):
            return []
        first = [kind for key in known for kind in key.sig_algorithms]
        kinds = first + [kind for kind in get_default_public_key_algs() if kind not in first]
        return [kind.decode() for kind in kinds]

    def password_auth_requested(self) -> None:
        self.asked.append("password")

    def kbdint_auth_requested(self) -> str:
        return ""

    def kbdint_challenge_received(
        self,
        name: str,  # noqa: ARG002
        instructions: str,  # noqa: ARG002
        lang: str,  # noqa: ARG002
        prompts: Sequence[tuple[str, bool]],
    ) -> list[str] | None:
        self.asked += [text.strip().rstrip(":") for text, _ in prompts]
        return None if prompts else []
