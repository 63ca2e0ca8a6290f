"""hosts.yml: which hosts take part, with how many clients, and where they work."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import msgspec

from dgconsole.settings.files import read_file
from dgconsole.settings.host import MOST_CLIENTS, SSH_KEYS, Host, is_host_name
from dgconsole.settings.section import Section
from dgconsole.settings.structs import HostConfig, TextFile
from dgconsole.settings.yamltree import EMPTY, Node, parse_yaml
from dgconsole.support.errors import InputError, Problem
from dgconsole.support.ranges import expand


def load_hosts(path: Path) -> tuple[HostConfig, ...]:
    """Read hosts.yml: the hosts in the order of the file, ranges expanded, defaults applied.

    Paths of this machine become absolute: a relative one starts at the file's folder, ``~`` is expanded. Paths of
    a host reached by SSH stay as they are: absolute, or with ``~/`` in front.

    Raises
    ------
    InputError
        Every problem of the file: unknown keys, keys that don't fit the launcher, wrong types, names that can't be
        used or stand there twice, clients that would share a working directory.
    """
    file = read_file(path)
    problems: list[Problem] = []
    top = Section(parse_yaml(file), file.path, problems)
    defaults, hosts = top.section("defaults"), top.section("hosts")
    top.finish()
    _check_defaults(defaults, path.parent)
    found, written = _hosts(hosts, defaults, path.parent)
    if not found and not problems:
        top.note("hosts", "names no host: add one, as in 'hosts: {here: {}}'")
    if found and not problems:
        _check_use(defaults, found)
    clients = sum(config.clients for config in found.values())
    if clients > MOST_CLIENTS:
        top.note("hosts", f"{clients} clients in all: {MOST_CLIENTS} at most")
    else:
        problems += _shared_workdirs(found, written, hosts)
    InputError.raise_if(dict.fromkeys(problems))
    return tuple(found.values())


def more_hosts(entry: str, path: Path, present: Sequence[HostConfig]) -> tuple[HostConfig, ...]:
    """Hosts that are to join those that are there, as ``load_hosts`` would give them.

    Parameters
    ----------
    entry
        What would stand under ``hosts`` (``db07: {clients: 4}``), or a name or range alone.
    path
        hosts.yml, whose defaults are taken as they stand there now.
    present
        The hosts that are there.

    Raises
    ------
    InputError
        Every problem, also with the hosts that are there: names taken, working directories shared, too many clients.
    """
    file = read_file(path)
    problems: list[Problem] = []
    defaults = Section(parse_yaml(file), file.path, problems).section("defaults")
    _check_defaults(defaults, path.parent)
    hosts = Section(_entry(entry), "", problems, "hosts")
    found, written = _hosts(hosts, defaults, path.parent)
    for name in {config.name for config in present} & found.keys():
        hosts.note(written[name], f"host '{name}' is in the run already")
    if not found and not problems:
        problems.append(Problem("no host is named: write a name, or 'name: {clients: 4}'"))
    InputError.raise_if(dict.fromkeys(problems))
    everybody = {config.name: config for config in (*present, *found.values())}
    clients = sum(config.clients for config in everybody.values())
    if clients > MOST_CLIENTS:
        problems.append(Problem(f"{clients} clients in all: {MOST_CLIENTS} at most", key="hosts"))
    else:
        problems += _shared_workdirs(everybody, written, hosts)
    InputError.raise_if(dict.fromkeys(problems))
    return tuple(found.values())


def _entry(text: str) -> Node:
    """The text as the mapping of hosts that it is, or that a bare name stands for."""
    node = parse_yaml(TextFile("", "", text.encode()))
    if isinstance(node.value, str):
        return Node({node.text: EMPTY}, node.line)
    return node


def _check_defaults(defaults: Section, base: Path) -> None:
    """Tell what is wrong with the defaults by themselves; paths and what is for SSH show at the hosts."""
    ours = {key: node for key, node in defaults if key not in ("workdir", "python", *SSH_KEYS)}
    nothing = Section(EMPTY, defaults.file, defaults.problems, defaults.name)
    own = Section(Node(ours, defaults.line), defaults.file, defaults.problems, defaults.name)
    Host(own, nothing, base, many=False).config("defaults")


def _check_use(defaults: Section, found: Mapping[str, HostConfig]) -> None:
    """Refuse defaults that no host can take."""
    if any(config.launcher == "ssh" for config in found.values()):
        return
    for key in SSH_KEYS:
        if defaults.node(key) is not None:
            defaults.note(key, "is for hosts with 'launcher: ssh', and there is none: take it out")


def _hosts(hosts: Section, defaults: Section, base: Path) -> tuple[dict[str, HostConfig], dict[str, str]]:
    """The hosts that can be read, by name, and for each name how the file writes it."""
    found: dict[str, HostConfig] = {}
    written: dict[str, str] = {}
    for text, node in hosts:
        names = _names(text, hosts)
        own = Section(node, hosts.file, hosts.problems, hosts.key(text))
        config = Host(own, defaults, base, many=len(names) > 1).config(text)
        twice = next((name for name in names if name in written), None)
        if twice is not None:
            first = written[twice]
            where = f"line {hosts.line_of(first)}" + (f" by '{first}'" if first != twice else "")
            hosts.note(text, f"host '{twice}' is named already, on {where}: keep one")
        elif config is not None:
            written |= dict.fromkeys(names, text)
            found |= {name: msgspec.structs.replace(config, name=name) for name in names}
    return found, written


def _names(text: str, hosts: Section) -> tuple[str, ...]:
    """The names that a key stands for; none when it can't be read."""
    try:
        names = expand(text)
    except ValueError as exc:
        hosts.note(text, str(exc))
        return ()
    if all(map(is_host_name, names)):
        return names
    hosts.note(text, "a host's name is letters, digits, '.', '-' and '_', and begins and ends with a letter or digit")
    return ()


def _shared_workdirs(
    found: Mapping[str, HostConfig], written: Mapping[str, str], hosts: Section
) -> Iterator[Problem]:
    """Clients of one machine whose working directories are one, or lie one within another (a client clears its own).

    A host that is not ``written`` here is blamed for nothing. Letter case is left out of the comparison, as some file
    systems leave it out.
    """
    places = [(config, f"{config.name}-{n}") for config in found.values() for n in range(1, config.clients + 1)]
    taken = {_place(config, client): (client, config.name) for config, client in places}
    blamed = set()
    for config, client in places:
        own = _place(config, client)
        around = (taken[place] for place in (own, *own.parents) if place in taken)
        other, its_host = next((pair for pair in around if pair[0] != client), ("", ""))
        key = written.get(config.name) or written.get(its_host)
        if other and key is not None and key not in blamed:
            blamed.add(key)
            what = f"client {client} would work in the workdir of client {other}: give one of the hosts another"
            yield Problem(what, hosts.file, hosts.line_of(key), hosts.key(key))


def _place(config: HostConfig, client: str) -> PurePath:
    """A client's working directory in a form that compares; without ``workdir`` beside all that a file can name."""
    if config.launcher == "local":
        return PurePath(config.workdir.casefold() if config.workdir else "work", client.casefold())
    root = posixpath.normpath(config.workdir or "~/.dgconsole/run")
    start = f"~{config.user or ''}" if root.startswith("~") else "/"
    machine = f"{config.address or config.name}:{start}".casefold()
    return PurePath(machine.replace("/", "|"), root.lstrip("~/").casefold(), client.casefold())
