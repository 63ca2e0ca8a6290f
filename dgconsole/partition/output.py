"""What dgpartition leaves in its folder: files that grow at their ends, and go back to what they were on an error."""

import os
from pathlib import Path
from types import TracebackType

import numpy as np

from dgconsole.partition.place import Places
from dgconsole.support.filenames import home_name, overlap_name

MOST_COLLECTED = 64 << 20
"""Bytes of text held back before they are written, however large the pool may be."""

MOST_VECTORS = 512
"""Pieces written with one call; systems take at least 1024."""

INDEX_RECORD = np.dtype([("cell", "<u8"), ("home", "<u8"), ("overlap", "<u8")])


class OutputFolder:
    """Appends text to files of a folder, in large strokes.

    As a context manager: leaving it with an exception cuts every file back to the length that it had
    (and removes what was not there), so that a failed run leaves nothing half done.
    """

    def __init__(self, folder: Path, *, pool: int = MOST_COLLECTED, nodes: int = 1, prefix: str = "chunk") -> None:
        self.folder = folder
        self.pool = min(pool, MOST_COLLECTED)
        self.nodes = nodes
        self.prefix = prefix
        self.collected: dict[str, list[memoryview | bytes]] = {}
        self.names: dict[tuple[int, bool], str] = {}
        self.size = 0
        self.lengths: dict[str, int | None] = {}

    def __enter__(self) -> "OutputFolder":
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._undo()
            return
        try:
            self.flush()
        except BaseException:
            self._undo()
            raise

    def append_chunk(self, chunk: int, overlap: bool, text: memoryview) -> None:
        """Rows of a chunk's home or overlap file."""
        name = self.names.get((chunk, overlap))
        if name is None:
            node = f"node_{chunk % self.nodes:05d}/" if self.nodes > 1 else ""
            name = self.names[chunk, overlap] = node + (overlap_name if overlap else home_name)(chunk, self.prefix)
        self.append(name, text)

    def append(self, name: str, text: memoryview | bytes) -> None:
        self.collected.setdefault(name, []).append(text)
        self.size += len(text)

    def settle(self) -> None:
        """Write what was collected if it is enough; ``OSError`` as it comes."""
        if self.size >= self.pool:
            self.flush()

    def flush(self) -> None:
        collected, self.collected, self.size = self.collected, {}, 0
        for name, texts in collected.items():
            self._write(name, texts)

    def _write(self, name: str, texts: list[memoryview | bytes]) -> None:
        path = f"{self.folder}/{name}"
        if name not in self.lengths:
            if self.nodes > 1:
                Path(path).parent.mkdir(exist_ok=True)
            self.lengths[name] = Path(path).stat().st_size if Path(path).exists() else None
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                for first in range(0, len(texts), MOST_VECTORS):
                    _write_all(file, texts[first : first + MOST_VECTORS])
            finally:
                os.close(file)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path) from error

    def _undo(self) -> None:
        """Every file back to its old length; what cannot be brought back is named once all others are."""
        failed = []
        for name, length in self.lengths.items():
            path = self.folder / name
            try:
                if length is None:
                    path.unlink(missing_ok=True)
                elif path.is_file():
                    os.truncate(path, length)
            except OSError as error:
                failed.append((error.errno, f"not cut back to what it was ({error.strerror})", str(path)))
        if failed:
            raise OSError(*failed[0])


def _write_all(file: int, texts: list[memoryview | bytes]) -> None:
    written = os.writev(file, texts)
    for text in texts:
        if written < len(text):
            rest = memoryview(text)[written:]
            while rest:
                rest = rest[os.write(file, rest) :]
        written = max(written - len(text), 0)


class SubChunkCounts:
    """How many rows and copies each sub-chunk got: the records of ``chunk_index.bin``."""

    def __init__(self) -> None:
        self.records = np.zeros(0, INDEX_RECORD)

    def add(self, places: Places) -> None:
        cells = (places.chunk.astype(np.uint64) << np.uint64(32)) | places.sub_chunk.astype(np.uint64)
        copies = places.overlap.astype(np.uint64)
        known = self.records
        distinct, which = np.unique(np.concatenate([known["cell"], cells]), return_inverse=True)
        records = np.zeros(len(distinct), INDEX_RECORD)
        records["cell"] = distinct
        np.add.at(records["home"], which, np.concatenate([known["home"], 1 - copies]))
        np.add.at(records["overlap"], which, np.concatenate([known["overlap"], copies]))
        self.records = records

    def to_bytes(self) -> bytes:
        """24 bytes a sub-chunk, by id: (chunk << 32) + sub-chunk, rows, copies; little-endian."""
        return self.records.tobytes()
