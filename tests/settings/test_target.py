"""Where chunks go: the keys of section ``ingest`` that say it, and the secrets that they name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dgconsole.settings.frozen import frozen_files
from dgconsole.settings.server import load_settings
from dgconsole.settings.structs import IngestTarget, RunSettings

Complaints = Callable[..., list[str]]
Load = Callable[[str], RunSettings]

FILES = "  kind: files\n  dbName: skydb\n"


@pytest.fixture
def load(project: Path) -> Load:
    """Load serverCfg.yml with these lines as its section ``ingest``."""

    def load(lines: str) -> RunSettings:
        path = project / "serverCfg.yml"
        path.write_text(path.read_text().replace(FILES, lines))
        return load_settings(path)

    return load


@pytest.fixture
def refused(project: Path, complaints: Complaints) -> Callable[[str], list[str]]:
    return lambda lines: complaints((project / "serverCfg.yml").read_text().replace(FILES, lines))


def test_mysql_by_host(load: Load) -> None:
    settings = load("  {kind: mysql, host: db7, port: 3307, user: gen, dbName: skydb, engine: MyISAM}\n")
    assert settings.ingest_kind == "mysql"
    assert settings.target == IngestTarget(
        kind="mysql", host="db7", port=3307, user="gen", database="skydb", engine="MyISAM"
    )
    assert settings.secrets == {}


def test_mysql_by_socket_starts_at_the_folder_of_the_file(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody")
    settings = load("  {kind: mysql, socket: run/db.sock, dbName: skydb}\n")
    assert (settings.target.socket, settings.target.user) == (str(project / "run" / "db.sock"), "somebody")


def test_the_password_is_the_first_line_of_its_file_and_in_no_copy(load: Load, project: Path) -> None:
    (project / "secret.txt").write_text("pass word \nmore\n")
    settings = load("  {kind: mysql, host: db7, dbName: skydb, passwordFile: secret.txt}\n")
    assert settings.secrets == {"ingest.password": "pass word "}
    assert not any(b"pass word" in data for data in frozen_files(settings).values())
    assert "pass word" not in repr(settings.target)


def test_the_password_may_be_in_the_environment(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGCONSOLE_DB_PASSWORD", "s3cret")
    assert load("  {kind: mysql, host: db7, dbName: skydb}\n").secrets == {"ingest.password": "s3cret"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("  {kind: mysql, host: db7}\n", "ingest.kind: 'mysql' fills a database: name it, ingest.dbName"),
        ("  {kind: mysql, dbName: s}\n", "ingest.kind: say where the database is: set ingest.host or ingest.socket"),
        ("  {kind: mysql, dbName: s, host: a, socket: b}\n", "ingest.socket: one way to the database is enough: "),
        ("  {kind: mysql, dbName: s, socket: b, port: 1}\n", "ingest.port: a socket has no port: take it out"),
        ("  {kind: mysql, dbName: s, host: a, engine: 'A B'}\n", "ingest.engine: 'A B' is no storage engine"),
        ("  {kind: mysql, dbName: s, host: a, passwordFile: none}\n", "ingest.passwordFile: none: no such file"),
        ("  {kind: mysql, dbName: s, host: a, passwordFile: empty}\n", "ingest.passwordFile: empty is empty: "),
        ("  {kind: mysql, dbName: s, host: a, collect: false}\n", "ingest.collect: is for 'kind: files'"),
        ("  {kind: mysql, dbName: s, host: a, password: s3cret}\n", "ingest.password: unknown key; did you mean "),
        ("  {kind: files, socket: b}\n", "ingest.socket: is for 'kind: mysql': take it out, or set the kind"),
        ("  {kind: files, passwordFile: b}\n", "ingest.passwordFile: is for 'kind: mysql': take it out"),
    ],
)
def test_what_is_refused(refused: Callable[[str], list[str]], project: Path, lines: str, said: str) -> None:
    (project / "empty").write_text("\n")
    (line,) = refused(lines)
    assert line.startswith(f"serverCfg.yml:11: {said}")
    assert "s3cret" not in line


# ---- qserv


def test_a_host_without_a_kind_is_a_qserv_as_the_original_means_it(load: Load) -> None:
    settings = load("  {host: db1, port: 25080, authKey: s3cret, user: null, dbName: skydb}\n")
    assert settings.ingest_kind == "qserv"
    assert settings.target == IngestTarget(kind="qserv", host="db1", port=25080, database="skydb")
    assert settings.secrets == {"ingest.authKey": "s3cret"}


def test_all_that_can_be_said_of_a_qserv(load: Load) -> None:
    more = "publish: never, index: true, rowCounters: true, instance: sky, workerHosts: {w1: 10.0.0.7}"
    settings = load(f"  {{kind: qserv, host: db1, dbName: skydb, {more}}}\n")
    assert settings.target == IngestTarget(
        kind="qserv",
        host="db1",
        database="skydb",
        publish="never",
        index=True,
        row_counters=True,
        instance="sky",
        worker_hosts={"w1": "10.0.0.7"},
    )


def test_the_key_is_the_first_line_of_its_file_before_all_else_and_in_no_copy(
    load: Load, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGCONSOLE_AUTH_KEY", "of-the-environment")
    (project / "key.txt").write_text("s3cret\n")
    settings = load("  {host: db1, dbName: skydb, authKeyFile: key.txt}\n")
    assert settings.secrets == {"ingest.authKey": "s3cret"}
    assert not any(b"s3cret" in data for data in frozen_files(settings).values())


def test_the_key_may_be_in_the_environment(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGCONSOLE_AUTH_KEY", "s3cret")
    assert load("  {host: db1, dbName: skydb}\n").secrets == {"ingest.authKey": "s3cret"}


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("  {kind: qserv, dbName: s}\n", "ingest.kind: 'qserv' needs ingest.host, the host of its Replication "),
        ("  {host: db1}\n", "ingest.kind: 'qserv' fills a database: name it, ingest.dbName"),
        ("  {host: db1, dbName: s, publish: soon}\n", "ingest.publish: 'soon' is neither auto (when every target"),
        ("  {host: db1, dbName: s, index: maybe}\n", "ingest.index: 'maybe' is text; true or false is wanted"),
        ("  {host: db1, dbName: s, authKeyFile: none}\n", "ingest.authKeyFile: none: no such file"),
        ("  {host: db1, dbName: s, engine: Aria}\n", "ingest.engine: is for 'kind: mysql': take it out"),
        ("  {kind: files, publish: auto}\n", "ingest.publish: is for 'kind: qserv': take it out, or set the kind"),
        ("  {host: db1, dbName: s, workerHosts: {w: 1}}\n", "ingest.workerHosts.w: 1 is a number; plain text"),
    ],
)
def test_what_is_wrong_with_a_qserv(refused: Callable[[str], list[str]], lines: str, complaint: str) -> None:
    (line,) = refused(lines)
    assert line.split(": ", 1)[1].startswith(complaint)


def test_whatever_the_section_says_it_can_be_skipped(project: Path) -> None:
    path = project / "serverCfg.yml"
    lines = "  {kind: mysql, host: db7, passwordFile: not-there, dbName: skydb}\n"
    path.write_text(path.read_text().replace(FILES, lines))
    settings = load_settings(path, skip_ingest=True)
    assert (settings.ingest_kind, settings.name, settings.secrets) == ("files", "skydb", {})


def test_the_command_line_may_say_host_and_file_of_the_key(project: Path) -> None:
    (project / "key.txt").write_text("s3cret\n")
    path = project / "serverCfg.yml"
    path.write_text(path.read_text().replace(FILES, "  {dbName: skydb, authKey: in-the-file}\n"))
    given = {"ingest.host": "db9", "ingest.authKeyFile": str(project / "key.txt")}
    settings = load_settings(path, overrides=given)
    assert (settings.ingest_kind, settings.target.host) == ("qserv", "db9")
    assert settings.secrets == {"ingest.authKey": "s3cret"}
