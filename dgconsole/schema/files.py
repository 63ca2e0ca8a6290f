"""Files that people keep: never replaced unasked, whole under their names or not there at all."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dgconsole.support.errors import InputError, Problem


def write_files(folder: Path, files: Mapping[str, bytes], *, overwrite: bool) -> None:
    """Write all ``files`` (by name) into ``folder``, which is made where it is missing.

    Raises
    ------
    InputError
        A file is there already and ``overwrite`` is not set: nothing has been written then. Or it can't be written.
    """
    if not overwrite:
        InputError.raise_if(
            Problem("is there already: --overwrite replaces it", str(folder / name))
            for name in files
            if (folder / name).exists()
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".dgschema-") as aside:
            for name, data in files.items():
                with (Path(aside) / name).open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
            for name in files:
                (Path(aside) / name).replace(folder / name)
    except OSError as error:
        raise InputError(Problem(f"can't be written: {error.strerror}", str(error.filename or folder))) from error
