"""The SQL of tables, run on the embedded engine; fingerprints; which existing tables fit."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from decode_tables import types
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.schema.ddl import DEDUPLICATION_WINDOW, count_keys, create_table, differences, fingerprint, same_type
from transformer.schema.layout import arrow_schema, row_columns
from transformer.schema.table import Column, Computed, Convert, Table, UnmappedPolicy, VersionFrom
from transformer.schema.types import JSON, Nullable, Type, parse

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

INJECTIONS = (
    "a` String) ENGINE = Memory; DROP TABLE users --",
    "a\\` String, `b",
    "a\\",
    "`",
    "``",
    "'); DROP TABLE users; --",
    "a/*",
    "{name:String}",
    "%(name)s",
    "a\n) ENGINE = Log",
    "select",
    "no spaces? some",
    " ",
    "é ü 日本 😀",
    "\x01\x1f\x7f",
    '"',
    "a,b",
    "(a)",
    "x" * 300,
)
COLUMN_NAMES = st.sampled_from(INJECTIONS) | st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters=".\0"), min_size=1, max_size=8
)
TABLE_NAMES = COLUMN_NAMES.filter(lambda name: len(name.encode()) < 60 and not re.search(r"[./\\*?{}\x00-\x1f]", name))
KEY = Column("id", ("id",), parse("String"))


def table_of(*columns: Column, **changes: object) -> Table:
    """A table `t` with the key column id and these columns."""
    return replace(Table("t", ("id",), (KEY, *columns)), **changes)  # type: ignore[arg-type]


def column(name: str, type_: str, **changes: object) -> Column:
    """A column on the attribute of its own name."""
    return replace(Column(name, (name,), parse(type_)), **changes)  # type: ignore[arg-type]


def described(engine: Client, name: str) -> tuple[list[tuple[str, str, str]], str, str, str]:
    """What `differences` takes, of a table of the engine."""
    where = {"name": name}
    columns = engine.query(
        "SELECT name, type, default_kind FROM system.columns "
        "WHERE database = currentDatabase() AND table = {name:String} ORDER BY position",
        parameters=where,
    ).result_rows
    ((sorting_key, engine_full, partition_key),) = engine.query(
        "SELECT sorting_key, engine_full, partition_key FROM system.tables "
        "WHERE database = currentDatabase() AND name = {name:String}",
        parameters=where,
    ).result_rows
    return [tuple(row) for row in columns], sorting_key, engine_full, partition_key


@st.composite
def made_tables(draw: st.DrawFn) -> Table:
    """Tables with names that try to be SQL, of any types, with all optional columns and clauses."""
    names = draw(st.lists(COLUMN_NAMES, min_size=7, max_size=9, unique=True))
    version, deleted, unmapped, raw, computed, *rest = names
    keys = rest[: draw(st.integers(1, 2))]
    key_types = st.sampled_from(("String", "Int8", "UInt256", "Decimal(20, 3)"))
    columns = [
        Column(name, (name,), parse(draw(key_types)) if name in keys else draw(types() | st.just(Nullable(JSON()))))
        for name in rest
    ]
    policy = draw(st.sampled_from(UnmappedPolicy))
    key = tuple(draw(st.permutations(keys)))
    quoted = "`" + key[0].replace("\\", "\\\\").replace("`", "\\`") + "`"
    return Table(
        name=draw(TABLE_NAMES),
        key=key,
        columns=tuple(columns),
        version_column=version,
        deleted_column=deleted,
        unmapped_column=unmapped if policy is UnmappedPolicy.KEEP else "",
        unmapped_policy=policy,
        raw_column=raw if draw(st.booleans()) else "",
        computed=(Computed(computed, parse("String"), f"concat('(', toString({quoted}), ')')", "ZSTD(3)"),),
        partition_by=draw(st.sampled_from(("", f"cityHash64({quoted}) % 4"))),
    )


@given(made_tables(), st.booleans())
@settings(max_examples=40)
def test_clickhouse_makes_exactly_the_table_that_is_meant(engine: Client, table: Table, comments: bool) -> None:
    engine.command(create_table(table, comments=comments))
    try:
        columns, *rest = described(engine, table.name)
        assert [name for name, _, _ in columns] == [
            *(expected.name for expected in row_columns(table)),
            table.computed[0].name,
        ]
        assert [name for name, _, _ in columns][: len(arrow_schema(table).names)] == arrow_schema(table).names
        assert differences(table, columns, *rest) == []
    finally:
        quoted = table.name.replace("\\", "\\\\").replace("`", "\\`")
        engine.command(f"DROP TABLE `{quoted}` SYNC")


@pytest.mark.parametrize("name", [name for name in INJECTIONS if len(name) < 60])
def test_names_stay_names(engine: Client, unique_name: str, name: str) -> None:
    """A name that tries to be SQL is a database, a table, a column; nothing else happens."""
    quoted = "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
    engine.command(f"CREATE TABLE {unique_name} (x Int8) ENGINE = Memory")
    engine.command(f"CREATE DATABASE {quoted}")
    table = Table(name, ("id",), (KEY, Column(name, (name,), parse("Nullable(Int8)"))))
    try:
        engine.command(create_table(table, database=name, comments=True))
        rows = engine.query(
            "SELECT database, table, name, comment FROM system.columns "
            "WHERE table = {name:String} AND type = 'Nullable(Int8)'",
            parameters={"name": name},
        ).result_rows
        assert rows == [(name, name, name, json.dumps([name], ensure_ascii=False))]
        assert engine.query(f"EXISTS {unique_name}").result_rows == [(1,)]
    finally:
        engine.command(f"DROP DATABASE {quoted} SYNC")


def test_optional_clauses() -> None:
    table = table_of(
        column("a", "String", codec="Delta, ZSTD(3)", path=("x'y", "z")),
        raw_column="_raw",
        cluster="my `cluster",
        engine="ReplicatedReplacingMergeTree",
        partition_by="length(id)",
        computed=(Computed("b", parse("String"), "upper(a)", "LZ4"),),
    )
    assert create_table(table, database="d", if_not_exists=True, comments=True) == (
        "CREATE TABLE IF NOT EXISTS `d`.`t` ON CLUSTER `my \\`cluster`\n"
        "(\n"
        "    `id` String COMMENT '[\"id\"]',\n"
        '    `a` String COMMENT \'["x\\\'y", "z"]\' CODEC(Delta, ZSTD(3)),\n'
        "    `version` Int64,\n"
        "    `is_deleted` UInt8,\n"
        "    `_unmapped` Map(String, String),\n"
        "    `_raw` String CODEC(ZSTD),\n"
        "    `b` String MATERIALIZED (upper(a)) CODEC(LZ4)\n"
        ")\n"
        "ENGINE = ReplicatedReplacingMergeTree(`version`, `is_deleted`)\n"
        "PARTITION BY (length(id))\n"
        "ORDER BY (`id`)"
    )


def test_only_tables_without_replication_get_a_deduplication_window() -> None:
    setting = f"SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
    assert create_table(table_of()).endswith(setting)
    for engine in ("ReplicatedReplacingMergeTree", "SharedReplacingMergeTree"):
        assert "SETTINGS" not in create_table(table_of(engine=engine))


def test_further_settings_stand_behind_it() -> None:
    assert create_table(table_of(), settings={"a": 1}).endswith(f"= {DEDUPLICATION_WINDOW}, a = 1")
    assert create_table(table_of(engine="SharedReplacingMergeTree"), settings={"a": 1}).endswith("\nSETTINGS a = 1")


def test_the_newest_version_wins_and_tombstones_hide(engine: Client, unique_name: str) -> None:
    table = table_of(
        column("a", "Nullable(Int16)"), name=unique_name, computed=(Computed("b", parse("Nullable(Int32)"), "a * 2"),)
    )
    engine.command(create_table(table))
    names = "id, a, version, is_deleted"
    for row in ("('x', 1, 0, 0)", "('x', 2, 5, 0)", "('x', 3, 4, 0)", "('y', 1, 0, 0)", "('y', NULL, 1, 1)"):
        engine.command(f"INSERT INTO {unique_name} ({names}) SETTINGS async_insert = 0 VALUES {row}")
    assert engine.query(f"SELECT {names}, b FROM {unique_name} FINAL").result_rows == [("x", 2, 5, 0, 4)]


def test_keys_are_counted_once_each_in_little_memory(engine: Client, unique_name: str) -> None:
    table = table_of(name=unique_name, key=("id", "n"), columns=(KEY, column("n", "Int64")))
    engine.command(create_table(table))
    engine.command(f"SYSTEM STOP MERGES {unique_name}")
    for start in (0, 0, 50_000):  # every key twice, and half of them three times
        engine.command(
            f"INSERT INTO {unique_name} (id, n, version, is_deleted) "
            f"SELECT toString(number % 7), number, 0, number % 2 FROM numbers({start}, 100000)"
        )
    assert engine.query(count_keys(table)).result_rows == [(150_000,)]  # tombstones too
    pipeline = "".join(line for (line,) in engine.query(f"EXPLAIN PIPELINE {count_keys(table)}").result_rows)
    assert "AggregatingInOrderTransform" in pipeline  # and no hash table of all keys


def test_an_insert_that_is_sent_again_is_recognised(engine: Client, unique_name: str) -> None:
    engine.command(create_table(table_of(name=unique_name)))
    for _ in range(2):
        engine.command(
            f"INSERT INTO {unique_name} (id, version, is_deleted) "
            "SETTINGS async_insert = 0, insert_deduplication_token = 'one' VALUES ('x', 0, 0)"
        )
    assert engine.query(f"SELECT count() FROM {unique_name}").result_rows == [(1,)]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ADD COLUMN extra String DEFAULT 'x'", None),
        ("ADD COLUMN extra String", None),
        ("ADD COLUMN extra String FIRST", None),
        ("ADD COLUMN extra String MATERIALIZED upper(id)", None),
        ("MODIFY COLUMN a CODEC(ZSTD(9))", None),
        ("MODIFY COLUMN a COMMENT 'x'", None),
        ("MODIFY COLUMN a DEFAULT 5", None),
        ("MODIFY COLUMN at DateTime64(3, 'Asia/Tokyo')", None),
        ("ADD INDEX i a TYPE minmax", None),
        ("MODIFY TTL toDateTime(at) + INTERVAL 9 YEAR", None),
        ("MODIFY SETTING non_replicated_deduplication_window = 5", None),
        ("DROP COLUMN e", "column `e` Enum8('a' = 1, 'b' = 2) is missing"),
        ("DROP COLUMN _unmapped", "column `_unmapped` Map(String, String) is missing"),
        ("DROP COLUMN c", "computed column `c` String is missing"),
        ("MODIFY COLUMN c REMOVE MATERIALIZED", "`c` is not MATERIALIZED"),
        ("MODIFY COLUMN c Nullable(String) MATERIALIZED id", "computed column `c` is Nullable(String), not String"),
        ("MODIFY COLUMN a Nullable(Int32)", "column `a` is Nullable(Int32), not Nullable(Int16)"),
        ("MODIFY COLUMN p Nullable(Decimal(10, 2))", "column `p` is Nullable(Decimal(10, 2)), not Decimal(10, 2)"),
        ("MODIFY COLUMN p Decimal(12, 2)", "column `p` is Decimal(12, 2), not Decimal(10, 2)"),
        ("MODIFY COLUMN t Array(Tuple(sku String))", "column `t` is Array(Tuple("),
        ("MODIFY COLUMN e Enum8('a' = 1, 'b' = 2, 'c' = 3)", "column `e` is Enum8("),
        ("MODIFY COLUMN a Nullable(Int16) MATERIALIZED 1", "column `a` is MATERIALIZED"),
        ("MODIFY ORDER BY (id, extra)", "ORDER BY is (id, extra), not the key"),
    ],
)
def test_altered_tables(engine: Client, unique_name: str, statement: str, says: str | None) -> None:
    table = table_of(
        column("a", "Nullable(Int16)"),
        column("p", "Decimal(10, 2)"),
        column("at", "DateTime64(3)", convert=Convert.EPOCH_MS),
        column("e", "Enum8('a' = 1, 'b' = 2)"),
        column("t", "Array(Tuple(sku String, `odd name` Nullable(Decimal(5, 1))))"),
        name=unique_name,
        computed=(Computed("c", parse("String"), "upper(id)"),),
    )
    engine.command(create_table(table))
    if "ORDER BY" in statement:
        statement = f"ADD COLUMN extra String, {statement}"
    if "TTL" in statement:
        statement = statement.replace("toDateTime(at)", "toDateTime(version)")
    engine.command(f"ALTER TABLE {unique_name} {statement}")
    found = differences(table, *described(engine, unique_name))
    assert len(found) == (0 if says is None else 1)
    assert says is None or says in found[0]


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY id", []),
        ("ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY id PARTITION BY cityHash64(id) % 8", []),
        ("ENGINE = MergeTree ORDER BY id", ["the engine is MergeTree, not a ReplacingMergeTree"]),
        ("ENGINE = Memory", ["the engine is Memory", "ORDER BY is ()"]),
        ("ENGINE = ReplacingMergeTree ORDER BY id", ["ReplacingMergeTree over no columns"]),
        ("ENGINE = ReplacingMergeTree(version) ORDER BY id", ["over version, not over version, is_deleted"]),
        ("ENGINE = ReplacingMergeTree(other, is_deleted) ORDER BY id", ["over other, is_deleted, not over version"]),
        ("ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY tuple()", ["ORDER BY is ()"]),
        ("ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY upper(id)", ["ORDER BY is (upper(id))"]),
        ("ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY (other, id)", ["ORDER BY is (other, id)"]),
        (
            "ENGINE = ReplacingMergeTree(version, is_deleted) ORDER BY id PARTITION BY (length(id), other)",
            ["PARTITION BY (length(id), other) is no function of the key alone"],
        ),
    ],
)
def test_tables_of_other_people(engine: Client, unique_name: str, definition: str, says: list[str]) -> None:
    engine.command(
        f"CREATE TABLE {unique_name} (other Int64, id String, version Int64, is_deleted UInt8, "
        f"_unmapped Map(String, String)) {definition}"
    )
    found = differences(table_of(), *described(engine, unique_name))
    assert len(found) == len(says)
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))


ROW = [
    ("id", "String", ""),
    ("version", "Int64", ""),
    ("is_deleted", "UInt8", ""),
    ("_unmapped", "Map(String, String)", ""),
]


@pytest.mark.parametrize(
    "engine",
    [
        "ReplicatedReplacingMergeTree('/tables/{uuid}/{shard}', '{replica}', version, is_deleted) ORDER BY id",
        "ReplicatedReplacingMergeTree(version, is_deleted) ORDER BY id SETTINGS index_granularity = 8192",
        "SharedReplacingMergeTree('/tables/{uuid}/{shard}', '{replica}', `version`, `is_deleted`) ORDER BY id",
    ],
)
def test_replicated_tables_fit(engine: str) -> None:
    assert differences(table_of(), ROW, "id", engine) == []


@pytest.mark.parametrize("engine", ["", "Distributed('c', 'd', 't', rand())", "ReplacingMergeTree('unclosed", "View"])
def test_odd_engines_do_not_fit(engine: str) -> None:
    assert len(differences(table_of(), ROW, "id", engine)) == 1


@pytest.mark.parametrize(
    ("type_", "spelling", "same"),
    [
        ("Decimal(10,2)", "Decimal(10, 2)", True),
        ("Enum8('b' = 2, 'a' = 1)", "Enum8('a' = 1, 'b' = 2)", True),
        ("Enum8('a' = 1)", "Enum16('a' = 1)", False),
        ("Tuple(`a` String)", "Tuple(a String)", True),
        ("Tuple(a String, b Int8)", "Tuple(b Int8, a String)", False),
        ("DateTime64(3)", "DateTime64(3, 'UTC')", True),
        ("Array(Nullable(DateTime64(3, 'UTC')))", "Array(Nullable(DateTime64(3)))", True),
        ("Map(String, DateTime64(3, 'UTC'))", "Map(String, DateTime64(3))", True),
        ("DateTime64(3)", "DateTime64(6)", False),
        ("Nullable(JSON)", "Nullable(JSON(max_dynamic_paths=5))", True),
        ("String", "LowCardinality(String)", False),
        ("String", "FixedString(16)", False),
        ("LowCardinality(Nullable(String))", "LowCardinality(Nullable(String))", True),
        ("Bool", "UInt8", False),
    ],
)
def test_types_are_compared_by_what_they_hold(type_: str, spelling: str, same: bool) -> None:
    assert same_type(parse(type_), spelling) is same


@given(types())
def test_a_type_is_the_same_as_itself(type_: Type) -> None:
    assert same_type(type_, type_.sql)


BASE = table_of(column("a", "Nullable(Int16)"), column("e", "Enum8('x' = 1, 'y' = 2)"), column("at", "DateTime64(3)"))


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    assert fingerprint(table_of(column("a", "Nullable(Int16)", path=("é", "b")))) == "f0b0be4ce42079fc9aefcb4cedbfdb79"
    assert re.fullmatch("[0-9a-f]{32}", fingerprint(BASE))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"engine": "SharedReplacingMergeTree"},
        {"cluster": "c"},
        {"partition_by": "length(id)"},
        {"computed": (Computed("c", parse("String"), "upper(id)"),)},
        {"columns": (*BASE.columns[:-1], column("at", "DateTime64(3, 'UTC')"))},
        {"columns": (KEY, column("a", "Nullable(Int16)", codec="ZSTD"), *BASE.columns[2:])},
        {"columns": (*BASE.columns[:2], column("e", "Enum8('y' = 2, 'x' = 1)"), BASE.columns[3])},
    ],
)
def test_the_fingerprint_ignores_what_changes_no_row(changes: dict[str, object]) -> None:
    assert fingerprint(replace(BASE, **changes)) == fingerprint(BASE)  # type: ignore[arg-type]


def test_the_fingerprint_sees_what_changes_a_row() -> None:
    first, a, e, at = BASE.columns
    changed = [
        BASE,
        replace(BASE, columns=(first, e, a, at)),
        replace(BASE, columns=(first, a, e)),
        replace(BASE, columns=(first, replace(a, name="b"), e, at)),
        replace(BASE, columns=(first, replace(a, path=("a", "b")), e, at)),
        replace(BASE, columns=(first, replace(a, path=("a.b",)), e, at)),
        replace(BASE, columns=(first, column("a", "Nullable(Int32)"), e, at)),
        replace(BASE, columns=(first, column("a", "Int16"), e, at)),
        replace(BASE, columns=(first, column("a", "Int16", default={"N": "0"}), e, at)),
        replace(BASE, columns=(first, column("a", "Int16", default={"N": "1"}), e, at)),
        replace(BASE, columns=(first, a, column("e", "Enum8('x' = 1, 'y' = 3)"), at)),
        replace(BASE, columns=(first, a, e, replace(at, convert=Convert.EPOCH_MS))),
        replace(BASE, columns=(first, a, e, replace(at, convert=Convert.EPOCH_S))),
        replace(BASE, key=("id", "e")),
        replace(BASE, version_column="v"),
        replace(BASE, version_from=VersionFrom.EXPORT_TIME),
        replace(BASE, deleted_column="d"),
        replace(BASE, unmapped_column="u"),
        replace(BASE, unmapped_column="", unmapped_policy=UnmappedPolicy.IGNORE),
        replace(BASE, unmapped_column="", unmapped_policy=UnmappedPolicy.REJECT),
        replace(BASE, raw_column="_raw"),
        replace(BASE, drop=(("x",),)),
        replace(BASE, drop=(("x", "y"),)),
        replace(BASE, drop=(("x.y",),)),
    ]
    assert len({fingerprint(table) for table in changed}) == len(changed)


def test_the_arrow_schema_says_which_columns_take_null() -> None:
    table = table_of(column("a", "Nullable(Int16)"), column("c", "LowCardinality(Nullable(String))"), raw_column="_raw")
    assert {field.name: field.nullable for field in arrow_schema(table)} == {
        "id": False, "a": True, "c": True, "version": False, "is_deleted": False, "_unmapped": False, "_raw": False
    }  # fmt: skip
