"""Every way an SSH connection can fail, as a HostError that says the phase, what is so, and what to do."""

import os
import socket

import asyncssh
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

from dgconsole.support.errors import HostError

FAILURES = (
    OSError,
    ValueError,
    asyncssh.Error,
    asyncssh.ChannelListenError,
    asyncssh.KeyImportError,
    asyncssh.KeyEncryptionError,
)
"""What asyncssh raises; TimeoutError is an OSError, ConfigParseError a ValueError."""

SILENT = {
    "resolve": "Check the name service of this machine.",
    "connect": "Check that the host is up and its port open from here.",
    "login": "Something listens there but does not let us in: a busy host, or no SSH server.",
}


def text_of(error: BaseException) -> str:
    """What an error says; never empty."""
    if isinstance(error, OSError) and error.errno:
        # asyncio's own words for a failed connect do not say why.
        text = str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno)
        return f"{error.filename}: {text}" if error.filename else text
    reason = getattr(error, "reason", None)
    return str(reason or error).strip().rstrip(".") or type(error).__name__


def too_long(phase: str, target: str, seconds: float) -> HostError:
    """A phase that ran out of its time limit."""
    return HostError(f"{target}: no end of phase {phase!r} within {seconds:g} s", SILENT.get(phase, ""))


NO_SFTP = (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.SFTPBadMessage)
"""While the connection lives: what answers there does not speak SFTP."""


def host_error(
    error: BaseException, phase: str, target: str, *, name: str, asked: tuple[str, ...] = (), deaf_agent: str = ""
) -> HostError:
    """What ``error`` means in ``phase`` on the way to ``target``, which hosts.yml calls ``name``.

    ``asked`` is what the server asked of a person, ``deaf_agent`` the socket of an SSH agent that is away. Host keys
    that are not accepted are told by ``hostkeys``.
    """
    if isinstance(error, HostError):
        return error
    text = text_of(error)
    head = f"{target}: {phase}"
    if isinstance(error, asyncssh.PermissionDenied):
        return _denied(target, name, asked, deaf_agent)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return HostError(f"{head}: {text}", "Look at its line in known_hosts.", hopeless=True)
    if isinstance(error, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)):
        return _bad_key(text, target, name)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        mend = "Allow an algorithm of that host in ~/.ssh/config (KexAlgorithms, Ciphers, MACs)."
        return HostError(f"{head}: {text}", mend, hopeless=True)
    if isinstance(error, (asyncssh.ConnectionLost, ConnectionError)) and phase == "login":
        mend = "The server hung up before the login: too many logins at once (MaxStartups), or it is no SSH server."
        return HostError(f"{head}: {text}", mend)
    if isinstance(error, asyncssh.DisconnectError):
        hopeless = "authentication failures" in text or error.code in (
            asyncssh.DISC_HOST_NOT_ALLOWED_TO_CONNECT,
            asyncssh.DISC_ILLEGAL_USER_NAME,
        )
        mend = f"Set hosts.{name}.identity, or IdentitiesOnly in ~/.ssh/config." if "authentication" in text else ""
        return HostError(f"{head}: {text}", mend, hopeless=hopeless)
    unheard = isinstance(error, asyncssh.ChannelOpenError) and error.code == OPEN_REQUEST_SESSION_FAILED
    if isinstance(error, NO_SFTP) or (unheard and phase.startswith("copy")):
        mend = f"Have its server give it (Subsystem sftp internal-sftp), or set hosts.{name}.deploy: none."
        return HostError(f"{head}: no SFTP there ({text})", mend, hopeless=True)
    if isinstance(error, asyncssh.ChannelOpenError):
        forbidden = error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
        mend = "The jump host must allow it (AllowTcpForwarding)." if forbidden else ""
        return HostError(f"{head}: {text}", mend, hopeless=forbidden)
    if isinstance(error, socket.gaierror):
        hopeless = error.errno != socket.EAI_AGAIN
        return HostError(f"{head}: {text}", f"Check hosts.{name}.address.", hopeless=hopeless)
    if isinstance(error, OSError):
        of_file = bool(error.filename)
        mend = "Mend that path." if of_file else SILENT.get(phase, "")
        return HostError(f"{head}: {text}", mend, hopeless=of_file)
    return HostError(f"{head}: {text}", hopeless=isinstance(error, ValueError))


def _denied(target: str, name: str, asked: tuple[str, ...], deaf_agent: str) -> HostError:
    reason = f"{target}: the login was refused"
    if deaf_agent:
        reason += f"; no SSH agent answers at {deaf_agent}"
    if asked:
        reason += f"; asked for, and not answered: {', '.join(asked)}"
    mend = f"Check hosts.{name}.user and hosts.{name}.identity, or load the key into an agent (ssh-add)."
    return HostError(reason, mend, hopeless=True)


def _bad_key(text: str, target: str, name: str) -> HostError:
    if "assphrase" in text or "ncrypted" in text:
        mend = f"Load the key into an agent (ssh-add), or set hosts.{name}.identity to another."
        return HostError(f"{target}: the key asks for its passphrase, which is not answered", mend, hopeless=True)
    return HostError(f"{target}: the key is no good: {text}", f"Mend hosts.{name}.identity.", hopeless=True)
