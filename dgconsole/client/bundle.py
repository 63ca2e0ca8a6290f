"""The bundle as it arrives: pieces of files, stored as ``<folder>/<kind>/<name>`` under plain names only."""

from pathlib import Path
from typing import IO

from dgconsole.support.errors import PeerError
from dgconsole.wire.messages import BundleFile

KINDS = frozenset({"spec", "partitioner", "ingest", "pregenerated", "plan"})


class BundleStore:
    """Writes one file after the other; a file's pieces come in a row, the last one marked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: tuple[str, str] | None = None
        self._file: IO[bytes] | None = None

    def add(self, piece: BundleFile) -> None:
        """Store one piece.

        Raises
        ------
        PeerError
            A name that is not plain, a kind that is unknown, pieces of two files mixed, or a file that came before.
        OSError
            The disk does not take it.
        """
        if self._file is None or self._open != (piece.kind, piece.name):
            self._begin(piece)
        assert self._file is not None
        self._file.write(piece.data)
        if piece.last:
            self.close()

    def close(self) -> None:
        """End the file that is open, if any."""
        file, self._file, self._open = self._file, None, None
        if file is not None:
            file.close()

    def _begin(self, piece: BundleFile) -> None:
        if self._file is not None:
            raise PeerError(f"the bundle's file {self._open} ended without its last piece")
        if piece.kind not in KINDS or not is_plain(piece.name):
            raise PeerError(f"the bundle has a file of the kind {piece.kind!r} under the name {piece.name!r}")
        folder = self._folder / piece.kind
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._file = (folder / piece.name).open("xb")
        except FileExistsError:
            raise PeerError(f"the bundle has {piece.kind}/{piece.name} twice") from None
        self._open = (piece.kind, piece.name)


def is_plain(name: str) -> bool:
    """Whether ``name`` names a file in its folder and nothing else."""
    size = len(name.encode("utf-8", "surrogatepass"))
    return 0 < size <= 255 and "/" not in name and "\0" not in name and name not in (".", "..")
