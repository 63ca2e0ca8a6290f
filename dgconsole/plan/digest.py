"""What decides the output of a run, part by part, and one digest over all of it."""

import hashlib
import json
from collections.abc import Mapping

from dgconsole.catalog.description import VALUES_VERSION
from dgconsole.settings.frozen import pregenerated_files
from dgconsole.settings.structs import RunSettings


def plan_parts(settings: RunSettings) -> dict[str, str]:
    """Every part by name: files as ``kind/name`` with their SHA-256 (hex), numbers and words as text."""
    parts = {
        "name": settings.name,
        "ingest.kind": settings.ingest_kind,
        "seed": str(settings.seed),
        "visits": str(settings.visits),
        "objects": str(settings.objects),
        "version of the values": str(VALUES_VERSION),
        f"spec/{settings.spec.name}": _sha256(settings.spec.data),
    }
    if not settings.collect:
        parts["ingest.collect"] = "false"
        if settings.out_dir is not None:
            parts["ingest.outDir"] = settings.out_dir
    parts |= {f"partitioner/{file.name}": _sha256(file.data) for file in settings.partitioner_files}
    parts |= {f"ingest/{file.name}": _sha256(file.data) for file in settings.ingest_files}
    for path in pregenerated_files(settings):
        with path.open("rb") as stream:
            parts[f"pregenerated/{path.name}"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return parts


def digest_of(parts: Mapping[str, str]) -> str:
    """One SHA-256 (hex) over all parts, whatever their order."""
    return _sha256(json.dumps(sorted(parts.items())).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
