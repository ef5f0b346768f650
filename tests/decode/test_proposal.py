"""Whatever items there are, the schema proposed for them loads all of them, and every value reads back exactly.

Expected values come from an independent reading of the lines (`readback.plain`), not from the package.
"""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from decode_compare import block, decode
from decode_strategies import Members, Writer, items
from hypothesis import example, given
from hypothesis import strategies as st
from readback import plain

from transformer.decode.profile import Profiler
from transformer.schema import types as t
from transformer.schema.file import parse_schema
from transformer.schema.infer import propose
from transformer.schema.table import Table
from transformer.schema.writer import schema_text


def proposed(data: bytes, key: tuple[str, ...], *, tight: bool = False) -> Table:
    """The table of the schema file that is proposed for lines of an export."""
    profiler = Profiler(most_places=1 << 12)
    for _ in profiler.steps(block(data), 0, len(data)):
        pass
    columns, _ = propose(profiler.profile(), key, tight=tight)
    return parse_schema(schema_text("t", key, columns, header=[], key_note="", proven=True), "proposal").table


def held(type_: t.Type, value: dict[str, Any] | None) -> object:
    """What a column of this type holds for a typed value, by the data contract."""
    if isinstance(type_, t.Nullable | t.LowCardinality):
        return held(type_.inner, value)
    if value is None or "NULL" in value:
        match type_:
            case t.Array() | t.Map():
                return []
            case t.Tuple(members):
                return {name: held(member, None) for name, member in members}
            case _:
                return None
    ((tag, inner),) = value.items()
    match type_:
        case t.Integer() | t.Decimal():
            assert tag == "N"
            return Decimal(inner)
        case t.Bool():
            assert tag == "BOOL"
            return inner
        case t.String():
            if tag == "B":
                return base64.b64decode(inner)
            return (inner if tag == "S" else plain.json_text(value)).encode()
        case t.Array(element):
            if tag == "L":
                return [held(element, part) for part in inner]
            return sorted(held(element, {tag[0]: part}) for part in inner)
        case t.Map(part):
            return sorted((name.encode(), held(part, member)) for name, member in inner.items())
        case t.Tuple(members):
            assert set(inner) <= {name for name, _ in members}
            return {name: held(member, inner.get(name)) for name, member in members}
    raise AssertionError(f"{type_.sql} is never proposed")


def at(item: plain.Item, path: tuple[str, ...]) -> dict[str, Any] | None:
    value: dict[str, Any] | None = {"M": item}
    for step in path:
        if value is None or "NULL" in value:
            return None
        value = value["M"].get(step)
    return value


def check(written: list[bytes], key: tuple[str, ...], *, tight: bool = False) -> Table:
    """Fail unless the proposal for these lines loads them all and keeps every value."""
    data = b"\n".join(written)
    table = proposed(data, key, tight=tight)
    rows, rejects, _ = decode(table, data)
    assert rejects == []
    assert len(rows) == len(written)
    mapped = {column.path[0] for column in table.columns}
    for line, row in zip(written, rows, strict=True):
        item = plain.item(line)
        for column in table.columns:
            assert row[column.name] == held(column.type, at(item, column.path)), column
        rest = {
            name.encode(): plain.typed_text(plain.canonical(value)).encode()
            for name, value in item.items()
            if name not in mapped
        }
        # Canonical JSON has its own test: here it counts that nothing is missing and nothing stands twice.
        unmapped: Any = row["_unmapped"]
        assert [name for name, _ in unmapped] == sorted(rest)
    return table


def keyed(drawn: list[Members], style: str) -> list[bytes]:
    writer = Writer(style)
    return [
        writer.line([("the key", ("S", str(number))), *(member for member in item if member[0] != "the key")])
        for number, item in enumerate(drawn)
    ]


@given(st.lists(items(), max_size=6), st.sampled_from(("compact", "ascii", "wild")), st.booleans())
@example([[("m", ("M", []))], [("m", ("M", [("x", ("NULL", True))]))], [("m", ("NULL", True))]], "compact", True)
@example([[("l", ("L", []))], [("l", ("L", [("M", [])]))], [("l", ("L", [("NULL", True)]))]], "compact", False)
def test_any_items_load_with_the_schema_proposed_for_them(drawn: list[Members], style: str, tight: bool) -> None:
    check(keyed(drawn, style), ("the key",), tight=tight)


def lines_of(attribute: str, values: list[dict[str, object]]) -> list[bytes]:
    return [
        json.dumps({"Item": {"k": {"N": str(number)}, attribute: value}}, ensure_ascii=False).encode()
        for number, value in enumerate(values)
    ]


def type_of(values: list[dict[str, object]], *, tight: bool = True) -> str:
    return check(lines_of("a", values), ("k",), tight=tight).columns[1].type.sql


def numbers(*texts: str) -> list[dict[str, object]]:
    return [{"N": text} for text in texts]


@pytest.mark.parametrize(
    ("values", "narrow", "roomy"),
    [
        (numbers("-128", "127"), "Int8", "Int16"),
        (numbers("128"), "Int16", "Int32"),
        (numbers("2147483648"), "Int64", "Int64"),
        (numbers("9223372036854775807"), "Int64", "Int128"),
        (numbers("1.0", "1E2"), "Int16", "Int32"),
        (numbers("9" * 38), "Int128", "Int256"),
        (numbers("9.99E125"), "String", "String"),
        (numbers("1E-130"), "String", "String"),
        (numbers("26.50", "1"), "Decimal(3, 1)", "Decimal(9, 3)"),
        (numbers("0." + "1" * 38), "Decimal(38, 38)", "Decimal(76, 40)"),
        ([{"BOOL": True}, {"NULL": True}], "Nullable(Bool)", "Nullable(Bool)"),
        ([{"S": "1"}, {"N": "1"}], "String", "String"),
        ([{"B": "AA=="}], "String", "String"),
        ([{"L": [{"N": "1"}, {"NULL": True}]}], "Array(Nullable(Int8))", "Array(Nullable(Int16))"),
        ([{"L": [{"N": "1"}, {"S": "x"}]}], "String", "String"),
        ([{"NS": ["1", "2.5"]}], "Array(Decimal(2, 1))", "Array(Decimal(9, 3))"),
        ([{"S": "x"}] * 200, "LowCardinality(String)", "LowCardinality(String)"),
    ],
)
def test_types_are_narrow_and_have_head_room(values: list[dict[str, object]], narrow: str, roomy: str) -> None:
    assert type_of(values) == narrow
    assert type_of(values, tight=False) == roomy


def test_ten_thousand_names_are_data() -> None:
    values: list[dict[str, object]] = [
        {"M": {f"k{number * 10 + i}": {"N": "1"} for i in range(10)}} for number in range(1000)
    ]
    assert type_of(values) == "Map(String, Int8)"


def test_a_rare_attribute_is_not_missed_and_nullable() -> None:
    written = lines_of("a", [{"N": "1"}] * 20_000)
    written[12_345] = b'{"Item":{"k":{"N":"12345"},"a":{"N":"1"},"rare":{"S":"x"}}}'
    table = check(written, ("k",))
    assert {column.name: column.type.sql for column in table.columns}["rare"] == "Nullable(String)"


def test_names_that_collide_are_told_apart() -> None:
    written = [
        b'{"Item":{"k":{"N":"1"},"a":{"M":{"b":{"N":"1"}}},"a_b":{"N":"2"},"a-b":{"N":"3"},"version":{"N":"4"}}}'
    ]
    table = check(written, ("k",))
    assert {column.name: column.path for column in table.columns} == {
        "k": ("k",),
        "a_b": ("a_b",),
        "a_b_2": ("a", "b"),
        "a_b_3": ("a-b",),
        "version_2": ("version",),
    }


@pytest.mark.parametrize(
    ("key", "wanted"), [({"S": "é"}, "String"), ({"N": "1.5"}, "Decimal(9, 3)"), ({"B": "AAA="}, "String")]
)
def test_keys_of_every_kind(key: dict[str, str], wanted: str) -> None:
    written = [json.dumps({"Item": {"k": key, "s": {"S": "x"}}}).encode()]
    table = check(written, ("k", "s"))
    assert table.key == ("k", "s")
    assert table.columns[0].type.sql == wanted


def test_no_items_at_all_give_a_schema_when_the_key_is_given() -> None:
    assert proposed(b"", ("pk", "sk")).key == ("pk", "sk")
