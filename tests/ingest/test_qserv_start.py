"""The start of a run at Qserv: who is there, the key, what is registered and what is compared."""

from typing import Any

import pytest
from msgspec.structs import replace

from dgconsole.ingest.qserv.wanted import check, table_body
from dgconsole.ingest.schema import DatabaseSchema, TableSchema
from dgconsole.settings.structs import Dialect
from dgconsole.support.errors import InputError

NAMES = ["Object", "ForcedSource"]


async def problems(destination: Any) -> str:
    with pytest.raises(InputError) as caught:
        await destination.prepare(NAMES)
    text = str(caught.value)
    assert "the-key-of-the-double" not in text
    return text


# ---- who is there


async def test_nobody_there(sky: Any) -> None:
    sky.qserv.do(sky.qserv.controller.stop())
    text = await problems(sky.destination())
    assert text == f"ingest.host: Qserv: 127.0.0.1:{sky.qserv.port} cannot be reached: Connection refused"


async def test_somebody_else_there(sky: Any) -> None:
    sky.qserv.fail("garbage", "GET", "/meta/version", times=10)
    assert "gave something that is no answer of Qserv's" in await problems(sky.destination())


async def test_a_worker_is_no_controller(sky: Any) -> None:
    sky.qserv.controller.port, port = sky.qserv.workers["w1"].port, sky.qserv.port
    text = await problems(sky.destination())
    sky.qserv.controller.port = port
    assert text == ("ingest.port: a 'replication-worker-ingest' answers there, no Replication Controller")


async def test_a_pause_of_the_service_is_sat_out(sky: Any) -> None:
    sky.qserv.fail("status", "GET", "/meta/version", times=2, status=503)
    await sky.prepared()


@pytest.mark.parametrize(("theirs", "sent"), [(38, {"38"}), (55, {"55"}), (56, {"55"})])
async def test_the_version_that_is_sent(sky: Any, theirs: int, sent: set[str]) -> None:
    sky.qserv.be_version(theirs)
    await sky.prepared()
    assert {seen.query["version"] for seen in sky.qserv.seen if seen.path != "/meta/version"} == sent
    assert any("newer than 55" in line for line in sky.lines) is (theirs > 55)


async def test_a_service_that_is_too_old(sky: Any) -> None:
    sky.qserv.be_version(37)
    text = await problems(sky.destination())
    assert text == "ingest.host: this Qserv speaks version 37 of the API; files are taken from 38 on"


async def test_a_newer_service_that_wants_its_own_number_gets_it(sky: Any) -> None:
    """From version 58 on, single transactions are only ended and shown to those who say 58."""
    sky.qserv.be_version(58)
    sky.qserv.controller.speak_58()
    destination = await sky.prepared()
    transaction = await destination.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    await destination.commit(transaction)
    assert sky.loaded() == sky.expected(324)
    assert any("wants API version 58: it is sent from now on" in line for line in sky.lines)


async def test_another_instance_than_the_user_means(sky: Any) -> None:
    text = await problems(sky.destination(instance="the-other"))
    assert text == "ingest.instance: the Qserv there is 'sky-instance', not 'the-other'"
    await sky.prepared(instance="sky-instance")


# ---- the key


async def test_a_wrong_key_before_anything_is_there(sky: Any) -> None:
    assert "failed to pass authorization requirements" in await problems(sky.destination(key="wrong"))
    assert sky.qserv.state.databases == {}


async def test_a_wrong_key_where_all_is_registered(sky: Any) -> None:
    await sky.prepared()
    assert "failed to pass authorization requirements" in await problems(sky.destination(key="wrong"))


async def test_without_a_key_the_empty_one_is_sent(sky: Any) -> None:
    for service in (sky.qserv.controller, *sky.qserv.workers.values()):
        service.key = ""
    await sky.prepared(key="")


async def test_the_key_is_in_bodies_only(sky: Any) -> None:
    destination = await sky.prepared()
    await destination.commit(await destination.begin(1, "here-1"))
    for seen in sky.qserv.seen:
        assert sky.qserv.key not in str(seen.query) + str(seen.headers)
        assert ("auth_key" in seen.body) is (seen.method != "GET")
        if seen.method != "GET":
            assert seen.headers["Content-Type"] == "application/json"
    assert sky.qserv.key not in repr(destination) + repr(vars(destination)["_http"]) + "".join(sky.lines)


async def test_a_service_that_repeats_the_key_is_not_quoted(sky: Any) -> None:
    sky.qserv.fail("refuse", "POST", "/ingest/database", text=f"wrong body: auth_key={sky.qserv.key}")
    assert "wrong body: auth_key=***" in await problems(sky.destination())


# ---- registration


async def test_directors_are_registered_first(sky: Any) -> None:
    schema = replace(sky.schema, tables=sky.schema.tables)
    await sky.prepared(schema=schema)
    bodies = [seen.body["table"] for seen in sky.qserv.came("POST", "/ingest/table")]
    assert bodies == ["Object", "ForcedSource"]
    family = sky.qserv.state.families["layout_18_3"]
    assert (family["num_stripes"], family["num_sub_stripes"], family["overlap"]) == (18, 3, 0.01667)
    assert sky.qserv.state.databases["skydb"].auto_build


async def test_an_index_for_later_is_not_built_at_commits(sky: Any) -> None:
    await sky.prepared(index=True)
    assert not sky.qserv.state.databases["skydb"].auto_build


async def test_what_is_there_is_not_registered_again(sky: Any) -> None:
    await sky.prepared()
    await sky.prepared()
    assert len(sky.qserv.came("POST", "/ingest/database")) == 1
    assert len(sky.qserv.came("POST", "/ingest/table")) == 2


@pytest.mark.parametrize("path", ["/ingest/database", "/ingest/table"])
async def test_a_registration_whose_answer_is_lost_is_looked_up(sky: Any, path: str) -> None:
    sky.qserv.fail("drop_after", "POST", path)
    await sky.prepared()
    assert len(sky.qserv.came("POST", path)) == (1 if path == "/ingest/database" else 2)


async def test_a_registration_that_is_lost_is_an_error(sky: Any) -> None:
    sky.qserv.fail("drop", "POST", "/ingest/table")
    text = await problems(sky.destination())
    assert text.startswith("ingest.host: Qserv: the table 'Object' was not registered: 127.0.0.1:")


async def test_a_table_that_is_missing_is_registered(sky: Any) -> None:
    director = replace(sky.schema, tables=sky.schema.tables[:1])
    await sky.prepared(schema=director)
    await sky.prepared()
    assert [seen.body["table"] for seen in sky.qserv.came("POST", "/ingest/table")] == ["Object", "ForcedSource"]


async def test_skip_schema_registers_nothing_and_compares(sky: Any) -> None:
    assert "there is no database 'skydb' at Qserv" in await problems(sky.destination(make=False))
    await sky.prepared(schema=replace(sky.schema, tables=sky.schema.tables[:1]))
    assert "there is no table 'ForcedSource' at Qserv" in await problems(sky.destination(make=False))
    await sky.prepared()
    await sky.prepared(make=False)
    assert len(sky.qserv.came("POST", "/ingest/table")) == 2


async def test_all_differences_are_said_at_once(sky: Any) -> None:
    await sky.prepared()
    columns = (*sky.schema.tables[0].columns[:3], ("flux", "DOUBLE"), *sky.schema.tables[0].columns[4:])
    tables = (replace(sky.schema.tables[0], columns=columns, path="skydb_Object.json"), sky.schema.tables[1])
    other = replace(sky.schema, num_stripes=20, overlap=0.02, tables=tables)
    assert (await problems(sky.destination(schema=other))).splitlines() == [
        "the database 'skydb' at Qserv has 18 stripes of 3 sub-stripes, the spec 20 of 3",
        "the database 'skydb' at Qserv has an overlap of 0.01667, the .cfg files 0.02",
        "skydb_Object.json: column 4 of the table 'Object' at Qserv is 'flux FLOAT', this run writes 'flux DOUBLE'",
    ]


async def test_types_may_be_spelled_another_way(sky: Any) -> None:
    await sky.prepared()
    columns = (("objectId", "bigint  not null"), *sky.schema.tables[0].columns[1:])
    tables = (replace(sky.schema.tables[0], columns=columns), sky.schema.tables[1])
    await sky.prepared(schema=replace(sky.schema, tables=tables))


async def test_a_family_whose_overlap_is_larger(sky: Any) -> None:
    await sky.prepared()
    narrow = replace(sky.schema, database="narrow", overlap=0.01)
    text = await problems(sky.destination(schema=narrow))
    assert "databases of this tiling have an overlap of 0.01667 at this Qserv, the .cfg files 0.01" in text


async def test_a_published_database_is_closed(sky: Any) -> None:
    await sky.prepared()
    sky.qserv.state.databases["skydb"].published = True
    assert "is published, and closed to rows" in await problems(sky.destination())


async def test_rows_of_another_run_are_not_mixed_with_ours(sky: Any) -> None:
    other = await sky.prepared(run_id="another-run")
    transaction = await other.begin(1, "there-1")
    await sky.deliver(transaction, 324)
    await other.commit(transaction)
    text = await problems(sky.destination())
    assert text.startswith("ingest.dbName: the database 'skydb' at Qserv holds rows of another run (1 transactions)")
    await sky.prepared(replace=True)
    assert sky.loaded() == {}
    assert len(sky.qserv.came("DELETE", "/ingest/database/skydb")) == 1


async def test_our_own_rows_are_kept_with_replace_too(sky: Any) -> None:
    first = await sky.prepared(replace=True)
    transaction = await first.begin(1, "here-1")
    await sky.deliver(transaction, 324)
    await first.commit(transaction)
    await sky.prepared(replace=True)
    assert sky.loaded() == sky.expected(324)


# ---- the original's JSON, and what Qserv would not take


def test_old_keys_are_said_the_new_way(sky: Any) -> None:
    raw: dict[str, object] = {
        "is_director": 0,
        "chunk_id_key": "chunkId",
        "sub_chunk_id_key": "subChunkId",
        "director_key": "sourceId",
        "unique_primary_key": 0,
        "auth_key": "",
    }
    body = table_body("skydb", replace(sky.schema.tables[1], raw=raw))
    assert set(body) == {
        "database",
        "table",
        "is_partitioned",
        "schema",
        "director_table",
        "director_key",
        "longitude_key",
        "latitude_key",
        "unique_primary_key",
    }
    assert (body["director_table"], body["director_key"], body["unique_primary_key"]) == ("Object", "objectId", 0)


def table(**changes: Any) -> TableSchema:
    columns = (("id", "BIGINT"), ("ra", "DOUBLE"), ("decl", "DOUBLE"), ("chunkId", "INT"), ("subChunkId", "INT"))
    dialect = Dialect(quote=None, null="\\N")
    given = {"table": "T", "columns": columns, "key": "id", "position": ("ra", "decl"), "dialect": dialect}
    return TableSchema(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": (("id", "BIGINT"), ("ra", "DOUBLE"), ("decl", "DOUBLE"), ("sub", "INT"))}, "'subChunkId'"),
        ({"key": "none"}, "the key 'none' is not among its columns"),
        ({"key": ""}, "no column is its director's id"),
        ({"position": ("ra", "dec")}, "the position 'dec' is not among"),
        ({"director": "Gone"}, "its director 'Gone' is not delivered"),
        ({"table": "T" * 60}, "have 61 characters; Qserv takes 56"),
        ({"dialect": Dialect(delimiter=";", quote=None, null="\\N")}, "takes tab or comma, not ';'"),
        ({"dialect": Dialect(quote=None, escape=None, null="\\N")}, "only the backslash, not None"),
        ({"dialect": Dialect(quote=None, null="NULL")}, "takes \\N, not 'NULL'"),
        ({"raw": {}, "columns": (*table().columns, ("qserv_x", "INT"))}, "begin with 'qserv'"),
        ({"columns": (*table().columns, ("note", "TEXT"))}, "a director takes no TEXT"),
    ],
)
def test_what_qserv_would_not_take(changes: dict[str, Any], words: str) -> None:
    schema = DatabaseSchema(database="s", num_stripes=18, num_sub_stripes=3, overlap=0, tables=(table(**changes),))
    assert [words in str(problem) for problem in check(schema)] == [True]


def test_a_name_that_qserv_keeps_to_itself() -> None:
    schema = DatabaseSchema(database="qservSky", num_stripes=18, num_sub_stripes=3, overlap=0, tables=(table(),))
    assert "'qservSky': Qserv keeps names" in str(check(schema)[0])
