"""hosts.yml: hosts with the defaults applied, and every way to get it wrong."""

from pathlib import Path

import pytest

from dgconsole.settings.hosts import load_hosts
from dgconsole.settings.structs import HostConfig
from dgconsole.support.errors import InputError


def load(folder: Path, text: str) -> tuple[HostConfig, ...]:
    (folder / "hosts.yml").write_text(text)
    return load_hosts(folder / "hosts.yml")


def refusal(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(folder, text)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_hosts_take_what_they_lack_from_the_defaults(tmp_path: Path) -> None:
    text = """\
defaults: {clients: 2, python: python3, setup: [". env.sh", module load x], env: {A: 1, B: yes}}
hosts:
  here:
  there: {clients: 8, workdir: scratch, python: bin/python, setup: ulimit -n 100, env: {B: no, C: ""}}
"""
    here, there = load(tmp_path, text)
    assert here == HostConfig(
        name="here", clients=2, python="python3", setup=(". env.sh", "module load x"), env={"A": "1", "B": "yes"}
    )
    assert there == HostConfig(
        name="there",
        clients=8,
        workdir=str(tmp_path / "scratch"),
        python=str(tmp_path / "bin" / "python"),
        setup=("ulimit -n 100",),
        env={"A": "1", "B": "no", "C": ""},
    )


def test_a_host_needs_no_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "hosts: {here: {}}\n") == (HostConfig(name="here"),)


def test_a_link_to_an_interpreter_stays_one(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to("/usr/bin/env")
    (host,) = load(tmp_path, "hosts: {here: {python: ./python}}\n")
    assert host.python == str(tmp_path / "python")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hosts: {here: {clints: 2}}", "hosts.yml:1: hosts.here.clints: unknown key; did you mean 'clients'?"),
        ("default: {}\nhosts: {here: {}}", "hosts.yml:1: default: unknown key; did you mean 'defaults'?"),
        ("defaults: {cleints: 2}\nhosts: {a: {}}", "hosts.yml:1: defaults.cleints: unknown key; did you mean 'clien"),
        (
            "hosts: {here: {clients: 0}}",
            "hosts.yml:1: hosts.here.clients: 0 is out of range: give a number from 1 to",
        ),
        ("hosts: {here: {clients: two}}", "hosts.yml:1: hosts.here.clients: 'two' is text; a whole number is wanted"),
        ("hosts: {here: {workdir: 5}}", "hosts.yml:1: hosts.here.workdir: 5 is a number; plain text is wanted (put"),
        ("hosts: {here: {env: {A: [1]}}}", "hosts.yml:1: hosts.here.env.A: text is wanted"),
        ("hosts: {here: {setup: [[x]]}}", "hosts.yml:1: hosts.here.setup: is a list; plain text is wanted"),
        ("hosts: [here]", "hosts.yml:1: hosts: is a list; wanted are keys with values"),
        ("hosts: {here: 3}", "hosts.yml:1: hosts.here: 3 is a number; wanted are keys with values"),
        ("hosts: {}", "hosts.yml:1: hosts: names no host: add one, as in"),
        ("# nothing", "hosts.yml: hosts: names no host: add one, as in"),
        ("hosts: {bad host: {}}", "hosts.yml:1: hosts.bad host: a host's name is letters, digits"),
        ("hosts: {-a: {}}", "hosts.yml:1: hosts.-a: a host's name is letters, digits"),
        ('hosts: {"db[01-24]": {launcher: ssh}}', "hosts.yml:1: hosts.db[01-24]: ranges of hosts are not built yet"),
        (
            "hosts: {db1: {launcher: ssh, user: me}}",
            "hosts.yml:1: hosts.db1.launcher: hosts over SSH are not built ye",
        ),
        (
            "hosts: {db1: {launcher: sssh}}",
            "hosts.yml:1: hosts.db1.launcher: 'sssh' is no launcher; did you mean 'ss",
        ),
        (
            "hosts: {a: {workdir: ~nobody-has-this/x}}",
            "hosts.yml:1: hosts.a.workdir: '~nobody-has-this/x' names a us",
        ),
        ("hosts: {here: {}, here: {}}", "hosts.yml:1: here: is given twice, first on line 1: keep one"),
        ("hosts: {here: {}, HERE: {}}", "hosts.yml:1: hosts.here: client here-1 would work in the workdir of client"),
        (
            "hosts: {a: {workdir: w}, b: {workdir: w/a-1}}",
            "hosts.yml:1: hosts.b: client b-1 would work in the workdi",
        ),
    ],
)
def test_one_mistake_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    found = refusal(tmp_path, text)
    assert [line[: len(complaint)] for line in found] == [complaint]


def test_a_mistake_in_the_defaults_is_told_once(tmp_path: Path) -> None:
    text = "defaults: {launcher: ssh, clients: many}\nhosts: {a: {}, b: {}, c: {launcher: local, clients: 1}}\n"
    assert refusal(tmp_path, text) == [
        "hosts.yml:1: defaults.launcher: hosts over SSH are not built yet: use 'launcher: local'"
    ]


def test_all_problems_at_once(tmp_path: Path) -> None:
    text = "hosts:\n  a: {clients: 0}\n  b: {clints: 1}\n  c d: {}\n"
    assert [line.split(":")[1] for line in refusal(tmp_path, text)] == ["2", "3", "4"]


def test_clients_of_one_host_share_no_folder(tmp_path: Path) -> None:
    assert len(load(tmp_path, "hosts: {a: {clients: 3, workdir: w}, b: {clients: 3, workdir: w}}\n")) == 2
