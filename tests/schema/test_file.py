"""Schema files: what they mean, and for every fault the line and what to write instead."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from decode_tables import tables
from hypothesis import given, reject

from transformer.schema.file import load_schema, load_schema_file, parse_schema
from transformer.schema.model import json_schema
from transformer.schema.table import Column, Computed, Convert, Table, UnmappedPolicy, VersionFrom
from transformer.schema.types import UUID, DateTime64, Integer, Nullable, String, TypeSyntaxError, parse

SCHEMAS = Path(__file__).parents[2] / "schemas"

GOOD = """\
table: t
key: [id]
columns:
  - {name: id, type: String}
  - name: a
    type: Nullable(Int16)
"""


def with_column(text: str) -> str:
    """The good file with one more column, on line 7."""
    return f"{GOOD}  - {{{text}}}\n"


def test_everything_a_file_can_say() -> None:
    found = parse_schema(
        """\
# a comment
table: t
key: [PK, "sort.key"]
columns:
  - {name: pk, path: PK, type: String}
  - {name: sk, path: ["sort.key"], type: "Decimal(20, 3)"}
  - {name: city, path: address.city, type: Nullable(String), codec: "Delta(1), ZSTD(3)"}
  - {name: odd, path: ["weird.name", x y], type: "Array(Array(Int8))"}
  - {name: at, type: "DateTime64(3, 'UTC')", convert: epoch_ms, default: 0}
  - {name: uid, type: Nullable(UUID)}
  - {name: uids, type: Array(UUID), convert: uuid}
  - {name: n, type: Int256, default: -5}
  - {name: no, type: String, default: on}
  - {name: upper, type: String, materialized: "upper(concat(pk, ')'))", codec: ZSTD}
version: {column: v, from: export_time}
deleted: {column: gone}
unmapped: {column: rest, policy: keep}
raw: {}
drop: [card.number, [a.b, c]]
engine: ReplicatedReplacingMergeTree
cluster: "{cluster}"
partition_by: "(cityHash64(pk) % 8, intDiv(sk, 10))"
source: s3://bucket/prefix
stream: t-cdc
to: https://user@host:8443/db
""",
        "f.yaml",
    )
    assert (found.path, found.source, found.stream) == ("f.yaml", "s3://bucket/prefix", "t-cdc")
    assert found.to == "https://user@host:8443/db"
    assert found.table == Table(
        name="t",
        key=("pk", "sk"),
        columns=(
            Column("pk", ("PK",), String()),
            Column("sk", ("sort.key",), parse("Decimal(20, 3)")),
            Column("city", ("address", "city"), Nullable(String()), codec="Delta(1), ZSTD(3)"),
            Column("odd", ("weird.name", "x y"), parse("Array(Array(Int8))")),
            Column("at", ("at",), DateTime64(3, "UTC"), Convert.EPOCH_MS, {"N": "0"}),
            Column("uid", ("uid",), Nullable(UUID()), Convert.UUID),
            Column("uids", ("uids",), parse("Array(UUID)"), Convert.UUID),
            Column("n", ("n",), Integer(256, signed=True), None, {"N": "-5"}),
            Column("no", ("no",), String(), None, {"S": "on"}),
        ),
        version_column="v",
        version_from=VersionFrom.EXPORT_TIME,
        deleted_column="gone",
        unmapped_column="rest",
        raw_column="_raw",
        drop=(("card", "number"), ("a.b", "c")),
        computed=(Computed("upper", String(), "upper(concat(pk, ')'))", "ZSTD"),),
        engine="ReplicatedReplacingMergeTree",
        cluster="{cluster}",
        partition_by="(cityHash64(pk) % 8, intDiv(sk, 10))",
    )


def test_a_short_file_gets_the_defaults() -> None:
    found = parse_schema(GOOD, "f.yaml")
    assert found.table == Table(
        "t", ("id",), (Column("id", ("id",), String()), Column("a", ("a",), parse("Nullable(Int16)")))
    )
    assert (found.source, found.stream, found.to) == ("", "", "")


def test_the_name_of_a_column_is_one_exact_attribute_name() -> None:
    table = parse_schema(with_column('name: "x y/z[0]", type: String'), "f.yaml").table
    assert table.columns[2].path == ("x y/z[0]",)


@pytest.mark.parametrize("policy", ["ignore", "reject"])
def test_only_keep_has_a_column(policy: str) -> None:
    table = parse_schema(f"{GOOD}unmapped: {{policy: {policy}}}\n", "f.yaml").table
    assert (table.unmapped_policy, table.unmapped_column) == (UnmappedPolicy(policy), "")


@pytest.mark.parametrize(
    ("type_", "convert", "written", "value"),
    [
        ("String", "", "''", {"S": ""}),
        ("String", "", "no", {"S": "no"}),
        ("String", "", "2026-01-01", {"S": "2026-01-01"}),
        ("LowCardinality(String)", "", '"7"', {"S": "7"}),
        ("Int8", "", "-128", {"N": "-128"}),
        ("Int8", "", '"127"', {"N": "127"}),
        ("Int8", "", "1e2", {"N": "1e2"}),
        ("UInt256", "", str(2**256 - 1), {"N": str(2**256 - 1)}),
        ("Decimal(10, 2)", "", "26.50", {"N": "26.50"}),
        ("Decimal(76, 76)", "", "1e-76", {"N": "1e-76"}),
        ("Float64", "", "0.1", {"N": "0.1"}),
        ("Bool", "", "false", {"BOOL": False}),
        ("Enum8('a' = 1)", "", "a", {"S": "a"}),
        ("UUID", "", "0A556908-F72B-4BE6-9048-9E60715358D4", {"S": "0A556908-F72B-4BE6-9048-9E60715358D4"}),
        ("DateTime64(3)", "epoch_us", "-1000", {"N": "-1000"}),
        ("DateTime64(9)", "epoch_s", "9214646399", {"N": "9214646399"}),
        ("DateTime64(0)", "iso8601", "2024-02-29T23:59:59.000-05:00", {"S": "2024-02-29T23:59:59.000-05:00"}),
        ("DateTime64(9)", "iso8601", "2024-02-29T23:59:59.123456789Z", {"S": "2024-02-29T23:59:59.123456789Z"}),
    ],
)
def test_defaults(type_: str, convert: str, written: str, value: dict[str, object]) -> None:
    clause = f", convert: {convert}" if convert else ""
    text = with_column(f'name: c, type: "{type_}"{clause}, default: {written}')
    assert parse_schema(text, "f.yaml").table.columns[2].default == value


def test_dropping_inside_of_what_a_column_keeps_is_what_drop_is_for() -> None:
    text = (
        with_column('name: b, type: "Tuple(c Int8)"')
        + '  - {name: m, type: "Map(String, Tuple(k Int8))"}\n  - {name: s, type: String}\n'
        + "drop: [b.other, b.c.x, m.key, m.key.other, s.secret, a.b, x, [b.c]]\n"
    )
    assert len(parse_schema(text, "f.yaml").table.drop) == 8


def test_of_several_columns_on_a_key_attribute_the_exact_one_is_the_key() -> None:
    text = "table: t\nkey: [id]\ncolumns:\n  - {name: u, path: id, type: UUID}\n  - {name: id, type: String}\n"
    assert parse_schema(text, "f.yaml").table.key == ("id",)


def test_line_ends_and_byte_order_marks_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_schema(path) == parse_schema(GOOD, "").table
    assert load_schema_file(str(path)).path == str(path)


def written(table: Table) -> str:
    """A schema file, as JSON (which is YAML), that means `table`."""
    by_name = {column.name: column for column in table.columns}
    return json.dumps(
        {
            "table": table.name,
            "key": [by_name[name].path[0] for name in table.key],
            "columns": [
                {"name": column.name, "type": column.type.sql, "path": list(column.path)}
                | ({"convert": column.convert.value} if column.convert else {})
                | ({"default": next(iter(column.default.values()))} if column.default else {})
                for column in table.columns
            ],
            "unmapped": {"policy": table.unmapped_policy.value}
            | ({"column": table.unmapped_column} if table.unmapped_column else {}),
            "drop": [list(path) for path in table.drop],
        }
        | ({"raw": {"column": table.raw_column}} if table.raw_column else {})
    )


@given(tables())
def test_a_table_reads_back_from_its_file(table: Table) -> None:
    for column in table.columns:  # types that only tests make, such as a Tuple with JSON in it
        with contextlib.suppress(TypeSyntaxError):
            parse(column.type.sql)
            continue
        reject()
    keys = {column.path for column in table.key_columns}
    columns = []
    for column in table.columns:
        if not all(column.path) or (column.path in keys and column.name not in table.key):
            column = replace(column, path=(f"at {column.name}",))
        default = column.default if column.default and next(iter(column.default)) in ("S", "N", "BOOL") else None
        if column.type == String() and default and "S" not in default:
            default = None
        if isinstance(column.type, Integer) and default and "S" in default:
            default = {"N": default["S"]}
        columns.append(replace(column, default=default))
    table = replace(table, columns=tuple(columns), drop=())
    found = parse_schema(written(table), "f.yaml").table
    for one, other in zip(found.columns, table.columns, strict=True):
        if other.default and not isinstance(other.type, Integer | String):
            one = replace(one, default=other.default)
        if other.convert is None and one.convert is Convert.UUID:
            other = replace(other, convert=Convert.UUID)
        assert one == other
    assert replace(found, columns=()) == replace(table, columns=())


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_good_and_known_to_editors(path: Path) -> None:
    assert load_schema(path).name == path.stem
    assert path.read_text().startswith("# yaml-language-server: $schema=schema-file.schema.json\n")


def test_the_type_table_describes_every_type_and_conversion() -> None:
    text = (SCHEMAS.parent / "docs" / "types.md").read_text()
    kinds = ("IntN", "UIntN", "Decimal", "Float64", "Bool", "String", "UUID", "DateTime64", "Enum8", "Enum16", "JSON")
    nested = ("Nullable", "LowCardinality", "Array", "Tuple", "Map")
    assert [name for name in (*kinds, *nested, *(convert.value for convert in Convert)) if name not in text] == []


def test_the_json_schema_is_current() -> None:
    checked_in = (SCHEMAS / "schema-file.schema.json").read_text()
    expected = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert checked_in == expected, "run: python -m transformer.schema > schemas/schema-file.schema.json"
