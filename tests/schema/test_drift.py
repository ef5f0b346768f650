"""What `schema diff` finds, and that ClickHouse takes its statements."""

from __future__ import annotations

import pytest

from transformer.errors import ConflictError
from transformer.load.destination import Destination
from transformer.schema.ddl import create_table
from transformer.schema.drift import changes
from transformer.schema.file import parse_schema
from transformer.schema.layout import row_columns
from transformer.schema.table import Table

OLD = "{name: id, type: String}, {name: age, type: Nullable(Int16)}, {name: gone, type: Nullable(String)}"
NEW = "{name: id, type: String}, {name: 'new `one', type: Array(Int64)}, {name: age, type: Nullable(Int32)}"


def table(name: str, columns: str, more: str = "", key: str = "id") -> Table:
    return parse_schema(f"table: {name}\nkey: [{key}]\ncolumns: [{columns}]\n{more}\n", "test").table


def test_the_statements_make_the_new_table_of_the_old_one(chdb_destination: Destination, unique_name: str) -> None:
    old, new = table(unique_name, OLD), table(unique_name, NEW)
    chdb_destination.ensure_table(old)
    found = changes(old, new)
    for change in found:
        chdb_destination.query(change.sql)
    described = chdb_destination.query(
        f"SELECT name, type FROM system.columns WHERE table = '{unique_name}' ORDER BY position FORMAT TSVRaw"
    ).decode()
    assert described.splitlines() == [f"{column.name}\t{column.type.sql}" for column in row_columns(new)]
    assert [(change.stream, change.reload) for change in found] == [(False, True), (True, False), (True, False)]


def test_equal_schemas_have_no_difference() -> None:
    assert changes(table("t", OLD), table("t", OLD)) == []


@pytest.mark.parametrize("change", ["path: other", "default: 0"])
def test_a_column_that_reads_something_else_is_reported_without_a_statement(change: str) -> None:
    old = table("t", "{name: id, type: String}, {name: a, type: Int8}")
    new = table("t", f"{{name: id, type: String}}, {{name: a, type: Int8, {change}}}")
    (found,) = changes(old, new)
    assert (found.sql, found.stream, found.reload) == ("", True, True)


@pytest.mark.parametrize(
    "other",
    [
        table("u", OLD),
        table("t", OLD, "partition_by: id"),
        table("t", OLD, "version: {column: v}"),
        table("t", OLD, "deleted: {column: d}"),
        table("t", OLD, "engine: SharedReplacingMergeTree"),
        table("t", OLD.replace("id, type: String", "id, type: Int64")),
    ],
    ids=["name", "partition", "version", "deleted", "engine", "key type"],
)
def test_another_table_is_a_conflict(other: Table) -> None:
    with pytest.raises(ConflictError, match=r"differs|does not change"):
        changes(table("t", OLD), other)


def test_codecs_and_computed_columns_have_statements_that_clickhouse_takes(
    chdb_destination: Destination, unique_name: str
) -> None:
    plain = "{name: id, type: String}, {name: a, type: Int8}"
    packed = "{name: id, type: String}, {name: a, type: Int8, codec: ZSTD(3)}"
    one = table(unique_name, f"{plain}, {{name: up, type: String, materialized: upper(id)}}")
    two = table(
        unique_name,
        f"{packed}, {{name: up, type: String, materialized: lower(id)}}, {{name: n, type: UInt64, "
        "materialized: length(id)}",
    )
    chdb_destination.ensure_table(one)
    for old, new, wanted in ((one, two, 3), (two, one, 3), (one, table(unique_name, plain), 1)):
        found = changes(old, new)
        assert len(found) == wanted
        assert not any(change.stream for change in found)
        for change in found:
            chdb_destination.query(change.sql)


@pytest.mark.parametrize(
    ("old", "new", "possible"),
    [
        ("Int8", "Int64", True),
        ("Int64", "Int8", False),
        ("Int8", "UInt64", False),
        ("UInt8", "Int16", True),
        ("Nullable(Int8)", "Int8", False),
        ("Int8", "Nullable(Int8)", True),
        ("Int256", "String", True),
        ("String", "Int256", False),
        ('"Decimal(4, 2)"', '"Decimal(9, 3)"', True),
        ('"Decimal(9, 2)"', '"Decimal(9, 3)"', False),
        ("String", "LowCardinality(Nullable(String))", True),
        ("LowCardinality(Nullable(String))", "String", False),
        ("Array(Int8)", "Array(Int16)", True),
        ('"Map(String, Int16)"', '"Map(String, Int8)"', False),
    ],
)
def test_a_statement_never_cuts_what_is_stored(
    chdb_destination: Destination, unique_name: str, old: str, new: str, possible: bool
) -> None:
    tables = [table(unique_name, f"{{name: id, type: String}}, {{name: a, type: {type_}}}") for type_ in (old, new)]
    (found,) = changes(*tables)
    assert (bool(found.sql), found.reload) == (possible, not possible)
    if possible:
        chdb_destination.ensure_table(tables[0])
        chdb_destination.query(found.sql)


def test_other_rules_are_reported() -> None:
    found = changes(table("t", OLD), table("t", OLD, "version: {from: export_time}\ndrop: [secret]"))
    assert [(change.sql, change.reload) for change in found] == [("", True), ("", True)]
    (*_, policy) = changes(table("t", OLD), table("t", OLD, "unmapped: {policy: reject}"))
    assert "policy reject, was keep" in policy.what


def test_statements_go_to_the_cluster() -> None:
    (found, *_) = changes(table("t", OLD, "cluster: main"), table("t", NEW, "cluster: main"))
    assert found.sql.startswith("ALTER TABLE `t` ON CLUSTER `main` ADD COLUMN")
    assert create_table(table("t", NEW, "cluster: main")).startswith("CREATE TABLE `t` ON CLUSTER `main`")
