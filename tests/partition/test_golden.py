"""dgpartition against what sph-partition itself wrote: every golden case, by the checker that ships with them."""

import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/case.json"))


def test_the_cases_are_there() -> None:
    assert len(CASES) > 100


@pytest.mark.slow
@pytest.mark.parametrize("half", ["even", "odd"])
def test_agrees_with_every_case(half: str, tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    for number, name in enumerate(CASES):
        if number % 2 == (half == "odd"):
            (folder / name).symlink_to(GOLDEN / name)
    command = [sys.executable, "-m", "dgconsole.partition.command"]
    checked = subprocess.run(
        [sys.executable, str(GOLDEN / "check_golden.py"), str(folder), "--", *command], capture_output=True, text=True
    )
    assert checked.returncode == 0, "\n".join(line for line in checked.stdout.splitlines() if line.startswith("FAIL"))
