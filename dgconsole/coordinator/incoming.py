"""Files of one attempt after the other, as a client sends them, onto the disk; blocking, called in threads."""

import hmac
import os
from collections.abc import Callable, Collection
from pathlib import Path

from dgconsole.support.errors import ChunkError, Fault, PeerError
from dgconsole.support.filenames import attempt_name, home_name, overlap_name
from dgconsole.wire.messages import Figures, FileBegin, FileData, FileEnd, FileMessage, file_digest

Key = tuple[int, int]
"""(chunk, attempt)."""


class Incoming:
    """Writes ``<root>/<Table>/<name>.attempt-<K>``; what an attempt has written goes with it unless it is given away.

    Of an attempt that cannot be kept nothing more is written; ``give`` tells why.

    Parameters
    ----------
    tables
        Those that are delivered.
    """

    def __init__(self, root: Path, tables: Collection[str]) -> None:
        self._root = root
        self._tables = frozenset(tables)
        self._key: Key | None = None
        self._whole: dict[tuple[str, str], int] = {}
        self._written: list[Path] = []
        self._failure: ChunkError | None = None
        self._open: _Open | None = None

    def take(self, message: FileMessage, *, held: bool) -> ChunkError | None:
        """Take the next message; ``held``: the client has the attempt that a FileBegin names in its hand.

        The first failure of an attempt is returned: DISK where files cannot be kept here, DELIVER where one came
        spoilt. An attempt that is not held is passed over: its report will be too.

        Raises
        ------
        PeerError
            No client of ours sends this.
        """
        try:
            if isinstance(message, FileBegin):
                self._begin(message, held=held)
            elif self._open is None:
                raise PeerError(f"sent {type(message).__name__} without a file")
            elif isinstance(message, FileData):
                self._open.add(message)
            else:
                self._end(self._open, message)
        except ChunkError as error:
            self._fail(error)
            return error
        return None

    def give(self, key: Key, figures: Figures) -> ChunkError | None:
        """The attempt is reported as completed: its files are the caller's now, unless the answer is a failure.

        Raises
        ------
        PeerError
            A file is not at its end.
        """
        self._no_file_open()
        failure = self._failure if key == self._key else None
        if failure is None:
            whole = self._whole if key == self._key else {}
            failure = _compare(key[0], figures, whole)
        if failure is None:
            self._written.clear()
        self.drop(key)
        return failure

    def drop(self, key: Key | None = None) -> None:
        """Remove what came of this attempt, or of whatever is here; what cannot be removed is swept later."""
        if key is not None and key != self._key:
            return
        if self._open is not None:
            self._open.close()
        for path in self._written:
            _remove(path)
        self._open, self._key, self._failure = None, None, None
        self._whole.clear()
        self._written.clear()

    def _begin(self, message: FileBegin, *, held: bool) -> None:
        self._no_file_open()
        chunk, key = message.chunk, (message.chunk, message.attempt)
        if message.table not in self._tables or message.name not in (home_name(chunk), overlap_name(chunk)):
            raise PeerError(f"sent a file of chunk {chunk} as {message.table!r}, {message.name!r}")
        if key != self._key:
            self.drop()
            self._key = key
        if (message.table, message.name) in self._whole:
            raise PeerError(f"sent {message.table}/{message.name} twice")
        path = self._root / message.table / attempt_name(message.name, message.attempt)
        keep = held and self._failure is None
        self._open = _Open(message, path if keep else None)
        if keep:
            self._open.create()
            self._written.append(path)

    def _end(self, file: "_Open", message: FileEnd) -> None:
        self._open = None
        try:
            file.finish(message)
        finally:
            file.close()
        self._whole[file.begin.table, file.begin.name] = file.begin.size

    def _fail(self, error: ChunkError) -> None:
        """Free what the attempt takes, but remember it; the rest of a file that has begun is passed over."""
        self._failure = error
        if self._open is not None:
            self._open.pass_over()
        for path in self._written:
            _remove(path)
        self._written.clear()

    def _no_file_open(self) -> None:
        if self._open is not None:
            raise PeerError(f"left {self._open.begin.name} without its end")


class _Open:
    """One file on its way; without ``path`` its bytes are counted and no more."""

    def __init__(self, begin: FileBegin, path: Path | None) -> None:
        self.begin = begin
        self._path = path
        self._fd = -1
        self._got = 0
        self._digest = file_digest()

    def create(self) -> None:
        self._on_disk(self._create)

    def _create(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            raise PeerError(f"sent {self.begin.table}/{self.begin.name} twice") from None

    def add(self, message: FileData) -> None:
        self._got += len(message.data)
        if self._got > self.begin.size:
            raise PeerError(f"sent more of {self.begin.name} than the {self.begin.size:,} bytes that it declared")
        if self._path is not None:
            self._digest.update(message.data)
            self._on_disk(lambda path: _write_all(self._fd, message.data))  # noqa: ARG005

    def finish(self, message: FileEnd) -> None:
        if self._got != self.begin.size:
            raise PeerError(f"sent {self._got:,} bytes of {self.begin.name}, not the {self.begin.size:,} declared")
        if self._path is None:
            return
        if not hmac.compare_digest(self._digest.hexdigest().encode(), message.digest.encode()):
            text = f"chunk {self.begin.chunk}: {self.begin.table}/{self.begin.name} was spoilt on its way (checksum)"
            raise ChunkError(Fault.DELIVER, text)
        self._on_disk(lambda path: os.fsync(self._fd))  # noqa: ARG005

    def pass_over(self) -> None:
        self.close()
        self._path = None

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _on_disk(self, deed: Callable[[Path], None]) -> None:
        """Whatever goes wrong with the console's own disk is not the client's fault."""
        assert self._path is not None
        try:
            deed(self._path)
        except OSError as error:
            raise ChunkError(Fault.DISK, f"{self._path}: {error.strerror}") from error


def _compare(chunk: int, figures: Figures, whole: dict[tuple[str, str], int]) -> ChunkError | None:
    """Whether the files that came are those that the report speaks of."""
    expected = {
        (table.table, name)
        for table in figures.tables
        for name, rows in ((home_name(chunk), table.rows), (overlap_name(chunk), table.overlap_rows))
        if rows
    }
    sizes = {table.table: table.bytes for table in figures.tables}
    came = dict.fromkeys(sizes, 0)
    for (table, _), size in whole.items():
        came[table] = came.get(table, 0) + size
    if expected == set(whole) and sizes == came:
        return None
    text = f"chunk {chunk}: {len(whole)} files of {sum(came.values()):,} bytes came, the report has {len(expected)}"
    return ChunkError(Fault.DELIVER, f"{text} of {sum(sizes.values()):,}")


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
