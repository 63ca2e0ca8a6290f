"""Head, rates, time left, clients, needs: what is said of a run."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.snapshot import Cause, ClientRow, ClientState, Counts, HostRow, Notice, RunState, Snapshot
from dgconsole.views.clients import SORTS, ClientKey, HostKey, client_tree, natural
from dgconsole.views.grid import GAP, Cell, Column, fit
from dgconsole.views.head import bar, head, plain_line, split_bar
from dgconsole.views.needs import CALM, need_rows, needs
from dgconsole.views.rates import Rates, time_left
from dgconsole.views.signs import CHUNK_SIGNS, CLIENT_SIGNS, RUN_SIGNS, Signs


def snapshot(**fields) -> Snapshot:
    known = {
        "revision": 1,
        "name": "fakedb",
        "run_dir": "runs/fakedb",
        "state": RunState.RUNNING,
        "wall": 1_000.0,
        "started": 900.0,
        "elapsed": 100.0,
        "counts": Counts(total=1_000, pending=500, assigned=10, completed=487, limbo=3),
    }
    return Snapshot(**(known | fields))


def client(name: str, **fields) -> ClientRow:
    known = {"name": name, "host": name.rpartition("-")[0], "state": ClientState.WORKING, "last_word": 0.5}
    return ClientRow(**(known | fields))


def watched(chunks_per_second: float, seconds: int, **fields) -> tuple[Snapshot, Rates]:
    rates = Rates()
    shot = snapshot(**fields)
    for k in range(seconds * 4 + 1):
        done = int(k / 4 * chunks_per_second)
        shot = snapshot(
            wall=1_000.0 + k / 4, elapsed=k / 4, session_completed=done, rows=done * 100, bytes=done * 1_000, **fields
        )
        rates.add(shot)
    return shot, rates


def test_rates_over_the_window():
    _, rates = watched(20, 90)
    now = rates.now()
    assert now.chunks == pytest.approx(20, rel=0.02)
    assert now.rows == pytest.approx(2_000, rel=0.02)
    assert now.bytes == pytest.approx(20_000, rel=0.02)


def test_curves_are_level_when_the_rate_is_and_empty_before_the_first_sample():
    _, rates = watched(20, 60)
    assert all(point is not None and point.chunks == pytest.approx(20, rel=0.15) for point in rates.curve(50))
    _, rates = watched(20, 15)
    curve = rates.curve(30)
    assert curve[0] is None
    assert curve[-1] is not None
    assert Rates().curve(4) == [None] * 4


def test_rates_forget_what_is_old():
    _, rates = watched(5, 800)
    assert rates.span() == 600
    assert rates.remembered <= 700


def test_a_clock_set_back_starts_over():
    _, rates = watched(5, 30)
    rates.add(snapshot(wall=10.0, session_completed=500))
    assert rates.now().chunks == 0


def test_time_left_settles_first():
    clients = tuple(client(f"db01-{k}") for k in range(4))
    shot, rates = watched(1, 5, clients=clients)
    assert time_left(shot, rates) == "settling"
    shot, rates = watched(2, 60, clients=clients)
    assert time_left(shot, rates).startswith("~ ")
    assert time_left(shot, rates).endswith(" left")


@pytest.mark.parametrize("state", [RunState.PAUSED, RunState.STOPPING, RunState.ENDED, RunState.PLANNING])
def test_no_time_left_when_nothing_is_handed_out(state):
    shot, rates = watched(5, 60, state=state)
    assert time_left(shot, rates) == ""


def test_the_head_says_state_time_and_rates():
    shot, rates = watched(20, 90)
    top = head(shot, rates, Signs())
    assert top.state.text == "● running"
    assert top.clock == "00:01:30"
    assert top.rates[0] == "20.0 chunks/s"
    assert head(shot, rates, Signs(unicode=False)).state.text == "* running"


@pytest.mark.parametrize("state", [ClientState.GAVE_UP, ClientState.LOST, ClientState.STOPPED])
def test_a_run_without_clients_neither_runs_nor_has_a_time_left(state):
    shot, rates = watched(20, 90, clients=(client("a-1", state=state), client("a-2", state=state)))
    assert head(shot, rates, Signs()).state == Cell("✗ no client left", "hot")
    assert head(shot, rates, Signs()).left == ""
    coming, rates = watched(20, 90, clients=(client("a-1", state=state), client("a-2", state=ClientState.STARTING)))
    assert head(coming, rates, Signs()).state.text == "● running"
    assert head(coming, rates, Signs()).left


def test_an_old_picture_says_so():
    shot, rates = watched(20, 10)
    assert "last word 41 s ago" in head(shot, rates, Signs(), stale=41.0).state.text


def test_the_words_of_the_bar():
    parts = bar(Counts(total=1_000, pending=500, retrying=2, assigned=8, delivered=2, completed=487, limbo=3))
    assert [cell.text for cell in parts.words] == ["487 done", "10 in work", "3 limbo", "500 pending", "2 retrying"]
    assert parts.percent == "48.7 %"


@given(st.integers(0, 5_000), st.integers(0, 200), st.integers(0, 50), st.integers(0, 5_000), st.integers(0, 200))
def test_the_bar_fills_its_width_and_hides_nothing(done, work, limbo, pending, width):
    counts = Counts(total=done + work + limbo + pending, completed=done, assigned=work, limbo=limbo, pending=pending)
    cells = split_bar(bar(counts), width)
    assert sum(cells) == width
    assert min(cells) >= 0
    if width >= 4 and counts.total:
        assert all(cell > 0 for cell, n in zip(cells[1:], (work, limbo, pending), strict=True) if n)
        assert done or not cells[0]


def test_the_plain_line_has_the_same_words():
    shot, rates = watched(20, 90)
    line = plain_line(shot, rates, Signs())
    for word in ("● running", "48.7 %", "487 done", "10 in work", "3 limbo", "500 pending", "20.0 chunks/s"):
        assert word in line


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=9),
    st.integers(1, 200),
)
def test_columns_fit_without_overlap(specs, width):
    columns = [Column(str(k), "", w, rank, grow) for k, (w, rank, grow) in enumerate(specs)]
    places = fit(columns, width)
    assert places
    for a, b in itertools.pairwise(places):
        assert a.x + a.width + GAP == b.x
    if sum(c.width for c in columns) + GAP * (len(columns) - 1) <= width:
        assert [p.column for p in places] == list(range(len(columns)))
        assert places[-1].x + places[-1].width <= width
    kept = {columns[p.column].rank for p in places}
    dropped = {c.rank for k, c in enumerate(columns) if k not in {p.column for p in places}}
    assert not dropped or max(kept) <= max(dropped)


def test_clients_stand_under_their_hosts_in_natural_order():
    names = ("db10-1", "db9-2", "db9-10", "db9-1")
    shot = snapshot(
        clients=tuple(client(name) for name in names), hosts=(HostRow(name="db9", launcher="ssh", state="up"),)
    )
    rows = client_tree(shot, Signs())
    assert [rows.key(k) for k in range(len(rows))] == [
        HostKey("db9"),
        ClientKey("db9-1", "db9"),
        ClientKey("db9-2", "db9"),
        ClientKey("db9-10", "db9"),
        HostKey("db10"),
        ClientKey("db10-1", "db10"),
    ]
    assert len(client_tree(shot, Signs(), folded=frozenset({"db9"}))) == 3
    assert len(client_tree(shot, Signs(), wanted="db10")) == 2
    assert natural("db9") < natural("db10") < natural("dba")


@pytest.mark.parametrize("sort", SORTS)
def test_clients_sort_by_every_column(sort):
    shot = snapshot(clients=(client("a-1", done=3, cpu=9.0), client("a-2", done=9), client("b-1", done=5, rss=4)))
    for reverse in (False, True):
        assert len(client_tree(shot, Signs(), sort=sort, reverse=reverse)) == 5
    done = client_tree(shot, Signs(), sort="done", reverse=True)
    assert done.key(1) == ClientKey("a-2", "a")


def test_a_client_that_gave_up_shows_why():
    shot = snapshot(clients=(client("a-1", state=ClientState.GAVE_UP, reason="no space \x1b[31mleft"),))
    line = client_tree(shot, Signs()).line(1)
    assert line.note is not None
    assert line.note.text.startswith("no space")
    assert "\x1b" not in line.note.text
    assert line.cells[1].text == "✗ gave up"


def test_needs_are_grouped_and_each_has_its_key():
    shot = snapshot(
        clients=(
            client("a-1", state=ClientState.GAVE_UP, reason="disk full"),
            client("a-2", state=ClientState.GAVE_UP, reason="disk full"),
            client("b-1", state=ClientState.SILENT),
        ),
        hosts=(HostRow(name="c", launcher="ssh", state="set aside", reason="key changed", mend="do this"),),
        causes=(Cause(text="disk full on #", fault="disk", count=300, chunks=(1, 2), hosts=("a",)),),
        notices=(
            Notice("the ledger's disk is full", "p", "error"),
            Notice("density wins", "", "info"),
            Notice("look", "", "warning"),
        ),
    )
    found = needs(shot)
    assert [(need.kind, need.key) for need in found] == [
        ("notice", "p"),
        ("cause", "r"),
        ("host", "enter"),
        ("clients", "R"),
        ("silent", "l"),
        ("notice", ""),
        ("notice", ""),
    ]
    assert "300 chunks in limbo: disk full on #" in found[1].text
    assert "a-1, a-2 gave up: disk full" in found[3].text
    rows = need_rows(found, Signs())
    assert len(rows) == len(found)
    assert need_rows(found, Signs()) == rows


def test_clients_of_a_host_that_is_set_aside_are_not_told_again():
    aside = HostRow(name="db03", launcher="ssh", state="set aside", reason="Connection refused")
    gone = client("db03-1", host="db03", state=ClientState.LOST, reason="Connection refused")
    other = client("db03-2", host="db03", state=ClientState.GAVE_UP, reason="disk full")
    found = needs(snapshot(hosts=(aside,), clients=(gone, other)))
    assert [need.kind for need in found] == ["host", "clients"]
    assert "disk full" in found[1].text


def test_nothing_needs_anybody():
    assert needs(snapshot()) == (CALM,)
    told = snapshot(notices=(Notice("density wins", "", "info"),))
    assert [need.text for need in needs(told)] == ["Nothing needs you.", "density wins"]


def test_every_state_has_a_sign_in_both_alphabets():
    for signs in (CHUNK_SIGNS, CLIENT_SIGNS, RUN_SIGNS):
        for state, sign in signs.items():
            assert sign.ascii.isascii(), state
            assert len(sign.ascii) == len(sign.sign) == 1
    assert set(CLIENT_SIGNS) == set(ClientState)
    assert set(RUN_SIGNS) == set(RunState)
    assert math.isclose(len({s.ascii for s in CHUNK_SIGNS.values()}), len(CHUNK_SIGNS))
