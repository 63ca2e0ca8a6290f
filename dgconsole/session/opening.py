"""From the command line to an open run directory: all input read and checked together, nothing started."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from dgconsole.coordinator.rundir import RunDir, open_or_create
from dgconsole.fleet.wiring import Timing
from dgconsole.plan import Plan, Targets, configured_targets, resolve_targets
from dgconsole.plan.load import load_plan
from dgconsole.session.destinations import check_destination, replacing
from dgconsole.settings.frozen import frozen_files
from dgconsole.settings.structs import HostConfig, RunSettings
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.errors import InputError, Problem


class SessionOptions(Struct, frozen=True, kw_only=True):
    """What the command line says, and time limits (in seconds) that tests make small."""

    hosts_file: Path | None = None
    """hosts.yml, whose defaults hold for hosts that join later."""
    run_dir: Path | None = None
    chunks: str | None = None
    report: Path | None = None
    max_attempts: int = 3
    chunks_per_request: int = 5
    keep_csv: bool = False
    headless: bool = False
    timing: Timing = Timing()
    heartbeat: float = 5.0
    lease: float = 30.0
    stall_timeout: float = 600.0
    retry_wait: float = 1.0
    replace: bool = False
    """Fill a database that another plan has filled before, once what is there is dropped."""
    skip_ingest: bool = False
    """Chunks become files, whatever serverCfg.yml says."""
    skip_schema: bool = False
    """Make no database and no table: they must be there."""
    ingest_host: str | None = None
    auth_key_file: Path | None = None
    """Both stand in for the keys of serverCfg.yml."""


class Given(Struct, frozen=True):
    """All input, read and checked."""

    settings: RunSettings
    plan: Plan
    targets: Targets


class Prepared(Given, frozen=True):
    """And the run directory, open and locked."""

    run_dir: RunDir


def read_input(config: Path, hosts: Sequence[HostConfig], options: SessionOptions) -> Given:
    """Read and check all files; nothing is made yet. Blocks.

    Raises
    ------
    InputError
        All that is wrong.
    """
    problems = bad_options(options)
    try:
        settings, plan = load_plan(config, overrides=_overrides(options), skip_ingest=options.skip_ingest)
        problems += _unheard(options, settings)
        settings = replacing(settings) if options.replace else settings
        if options.skip_schema:
            settings = replace(settings, target=replace(settings.target, schema=False))
        problems += misfits(hosts, settings)
        targets = _targets(settings, plan, options.chunks)
    except InputError as error:
        raise InputError(*error.problems, *problems) from error
    InputError.raise_if(problems)
    return Given(settings, plan, targets)


def open_run(given: Given, options: SessionOptions) -> Prepared:
    """Try the destination of a new run, then open the run directory (default: ``runs/<name>``). Blocks.

    Raises
    ------
    InputError
        What has to be mended; no run directory has been made then.
    """
    settings, plan = given.settings, given.plan
    path = options.run_dir or Path("runs") / settings.name
    if not path.exists():
        check_destination(settings, plan)
    return Prepared(settings, plan, given.targets, open_or_create(path, plan, frozen_files(settings)))


def bad_options(options: SessionOptions) -> list[Problem]:
    """What is wrong with the command line, whatever the files say."""
    if options.report is None or options.report.absolute().parent.is_dir():
        return []
    return [Problem(f"{str(options.report)!r}: there is no such folder to write it in", key="--report")]


def _overrides(options: SessionOptions) -> dict[str, str]:
    """Keys of serverCfg.yml that the command line says instead."""
    given = {"ingest.host": options.ingest_host}
    if options.auth_key_file is not None:
        given["ingest.authKeyFile"] = str(options.auth_key_file.absolute())
    return {key: text for key, text in given.items() if text is not None}


def _unheard(options: SessionOptions, settings: RunSettings) -> list[Problem]:
    """A host that was named and is not gone to."""
    if options.ingest_host is None or options.skip_ingest or settings.target.host == options.ingest_host:
        return []
    what = f"serverCfg.yml has 'ingest.kind: {settings.ingest_kind}': set it to qserv, or take it out"
    return [Problem(what, settings.path, key="--ingest-host")]


def misfits(hosts: Sequence[HostConfig], settings: RunSettings) -> list[Problem]:
    """What hosts want and the run does not give."""
    return _unreachable(hosts, settings)


def _unreachable(hosts: Sequence[HostConfig], settings: RunSettings) -> list[Problem]:
    """Hosts whose clients could not find the coordinator."""
    if settings.server_port is not None:
        return []
    what = "'connect: direct' needs a port that clients reach: set server.port"
    return [Problem(what, settings.path, key=f"hosts.{host.name}") for host in hosts if is_direct(host)]


def kept_in(settings: RunSettings, run_dir: RunDir) -> str:
    """The folder of other hosts where their files stay; empty where they come home."""
    if settings.collect:
        return ""
    return settings.out_dir or f"~/.dgconsole/{run_dir.path.name}/chunks"


def is_direct(host: HostConfig) -> bool:
    """Whether clients of ``host`` reach the coordinator over the network, not through the SSH connection."""
    return host.launcher == "ssh" and host.connect == "direct"


def _targets(settings: RunSettings, plan: Plan, chunks: str | None) -> Targets:
    tiling = tiling_of(plan.num_stripes, plan.num_sub_stripes)
    if chunks is None:
        return configured_targets(tiling, settings)
    return resolve_targets(tiling, chunks, base=Path.cwd())
