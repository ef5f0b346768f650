"""Faults of schema files: every one is refused with its line and what to write instead."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import ExitCode, SchemaError
from transformer.schema.file import load_schema, parse_schema

GOOD = """\
table: t
key: [id]
columns:
  - {name: id, type: String}
  - name: a
    type: Nullable(Int16)
"""


def swap(old: str, new: str) -> str:
    """The good file with something else in it."""
    return GOOD.replace(old, new)


def plus(*lines: str) -> str:
    """The good file with more lines, from line 7 on."""
    return GOOD + "".join(f"{line}\n" for line in lines)


def add(column: str, *lines: str) -> str:
    """The good file with one more column, on line 7, and more lines after it."""
    return plus(f"  - {{{column}}}", *lines)


def keyed(key: str, column: str) -> str:
    """A file whose key is `key`, with one column, on line 4."""
    return f"table: t\nkey: {key}\ncolumns:\n  - {{{column}}}\n"


def refused(text: str) -> list[tuple[int, str, str]]:
    """Line, fault and remedy of everything that is wrong with a text."""
    with pytest.raises(SchemaError) as caught:
        parse_schema(text, "f.yaml")
    assert caught.value.exit_code is ExitCode.USAGE
    found = re.findall(r"^f\.yaml:(\d+): (.*)\n  (.+)", str(caught.value), re.MULTILINE)
    assert len(found) == str(caught.value).count("f.yaml:") > 0
    assert [int(line) for line, _, _ in found] == sorted(int(line) for line, _, _ in found)
    return [(int(line), what, remedy) for line, what, remedy in found]


@pytest.mark.parametrize(
    ("type_", "convert", "written", "says"),
    [
        ("String", "", "0", "default 0 is not text: write it in quotes"),
        ("String", "", "true", "is not text"),
        ("Int8", "", "128", "default 128 does not fit into Int8"),
        ("Int8", "", "0.5", "does not fit into Int8"),
        ("Int8", "", "0x10", "is no number"),
        ("Int8", "", "+5", "is no number"),
        ("Int8", "", "007", "is no number"),
        ("Int8", "", ".inf", "is no number"),
        ("Int8", "", "1_000", "is no number"),
        ("Int8", "", "zero", "is no number"),
        ("Int8", "", "true", "is no number"),
        ("Int8", "", '"' + "9" * 5000 + '"', "is no number"),
        ("UInt8", "", "-1", "does not fit into UInt8"),
        ("Decimal(4, 2)", "", "0.125", "does not fit into Decimal(4, 2)"),
        ("Decimal(4, 2)", "", "100", "does not fit into Decimal(4, 2)"),
        ("Float64", "", "1e999", "does not fit into Float64"),
        ("Bool", "", "1", "is neither true nor false"),
        ("Bool", "", "yes", "is neither true nor false"),
        ("Enum8('a' = 1)", "", "b", "is no name of Enum8"),
        ("Enum8('a' = 1)", "", "1", "is no name of Enum8"),
        ("UUID", "", "x", "is no UUID"),
        ("DateTime64(3)", "epoch_us", "1", "does not fit into DateTime64(3)"),
        ("DateTime64(3)", "epoch_s", "1e12", "does not fit into DateTime64(3)"),
        ("DateTime64(3)", "iso8601", "0", "is no time"),
        ("DateTime64(3)", "iso8601", "2024-01-01", "is no time"),
        ("DateTime64(3)", "iso8601", "2023-02-29T00:00:00Z", "is no date of the calendar"),
        ("DateTime64(3)", "iso8601", "2024-01-01T00:00:00.0001Z", "does not fit into DateTime64(3)"),
        ("DateTime64(3)", "iso8601", "1899-12-31T23:59:59Z", "does not fit into DateTime64(3)"),
        ("Nullable(Int8)", "", "0", "only scalar types that take no NULL"),
        ("LowCardinality(Nullable(String))", "", "x", "only scalar types that take no NULL"),
        ("Array(Int8)", "", "0", "only scalar types that take no NULL"),
        ("Map(String, Int8)", "", "0", "only scalar types that take no NULL"),
        ("Tuple(a Int8)", "", "0", "only scalar types that take no NULL"),
    ],
)
def test_defaults_that_do_not_fit(type_: str, convert: str, written: str, says: str) -> None:
    clause = f", convert: {convert}" if convert else ""
    ((line, what, _),) = refused(add(f'name: c, type: "{type_}"{clause}, default: {written}'))
    assert line == 7
    assert what.startswith("column c: default ")
    assert says in what


# Text, line, words of the fault, words of the remedy.
FAULTS = {
    # YAML
    "empty": ("", 1, "the file is empty", "Begin with table:"),
    "only a comment": ("# x\n", 1, "the file is empty", "Begin with table:"),
    "a list": ("- a\n", 1, "no mapping", "Begin with table:"),
    "tab": ("table: t\nkey: [id]\ncolumns:\n\t- {name: id, type: String}\n", 4, "no YAML", "indent with spaces"),
    "bracket": (swap("[id]", "[id"), 3, "this is no YAML", "Quote a value"),
    "quote": (swap("table: t", 'table: "t'), 7, "this is no YAML", "Quote a value"),
    "colon": (swap("table: t", "table: t: u"), 1, "this is no YAML", "Quote a value"),
    "two documents": (f"{GOOD}---\n{GOOD}", 7, "two documents", "one schema file per table"),
    "control character": (plus("# \x07"), 7, "this is no YAML", "control character"),
    "key twice": (plus("table: u"), 7, "the key 'table' stands twice (first in line 1)", "Remove one"),
    "inner key twice": (add("name: b, type: Int8, type: Int16"), 7, "'type' stands twice", "Remove one"),
    "anchor": (swap("[id]", "&k [id]"), 2, "anchors and aliases", "Write the value out"),
    "alias": (plus("cluster: *k"), 7, "anchors and aliases", "Write the value out"),
    "merge": (plus("<<: {}"), 7, "no key '<<'", "The keys are: table, key"),
    "tag": (swap("table: t", "table: !!python/name:os.system t"), 1, "means nothing here", "Remove it"),
    "binary tag": (swap("table: t", "table: !!binary dA=="), 1, "means nothing here", "Remove it"),
    "set tag": (swap("[id]", "!!set {id}"), 2, "means nothing here", "Remove it"),
    "key that is a list": (plus("? [a]\n: b"), 7, "a key must be a word", "Quote"),
    "lone surrogate": (swap("table: t", 'table: "\\ud800"'), 1, "surrogate", "Write the character"),
    "depth": (plus(f"drop: {'[' * 30}{']' * 30}"), 7, "nested too deeply", "five levels"),
    "great depth": (plus(f"drop: {'[' * 20000}"), 7, "nested too deeply", "five levels"),
    # Keys and shapes
    "no table": (swap("table: t\n", ""), 1, "the file has no `table`", "Name of the ClickHouse table"),
    "no key": (swap("key: [id]\n", ""), 1, "the file has no `key`", "partition key [, sort key]"),
    "no columns": ("table: t\nkey: [id]\n", 1, "the file has no `columns`", "{name: ..., type: ...}"),
    "no type": (add("name: b"), 7, "column 3 has no `type`", "ClickHouse type"),
    "no name": (add("type: String"), 7, "column 3 has no `name`", "cannot hold a dot"),
    "unknown key": (swap("columns:", "colums:"), 3, "no key 'colums'", "Did you mean columns?"),
    "unknown column key": (add("name: b, typ: String"), 7, "column 3 has no key 'typ'", "Did you mean type?"),
    "unknown inner key": (plus("version: {colum: v}"), 7, "`version` has no key 'colum'", "Did you mean column?"),
    "unknown raw key": (plus("raw: {name: v}"), 7, "`raw` has no key 'name'", "The keys are: column"),
    "hopeless key": (plus("zzzz: 1"), 7, "no key 'zzzz'", "The keys are: table, key, columns"),
    "type without quotes": (add("name: b, type: Decimal(10, 2)"), 7, "no key '2)'", "needs quotes"),
    "tables": (plus("tables: []"), 7, "no key 'tables'", "one schema file for each table"),
    "empty key list": (swap("[id]", "[]"), 2, "`key` is empty", "partition key"),
    "null key": (swap("[id]", ""), 2, "`key` is empty", "partition key"),
    "key is text": (swap("[id]", "id"), 2, "`key` cannot be text", "key: [id]"),
    "three keys": (swap("[id]", "[id, a, b]"), 2, "`key` has more than 2 entries", "partition key"),
    "empty columns": ("table: t\nkey: [id]\ncolumns: []\n", 3, "`columns` is empty", "{name: ..., type: ...}"),
    "columns is a mapping": ("table: t\nkey: [id]\ncolumns: {id: String}\n", 3, "cannot be a mapping", "a list"),
    "column is text": (plus("  - id"), 7, "`columns` cannot be text", "a list of"),
    "number for text": (swap("table: t", "table: 5"), 1, "`table` is text, not 5", 'quote it: "5"'),
    "bool for text": (add("name: true, type: String"), 7, "`name` is text, not true", 'quote it: "true"'),
    "null for text": (add("name: ~, type: String"), 7, "`name` is empty", "cannot hold a dot"),
    "empty text": (add("name: '', type: String"), 7, "`name` is empty", "cannot hold a dot"),
    "list for text": (add("name: [b], type: String"), 7, "`name` cannot be a list", "cannot hold a dot"),
    "number in a path": (add("name: b, type: String, path: [a, 0]"), 7, "`path` is text, not 0", 'quote it: "0"'),
    "mapping for a path": (add("name: b, type: String, path: {a: b}"), 7, "`path` cannot be a mapping", "names"),
    "wrong from": (plus("version: {from: zeros}"), 7, "`from` cannot be 'zeros'", "Did you mean zero?"),
    "wrong policy": (plus("unmapped: {policy: drop}"), 7, "`policy` cannot be 'drop'", "keep (store"),
    "wrong engine": (plus("engine: MergeTree"), 7, "`engine` cannot be 'MergeTree'", "ReplacingMergeTree"),
    "wrong convert": (add("name: b, type: UUID, convert: epoch"), 7, "`convert` cannot be 'epoch'", "epoch_"),
    "default is a list": (add("name: b, type: Int8, default: [1]"), 7, "`default` cannot be a list", "missing"),
    # Types
    "unknown type": (add("name: b, type: Strng"), 7, "column b: Strng is no type", "Did you mean String?"),
    "half a type": (add('name: b, type: "Array(String"'), 7, "'(' is not closed", "docs/types.md"),
    "plain JSON": (add("name: b, type: JSON"), 7, "JSON loses nulls", "Nullable(JSON)"),
    # Names
    "column twice": (add("name: a, type: String"), 7, "'a' stands twice (also in line 5)", "Rename"),
    "version taken": (add("name: version, type: String"), 7, "'version' stands twice", "Rename"),
    "deleted taken": (add("name: is_deleted, type: String"), 7, "'is_deleted' stands twice", "Rename"),
    "unmapped taken": (add("name: _unmapped, type: String"), 7, "'_unmapped' stands twice", "Rename"),
    "raw taken": (plus("raw: {column: a}"), 7, "'a' stands twice (also in line 5)", "Rename"),
    "version is deleted": (plus("version: {column: is_deleted}"), 7, "'is_deleted' stands twice", "Rename"),
    "computed taken": (add("name: a, type: String, materialized: id"), 7, "'a' stands twice", "Rename"),
    "dot in a name": (add("name: a.b, type: String"), 7, "'a.b' holds a dot", "Write 'a_b', and path:"),
    "NUL in a name": (add('name: "a\\0b", type: String'), 7, "holds a NUL", "path:"),
    "reserved name": (add("name: _row_exists, type: String"), 7, "reserves", "another name"),
    "dot in the table": (swap("table: t", "table: db.t"), 1, "holds '.'", "--to"),
    "pattern in the table": (swap("table: t", 'table: "t*"'), 1, "holds '*'", "Write _"),
    "long table": (swap("table: t", f"table: {'t' * 300}"), 1, "too long", "190"),
    # Paths
    "empty step": (add("name: b, type: String, path: a..b"), 7, "empty step", "stands in a list"),
    "leading dot": (add("name: b, type: String, path: .a"), 7, "empty step", "stands in a list"),
    "empty list": (add("name: b, type: String, path: []"), 7, "`path` is empty", "names separated by dots"),
    "empty name": (add("name: b, type: String, path: [a, '']"), 7, "`path` is empty", "names separated"),
    "long path": (add(f"name: b, type: String, path: {'.'.join('a' * 34)}"), 7, "34 steps", "32"),
    "long name": (add(f"name: b, type: String, path: {'a' * 70000}"), 7, "longer than 64 KB", "no such attribute"),
    "deep type": (add(f'name: b, type: "{"Array(" * 20}Int8{")" * 20}", path: {".".join("a" * 14)}'), 7,
                  "33 maps and lists deep", "32"),
    # Conversions
    "no convert": (add("name: b, type: DateTime64(3)"), 7, "DateTime64(3) needs a conversion", "Add convert:"),
    "no convert inside": (add("name: b, type: Array(Nullable(DateTime64(3)))"), 7, "needs a conversion", "Add"),
    "uuid for a time": (add("name: b, type: DateTime64(3), convert: uuid"), 7, "to a time, not uuid", "epoch_s"),
    "time for a number": (add("name: b, type: Int64, convert: epoch_s"), 7, "into DateTime64 only", "Remove"),
    "time for a UUID": (add("name: b, type: UUID, convert: iso8601"), 7, "into DateTime64 only", "Remove"),
    "uuid for text": (add("name: b, type: String, convert: uuid"), 7, "into UUID only", "Remove"),
    # The key
    "key without column": (swap("[id]", "[Id]"), 2, "no column reads the key attribute 'Id'", "Did you mean id?"),
    "hopeless key attribute": (swap("[id]", "[zzz]"), 2, "no column reads", "{name: zzz, type: String}"),
    "key twice in key": (swap("[id]", "[id, id]"), 2, "names 'id' twice", "partition key"),
    "key is a column's name": (keyed("[pk]", "name: pk, path: PK, type: String"), 2, "no column reads",
                               "column pk reads 'PK'"),
    "key inside of a map": (keyed("[a.b]", "name: b, path: a.b, type: String"), 2, "no column reads",
                            "path: ['a.b']"),
    "nullable key": (keyed("[id]", "name: id, type: Nullable(String)"), 4, "a key is never NULL", "String for S"),
    "dictionary with NULL key": (keyed("[id]", "name: id, type: LowCardinality(Nullable(String))"), 4, "is never", ""),
    "dictionary key": (keyed("[id]", "name: id, type: LowCardinality(String)"), 4, "as many values", "String"),
    "float key": (keyed("[id]", "name: id, type: Float64"), 4, "beyond 15 digits", "Decimal(P, S)"),
    "UUID key": (keyed("[id]", "name: id, type: UUID"), 4, "differ in case", "String for S"),
    "time key": (keyed("[id]", "name: id, type: DateTime64(3), convert: epoch_s"), 4, "written differently", "IntN"),
    "bool key": (keyed("[id]", "name: id, type: Bool"), 4, "Bool is not how a key", "String"),
    "enum key": (keyed("[id]", "name: id, type: Enum8('a' = 1)"), 4, "Enum8('a' = 1) is not how a key", "String"),
    "array key": (keyed("[id]", "name: id, type: Array(String)"), 4, "never a list", "String"),
    "JSON key": (keyed("[id]", "name: id, type: Nullable(JSON)"), 4, "never NULL", "String"),
    "key with default": (keyed("[id]", "name: id, type: Int8, default: 0"), 4, "key column id has a default", "Remove"),
    "computed key": (keyed("[id]", "name: id, type: String, materialized: upper(x)"), 2, "no column reads", ""),
    # Everything else
    "drop the key": (plus("drop: [id]"), 7, "'id', which is in the key", "cannot be stored"),
    "drop below the key": (plus("drop: [id.x]"), 7, "'id.x', which is in the key", "cannot be stored"),
    "drop a column": (plus("drop:\n  - x\n  - a"), 9, "'a', which column a reads", "Remove"),
    "drop above a column": (add("name: b, path: x.y.z, type: String", "drop: [x.y]"), 8, "column b reads", ""),
    "drop a member": (add("name: b, type: 'Array(Tuple(c Int8, d Tuple(e Int8)))'", "drop: [b.d.e]"), 8,
                      "'b.d.e', which column b reads", "Remove"),
    "drop twice": (plus("drop: [x.y, [x, y]]"), 7, "'x.y' twice", "Remove"),
    "empty drop": (plus("drop: [x, a..b]"), 7, "empty step", "list"),
    "column without keep": (plus("unmapped: {column: u, policy: ignore}"), 7, "without policy keep", "stores nothing"),
    "no codec": (add("name: b, type: Int8, codec: SZ3"), 7, "no lossless codec SZ3", "ZSTD"),
    "codec in codec": (add("name: b, type: Int8, codec: CODEC(ZSTD)"), 7, "CODEC itself is added", "inside"),
    "codec that is SQL": (add('name: b, type: Int8, codec: "ZSTD) DEFAULT (1"'), 7, "closes no bracket", "ZSTD"),
    "codec with text": (add("name: b, type: Int8, codec: ZSTD(x)"), 7, "are not numbers", "ZSTD(3)"),
    "codec near": (add("name: b, type: Int8, codec: zstd"), 7, "no lossless codec zstd", "Did you mean ZSTD?"),
    "empty codec": (add('name: b, type: Int8, codec: "ZSTD, "'), 7, "name is missing", "ZSTD"),
    "computed with path": (add("name: b, type: Int8, materialized: '1', path: x"), 7, "and `path`", "Remove"),
    "computed with default": (add("name: b, type: Int8, materialized: '1', default: 0"), 7, "and `default`", ""),
    "computed that is SQL": (add('name: b, type: Int8, materialized: "1) CODEC(NONE"'), 7, "closes no bracket", ""),
    "computed comment": (add('name: b, type: Int8, materialized: "1 -- x"'), 7, "cannot stand", "one ClickHouse"),
    "computed statement": (add('name: b, type: Int8, materialized: "1; DROP TABLE t"'), 7, "cannot stand", ""),
    "computed blank": (add('name: b, type: Int8, materialized: " "'), 7, "it is empty", "one ClickHouse"),
    "partition": (plus("partition_by: length(a)"), 7, "depends on a", "key columns only (id)"),
    "partition by version": (plus("partition_by: (id, version)"), 7, "depends on version", "key columns only"),
    "partition SQL": (plus('partition_by: "id) ORDER BY (a"'), 7, "closes no bracket", "key columns only"),
    "password": (plus("to: https://u:secret@host/db"), 7, "holds a password", "environment"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_faults(case: str) -> None:
    text, line, says, instead = FAULTS[case]
    found = refused(text)
    if case in ("unknown key", "unknown column key"):  # the key that was meant is missing, too
        found = [fault for fault in found if "has no `" not in fault[1]]
    assert len(found) == 1, found
    assert found[0][0] == line, found
    assert says in found[0][1]
    assert instead in found[0][2]


def test_the_password_is_not_repeated() -> None:
    with pytest.raises(SchemaError) as caught:
        parse_schema(FAULTS["password"][0], "f.yaml")
    assert "secret" not in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    text = add("name: a, type: Strng, path: x..y").replace("[id]", "[x]") + "drop: [a]\n"
    assert [line for line, _, _ in refused(text)] == [2, 7, 7, 7, 8]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"none\.yaml: the schema file cannot be read: No such file"):
        load_schema(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"table: t\nkey: [\xe9]\n")
    with pytest.raises(SchemaError, match=r"latin\.yaml:2: the file is not UTF-8"):
        load_schema(tmp_path / "latin.yaml")


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=80))
def test_any_text_is_a_schema_or_refused(text: str) -> None:
    with pytest.raises(SchemaError, match=r"^f\.yaml:\d+: "):
        parse_schema(text, "f.yaml")


@given(
    st.integers(0, len(GOOD)), st.sampled_from(["", "\t", "{", "]", ": ", "- ", "'", "&a ", "*a", "!!x ", "\n", "? "])
)
def test_a_damaged_file_never_fails_otherwise(position: int, change: str) -> None:
    with contextlib.suppress(SchemaError):
        assert parse_schema(GOOD[:position] + change + GOOD[position + 1 :], "f.yaml").table.columns
