"""Section ``ingest`` of serverCfg.yml as far as it says where chunks go, and the secrets that it names."""

import getpass
import os
import re
from pathlib import Path

from dgconsole.settings.files import read_file
from dgconsole.settings.section import Section
from dgconsole.settings.structs import IngestTarget
from dgconsole.settings.suggest import did_you_mean
from dgconsole.settings.yamltree import decode
from dgconsole.support.errors import InputError

INGEST_KINDS = ("files", "qserv", "mysql")
TARGET_KEYS = ("kind", "host", "port", "user", "authKey", "dbName", "socket", "passwordFile", "engine")
PASSWORD = "ingest.password"  # noqa: S105 - the name of a secret
PASSWORD_VARIABLE = "DGCONSOLE_DB_PASSWORD"  # noqa: S105 - the name of a variable

_USE_FILES = "set 'ingest.kind: files' to get files in the run directory"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._$-]{0,62}")
_ENGINE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def read_target(section: Section, folder: Path) -> tuple[IngestTarget, dict[str, str]]:
    """The destination, and its secrets by dotted key; no message quotes one.

    Parameters
    ----------
    folder
        Where relative paths start: that of serverCfg.yml.
    """
    kind, host = section.text("kind"), section.text("host")
    database = _database(section)
    secrets = _auth_key(section)
    if kind == "mysql":
        return _mysql(section, host, database, folder), secrets | _password(section, folder)
    if kind is None:
        if host is not None:
            section.note("host", f"sending to a database is not built yet: {_USE_FILES}")
    elif kind not in INGEST_KINDS:
        section.note("kind", f"'{kind}' is no kind of destination; {did_you_mean(kind, INGEST_KINDS)}")
    elif kind != "files":
        section.note("kind", f"'{kind}' is not built yet: {_USE_FILES}")
    section.integer("port", least=1, most=65535)
    section.text("user")
    for key in ("socket", "passwordFile", "engine"):
        if section.node(key) is not None:
            section.note(key, "is for 'kind: mysql': take it out, or set the kind")
    return IngestTarget(kind="files", database=database or ""), secrets


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
    node = section.node("authKey")
    if node is None:
        return {}
    if not node.text:
        section.note("authKey", "must be one text")
    return {section.key("authKey"): node.text}


def _password(section: Section, folder: Path) -> dict[str, str]:
    """The first line of the file, else the environment's; without either the database asks for none."""
    path = section.path("passwordFile", folder)
    if path is None:
        given = os.environ.get(PASSWORD_VARIABLE, "")
        return {PASSWORD: given} if given else {}
    try:
        blame = (section.file, section.line_of("passwordFile"))
        lines = decode(read_file(path, key=section.key("passwordFile"), asked_by=blame)).splitlines()
    except InputError as exc:
        section.problems += exc.problems
        return {}
    if not lines or not lines[0]:
        section.note("passwordFile", f"{path} is empty: its first line is the password")
        return {}
    return {PASSWORD: lines[0]}
