"""The examples of docs/catalog.md are specs that work, and its vocabulary is the one there is."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import dgconsole.catalog
from dgconsole.catalog import columns
from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.spec import SpecFile, load_spec

PAGE = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples(number: int) -> None:
    spec = load_spec(SpecFile("example.py", "example.py", EXAMPLES[number].encode()))
    assert spec.warnings == ()
    catalog = Catalog(spec, seed=1, visits=30, objects=100, on_warning=pytest.fail)
    for table in catalog.tables:
        assert sum(batch.length for batch in catalog.batches(table, 14012)) > 0


def test_a_generator_of_ones_own() -> None:
    spec = load_spec(SpecFile("example.py", "example.py", EXAMPLES[1].encode()))
    catalog = Catalog(spec, seed=1, visits=30, objects=100, on_warning=pytest.fail)
    (whole,) = catalog.batches("Object", 14012)
    motion = whole.column("pmRa")
    assert 0.05 < np.isnan(motion).mean() < 0.15
    assert whole.column("pmDec").dtype == np.float32
    apart = np.concatenate([batch.column("pmRa") for batch in catalog.batches("Object", 14012, rows=10)])
    np.testing.assert_array_equal(motion, apart)


def test_signatures() -> None:
    rows = re.findall(r"^\| `(\w+Generator)(\(.*?\))` \|", PAGE, re.MULTILINE)
    assert len(rows) == 9
    for name, written in rows:
        signature = inspect.signature(getattr(columns, name))
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
        shown = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
        assert shown.replace("'", '"') == written.replace("0.30", "0.3")


def test_source_types() -> None:
    shown = re.search(r"\| type in a key of `SourceGenerator`.*?\n\n", PAGE, re.DOTALL)
    assert shown is not None
    assert set(re.findall(r"`([A-Z]+(?:\(1\))?)`", shown[0])) == set(columns.SourceGenerator.TYPES)


def test_public_names() -> None:
    for name in dgconsole.catalog.__all__:
        assert getattr(dgconsole.catalog, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Chunks'"):
        _ = dgconsole.catalog.Chunks
