"""hosts.yml: which hosts take part, with how many clients, and where they work."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from dgconsole.settings.files import read_file
from dgconsole.settings.section import Section
from dgconsole.settings.structs import HostConfig
from dgconsole.settings.suggest import did_you_mean
from dgconsole.settings.yamltree import Node, parse_yaml
from dgconsole.support.errors import InputError, Problem

LAUNCHERS = ("local", "ssh")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_MOST_CLIENTS = 10_000


def load_hosts(path: Path) -> tuple[HostConfig, ...]:
    """Read hosts.yml: the hosts in the order of the file, defaults applied.

    A relative ``workdir`` or ``python`` with a slash becomes absolute: relative to the file, ``~`` expanded.

    Raises
    ------
    InputError
        Every problem of the file: unknown keys, wrong types, names that can't be used, launchers that are not
        built yet, clients that would share a working directory.
    """
    file = read_file(path)
    problems: list[Problem] = []
    top = Section(parse_yaml(file), file.path, problems)
    defaults, hosts = top.section("defaults"), top.section("hosts")
    top.finish()
    if _Host(defaults, None, path.parent).config("defaults") is not None:
        defaults.finish()
    found = [_host(name, node, hosts, defaults, path.parent) for name, node in hosts]
    if not found and not problems:
        top.note("hosts", "names no host: add one, as in 'hosts: {here: {}}'")
    configs = [config for config in found if config is not None]
    problems += _shared_workdirs(configs, hosts)
    InputError.raise_if(dict.fromkeys(problems))
    return tuple(configs)


class _Host:
    """The keys of one host, each taken from the host or, where it has none, from the defaults."""

    def __init__(self, own: Section, defaults: Section | None, base: Path) -> None:
        self._own = own
        self._defaults = defaults
        self._base = base

    def _of(self, key: str) -> Section:
        own = self._own.node(key)
        return self._own if own is not None or self._defaults is None else self._defaults

    def config(self, name: str) -> HostConfig | None:
        """The host with its values checked; None when it can't be started as it is."""
        launcher = self._of("launcher").text("launcher") or "local"
        if not self._launcher_is_usable(launcher):
            return None
        return HostConfig(
            name=name,
            launcher=launcher,
            clients=self._of("clients").integer("clients", least=1, most=_MOST_CLIENTS) or 1,
            workdir=self._workdir(),
            python=self._python(),
            setup=self._of("setup").words("setup"),
            env=self._env(),
        )

    def _launcher_is_usable(self, launcher: str) -> bool:
        if launcher == "local":
            return True
        if launcher == "ssh":
            what = "hosts over SSH are not built yet: use 'launcher: local'"
        else:
            what = f"'{launcher}' is no launcher; {did_you_mean(launcher, LAUNCHERS)}"
        self._of("launcher").note("launcher", what)
        return False

    def _workdir(self) -> str | None:
        place = self._of("workdir").path("workdir", self._base)
        return None if place is None else str(place.resolve())

    def _python(self) -> str | None:
        """A bare name is left to PATH; links stay links, as a venv's interpreter is one."""
        section = self._of("python")
        text = section.text("python")
        if text is None or not ("/" in text or text.startswith("~")):
            return text
        place = section.path("python", self._base)
        return None if place is None else str(place.absolute())

    def _env(self) -> dict[str, str]:
        """The variables of the defaults, over them the host's own."""
        merged: dict[str, str] = {}
        for section in (self._defaults, self._own):
            if section is not None:
                merged |= _variables(section.section("env"))
        return merged


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


def _host(name: str, node: Node, hosts: Section, defaults: Section, base: Path) -> HostConfig | None:
    own = Section(node, hosts.file, hosts.problems, hosts.key(name))
    if "[" in name:
        hosts.note(name, "ranges of hosts are not built yet: write each host on a line of its own")
        return None
    if not _NAME.fullmatch(name):
        hosts.note(
            name, "a host's name is letters, digits, '.', '-' and '_', and begins and ends with a letter or digit"
        )
    config = _Host(own, defaults, base).config(name)
    if config is not None:
        own.finish()
    return config


def _shared_workdirs(configs: Sequence[HostConfig], hosts: Section) -> Iterator[Problem]:
    """Clients whose working directories are one, or lie one within another (a client clears its own).

    Letter case is left out of the comparison, as some file systems leave it out.
    """
    places = [(config, f"{config.name}-{n}") for config in configs for n in range(1, config.clients + 1)]
    taken = {_place(config, client): client for config, client in places}
    blamed = set()
    for config, client in places:
        own = _place(config, client)
        other = next((taken[place] for place in (own, *own.parents) if taken.get(place, client) != client), None)
        if other is not None and config.name not in blamed:
            blamed.add(config.name)
            what = f"client {client} would work in the workdir of client {other}: give one of the hosts another"
            yield Problem(what, hosts.file, hosts.line_of(config.name), hosts.key(config.name))


def _place(config: HostConfig, client: str) -> PurePath:
    """A client's working directory in a form that compares; without ``workdir`` beside all that a file can name."""
    return PurePath(config.workdir.casefold() if config.workdir else "work", client.casefold())
