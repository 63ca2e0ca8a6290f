"""Host keys: which are known and which revoked, and the words and the mending line when one is not accepted."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class Refusal:
    """A host key not accepted: ``state`` is unknown, changed or revoked, ``entry`` the name in known_hosts.

    ``where`` is the file that holds another key (changed), or FILE:LINE of the @revoked line.
    """

    state: str
    kind: str
    fingerprint: str
    entry: str
    where: str


class KnownHosts(asyncssh.SSHKnownHosts):
    """The known_hosts files together. A key that is revoked for a host is revoked on all its ports.

    asyncssh forgets what is revoked for ``[host]:port`` as soon as that has no key of its own and falls back to the
    entry without the port; here a revoked key is never among the trusted ones, so it is refused in the key exchange,
    before a name or a signature is sent.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        super().__init__()
        self.files = tuple(files)
        for file in self.files:
            try:
                self.load(file.read_text())
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from error

    def match(self, host: str, addr: str, port: int | None) -> Any:
        """What asyncssh asks: trusted keys and authorities without the revoked ones, then the revoked ones.

        Plain revoked keys are left to ``refusal``, which can say more; asyncssh needs them only for certificates.
        """
        trusted, authorities, _, *x509 = super().match(host, addr, port)
        revoked = self._revoked(host, addr, port)
        return (
            [key for key in trusted if key not in revoked],
            [key for key in authorities if key not in revoked],
            revoked if authorities else [],
            *x509,
        )

    def _revoked(self, host: str, addr: str, port: int | None) -> list[asyncssh.SSHKey]:
        names = [name for name in (host, addr) if name]
        names += [f"[{name}]:{port}" for name in names if port]
        return [key for name in names for key in super(KnownHosts, self).match(name, "", None)[2]]

    def refusal(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> Refusal:
        """Why ``key``, which was not among the trusted ones, is not accepted."""
        other_port = port if port != DEFAULT_PORT else None
        entry = f"[{host}]:{port}" if other_port else host
        kind, fingerprint = key.get_algorithm(), key.get_fingerprint()
        if key in self._revoked(host, addr, other_port):
            return Refusal("revoked", kind, fingerprint, entry, self._where(key))
        holding = [file for file in self.files if KnownHosts([file]).match(host, addr, other_port)[0]]
        if not holding:
            return Refusal("unknown", kind, fingerprint, entry, "")
        names = [f"[{name}]:{port}" for name in (host, addr)] if other_port else [host, addr]
        if not any(super(KnownHosts, self).match(name, "", None)[0] for name in names):
            entry = host  # known without its port
        return Refusal("changed", kind, fingerprint, entry, str(holding[0]))

    def _where(self, key: asyncssh.SSHKey) -> str:
        """FILE:LINE of the @revoked line that holds the key, empty where there is none."""
        base64 = key.export_public_key().split()[1].decode()
        for file in self.files:
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if line.lstrip().startswith("@revoked") and base64 in line.split():
                    return f"{file}:{number}"
        return ""


def words_of(refusal: Refusal, accept: str) -> tuple[str, str]:
    """(reason, mend) of a refused key; ``accept`` is the ssh command that asks a person about it."""
    key = f"{refusal.kind} {refusal.fingerprint}"
    if refusal.state == "revoked":
        place = f" by {refusal.where}" if refusal.where else ""
        mend = "Give the host a new key, or take that line out if it is wrong."
        return f"the host key of {refusal.entry} is revoked{place}: {key}", mend
    if refusal.state == "changed":
        remove = shlex.join(["ssh-keygen", "-R", refusal.entry, "-f", refusal.where])
        mend = f"If you know why (compare with ssh-keygen -lf on the host): {remove}; {accept}"
        return f"the host key of {refusal.entry} has changed; it now shows {key}", mend
    mend = f"Compare it with the host's own (ssh-keygen -lf there), then take it with: {accept}"
    return f"the host key of {refusal.entry} is unknown: {key}", mend
