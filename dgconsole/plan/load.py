"""From serverCfg.yml to a plan: every file read, the spec examined in a process of its own, all checked."""

from collections.abc import Mapping
from pathlib import Path

from dgconsole.catalog.examine import TIMEOUT, examine
from dgconsole.plan.make import make_plan
from dgconsole.plan.structs import Plan
from dgconsole.settings.frozen import spec_folder
from dgconsole.settings.server import find_spec, load_settings
from dgconsole.settings.structs import RunSettings
from dgconsole.support.errors import InputError, Problem


def load_plan(
    config: Path,
    *,
    timeout: float = TIMEOUT,
    overrides: Mapping[str, str] | None = None,
    skip_ingest: bool = False,
) -> tuple[RunSettings, Plan]:
    """The settings and the plan of a run. Blocks while the spec runs, at most ``timeout`` seconds and a bit.

    ``overrides`` and ``skip_ingest`` as for ``load_settings``.

    Raises
    ------
    InputError
        The problems of all files at once, the spec's among them also where serverCfg.yml has some of its own;
        where every file is right by itself, all places where they don't agree.
    """
    try:
        settings = load_settings(config, overrides=overrides, skip_ingest=skip_ingest)
    except InputError as exc:
        raise InputError(*exc.problems, *_spec_problems(config, timeout)) from exc
    description = examine(settings.spec, cwd=spec_folder(settings), timeout=timeout)
    return settings, make_plan(settings, description)


def _spec_problems(config: Path, timeout: float) -> tuple[Problem, ...]:
    found = find_spec(config)
    if found is None:
        return ()
    spec, folder = found
    try:
        examine(spec, cwd=folder, timeout=timeout)
    except InputError as exc:
        return exc.problems
    return ()
