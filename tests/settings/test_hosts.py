"""hosts.yml: hosts with the defaults applied, and every way to get it wrong."""

from pathlib import Path

import pytest

from dgconsole.settings.hosts import load_hosts, more_hosts
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
        (
            "hosts: {a: {workdir: /w, launcher: ssh}, b: {address: A, workdir: /w/x/../a-1/, launcher: ssh}}",
            "hosts.yml:1: hosts.b: client b-1 would work in the workdir of client a-1",
        ),
        (
            "hosts: {a: {launcher: ssh}, A: {launcher: ssh}}",
            "hosts.yml:1: hosts.a: client a-1 would work in the work",
        ),
        (
            "hosts: {a: {address: x, launcher: ssh}, 'b[1-3],A': {launcher: ssh, workdir: ~/.dgconsole/run/a-1}, "
            "c: {address: x, launcher: ssh, workdir: ~/.dgconsole/run/a-1}}",
            "hosts.yml:1: hosts.c: client c-1 would work in the workdir of client a-1",
        ),
        ('hosts: {"db[01-24": {}}', "hosts.yml:1: hosts.db[01-24: has a bracket without its other half: write as in"),
        ('hosts: {"db[24-01]": {}}', "hosts.yml:1: hosts.db[24-01]: '24-01' runs backwards: write 01-24"),
        ('hosts: {"db[1-9]_": {}}', "hosts.yml:1: hosts.db[1-9]_: a host's name is letters, digits"),
        (
            'hosts: {"db[1-9]": {clints: 2}}',
            "hosts.yml:1: hosts.db[1-9].clints: unknown key; did you mean 'clients'?",
        ),
        (
            'hosts: {"db[1-3]": {},\n "db[2-4]": {}}',
            "hosts.yml:2: hosts.db[2-4]: host 'db2' is named already, on line 1 by 'db[1-3]': keep one",
        ),
        (
            'hosts: {db2: {}, "db[2-4]": {}}',
            "hosts.yml:1: hosts.db[2-4]: host 'db2' is named already, on line 1: keep",
        ),
        ('hosts: {"db[1-101]": {clients: 100}}', "hosts.yml:1: hosts: 10100 clients in all: 10000 at most"),
    ],
)
def test_one_mistake_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    found = refusal(tmp_path, text)
    assert [line[: len(complaint)] for line in found] == [complaint]


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ("port: 0", "port: 0 is out of range: give a number from 1 to 65535"),
        ("port: ssh", "port: 'ssh' is text; a whole number is wanted"),
        ("user: 1000", "user: 1000 is a number; plain text is wanted (put it into quotes)"),
        ("user: a b", "user: 'a b' is no user's name"),
        ("user: -oProxyCommand=x", "user: '-oProxyCommand=x' is no user's name"),
        ("address: me@x", "address: 'me@x' holds a user: it goes into 'user'"),
        ("address: 'x:22'", "address: 'x:22' is no IPv6 address, and a port goes into 'port'"),
        ("address: 'x[1-3]'", "address: 'x[1-3]' holds brackets: an address has no range"),
        ("address: -x", "address: '-x' is no host name and no IP address"),
        ("jump: 'a,,b'", "jump: 'a,,b' is no jump host: write [USER@]HOST[:PORT], several with commas"),
        ("jump: 'a:0'", "jump: 'a:0' is no jump host"),
        ("jump: ssh://a", "jump: 'ssh://a' is no jump host"),
        ("jump: -x", "jump: '-x' is no jump host"),
        ("identity: nix", "identity: nix: no such file or folder"),
        ("identity: .", "identity: is a folder, a file is wanted"),
        ("known_hosts: none", "known_hosts: none: no such file or folder"),
        ("deploy: vnev", "deploy: 'vnev' is no way to deploy; did you mean 'venv'?"),
        ("deploy: no", "deploy: 'no' is a yes/no value; plain text is wanted"),
        ("connect: directly", "connect: 'directly' is no way to connect; did you mean 'direct'?"),
        ("workdir: scratch", "workdir: 'scratch' is no path of the other machine: begin it with / or ~/"),
        ("workdir: ~me/x", "workdir: '~me/x' is no path of the other machine"),
        ("python: bin/python", "python: 'bin/python' is no path of the other machine"),
        ("usr: me", "usr: unknown key; did you mean 'user'?"),
    ],
)
@pytest.mark.parametrize("place", ["hosts.db1", "defaults"])
def test_mistakes_of_a_host_over_ssh(tmp_path: Path, keys: str, complaint: str, place: str) -> None:
    if place == "defaults":
        text = f"defaults: {{launcher: ssh, {keys}}}\nhosts: {{'db[1-9]': {{}}, db10: {{}}}}\n"
        if keys.startswith("address"):
            text = text.replace("'db[1-9]': {}, ", "")
    else:
        text = f"hosts: {{db1: {{launcher: ssh, {keys}}}}}\n"
    (line,) = refusal(tmp_path, text)
    assert line.replace(f"{tmp_path}: ", "").startswith(f"hosts.yml:1: {place}.{complaint}")


@pytest.mark.parametrize("key", ["address: x", "port: 22", "user: x", "jump: x", "deploy: none", "connect: direct"])
def test_keys_for_ssh_are_refused_for_local_hosts(tmp_path: Path, key: str) -> None:
    name = key.partition(":")[0]
    assert refusal(tmp_path, f"hosts: {{here: {{{key}}}}}\n") == [
        f"hosts.yml:1: hosts.here.{name}: is for hosts with 'launcher: ssh', and this one is local: take it out"
    ]
    assert refusal(tmp_path, f"defaults: {{{key}}}\nhosts: {{here: {{}}}}\n") == [
        f"hosts.yml:1: defaults.{name}: is for hosts with 'launcher: ssh', and there is none: take it out"
    ]


def test_local_hosts_pass_over_defaults_for_ssh(tmp_path: Path) -> None:
    text = "defaults: {user: gen, connect: direct}\nhosts: {here: {}, there: {launcher: ssh}}\n"
    here, there = load(tmp_path, text)
    assert here == HostConfig(name="here")
    assert there == HostConfig(name="there", launcher="ssh", user="gen", connect="direct")


def test_a_host_over_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").touch()
    (tmp_path / "known").touch()
    text = """\
defaults: {launcher: ssh, user: gen, known_hosts: known, workdir: /scratch/dg}
hosts:
  a:
  b: {address: 10.0.0.7, port: 2201, user: me, clients: 8, jump: "gen@gate:2222,inner,[fe80::1]:22", identity: ~/key,
      deploy: none, connect: direct, workdir: ~/dg, python: ~/venv/bin/python, setup: [". loadLSST.bash"],
      env: {A: 1}}
  c: {address: "fe80::1", python: python3.11}
"""
    known = str(tmp_path / "known")
    a, b, c = load(tmp_path, text)
    assert a == HostConfig(name="a", launcher="ssh", user="gen", known_hosts=known, workdir="/scratch/dg")
    assert b == HostConfig(
        name="b",
        launcher="ssh",
        clients=8,
        workdir="~/dg",
        python="~/venv/bin/python",
        setup=(". loadLSST.bash",),
        env={"A": "1"},
        address="10.0.0.7",
        port=2201,
        user="me",
        jump="gen@gate:2222,inner,[fe80::1]:22",
        identity=str(tmp_path / "home" / "key"),
        known_hosts=known,
        deploy="none",
        connect="direct",
    )
    assert (c.address, c.python, c.deploy, c.connect) == ("fe80::1", "python3.11", "venv", "forward")


def test_ranges_stand_for_hosts_with_the_same_keys(tmp_path: Path) -> None:
    text = """\
hosts:
  "db[08-10,30].example.org": {launcher: ssh, clients: 8}
  here: {}
  "r[1-2]c[1-2],x": {}
"""
    hosts = load(tmp_path, text)
    assert [host.name for host in hosts] == [
        *(f"db{n}.example.org" for n in ("08", "09", "10", "30")),
        *("here", "r1c1", "r1c2", "r2c1", "r2c2", "x"),
    ]
    assert {(host.launcher, host.clients) for host in hosts[:4]} == {("ssh", 8)}
    assert {(host.launcher, host.clients) for host in hosts[4:]} == {("local", 1)}


@pytest.mark.parametrize("key", ["defaults", "hosts.db[1-3]"])
def test_a_range_has_no_address(tmp_path: Path, key: str) -> None:
    own, defaults = ("", "address: x") if key == "defaults" else ("address: x", "")
    text = f"defaults: {{launcher: ssh, {defaults}}}\nhosts:\n  'db[1-3]': {{{own}}}\n"
    (line,) = refusal(tmp_path, text)
    assert f"{key}.address: is one machine's, and this name stands for several: give each a line" in line
    assert load(tmp_path, "hosts: {'db[1]': {launcher: ssh, address: x}}")[0].address == "x"


@pytest.mark.parametrize(
    "hosts",
    [
        "a: {workdir: ~/w}, b: {workdir: ~/w/a-1}",  # two machines
        "a: {address: x, user: me, workdir: ~/w}, b: {address: x, user: you, workdir: ~/w/a-1}",  # two homes
        "a: {address: x, workdir: /w}, b: {address: x, workdir: /w}",  # a folder each
        "a: {workdir: /w}, b: {launcher: local, workdir: /w/a-1}",
    ],
)
def test_hosts_that_share_no_folder(tmp_path: Path, hosts: str) -> None:
    assert len(load(tmp_path, f"defaults: {{launcher: ssh}}\nhosts: {{{hosts}}}\n")) == 2


def test_a_mistake_in_the_defaults_is_told_once(tmp_path: Path) -> None:
    text = "defaults: {launcher: sssh, clients: many}\nhosts: {a: {}, b: {}, c: {launcher: local, clients: 1}}\n"
    assert refusal(tmp_path, text) == [
        "hosts.yml:1: defaults.launcher: 'sssh' is no launcher; did you mean 'ssh'?",
        "hosts.yml:1: defaults.clients: 'many' is text; a whole number is wanted",
    ]


def test_all_problems_at_once(tmp_path: Path) -> None:
    text = "hosts:\n  a: {clients: 0}\n  b: {clints: 1}\n  c d: {}\n"
    assert [line.split(":")[1] for line in refusal(tmp_path, text)] == ["2", "3", "4"]


def test_clients_of_one_host_share_no_folder(tmp_path: Path) -> None:
    assert len(load(tmp_path, "hosts: {a: {clients: 3, workdir: w}, b: {clients: 3, workdir: w}}\n")) == 2


# ---- hosts that join later


def joined(
    folder: Path, entry: str, *, file: str = "", present: tuple[HostConfig, ...] = ()
) -> tuple[HostConfig, ...]:
    (folder / "hosts.yml").write_text(file)
    return more_hosts(entry, folder / "hosts.yml", present)


DEFAULTS = "defaults: {launcher: ssh, clients: 8, user: gen}\nhosts: {db01: {}}\n"


@pytest.mark.parametrize(
    ("entry", "names", "clients"),
    [
        ("db07.example.org", ["db07.example.org"], 8),
        ("db[07-09]", ["db07", "db08", "db09"], 8),
        ('"db[07-08]": {clients: 4}', ["db07", "db08"], 4),
        ("db07: {clients: 4}", ["db07"], 4),
        ("db07:\n  clients: 4\n  user: gen\n", ["db07"], 4),
        ("{db07: {}, db08: {}}", ["db07", "db08"], 8),
        ("db07:", ["db07"], 8),
    ],
)
def test_hosts_join_with_the_defaults_of_the_file(tmp_path: Path, entry: str, names: list[str], clients: int) -> None:
    hosts = joined(tmp_path, entry, file=DEFAULTS)
    assert [host.name for host in hosts] == names
    assert {(host.launcher, host.user, host.clients) for host in hosts} == {("ssh", "gen", clients)}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("", "no host is named: write a name, or 'name: {clients: 4}'"),
        ("db07: {clints: 2}", "hosts.db07.clints: unknown key; did you mean 'clients'?"),
        ("db01", "hosts.db01: host 'db01' is in the run already"),
        ("'db[01-02]'", "hosts.db[01-02]: host 'db01' is in the run already"),
        ("db07: {clients: 9999}", "hosts: 10007 clients in all: 10000 at most"),
        ("db[09-07]", "hosts.db[09-07]: "),
        ("db07: [", "broken YAML: "),
        ("- db07", "hosts: is a list; wanted are keys with values"),
        ("a b", "hosts.a b: a host's name is letters, digits"),
        (
            "db07: {address: db01}\ndb08: {address: db01, workdir: ~/.dgconsole/run/db01-1}",
            "hosts.db08: client db08-1 would work in the workdir of client db01-1: give one of the hosts another",
        ),
    ],
)
def test_what_cannot_join_is_said(tmp_path: Path, entry: str, complaint: str) -> None:
    present = (HostConfig(name="db01", launcher="ssh", clients=8),)
    with pytest.raises(InputError) as caught:
        joined(tmp_path, entry, file="defaults: {launcher: ssh}", present=present)
    (problem,) = caught.value.problems
    assert str(problem).startswith(complaint)


def test_a_host_that_is_there_and_lies_within_a_new_one_s_place_is_not_blamed(tmp_path: Path) -> None:
    present = (HostConfig(name="inner", workdir=str(tmp_path / "w" / "outer-1")),)
    with pytest.raises(InputError, match=r"hosts\.outer: client inner-1 would work in the workdir of client outer-1"):
        joined(tmp_path, f"outer: {{workdir: {tmp_path}/w}}", present=present)


def test_defaults_that_are_wrong_by_now_are_told_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hosts\.yml:1: defaults\.clients: 0 is out of range"):
        joined(tmp_path, "db07", file="defaults: {clients: 0}\nhosts: {db01: {}}")
