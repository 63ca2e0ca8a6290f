"""``dgvisits``: the whole-sky visit table."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from dgconsole.catalog.visits import main, write_visits
from dgconsole.cli import guarded


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(name: str = "visits.csv") -> pl.DataFrame:
    return pl.read_csv(name, has_header=False, new_columns=["id", "band", "ra", "decl"])


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-o", "visits.csv", "-n", "70000"]) == 0
    assert capsys.readouterr().out == "visits.csv: 70000 visits\n"
    visits = table()
    assert visits["id"].to_list() == list(range(70000))
    counts = dict(visits.group_by("band").len().iter_rows())
    assert set(counts) == set("ugrizy")
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4
    assert visits["ra"].is_between(0, 360, closed="left").all()
    assert stats.kstest(visits["ra"].to_numpy() / 360, "uniform").pvalue > 1e-4
    z = np.sin(np.radians(visits["decl"].to_numpy()))
    assert stats.kstest((z + 1) / 2, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(visits["ra"].to_numpy(), z)[0, 1]) < 0.02


def test_defaults() -> None:
    assert main([]) == 0
    assert table("visit_table.csv").height == 150_000


def test_a_longer_table_begins_with_the_shorter() -> None:
    write_visits(Path("a.csv"), 1000, 1)
    write_visits(Path("b.csv"), 80000, 1)
    assert Path("b.csv").read_text().startswith(Path("a.csv").read_text())


def test_the_seed_counts() -> None:
    for seed in ("1", "2"):
        assert main(["-o", f"{seed}.csv", "-n", "100", "--seed", seed]) == 0
    assert Path("1.csv").read_text() != Path("2.csv").read_text()
    assert main(["-o", "again.csv", "-n", "100", "--seed", "1"]) == 0
    assert Path("1.csv").read_text() == Path("again.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-n", "many"], "-n 'many': give a whole number from 1 to 2147483648"),
        (["-n", "0"], "-n '0': give a whole number from 1 to 2147483648"),
        (["--seed", "-1"], "--seed '-1': give a whole number of at least 0"),
        (["-o", "none/visits.csv"], "-o 'none/visits.csv': give the name of a file in a folder that exists"),
        (["-o", "."], "-o '.': give the name of a file in a folder that exists"),
        (["-p"], "unrecognized arguments: -p"),
    ],
)
def test_mistakes(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(main, arguments) == 2
    assert capsys.readouterr().err.startswith(expected)
    assert not list(Path().iterdir())


def test_a_full_disk(capsys: pytest.CaptureFixture[str]) -> None:
    Path("visits.csv.part").symlink_to("/dev/full")
    assert guarded(main, ["-o", "visits.csv"]) == 1
    assert capsys.readouterr().err == "dgvisits: visits.csv: No space left on device\n"
    assert not list(Path().iterdir())


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "-o FILE" in capsys.readouterr().out
