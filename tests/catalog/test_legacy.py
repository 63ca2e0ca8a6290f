"""Generators of a user's own in the original's calling forms: what they get, and what is made of their answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.dialects import original_packages
from dgconsole.catalog.frames import Frame
from dgconsole.catalog.legacy import Form, LegacyGenerator
from dgconsole.catalog.spec import SpecFile, load_spec, read_spec
from dgconsole.catalog.wholechunk import ChunkColumns, ChunkRequest
from dgconsole.sky.boxes import Box
from dgconsole.support.errors import ChunkError, Fault

SPECS = Path(__file__).parent / "specs"
CHUNK = 14012
OBJECTS = {"objectId": np.arange(5), "ra": np.linspace(20.0, 21.0, 5), "filterName": np.array([*"ugriz"], object)}


def request(**changes: Any) -> ChunkRequest:
    given: dict[str, Any] = {
        "table": "T",
        "names": ("a",),
        "key": "a",
        "chunk": CHUNK,
        "box": Box(20.0, 21.0, -10.0, -9.0),
        "seed": 1,
        "length": 5,
        "row_of": "",
        "tables": {},
    }
    return ChunkRequest(**{**given, **changes})


def made(generator: Callable[..., Any], **changes: Any) -> list[NDArray[Any]]:
    return LegacyGenerator(generator).make(request(**changes))


class TestCalls:
    """Each revision's arguments, by position and by name."""

    def test_the_box_form(self) -> None:
        seen: dict[str, Any] = {}

        def generator(box: Any, length: int, seed: int, spec_cols: str, **kwargs: Any) -> NDArray[Any]:
            seen.update(kwargs, box=box, length=length, seed=seed, spec_cols=spec_cols)
            return np.arange(length)

        made(generator, key="a:FLOAT", tables={"Object": OBJECTS})
        assert (seen["box"].raA, seen["box"].raB, seen["box"].decA, seen["box"].decB) == (20.0, 21.0, -10.0, -9.0)
        assert (seen["length"], seen["seed"], seen["spec_cols"]) == (5, 1, "a:FLOAT")
        assert seen["box_center"].ra.deg == 20.5
        assert seen["box_center"].dec.deg == -9.5
        assert seen["unique_box_id"] == CHUNK * 8
        assert seen["edge_only"] is False
        assert list(seen["prereq_tables"]) == ["Object"]
        assert "prereq_row" not in seen

    def test_the_chunk_form(self) -> None:
        def generator(
            chunk_id: int, length: int, seed: int, prereq_row: Any = None, prereq_tables: Any = None
        ) -> NDArray[Any]:
            assert (chunk_id, length, seed, prereq_row, len(prereq_tables)) == (CHUNK, 5, 1, None, 0)
            return np.arange(length)

        assert made(generator)[0].tolist() == [0, 1, 2, 3, 4]

    def test_the_chunk_form_row_by_row(self) -> None:
        def generator(chunk_id: int, length: int, seed: int, prereq_row: Any, prereq_tables: Any) -> tuple[Any, Any]:
            number = int(prereq_row["objectId"])
            return np.full(number, prereq_row.ra), np.random.rand(number)

        ra, noise = made(generator, names=("ra", "noise"), length=None, row_of="Object", tables={"Object": OBJECTS})
        assert ra.tolist() == np.repeat(OBJECTS["ra"], range(5)).tolist()
        assert len(set(noise.tolist())) == 10

    def test_rows_of_an_empty_table(self) -> None:
        def generator(chunk_id: int, length: int, seed: int, prereq_row: Any) -> NDArray[Any]:
            raise AssertionError("there is no row to call it for")

        nothing = {"Object": {"objectId": np.zeros(0, np.int64)}}
        assert [len(a) for a in made(generator, length=None, row_of="Object", tables=nothing)] == [0]

    def test_the_box_form_knows_no_rows(self) -> None:
        def generator(box: Any, length: int, seed: int, spec_cols: str, prereq_tables: Any) -> NDArray[Any]:
            return prereq_tables["Object"]["objectId"] * 2

        found = made(generator, length=None, row_of="Object", tables={"Object": OBJECTS})
        assert found[0].tolist() == [0, 2, 4, 6, 8]

    @pytest.mark.parametrize(
        ("generator", "form", "places"),
        [
            (lambda box, length, seed, spec_cols: 0, Form.BOX, 4),
            (lambda box, length, seed, spec_cols, **kwargs: 0, Form.BOX, 4),
            (lambda b, n, s, c: 0, Form.BOX, 4),
            (lambda *args, **kwargs: 0, Form.BOX, 4),
            (lambda chunk_id, length, seed, **kwargs: 0, Form.CHUNK, 3),
            (lambda chunk_id, length, seed, prereq_row=None, prereq_tables=None: 0, Form.CHUNK, 3),
            (lambda cell_id, length, **kwargs: 0, Form.CHUNK, 2),
            (lambda cell_id, length, prereq_row=None, prereq_tables=None: 0, Form.CHUNK, 2),
            (lambda chunk_id, *rest, prereq_row=None: 0, Form.CHUNK, 3),
        ],
    )
    def test_the_form_is_read_from_the_signature(self, generator: Any, form: Form, places: int) -> None:
        call = LegacyGenerator(generator)._call
        assert (call.form, call.places) == (form, places)

    def test_it_is_a_maker_of_whole_chunks(self) -> None:
        assert isinstance(LegacyGenerator(lambda box, length, seed, spec_cols: 0), ChunkColumns)


class TestStream:
    """numpy's global stream: seeded by address, put back afterwards."""

    def draws(self, **changes: Any) -> list[float]:
        numbers: list[float] = made(lambda box, n, seed, cols, **kw: np.random.rand(n), **changes)[0].tolist()
        return numbers

    def test_the_same_address_gives_the_same_numbers(self) -> None:
        np.random.seed(1)
        first = self.draws()
        np.random.seed(2)
        assert self.draws() == first

    @pytest.mark.parametrize("change", [{"seed": 2}, {"chunk": 14013}, {"table": "U"}, {"key": "b"}])
    def test_another_address_gives_others(self, change: dict[str, Any]) -> None:
        assert set(self.draws()).isdisjoint(self.draws(**change))

    def test_the_stream_of_others_goes_on_undisturbed(self) -> None:
        np.random.seed(3)
        expected = np.random.rand(2).tolist()
        np.random.seed(3)
        first = np.random.rand()
        self.draws()
        assert [first, np.random.rand()] == expected

    def test_it_is_put_back_after_an_error(self) -> None:
        def generator(box: Any, length: int, seed: int, spec_cols: str) -> None:
            np.random.seed(9)
            raise KeyError("no")

        np.random.seed(3)
        expected = np.random.rand()
        np.random.seed(3)
        with pytest.raises(KeyError):
            made(generator)
        assert np.random.rand() == expected


class TestAnswers:
    @pytest.mark.parametrize("answer", [np.arange(5), [np.arange(5)], (np.arange(5),), (range(5),)])
    def test_one_column(self, answer: Any) -> None:
        (column,) = made(lambda *args, **kwargs: answer)
        assert column.tolist() == [0, 1, 2, 3, 4]

    def test_extra_columns_are_handed_on(self) -> None:
        assert len(made(lambda *args, **kwargs: (np.arange(5), np.arange(5)))) == 2

    def test_text_and_flags(self) -> None:
        answer = (
            np.array([*"ugriz"]),
            np.array([b"u"] * 5),
            np.arange(5) > 2,
            np.array(["a", None] * 2 + [""], object),
        )
        text, raw, flags, mixed = made(lambda *args, **kwargs: answer, names=tuple("abcd"))
        assert text.dtype == object
        assert raw.tolist() == ["u"] * 5
        assert flags.dtype == np.int8
        assert mixed.tolist() == ["a", None, "a", None, ""]

    @pytest.mark.parametrize(
        ("answer", "names", "words"),
        [
            (np.arange(4), ("a",), "returned 4 rows where 5 were asked for"),
            ((np.arange(5),), ("a", "b"), "returned 1 arrays for 2 names"),
            (np.zeros((2, 5)), ("a",), r"returned an array of shape \(2, 5\)"),
            ((np.arange(5), np.arange(4)), ("a", "b"), r"returned columns of different lengths \(4, 5\)"),
            (None, ("a",), r"returned an array of shape \(\)"),
        ],
    )
    def test_what_does_not_fit(self, answer: Any, names: tuple[str, ...], words: str) -> None:
        class Mine:
            def __call__(self, *args: Any, **kwargs: Any) -> Any:
                return answer

        with pytest.raises(ChunkError, match=f"T: Mine for 'a' {words}") as caught:
            made(Mine(), names=names)
        assert caught.value.fault is Fault.SPEC

    def test_rows_that_answer_differently(self) -> None:
        def generator(chunk_id: int, length: int, seed: int, prereq_row: Any) -> list[NDArray[Any]]:
            return [np.zeros(1)] * (1 + int(prereq_row.objectId) % 2)

        with pytest.raises(ChunkError, match="more arrays for some rows"):
            made(generator, length=None, row_of="Object", tables={"Object": OBJECTS})


class TestFrame:
    """What code written for data frames may do with a prerequisite table."""

    frame = Frame(OBJECTS)

    def test_columns(self) -> None:
        assert self.frame["ra"].values.tolist() == OBJECTS["ra"].tolist()
        assert self.frame.ra.to_numpy().sum() == pytest.approx(102.5)
        assert self.frame["objectId"].iloc[2] == 2
        assert type(self.frame["ra"].values) is np.ndarray
        assert self.frame.columns == list(self.frame) == ["objectId", "ra", "filterName"]
        assert self.frame[["ra", "objectId"]].columns == ["ra", "objectId"]
        assert "ra" in self.frame
        assert "dec" not in self.frame

    def test_rows(self) -> None:
        assert len(self.frame) == 5
        assert self.frame.shape == (5, 3)
        assert not self.frame.empty
        assert list(self.frame.index) == [0, 1, 2, 3, 4]
        row = self.frame.iloc[1]
        assert (row["objectId"], row.filterName, dict(row)["ra"]) == (1, "g", 20.25)
        assert [(number, row.objectId) for number, row in self.frame.iterrows()] == [(n, n) for n in range(5)]

    def test_some_of_the_rows(self) -> None:
        mask = self.frame["filterName"] == "r"
        assert self.frame[mask]["objectId"].tolist() == [2]
        assert self.frame.iloc[1:3].objectId.tolist() == [1, 2]
        assert self.frame.iloc[[4, 0]].objectId.tolist() == [4, 0]
        assert self.frame.loc[mask, "ra"].tolist() == [20.5]

    def test_what_is_not_there(self) -> None:
        with pytest.raises(AttributeError, match="groupby: the table has the columns objectId, ra"):
            self.frame.groupby("ra")
        with pytest.raises(AttributeError, match="dec: the row has objectId, ra"):
            _ = self.frame.iloc[0].dec
        with pytest.raises(KeyError):
            self.frame["dec"]


class TestInASpec:
    """A whole spec with generators of the user's own."""

    @pytest.fixture
    def catalog(self) -> Catalog:
        return Catalog(
            load_spec(read_spec(SPECS / "ownclasses.py")),
            seed=1,
            visits=30,
            objects=100,
            overlaps={"Object": 0.1},
            on_warning=lambda text: None,
        )

    def frame(self, catalog: Catalog, table: str, rows: int = 8192, chunk: int = CHUNK) -> pl.DataFrame:
        return pl.concat([pl.DataFrame(list(batch.series())) for batch in catalog.batches(table, chunk, rows)])

    def test_the_size_of_batches_changes_nothing(self, catalog: Catalog) -> None:
        whole = self.frame(catalog, "Object")
        assert whole.equals(self.frame(catalog, "Object", rows=7))
        assert whole.columns == ["objectId", "ra", "decl", "redshift", "size", "isStar"]
        assert whole["isStar"].unique().sort().to_list() == [0, 1]

    def test_children_by_rows(self, catalog: Catalog) -> None:
        objects, children = self.frame(catalog, "Object"), self.frame(catalog, "Detection")
        counts = dict(children.group_by("objectId").len().iter_rows())
        assert counts == {i: i % 3 for i in objects["objectId"].to_list() if i % 3}
        redshift = dict(objects.select("objectId", "redshift").iter_rows())
        noise = [value - redshift[i] for i, value in children.iter_rows()]
        assert len(set(noise)) == len(noise)

    def test_neighbours_rows_are_those_of_the_neighbours(self, catalog: Catalog) -> None:
        chunker = load_spec(read_spec(SPECS / "ownclasses.py")).chunker
        around = [chunk for chunk in chunker.getChunksAround(CHUNK, 0.1) if chunk != CHUNK]
        theirs = pl.concat([self.frame(catalog, "Object", chunk=chunk) for chunk in around])
        found = pl.concat([pl.DataFrame(list(b.series())) for b in catalog.neighbour_batches("Object", CHUNK)])
        assert 0 < found.height < theirs.height
        assert found.join(theirs, on=theirs.columns, how="anti").height == 0

    def test_chunks_in_another_order_are_the_same(self, catalog: Catalog) -> None:
        first = self.frame(catalog, "Object")
        self.frame(catalog, "Object", chunk=14013)
        fresh = Catalog(
            load_spec(read_spec(SPECS / "ownclasses.py")),
            seed=1,
            visits=30,
            objects=100,
            on_warning=lambda text: None,
        )
        self.frame(fresh, "Object", chunk=14013)
        assert first.equals(self.frame(fresh, "Object"))

    def test_what_they_raise_belongs_to_the_chunk(self) -> None:
        text = (SPECS / "ownclasses.py").read_text().replace("np.random.gamma(2.0, 0.3, length)", "1 / 0")
        spec = load_spec(SpecFile("own.py", "own.py", text.encode()))
        catalog = Catalog(spec, seed=1, visits=30, objects=100, on_warning=lambda text: None)
        with pytest.raises(ChunkError, match="ZeroDivisionError"):
            list(catalog.batches("Object", CHUNK))

    def test_arrays_without_names_are_told_of_once(self) -> None:
        warnings: list[str] = []
        spec = load_spec(read_spec(SPECS / "ownclasses.py"))
        catalog = Catalog(spec, seed=1, visits=30, objects=100, on_warning=warnings.append)
        for chunk in (CHUNK, 14013):
            self.frame(catalog, "Object", chunk=chunk)
        assert warnings == ["Object, columns size,isStar: the last 1 of 3 arrays have no name and are dropped"]

    def test_they_are_told_of(self) -> None:
        warnings = load_spec(read_spec(SPECS / "ownclasses.py")).warnings
        assert [text.partition(" makes")[0] for text in warnings] == [
            "Object.redshift: Redshift",
            "Object.size,isStar: Shape",
            "Detection.objectId,redshift: Detections",
        ]


def test_a_plain_function_will_do() -> None:
    with original_packages():
        assert LegacyGenerator(lambda *args, **kwargs: np.zeros(5)).name == "<lambda>"
