"""Spec files: what is read from them, in which order tables are made, and what each mistake is told as."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgconsole.catalog.describe import describe
from dgconsole.catalog.model import Spec
from dgconsole.catalog.order import CycleError, all_needs, making_order
from dgconsole.catalog.spec import SpecFile, load_spec, read_spec
from dgconsole.support.errors import InputError

ROOT = Path(__file__).parents[2]

HEAD = """\
from dgconsole.catalog import Chunker, UniformSpatialModel, columns
chunker = Chunker(0, 200, 5)
"""


def load(text: str, cwd: Path | None = None) -> Spec:
    return load_spec(SpecFile("my.py", "here/my.py", text.encode()), cwd=cwd)


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(text)
    for line in str(caught.value).splitlines():
        assert line.startswith("here/my.py"), line
    return [str(problem) for problem in caught.value.problems]


def problem(text: str) -> str:
    (one,) = problems(text)
    return one


def test_the_shipped_spec() -> None:
    spec = load_spec(read_spec(ROOT / "fakeGenSpec.py"))
    assert [table.name for table in spec.tables] == ["Object", "CcdVisit", "ForcedSource"]
    assert spec.table("Object").names[:4] == ("objectId", "ra", "decl", "uPsFlux")
    assert spec.directors == {"Object": {"ForcedSource": "objectId"}}
    assert spec.edge_width == 0.017
    assert spec.warnings == ()
    assert (spec.chunker.num_stripes, spec.chunker.num_sub_stripes) == (200, 5)


def test_its_description() -> None:
    description = describe(load_spec(read_spec(ROOT / "fakeGenSpec.py")))
    objects, visits, forced = description.tables
    assert (objects.id_column, objects.ra, objects.dec) == ("objectId", "ra", "decl")
    assert objects.density == "UniformSpatialModel(1000)"
    assert [column.type for column in objects.columns[:4]] == ["BIGINT", "DOUBLE", "DOUBLE", "DOUBLE"]
    assert (visits.id_column, visits.visit_column, visits.density) == ("", "ccdVisitId", "")
    assert forced.prereq_tables == ("Object", "CcdVisit")
    assert {column.generator for column in forced.columns} == {"ForcedSourceGenerator"}
    source = (ROOT / "fakeGenSpec.py").read_text().splitlines()
    assert source[objects.line - 1] == '    "Object": {'


class TestOrder:
    """Prerequisites first, each table once, otherwise as the spec lists them."""

    def test_prerequisites_come_first(self) -> None:
        needs = {"F": ["O", "V"], "S": ["V", "O"], "X": [], "O": [], "V": []}
        assert making_order(needs) == ("O", "V", "F", "S", "X")

    def test_chains(self) -> None:
        needs = {"C": ["B"], "B": ["A"], "A": []}
        assert making_order(needs) == ("A", "B", "C")
        assert all_needs("C", needs) == ("A", "B")

    def test_a_cycle_is_told_by_its_path(self) -> None:
        with pytest.raises(CycleError, match="A -> B -> C -> A"):
            making_order({"Z": ["A"], "A": ["B"], "B": ["C"], "C": ["A"]})

    def test_a_table_that_needs_itself(self) -> None:
        with pytest.raises(CycleError, match="A -> A"):
            making_order({"A": ["A"]})

    @given(st.permutations(range(8)), st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7))))
    def test_any_graph_without_cycles(self, listed: list[int], edges: set[tuple[int, int]]) -> None:
        needs = {str(n): [str(b) for a, b in sorted(edges) if a == n and b < a] for n in listed}
        order = making_order(needs)
        assert sorted(order) == sorted(needs)
        for table in needs:
            assert all(order.index(need) < order.index(table) for need in needs[table])


class TestReading:
    def test_types_behind_names_are_split_off(self) -> None:
        spec = load(HEAD + 'spec = {"T": {"columns": {"a:FLOAT, b:DECIMAL(10,2),c": columns.UniformGenerator(3)}}}')
        (group,) = spec.tables[0].columns
        assert group.names == ("a", "b", "c")
        assert group.types == ("FLOAT", "DECIMAL(10,2)", "")

    def test_tables_added_later(self) -> None:
        text = (
            HEAD + 'spec = {}\nspec["A"] = {"columns": {"a": columns.UniformGenerator()}}\nspec |= {\n"B": spec["A"]}'
        )
        spec = load(text)
        assert [(table.name, table.line) for table in spec.tables] == [("A", 4), ("B", 6)]

    def test_lines_through_names_and_calls(self) -> None:
        text = HEAD + 'one = {\n"columns": {\n"a": columns.UniformGenerator}}\nspec = dict(\nA=one)'
        assert problem(text).startswith("here/my.py:5: spec.A.columns.a: UniformGenerator is a class")

    def test_edge_width_and_directors_may_be_absent(self) -> None:
        spec = load(HEAD + 'spec = {"A": {"columns": {"a": columns.UniformGenerator()}}}')
        assert spec.edge_width is None
        assert spec.directors is None

    def test_prereq_row_is_a_prerequisite(self) -> None:
        text = HEAD + (
            "class G(columns.ColumnGenerator):\n"
            "    def values(self, rows): return rows.ids\n"
            'spec = {"B": {"prereq_row": "A", "columns": {"b": G()}},\n'
            '"A": {"columns": {"a": columns.ObjIdGenerator()}}}'
        )
        spec = load(text)
        assert [table.name for table in spec.tables] == ["A", "B"]
        assert spec.table("B").prereq_tables == ("A",)

    def test_it_runs_in_its_folder_and_comes_back(self, tmp_path: Path) -> None:
        (tmp_path / "names.txt").write_text("a,b")
        before = Path.cwd()
        text = HEAD + (
            "from pathlib import Path\n"
            'spec = {"A": {"columns": {Path("names.txt").read_text(): columns.UniformGenerator(2)}}}'
        )
        assert load(text, tmp_path).tables[0].names == ("a", "b")
        assert Path.cwd() == before

    def test_global_random_numbers_are_the_same_everywhere_and_put_back(self) -> None:
        text = HEAD + (
            "import random, numpy\n"
            'spec = {"A": {"density": UniformSpatialModel(numpy.random.rand() + random.random()),'
            '"columns": {"a": columns.UniformGenerator()}}}'
        )
        np.random.seed(5)
        random.seed(5)
        first, mine = load(text), (np.random.rand(), random.random())
        np.random.seed(6)
        random.seed(6)
        second = load(text)
        assert first.tables[0].density.density == second.tables[0].density.density
        np.random.seed(5)
        random.seed(5)
        assert mine == (np.random.rand(), random.random())

    def test_dataclasses_with_postponed_annotations(self) -> None:
        text = (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n" + HEAD + "@dataclass\n"
            "class G:\n    n: int = 1\n    def __call__(self, box, length, seed, spec_cols, **k): return [0]\n"
            'spec = {"A": {"columns": {"a": G()}}}'
        )
        assert load(text).tables[0].names == ("a",)

    def test_keys_written_twice_are_warned_of(self) -> None:
        text = (
            HEAD + 'spec = {"A": {"columns": {"a": columns.UniformGenerator()}},\n"A": {"columns": {\n"b": columns.'
        )
        spec = load(text + "ObjIdGenerator()}}}")
        assert spec.warnings == ("here/my.py:4: A is written twice; the last one counts",)
        assert spec.tables[0].line == 4

    def test_a_density_of_the_users_own(self) -> None:
        text = HEAD + (
            "class D:\n    def get_density_at_point(self, ra, dec): return abs(dec)\n"
            'spec = {"A": {"density": D(), "columns": {"a": columns.ObjIdGenerator()}}}'
        )
        density = load(text).tables[0].density
        assert density.densities(np.array([1.0]), np.array([-3.0])).tolist() == [3.0]
        assert describe(load(text)).tables[0].density == "D"

    def test_it_is_read_without_heavy_packages(self) -> None:
        import subprocess
        import sys

        code = (
            "import sys, pathlib; from dgconsole.catalog.spec import load_spec, read_spec;"
            "from dgconsole.catalog.describe import describe;"
            "describe(load_spec(read_spec(pathlib.Path('fakeGenSpec.py'))));"
            "print({'healpy', 'scipy', 'astropy', 'polars', 'pyarrow', 'lsst.sphgeom', 'textual'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"


A = 'spec = {"A": {"columns": {"a": columns.ObjIdGenerator()}}}\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = (\n", ":1: not valid Python: '(' was never closed"),
        ("import pandaz", ":1: No module named 'pandaz'; install it for"),
        (HEAD + "def f():\n    return 1 / 0\nf()", ":4: the spec raises ZeroDivisionError: division by zero"),
        (HEAD + "import sys\nsys.exit(4)", ":4: the spec ends the process (exit(4))"),
        (HEAD + "columns.UniformGenerator(0)", ":3: n_columns=0: give a whole number of at least 1"),
        (HEAD + "columns.UniformGenerator(width=2)", ":3: the spec raises TypeError: "),
        (HEAD + "Chunker(0, 0, 5)", ":3: num_stripes=0: give a whole number of at least 1"),
        (HEAD, ": spec: is not defined"),
        (HEAD + "spec = []", ":3: spec: must be a dict with at least one table"),
        (HEAD + A + "chunker = 5", ":4: chunker: is a int; write Chunker(0, stripes, sub_stripes)"),
        (HEAD + A + "edge_width = 'wide'", ":4: edge_width: is 'wide'; give a number of degrees"),
        (HEAD + A + "directors = ['A']", ':4: directors: must be like {"Object"'),
        (HEAD + A + "directors = {'B': {}}", ":4: directors: there is no table 'B'"),
        (HEAD + A + "directors = {'A': {'A': 'aa'}}", ":4: directors: A: A has no column 'aa'; did you mean 'a'?"),
        (
            HEAD + A + "spec['My_A'] = spec['A']",
            ":4: spec.My_A: a table is called 'My_A'; use letters and digits only",
        ),
        (HEAD + A + "spec['../A'] = spec['A']", ":4: spec.../A: a table is called '../A'"),
        (HEAD + A + "spec['B'] = 1", ":4: spec.B: must be a dict with the key 'columns'"),
        (HEAD + A + "spec['A']['densty'] = 1", ":4: spec.A.densty: unknown key 'densty'; did you mean 'density'?"),
        (HEAD + A + "spec['A']['density'] = 7", ":4: spec.A.density: is 7; write UniformSpatialModel(7)"),
        (
            HEAD + A + "spec['A']['density'] = UniformSpatialModel",
            ":4: spec.A.density: is the class UniformSpatialModel",
        ),
        (
            HEAD + A + "spec['A']['prereq_tables'] = 'A'",
            ":4: spec.A.prereq_tables: is 'A'; give a list of table names",
        ),
        (HEAD + A + "spec['A']['prereq_tables'] = ['Aa']", "there is no table 'Aa'; did you mean 'A'?"),
        (HEAD + A + "spec['A']['prereq_row'] = 'B'", ":4: spec.A.prereq_row: there is no table 'B'"),
        (
            HEAD + A + "spec['A']['prereq_tables'] = ['A']",
            "tables need each other: A -> A; take one prerequisite out",
        ),
        (
            HEAD + A + "spec['A']['columns'] = {}",
            ":4: spec.A.columns: 'columns' must be a dict of names to generators",
        ),
        (HEAD + A + "spec['A']['columns']['b'] = 3", ":4: spec.A.columns.b: a int makes no columns"),
        (HEAD + A + "spec['A']['columns']['a,'] = columns.UniformGenerator(2)", "there are two columns 'a'"),
        (HEAD + A + "spec['A']['columns']['b,c'] = columns.UniformGenerator()", "2 names for the 1 columns"),
        (HEAD + A + "spec['A']['columns']['b'] = columns.ColumnGenerator()", "give it a method values(rows)"),
        (HEAD + A + "spec['A']['columns']['b:BLOB'] = columns.SourceGenerator()", "knows no type 'BLOB'"),
        (HEAD + A + "spec['A']['from_file'] = 3", ":4: spec.A.from_file: is 3; give one name as text"),
        (HEAD + A + "spec['A']['from_file'] = 'v.csv'", "has its column names in one text"),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    assert expected in problems(text)[0]


def test_an_empty_name_is_named() -> None:
    assert "holds the name ''" in problem(HEAD + 'spec = {"A": {"columns": {"a,": columns.UniformGenerator(2)}}}')


def test_a_source_needs_objects_and_visits() -> None:
    text = HEAD + A + "spec['F'] = {'prereq_tables': ['A'], 'columns': {'o,v,f,s': columns.ForcedSourceGenerator()}}"
    objects, visits = problems(text)
    assert "needs a table with ObjIdGenerator and RaDecGenerator among its prereq_tables" in objects
    assert "needs a table with VisitIdGenerator, or one from_file, among its prereq_tables" in visits


def test_all_problems_come_at_once() -> None:
    text = "edge_width = None\nspec = {'A': {}, 'B_': {}, 'C': {'columns': {}, 'desity': 1}}"
    assert len(problems(text)) == 5


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.py: the spec can't be read: No such file"):
        read_spec(tmp_path / "none.py")


def test_a_density_that_has_no_effect_is_warned_of() -> None:
    text = (
        HEAD + A + ("spec['A'].update({'from_file': 'a.csv', 'columns': 'a,b', 'density': UniformSpatialModel(3)})\n")
    )
    spec = load(text)
    assert spec.warnings == ("A: density has no effect, the rows come from a.csv",)
    assert spec.tables[0].names == ("a", "b")
