"""What all tests share: a skip that CI turns into a failure, and an environment that is the same everywhere."""

import os
import shutil
from collections.abc import Callable

import pytest

for threads in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")


@pytest.fixture
def need() -> Callable[[bool, str], None]:
    """``need(condition, reason)``: skip with the reason where the condition does not hold; in CI that fails."""

    def check(condition: bool, reason: str) -> None:
        if condition:
            return
        if os.environ.get("DGCONSOLE_TESTS_MUST_RUN"):
            pytest.fail(f"this machine must be able to run the test: {reason}")
        pytest.skip(reason)

    return check


@pytest.fixture
def need_root(need: Callable[[bool, str], None]) -> None:
    need(os.geteuid() == 0, "needs root (mounts a small tmpfs)")


@pytest.fixture
def need_tmux(need: Callable[[bool, str], None]) -> None:
    need(shutil.which("tmux") is not None, "needs tmux")
