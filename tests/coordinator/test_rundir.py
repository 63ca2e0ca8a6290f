"""The run directory: whole or not at all, one console at a time, the same plan again or words."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from dgconsole.coordinator.rundir import file_system, open_or_create
from dgconsole.plan import Plan
from dgconsole.support.errors import InputError

FILES = {"fakeGenSpec.py": b"spec = {}\n", "fakePartitionerCfgs/Object.cfg": b"{}"}


def message(caught: pytest.ExceptionInfo[InputError]) -> str:
    return str(caught.value)


def test_a_new_one_has_frozen_copies_for_this_user_only(tmp_path: Path, plan: Plan) -> None:
    run = open_or_create(tmp_path / "runs" / "fakedb", plan, FILES)
    assert run.fresh
    for name, data in FILES.items():
        assert (run.plan / name).read_bytes() == data
        assert stat.S_IMODE((run.plan / name).stat().st_mode) == 0o600
    made = json.loads((run.plan / "plan.json").read_text())
    assert (made["name"], made["digest"], made["parts"]) == (plan.name, plan.digest, plan.parts)
    assert run.logs.is_dir()
    assert run.client_address == f"unix:{run.path}/client.sock"
    run.close()


def test_the_same_plan_again_is_a_resume(tmp_path: Path, plan: Plan) -> None:
    open_or_create(tmp_path / "run", plan, FILES).close()
    run = open_or_create(tmp_path / "run", plan, {"fakeGenSpec.py": b"other bytes, same digest"})
    assert not run.fresh
    assert (run.plan / "fakeGenSpec.py").read_bytes() == FILES["fakeGenSpec.py"]
    run.close()


def test_another_plan_is_refused_with_all_that_differs(tmp_path: Path, plan: Plan) -> None:
    open_or_create(tmp_path / "run", plan, FILES).close()
    parts = {"fakeGenSpec.py": "b" * 64, "seed": "2", "Source.cfg": "c" * 64}
    other = msgspec.structs.replace(plan, digest="0" * 64, parts=parts)
    with pytest.raises(InputError) as caught:
        open_or_create(tmp_path / "run", other, FILES)
    assert [problem.what for problem in caught.value.problems] == [
        "was started without Source.cfg",
        "was started with another fakeGenSpec.py",
        "was started with seed 1, now it is 2",
        "put back what has changed (copies are in plan/), or start another run with --run-dir",
    ]
    open_or_create(tmp_path / "run", plan, FILES).close()


_HOLDER = """
import sys
from pathlib import Path
import msgspec
from dgconsole.coordinator.rundir import open_or_create
from dgconsole.plan import Plan
run = open_or_create(Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Plan), {})
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_second_console_is_refused_and_told_who_has_it(tmp_path: Path, plan: Plan) -> None:
    arguments = [sys.executable, "-c", _HOLDER, str(tmp_path / "run"), msgspec.json.encode(plan).decode()]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match=f"in use by process {holder.pid};"):
            open_or_create(tmp_path / "run", plan, FILES)
        holder.kill()
        holder.communicate()
    open_or_create(tmp_path / "run", plan, FILES).close()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no run"):
        open_or_create(tmp_path, plan, FILES)
    with pytest.raises(InputError, match="is a file"):
        open_or_create(tmp_path / "precious.txt", plan, FILES)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_an_empty_folder_and_one_cut_short_are_filled(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "run" / "plan").mkdir(parents=True)
    (tmp_path / "run" / "plan" / "half.cfg").write_text("{")
    run = open_or_create(tmp_path / "run", plan, FILES)
    assert run.fresh
    run.close()


def test_nothing_is_left_of_one_that_could_not_be_made(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(ValueError, match="outside"):
        open_or_create(tmp_path / "run", plan, {"a": b"", "../../x": b""})
    with pytest.raises(InputError):
        open_or_create(tmp_path / "run", plan, {"a": b"", "a/b": b""})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Not a directory"):
        open_or_create(tmp_path / "file" / "run", plan, FILES)


def test_a_plan_that_cannot_be_read_is_refused(tmp_path: Path, plan: Plan) -> None:
    run = open_or_create(tmp_path / "run", plan, FILES)
    run.close()
    (run.plan / "plan.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        open_or_create(tmp_path / "run", plan, FILES)


MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
server:/a\\040b /mnt/a\\040b nfs rw 0 0
tmpfs /home/me/fast tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/me/run", "nfs4"), ("/home/me/fast/run", "tmpfs"), ("/mnt/a b/c", "nfs"), ("/homes", "ext4")],
)
def test_the_file_system_of_a_path(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind
    assert file_system(Path(path), "") == ""


def test_a_network_file_system_is_refused_before_anything_is_made(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(InputError, match=r"network file system \(nfs4\)"):
        open_or_create(tmp_path / "run", plan, FILES, mounts=f"server:/x {tmp_path.resolve()} nfs4 rw 0 0\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("runtime", [True, False])
def test_sockets_of_a_deep_run_directory_go_elsewhere(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch, runtime: bool
) -> None:
    if runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    else:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    run = open_or_create(tmp_path / ("deep" * 20) / ("er" * 40), plan, FILES)
    assert len(os.fsencode(run.control_socket)) <= 100
    assert stat.S_IMODE(run.sockets.stat().st_mode) == 0o700
    run.close()
    assert not run.sockets.exists()
