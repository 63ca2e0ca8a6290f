"""Where completed chunks are, read from a ledger, and the files that say so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgconsole.coordinator import events as e
from dgconsole.coordinator import ledger as ledgers
from dgconsole.coordinator.chunks import State
from dgconsole.coordinator.ledger import Ledger, Reader
from dgconsole.coordinator.whereabouts import holdings_of, write_metadata
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect
from dgconsole.wire import messages as m

OBJECT = TableSchema(
    table="Object",
    columns=(("objectId", "BIGINT"), ("chunkId", "INT"), ("subChunkId", "INT")),
    key="objectId",
    dialect=Dialect(quote=None, null="\\N"),
)
SCHEMA = DatabaseSchema(database="skydb", num_stripes=200, num_sub_stripes=5, overlap=0.01, tables=(OBJECT,))
CLIENTS = (("here-1", "here"), ("far-1", "far"), ("far-2", "far"))


def ended(chunk: int, attempt: int, client: int, state: State, overlap: int = 2, folder: str = "") -> e.Ended:
    completed = state is State.COMPLETED
    figures = m.Figures((m.TableFigures("Object", 5, overlap, 70, {}),), {}) if completed else None
    return e.Ended(
        chunk=chunk,
        attempt=attempt,
        client=client,
        state=int(state),
        used=attempt,
        retry_at=None,
        started=1.0,
        at=2.0,
        outcome="completed" if completed else "failed",
        figures=figures,
        folder=folder,
    )


@pytest.fixture
def reader(tmp_path: Path) -> Any:
    """Chunk 1 here, 2 on a host at the second attempt, 3 failed, 4 never begun, 5 in another folder of that host."""
    path = tmp_path / "ledger.sqlite"
    ledgers.create(path, np.arange(1, 6, dtype=np.int32))
    ledger = Ledger(path)
    steps: list[e.Step] = [e.ClientAdded(k, name, host) for k, (name, host) in enumerate(CLIENTS)]
    steps.append(e.TransactionOpened(1, 0, 0.0))

    def attempt(end: e.Ended) -> None:
        steps.append(e.Assigned(end.chunk, end.attempt, end.used, end.client, 1, 0.5))
        steps.append(end)

    attempt(ended(1, 1, 0, State.COMPLETED))
    attempt(ended(2, 1, 0, State.PENDING))
    attempt(ended(2, 2, 1, State.COMPLETED, folder="/a"))
    attempt(ended(3, 1, 1, State.PENDING))
    attempt(ended(5, 1, 2, State.COMPLETED, overlap=0, folder="/b"))
    assert ledger.commit(steps) == ""
    made = Reader(path)
    yield made
    made.close()
    ledger.close()


def test_only_what_is_complete_counts_and_where_it_was_completed(reader: Reader) -> None:
    found = [(each.host, each.folder, dict(each.home), dict(each.overlap)) for each in holdings_of(reader)]
    assert found == [
        ("", "", {"Object": [1]}, {"Object": [1]}),
        ("far", "/a", {"Object": [2]}, {"Object": [2]}),
        ("far", "/b", {"Object": [5]}, {}),
    ]


def test_it_is_written_and_what_is_no_longer_true_goes(
    reader: Reader, tmp_path: Path, loaded_from: Callable[[Path], list[str]]
) -> None:
    chunks = tmp_path / "chunks"
    (chunks / "Object").mkdir(parents=True)
    (chunks / "gone.metadata.json").write_text("{}")
    assert write_metadata(reader, SCHEMA, (), chunks) == ""
    assert sorted(path.name for path in chunks.iterdir() if path.is_file()) == [
        "far+2.metadata.json",
        "far.metadata.json",
        "metadata.json",
        "skydb.json",
        "skydb_Object.json",
    ]
    data = json.loads((chunks / "metadata.json").read_bytes())["tables"][0]["data"]
    assert [(entry.get("host"), entry.get("folder"), entry["chunks"]) for entry in data] == [
        (None, None, [1]),
        ("far", "/a", [2]),
        ("far", "/b", [5]),
    ]
    (chunks / "far+2.metadata.json").rename(chunks / "metadata.json")
    assert loaded_from(chunks) == ["Object/chunk_5.txt", "Object/chunk_5_overlap.txt"]
    assert write_metadata(reader, SCHEMA, (), chunks) == ""
    assert len(loaded_from(chunks)) == 6


def test_a_folder_that_cannot_be_written(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_metadata(reader, SCHEMA, (), tmp_path / "gone")
