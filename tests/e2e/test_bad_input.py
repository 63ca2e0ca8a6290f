"""Bad input: status 2, one line for each mistake with file, line and key; nothing started, nothing made."""

import re
import shlex
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from dgconsole.plan.load import load_plan
from dgconsole.support.errors import InputError

pytestmark = pytest.mark.slow

Spoil = Callable[[Any], None]
OBJECT = "fakePartitionerCfgs/Object.cfg"
CHILD = "fakePartitionerCfgs/ForcedSource.cfg"


def edit(name: str, old: str, new: str) -> Spoil:
    return lambda project: project.edit(name, old, new)


def write(name: str, text: str) -> Spoil:
    return lambda project: project.write(name, text)


def remove(name: str) -> Spoil:
    return lambda project: (project.folder / name).unlink()


def rename(old: str, new: str) -> Spoil:
    return lambda project: (project.folder / old).rename(project.folder / new)


def at_the_end_of_the_spec(text: str) -> Spoil:
    """``text`` runs at the end of the spec."""
    return lambda project: project.write("fakeGenSpec.py", project.text("fakeGenSpec.py") + text)


def visits_from_a_file(project: Any) -> None:
    spec = project.text("fakeGenSpec.py")
    start = spec.index('    "CcdVisit": {')
    end = spec.index("    # One row for each object and each visit")
    project.write("fakeGenSpec.py", spec[:start] + NO_VISITS + spec[end:])
    project.write("serverCfg.yml", project.text("serverCfg.yml") + "pregenerated: {cfgDir: made}\n")


def copy(old: str, new: str) -> Spoil:
    return lambda project: project.write(new, project.text(old))


NO_VISITS = """\
    "CcdVisit": {
        "from_file": "visits.csv",
        "columns": "ccdVisitId,filterName,ra,decl",
    },
"""

CASES: dict[str, tuple[Spoil, list[str]]] = {
    "table with an underscore": (
        rename(OBJECT, "fakePartitionerCfgs/My_Object.cfg"),
        [r"fakePartitionerCfgs/My_Object\.cfg: table names have no underscore: rename the table 'My_Object'"],
    ),
    "unknown key": (
        edit("serverCfg.yml", "transaction_size:", "transactionSize:"),
        [r"serverCfg\.yml:8: fakeDataGenerator\.transactionSize: .*transaction_size"],
    ),
    "unknown key at the top": (
        edit("serverCfg.yml", "partitioner:", "partitoner:"),
        [r"serverCfg\.yml:11: partitoner: .*partitioner"],
    ),
    "unknown key of a host": (
        write("hosts.yml", "hosts:\n  here:\n    client: 3\n"),
        [r"hosts\.yml:3: hosts\.here\.client: .*clients"],
    ),
    "unknown key of a table file": (
        edit(OBJECT, '"num-stripes"', '"num-strips"'),
        [r"Object\.cfg:3: part\.num-strips: .*num-stripes"],
    ),
    "wrong type": (
        edit("serverCfg.yml", "seed: 1", "seed: one"),
        [r"serverCfg\.yml:7: fakeDataGenerator\.seed: .*one"],
    ),
    "wrong type of a host": (
        write("hosts.yml", "hosts:\n  here: {clients: many}\n"),
        [r"hosts\.yml:2: hosts\.here\.clients: .*many"],
    ),
    "wrong type in a table file": (
        edit(OBJECT, '"num-stripes": 200', '"num-stripes": "many"'),
        [r"Object\.cfg:3: part\.num-stripes: .*many"],
    ),
    "no hosts.yml": (remove("hosts.yml"), [r"hosts\.yml: "]),
    "no serverCfg.yml": (remove("serverCfg.yml"), [r"serverCfg\.yml: "]),
    "no spec": (remove("fakeGenSpec.py"), [r"fakeDataGenerator\.cfgFileName: .*fakeGenSpec\.py|fakeGenSpec\.py: "]),
    "no folder of table files": (
        edit("serverCfg.yml", "cfgDir: fakePartitionerCfgs", "cfgDir: elsewhere"),
        [r"partitioner\.cfgDir: .*elsewhere|elsewhere: "],
    ),
    "YAML that does not read": (
        edit("serverCfg.yml", "  kind: files", "  kind: [files"),
        [r"serverCfg\.yml:1[5-8]: "],
    ),
    "hosts.yml that does not read": (write("hosts.yml", "hosts: {here: {}\n"), [r"hosts\.yml:[12]: "]),
    "table file that does not read": (edit(CHILD, '"in": {', '"in": {{'), [r"ForcedSource\.cfg:\d+: "]),
    "spec that does not compile": (
        at_the_end_of_the_spec("spec = {\n"),
        [r"fakeGenSpec\.py:<last>: "],
    ),
    "spec that raises": (
        at_the_end_of_the_spec("1 / 0\n"),
        [r"fakeGenSpec\.py:<last>: .*ZeroDivisionError"],
    ),
    "spec that exits": (
        at_the_end_of_the_spec("import sys\nsys.exit(3)\n"),
        [r"fakeGenSpec\.py:<last>: .*exit"],
    ),
    "spec that ends its process": (
        at_the_end_of_the_spec("import os\nos._exit(0)\n"),
        [r"fakeGenSpec\.py:<last>: .*exit"],
    ),
    "tiling disagrees": (
        edit(OBJECT, '"num-stripes": 200', '"num-stripes": 100'),
        [r"Object\.cfg:3: part\.num-stripes: .*100.*200|Object\.cfg:3: part\.num-stripes: .*200.*100"],
    ),
    "overlap too wide": (
        edit(OBJECT, '"overlap": 0.01667', '"overlap": 20'),
        [r"Object\.cfg:6: part\.overlap: "],
    ),
    "table file for no table": (
        copy(CHILD, "fakePartitionerCfgs/Sourc.cfg"),
        [r"Sourc\.cfg: .*ForcedSource|Sourc\.cfg: "],
    ),
    "file of a visit table missing": (
        visits_from_a_file,
        [r"fakeGenSpec\.py:\d+: spec\.CcdVisit\.from_file: .*dgvisits -o .*visits\.csv"],
    ),
    "two clients in one workdir": (
        write("hosts.yml", "hosts:\n  a: {workdir: w}\n  a-1: {workdir: w/a-1, clients: 1}\n"),
        [r"hosts\.yml:3: hosts\.a-1: .*workdir"],
    ),
    "another destination": (
        edit("serverCfg.yml", "kind: files", "kind: qserf"),
        [r"serverCfg\.yml:15: ingest\.kind: .*qserf.*qserv"],
    ),
    "a host to ingest into": (
        edit("serverCfg.yml", "kind: files", "host: 127.0.0.1\n  port: 9\n  authKey: k"),
        [r"serverCfg\.yml:15: ingest\.host: Qserv: 127\.0\.0\.1:9 cannot be reached"],
    ),
    "a key for SSH of a local host": (
        write("hosts.yml", "hosts:\n  here: {user: gen}\n"),
        [r"hosts\.yml:2: hosts\.here\.user: .*launcher: ssh"],
    ),
    "range of hosts that runs backwards": (
        write("hosts.yml", 'hosts:\n  "db[24-01]": {}\n'),
        [r"hosts\.yml:2: hosts\.db\[24-01\]: .*01-24"],
    ),
    "one host twice": (
        write("hosts.yml", 'hosts:\n  "db[01-03]": {}\n  db02: {}\n'),
        [r"hosts\.yml:3: hosts\.db02: .*line 2"],
    ),
    "arguments that contradict": (
        edit("serverCfg.yml", "  seed: 1", "  seed: 1\n  visits: 3"),
        [r"serverCfg\.yml:\d: fakeDataGenerator\.(visits|arguments): "],
    ),
    "unknown arguments": (
        edit("serverCfg.yml", "--visits 30", "--vists 30"),
        [r"serverCfg\.yml:6: fakeDataGenerator\.arguments: .*--vists.*--visits"],
    ),
}


def assert_refused(project: Any, ended: Any, lines: list[str]) -> None:
    """Status 2, these lines and no other; nothing was begun."""
    assert ended.status == 2, ended
    assert ended.out == ""
    said = ended.err.splitlines()
    assert len(said) == len(lines), ended.err
    end = len(project.text("fakeGenSpec.py").splitlines()) if (project.folder / "fakeGenSpec.py").exists() else 0
    for text, pattern in zip(said, lines, strict=True):
        assert re.search(pattern.replace("<last>", str(end)), text), text
        assert len(text) < 300 + len(str(project.folder))
    assert not project.run_dir.exists()
    assert project.processes() == []


@pytest.mark.parametrize("case", CASES)
def test_one_mistake_one_line(project: Any, case: str) -> None:
    spoil, lines = CASES[case]
    before = {path.name for path in project.folder.iterdir()}
    spoil(project)
    assert_refused(project, project.run("57701"), lines)
    assert {path.name for path in project.folder.iterdir()} <= before | {"hosts.yml"}


def test_a_spec_that_never_returns(project: Any) -> None:
    """As the console reads it, but for the patience: the console has 30 s."""
    project.write("fakeGenSpec.py", project.text("fakeGenSpec.py") + "while True: pass\n")
    with pytest.raises(InputError) as caught:
        load_plan(project.folder / "serverCfg.yml", timeout=1.0)
    (line,) = str(caught.value).splitlines()
    last = len(project.text("fakeGenSpec.py").splitlines())
    assert re.search(rf"fakeGenSpec\.py:{last}: .*within 1 s", line)


def test_a_missing_visit_table_is_made_by_the_command_that_is_named(project: Any, command: Any) -> None:
    visits_from_a_file(project)
    told = re.search(r"'(mkdir .*dgvisits .*)'", project.run("57701").err)
    assert told is not None
    script = told[1].replace("dgvisits", f"{shlex.join(command('dgvisits'))} -n 300000")
    subprocess.run(["bash", "-c", script], cwd=project.folder, check=True, capture_output=True)
    ended = project.run("57701")
    assert ended.status == 0, ended
    project.assert_whole([57701])


def test_all_mistakes_of_all_files_at_once(project: Any) -> None:
    project.write("hosts.yml", "hosts:\n  here: {client: 2}\n")
    project.edit("serverCfg.yml", "transaction_size:", "transactionsize:")
    project.edit(OBJECT, '"sub-chunk"', '"subchunk"')
    project.write("fakePartitionerCfgs/Other_One.cfg", "{}")
    project.write("fakeGenSpec.py", project.text("fakeGenSpec.py") + "nonsense\n")
    ended = project.run("57701")
    assert_refused(project, ended, [""] * 5)
    for words in ("hosts.yml:2", "serverCfg.yml:8", "Object.cfg:9", "Other_One.cfg", "fakeGenSpec.py:"):
        assert words in ended.err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0:99999999", r"^--chunks: '0:99999999' .*79600"),
        ("9:3", r"^--chunks: '9:3' .*3:9"),
        ("banana", r"^--chunks: 'banana' "),
        ("", r"^--chunks: '' "),
        (" , ", r"^--chunks: ' , ' "),
        ("1", r"^--chunks: '1' is no chunk"),
        ("-5", r"^--chunks: '-5' "),
        ("1:399", r"^--chunks: '1:399' "),
        ("@missing", r"missing: --chunks: no such file"),
    ],
)
def test_chunks_that_name_none(project: Any, text: str, line: str) -> None:
    ended = project.start("dgconsole", "hosts.yml", "--headless", "--run-dir", "run", f"--chunks={text}").end()
    assert_refused(project, ended, [line])


def test_a_file_of_chunks_with_mistakes(project: Any) -> None:
    project.write("ids", "57701\nbanana\n79601:79602\n")
    assert_refused(project, project.run("@ids"), [r"ids:2: 'banana'", r"ids:3: '79601:79602' .*79600"])


def test_an_empty_file_of_chunks(project: Any) -> None:
    project.write("ids", "\n")
    assert_refused(project, project.run("@ids"), [r"ids: .*names no chunk|ids.*names no chunk"])


def test_a_file_of_chunks(project: Any) -> None:
    """As the original's .clg: ids and inclusive ranges; what lies between two chunks is counted."""
    project.write("ids", "0:400\n57701\n")
    ended = project.run("@ids")
    assert ended.status == 0, ended
    assert sorted(project.states()) == [0, 400, 57701]
    assert "399 numbers inside the ranges are no chunks" in (project.run_dir / "logs" / "console.log").read_text()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--max-attempts", "0"], r"^--max-attempts '0'"),
        (["--max-attempts", "few"], r"^--max-attempts 'few'"),
        (["--chunks-per-request", "-1"], r"^--chunks-per-request '-1'"),
        (["--chunks-per-request=1.5"], r"^--chunks-per-request '1.5'"),
        (["--headles"], r"--headles"),
        (["--config", "nowhere.yml"], r"nowhere\.yml: "),
        (["--config"], r"--config"),
        (["--run-dir", "hosts.yml"], r"hosts\.yml: is a file, not a run directory"),
        (["--run-dir", "fakePartitionerCfgs"], r"fakePartitionerCfgs: is not empty and holds no run"),
        (["--run-dir", "/proc/nowhere"], r"/proc/nowhere: cannot be used"),
        (["--report", "no/such/folder.csv"], r"no/such/folder\.csv"),
        (["another.yml"], r"another\.yml"),
    ],
)
def test_options(project: Any, options: list[str], line: str) -> None:
    arguments = ["hosts.yml", "--headless", "--chunks", "57701", "--run-dir", "run"]
    assert_refused(project, project.start("dgconsole", *arguments, *options).end(), [line])


def test_no_arguments_at_all(project: Any) -> None:
    ended = project.start("dgconsole").end()
    assert_refused(project, ended, [r"hosts\.yml"])
