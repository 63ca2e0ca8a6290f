"""The input files of a run as they may be copied and sent: everything that decides its output, no secrets."""

from pathlib import Path

from dgconsole.settings.structs import RunSettings, TextFile


def pregenerated_files(settings: RunSettings) -> tuple[Path, ...]:
    """The files of ``pregenerated.cfgDir``, in order of name; hidden ones and folders are passed over."""
    if settings.pregenerated_dir is None:
        return ()
    folder = Path(settings.pregenerated_dir)
    if not folder.is_dir():
        return ()
    return tuple(path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != ".")


def spec_folder(settings: RunSettings) -> Path:
    """The current directory while the spec runs, on console and clients alike."""
    return running_folder(settings.spec, settings.pregenerated_dir)


def running_folder(spec: TextFile, pregenerated_dir: str | None) -> Path:
    """``pregenerated.cfgDir`` where there is such a folder, else the spec's own; absolute."""
    if pregenerated_dir is not None and Path(pregenerated_dir).is_dir():
        return Path(pregenerated_dir)
    return Path(spec.path).absolute().parent


def frozen_files(settings: RunSettings) -> dict[str, bytes]:
    """Copies of every input file for a run directory, by relative name, secrets taken out.

    ``serverCfg.yml`` (under its own name) and, in folders by kind, what it names: ``spec/``, ``partitioner/``,
    ``ingest/``, ``pregenerated/``.
    """
    files = {settings.server_file.name: settings.server_file.data, f"spec/{settings.spec.name}": settings.spec.data}
    files |= {f"partitioner/{file.name}": file.data for file in settings.partitioner_files}
    files |= {f"ingest/{file.name}": file.data for file in settings.ingest_files}
    files |= {f"pregenerated/{path.name}": path.read_bytes() for path in pregenerated_files(settings)}
    return files
