"""metadata.json, held against what the loader's own code does with it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dgconsole.ingest.metadata import Holdings, Metadata, is_metadata_of_host, make_metadata
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect, TextFile
from dgconsole.support.filenames import home_name, overlap_name
from dgconsole.wire.messages import Figures, TableFigures

PLAIN = Dialect(delimiter="\t", quote=None, escape="\\", null="\\N")
CHUNK_COLUMNS = (("chunkId", "INT NOT NULL"), ("subChunkId", "INT NOT NULL"))
OBJECT = TableSchema(
    table="Object",
    columns=(("objectId", "BIGINT NOT NULL"), ("ra", "DOUBLE"), ("decl", "DOUBLE"), *CHUNK_COLUMNS),
    key="objectId",
    position=("ra", "decl"),
    overlap=0.01667,
    dialect=PLAIN,
)
SOURCE = TableSchema(
    table="Source",
    columns=(("objectId", "BIGINT NOT NULL"), *CHUNK_COLUMNS),
    director="Object",
    key="objectId",
    dialect=PLAIN,
)
Loaded = Callable[[Path], list[str]]


def schema(*tables: TableSchema, **keys: Any) -> DatabaseSchema:
    return DatabaseSchema(
        database="skydb",
        num_stripes=200,
        num_sub_stripes=5,
        overlap=0.01667,
        tables=tables or (OBJECT, SOURCE),
        **keys,
    )


def figures(home: int, overlap: int, source: int) -> Figures:
    tables = (TableFigures("Object", home, overlap, 0, {}), TableFigures("Source", source, 0, 0, {}))
    return Figures(tables, {})


def holdings(*made: tuple[int, Figures], host: str = "", folder: str = "") -> Holdings:
    found = Holdings()
    for chunk, counted in made:
        found.add(chunk, host, folder, counted)
    return found


def store(folder: Path, made: Metadata) -> dict[str, Any]:
    """As the console does; the content of metadata.json."""
    for name in made.empty:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    for name, data in made.files.items():
        (folder / name).write_bytes(data)
    return dict(json.loads(made.files["metadata.json"]))


def chunk_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("1\n")


def test_the_loader_fetches_what_is_there_and_all_of_it(tmp_path: Path, loaded_from: Loaded) -> None:
    """A chunk with everything, one without overlap rows, one of overlap alone, one of which nothing came."""
    held = holdings((1, figures(5, 2, 7)), (2, figures(5, 0, 7)), (3, figures(0, 2, 0)), (4, figures(0, 0, 0)))
    metadata = store(tmp_path, make_metadata(schema(), (), held))
    assert metadata["tables"] == [
        {
            "schema": "skydb_Object.json",
            "indexes": [],
            "data": [{"directory": "Object", "chunks": [1, 2], "overlaps": [1, 3]}],
        },
        {"schema": "skydb_Source.json", "indexes": [], "data": [{"directory": "Source", "chunks": [1, 2]}]},
    ]
    chunk_files(tmp_path, "Object/chunk_1.txt", "Object/chunk_1_overlap.txt", "Object/chunk_2.txt")
    chunk_files(tmp_path, "Object/chunk_3_overlap.txt", "Source/chunk_1.txt", "Source/chunk_2.txt")
    assert set(loaded_from(tmp_path)) == {str(p.relative_to(tmp_path)) for p in tmp_path.glob("*/*")}


def test_a_director_without_any_overlap_rows_has_one_empty_overlap_file(tmp_path: Path, loaded_from: Loaded) -> None:
    made = make_metadata(schema(), (), holdings((8, figures(5, 0, 0)), (9, figures(5, 0, 0))))
    assert made.empty == ("Object/chunk_8_overlap.txt",)
    metadata = store(tmp_path, made)
    assert metadata["tables"][0]["data"] == [{"directory": "Object", "chunks": [8, 9], "overlaps": [8]}]
    assert set(loaded_from(tmp_path)) == {
        f"Object/{home_name(8)}",
        f"Object/{home_name(9)}",
        f"Object/{overlap_name(8)}",
    }


def test_a_run_of_which_nothing_is_made_yet(tmp_path: Path, loaded_from: Loaded) -> None:
    store(tmp_path, make_metadata(schema(), (), Holdings()))
    assert loaded_from(tmp_path) == []


def test_the_dialect_is_that_of_the_partitioner(tmp_path: Path) -> None:
    plain = {"fields_terminated_by": "\\t", "fields_enclosed_by": "\\0", "fields_escaped_by": "\\\\"}
    assert store(tmp_path, make_metadata(schema(), (), Holdings()))["formats"] == {
        "txt": plain | {"lines_terminated_by": "\\n"}
    }
    quoted = TableSchema(table="Object", columns=CHUNK_COLUMNS, key="a", dialect=Dialect(delimiter=",", null="NULL"))
    formats = store(tmp_path, make_metadata(schema(quoted), (), Holdings()))["formats"]
    assert (formats["txt"]["fields_terminated_by"], formats["txt"]["fields_enclosed_by"]) == (",", '"')


def test_files_that_the_loader_would_misread_are_refused_by_it() -> None:
    bars = TableSchema(table="Source", columns=CHUNK_COLUMNS, director="Object", key="a", dialect=Dialect("|"))
    commas = TableSchema(table="Source", columns=CHUNK_COLUMNS, director="Object", key="a", dialect=Dialect(","))
    for table, words in ((bars, "takes tab or comma"), (commas, "differ in their out.csv")):
        made = make_metadata(schema(OBJECT, table), (), Holdings())
        assert words in made.trouble
        metadata = json.loads(made.files["metadata.json"])
        assert metadata["version"] == 0
        assert "formats" not in metadata
    assert make_metadata(schema(), (), Holdings()).trouble == ""


def test_without_ingest_json_the_bodies_are_derived() -> None:
    files = make_metadata(schema(), (), Holdings()).files
    assert json.loads(files["skydb.json"]) == {
        "version": 12,
        "database": "skydb",
        "num_stripes": 200,
        "num_sub_stripes": 5,
        "overlap": 0.01667,
        "auto_build_secondary_index": 0,
        "auth_key": "",
    }
    source = json.loads(files["skydb_Source.json"])
    assert (source["director_table"], source["director_key"], source["is_partitioned"]) == ("Object", "objectId", 1)
    assert [column["name"] for column in source["schema"]] == ["objectId", "chunkId", "subChunkId"]
    assert json.loads(files["skydb_Object.json"])["longitude_key"] == "ra"


def test_the_users_own_json_is_copied_where_it_is_right_and_mended_where_it_is_old() -> None:
    right = {"version": 50, "auto_build_secondary_index": 1, "database": "skydb", "num_stripes": 200}
    right |= {"num_sub_stripes": 5, "overlap": 0.01667}
    old = {"database": "skydb", "table": "Source", "is_partitioned": 1, "is_director": 0, "chunk_id_key": "chunkId"}
    old |= {"schema": [{"name": name, "type": kind} for name, kind in SOURCE.columns], "charset_name": "latin1"}
    texts = [
        TextFile("Base.json", "/in/Base.json", json.dumps(right, indent=4).encode()),
        TextFile("Source.json", "/in/Source.json", json.dumps(old).encode()),
    ]
    source = TableSchema(
        table="Source", columns=SOURCE.columns, director="Object", key="objectId", path="/in/Source.json", raw=old
    )
    described = schema(OBJECT, source, path="/in/Base.json", raw=right)
    files = make_metadata(described, texts, Holdings()).files
    assert files["Base.json"] == texts[0].data
    mended = json.loads(files["Source.json"])
    assert mended.keys().isdisjoint({"is_director", "chunk_id_key"})
    assert (mended["director_table"], mended["version"]) == ("Object", 49)
    assert json.loads(files["metadata.json"])["database"] == "Base.json"
    assert [table["schema"] for table in json.loads(files["metadata.json"])["tables"]] == [
        "skydb_Object.json",
        "Source.json",
    ]


def test_what_stays_on_hosts_is_an_entry_of_its_own_and_can_be_served_there(
    tmp_path: Path, loaded_from: Loaded
) -> None:
    held = holdings((1, figures(5, 2, 7)))
    for chunk, host, folder in ((2, "db01", "/a"), (3, "db02", "/a"), (4, "db01", "/a"), (5, "db01", "/home/b")):
        held.add(chunk, host, folder, figures(5, 0 if host == "db02" else 2, 7))
    made = make_metadata(schema(), (), held)
    assert json.loads(made.files["metadata.json"])["tables"][0]["data"] == [
        {"directory": "Object", "chunks": [1], "overlaps": [1]},
        {"directory": "Object", "chunks": [2, 4], "overlaps": [2, 4], "host": "db01", "folder": "/a"},
        {"directory": "Object", "chunks": [5], "overlaps": [5], "host": "db01", "folder": "/home/b"},
        {"directory": "Object", "chunks": [3], "overlaps": [3], "host": "db02", "folder": "/a"},
    ]
    assert made.empty == (), "the empty overlap file of db02 is there already: its client made it"
    on_hosts = [name for name in made.files if is_metadata_of_host(name)]
    assert on_hosts == ["db01.metadata.json", "db01+2.metadata.json", "db02.metadata.json"]
    store(tmp_path, made)
    (tmp_path / "db01.metadata.json").rename(tmp_path / "metadata.json")
    wanted = [f"{table}/chunk_{chunk}.txt" for chunk in (2, 4) for table in ("Object", "Source")]
    assert set(loaded_from(tmp_path)) == {*wanted, "Object/chunk_2_overlap.txt", "Object/chunk_4_overlap.txt"}
    assert "folder" not in (tmp_path / "metadata.json").read_text()


def test_a_table_from_a_file_is_not_among_the_chunk_files() -> None:
    whole = TableSchema(table="Filter", columns=(("id", "INT"),), partitioned=False, file="/x/filter.csv")
    files = make_metadata(schema(OBJECT, whole), (), Holdings()).files
    assert sorted(files) == ["metadata.json", "skydb.json", "skydb_Object.json"]


def test_a_whole_sky_is_made_quickly_and_stays_small() -> None:
    counted = figures(1000, 400, 30_000)
    held = Holdings()
    start = time.perf_counter()
    for chunk in range(146_000):
        held.add(chunk, "", "", counted)
    made = make_metadata(schema(), (), held)
    assert time.perf_counter() - start < 5.0
    assert len(made.files["metadata.json"]) < 4_000_000
