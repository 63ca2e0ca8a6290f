"""One host of hosts.yml: each key taken from the host or, where it has none, from the defaults; all checked."""

import ipaddress
import re
from pathlib import Path

import msgspec

from dgconsole.settings.files import why_unreadable
from dgconsole.settings.section import Section
from dgconsole.settings.structs import HostConfig
from dgconsole.settings.suggest import did_you_mean

LAUNCHERS = ("local", "ssh")
SSH_KEYS = ("address", "port", "user", "jump", "identity", "known_hosts", "deploy", "connect")
KEYS = ("launcher", "clients", "workdir", "python", "setup", "env", *SSH_KEYS)
MOST_CLIENTS = 10_000
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_HOP = re.compile(r"(?:[^\s@,:]+@)?(?P<host>[^\s@,:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


def is_host_name(text: str) -> bool:
    """Whether a host can be called so: in messages, in names of folders, on the network."""
    return bool(_HOST.fullmatch(text))


class Host:
    """The keys of one host while they are read.

    Parameters
    ----------
    own
        What the file says of this host.
    defaults
        What it says of all hosts; keys there that don't fit the launcher of this one are passed over.
    base
        Where relative paths of this machine start.
    many
        Whether the host's name stands for several, which can't have one address.
    """

    def __init__(self, own: Section, defaults: Section, base: Path, *, many: bool) -> None:
        self._own = own
        self._defaults = defaults
        self._base = base
        self._many = many

    def config(self, name: str) -> HostConfig | None:
        """The host with its values checked; None when its launcher is none. Problems are noted in the sections."""
        for key in KEYS:
            self._own.node(key)
        self._own.finish()
        launcher = self._choice("launcher", LAUNCHERS, "local", "is no launcher")
        config = HostConfig(
            name=name,
            launcher=launcher or "",
            clients=self._of("clients").integer("clients", least=1, most=MOST_CLIENTS) or 1,
            setup=self._of("setup").words("setup"),
            env=self._env(),
        )
        match launcher:
            case "local":
                return self._local(config)
            case "ssh":
                return self._ssh(config)
            case _:
                return None

    def _of(self, key: str) -> Section:
        return self._own if self._own.node(key) is not None else self._defaults

    # ---- launchers

    def _local(self, config: HostConfig) -> HostConfig:
        for key in SSH_KEYS:
            if self._own.node(key) is not None:
                self._own.note(key, "is for hosts with 'launcher: ssh', and this one is local: take it out")
        workdir = self._path_here("workdir")
        python = self._of("python").text("python")
        if _is_path(python):
            place = self._path_here("python")  # links stay links, as a venv's interpreter is one
            python = None if place is None else str(place.absolute())
        return msgspec.structs.replace(
            config, workdir=None if workdir is None else str(workdir.resolve()), python=python
        )

    def _ssh(self, config: HostConfig) -> HostConfig:
        python = self._of("python").text("python")
        return msgspec.structs.replace(
            config,
            workdir=self._path_there("workdir"),
            python=self._path_there("python") if _is_path(python) else python,
            address=self._address() or "",
            port=self._of("port").integer("port", least=1, most=65535),
            user=self._user(),
            jump=self._jump(),
            identity=self._file_here("identity"),
            known_hosts=self._file_here("known_hosts"),
            deploy=self._choice("deploy", ("venv", "none"), "venv", "is no way to deploy") or "venv",
            connect=self._choice("connect", ("forward", "direct"), "forward", "is no way to connect") or "forward",
        )

    # ---- values

    def _choice(self, key: str, known: tuple[str, ...], default: str, what: str) -> str | None:
        """One of the known words; the default when not set, None when it is another."""
        section = self._of(key)
        if section.node(key) is None:
            return default
        word = section.text(key)
        if word is not None and word not in known:
            section.note(key, f"'{word}' {what}; {did_you_mean(word, known)}")
        return word if word in known else None

    def _env(self) -> dict[str, str]:
        """The variables of the defaults, over them the host's own."""
        return _variables(self._defaults.section("env")) | _variables(self._own.section("env"))

    def _path_here(self, key: str) -> Path | None:
        return self._of(key).path(key, self._base)

    def _file_here(self, key: str) -> str | None:
        """The absolute path of a file of this machine that can be read."""
        place = self._path_here(key)
        if place is None:
            return None
        if why := why_unreadable(place):
            self._of(key).note(key, f"{place}: {why}")
        return str(place.absolute())

    def _path_there(self, key: str) -> str | None:
        """A path of the other machine as it is written; only that one knows whose home ``~`` is."""
        text = self._of(key).text(key)
        if text is not None and not text.startswith(("/", "~/")):
            self._of(key).note(key, f"'{text}' is no path of the other machine: begin it with / or ~/")
        return text

    def _address(self) -> str | None:
        section = self._of("address")
        text = section.text("address")
        if text is None:
            return None
        if why := _wrong_address(text):
            section.note("address", f"'{text}' {why}")
        elif self._many:
            section.note("address", "is one machine's, and this name stands for several: give each a line of its own")
        return text

    def _user(self) -> str | None:
        text = self._of("user").text("user")
        if text is not None and (text.startswith("-") or re.search(r"\s", text)):
            self._of("user").note("user", f"'{text}' is no user's name: no spaces, no '-' in front")
        return text

    def _jump(self) -> str | None:
        text = self._of("jump").text("jump")
        if text is not None and not all(_is_hop(hop) for hop in text.split(",")):
            self._of("jump").note("jump", f"'{text}' is no jump host: write [USER@]HOST[:PORT], several with commas")
        return text


def _is_path(python: str | None) -> bool:
    """Whether a program is named by its place; a bare name is left to PATH."""
    return python is not None and ("/" in python or python.startswith("~"))


def _variables(env: Section) -> dict[str, str]:
    found = {}
    for name, node in env:
        if isinstance(node.value, dict | tuple):
            env.note(name, "text is wanted")
        elif "=" in name or not name:
            env.note(name, "is no name for a variable")
        elif node.value is not None:
            found[name] = node.text
    return found


def _wrong_address(text: str) -> str:
    """What is wrong with the name or IP address of a machine; empty when nothing is."""
    if "@" in text:
        return "holds a user: it goes into 'user'"
    if "[" in text or "]" in text:
        return "holds brackets: an address has no range, and an IPv6 one is written without them"
    if ":" not in text:
        return "" if is_host_name(text) else "is no host name and no IP address"
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return "is no IPv6 address, and a port goes into 'port'"
    return ""


def _is_hop(text: str) -> bool:
    found = _HOP.fullmatch(text)
    return bool(found and found["host"][0] != "-" and (found["port"] is None or 0 < int(found["port"]) < 65536))
