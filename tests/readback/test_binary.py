"""Hostile items in tables of every type, loaded into the embedded engine: what it stores is what the twin says."""

from __future__ import annotations

import struct
from dataclasses import replace
from decimal import Decimal

import pytest
from decode_compare import decode, judge
from decode_tables import cases
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from readback.binary import Reader

from transformer.decode.plan import Plan
from transformer.errors import SchemaError
from transformer.load.destination import Destination
from transformer.schema import types as t
from transformer.schema.expression import quote_identifier
from transformer.schema.layout import row_columns
from transformer.schema.table import Table

pytestmark = pytest.mark.timeout(280)

ODD_NAMES = ("x y", "`", '"', "it's", "é", "select", "\\", "a\\`b", "{c:String}", "%s", "-- ", "数", "NULL", "1", "😀")


def comparable(type_: t.Type, value: object) -> object:
    """A value of the twin or of an answer as something that is equal exactly when ClickHouse stores the same bytes."""
    if value is None:
        return None
    match type_:
        case t.Nullable(inner) | t.LowCardinality(inner):
            return comparable(inner, value)
        case t.Decimal(_, scale) if isinstance(value, Decimal):
            sign, digits, exponent = value.as_tuple()
            assert isinstance(exponent, int)
            ticks = int("".join(map(str, digits))) * 10 ** (exponent + scale)
            return -ticks if sign else ticks
        case t.Float64():
            return struct.pack("<d", value)
        case t.String() | t.Enum() if isinstance(value, str):
            return value.encode()
        case t.Array(element):
            assert isinstance(value, list)
            return [comparable(element, part) for part in value]
        case t.Map(inner):
            assert isinstance(value, list)
            return [(comparable(t.String(), name), comparable(inner, part)) for name, part in value]
        case t.Tuple(members):
            assert isinstance(value, dict)
            return [comparable(inner, value[name]) for name, inner in members]
        case _:
            return value


@st.composite
def loads(draw: st.DrawFn) -> tuple[Table, bytes]:
    """A table, some of its columns under names that need quotes, and lines for it."""
    table, lines = draw(cases(size=6))
    try:
        Plan(table)
    except SchemaError:
        reject()
    fresh = dict(zip((column.name for column in table.columns), draw(st.permutations(ODD_NAMES)), strict=False))
    chosen = {name: odd if draw(st.booleans()) else name for name, odd in fresh.items()}
    table = replace(
        table,
        columns=tuple(replace(column, name=chosen[column.name]) for column in table.columns),
        key=tuple(chosen[name] for name in table.key),
    )
    return table, b"\n".join(lines)


EXAMPLES = max(15, settings.default.max_examples // 3)
"""A third of the profile's: each makes a table, and a slow machine must stay far from the time-out."""


@given(load=loads())
@settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
)
def test_the_engine_stores_what_the_twin_says(load: tuple[Table, bytes], chdb_destination: Destination) -> None:
    table, data = load
    wanted, _ = judge(table, data)
    _, _, steps = decode(table, data)
    layout = row_columns(table)

    def flat(row: dict[str, object]) -> list[object]:
        return [comparable(column.type, row[column.name]) for column in layout]

    key = [number for number, column in enumerate(layout) if column.name in table.key]
    # Of two rows with one key the engine keeps the last, as none of them has a higher version.
    last = {tuple(row[number] for number in key): row for row in map(flat, wanted)}
    name = quote_identifier(table.name)
    chdb_destination.query(f"DROP TABLE IF EXISTS {name} SYNC")
    assert chdb_destination.ensure_table(table)
    assert not chdb_destination.ensure_table(table)  # the one that is there fits
    chdb_destination.insert(table, [step.batch for step in steps], "token")
    # ClickHouse rewrites what it keeps as JSON, which is documented and not compared.
    columns = ", ".join(
        f"CAST(isNull({quote_identifier(c.name)}), 'UInt8')" if _is_json(c.type) else quote_identifier(c.name)
        for c in layout
    )
    answer = Reader(chdb_destination.query(f"SELECT {columns} FROM {name} FINAL FORMAT RowBinary"))
    found = []
    while not answer.ended:
        read = [answer.value(t.Integer(8, False) if _is_json(column.type) else column.type) for column in layout]
        found.append([comparable(column.type, part) for column, part in zip(layout, read, strict=True)])
    expected = [
        [int(part is None) if _is_json(column.type) else part for column, part in zip(layout, row, strict=True)]
        for row in last.values()
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def _is_json(type_: t.Type) -> bool:
    return isinstance(type_, t.Nullable) and isinstance(type_.inner, t.JSON)
