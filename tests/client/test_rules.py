"""When a client gives up, and whose fault an error is."""

import errno
import os
from pathlib import Path

import pytest

from dgconsole.client.rules import blame, gives_up, in_a_line
from dgconsole.client.worker import story_of
from dgconsole.support.errors import ChunkError, Fault

WORKDIR = Path("/scratch/here-1")


def system_error(number: int, name: str = "/run/chunks/Object/x") -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], False),
        ([Fault.DISK, Fault.DISK], False),
        ([Fault.DISK, Fault.WORKDIR, Fault.MEMORY], True),
        ([Fault.DISK, Fault.DISK, None, Fault.DISK], False),
        ([Fault.DISK, Fault.GENERATE, Fault.DELIVER, Fault.DISK], True),
        ([Fault.GENERATE] * 9, False),
        ([Fault.SPEC, Fault.PARTITION, Fault.STALL, Fault.LOST, Fault.STOPPED], False),
        ([None, Fault.DISK, Fault.DISK, Fault.DISK], True),
    ],
)
def test_three_own_faults_without_a_completed_chunk_between_them(
    outcomes: list[Fault | None], expected: bool
) -> None:
    assert gives_up(outcomes) is expected


@pytest.mark.parametrize(
    ("error", "stage", "fault"),
    [
        (MemoryError(), "generate", Fault.MEMORY),
        (system_error(errno.ENOSPC), "partition", Fault.DISK),
        (system_error(errno.EDQUOT), "deliver", Fault.DISK),
        (system_error(errno.EIO), "generate", Fault.DISK),
        (system_error(errno.ENOENT), "generate", Fault.GENERATE),
        (system_error(errno.EROFS, "/scratch/here-1/csv/x"), "partition", Fault.WORKDIR),
        (system_error(errno.ENOENT, "csv/x"), "partition", Fault.WORKDIR),
        (system_error(errno.EROFS), "partition", Fault.DELIVER),
        (ValueError("odd"), "generate", Fault.GENERATE),
        (ValueError("odd"), "partition", Fault.PARTITION),
        (ValueError("odd"), "deliver", Fault.DELIVER),
        (SystemExit(3), "generate", Fault.GENERATE),
    ],
)
def test_every_error_has_an_owner(error: BaseException, stage: str, fault: Fault) -> None:
    assert blame(error, stage, WORKDIR).fault is fault


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = ChunkError(Fault.SPEC, "no such column")
    assert blame(error, "partition", WORKDIR) is error


def test_errors_are_told_in_one_line() -> None:
    assert in_a_line(ValueError("two\nlines")) == "ValueError: two lines"
    assert in_a_line(system_error(errno.ENOSPC)) == "/run/chunks/Object/x: No space left on device"
    assert in_a_line(KeyError()) == "KeyError"
    assert in_a_line(MemoryError()) == "out of memory"


def test_a_fault_of_the_client_found_by_ourselves_has_no_traceback():
    assert story_of(ChunkError(Fault.DISK, "the workdir has no space left")) == ""
    with pytest.raises(KeyError) as raised:
        {}["column"]
    assert "Traceback" in story_of(raised.value)
    wrapped = ChunkError(Fault.GENERATE, "KeyError: column")
    wrapped.__cause__ = raised.value
    assert "KeyError: 'column'" in story_of(wrapped)
