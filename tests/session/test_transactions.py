"""How many transactions a run gives Qserv, told before it starts."""

from pathlib import Path

import pytest

from dgconsole.session.destinations import too_many_transactions
from dgconsole.settings.server import load_settings
from dgconsole.settings.structs import RunSettings

ROOT = Path(__file__).parents[2]


def settings_of(tmp_path: Path, size: int, ingest: str = "host: repl, dbName: skydb") -> RunSettings:
    file = tmp_path / "serverCfg.yml"
    file.write_text(f"fakeDataGenerator: {{baseCfgDir: {ROOT}, transaction_size: {size}}}\ningest: {{{ingest}}}\n")
    return load_settings(file)


def test_more_than_qserv_advises(tmp_path: Path) -> None:
    assert too_many_transactions(settings_of(tmp_path, 10), 146_332) == (
        "146,332 chunks in transactions of 10 are 14,634 transactions at least. Qserv advises about 1,000, as each "
        "adds a partition to every table that it touches: set fakeDataGenerator.transaction_size to 147 or more"
    )


@pytest.mark.parametrize(("size", "chunks"), [(147, 146_332), (10, 10_000), (1, 1000)])
def test_not_more(tmp_path: Path, size: int, chunks: int) -> None:
    assert too_many_transactions(settings_of(tmp_path, size), chunks) == ""


def test_files_have_none(tmp_path: Path) -> None:
    assert too_many_transactions(settings_of(tmp_path, 1, "dbName: skydb"), 146_332) == ""
