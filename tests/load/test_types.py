"""Every type of the type table, sent as Arrow and read back from the engine, value for value."""

from __future__ import annotations

import decimal
import json
import uuid

import pyarrow as pa
import pytest

from transformer.load.destination import Destination
from transformer.schema.layout import arrow_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import Decimal, Integer, Nullable, parse

INTEGERS = [f"{sign}Int{bits}" for bits in (8, 16, 32, 64, 128, 256) for sign in ("", "U")]
DECIMALS = [(1, 0), (1, 1), (9, 0), (9, 9), (10, 2), (18, 18), (19, 5), (38, 0), (38, 38), (39, 3), (76, 0), (76, 76)]


def integer(bits: int, signed: bool, value: int) -> object:
    """`value` as its Arrow column takes it."""
    return value.to_bytes(bits // 8, "little", signed=signed) if bits > 64 else value


def read_back(destination: Destination, name: str, type_text: str, values: list[object], expression: str) -> list[str]:
    """What `expression` prints of the column `v`, one line for each of `values`, in their order."""
    table = Table(name, ("id",), (Column("id", ("id",), parse("Int64")), Column("v", ("v",), parse(type_text))))
    destination.ensure_table(table)
    rows = [
        {"id": number, "v": value, "version": 0, "is_deleted": 0, "_unmapped": []}
        for number, value in enumerate(values)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=arrow_schema(table))
    destination.insert(table, [batch], "only")
    return destination.query(f"SELECT {expression} FROM {name} ORDER BY id FORMAT TSVRaw").decode().split("\n")[:-1]


@pytest.mark.parametrize("text", INTEGERS)
@pytest.mark.parametrize("nullable", [False, True], ids=["plain", "nullable"])
def test_integers_at_their_limits(chdb_destination: Destination, unique_name: str, text: str, nullable: bool) -> None:
    type_ = parse(text)
    assert isinstance(type_, Integer)
    numbers = [type_.minimum, type_.minimum + 1, 0, 1, 255 % type_.maximum, type_.maximum - 1, type_.maximum]
    if type_.signed:
        numbers.append(-1)
    values = [integer(type_.bits, type_.signed, number) for number in numbers]
    expected = [str(number) for number in numbers]
    if nullable:
        text = f"Nullable({text})"
        values.append(None)
        expected.append("\\N")
    assert read_back(chdb_destination, unique_name, text, values, "v") == expected


@pytest.mark.parametrize(("precision", "scale"), DECIMALS)
def test_decimals_at_their_limits(chdb_destination: Destination, unique_name: str, precision: int, scale: int) -> None:
    type_ = Nullable(Decimal(precision, scale))
    largest = 10**precision - 1
    with decimal.localcontext(prec=80):
        values = [decimal.Decimal(unscaled).scaleb(-scale) for unscaled in (largest, -largest, 0, 1, -1)]
    found = read_back(chdb_destination, unique_name, type_.sql, [*values, None], "v")
    with decimal.localcontext(prec=80):
        assert [decimal.Decimal(text) for text in found[:-1]] == values
    assert found[-1] == "\\N"


def test_floats_bit_by_bit(chdb_destination: Destination, unique_name: str) -> None:
    values = [0.0, 1.5, -1.5, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1, 2.0**53 + 2]
    found = read_back(chdb_destination, unique_name, "Float64", list(values), "reinterpretAsUInt64(v)")
    assert found == [str(int.from_bytes(pa.array([v]).buffers()[1].to_pybytes()[:8], "little")) for v in values]


def test_bools(chdb_destination: Destination, unique_name: str) -> None:
    assert read_back(chdb_destination, unique_name, "Nullable(Bool)", [True, False, None], "v") == [
        "true",
        "false",
        "\\N",
    ]


@pytest.mark.parametrize("text", ["String", "LowCardinality(String)"])
def test_strings_byte_by_byte(chdb_destination: Destination, unique_name: str, text: str) -> None:
    values = [b"", b"\x00", bytes(range(256)), "é😀".encode(), b"x" * 400_000]
    assert read_back(chdb_destination, unique_name, text, list(values), "hex(v)") == [v.hex().upper() for v in values]


@pytest.mark.parametrize("text", ["Nullable(String)", "LowCardinality(Nullable(String))"])
def test_nullable_strings(chdb_destination: Destination, unique_name: str, text: str) -> None:
    values = [b"\xff\x00", None, b""]
    assert read_back(chdb_destination, unique_name, text, list(values), "hex(v)") == ["FF00", "\\N", ""]


def test_uuids_keep_their_byte_order(chdb_destination: Destination, unique_name: str) -> None:
    identity = uuid.UUID("0a556908-f72b-4be6-9048-9e60715358d4")
    values = [identity.bytes, bytes(16), b"\xff" * 16, None]
    found = read_back(chdb_destination, unique_name, "Nullable(UUID)", list(values), "v")
    assert found == [str(identity), str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1)), "\\N"]


@pytest.mark.parametrize("text", [f"DateTime64({p}{z})" for p in (0, 3, 6, 9) for z in ("", ", 'Asia/Tokyo'")])
def test_times_tick_by_tick(chdb_destination: Destination, unique_name: str, text: str) -> None:
    type_ = parse(text)
    ticks = [type_.minimum, -1, 0, 1, 10**18 % type_.maximum, type_.maximum]
    values = [pa.scalar(tick, pa.int64()).cast(type_.arrow) for tick in ticks]
    found = read_back(chdb_destination, unique_name, f"Nullable({text})", [*values, None], "reinterpretAsInt64(v)")
    assert found == [*map(str, ticks), "\\N"]


@pytest.mark.parametrize("bits", [8, 16])
def test_enums_go_by_name(chdb_destination: Destination, unique_name: str, bits: int) -> None:
    text = f"Nullable(Enum{bits}('a' = -3, 'it\\'s' = 7, '' = 100))"
    found = read_back(chdb_destination, unique_name, text, ["it's", "a", "", None], "toString(v), toInt16(v)")
    assert found == ["it's\t7", "a\t-3", "\t100", "\\N\t\\N"]


def test_json_takes_maps(chdb_destination: Destination, unique_name: str) -> None:
    found = read_back(chdb_destination, unique_name, "Nullable(JSON)", ['{"a":{"b":1},"c":"x"}', "{}", None], "v")
    assert [None if text == "\\N" else json.loads(text) for text in found] == [{"a": {"b": 1}, "c": "x"}, {}, None]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Array(String)", [[], [b"b", b"", b"b"]], [[], ["b", "", "b"]]),
        ("Array(Nullable(Int16))", [[1, None, -2]], [[1, None, -2]]),
        ("Array(Array(Int64))", [[], [[], [2**60]]], [[], [[], [2**60]]]),
        ("Array(Int256)", [[integer(256, True, -(2**255))]], [[-(2**255)]]),
        ("Array(Decimal(40, 1))", [[decimal.Decimal("-1.5")]], [[-1.5]]),
        ("Array(Bool)", [[True, False]], [[True, False]]),
        ("Array(LowCardinality(Nullable(String)))", [[b"x", None]], [["x", None]]),
        ("Array(Enum8('a' = 1))", [["a"]], [["a"]]),
        ("Array(UUID)", [[bytes(15) + b"\x01"]], [[str(uuid.UUID(int=1))]]),
        (
            "Map(String, Int128)",
            [[], [(b"k", integer(128, True, -7)), (b"", integer(128, True, 1))]],
            [{}, {"k": -7, "": 1}],
        ),
        ("Map(String, Array(Nullable(String)))", [[(b"k", [b"x", None])]], [{"k": ["x", None]}]),
        ("Map(String, Map(String, Bool))", [[(b"k", [(b"l", True)])]], [{"k": {"l": True}}]),
        ("Map(String, Tuple(a Int8))", [[(b"k", {"a": 1})]], [{"k": {"a": 1}}]),
        (
            "Array(Tuple(sku String, qty Int32, price Decimal(10, 2), tags Array(String), more Map(String, Float64)))",
            [[{"sku": b"s", "qty": -1, "price": decimal.Decimal("9.99"), "tags": [b"t"], "more": [(b"m", 0.5)]}]],
            [[{"sku": "s", "qty": -1, "price": 9.99, "tags": ["t"], "more": {"m": 0.5}}]],
        ),
        (
            "Tuple(`odd name` Nullable(UInt256), `t``ick` Tuple(deep Nullable(DateTime64(3))))",
            [{"odd name": integer(256, False, 2**256 - 1), "t`ick": {"deep": None}}],
            [{"odd name": 2**256 - 1, "t`ick": {"deep": None}}],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nested_types(
    chdb_destination: Destination, unique_name: str, text: str, values: list[object], expected: list[object]
) -> None:
    found = read_back(
        chdb_destination,
        unique_name,
        text,
        values,
        "toJSONString(v)",
    )
    assert [json.loads(line) for line in found] == [json.loads(json.dumps(value), parse_int=int) for value in expected]


def test_unmapped_keeps_names_and_order(chdb_destination: Destination, unique_name: str) -> None:
    table = Table(unique_name, ("id",), (Column("id", ("id",), parse("String")),), raw_column="_raw")
    chdb_destination.ensure_table(table)
    row = {
        "id": b"\x00\xff",
        "version": 2**63 - 1,
        "is_deleted": 0,
        "_unmapped": [(b"", b'{"S":""}'), (b"a.b", b'{"N":"1"}'), ("ü".encode(), b"{}")],
        "_raw": b'{"x":{"B":"/w=="}}',
    }
    chdb_destination.insert(table, [pa.RecordBatch.from_pylist([row], schema=arrow_schema(table))], "only")
    found = chdb_destination.query(f"SELECT hex(id), version, _unmapped, _raw FROM {unique_name} FORMAT JSONEachRow")
    assert json.loads(found) == {
        "hex(id)": "00FF",
        "version": 2**63 - 1,
        "_unmapped": {"": '{"S":""}', "a.b": '{"N":"1"}', "ü": "{}"},
        "_raw": '{"x":{"B":"/w=="}}',
    }
