"""Section ``ingest`` of serverCfg.yml as far as it says where chunks go, and the secrets that it names."""

import getpass
import os
import re
from collections.abc import Sequence
from pathlib import Path

from dgconsole.settings.files import read_file
from dgconsole.settings.section import Section
from dgconsole.settings.structs import IngestTarget
from dgconsole.settings.suggest import did_you_mean
from dgconsole.settings.yamltree import decode
from dgconsole.support.errors import InputError

INGEST_KINDS = ("files", "qserv", "mysql")
MYSQL_KEYS = ("socket", "passwordFile", "engine")
QSERV_KEYS = ("authKeyFile", "publish", "index", "rowCounters", "instance", "workerHosts")
TARGET_KEYS = ("kind", "host", "port", "user", "authKey", "dbName", *MYSQL_KEYS, *QSERV_KEYS)
AUTH_KEY = "ingest.authKey"
AUTH_KEY_VARIABLE = "DGCONSOLE_AUTH_KEY"
PUBLISH = ("auto", "never")
PASSWORD = "ingest.password"  # noqa: S105 - the name of a secret
PASSWORD_VARIABLE = "DGCONSOLE_DB_PASSWORD"  # noqa: S105 - the name of a variable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._$-]{0,62}")
_ENGINE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def read_target(section: Section, folder: Path, *, skip: bool = False) -> tuple[IngestTarget, dict[str, str]]:
    """The destination, and its secrets by dotted key; no message quotes one.

    Parameters
    ----------
    folder
        Where relative paths start: that of serverCfg.yml.
    skip
        Files, whatever the section says.
    """
    kind, host = section.text("kind"), section.text("host")
    database = _database(section)
    if kind is not None and kind not in INGEST_KINDS:
        section.note("kind", f"'{kind}' is no kind of destination; {did_you_mean(kind, INGEST_KINDS)}")
    if skip:
        for key in TARGET_KEYS:
            section.node(key)
        return IngestTarget(kind="files", database=database or ""), {}
    if kind == "mysql":
        _only_for(section, "qserv", QSERV_KEYS)
        return _mysql(section, host, database, folder), _auth_key(section) | _password(section, folder)
    if kind == "qserv" or (kind is None and host is not None):
        _only_for(section, "mysql", MYSQL_KEYS)
        return _qserv(section, host, database), _auth_key(section) | _auth_key_of_file(section, folder)
    section.integer("port", least=1, most=65535)
    section.text("user")
    _only_for(section, "mysql", MYSQL_KEYS)
    _only_for(section, "qserv", QSERV_KEYS)
    return IngestTarget(kind="files", database=database or ""), _auth_key(section)


def _only_for(section: Section, kind: str, keys: Sequence[str]) -> None:
    for key in keys:
        if section.node(key) is not None:
            section.note(key, f"is for 'kind: {kind}': take it out, or set the kind")


def _qserv(section: Section, host: str | None, database: str | None) -> IngestTarget:
    section.text("user")
    publish = section.text("publish") or "auto"
    if host is None:
        section.note("kind", "'qserv' needs ingest.host, the host of its Replication Controller, or --ingest-host")
    if database is None and section.node("dbName") is None:
        section.note("kind", "'qserv' fills a database: name it, ingest.dbName")
    if publish not in PUBLISH:
        section.note("publish", f"'{publish}' is neither auto (when every target chunk is complete) nor never")
    hosts = section.section("workerHosts")
    return IngestTarget(
        kind="qserv",
        host=host,
        port=section.integer("port", least=1, most=65535),
        database=database or "",
        publish=publish,
        index=section.flag("index") is True,
        row_counters=section.flag("rowCounters") is True,
        instance=section.text("instance"),
        worker_hosts={name: hosts.text(name) or "" for name, _ in hosts},
    )


def _mysql(section: Section, host: str | None, database: str | None, folder: Path) -> IngestTarget:
    port = section.integer("port", least=1, most=65535)
    socket = section.path("socket", folder)
    engine = section.text("engine")
    if database is None and section.node("dbName") is None:
        section.note("kind", "'mysql' fills a database: name it, ingest.dbName")
    if (host is None) == (socket is None):
        what = "say where the database is" if host is None else "one way to the database is enough"
        section.note("kind" if host is None else "socket", f"{what}: set ingest.host or ingest.socket")
    elif port is not None and socket is not None:
        section.note("port", "a socket has no port: take it out")
    if engine is not None and not _ENGINE.fullmatch(engine):
        section.note("engine", f"'{engine}' is no storage engine: Aria, MyISAM, InnoDB, ...")
        engine = None
    return IngestTarget(
        kind="mysql",
        host=host,
        port=port,
        socket=None if socket is None else str(socket.absolute()),
        user=section.text("user") or getpass.getuser(),
        database=database or "",
        engine=engine,
    )


def _database(section: Section) -> str | None:
    name = section.text("dbName")
    if name is not None and not _NAME.fullmatch(name):
        section.note("dbName", f"'{name}' can't name a database: use letters, digits, '_', '-', '.' and '$'")
    return name


def _auth_key(section: Section) -> dict[str, str]:
    """Of the file itself, as the original has it, else of the environment."""
    node = section.node("authKey")
    if node is None:
        given = os.environ.get(AUTH_KEY_VARIABLE, "")
        return {AUTH_KEY: given} if given else {}
    if not node.text:
        section.note("authKey", "must be one text")
    return {AUTH_KEY: node.text}


def _auth_key_of_file(section: Section, folder: Path) -> dict[str, str]:
    path = section.path("authKeyFile", folder)
    return {} if path is None else _first_line(section, "authKeyFile", path, AUTH_KEY, "the key")


def _password(section: Section, folder: Path) -> dict[str, str]:
    """The first line of the file, else the environment's; without either the database asks for none."""
    path = section.path("passwordFile", folder)
    if path is None:
        given = os.environ.get(PASSWORD_VARIABLE, "")
        return {PASSWORD: given} if given else {}
    return _first_line(section, "passwordFile", path, PASSWORD, "the password")


def _first_line(section: Section, key: str, path: Path, secret: str, what: str) -> dict[str, str]:
    try:
        blame = (section.file, section.line_of(key))
        lines = decode(read_file(path, key=section.key(key), asked_by=blame)).splitlines()
    except InputError as exc:
        section.problems += exc.problems
        return {}
    if not lines or not lines[0]:
        section.note(key, f"{path} is empty: its first line is {what}")
        return {}
    return {secret: lines[0]}
