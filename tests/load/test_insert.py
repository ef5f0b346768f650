"""One insert is one block and arrives once; what does not fit the table is refused and not bent."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from transformer.errors import ConflictError, InternalError, UsageError
from transformer.load.destination import Destination, NullDestination, open_destination
from transformer.schema.ddl import create_table
from transformer.schema.layout import arrow_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import parse

WIDE = 60


def make_table(name: str, columns: int = 1) -> Table:
    return Table(
        name,
        ("id",),
        (
            Column("id", ("id",), parse("Int64")),
            *(Column(f"c{n}", (f"c{n}",), parse("Nullable(Bool)")) for n in range(columns)),
        ),
    )


def make_batches(table: Table, rows: int, batches: int, start: int = 0) -> list[pa.RecordBatch]:
    """`rows` rows with ids from `start`, evenly in that many batches."""
    schema = arrow_schema(table)
    size = rows // batches
    result = []
    for first in range(start, start + rows, size):
        arrays = []
        for schema_field in schema:
            if schema_field.name == "id":
                arrays.append(pa.array(range(first, first + size), pa.int64()))
            elif schema_field.name == "_unmapped":
                arrays.append(pa.array([[]] * size, schema_field.type))
            elif schema_field.nullable:
                arrays.append(pa.nulls(size, schema_field.type))
            else:
                arrays.append(pa.array([0] * size, schema_field.type))
        result.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return result


def ask(destination: Destination, sql: str) -> list[str]:
    return destination.query(f"{sql} FORMAT TSVRaw").decode().split("\n")[:-1]


def prepare(destination: Destination, table: Table) -> None:
    """Make the table and keep its parts apart."""
    destination.ensure_table(table)
    destination.query(f"SYSTEM STOP MERGES {table.name}")


def parts(destination: Destination, name: str) -> list[str]:
    """The rows of each part: of each block that was inserted."""
    return ask(destination, f"SELECT rows FROM system.parts WHERE table = '{name}' AND active ORDER BY name")


def test_many_batches_make_one_part(chdb_destination: Destination, unique_name: str) -> None:
    # 1.2 million rows are more than the engine's own limit for a block (1,048,449), in batches of decoder size.
    table = make_table(unique_name)
    prepare(chdb_destination, table)
    chdb_destination.insert(table, make_batches(table, 1_200_000, 150), "t")
    assert parts(chdb_destination, unique_name) == ["1200000"]


def test_wide_batches_make_one_part(chdb_destination: Destination, unique_name: str) -> None:
    # 60 Nullable(Bool) of 400,000 rows are small in Arrow; in the engine they reach a profile's limit of 16 MiB.
    table = make_table(unique_name, columns=WIDE)
    prepare(chdb_destination, table)
    chdb_destination.query("SET min_insert_block_size_bytes = 16777216")
    chdb_destination.insert(table, make_batches(table, 400_000, 10), "t")
    chdb_destination.query("SET min_insert_block_size_bytes = DEFAULT")
    assert parts(chdb_destination, unique_name) == ["400000"]


def test_token_stores_a_chunk_once(chdb_destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    prepare(chdb_destination, table)
    first, second = make_batches(table, 100, 4), make_batches(table, 100, 4, start=100)
    for batches, token in ((first, "a"), (first, "a"), (second, "b"), (first, "a")):
        chdb_destination.insert(table, batches, token)
    assert parts(chdb_destination, unique_name) == ["100", "100"]
    # Other batches, same rows, same token: still one block, so still recognised.
    chdb_destination.insert(table, make_batches(table, 100, 1), "a")
    assert ask(chdb_destination, f"SELECT count() FROM {unique_name}") == ["200"]
    chdb_destination.insert(table, first, "c")
    assert ask(chdb_destination, f"SELECT count(), uniqExact(id) FROM {unique_name}") == ["300\t200"]


def test_empty_batches_are_left_out(chdb_destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    prepare(chdb_destination, table)
    empty = make_batches(table, 1, 1)[0].slice(0, 0)
    chdb_destination.insert(table, [], "a")
    chdb_destination.insert(table, [empty], "b")
    assert parts(chdb_destination, unique_name) == []
    chdb_destination.insert(table, [empty, *make_batches(table, 3, 1), empty], "c")
    assert parts(chdb_destination, unique_name) == ["3"]


@pytest.mark.parametrize(
    "bend",
    [
        lambda batch: batch.drop_columns(["version"]),
        lambda batch: batch.set_column(0, "id", batch["id"].cast(pa.int32())),
        lambda batch: batch.rename_columns(["ID", *batch.schema.names[1:]]),
        lambda batch: batch.append_column("more", batch["id"]),
    ],
    ids=["missing", "type", "name", "further"],
)
def test_batches_that_are_not_of_the_table_are_refused(chdb_destination: Destination, unique_name: str, bend) -> None:
    table = make_table(unique_name)
    prepare(chdb_destination, table)
    with pytest.raises(InternalError, match="a batch for"):
        chdb_destination.insert(table, [bend(make_batches(table, 2, 1)[0])], "t")
    assert parts(chdb_destination, unique_name) == []


def test_null_into_a_column_without_null_is_refused(chdb_destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    prepare(chdb_destination, table)
    batch = make_batches(table, 2, 1)[0].set_column(0, "id", pa.array([1, None], pa.int64()))
    with pytest.raises(InternalError, match="CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN"):
        chdb_destination.insert(table, [batch], "t")
    assert parts(chdb_destination, unique_name) == []


def test_a_table_that_changed_under_the_load_is_a_conflict(chdb_destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    prepare(chdb_destination, table)
    chdb_destination.query(f"ALTER TABLE {unique_name} DROP COLUMN c0")
    with pytest.raises(ConflictError, match="NO_SUCH_COLUMN_IN_TABLE"):
        chdb_destination.insert(table, make_batches(table, 2, 1), "t")
    chdb_destination.query(f"DROP TABLE {unique_name}")
    with pytest.raises(ConflictError, match="UNKNOWN_TABLE"):
        chdb_destination.insert(table, make_batches(table, 2, 1), "t")


def test_threads_insert_at_the_same_time(chdb_destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    chdb_destination.ensure_table(table)
    failures: list[BaseException] = []

    def insert(number: int) -> None:
        try:
            for step in range(5):
                start = (number * 5 + step) * 1000
                chdb_destination.insert(table, make_batches(table, 1000, 2, start=start), f"{number}-{step}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=insert, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert ask(chdb_destination, f"SELECT count(), uniqExact(id) FROM {unique_name}") == ["20000\t20000"]


def test_names_are_never_read_as_sql(chdb_destination: Destination, unique_name: str) -> None:
    name = f"{unique_name}`; DROP TABLE x; --"
    table = Table(name, ("i`d",), (Column("i`d", ("id",), parse("String")), Column("a'b\\", ("x",), parse("String"))))
    assert chdb_destination.ensure_table(table)
    row = {"i`d": b"1", "a'b\\": b"2", "version": 0, "is_deleted": 0, "_unmapped": []}
    chdb_destination.insert(table, [pa.RecordBatch.from_pylist([row], schema=arrow_schema(table))], "t'; --")
    quoted = name.replace("`", "\\`")
    assert ask(chdb_destination, f"SELECT `i\\`d`, `a'b\\\\` FROM `{quoted}`") == ["1\t2"]


def test_a_table_is_made_once(chdb_destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    assert chdb_destination.ensure_table(table)
    assert not chdb_destination.ensure_table(table)


@pytest.mark.parametrize("key", [("id",), ("id", "c0")], ids=["one", "two"])
def test_a_table_made_by_the_printed_ddl_fits(
    chdb_destination: Destination, unique_name: str, key: tuple[str, ...]
) -> None:
    columns = (Column("id", ("id",), parse("String")), Column("c0", ("c",), parse("Decimal(38, 2)")))
    table = Table(unique_name, key, columns, raw_column="_raw")
    chdb_destination.query(create_table(table))
    assert not chdb_destination.ensure_table(table)


def test_a_table_that_differs_is_a_conflict_with_all_differences(
    chdb_destination: Destination, unique_name: str
) -> None:
    chdb_destination.query(
        f"CREATE TABLE {unique_name} (id Int32, c0 Nullable(Bool), version Int64, more String) "
        "ENGINE = MergeTree ORDER BY (id, more)"
    )
    with pytest.raises(ConflictError) as caught:
        chdb_destination.ensure_table(make_table(unique_name))
    assert caught.value.exit_code == 5
    for expected in ("engine", "ORDER BY", "`id` is Int32, not Int64", "`is_deleted`", "`_unmapped`", "--table"):
        assert expected in str(caught.value)


def test_what_else_a_table_has_is_its_own_affair(chdb_destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    chdb_destination.query(
        f"CREATE TABLE {unique_name} (extra DateTime DEFAULT now(), id Int64 CODEC(Delta, ZSTD), is_deleted UInt8, "
        "version Int64, c0 Nullable(Bool), _unmapped Map(String, String), INDEX i c0 TYPE minmax) "
        "ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY id TTL extra + INTERVAL 100 YEAR"
    )
    assert not chdb_destination.ensure_table(table)
    chdb_destination.insert(table, make_batches(table, 10, 1), "t")
    assert ask(chdb_destination, f"SELECT count(), min(extra) > '2020-01-01 00:00:00' FROM {unique_name}") == ["10\t1"]


def test_query_honours_its_format(chdb_destination: Destination) -> None:
    assert chdb_destination.query("SELECT 1 AS a, 'x' AS b FORMAT JSONEachRow") == b'{"a":1,"b":"x"}\n'
    assert chdb_destination.query("SELECT 1 AS a FORMAT CSV;") == b"1\n"
    assert "│ 1 │" in chdb_destination.query("SELECT 1 AS a -- the end").decode()
    assert chdb_destination.query("SELECT 'FORMAT CSV' AS a;").decode().count("─") > 5


def test_query_mistakes_are_the_users(chdb_destination: Destination) -> None:
    with pytest.raises(UsageError, match=r"UNKNOWN_TABLE \(60\)"):
        chdb_destination.query("SELECT * FROM no_such_table")
    with pytest.raises(UsageError, match="SYNTAX_ERROR"):
        chdb_destination.query("SELEC 1")
    # And the connection still works.
    assert chdb_destination.query("SELECT 1 FORMAT CSV") == b"1\n"


def test_databases_of_one_folder(chdb_destination: Destination, chdb_url: str, unique_name: str) -> None:
    other = open_destination(f"{chdb_url}?database={unique_name}")
    table = make_table("t")
    try:
        assert other.url == f"{chdb_url}?database={unique_name}"
        assert other.ensure_table(table)
        other.insert(table, make_batches(table, 2, 1), "t")
        assert ask(chdb_destination, f"SELECT count() FROM {unique_name}.t") == ["2"]
    finally:
        other.close()
    other.close()
    with pytest.raises(InternalError, match="is closed"):
        other.query("SELECT 1")


def test_null_counts() -> None:
    destination = open_destination("null:")
    assert isinstance(destination, NullDestination)
    table = make_table("t")
    assert not destination.ensure_table(table)
    destination.insert(table, make_batches(table, 10, 2), "t")
    assert destination.rows == 10
    with pytest.raises(UsageError):
        destination.query("SELECT 1")
    destination.close()
