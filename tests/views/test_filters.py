"""The filter language against a plain reading of the same rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.snapshot import CHUNK_STATES, Cause, ChunkState, ChunkStates, ChunkTable
from dgconsole.views.chunks import SORTS, ChunkModel, ChunkRows
from dgconsole.views.filters import FIELDS, STATE_WORDS, Filter, parse, quoted
from dgconsole.views.signs import Signs

CLIENTS = (("db01-1", "db01"), ("db01-2", "db01"), ("db05-1", "db05"))
CAUSES = (
    Cause(text="No space left on /scratch", fault="disk", count=2, chunks=(30, 70), hosts=("db05",)),
    Cause(text='column "z": NaN', fault="generate", count=1, chunks=(40,), hosts=("db01",)),
)


def model_of(states, owners=None, attempts=None) -> ChunkModel:
    n = len(states)
    ids = np.arange(n, dtype=np.int32) * 10
    boxes = np.column_stack([np.arange(n), np.arange(n) + 1, np.zeros(n), np.ones(n)]).astype(float)
    model = ChunkModel(ChunkTable(count=n, ids=ids.tobytes(), boxes=boxes.tobytes()))
    owners = [-1] * n if owners is None else owners
    model.update(
        ChunkStates(
            revision=1,
            states=np.array(states, np.uint8).tobytes(),
            attempts=np.array(attempts if attempts is not None else [1] * n, np.uint8).tobytes(),
            clients=np.array(owners, "<i4").tobytes(),
            client_names=tuple(name for name, _ in CLIENTS),
            client_hosts=tuple(host for _, host in CLIENTS),
            rows=(np.arange(n, dtype="<i8") * 1000).tobytes(),
            seconds=np.linspace(0, 9, n, dtype="<f4").tobytes(),
        )
    )
    return model


@pytest.fixture
def model() -> ChunkModel:
    made = model_of([0, 1, 2, 4, 4, 3, 5, 4], [-1, 0, 1, 2, 0, 2, -1, 2], [0, 1, 1, 3, 3, 1, 1, 2])
    made.set_causes(CAUSES)
    return made


def ids(model: ChunkModel, text: str, sort: str = "id", *, reverse: bool = False) -> list[int]:
    return model.ids[model.select(parse(text), sort, reverse=reverse)].tolist()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [0, 10, 20, 30, 40, 50, 60, 70]),
        ("state:limbo", [30, 40, 70]),
        ("state:lim", [30, 40, 70]),
        ("state:", [0, 10, 20, 30, 40, 50, 60, 70]),
        ("state:work", [10, 20]),
        ("state:pending", [0, 60]),
        ("state:retrying", [60]),
        ("state:limbo,retrying", [30, 40, 60, 70]),
        ("state:limbo state:retrying", [30, 40, 60, 70]),
        ("!state:done", [0, 10, 20, 30, 40, 60, 70]),
        ("state:limbo host:db05", [30, 70]),
        ("host:DB05", [30, 50, 70]),
        ("client:db01-1", [10, 40]),
        ("client:db01-1,db01-2", [10, 20, 40]),
        ("error:space", [30, 70]),
        ('error:"no space left"', [30, 70]),
        ("error:z", [40]),
        ("20..45", [20, 30, 40]),
        ("45..20", [20, 30, 40]),
        ("40 0..10", [0, 10, 40]),
        ("!0..50", [60, 70]),
        ("4321", []),
        ("attempts:>1", [30, 40, 70]),
        ("attempts:3", [30, 40]),
        ("rows:>=7000", [70]),
        ("attempts:>", [0, 10, 20, 30, 40, 50, 60, 70]),
        ("space", [30, 70]),
        ("limbo db05", [30, 70]),
    ],
)
def test_filters(model, text, found):
    assert ids(model, text) == found
    assert not parse(text).problem


@pytest.mark.parametrize(
    ("text", "word"), [("colour:red", "fields are"), ("state:happy", "states are"), ("rows:many", "rows:>1")]
)
def test_what_cannot_be_read_is_named_and_left_out(model, text, word):
    assert word in parse(text).problem
    assert ids(model, text + " state:limbo") == [30, 40, 70]


@given(st.text(st.sampled_from('abst:e!".,0123 <>=limbo"')))
def test_reading_never_fails(text):
    assert isinstance(parse(text), Filter)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.lists(st.sampled_from(sorted(STATE_WORDS)), max_size=2),
    st.lists(st.tuples(st.integers(0, 320), st.integers(0, 320)), max_size=2),
    st.sampled_from(["", "db01", "db05-1", "db"]),
    st.randoms(),
)
def test_a_filter_selects_what_a_plain_loop_selects(states, words, ranges, client, random):
    owners = [random.randrange(-1, len(CLIENTS)) for _ in states]
    model = model_of(states, owners)
    text = " ".join([*(f"state:{w}" for w in words), *(f"{a}..{b}" for a, b in ranges), f"client:{client}"])

    def passes(k: int) -> bool:
        state = CHUNK_STATES[states[k]]
        name = CLIENTS[owners[k]][0] if owners[k] >= 0 else ""
        return (
            (not words or any(state in STATE_WORDS[w] for w in words))
            and (not ranges or any(min(r) <= 10 * k <= max(r) for r in ranges))
            and client in name
        ) and (not client or bool(name))

    assert ids(model, text) == [10 * k for k in range(len(states)) if passes(k)]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("reverse", [False, True])
def test_every_sort_keeps_every_chunk(model, sort, reverse):
    assert sorted(ids(model, "", sort, reverse=reverse)) == model.ids.tolist()


def test_sorting_by_state_puts_first_what_needs_a_person(model):
    assert ids(model, "", "state") == [30, 40, 70, 60, 10, 20, 0, 50]


def test_sorting_by_client_puts_chunks_without_one_last(model):
    assert ids(model, "", "client")[-2:] == [0, 60]


def test_rows_name_the_chunk_its_state_and_its_cause(model):
    rows = ChunkRows(model, model.select(parse("state:limbo")), {40}, Signs())
    cells = [cell.text for cell in rows.line(0).cells]
    assert cells[1:3] == ["30", "✗ limbo"]
    assert cells[-1] == "No space left on /scratch"
    assert rows.line(1).cells[0].text == "■"
    assert rows.find(70) == 2
    assert rows.find(0) == -1
    assert rows.find("x") == -1
    assert rows.key(2) == 70


def test_a_quoted_term_finds_its_own_cause(model):
    assert ids(model, quoted("error", CAUSES[0].text)) == [30, 70]
    assert ids(model, quoted("error", CAUSES[1].text)) == [40]
    assert parse(quoted("error", 'a "b" \\ c')).texts == (("error", 'a "b" \\ c'),)


def test_state_words_cover_all_states():
    assert frozenset().union(*STATE_WORDS.values()) == frozenset(ChunkState)
    assert "state" in FIELDS


def test_the_last_error_of_a_retrying_chunk_is_a_cause_too(model):
    news = ChunkStates(
        revision=2,
        states=np.array([5, 5, 2, 4, 4, 3, 5, 4], np.uint8).tobytes(),
        attempts=bytes(8),
        clients=bytes(32),
        client_names=("db01-1",),
        client_hosts=("db01",),
        rows=bytes(64),
        seconds=bytes(32),
        failed=np.array([6, 0], "<i4").tobytes(),
        failed_of=np.array([1, 0], "<i4").tobytes(),
        failed_texts=("lost after # s of space", "killed\x1b"),
    )
    model.update(news)
    assert ids(model, "error:space") == [0, 30, 70]
    assert ids(model, "error:space state:retrying") == [0]
    assert ids(model, "error:killed") == [60]
    assert ids(model, "", "error")[:5] == [30, 70, 40, 60, 0]
    model.set_causes(())
    assert ids(model, "error:space") == [0]
    model.update(model_news := ChunkStates(**{f: getattr(news, f) for f in news.__struct_fields__[:-3]}))
    assert model_news.failed == b""
    assert ids(model, "error:space") == []


def test_a_model_takes_only_news(model):
    assert model.index(35) == -1
    assert model.index(-1) == -1
    assert model.client(0) == ("", "")
    assert model.client(3) == ("db05-1", "db05")
    assert not model.set_causes(CAUSES)
    assert model.set_causes(())
    assert ids(model, "error:space") == []
