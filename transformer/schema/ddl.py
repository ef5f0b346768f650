"""SQL of the destination table, its fingerprint, and whether a table that is already there fits.

Every identifier is quoted, always, so that no name can be read as SQL. The only text that reaches a statement as it is
are the expressions of `materialized` and `partition_by` and the codecs, which `transformer.schema.file` has checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from transformer.schema.expression import (
    ExpressionError,
    Kind,
    Token,
    arguments,
    quote_identifier,
    quote_string,
    tokens,
)
from transformer.schema.layout import RowColumn, row_columns
from transformer.schema.types import (
    Array,
    DateTime64,
    Enum,
    LowCardinality,
    Map,
    Nullable,
    Tuple,
    Type,
    TypeSyntaxError,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformer.schema.table import Table

DEDUPLICATION_WINDOW = 1000
"""How many inserts a table without replication remembers by their tokens (ClickHouse's default is 0: none).

After a crash only chunks whose outcome is unknown are sent again, and those of data files that were not finished. At
64 MiB of JSON an insert, 1000 inserts are the last 60 GiB: far more than the files that are open at one time. Each
costs one short line in a log of the table. Replicated and Shared tables have a window and settings of their own.
"""

ENGINES = ("ReplacingMergeTree", "ReplicatedReplacingMergeTree", "SharedReplacingMergeTree")
"""Engines that keep, of the rows with one key, the row with the highest version."""


def create_table(
    table: Table,
    *,
    database: str | None = None,
    if_not_exists: bool = False,
    comments: bool = False,
    settings: Mapping[str, int] | None = None,
) -> str:
    """The CREATE TABLE statement of a destination, without a semicolon.

    database: put before the table's name; None leaves it to the connection.
    comments: give every column the path of its attribute as a COMMENT (a JSON array of names).
    settings: further settings of the table, which its server must know.
    A replicated engine is written without path and replica name: ClickHouse takes them from its configuration, which it
    allows with ON CLUSTER or in a Replicated database.
    """
    lines = [_definition(table, column, comments=comments) for column in row_columns(table)]
    for computed in table.computed:
        codec = f" CODEC({computed.codec})" if computed.codec else ""
        lines.append(
            f"{quote_identifier(computed.name)} {computed.type.sql} MATERIALIZED ({computed.expression}){codec}"
        )
    name = ".".join(quote_identifier(part) for part in (database, table.name) if part is not None)
    version, deleted = quote_identifier(table.version_column), quote_identifier(table.deleted_column)
    parts = [
        f"CREATE TABLE{' IF NOT EXISTS' if if_not_exists else ''} {name}"
        + (f" ON CLUSTER {quote_identifier(table.cluster)}" if table.cluster else ""),
        "(",
        ",\n".join(f"    {line}" for line in lines),
        ")",
        f"ENGINE = {table.engine}({version}, {deleted})",
    ]
    if table.partition_by:
        parts.append(f"PARTITION BY ({table.partition_by})")
    parts.append(f"ORDER BY ({', '.join(map(quote_identifier, table.key))})")
    window = {"non_replicated_deduplication_window": DEDUPLICATION_WINDOW}
    all_settings = {**(window if table.engine == "ReplacingMergeTree" else {}), **(settings or {})}
    if all_settings:
        parts.append("SETTINGS " + ", ".join(f"{name} = {value}" for name, value in all_settings.items()))
    return "\n".join(parts)


def _definition(table: Table, column: RowColumn, *, comments: bool) -> str:
    """One line of the column list."""
    mapped = next((mapped for mapped in table.columns if mapped.name == column.name), None)
    line = f"{quote_identifier(column.name)} {column.type.sql}"
    if comments and mapped is not None:
        line += f" COMMENT {quote_string(json.dumps(mapped.path, ensure_ascii=False))}"
    codec = mapped.codec if mapped is not None else "ZSTD" if column.name == table.raw_column else ""
    return f"{line} CODEC({codec})" if codec else line


def fingerprint(table: Table) -> str:
    """32 hexadecimal digits over everything that decides which rows an item becomes, the same on every machine.

    In it: the key, the columns in order with types, paths, conversions and defaults, the names of the other columns,
    where the version comes from, the policy for unmapped attributes, and `drop`. Not in it: what decides only where and
    how ClickHouse keeps rows (name of the table, engine, cluster, partitions, codecs, time zones of display), and
    computed columns.
    """
    content = {
        "format": 1,
        "key": table.key,
        "columns": [
            [
                column.name,
                column.path,
                _comparable(column.type).sql,
                column.convert.value if column.convert else None,
                column.default,
            ]
            for column in table.columns
        ],
        "version": [table.version_column, table.version_from.value],
        "deleted": table.deleted_column,
        "unmapped": [table.unmapped_column, table.unmapped_policy.value],
        "raw": table.raw_column,
        "drop": sorted(table.drop),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _comparable(type_: Type) -> Type:
    """The type without what changes no value: time zones (display only) and the order in which an Enum is written."""
    match type_:
        case DateTime64(precision, _):
            return DateTime64(precision)
        case Enum(bits, members):
            return Enum(bits, tuple(sorted(members, key=lambda member: member[1])))
        case Nullable(inner):
            return Nullable(_comparable(inner))
        case LowCardinality(inner):
            return LowCardinality(_comparable(inner))
        case Array(element):
            return Array(_comparable(element))
        case Map(value):
            return Map(_comparable(value))
        case Tuple(members):
            return Tuple(tuple((name, _comparable(member)) for name, member in members))
        case _:
            return type_


def same_type(type_: Type, spelling: str) -> bool:
    """Whether ClickHouse's `spelling` of a type (system.columns) means `type_`: values of it are stored alike."""
    try:
        found = parse(_JSON_PARAMETERS.sub("JSON", spelling))
    except TypeSyntaxError:
        return False
    return _comparable(found) == _comparable(type_)


_JSON_PARAMETERS = re.compile(r"\bJSON\([^()`'\"]*\)")


def differences(
    table: Table,
    existing: Sequence[tuple[str, str, str]],
    sorting_key: str,
    engine: str,
    partition_key: str = "",
) -> list[str]:
    """Why a table that is already there cannot take the rows of `table`: one sentence each, none if it fits.

    existing: name, type, default_kind of each column, from system.columns.
    sorting_key, engine, partition_key: sorting_key, engine_full, partition_key of its row in system.tables.
    Further columns, codecs, indexes, settings, TTL, comments and another order of columns fit.
    """
    found = _engine_differences(table, engine)
    keys = _names(sorting_key)
    if keys != list(table.key):
        wanted = ", ".join(map(quote_identifier, table.key))
        found.append(f"ORDER BY is ({sorting_key}), not the key of the DynamoDB table ({wanted})")
    found.extend(_partition_differences(table, partition_key))
    by_name = {name: (spelling, default_kind) for name, spelling, default_kind in existing}
    for column in row_columns(table):
        name = quote_identifier(column.name)
        if column.name not in by_name:
            found.append(f"column {name} {column.type.sql} is missing")
            continue
        spelling, default_kind = by_name[column.name]
        if not same_type(column.type, spelling):
            found.append(f"column {name} is {spelling}, not {column.type.sql}")
        if default_kind not in ("", "DEFAULT"):
            found.append(f"column {name} is {default_kind}, so nothing can be inserted into it")
    for computed in table.computed:
        name = quote_identifier(computed.name)
        if computed.name not in by_name:
            found.append(f"computed column {name} {computed.type.sql} is missing")
            continue
        spelling, default_kind = by_name[computed.name]
        if not same_type(computed.type, spelling):
            found.append(f"computed column {name} is {spelling}, not {computed.type.sql}")
        if default_kind != "MATERIALIZED":
            found.append(f"column {name} is not MATERIALIZED, so ClickHouse does not compute it")
    return found


def _engine_differences(table: Table, engine: str) -> list[str]:
    """Sentences about the engine: another one, or one that orders rows by other columns."""
    name, _, _ = engine.partition("(")
    name = name.split()[0] if name.split() else "none"
    if name not in ENGINES:
        return [f"the engine is {name}, not a ReplacingMergeTree, which keeps the newest row of each key"]
    wanted = [table.version_column, table.deleted_column]
    try:
        given = [_name(argument) for argument in _call_arguments(tokens(engine))]
    except ExpressionError:
        given = []
    # Replicated engines may have a path and a replica name, both strings, before the columns.
    columns = [argument for argument in given if argument is not None]
    if columns != wanted:
        stated = ", ".join(columns) or "no columns"
        return [f"the engine is {name} over {stated}, not over {', '.join(wanted)} (version and deleted)"]
    return []


def _partition_differences(table: Table, partition_key: str) -> list[str]:
    """A sentence if two versions of one item could stand in two partitions, where they are never merged."""
    if not partition_key:
        return []
    try:
        used = free_names(tokens(partition_key))
    except ExpressionError:
        used = {partition_key}
    if used <= set(table.key):
        return []
    return [
        f"PARTITION BY {partition_key} is no function of the key alone, so versions of one item would not be merged"
    ]


def free_names(found: list[Token]) -> set[str]:
    """The names in an expression that are not names of functions or operators written as words."""
    return {
        token.text
        for token, after in zip(found, [*found[1:], None], strict=True)
        if token.kind is Kind.NAME
        and not (token.bare and token.text.upper() in _OPERATORS)
        and not (after is not None and after.kind is Kind.MARK and after.text == "(")
    }


_OPERATORS = {"AND", "OR", "NOT", "IN", "DIV", "MOD", "BETWEEN", "LIKE", "IS", "NULL", "TRUE", "FALSE"}


def _call_arguments(found: list[Token]) -> list[list[Token]]:
    """The arguments of the first call in the text: `Engine(a, b) ORDER BY ...` gives a and b."""
    if len(found) < 2 or found[1].text != "(" or found[1].kind is not Kind.MARK:
        return []
    depth = 0
    for index, token in enumerate(found[1:], start=1):
        if token.kind is Kind.MARK:
            depth += (token.text in "([") - (token.text in ")]")
            if depth == 0:
                return arguments(found[2:index])
    return []


def _name(argument: list[Token]) -> str | None:
    """The name that an argument consists of, or None for anything else."""
    return argument[0].text if len(argument) == 1 and argument[0].kind is Kind.NAME else None


def _names(sorting_key: str) -> list[str | None]:
    """The columns of a sorting key as system.tables prints it; None for an expression."""
    try:
        found = tokens(sorting_key)
    except ExpressionError:
        return [None]
    if len(found) == 3 and found[0].text == "(":
        found = found[1:2]  # ORDER BY (id), with the brackets that were typed; for several columns it leaves them out
    return [_name(argument) for argument in arguments(found)]


def count_rows(table: Table) -> str:
    """The SELECT that counts the rows that are stored, of whatever version; ClickHouse knows it without reading."""
    return f"SELECT count() FROM {quote_identifier(table.name)}"  # noqa: S608 - the identifier is quoted


def count_keys(table: Table, *, database: str | None = None) -> str:
    """The SELECT that counts the different keys in the destination, tombstones included.

    It reads the key columns once, in the order of the table, and so needs little memory however large the table is: of
    2.3 million keys in 30 parts 24 MB, where a hash table took 512. The settings must stand outside: in the subquery
    they have no effect. Blocks are small because each part holds some (131 MB with 8,192 rows, in the same time).
    """
    name = quote_identifier(table.name)
    if database is not None:
        name = f"{quote_identifier(database)}.{name}"
    keys = ", ".join(map(quote_identifier, table.key))
    each = f"SELECT 1 FROM {name} GROUP BY {keys}"  # noqa: S608 - every identifier is quoted
    how = "optimize_aggregation_in_order = 1, max_threads = 1, max_block_size = 1024"
    return f"SELECT count() FROM ({each}) SETTINGS {how}"  # noqa: S608 - see above
