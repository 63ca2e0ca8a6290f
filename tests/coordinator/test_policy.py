"""The rules about failed attempts and shares, one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.coordinator.policy import Failure, GiveItUp, Retry, fold, growing_wait, judge, share
from dgconsole.support.errors import Fault


def verdict(fault: Fault, *earlier: Failure, client: int = 0, cause: str = "boom", used: int = 1) -> Retry | GiveItUp:
    return judge(Failure(client, fault, cause), earlier, used=used, max_attempts=3, base=1.0, limit=60.0)


def test_a_failure_goes_to_another_client_after_a_growing_wait() -> None:
    assert verdict(Fault.GENERATE) == Retry(1.0, uses_attempt=True, avoid=0)
    assert verdict(Fault.DISK, used=2, client=7) == Retry(4.0, uses_attempt=True, avoid=7)


def test_attempts_run_out() -> None:
    assert verdict(Fault.DISK, used=3) == GiveItUp("3 attempts used up")


def test_the_same_error_on_two_clients_is_poison() -> None:
    assert isinstance(verdict(Fault.GENERATE, Failure(1, Fault.GENERATE, "boom"), used=2), GiveItUp)
    assert isinstance(verdict(Fault.GENERATE, Failure(1, Fault.GENERATE, "other"), used=2), Retry)
    assert isinstance(verdict(Fault.GENERATE, Failure(0, Fault.GENERATE, "boom"), used=2), Retry)


@pytest.mark.parametrize("fault", [Fault.DISK, Fault.LOST, Fault.STALL, Fault.DELIVER, Fault.WORKDIR, Fault.MEMORY])
def test_faults_of_clients_are_never_poison(fault: Fault) -> None:
    assert isinstance(verdict(fault, Failure(1, fault, "boom"), used=2), Retry)


def test_an_error_of_the_spec_is_hopeless() -> None:
    assert isinstance(verdict(Fault.SPEC), GiveItUp)


def test_a_chunk_given_back_uses_no_attempt_and_waits_for_nothing() -> None:
    assert verdict(Fault.STOPPED, used=3) == Retry(0.0, uses_attempt=False, avoid=-1)


@given(st.integers(1, 255), st.floats(0.01, 10), st.floats(10, 1000))
def test_waits_grow_up_to_their_limit(used: int, base: float, limit: float) -> None:
    assert base <= growing_wait(used, base, limit) <= growing_wait(used + 1, base, limit) <= limit


@given(st.integers(1, 10**6), st.integers(0, 1000), st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_share_is_fair(left: int, clients: int, asked: int, limit: int) -> None:
    got = share(left=left, clients=clients, asked=asked, limit=limit)
    assert 1 <= got <= min(asked, limit)
    assert got == 1 or got * 2 * max(1, clients) <= left


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("chunk 4321 failed after 12.5 s", "chunk 17 failed after 1e-3 s"),
        ("no space left on /scratch/dg/here-1/x.txt", "no space left on /tmp/y"),
        ("object at 0x7f00aa12", "object at 0x7f00ab13"),
    ],
)
def test_numbers_and_paths_are_folded(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_different_words_stay_different() -> None:
    assert fold("no column ra") != fold("no column decl")
    assert fold("rows/s of band g1") == "rows/s of band g1"
