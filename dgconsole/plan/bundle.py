"""The bundle: all that a client must have, packed by the console and read back by the client."""

from pathlib import Path

import msgspec

from dgconsole.plan.structs import BundleHeader, BundleItem, Plan
from dgconsole.settings.frozen import pregenerated_files
from dgconsole.settings.ingest import read_ingest_files
from dgconsole.settings.partitioner.config import load_partitioner
from dgconsole.settings.structs import RunSettings, TextFile
from dgconsole.support.errors import PeerError

HEADER = "plan.json"


def bundle_items(settings: RunSettings, plan: Plan, *, out_dir: str, keep_csv: bool) -> tuple[BundleItem, ...]:
    """The files of the bundle in the order in which they are sent: the spec first, the header last. No secrets."""
    header = BundleHeader(
        name=plan.name,
        seed=plan.seed,
        visits=plan.visits,
        objects=plan.objects,
        keep_csv=keep_csv,
        out_dir=out_dir,
        ingest_kind=settings.ingest_kind,
        plan_digest=plan.digest,
        sky_digest=plan.sky_digest,
        spec=settings.spec.name,
        collect=settings.collect,
        host_dir=settings.out_dir,
        target=settings.target,
    )
    return (
        BundleItem("spec", settings.spec.name, settings.spec.data),
        *(BundleItem("partitioner", file.name, file.data) for file in settings.partitioner_files),
        *(BundleItem("ingest", file.name, file.data) for file in settings.ingest_files),
        *(BundleItem("pregenerated", path.name, path.read_bytes()) for path in pregenerated_files(settings)),
        BundleItem("plan", HEADER, msgspec.json.encode(header)),
    )


def read_bundle(folder: Path) -> tuple[RunSettings, BundleHeader]:
    """The settings as the console has them, from a folder where each item is stored as ``kind/name``.

    A plan made from them has the console's digest. ``transaction_size`` and ``chunks`` stay with the console.

    Raises
    ------
    PeerError
        The bundle is not whole.
    InputError
        A file does not read.
    """
    try:
        header = msgspec.json.decode((folder / "plan" / HEADER).read_bytes(), type=BundleHeader)
        spec = _read(folder / "spec" / header.spec)
        partitioners = _read_all(folder / "partitioner")
        ingest_files = _read_all(folder / "ingest")
    except (OSError, msgspec.MsgspecError) as exc:
        raise PeerError(f"the bundle is not whole: {exc}") from exc
    ingest = read_ingest_files(ingest_files, database=None)
    pregenerated = folder / "pregenerated"
    settings = RunSettings(
        path=str(folder),
        name=header.name,
        seed=header.seed,
        visits=header.visits,
        objects=header.objects,
        transaction_size=1,
        chunks=None,
        server_port=None,
        spec=spec,
        partitioners=tuple(load_partitioner(file) for file in partitioners),
        partitioner_files=partitioners,
        ingest_kind=header.ingest_kind,
        ingest_tables=ingest.tables,
        ingest_database=ingest.database,
        ingest_files=ingest.files,
        pregenerated_dir=str(pregenerated.absolute()) if pregenerated.is_dir() else None,
        collect=header.collect,
        out_dir=header.host_dir,
        target=header.target,
    )
    return settings, header


def _read(path: Path) -> TextFile:
    return TextFile(path.name, str(path), path.read_bytes())


def _read_all(folder: Path) -> tuple[TextFile, ...]:
    """The files of one kind, in order of name, as the console lists them."""
    return tuple(_read(path) for path in sorted(folder.iterdir())) if folder.is_dir() else ()
