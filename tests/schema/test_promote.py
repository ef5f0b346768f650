"""A promoted column shows what stored rows had, exactly, or the promotion is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from transformer.errors import SchemaError, UsageError
from transformer.schema.file import load_schema, parse_schema
from transformer.schema.promote import misfits, promoted, statement, with_column
from transformer.schema.types import parse

if TYPE_CHECKING:
    from transformer.load.destination import Destination
    from transformer.schema.table import Table

TEXT = """\
table: {name}
key: [id]
columns:
  - {{name: id, type: String}}  # the key
  # the rest is unmapped
unmapped: {{column: _unmapped, policy: keep}}
"""


def made(name: str = "t") -> Table:
    return parse_schema(TEXT.format(name=name), "made").table


VALUES = {"1": '{"N":"-128"}', "2": '{"S":"a\\\\"b\\\\u0000é"}', "3": '{"NULL":true}', "4": '{"BOOL":true}', "5": ""}


@pytest.mark.parametrize(
    ("type_", "rows", "expected"),
    [
        ("Nullable(Int8)", "135", b'"1",-128\n"3",\\N\n"5",\\N\n'),
        ("Nullable(Int256)", "1", b'"1",-128\n'),
        ("Nullable(Bool)", "45", b'"4",true\n"5",\\N\n'),
        ("Nullable(String)", "123", b'"1","-128"\n"2","a""b\x00\xc3\xa9"\n"3",\\N\n'),
    ],
)
def test_stored_rows_show_their_value(
    chdb_destination: Destination, unique_name: str, type_: str, rows: str, expected: bytes
) -> None:
    table = made(unique_name)
    chdb_destination.ensure_table(table)
    for row in rows:
        entry = f"map('x''y', '{VALUES[row]}')" if VALUES[row] else "map()"
        chdb_destination.query(f"INSERT INTO {unique_name} (id, _unmapped) VALUES ('{row}', {entry})")
    after = promoted(table, "x'y", "xy", parse(type_))
    column = after.columns[-1]
    assert int(chdb_destination.query(f"{misfits(table, column)} FORMAT TSV")) == 0
    chdb_destination.query(statement(table, column))
    chdb_destination.ensure_table(after)
    assert chdb_destination.query(f"SELECT id, xy FROM {unique_name} ORDER BY id FORMAT CSV") == expected


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("Nullable(Int8)", '{"N":"128"}'),
        ("Nullable(Int8)", '{"N":"1.5"}'),
        ("Nullable(Int64)", '{"N":"' + "9" * 100 + '"}'),
        ("Nullable(Int8)", '{"S":"1"}'),
        ("Nullable(Bool)", '{"S":"true"}'),
        ("Nullable(String)", '{"L":[]}'),
        ("Nullable(String)", '{"B":"AQ=="}'),
    ],
)
def test_values_that_do_not_fit_are_counted(
    chdb_destination: Destination, unique_name: str, type_: str, value: str
) -> None:
    table = made(unique_name)
    chdb_destination.ensure_table(table)
    chdb_destination.query(f"INSERT INTO {unique_name} (id, _unmapped) VALUES ('1', map('x', '{value}'))")
    column = promoted(table, "x", "x", parse(type_)).columns[-1]
    assert int(chdb_destination.query(f"{misfits(table, column)} FORMAT TSV")) == 1
    # Should it come after the count, it is no wrong value at least.
    chdb_destination.query(statement(table, column))
    assert chdb_destination.query(f"SELECT x IS NULL, _unmapped['x'] != '' FROM {unique_name} FORMAT TSV") == b"1\t1\n"


@pytest.mark.parametrize("type_", ["Int8", "Nullable(Decimal(9, 2))", "Array(String)", "Nullable(Float64)"])
def test_types_that_cannot_be_read_exactly_are_refused(type_: str) -> None:
    with pytest.raises(UsageError, match="exactly"):
        promoted(made(), "x", "x", parse(type_))


def test_an_attribute_that_has_a_column_is_refused() -> None:
    with pytest.raises(UsageError, match="already"):
        promoted(made(), "id", "x", parse("Nullable(String)"))


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(UsageError, match="already"):
        promoted(made(), "x", "version", parse("Nullable(String)"))


def test_the_schema_file_gets_one_line(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(TEXT.format(name="t"))
    after = promoted(load_schema(path), "x: y", "x_y", parse("Nullable(Int8)"))
    text = with_column(path, after.columns[-1])
    assert parse_schema(text, "made").table == after
    assert [line for line in text.splitlines() if "x_y" not in line] == TEXT.format(name="t").splitlines()


def test_a_layout_without_a_place_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("{table: t, key: [id], columns: [{name: id, type: String}]}\n")
    column = promoted(load_schema(path), "x", "x", parse("Nullable(Int8)")).columns[-1]
    with pytest.raises(SchemaError, match="no place") as caught:
        with_column(path, column)
    assert '- {name: x, path: [x], type: "Nullable(Int8)"}' in caught.value.remedy
