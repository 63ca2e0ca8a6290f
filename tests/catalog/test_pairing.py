"""Forced sources and sources: every visit within the radius of each object, in its band, over chunk edges."""

import numpy as np
import pytest

from dgconsole.catalog import Chunker, columns, exactmath
from dgconsole.catalog.chunks import Catalog
from dgconsole.catalog.matching import matches, near_box
from dgconsole.catalog.model import ColumnSet, Spec, Table
from dgconsole.support.errors import InputError

STRIPES, SUB_STRIPES = 40, 3
CHUNKER = Chunker(0, STRIPES, SUB_STRIPES)
TILING = CHUNKER.tiling
FIVE = "objectId,ccdVisitId,psFlux,psFluxSigma,flags"
SOURCE = (
    "sourceId:SID,objectId:OID,ccdVisitId:VID,ra:RA,decl:DEC,band:CHAR(1),n:INT,t:TINYINT,b:BIGINT,f:FLOAT,e:FLOATE"
)


def entry(key, generator):
    pairs = [part.partition(":") for part in key.split(",")]
    return ColumnSet(tuple(p[0] for p in pairs), tuple(p[2] for p in pairs), generator, key)


def objects(bands="ugrizy", name="{}PsFlux"):
    fluxes = ",".join(name.format(band) for band in bands)
    return Table(
        "Object",
        (
            entry("objectId", columns.ObjIdGenerator()),
            entry("psRa,psDecl", columns.RaDecGenerator()),
            entry(fluxes, columns.MagnitudeGenerator(len(bands))),
        ),
    )


VISITS = Table(
    "CcdVisit",
    (
        entry("ccdVisitId", columns.VisitIdGenerator()),
        entry("filterName", columns.FilterGenerator()),
        entry("ra,decl", columns.RaDecGenerator()),
    ),
)


def child(name, key, generator):
    return Table(name, (entry(key, generator),), prereq_tables=("Object", "CcdVisit"))


def catalog(*children, seen=None, director=None, visits=VISITS, n=(5, 40), **options):
    spec = Spec("test", (director or objects(), visits, *children), CHUNKER)
    warnings = [] if seen is None else seen
    return Catalog(spec, seed=1, visits=n[0], objects=n[1], on_warning=warnings.append, **options)


def whole(made, table, chunk):
    """All rows of a table in a chunk, as name -> values; words spelled out."""
    found = {}
    for batch in made.batches(table, chunk):
        for block in batch.blocks:
            for name, values in zip(block.names, block.values, strict=True):
                found.setdefault(name, []).append(np.array(block.words)[values] if block.words else values)
        found.setdefault("place", []).append(np.stack([batch.ra, batch.dec]))
    return {name: np.concatenate(parts, axis=-1) for name, parts in found.items()}


def separation(ra1, dec1, ra2, dec2):
    """Degrees between all of the first places and all of the second (Vincenty's formula)."""
    ra1, dec1, ra2, dec2 = (np.radians(v) for v in (ra1[:, None], dec1[:, None], ra2, dec2))
    d = ra2 - ra1
    x = np.hypot(np.cos(dec2) * np.sin(d), np.cos(dec1) * np.sin(dec2) - np.sin(dec1) * np.cos(dec2) * np.cos(d))
    y = np.sin(dec1) * np.sin(dec2) + np.cos(dec1) * np.cos(dec2) * np.cos(d)
    return np.degrees(np.arctan2(x, y))


def all_visits(made):
    parts = [whole(made, "CcdVisit", int(chunk)) for chunk in TILING.chunk_ids()]
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


MIDDLE = int(TILING.locate(np.array([123.0]), np.array([10.0])).chunk[0])
LAST_OF_STRIPE = 10 * 2 * STRIPES + int(TILING.chunks_per_stripe[10]) - 1
CHUNKS = [0, 2 * STRIPES, MIDDLE, LAST_OF_STRIPE, 10 * 2 * STRIPES, TILING.largest_id]


@pytest.fixture(scope="module")
def sky():
    """A catalog, and all of its visits over the whole sky."""
    made = catalog(
        child("ForcedSource", FIVE, columns.ForcedSourceGenerator("ugriz", visit_radius=3.3)),
        child("Source", SOURCE, columns.SourceGenerator(visit_radius=3.3, target_percentage=0.5)),
    )
    return made, all_visits(made)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_row_for_each_visit_that_sees_the_object(sky, chunk):
    made, visits = sky
    stars, forced = whole(made, "Object", chunk), whole(made, "ForcedSource", chunk)
    near = separation(stars["psRa"], stars["psDecl"], visits["ra"], visits["decl"]) <= 3.3
    star, visit = np.nonzero(near & np.isin(visits["filterName"], list("ugriz")))
    assert len(star) > 0
    expected = set(zip(stars["objectId"][star].tolist(), visits["ccdVisitId"][visit].tolist(), strict=True))
    found = list(zip(forced["objectId"].tolist(), forced["ccdVisitId"].tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len({v >> 32 for _, v in expected}) > 1, "visits of other chunks are among them"


@pytest.mark.parametrize("chunk", [MIDDLE, LAST_OF_STRIPE])
def test_flux_is_the_objects_in_the_visits_band_plus_noise(sky, chunk):
    made, visits = sky
    stars, forced = whole(made, "Object", chunk), whole(made, "ForcedSource", chunk)
    star = {v: i for i, v in enumerate(stars["objectId"].tolist())}
    visit = {v: i for i, v in enumerate(visits["ccdVisitId"].tolist())}
    bands = [visits["filterName"][visit[v]] for v in forced["ccdVisitId"].tolist()]
    flux = np.array(
        [stars[f"{band}PsFlux"][star[o]] for band, o in zip(bands, forced["objectId"].tolist(), strict=True)]
    )
    noise = forced["psFlux"] - flux
    assert abs(noise.mean()) < 4 / np.sqrt(len(noise))
    assert abs(noise.std() - 1) < 4 / np.sqrt(2 * len(noise))
    assert set(bands) == set("ugriz")
    assert (forced["psFluxSigma"] == 0.1).all()
    assert forced["flags"].dtype == np.int8
    assert 0 <= forced["flags"].min() < 5
    assert 121 < forced["flags"].max() <= 126


def test_children_are_at_their_objects_place(sky):
    made, _ = sky
    stars, forced = whole(made, "Object", MIDDLE), whole(made, "ForcedSource", MIDDLE)
    at = np.searchsorted(stars["objectId"], forced["objectId"])
    np.testing.assert_array_equal(forced["place"], np.stack([stars["psRa"][at], stars["psDecl"][at]]))


def test_sources_have_typed_columns_of_a_share_of_the_objects(sky):
    made, visits = sky
    source, forced = whole(made, "Source", MIDDLE), whole(made, "ForcedSource", MIDDLE)
    stars = whole(made, "Object", MIDDLE)
    assert source["sourceId"].tolist() == [(MIDDLE << 32) + n for n in range(len(source["sourceId"]))]
    chosen = set(source["objectId"].tolist())
    assert 8 <= len(chosen) <= 32
    assert chosen < set(forced["objectId"].tolist()) | set(stars["objectId"].tolist())
    at = np.searchsorted(stars["objectId"], source["objectId"])
    np.testing.assert_array_equal(source["ra"], stars["psRa"][at])
    np.testing.assert_array_equal(source["decl"], stars["psDecl"][at])
    visit = {v: i for i, v in enumerate(visits["ccdVisitId"].tolist())}
    bands = [visits["filterName"][visit[v]] for v in source["ccdVisitId"].tolist()]
    assert source["band"].tolist() == bands
    assert set(bands) == set("ugrizy")
    dtypes = {name: source[name].dtype for name in "ntbfe"}
    assert dtypes == {"n": np.int32, "t": np.int8, "b": np.int64, "f": np.float32, "e": np.float32}
    limits = {"n": (0, 2**31 - 2), "t": (0, 126), "b": (0, 2**32 - 3), "f": (0, 27.5), "e": (0.05, 0.5)}
    for name, (low, high) in limits.items():
        span = high - low
        assert low <= source[name].min() < low + span / 10
        assert high - span / 10 < source[name].max() <= high


def test_the_share_is_a_share():
    made = catalog(
        child("Source", "o:OID", columns.SourceGenerator(visit_radius=2, target_percentage=0.3)), n=(5, 3000)
    )
    chosen = np.unique(whole(made, "Source", MIDDLE)["o"])
    seen = catalog(
        child("Source", "o:OID", columns.SourceGenerator(visit_radius=2, target_percentage=1)), n=(5, 3000)
    )
    every = np.unique(whole(seen, "Source", MIDDLE)["o"])
    assert abs(len(chosen) / len(every) - 0.3) < 0.03
    assert set(chosen.tolist()) < set(every.tolist())


@pytest.mark.parametrize("chunk", CHUNKS)
def test_no_visit_that_sees_a_corner_of_the_chunk_is_passed_over(chunk):
    box, radius = TILING.chunk_box(chunk), 2.0
    grid = np.linspace(0, 1, 21)
    ra = np.repeat(box.ra_min + grid * (box.ra_max - box.ra_min), 21)
    dec = np.tile(box.dec_min + grid * (box.dec_max - box.dec_min), 21)
    random = np.random.default_rng(4)
    visit_ra = (
        np.repeat(ra, 20) + random.uniform(-180, 180, 20 * len(ra)) * random.uniform(0, 1, 20 * len(ra)) ** 4
    ) % 360
    visit_dec = np.clip(np.repeat(dec, 20) + random.uniform(-2.2, 2.2, len(visit_ra)), -90, 90)
    sees = (separation(ra, dec, visit_ra, visit_dec) <= radius).any(axis=0)
    assert sees.any()
    near = near_box(exactmath.unit_vectors(visit_ra, visit_dec), box, radius)
    assert np.isin(np.flatnonzero(sees), near).all()


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("radius", [0.4, 2.0, 9.0])
@pytest.mark.parametrize("n", [10, 600])
def test_matches_are_all_pairs_within_the_radius_in_order(chunk, radius, n):
    box = TILING.chunk_box(chunk)
    random = np.random.default_rng(8)
    ra, dec = random.uniform(box.ra_min, box.ra_max, n), random.uniform(box.dec_min, box.dec_max, n)
    point_ra = random.uniform(box.ra_min - 30, box.ra_max + 30, 300) % 360
    point_dec = np.clip(random.uniform(box.dec_min - 10, box.dec_max + 10, 300), -90, 90)
    found = list(matches(ra, dec, exactmath.unit_vectors(point_ra, point_dec), radius))
    pairs = [pair for rows, points in found for pair in zip(rows.tolist(), points.tolist(), strict=True)]
    expected = np.argwhere(separation(ra, dec, point_ra, point_dec) <= radius)
    assert pairs == list(map(tuple, expected.tolist()))


@pytest.mark.parametrize("rows", [1, 100, 100_000])
def test_batches_of_any_size_hold_the_same_rows(sky, rows):
    made, _ = sky
    expected = whole(made, "Source", MIDDLE)
    parts = list(made.batches("Source", MIDDLE, rows))
    for name in ("sourceId", "ccdVisitId", "f", "n"):
        np.testing.assert_array_equal(np.concatenate([part.column(name) for part in parts]), expected[name])


def test_four_names_are_enough_and_change_nothing(sky):
    four = catalog(
        child("ForcedSource", FIVE.rpartition(",")[0], columns.ForcedSourceGenerator("ugriz", visit_radius=3.3))
    )
    expected, found = whole(sky[0], "ForcedSource", MIDDLE), whole(four, "ForcedSource", MIDDLE)
    assert set(expected) - set(found) == {"flags"}
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("name", ["{}PsFlux", "mag_{}", "{}"])
def test_fluxes_are_found_by_name_and_bands_without_are_passed_over_once(name):
    seen = []
    given = child("ForcedSource", FIVE, columns.ForcedSourceGenerator(visit_radius=3))
    made = catalog(given, seen=seen, director=objects("gr", name))
    visits = all_visits(made)
    band = dict(zip(visits["ccdVisitId"].tolist(), visits["filterName"].tolist(), strict=True))
    for chunk in (MIDDLE, LAST_OF_STRIPE):
        forced = whole(made, "ForcedSource", chunk)
        assert {band[v] for v in forced["ccdVisitId"].tolist()} == set("gr")
        assert np.isfinite(forced["psFlux"]).all()
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == 4
    assert "uPsFlux" in "".join(seen)


def test_visits_from_a_file(tmp_path, sky):
    _, visits = sky
    pick = slice(0, None, 7)
    lines = zip(
        range(len(visits["ra"][pick])),
        visits["filterName"][pick],
        visits["ra"][pick],
        visits["decl"][pick],
        strict=True,
    )
    (tmp_path / "visits.csv").write_text("".join(f"{i},{b},{r!r},{d!r}\n" for i, b, r, d in _plain(lines)))
    names = ("visitId", "filter", "ra", "decl")
    table = Table("CcdVisit", (ColumnSet(names, ("",) * 4, None, ",".join(names)),), from_file="visits.csv")
    given = child("ForcedSource", FIVE, columns.ForcedSourceGenerator(visit_radius=3.3))
    made = catalog(given, visits=table, pregenerated=tmp_path)
    assert made.tables == ("Object", "ForcedSource")
    for chunk in CHUNKS:
        stars, forced = whole(made, "Object", chunk), whole(made, "ForcedSource", chunk)
        near = separation(stars["psRa"], stars["psDecl"], visits["ra"][pick], visits["decl"][pick]) <= 3.3
        star, visit = np.nonzero(near)
        assert forced["objectId"].tolist() == stars["objectId"][star].tolist()
        assert forced["ccdVisitId"].tolist() == visit.tolist()


def _plain(lines):
    return ((i, str(b), float(r), float(d)) for i, b, r, d in lines)


def test_other_generators_may_add_columns_and_see_the_object():
    class Same(columns.ColumnGenerator):
        def values(self, rows):
            return rows.parents["objectId"], rows.pairs.visits, rows.ids

    table = Table(
        "ForcedSource",
        (
            entry("objectId,ccdVisitId", columns.ForcedSourceGenerator(visit_radius=3)),
            entry("x", columns.UniformGenerator()),
            entry("o,v,n", Same()),
        ),
        prereq_tables=("Object", "CcdVisit"),
    )
    forced = whole(catalog(table), "ForcedSource", MIDDLE)
    np.testing.assert_array_equal(forced["o"], forced["objectId"])
    np.testing.assert_array_equal(forced["v"], forced["ccdVisitId"])
    assert forced["n"].tolist() == [(MIDDLE << 32) + i for i in range(len(forced["n"]))]
    assert len(np.unique(forced["x"])) == len(forced["x"])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (Table("F", (entry("a,b", columns.ForcedSourceGenerator()),), prereq_tables=("CcdVisit",)), "ObjIdGenerator"),
        (Table("F", (entry("a,b", columns.ForcedSourceGenerator()),), prereq_tables=("Object",)), "VisitIdGenerator"),
        (child("S", "a:SID,b:FLAOT", columns.SourceGenerator()), "column b: write its type"),
        (child("S", "a,b,c,d,e,f", columns.ForcedSourceGenerator()), "6 are named"),
    ],
)
def test_tables_that_cannot_be_paired_are_refused(table, words):
    with pytest.raises(InputError, match=words):
        catalog(table)
