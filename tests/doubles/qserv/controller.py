"""The Replication Controller of the double."""

import asyncio
from typing import Any

from qserv.faults import Faults
from qserv.service import Call, Refused, Seen, Service
from qserv.state import Database, State, Transaction
from qserv.store import Store

NUMBER = (int, float)
MOST_NAMES = 56


class Controller(Service):
    """``newest_rules``: as version 58 has them: ends and look-ups of single transactions want that number, and 404s.

    ``host_names``: worker -> what ``http_host_name`` says.
    """

    def __init__(
        self, key: str, admin_key: str, version: int, faults: Faults, log: list[Seen], state: State, store: Store
    ) -> None:
        super().__init__("controller", key, admin_key, version, faults, log)
        self.state = state
        self.store = store
        self.workers: dict[str, Service] = {}
        self.host_names: dict[str, str] = {}
        self.newest_rules = False
        self.indexes: list[str] = []
        self.counted: list[dict[str, Any]] = []
        self._placing = asyncio.Lock()
        single = r"/ingest/trans/(\d+)"
        self.route("GET", "/meta/version", self.meta, 0)
        self.route("GET", "/replication/config", self.config, 0)
        self.route("POST", "/ingest/database", self.add_database, 12)
        self.route("PUT", "/ingest/database/([^/]+)", self.publish, 12)
        self.route("DELETE", "/ingest/database/([^/]+)", self.delete_database, 12)
        self.route("POST", "/ingest/table", self.add_table, 12)
        self.route("PUT", "/ingest/config", self.set_config, 14)
        self.route("POST", "/ingest/trans", self.begin, 12)
        self.route("GET", "/ingest/trans", self.list_transactions, 37)
        self.route("GET", single, self.one_transaction, 37)
        self.route("PUT", single, self.end, 12)
        self.route("POST", "/ingest/chunk", self.place_one, 12)
        self.route("POST", "/ingest/chunks", self.place_many, 54)
        self.route("GET", "/ingest/regular", self.regular, 12)
        self.route("POST", "/ingest/index/secondary", self.index, 22)
        self.route("POST", "/ingest/table-stats", self.count, 12)

    def speak_58(self) -> None:
        self.newest_rules = True
        self.version = 58
        for route in self.routes:
            if route.path.pattern == r"/ingest/trans/(\d+)":
                route.least = 58

    # ---- what is there

    async def meta(self, _: Call) -> dict[str, Any]:
        return {
            "kind": "replication-controller",
            "name": "http",
            "id": "7a1b",
            "instance_id": self.instance,
            "version": self.version,
            "database_schema_version": 15,
        }

    async def config(self, _: Call) -> dict[str, Any]:
        databases = [
            {
                "database": each.name,
                "family_name": each.family,
                "is_published": int(each.published),
                "create_time": 1,
                "publish_time": int(each.published),
                "tables": [each.tables[name] for name in sorted(each.tables)],
            }
            for each in self.state.databases.values()
        ]
        families = [{"name": name, **family} for name, family in self.state.families.items()]
        workers = [{"name": name} for name in self.workers]
        return {"config": {"general": {}, "database_families": families, "databases": databases, "workers": workers}}

    # ---- registration

    async def add_database(self, call: Call) -> dict[str, Any]:
        name = call.need("database", str)
        stripes, sub_stripes = call.need("num_stripes", int), call.need("num_sub_stripes", int)
        overlap = call.need("overlap", NUMBER)
        built = call.get("auto_build_secondary_index", int, 1)
        if name.lower().startswith("qserv"):
            raise Refused("operation failed due to: the name of a database can't start with a reserved prefix")
        if name.lower() in self.state.databases:
            raise Refused(f"operation failed due to: database '{name}' already exists")
        if stripes < 1 or sub_stripes < 1 or overlap < 0:
            raise Refused("invalid parameters of the request, ex: wrong partitioning")
        family = f"layout_{stripes}_{sub_stripes}"
        self.state.families.setdefault(
            family,
            {
                "min_replication_level": 1,
                "num_stripes": stripes,
                "num_sub_stripes": sub_stripes,
                "overlap": float(overlap),
            },
        )
        self.state.databases[name.lower()] = Database(name, family, bool(built))
        await self.store.aside(self.store.create_database, list(self.workers), name)
        return {"database": {"database": name, "family_name": family, "is_published": 0, "tables": []}}

    async def delete_database(self, call: Call) -> dict[str, Any]:
        database = self.state.database(call.found[1])
        if database.published and "admin_auth_key" not in call.body:
            raise Refused("failed to pass authorization requirements, ex: the administrator's key is needed")
        self.remove(database)
        await self.store.aside(self.store.drop_database, list(self.workers), database.name)
        return {}

    def remove(self, database: Database) -> None:
        """All that is known of it; a family stays as long as it has databases."""
        del self.state.databases[database.name.lower()]
        for each in self.state.of_database(database):
            del self.state.transactions[each.id]
        if not any(other.family == database.family for other in self.state.databases.values()):
            del self.state.families[database.family]

    async def add_table(self, call: Call) -> dict[str, Any]:
        database = self.state.database(call.need("database", str))
        table = self._table(database, call)
        await self.store.aside(self._create_table, database, table)
        database.tables[table["name"]] = table
        return {"database": {"database": database.name}}

    def _create_table(self, database: Database, table: dict[str, Any]) -> None:
        index = database.auto_build and table["is_director"]
        self.store.create_table(list(self.workers), database.name, table, index=bool(index))

    def _table(self, database: Database, call: Call) -> dict[str, Any]:
        """The table as the configuration shows it, checked as the source does."""
        name = call.need("table", str)
        partitioned = call.need("is_partitioned", int)
        columns = call.need("schema", list)
        director, key = call.get("director_table", str, ""), call.get("director_key", str, "")
        latitude, longitude = call.get("latitude_key", str, ""), call.get("longitude_key", str, "")
        if database.published:
            raise Refused("operation failed due to: the database is already published")
        if name.lower() in {known.lower() for known in database.tables}:
            raise Refused(f"operation failed due to: table '{name}' already exists")
        if len(database.name) + len(name) > MOST_NAMES:
            raise Refused("operation failed due to: the combined size of the names exceeds 56 characters")
        names = []
        for column in columns:
            if set(column) != {"name", "type"} or column["name"].startswith("qserv"):
                raise Refused("invalid parameters of the request, ex: wrong column in the schema")
            names.append(column["name"])
        wanted = []
        if partitioned:
            if not key:
                raise Refused("operation failed due to: the definition requires a valid director key")
            wanted = [key]
            if not director:
                if not latitude or not longitude:
                    raise Refused("operation failed due to: a director requires both coordinate columns")
                wanted += [latitude, longitude, "subChunkId"]
            elif director not in database.directors():
                raise Refused("operation failed due to: non-existing director table referenced")
        else:
            director = key = latitude = longitude = ""
        for column in wanted:
            if column not in names:
                raise Refused(f"operation failed due to: no column '{column}' in the schema")
        unique = call.get("unique_primary_key", int, 1)
        return {
            "name": name,
            "database": database.name,
            "is_published": 0,
            "create_time": 1,
            "publish_time": 0,
            "is_partitioned": partitioned,
            "is_director": int(bool(partitioned) and not director),
            "is_ref_match": 0,
            "director_table": director,
            "director_database_name": "",
            "director_table_name": director,
            "director_key": key,
            "director_table2": "",
            "director_key2": "",
            "flag": "",
            "ang_sep": 0,
            "unique_primary_key": unique,
            "charset_name": call.get("charset_name", str, "latin1"),
            "collation_name": call.get("collation_name", str, "latin1_general_ci"),
            "latitude_key": latitude,
            "longitude_key": longitude,
            "columns": [{"name": "qserv_trans_id", "type": "INT NOT NULL"}, *columns],
        }

    async def set_config(self, call: Call) -> dict[str, Any]:
        self.state.database(call.need("database", str))
        return {}

    # ---- transactions

    async def begin(self, call: Call) -> dict[str, Any]:
        database = self.state.database(call.need("database", str))
        context = call.get("context", dict, {})
        if database.published:
            raise Refused("operation failed due to: the database is already published")
        found = Transaction(self.state.next_transaction, database.name, context)
        self.state.next_transaction += 1
        self.state.transactions[found.id] = found
        if database.auto_build:
            await self.store.aside(self._index_partitions, database, found.id)
        found.become("STARTED")
        return self._shown(database, [found], call)

    def _index_partitions(self, database: Database, transaction: int) -> None:
        for table in database.directors():
            self.store.run(
                f"ALTER TABLE `{self.store.meta()}`.`{database.name}__{table}` "
                f"ADD PARTITION (PARTITION p{transaction} VALUES IN ({transaction}))"
            )

    async def list_transactions(self, call: Call) -> dict[str, Any]:
        database = self.state.database(call.query.get("database", ""))
        return self._shown(database, self.state.of_database(database), call)

    async def one_transaction(self, call: Call) -> dict[str, Any]:
        found = self.state.transaction(int(call.found[1]), status=404 if self.newest_rules else 200)
        return self._shown(self.state.database(found.database), [found], call)

    def _shown(self, database: Database, found: list[Transaction], call: Call) -> dict[str, Any]:
        shown = []
        for each in found:
            entry = each.shown(context=call.method != "GET" or call.query.get("include_context") == "1")
            if call.query.get("contrib") == "1":
                files = each.contributions
                for key, kind in (("table", str), ("chunk", int), ("worker", str)):
                    if key in call.query:
                        files = [file for file in files if file[key] == kind(call.query[key])]
                entry["contrib"] = {"summary": {}, "files": files if call.query.get("contrib_long") == "1" else []}
            shown.append(entry)
        return {
            "databases": {
                database.name: {
                    "is_published": int(database.published),
                    "num_chunks": len(database.chunks),
                    "transactions": shown,
                }
            }
        }

    async def end(self, call: Call) -> dict[str, Any]:
        found = self.state.transaction(int(call.found[1]), status=404 if self.newest_rules else 200)
        if call.query.get("abort") not in ("0", "1", "false", "true"):
            raise Refused("invalid parameters of the request, ex: parameter 'abort' is missing")
        abort = call.query["abort"] in ("1", "true")
        step = "IS_ABORTING" if abort else "IS_FINISHING"
        database = self.state.database(found.database)
        if found.state not in ("STARTED", "START_FAILED", "FINISH_FAILED", "ABORT_FAILED") and not (
            abort and found.state == "IS_FINISHING"
        ):
            raise self._not_now(found)
        if not abort and found.state != "STARTED":
            raise self._not_now(found)
        found.become(step)
        if "context" in call.body:
            found.context = call.get("context", dict, {})
        about = (self.place, call.method, call.path)
        stuck = self.faults.take(("stuck",), *about)
        if stuck is not None:
            await stuck.hang()
        if self.faults.take(("abort_failed", "finish_failed"), *about):
            found.become("ABORT_FAILED" if abort else "FINISH_FAILED")
            raise Refused("operation failed due to: a job has failed", {"worker": {"w1": "down"}})
        if found.state != step:
            raise self._not_now(found)
        built = database.auto_build and not abort
        if abort:
            await self.store.aside(self._drop, database, found.id)
        elif database.auto_build:
            built = not self.faults.take(("index_fails",), *about)
            if built:
                await self.store.aside(self._build, database, found.id)
        found.become("ABORTED" if abort else "FINISHED")
        return {**self._shown(database, [found], call), "secondary-index-build-success": int(built)}

    def _not_now(self, found: Transaction) -> Refused:
        return Refused(
            f"operation failed due to: transaction id={found.id} can't be ended at this time because of "
            f"state={found.state}."
        )

    def _drop(self, database: Database, transaction: int) -> None:
        for worker in self.workers:
            self.store.drop_partitions(self.store.schema(worker, database.name), transaction)
        if database.auto_build:
            for table in database.directors():
                self.store.run(
                    f"ALTER TABLE `{self.store.meta()}`.`{database.name}__{table}` "
                    f"DROP PARTITION IF EXISTS p{transaction}"
                )

    def _build(self, database: Database, transaction: int) -> None:
        for table in database.directors():
            key = database.tables[table]["director_key"]
            for chunk, worker in list(database.chunks.items()):
                schema = self.store.schema(worker, database.name)
                if f"{table}_{chunk}".lower() in self.store.tables(schema):
                    self.store.run(
                        f"INSERT INTO `{self.store.meta()}`.`{database.name}__{table}` "
                        f"SELECT qserv_trans_id, `{key}`, {chunk}, subChunkId FROM `{schema}`.`{table}_{chunk}` "
                        f"WHERE qserv_trans_id = {transaction}"
                    )

    # ---- chunks

    async def place_one(self, call: Call) -> dict[str, Any]:
        return {"location": (await self._placed(call, [call.need("chunk", int)]))[0]}

    async def place_many(self, call: Call) -> dict[str, Any]:
        return {"locations": await self._placed(call, call.need("chunks", list))}

    async def _placed(self, call: Call, chunks: list[int]) -> list[dict[str, Any]]:
        database = self._database_of(call)
        if database.published:
            raise Refused("operation failed due to: the database is already published")
        async with self._placing:
            for chunk in chunks:
                if not isinstance(chunk, int) or not self.state.is_chunk(database, chunk):
                    raise Refused("operation failed due to: this chunk number is not valid")
                if chunk not in database.chunks:
                    database.chunks[chunk] = self._worker_for(database, chunk)
        return [{"chunk": chunk, **self.location(database.chunks[chunk])} for chunk in chunks]

    def _worker_for(self, database: Database, chunk: int) -> str:
        """The worker that has this chunk for another database of the family, else the one with the fewest chunks."""
        for other in self.state.databases.values():
            if other.family == database.family and chunk in other.chunks:
                return other.chunks[chunk]
        load = dict.fromkeys(self.workers, 0)
        for other in self.state.databases.values():
            for worker in other.chunks.values():
                load[worker] += 1
        return min(load, key=lambda worker: load[worker])

    def _database_of(self, call: Call) -> Database:
        if "transaction_id" in call.body:
            return self.state.database(self.state.transaction(call.need("transaction_id", int)).database)
        return self.state.database(call.need("database", str))

    def location(self, worker: str) -> dict[str, Any]:
        port = self.workers[worker].port
        name = self.host_names.get(worker, "127.0.0.1")
        return {
            "worker": worker,
            "host": "127.0.0.1",
            "host_name": name,
            "port": 25002,
            "http_host": "127.0.0.1",
            "http_host_name": name,
            "http_port": port,
        }

    async def regular(self, call: Call) -> dict[str, Any]:
        self._database_of(call)
        return {"locations": [self.location(worker) for worker in self.workers]}

    # ---- the end

    async def publish(self, call: Call) -> dict[str, Any]:
        database = self.state.database(call.found[1])
        if database.published:
            raise Refused(f"operation failed due to: the database '{database.name}' is already published")
        still = [each.id for each in self.state.of_database(database) if each.state not in ("FINISHED", "ABORTED")]
        if still:
            raise Refused(f"operation failed due to: database has uncommitted transactions: {still}")
        if not database.chunks:
            raise Refused("operation failed due to: the database doesn't have any chunks")
        await self.store.aside(self._publish, database)
        database.published = True
        for table in database.tables.values():
            table["is_published"] = 1
        return {"database": {"database": database.name, "is_published": 1}}

    def _publish(self, database: Database) -> None:
        for worker in self.workers:
            schema = self.store.schema(worker, database.name)
            for table in database.partitioned():
                for chunk, place in list(database.chunks.items()):
                    if place == worker:
                        self.store.chunk_tables(schema, table, chunk)
            self.store.remove_partitioning(schema)

    async def index(self, call: Call) -> dict[str, Any]:
        database = self.state.database(call.need("database", str))
        table, rebuild = call.need("director_table", str), call.get("rebuild", int, 0)
        if table not in database.directors() or not database.published:
            raise Refused(f"operation failed due to: table '{table}' is no published director")
        if self.faults.take(("index_fails",), self.place, call.method, call.path):
            raise Refused("operation failed due to: a job has failed", {table: {"w1": {"5": "no space left"}}})
        if table in self.indexes and not rebuild:
            raise Refused("operation failed due to: the index exists")
        self.indexes.append(table)
        return {}

    async def count(self, call: Call) -> dict[str, Any]:
        database = self.state.database(call.need("database", str))
        table, selector = call.need("table", str), call.need("overlap_selector", str)
        policy, deploy = (
            call.get("row_counters_state_update_policy", str, "DISABLED"),
            call.get("row_counters_deploy_at_qserv", int, 0),
        )
        if table not in database.tables or selector not in ("CHUNK_AND_OVERLAP", "CHUNK", "OVERLAP"):
            raise Refused("invalid parameters of the request, ex: table or selector")
        if deploy and (policy != "ENABLED" or selector == "OVERLAP"):
            raise Refused("invalid parameters of the request, ex: counters can't be deployed so")
        self.counted.append({"table": table, "selector": selector})
        return {}
