"""What differs between two schemas, and that the statements make one table into the other without touching values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from transformer.schema.drift import Kind, drift, widens
from transformer.schema.file import parse_schema
from transformer.schema.types import parse

if TYPE_CHECKING:
    from transformer.load.destination import Destination
    from transformer.schema.table import Table


def table(name: str, *columns: str, key: str = "id") -> Table:
    lines = "".join(f"  - {{{column}}}\n" for column in ("name: id, type: String", *columns))
    return parse_schema(f"table: {name}\nkey: [{key}]\ncolumns:\n{lines}", "made").table


def test_no_difference_is_no_change() -> None:
    assert drift(table("t", "name: a, type: Int8"), table("u", "name: a, type: Int8")) == []


def test_the_statements_make_the_one_table_into_the_other(chdb_destination: Destination, unique_name: str) -> None:
    old = table(unique_name, "name: a, type: Int8", 'name: d, type: "Decimal(9, 2)"', "name: gone, type: String")
    new = table(
        unique_name,
        "name: a, type: Nullable(Int32)",
        'name: d, type: "Decimal(18, 2)"',
        'name: "od`d", path: ["x;--"], type: Nullable(String)',
    )
    chdb_destination.ensure_table(old)
    chdb_destination.query(f"INSERT INTO {unique_name} (id, a, d, gone) VALUES ('1', -128, 9999999.99, 'x')")
    changes = drift(old, new)
    assert [change.kind for change in changes] == [Kind.ADDED, Kind.REMOVED, Kind.WIDENED, Kind.WIDENED]
    for change in changes:
        chdb_destination.query(change.sql)
    chdb_destination.ensure_table(new)  # refuses a table that is not as the schema says
    found = chdb_destination.query(f"SELECT a, d, `od\\`d` FROM {unique_name} FORMAT CSV")
    assert found == b"-128,9999999.99,\\N\n"


@pytest.mark.parametrize(
    ("old", "new", "fits"),
    [
        ("Int8", "Int16", True),
        ("Int16", "Int8", False),
        ("UInt8", "Int16", True),
        ("UInt8", "Int8", False),
        ("Int8", "UInt16", False),
        ("Int8", "Nullable(Int8)", True),
        ("Nullable(Int8)", "Int8", False),
        ("Decimal(9, 2)", "Decimal(18, 2)", True),
        ("Decimal(9, 2)", "Decimal(18, 12)", False),
        ("Decimal(9, 2)", "Decimal(18, 1)", False),
        ("String", "Int64", False),
        ("Int64", "String", False),
        ("Array(Int8)", "Array(Int16)", True),
        ("Map(String, Int8)", "Map(String, Int16)", True),
        ("Array(Tuple(a Int8))", "Array(Tuple(a Int16))", True),
        ("Array(Tuple(a Int8))", "Array(Tuple(b Int8))", False),
    ],
)
def test_a_type_widens_only_where_every_value_fits(old: str, new: str, fits: bool) -> None:
    assert widens(parse(old), parse(new)) is fits


def test_what_no_statement_mends_says_so() -> None:
    old = table("t", "name: sk, type: Int8", "name: a, type: Int8", "name: b, type: Int8")
    new = table("t", "name: sk, type: Int16", "name: a, type: String", "name: b, path: x, type: Int8", key="id, sk")
    changes = drift(old, new)
    assert {change.column for change in changes if change.kind is Kind.INCOMPATIBLE} == {"", "a", "b"}
    assert all(not change.sql and "new table" in change.what for change in changes if change.column != "sk")
    (keyed,) = [change for change in drift(new, old) if change.column == "sk"]
    assert (keyed.kind, keyed.sql) == (Kind.INCOMPATIBLE, "")
