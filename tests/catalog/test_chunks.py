"""The catalog chunk by chunk: own rows, neighbours' rows, counts, and tables that follow others."""

import subprocess
import sys
from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgconsole.catalog import Chunker, HealpixSpatialModel, UniformSpatialModel, columns
from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.model import ColumnSet, Spec, Table
from dgconsole.catalog.positions import Positions
from dgconsole.catalog.streams import row_ids
from dgconsole.sky.overlap import Overlap, largest_overlap
from dgconsole.sky.tiling import tiling_of
from dgconsole.support.errors import ChunkError, Fault

CHUNKER = Chunker(0, 12, 4)
TILING = CHUNKER.tiling
RADIUS = 0.9
ALL = [int(chunk) for chunk in TILING.chunk_ids()]


def entry(key, generator):
    pairs = [part.partition(":") for part in key.split(",")]
    return ColumnSet(tuple(p[0] for p in pairs), tuple(p[2] for p in pairs), generator, key)


def table(name="Object", density=None, prereqs=(), prereq_row="", **entries):
    return Table(name, tuple(entry(k, g) for k, g in entries.items()), density, prereqs, prereq_row)


def catalog(*tables, objects=300, visits=5, directors=None, chunker=CHUNKER, **options):
    spec = Spec("test", tables, chunker, directors=directors)
    options.setdefault("overlaps", {"Object": RADIUS})
    return Catalog(spec, seed=1, visits=visits, objects=objects, on_warning=lambda text: None, **options)


def values(batches):
    """Column -> all values, and the place; words spelled out."""
    found = {}
    for batch in batches:
        for block in batch.blocks:
            for name, row in zip(block.names, block.values, strict=True):
                found.setdefault(name, []).append(np.array(block.words)[row] if block.words else row)
        found.setdefault("place", []).append(np.stack([batch.ra, batch.dec]))
    return {name: np.concatenate(parts, axis=-1) for name, parts in found.items()}


class OwnPlaces(columns.ColumnGenerator):
    """Positions of the user's own: denser towards the south-east corner of each chunk."""

    def values(self, rows):
        u, v = rows.uniform(2)
        box = rows.box
        ra = box.ra_min + 1e-6 + (box.ra_max - box.ra_min - 2e-6) * u * u
        return ra, box.dec_max - 1e-6 - (box.dec_max - box.dec_min - 2e-6) * v * v


class AllAtOnce:
    """A generator that makes a chunk at once."""

    calls: ClassVar = Counter()

    def make(self, request):
        self.calls[request.chunk] += 1
        n, box = request.length, request.box
        random = np.random.default_rng([request.seed, request.chunk])
        ra = random.uniform(box.ra_min + 1e-6, box.ra_max - 1e-6, n)
        return ra, random.uniform(box.dec_min + 1e-6, box.dec_max - 1e-6, n), random.normal(size=n)


MAP = np.random.default_rng(3).uniform(0, 4, 12 * 16 * 16)
OBJECTS = {
    "uniform": table(
        objectId=columns.ObjIdGenerator(), **{"ra,decl": columns.RaDecGenerator()}, g=columns.MagnitudeGenerator()
    ),
    "short positions": table(
        objectId=columns.ObjIdGenerator(),
        **{"ra:FLOAT,decl:FLOAT": columns.RaDecGenerator()},
        a=columns.UniformGenerator(),
    ),
    "density": table(
        density=UniformSpatialModel(2.5),
        objectId=columns.ObjIdGenerator(),
        **{"ra,raErr,decl,declErr": columns.RaDecGenerator(include_err=True)},
    ),
    "map": table(
        density=HealpixSpatialModel(MAP, 16, True),
        objectId=columns.ObjIdGenerator(),
        **{"ra,decl": columns.RaDecGenerator()},
        n=columns.PoissonGenerator(),
    ),
    "user": table(objectId=columns.ObjIdGenerator(), **{"ra,decl": OwnPlaces()}, band=columns.FilterGenerator()),
    "at once": table(objectId=columns.ObjIdGenerator(), **{"ra,decl,x": AllAtOnce()}),
}
EDGES = [0, TILING.largest_id, ALL[1], ALL[-2], 6 * 24, 6 * 24 + int(TILING.chunks_per_stripe[6]) - 1, 3 * 24 + 4]


@pytest.fixture(scope="module")
def brute():
    """Per kind of Object: the catalog, every row of the sky, and its overlap copies' (row, chunk) pairs."""
    found = {}
    for kind, given_table in OBJECTS.items():
        made = catalog(given_table)
        rows = values(batch for chunk in ALL for batch in made.batches("Object", chunk))
        ra, dec = rows["place"]
        cells = TILING.locate(ra, dec)
        copies = Overlap(TILING, RADIUS).copies(ra, dec, cells)
        found[kind] = made, rows, cells.chunk, copies
    return found


@pytest.mark.parametrize("kind", OBJECTS)
def test_every_row_lies_in_its_own_chunk_where_its_columns_say(brute, kind):
    _, rows, chunk, _ = brute[kind]
    np.testing.assert_array_equal(rows["objectId"] >> 32, chunk)
    np.testing.assert_array_equal(rows["ra"].astype(float), rows["place"][0])
    np.testing.assert_array_equal(rows["decl"].astype(float), rows["place"][1])
    assert len(np.unique(rows["objectId"])) == len(rows["objectId"])


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("chunk", EDGES)
def test_neighbours_rows_are_those_of_brute_force(brute, kind, chunk):
    made, rows, home, copies = brute[kind]
    wanted = np.unique(copies.row[(copies.chunk == chunk) & (home[copies.row] != chunk)])
    assert len(wanted) > 0
    found = values(made.neighbour_batches("Object", chunk))
    order = np.argsort(found["objectId"])
    assert set(found) == set(rows)
    for name, whole in rows.items():
        np.testing.assert_array_equal(found[name][..., order], whole[..., wanted], err_msg=name)


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("size", [1, 7, 299, 1000])
def test_batches_of_any_size_in_any_order_hold_the_same_rows(brute, kind, size):
    made, rows, home, _ = brute[kind]
    here = home == EDGES[-1]
    found = values(made.batches("Object", EDGES[-1], size))
    for name, whole in rows.items():
        np.testing.assert_array_equal(found[name], whole[..., here], err_msg=name)
    neighbours = values(made.neighbour_batches("Object", EDGES[-1], size))
    other = values(made.neighbour_batches("Object", EDGES[-1]))
    for name, whole in other.items():
        np.testing.assert_array_equal(neighbours[name], whole, err_msg=name)


def test_only_rows_in_the_overlap_are_computed():
    class Counting(columns.ColumnGenerator):
        asked = 0

        def values(self, rows):
            Counting.asked += len(rows)
            return rows.uniform()

    given_table = table(objectId=columns.ObjIdGenerator(), **{"ra,decl": columns.RaDecGenerator()}, x=Counting())
    made = catalog(given_table, objects=5000)
    found = sum(batch.length for batch in made.neighbour_batches("Object", EDGES[-1]))
    assert Counting.asked == found > 0


def test_a_chunk_made_at_once_is_made_once():
    AllAtOnce.calls.clear()
    made = catalog(OBJECTS["at once"])
    list(made.batches("Object", 76, 50))
    list(made.batches("Object", 76, 7))
    list(made.neighbour_batches("Object", 76, 7))
    assert set(AllAtOnce.calls.values()) == {1}
    assert set(AllAtOnce.calls) == {76, *Overlap(TILING, RADIUS).contributors(76).tolist()}


@settings(max_examples=40, deadline=None)
@given(
    stripes=st.integers(1, 400),
    subs=st.integers(1, 6),
    pick=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 5),
    single=st.booleans(),
)
def test_places_locate_into_their_own_chunk_in_any_tiling(stripes, subs, pick, seed, single):
    tiling = tiling_of(stripes, subs)
    chunk = int(tiling.chunk_ids()[int(pick * tiling.chunk_count)])
    ra, dec = Positions(tiling, seed, "Object", None, (single, single)).place(row_ids(chunk, 0, 2000))
    assert (tiling.locate(ra, dec).chunk == chunk).all()
    assert ((ra >= 0) & (ra < 360)).all()
    if single:
        np.testing.assert_array_equal(ra, ra.astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(
    stripes=st.integers(3, 60),
    subs=st.integers(1, 6),
    share=st.floats(0.05, 1.0),
    pick=st.floats(0, 1, exclude_max=True),
    single=st.booleans(),
)
def test_candidates_miss_no_row_of_a_neighbour(stripes, subs, share, pick, single):
    tiling = tiling_of(stripes, subs)
    overlap = Overlap(tiling, largest_overlap(tiling) * share)
    chunk = int(tiling.chunk_ids()[int(pick * tiling.chunk_count)])
    positions = Positions(tiling, 1, "Object", None, (single, single))
    for neighbour in overlap.contributors(chunk).tolist():
        ra, dec = positions.place(row_ids(neighbour, 0, 500))
        copies = overlap.copies(ra, dec, tiling.locate(ra, dec))
        wanted = np.unique(copies.row[copies.chunk == chunk])
        assert np.isin(wanted, positions.candidates(neighbour, 500, overlap.reach(chunk, of=neighbour))).all()


@pytest.fixture(scope="module")
def short():
    """Rows of a chunk so small that rounding positions to 32 bits moves many across its borders."""
    tiling = tiling_of(4000, 1)
    chunk = int(tiling.locate(np.array([300.0]), np.array([40.0])).chunk[0])
    positions = Positions(tiling, 1, "Object", None, (True, True))
    return tiling, chunk, positions, *positions.place(row_ids(chunk, 0, 100_000))


def test_rows_that_rounding_moves_out_are_put_into_the_middle(short):
    tiling, chunk, _, ra, dec = short
    assert (tiling.locate(ra, dec).chunk == chunk).all()
    box = tiling.chunk_box(chunk)
    middle = (ra == np.float32((box.ra_min + box.ra_max) / 2)) & (dec == np.float32((box.dec_min + box.dec_max) / 2))
    assert 10 < np.count_nonzero(middle) < 500


@pytest.mark.parametrize("west", [0.1, 0.4])
@pytest.mark.parametrize("width", [0.05, 0.3])
def test_rounded_and_moved_rows_are_candidates_too(short, west, width):
    tiling, chunk, positions, ra, dec = short
    box = tiling.chunk_box(chunk)
    along, up = box.ra_max - box.ra_min, box.dec_max - box.dec_min
    strip = (
        box.ra_min + west * along,
        box.ra_min + (west + width) * along,
        box.dec_min + west * up,
        box.dec_min + (west + width) * up,
    )
    inside = (ra >= strip[0]) & (ra <= strip[1]) & (dec >= strip[2]) & (dec <= strip[3])
    assert np.isin(np.flatnonzero(inside), positions.candidates(chunk, 100_000, [strip])).all()


def test_counts_follow_density_objects_and_visits():
    visits = table("CcdVisit", ccdVisitId=columns.VisitIdGenerator(), band=columns.FilterGenerator())
    plain = table("Plain", a=columns.UniformGenerator())
    made = catalog(OBJECTS["uniform"], visits, plain, objects=300, visits=5)
    assert [made.count(name, 76) for name in ("Object", "CcdVisit", "Plain")] == [300, 5, 300]
    assert sum(batch.length for batch in made.batches("CcdVisit", 76)) == 5
    dense = catalog(OBJECTS["density"])
    counts = {chunk: dense.count("Object", chunk) for chunk in ALL}
    area = 129600 / np.pi
    assert abs(sum(counts.values()) - 2.5 * area) < 5 * np.sqrt(2.5 * area)
    assert len({counts[chunk] for chunk in ALL if chunk // 24 == 5}) > 3, "Poisson: chunks of a stripe differ"


def test_no_objects_no_rows():
    made = catalog(OBJECTS["uniform"], objects=0)
    assert list(made.batches("Object", 76)) == []
    assert list(made.neighbour_batches("Object", 76)) == []


def test_tables_without_overlap_have_no_neighbours():
    made = catalog(OBJECTS["uniform"], overlaps={})
    assert list(made.neighbour_batches("Object", 76)) == []
    with pytest.raises(KeyError):
        made.batches("Star", 76)


def test_seed_varies_everything_and_ids_nothing():
    one = values(catalog(OBJECTS["uniform"]).batches("Object", 76))
    spec = Spec("test", (OBJECTS["uniform"],), CHUNKER)
    two = values(Catalog(spec, seed=2, visits=5, objects=300, on_warning=print).batches("Object", 76))
    np.testing.assert_array_equal(one["objectId"], two["objectId"])
    assert not np.isin(one["ra"], two["ra"]).any()
    assert not np.isin(one["g"], two["g"]).any()


class Doubled(columns.ColumnGenerator):
    """A child's columns, from its object and from the whole prerequisite table."""

    def values(self, rows):
        brightest = rows.tables["Object"]["g"].min()
        return rows.parents["objectId"], rows.parents["g"] - brightest, rows.ra


def test_a_table_may_have_a_row_for_each_row_of_another():
    child = table("Shape", prereqs=("Object",), prereq_row="Object", **{"objectId,dg,ra": Doubled()})
    made = catalog(OBJECTS["uniform"], child)
    stars, shapes = values(made.batches("Object", 76)), values(made.batches("Shape", 76, 70))
    np.testing.assert_array_equal(shapes["objectId"], stars["objectId"])
    np.testing.assert_array_equal(shapes["dg"], stars["g"] - stars["g"].min())
    np.testing.assert_array_equal(shapes["place"], stars["place"])
    with pytest.raises(KeyError, match="follow from"):
        made.count("Shape", 76)


class Children:
    """Makes as many children of each object as its row number modulo 3, for a whole chunk."""

    lost = 0

    def make(self, request):
        assert request.length is None
        parents = request.tables["Object"]["objectId"]
        ids = np.repeat(parents, np.arange(len(parents)) % 3)
        return ids + self.lost, np.arange(len(ids)), ["text"] * len(ids)


def test_a_child_made_at_once_follows_its_director_by_id():
    child = table("Thing", prereqs=("Object",), **{"parent,n:INT,word": Children()})
    made = catalog(OBJECTS["uniform"], child, directors={"Object": {"Thing": "parent"}})
    stars, things = values(made.batches("Object", 76)), values(made.batches("Thing", 76, 50))
    assert len(things["n"]) == 300
    at = np.searchsorted(stars["objectId"], things["parent"])
    np.testing.assert_array_equal(things["place"], stars["place"][:, at])
    assert things["n"].dtype == np.int32
    assert set(things["word"]) == {"text"}


def test_a_child_of_nobody_is_an_error_of_its_chunk():
    orphans = Children()
    orphans.lost = 1 << 40
    child = table("Thing", prereqs=("Object",), **{"parent,n,word": orphans})
    made = catalog(OBJECTS["uniform"], child, directors={"Object": {"Thing": "parent"}})
    with pytest.raises(ChunkError, match="which no row has as id") as caught:
        list(made.batches("Thing", 76))
    assert caught.value.fault is Fault.GENERATE


def test_a_density_beyond_what_ids_hold_is_an_error_of_the_spec():
    dense = table(density=UniformSpatialModel(1e9), objectId=columns.ObjIdGenerator())
    with pytest.raises(ChunkError, match="more than ids hold") as caught:
        catalog(dense).count("Object", 76)
    assert caught.value.fault is Fault.SPEC


def test_a_missing_file_is_an_error_of_the_spec(tmp_path):
    names = ("visitId", "filter", "ra", "decl")
    visits = Table("CcdVisit", (ColumnSet(names, ("",) * 4, None, ",".join(names)),), from_file="none.csv")
    forced = Table("F", (entry("o,v", columns.ForcedSourceGenerator()),), prereq_tables=("Object", "CcdVisit"))
    objects = table(objectId=columns.ObjIdGenerator(), **{"ra,decl": columns.RaDecGenerator()})
    made = catalog(objects, visits, forced, pregenerated=tmp_path)
    with pytest.raises(ChunkError, match=r"none\.csv") as caught:
        list(made.batches("F", 76))
    assert caught.value.fault is Fault.SPEC


def test_nothing_heavy_is_imported_before_it_is_used():
    heavy = ("polars", "pyarrow", "healpy", "astropy", "scipy", "pandas")
    code = f"import sys, dgconsole.catalog.chunks; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"
