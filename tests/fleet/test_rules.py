"""The pure parts of the fleet: a host's life, what an exit status means, and lines made of pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.fleet.clients import MAX_RESTARTS, EndKind, end_of, restarts
from dgconsole.fleet.hosts import TRANSITIONS, HostEvent, HostState, after, jittered, wait_before
from dgconsole.fleet.logcredit import MAX_LINE, LineJoiner
from dgconsole.support.errors import BugError
from dgconsole.support.lastwords import LOST_CONSOLE, last_line, last_words


@pytest.mark.parametrize("state", list(HostState))
@pytest.mark.parametrize("event", list(HostEvent))
def test_a_host_moves_as_the_table_says_and_no_other_way(state, event):
    if event in TRANSITIONS[state]:
        assert after(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(BugError, match=f"{state.value} cannot meet {event.value}"):
            after(state, event)


def test_every_state_of_a_host_is_reached_and_left_until_it_has_ended():
    reached = {HostState.QUEUED} | {then for steps in TRANSITIONS.values() for then in steps.values()}
    assert reached == set(HostState)
    assert [state for state, steps in TRANSITIONS.items() if not steps] == [HostState.ENDED]


def test_waits_double_up_to_a_limit():
    assert [wait_before(attempt, first=2, most=60) for attempt in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]
    waits = [jittered(8) for _ in range(100)]
    assert 6 <= min(waits) < max(waits) <= 10


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (0, EndKind.DONE, "no more chunks"),
        (1, EndKind.GAVE_UP, "gave up"),
        (2, EndKind.REFUSED, "could not start"),
        (3, EndKind.VANISHED, "exit status 3"),
        (-9, EndKind.VANISHED, "SIGKILL"),
    ],
)
def test_what_an_exit_status_means(status, kind, words):
    end = end_of(status)
    assert end.kind is kind
    assert words in end.text
    assert restarts(end, 0) is (kind is EndKind.VANISHED)
    assert not restarts(end, MAX_RESTARTS)


def test_a_client_without_its_console_or_its_agent_has_not_given_up():
    lost = last_words(last_line(f"{LOST_CONSOLE}: no word for 30 s"))
    assert end_of(1, lost).kind is EndKind.VANISHED
    assert end_of(1, with_agent=True).kind is EndKind.VANISHED
    assert end_of(2, with_agent=True).kind is EndKind.REFUSED
    assert end_of(0, lost, with_agent=True).kind is EndKind.DONE
    assert end_of(1, "gave up: the disk is full").text.startswith("gave up: the disk is full")
    assert last_words("it ends: not") == ""


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_lines_are_the_same_however_the_stream_is_cut(data, cuts):
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b].decode("latin-1") for a, b in pairwise(edges)]

    def lines(pieces):
        joiner = LineJoiner("here:log")
        found = [line for piece in pieces for line in joiner.feed(piece, 0)]
        return [*found, *joiner.flush()]

    assert lines(pieces) == lines([data.decode("latin-1")])


def test_what_was_left_out_is_told_between_the_lines():
    joiner = LineJoiner("here:/w/client.log")
    assert list(joiner.feed("begun", 0)) == []
    told = list(joiner.feed("WARNING: low disk\n", 2_500_000))
    assert told == [
        ("INFO", "begun"),
        ("WARNING", "... 2.5 MB left out here, whole in here:/w/client.log"),
        ("WARNING", "low disk"),
    ]


def test_a_line_without_end_is_cut():
    joiner = LineJoiner("here:log")
    told = list(joiner.feed("x" * (MAX_LINE + 1), 0))
    assert [len(text) for _, text in told] == [MAX_LINE]
