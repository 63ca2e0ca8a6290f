"""From the bundle to a maker of chunks: the same plan as the console's, built from the same files."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.describe import describe
from dgconsole.catalog.spec import load_spec
from dgconsole.client.maker import ChunkMaker, TableJob, Writer
from dgconsole.client.meter import Meter
from dgconsole.client.orders import Planned
from dgconsole.client.workdir import Workdir
from dgconsole.ingest.collect import CollectDelivery, Stream
from dgconsole.ingest.destination import Delivery
from dgconsole.ingest.files import FilesDelivery
from dgconsole.ingest.keep import KeepDelivery, host_folder, owner_of
from dgconsole.partition.writer import ChunkTableWriter
from dgconsole.plan.bundle import read_bundle
from dgconsole.plan.make import make_plan
from dgconsole.plan.schema import database_schema
from dgconsole.plan.structs import BundleHeader, Plan, TablePlan
from dgconsole.settings.frozen import spec_folder
from dgconsole.settings.structs import PartitionerConfig, RunSettings
from dgconsole.settings.target import PASSWORD
from dgconsole.sky.tiling import Tiling, tiling_of
from dgconsole.support.errors import InputError


def set_up(
    workdir: Workdir,
    meter: Meter,
    warn: Callable[[str], None],
    stream: Stream | None,
    keep: str,
    secrets: Mapping[str, str],
) -> tuple[ChunkMaker, Planned]:
    """Read the bundle in the workdir, run the spec, make the plan, reach the destination.

    That is, of files: the console by ``stream``, the folder ``keep`` of this host, or the run directory; else the
    database, which may want to see ``secrets``.

    Raises
    ------
    InputError, PeerError
        The files do not make a plan here, or the bundle is not whole.
    ChunkError
        The destination cannot be reached.
    """
    settings, header = read_bundle(workdir.bundle)
    spec = load_spec(settings.spec, cwd=spec_folder(settings))
    plan = make_plan(settings, describe(spec))
    catalog = Catalog(
        spec,
        seed=settings.seed,
        visits=settings.visits,
        objects=settings.objects,
        types={table.name: {column.name: column.type for column in table.columns} for table in plan.tables},
        overlaps={table.name: table.overlap for table in plan.tables if table.role == "director"},
        pregenerated=Path(settings.pregenerated_dir) if settings.pregenerated_dir is not None else None,
        on_warning=warn,
    )
    if header.ingest_kind == "mysql":
        delivery = _mysql(settings, plan, workdir, meter, secrets)
    elif header.ingest_kind == "qserv":
        delivery = _qserv(settings, plan, workdir, meter, secrets, warn)
    else:
        delivery = _delivery(header, plan, workdir, stream, keep)
    delivery.prepare()
    jobs = [job for job in _jobs(settings, plan) if job.table in catalog.tables]
    maker = ChunkMaker(catalog, jobs, delivery, workdir, meter, keep_csv=header.keep_csv)
    folder = str(delivery.root) if isinstance(delivery, KeepDelivery) else ""
    return maker, Planned(plan.digest, plan.sky_digest, folder)


def _delivery(header: BundleHeader, plan: Plan, workdir: Workdir, stream: Stream | None, keep: str) -> Delivery:
    if header.ingest_kind != "files":
        raise InputError(f"this client delivers to files, not to {header.ingest_kind!r}")
    tables = [table.name for table in plan.tables if table.delivered]
    if stream is not None:
        return CollectDelivery(workdir.out, tables, stream)
    if keep:
        directors = [table.name for table in plan.tables if table.delivered and table.role == "director"]
        owner = owner_of(workdir.path)
        return KeepDelivery(host_folder(keep), owner, tables, directors=directors, run=plan.digest)
    return FilesDelivery(Path(header.out_dir), tables)


def _mysql(settings: RunSettings, plan: Plan, workdir: Workdir, meter: Meter, secrets: Mapping[str, str]) -> Delivery:
    from dgconsole.ingest.mysql.delivery import MySqlDelivery

    schema = database_schema(settings, plan)
    return MySqlDelivery(workdir.out, settings.target, schema, secrets.get(PASSWORD, ""), beat=meter.beat)


def _qserv(
    settings: RunSettings,
    plan: Plan,
    workdir: Workdir,
    meter: Meter,
    secrets: Mapping[str, str],
    say: Callable[[str], None],
) -> Delivery:
    from dgconsole.ingest.qserv.delivery import QservDelivery

    schema = database_schema(settings, plan)
    beat = meter.beat
    return QservDelivery(workdir.out, schema, settings.target, secrets, progress=lambda _: beat(), say=say)


def _jobs(settings: RunSettings, plan: Plan) -> list[TableJob]:
    tiling = tiling_of(plan.num_stripes, plan.num_sub_stripes)
    configs = {config.table: config for config in settings.partitioners}
    return [_job(table, configs.get(table.name), tiling) for table in plan.tables]


def _job(table: TablePlan, config: PartitionerConfig | None, tiling: Tiling) -> TableJob:
    if not table.delivered or config is None:
        return TableJob(table.name, overlap=False, writer=None)
    return TableJob(table.name, table.role == "director", partial(_writer, config, tiling))


def _writer(config: PartitionerConfig, tiling: Tiling, chunk: int, folder: Path, attempt: int) -> Writer:
    return ChunkTableWriter(config, tiling, chunk, folder, attempt)
