"""What we answer when asyncssh asks about a host: no unknown keys, no passwords; everything asked is remembered."""

from collections.abc import Callable, Sequence

import asyncssh

from dgconsole.fleet.launchers.hostkeys import KnownHosts, Refusal


class Witness(asyncssh.SSHClient):
    """Stands by one connection. ``lost`` is why it ended, None while it lives or when we ended it ourselves."""

    def __init__(self, keys: KnownHosts, on_reached: Callable[[], None]) -> None:
        self._keys = keys
        self._on_reached = on_reached
        self.refusal: Refusal | None = None
        self.asked: list[str] = []
        self.lost: Exception | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:  # noqa: ARG002 - asyncssh's signature
        self._on_reached()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refusal = self._keys.refusal(host, addr, port, key)
        return False

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
