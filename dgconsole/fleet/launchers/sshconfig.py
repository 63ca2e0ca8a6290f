"""Where a host really is: hosts.yml and the user's and the system's ssh configuration together, nothing sent yet."""

import contextlib
import getpass
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from dgconsole.fleet.launchers.hostkeys import DEFAULT_PORT, KnownHosts
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import HostError

KEEPALIVE = 5.0
"""Seconds of silence before the server is asked whether it lives."""
KEEPALIVE_COUNT = 2
"""How many such questions go without an answer before it counts as lost, so after 15 s."""
FAST_CIPHERS = "^aes128-gcm@openssh.com"


@dataclass(frozen=True, slots=True)
class LockedKey:
    """A key file that needs a passphrase: ``name`` as it is written, ``file`` in full.

    ``public``: its public half can be read without one, so the server is asked before a person is.
    """

    name: str
    file: str
    public: bool


@dataclass(frozen=True, slots=True)
class Target:
    """A host as it will be connected to.

    ``hops`` are all the jump hosts on the way, first to last (none for a jump host: who asks knows its way);
    ``proxied``: behind a ProxyCommand; ``locked`` are the key files that need a passphrase, ``named``: that hosts.yml
    names one of them.
    """

    name: str
    host: str
    port: int
    user: str
    hops: tuple[str, ...]
    proxied: bool
    connect_limit: float | None
    keys: KnownHosts
    key_name: str
    """The name its key is known under."""
    accept: str
    """The ssh command with which a person looks at the host key and accepts it."""
    locked: tuple[LockedKey, ...]
    named: bool
    agent: str
    """The socket of the SSH agent, empty where there is none."""
    arguments: dict[str, object]
    """Keyword arguments for asyncssh.connect."""

    def __str__(self) -> str:
        port = "" if self.port == DEFAULT_PORT else f":{self.port}"
        return f"{self.user}@{self.host}{port}"


def resolve(config: HostConfig, *, is_jump: bool = False) -> Target:
    """Read everything that says how to reach ``config``; blocks (files, ``Match exec``).

    A jump host uses the identity of the host behind it only where ssh's configuration names none. Raises HostError
    where host keys would go unchecked, else what asyncssh raises for bad files.
    """
    arguments, options = _configured(config)
    address = str(arguments["host"])
    found = options.config
    named = found.get("IdentityFile")
    if config.identity and not (is_jump and named):
        arguments |= _named_key(Path(config.identity).expanduser())
    if not found.get("Ciphers"):
        arguments["encryption_algs"] = FAST_CIPHERS
    arguments["known_hosts"] = keys = KnownHosts(_known_hosts(config, options))
    jump = config.jump if config.jump is not None else found.get("ProxyJump")
    hops = _hops(str(jump), address) if jump and not is_jump else ()
    return Target(
        name=config.name,
        host=options.host,
        port=options.port,
        user=options.username,
        hops=_whole_way(hops, config),
        proxied=bool(options.proxy_command),
        connect_limit=options.connect_timeout,
        keys=keys,
        key_name=options.host_key_alias or options.host,
        accept=_accept(config, address, hops),
        locked=_locked(arguments.get("client_keys", named)),
        named="client_keys" in arguments,
        agent=_agent(found.get("IdentityAgent")) if arguments.get("agent_path", "") is not None else "",
        arguments=arguments,
    )


def _configured(config: HostConfig) -> tuple[dict[str, object], asyncssh.SSHClientConnectionOptions]:
    """(arguments for asyncssh.connect from hosts.yml and ourselves, what ssh's configuration adds)."""
    files = [file for file in (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")) if file.is_file()]
    arguments: dict[str, object] = {
        "host": config.address or config.name,
        "config": [str(file) for file in files],
        "keepalive_interval": KEEPALIVE,
        "keepalive_count_max": KEEPALIVE_COUNT,
        "login_timeout": 0,
        "gss_kex": False,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "request_pty": False,
        "command": None,
    }
    if config.port is not None:
        arguments["port"] = config.port
    if config.user is not None:
        arguments["username"] = config.user
    options = asyncssh.SSHClientConnectionOptions(client_keys=None, **arguments)
    # Read above, kept by the launcher: asyncssh would count the login in.
    arguments["connect_timeout"] = None
    return arguments, options


def hop_config(hop: str, behind: HostConfig) -> HostConfig:
    """The jump host ``[user@]name[:port]`` on the way to ``behind``."""
    user, _, place = hop.rpartition("@")
    name, colon, port = place.rpartition(":")
    if not colon or (":" in name and not name.endswith("]")):
        name, port = place, ""
    if port and not port.isdecimal():
        raise HostError(f"{port!r} in the jump host {hop} is no port", "Write [user@]host[:port].", hopeless=True)
    return HostConfig(
        name=hop,
        launcher="ssh",
        address=name.strip("[]"),
        port=int(port) if port else None,
        user=user or None,
        identity=behind.identity,
        known_hosts=behind.known_hosts,
    )


def _hops(jump: str, address: str) -> tuple[str, ...]:
    if jump.lower() == "none":
        return ()
    hops = tuple(hop.strip().removeprefix("ssh://") for hop in jump.split(",") if hop.strip())
    # "Host *" with a ProxyJump holds for the jump host too: it is not behind itself.
    if hops and hops[-1].rpartition("@")[2].partition(":")[0].lower() == address.lower():
        return ()
    return hops


def _whole_way(hops: tuple[str, ...], behind: HostConfig) -> tuple[str, ...]:
    """``hops`` with the jump hosts that lead to the first of them, as ssh's configuration has it."""
    while hops:
        first = hop_config(hops[0], behind)
        jump = _configured(first)[1].config.get("ProxyJump")
        before = _hops(str(jump), first.address) if jump else ()
        if not before:
            break
        if set(before) & set(hops):
            raise HostError(f"the jump host {hops[0]} is behind itself", "Mend ProxyJump.", hopeless=True)
        hops = before + hops
    return hops


def _known_hosts(config: HostConfig, options: asyncssh.SSHClientConnectionOptions) -> list[Path]:
    """The files that exist, the user's first."""
    system = options.config.get("GlobalKnownHostsFile", ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"])
    if config.known_hosts is not None:
        own = [config.known_hosts]
        if own[0].lower() != "none" and not Path(own[0]).expanduser().is_file():
            raise HostError(
                f"known_hosts {own[0]} does not exist",
                f"Mend hosts.{config.name}.known_hosts, or make the file with ssh-keyscan and compare what it holds.",
                hopeless=True,
            )
    else:
        own = _strings(options.config.get("UserKnownHostsFile", ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"]))
    if not own or own[0].lower() == "none":
        raise HostError(
            "UserKnownHostsFile none: the host key would not be checked at all",
            f"Take that line out of the ssh configuration or set hosts.{config.name}.known_hosts to a file.",
            hopeless=True,
        )
    names = own + [name for name in _strings(system) if name.lower() != "none"]
    return [file for name in names if (file := _expand(name, options)).is_file()]


def _strings(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _expand(name: str, options: asyncssh.SSHClientConnectionOptions) -> Path:
    """``~``, ``${NAME}`` and the tokens that ssh knows here."""
    tokens = {
        "%d": str(Path.home()),
        "%h": options.host,
        "%k": options.host_key_alias or options.host,
        "%p": str(options.port),
        "%r": options.username,
        "%u": getpass.getuser(),
    }
    parts = name.split("%%")
    for token, text in tokens.items():
        parts = [part.replace(token, text) for part in parts]
    return Path(os.path.expandvars("%".join(parts))).expanduser()


def _locked(named: object) -> tuple[LockedKey, ...]:
    """The keys that would be tried but need a passphrase."""
    names = _strings(named) or [f"~/.ssh/id_{kind}" for kind in ("ed25519", "ed448", "ecdsa", "rsa", "dsa")]
    found = []
    for name in names:
        file = Path(name).expanduser()
        try:
            asyncssh.read_private_key(file)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            if "assphrase" in str(error):
                found.append(LockedKey(name, str(file), _public_half(file) is not None))
        except OSError:
            continue
    return tuple(found)


def _named_key(file: Path) -> dict[str, object]:
    """Arguments that try this key and no other: an agent full of others would use up what a server allows.

    From the agent if that has it, else from the file.
    """
    public = _public_half(file)
    of_agent = {"agent_path": None} if public is None else {"agent_identities": [public]}
    return {"client_keys": [str(file)], **of_agent}


def _agent(named: object) -> str:
    path = str(named or os.environ.get("SSH_AUTH_SOCK", ""))
    return str(Path(path).expanduser()) if path else ""


def _public_half(file: Path) -> asyncssh.SSHKey | None:
    """What can be read of a key without its passphrase."""
    for place in (f"{file}.pub", file):
        with contextlib.suppress(OSError, asyncssh.KeyImportError):
            return asyncssh.read_public_key(place)
    return None


def _accept(config: HostConfig, address: str, hops: tuple[str, ...]) -> str:
    words = ["ssh"]
    if config.port is not None:
        words += ["-p", str(config.port)]
    if config.known_hosts is not None:
        words += ["-o", f"UserKnownHostsFile={config.known_hosts}"]
    if config.jump is not None and hops:
        words += ["-J", ",".join(hops)]
    if config.identity is not None:
        words += ["-i", config.identity]
    return shlex.join([*words, f"{config.user}@{address}" if config.user else address, "true"])
