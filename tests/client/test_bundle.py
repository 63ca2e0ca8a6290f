"""Bundle files are stored under plain names, whole, and once."""

from pathlib import Path

import pytest

from dgconsole.client.bundle import BundleStore, is_plain
from dgconsole.support.errors import PeerError
from dgconsole.wire.messages import BundleFile


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "bundle")


def test_a_file_in_pieces_is_stored_whole(store: BundleStore, tmp_path: Path) -> None:
    store.add(BundleFile("pregenerated", "visits.csv", b"1,2\n", False))
    store.add(BundleFile("pregenerated", "visits.csv", b"3,4\n", True))
    store.add(BundleFile("spec", "fakeGenSpec.py", b"", True))
    assert (tmp_path / "bundle/pregenerated/visits.csv").read_bytes() == b"1,2\n3,4\n"
    assert (tmp_path / "bundle/spec/fakeGenSpec.py").read_bytes() == b""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("spec", "../evil.py"),
        ("spec", "/etc/passwd"),
        ("spec", ".."),
        ("spec", ""),
        ("spec", "a\x00b"),
        ("spec", "n" * 256),
        ("../spec", "a.py"),
        ("", "a.py"),
    ],
)
def test_names_that_are_not_plain_are_refused(store: BundleStore, tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(PeerError, match="under the name"):
        store.add(BundleFile(kind, name, b"x", True))
    assert list(tmp_path.iterdir()) == []


def test_a_name_may_have_any_letters() -> None:
    assert is_plain("Objekt-übersicht (1).cfg")
    assert is_plain(".hidden")


def test_a_file_comes_once(store: BundleStore) -> None:
    store.add(BundleFile("spec", "a.py", b"x", True))
    with pytest.raises(PeerError, match="twice"):
        store.add(BundleFile("spec", "a.py", b"y", True))


def test_pieces_of_two_files_do_not_mix(store: BundleStore) -> None:
    store.add(BundleFile("spec", "a.py", b"x", False))
    with pytest.raises(PeerError, match="without its last piece"):
        store.add(BundleFile("spec", "b.py", b"y", True))
    store.close()
