"""The wheel of what runs here: valid, whole, and the same bytes from the same files."""

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import dgconsole
from dgconsole import __version__
from dgconsole.fleet.deploy.wheel import CONSTRAINTS, own_wheel, pack

INFO = f"dgconsole-{__version__}.dist-info"
PACKAGE = Path(dgconsole.__file__).parent


def test_the_same_files_give_the_same_wheel_whatever_their_times(tmp_path):
    first = own_wheel(tmp_path / "first")
    os.utime(PACKAGE / "__init__.py")
    second = own_wheel(tmp_path / "second")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
    assert first.path.name == f"dgconsole-{__version__}-py3-none-any.whl"
    assert first.version == __version__
    assert (3, 11) <= first.least_python <= sys.version_info[:2]
    assert set((tmp_path / "first").iterdir()) == {first.path, first.path.with_name(CONSTRAINTS)}


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(tmp_path):
    with zipfile.ZipFile(own_wheel(tmp_path).path) as archive:
        names = set(archive.namelist())
    here = {
        f"dgconsole/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix in (".py", ".tcss", ".sql")
    }
    assert names - here == {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")} | {
        f"{INFO}/licenses/LICENSE"
    }
    assert here <= names
    assert {Path(name).suffix for name in here} == {".py", ".tcss", ".sql"}


def test_metadata_names_what_pip_must_bring_and_no_tools_of_developers(tmp_path):
    with zipfile.ZipFile(own_wheel(tmp_path).path) as archive:
        metadata = archive.read(f"{INFO}/METADATA").decode()
        scripts = archive.read(f"{INFO}/entry_points.txt").decode()
    assert f"Version: {__version__}\n" in metadata
    assert "Requires-Dist: polars" in metadata
    assert "pytest" not in metadata
    assert "dgclient = dgconsole.cli:dgclient" in scripts


def test_an_installed_wheel_packs_itself_again_to_the_same_bytes(tmp_path):
    wheel = own_wheel(tmp_path)
    place = tmp_path / "place"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place)]
    subprocess.run([*pip, str(wheel.path)], check=True)
    (place / "dgconsole" / "stray.txt").write_text("not in RECORD")
    again = (
        "from pathlib import Path; from dgconsole.fleet.deploy.wheel import own_wheel; import dgconsole;"
        "print(dgconsole.__file__); print(own_wheel(Path('again')).sha256)"
    )
    environment = {**os.environ, "PYTHONPATH": str(place)}
    said = subprocess.run(
        [sys.executable, "-c", again], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    ).stdout.split()
    assert said == [str(place / "dgconsole" / "__init__.py"), wheel.sha256]
    (place / "dgconsole" / "cli.py").unlink()
    broken = subprocess.run(
        [sys.executable, "-c", again], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "has lost" in broken.stderr
    assert "cli.py. Install it again." in broken.stderr


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z,\"]{1,8})?\.py", fullmatch=True), st.binary(max_size=200)))
def test_record_names_every_file_with_its_hash_whatever_their_order(files):
    data = pack(files, "x-1.dist-info")
    assert data == pack(dict(reversed(files.items())), "x-1.dist-info")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(archive.read("x-1.dist-info/RECORD").decode()))}
        assert rows.pop("x-1.dist-info/RECORD") == ["", ""]
        assert rows.keys() == files.keys() == set(archive.namelist()) - {"x-1.dist-info/RECORD"}
        for name, (digest, size) in rows.items():
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert content == files[name]
            assert (digest, size) == (f"sha256={expected}", str(len(content)))
