"""Where the files of completed chunks are, from the ledger; and ``metadata.json`` of it in ``chunks/``."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from dgconsole.coordinator.ledger import Reader
from dgconsole.coordinator.rundir import write_whole
from dgconsole.ingest.metadata import Holdings, is_metadata_of_host, make_metadata
from dgconsole.ingest.schema import DatabaseSchema
from dgconsole.settings.structs import TextFile
from dgconsole.wire.messages import Figures

_COMPLETED = """
    SELECT c.chunk, k.host, a.folder, a.figures FROM chunks c
    JOIN attempts a ON a.chunk = c.chunk AND a.attempt = c.attempt JOIN clients k ON k.client = a.client
    WHERE c.state = 3 ORDER BY c.chunk"""


def holdings_of(reader: Reader) -> Holdings:
    """All completed chunks, in the order of their ids."""
    decode = msgspec.json.Decoder(Figures).decode
    holdings = Holdings()
    for chunk, host, folder, figures in reader.rows(_COMPLETED):
        holdings.add(chunk, host, folder, decode(figures))
    return holdings


def write_metadata(reader: Reader, schema: DatabaseSchema, texts: Sequence[TextFile], chunks: Path) -> str:
    """Write it all into ``chunks``, each file whole or not at all, ``metadata.json`` last.

    Why a loader would misread the folder, or "". OSError where it cannot be written.
    """
    made = make_metadata(schema, texts, holdings_of(reader))
    for name in made.empty:
        (chunks / name).touch()
    for name, data in made.files.items():
        write_whole(chunks / name, data, 0o666)
    for path in chunks.iterdir():
        if is_metadata_of_host(path.name) and path.name not in made.files:
            path.unlink()
    return made.trouble
