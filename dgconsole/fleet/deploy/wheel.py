"""The wheel of the dgconsole that runs here, packed from its files: the same files give the same bytes."""

import base64
import csv
import hashlib
import io
import re
import tempfile
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from msgspec import Struct

import dgconsole
from dgconsole import __version__
from dgconsole.fleet.deploy.versions import least_python, own_versions, pins
from dgconsole.support.errors import HostError

NAME = "dgconsole"
WHEEL = b"Wheel-Version: 1.0\nGenerator: dgconsole\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
KEPT_HEADERS = ("Metadata-Version", "Name", "Summary", "License-Expression", "Requires-Python", "Requires-Dist")
"""What pip needs to know; the long description and the extras of developers are left out."""
BEGINNING_OF_TIME = (1980, 1, 1, 0, 0, 0)


CONSTRAINTS = "constraints.txt"
"""The file beside the wheel that holds its pins, for whoever fills a wheel house."""


class Wheel(Struct, frozen=True):
    """A wheel file: where it is, its SHA-256 (hex), the version in it, the least (major, minor) Python it runs on.

    ``pins`` are the lines of a constraints file: what is installed with it comes in the console's own versions.
    """

    path: Path
    sha256: str
    version: str
    least_python: tuple[int, int]
    pins: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A name for what comes of it: another wheel or other pins have another."""
        return hashlib.sha256("\n".join((self.sha256, *self.pins)).encode()).hexdigest()[:16]


def own_wheel(folder: Path) -> Wheel:
    """Pack the running dgconsole into a wheel in ``folder`` (made if need be).

    An installed distribution is repacked from its RECORD, a checkout (editable install) from the package's folder.
    HostError when this dgconsole was never installed, or its installation has lost files.
    """
    distribution = _distribution()
    info = f"{NAME}-{__version__}.dist-info"
    headers = _headers(distribution)
    files = {f"{NAME}/{name}": data for name, data in _package_files(distribution).items()}
    licence = distribution.read_text("licenses/LICENSE")
    if licence is not None:
        files[f"{info}/licenses/LICENSE"] = licence.encode()
        headers.append(("License-File", "LICENSE"))
    files[f"{info}/METADATA"] = "".join(f"{key}: {value}\n" for key, value in headers).encode()
    files[f"{info}/WHEEL"] = WHEEL
    files[f"{info}/entry_points.txt"] = (distribution.read_text("entry_points.txt") or "").encode()
    data = pack(files, info)
    path = folder / f"{NAME}-{__version__}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)
    pinned = pins(own_versions())
    (folder / CONSTRAINTS).write_text("".join(f"{line}\n" for line in pinned))
    return Wheel(path, hashlib.sha256(data).hexdigest(), __version__, least_python(), pinned)


def pack(files: Mapping[str, bytes], info: str) -> bytes:
    """A wheel of ``files`` (name -> content) and their RECORD in the folder ``info``.

    The form is that of the binary distribution format: https://packaging.python.org/specifications/binary-distribution-format.
    Stored, not deflated: compressors differ from Python to Python, and the hash of a wheel must not.
    """
    names = sorted(files)
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    rows.writerows((name, f"sha256={_digest(files[name])}", len(files[name])) for name in names)
    rows.writerow((f"{info}/RECORD", "", ""))
    entries = [(name, files[name]) for name in names] + [(f"{info}/RECORD", record.getvalue().encode())]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries:
            entry = zipfile.ZipInfo(name, BEGINNING_OF_TIME)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _distribution() -> metadata.Distribution:
    """Ours; one that was installed goes before the build folder of a checkout."""
    found = sorted(metadata.distributions(name=NAME), key=lambda d: d.read_text("METADATA") is None)
    if not found:
        raise HostError(
            "this dgconsole was never installed, so there is no wheel of it for other hosts",
            "Install it (pip install -e .), or set deploy: none.",
            hopeless=True,
        )
    return found[0]


def _headers(distribution: metadata.Distribution) -> list[tuple[str, str]]:
    message = distribution.metadata
    headers = [
        (key, value)
        for key in KEPT_HEADERS
        for value in message.get_all(key, [])
        if not (key == "Requires-Dist" and re.search(r";.*\bextra\b", value))
    ]
    headers.insert(2, ("Version", __version__))
    return headers


def _package_files(distribution: metadata.Distribution) -> dict[str, bytes]:
    """Content by path within the package; nothing that is compiled or hidden."""
    root = Path(dgconsole.__file__).parent
    recorded = _recorded(distribution, root)
    paths = root.rglob("*") if recorded is None else recorded
    names = {path.relative_to(root): path for path in paths}
    kept = {
        name.as_posix(): path
        for name, path in names.items()
        if not any(part.startswith((".", "__pycache__")) for part in name.parts) and name.suffix != ".pyc"
    }
    try:
        return {name: path.read_bytes() for name, path in kept.items() if recorded is not None or path.is_file()}
    except FileNotFoundError as error:
        raise HostError(
            f"the installation of dgconsole here has lost {error.filename}", "Install it again.", hopeless=True
        ) from error


def _recorded(distribution: metadata.Distribution, root: Path) -> list[Path] | None:
    """The package's files that RECORD lists; None when what runs here is not what RECORD speaks of."""
    files = [Path(str(distribution.locate_file(file))) for file in distribution.files or ()]
    ours = [file for file in files if root in file.parents]
    return ours if root / "__init__.py" in ours else None


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
