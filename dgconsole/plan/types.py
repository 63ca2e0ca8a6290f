"""Whether the types of the ingest JSON can hold what the spec makes: fractions, ids, text, dates."""

import re

from dgconsole.catalog.description import ColumnDescription
from dgconsole.plan.context import Context
from dgconsole.plan.schema import SPOKEN
from dgconsole.settings.structs import IngestTable, PartitionerConfig

_CUT = (" NOT NULL", " NULL", " DEFAULT", " COMMENT", " PRIMARY", " UNIQUE", " CHECK")
_WHOLE = {
    **dict.fromkeys(("BIT", "BOOL", "BOOLEAN", "TINYINT"), 8),
    "SMALLINT": 16,
    "MEDIUMINT": 24,
    **dict.fromkeys(("INT", "INTEGER"), 32),
    "BIGINT": 64,
}
"""Bits of the types for whole numbers."""
_REAL = {"FLOAT": 24, "DOUBLE": 53, "DOUBLE PRECISION": 53, "REAL": 53, "DECIMAL": 53, "NUMERIC": 53}
"""Bits that the types for fractions keep."""
_TIME = frozenset({"DATE", "DATETIME", "TIMESTAMP", "TIME", "YEAR"})
_TEXT = re.compile(r"(N?CHAR|N?VARCHAR|(TINY|MEDIUM|LONG)?TEXT|CHARACTER.*|ENUM|SET)")
_ID_WORDS = frozenset({"SID", "OID", "VID"})
_ID_MAKERS = frozenset({"ObjIdGenerator", "VisitIdGenerator", "ForcedSourceGenerator"})
_NAMED = 3
"""So many columns are named in one notice."""


def base_type(sql: str) -> str:
    """A column's type without what a database adds to it: "float  not null default 0" is FLOAT."""
    text = " ".join(sql.upper().split())
    return text[: min((at for word in _CUT if (at := text.find(word)) >= 0), default=len(text))]


def kind_of(sql: str) -> tuple[str, int]:
    """``whole`` or ``real`` with the bits that such numbers have, ``text``, ``time``, or empty where unknown."""
    text = re.sub(r"\(.*?\)", "", base_type(sql))
    name = " ".join(word for word in text.split() if word not in ("UNSIGNED", "SIGNED", "ZEROFILL"))
    if name in _WHOLE:
        return "whole", _WHOLE[name]
    if name in _REAL:
        return "real", _REAL[name]
    if name in _TIME:
        return "time", 0
    return ("text", 0) if _TEXT.fullmatch(name) else ("", 0)


def check_types(context: Context, children: dict[str, tuple[str, str]]) -> None:
    """What can't hold its values is a problem; what holds less of them than the spec says is worth a notice."""
    for table, described in context.ingest.items():
        config = context.configs.get(table)
        if config is None or not context.fields_fit(table) or _out_of_order(context, described):
            continue
        if len(config.out_fields) == len(described.columns):
            _Types(context, described, config, children.get(table, ("", ""))[1]).check()


def _out_of_order(context: Context, described: IngestTable) -> bool:
    """Whether the columns are known to be mixed up: then their types say nothing."""
    return any((problem.file, problem.key) == (described.path, "schema") for problem in context.problems)


class _Types:
    """One table's columns, place by place."""

    def __init__(self, context: Context, described: IngestTable, config: PartitionerConfig, key: str) -> None:
        self._context = context
        self._described = described
        self._config = config
        self._key = key
        self._columns = {column.name: column for column in context.tables[described.table].columns}
        self._narrow: list[str] = []
        self._renamed: list[str] = []

    def check(self) -> None:
        config, described = self._config, self._described
        for field, (name, sql) in zip(config.out_fields, described.columns, strict=True):
            if field in (config.chunk, config.sub_chunk):
                if kind_of(sql)[0] not in ("whole", ""):
                    self._problem(name, f"is {base_type(sql)}: the partitioner writes whole numbers, make it INT")
                continue
            column = self._columns[self._context.column_of(described.table, field)]
            self._check(column, name, sql)
            if name not in (field, column.name):
                self._renamed.append(f"'{name}' is '{column.name}'")
        for found, what in (
            (self._renamed, "columns go by place, and some have other names than in the spec"),
            (self._narrow, "some types hold less than the spec says"),
        ):
            if found:
                more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
                self._context.notices.append(f"{described.path}: {what}: {', '.join(found[:_NAMED])}{more}")

    def _check(self, column: ColumnDescription, name: str, sql: str) -> None:
        made = SPOKEN.get(column.type.upper(), base_type(column.type))
        (have, bits), (want, room) = kind_of(made), kind_of(sql)
        wanted = base_type(sql)
        if have == "real" and want == "whole":
            self._problem(name, f"is {wanted}, the spec makes fractions ({made}): make them agree")
        elif have == "text" and want in ("whole", "real"):
            self._problem(name, f"is {wanted}, the spec makes text ({made}): make them agree")
        elif have in ("whole", "real") and want == "time":
            self._problem(name, f"is {wanted}, the spec makes numbers ({made}): make them agree")
        elif have == "whole" and room < bits and want in ("whole", "real") and self._is_id(column):
            self._problem(name, f"is {wanted}, too small for ids of 64 bits: make it BIGINT")
        elif have == want and room < bits and (column.stated or (have == "whole" and room < _WHOLE["INT"])):
            self._narrow.append(f"'{name}' is {wanted}, not {made}")

    def _is_id(self, column: ColumnDescription) -> bool:
        return (
            column.name == self._key
            or column.type.upper() in _ID_WORDS
            or (column.generator in _ID_MAKERS and kind_of(column.type) == ("whole", 64))
        )

    def _problem(self, name: str, what: str) -> None:
        self._context.in_schema(self._described.path, name, what)
