"""What each column takes from an item, and where and why it refuses: the type table, value by value."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from decode_examples import column, judged, marked, table

from transformer.decode.reference import Reference
from transformer.errors import InternalError, RejectCode, Verdict
from transformer.schema.table import Column, Convert, Table
from transformer.schema.types import parse

E = Convert.EPOCH_S
MS = Convert.EPOCH_MS
US = Convert.EPOCH_US
ISO = Convert.ISO8601
U = uuid.UUID("0a556908-f72b-4be6-9048-9e60715358d4")
ENUM = "Enum8('a' = 1, 'ß' = 2, 'z' = 3)"

# Column type, conversion, value with `@` before the offset of the fault if there is one, result.
COLUMN_RULES: list[tuple[str, Convert | None, str, object]] = [
    ("String", None, '{"S":"a\\u00e9\\n"}', "aé\n".encode()),
    ("String", None, '{"N":"-1.50"}', b"-1.5"),
    ("String", None, '{"B":"AP8="}', b"\x00\xff"),
    ("String", None, '{"BOOL":true}', b"true"),
    ("String", None, '{"NULL":@true}', RejectCode.NULL_VALUE),
    ("String", None, '{"L":[{"N":"1e2"},{"NULL":true},{"S":"/\\/\\u001f\\u007f"}]}', b'[100,null,"//\\u001f\x7f"]'),
    ("String", None, '{"M":{"b":{"B":"AQ=="},"a":{"M":{}},"B":{"BOOL":false}}}', b'{"B":false,"a":{},"b":"AQ=="}'),
    ("String", None, '{"SS":["b","\\"","\\n","a"]}', b'["\\n","\\"","a","b"]'),
    ("String", None, '{"NS":["9","10","1e1","-1"]}', b"[-1,10,10,9]"),
    ("String", None, '{"BS":["/w==","AQ==",""]}', b'["","AQ==","/w=="]'),
    ("LowCardinality(String)", None, '{"S":"x"}', b"x"),
    ("LowCardinality(Nullable(String))", None, '{"NULL":true}', None),
    ("Nullable(String)", None, '{"NULL":true}', None),
    ("Nullable(String)", None, '{"S":""}', b""),
    ("Int8", None, '{"N":"-128"}', -128),
    ("Int8", None, '{"N":@"128"}', RejectCode.OUT_OF_RANGE),
    ("UInt8", None, '{"N":"-0.0"}', 0),
    ("UInt8", None, '{"N":@"-1"}', RejectCode.OUT_OF_RANGE),
    ("Int16", None, '{"N":"1.2e2"}', 120),
    ("Int16", None, '{"N":@"1.2"}', RejectCode.INEXACT),
    ("Int16", None, '{"N":@"1e99"}', RejectCode.OUT_OF_RANGE),
    ("Int16", None, '{"N":@"1e-1"}', RejectCode.INEXACT),
    ("Int256", None, '{"N":@"' + "9" * 9999 + '"}', RejectCode.OUT_OF_RANGE),
    ("Int256", None, f'{{"N":"{-(2**255)}"}}', -(2**255)),
    ("UInt256", None, f'{{"N":@"{2**256}"}}', RejectCode.OUT_OF_RANGE),
    ("Int32", None, '{"S":"-5"}', -5),
    ("Int32", None, '{"S":@"05"}', RejectCode.NOT_PLAIN),
    ("Int32", None, '{"S":@"5.0"}', RejectCode.NOT_PLAIN),
    ("Int32", None, '{"S":@"-0"}', RejectCode.NOT_PLAIN),
    ("Int32", None, '{"S":@"1e1"}', RejectCode.NOT_PLAIN),
    ("Int32", None, '{"S":@""}', RejectCode.NOT_PLAIN),
    ("Int32", None, '{"S":@"five"}', RejectCode.NOT_PLAIN),
    ("Int32", None, '{"S":@"5.5"}', RejectCode.INEXACT),
    ("Int32", None, '{"S":@"2147483648"}', RejectCode.OUT_OF_RANGE),
    ("Int32", None, '{"BOOL":@true}', RejectCode.WRONG_TAG),
    ("Int32", None, '{"B":@"AQ=="}', RejectCode.WRONG_TAG),
    ("Int32", None, '{"L":@[]}', RejectCode.WRONG_TAG),
    ("Int32", None, '{"NS":@["1"]}', RejectCode.WRONG_TAG),
    ("Int32", None, '{"NULL":@true}', RejectCode.NULL_VALUE),
    ("Nullable(Int32)", None, '{"NULL":true}', None),
    ("Decimal(10, 1)", None, '{"N":"26.50"}', Decimal("26.5")),
    ("Decimal(3, 2)", None, '{"N":"-9.99"}', Decimal("-9.99")),
    ("Decimal(3, 2)", None, '{"N":@"10"}', RejectCode.OUT_OF_RANGE),
    ("Decimal(3, 2)", None, '{"N":@"10.001"}', RejectCode.INEXACT),
    ("Decimal(76, 76)", None, '{"N":"1e-76"}', Decimal("1e-76")),
    ("Decimal(76, 0)", None, '{"N":"' + "9" * 76 + '"}', Decimal("9" * 76)),
    ("Decimal(5, 2)", None, '{"S":@"1.50"}', RejectCode.NOT_PLAIN),
    ("Decimal(5, 2)", None, '{"S":"1.5"}', Decimal("1.5")),
    ("Float64", None, '{"N":"0.1"}', 0.1),
    ("Float64", None, '{"N":"9007199254740993"}', 9007199254740992.0),
    ("Float64", None, '{"N":"1.7976931348623157e308"}', 1.7976931348623157e308),
    ("Float64", None, '{"N":"1.7976931348623158e308"}', 1.7976931348623157e308),
    ("Float64", None, '{"N":@"1.7976931348623159e308"}', RejectCode.OUT_OF_RANGE),
    ("Float64", None, '{"N":@"-1e309"}', RejectCode.OUT_OF_RANGE),
    ("Float64", None, '{"N":"-1e-999"}', 0.0),
    ("Float64", None, '{"S":@"0.10"}', RejectCode.NOT_PLAIN),
    ("Bool", None, '{"BOOL":false}', False),
    ("Bool", None, '{"S":@"true"}', RejectCode.WRONG_TAG),
    (ENUM, None, '{"S":"\\u00df"}', "ß"),
    (ENUM, None, '{"S":@"b"}', RejectCode.UNKNOWN_ENUM),
    (ENUM, None, '{"N":@"1"}', RejectCode.WRONG_TAG),
    ("UUID", Convert.UUID, '{"S":"0A556908-F72B-4BE6-9048-9e60715358d4"}', U),
    ("UUID", Convert.UUID, '{"S":@"0A556908F72B4BE690489e60715358d4"}', RejectCode.BAD_CONVERT),
    ("UUID", Convert.UUID, '{"B":@"AQ=="}', RejectCode.WRONG_TAG),
    ("DateTime64(3)", E, '{"N":"-1.5"}', -1500),
    ("DateTime64(3)", E, '{"N":@"0.0001"}', RejectCode.INEXACT),
    ("DateTime64(0)", MS, '{"N":"1e3"}', 1),
    ("DateTime64(0)", MS, '{"N":"-2000"}', -2),
    ("DateTime64(0)", MS, '{"N":@"1500"}', RejectCode.INEXACT),
    ("DateTime64(0)", MS, '{"N":@"1' + "0" * 150 + '1"}', RejectCode.INEXACT),
    ("DateTime64(0)", MS, '{"N":@"1e200"}', RejectCode.OUT_OF_RANGE),
    ("DateTime64(3)", US, '{"N":"0"}', 0),
    ("DateTime64(9)", US, '{"N":"1.001"}', 1001),
    ("DateTime64(3)", E, '{"N":"10413791999.999"}', 10413791999999),
    ("DateTime64(3)", E, '{"N":@"10413792000"}', RejectCode.OUT_OF_RANGE),
    ("DateTime64(9)", E, '{"N":@"9214646400"}', RejectCode.OUT_OF_RANGE),
    ("DateTime64(0)", E, '{"N":"-2208988800"}', -2208988800),
    ("DateTime64(0)", E, '{"N":@"-2208988801"}', RejectCode.OUT_OF_RANGE),
    ("DateTime64(0)", E, '{"S":@"1"}', RejectCode.WRONG_TAG),
    ("DateTime64(0)", ISO, '{"N":@"1"}', RejectCode.WRONG_TAG),
    ("DateTime64(0)", ISO, '{"S":"1970-01-01T00:00:00Z"}', 0),
    ("DateTime64(3)", ISO, '{"S":"1970-01-01T00:00:00.1+00:01"}', -59900),
    ("DateTime64(3)", ISO, '{"S":"2024-02-29T23:59:59.999000-23:59"}', 1709337539999),
    ("DateTime64(3)", ISO, '{"S":@"1970-01-01T00:00:00.1234Z"}', RejectCode.INEXACT),
    ("DateTime64(9)", ISO, '{"S":"1970-01-01T00:00:00.123456789Z"}', 123456789),
    ("DateTime64(9)", ISO, '{"S":@"1970-01-01T00:00:00.1234567890Z"}', RejectCode.BAD_CONVERT),
    ("DateTime64(0)", ISO, '{"S":@"2023-02-29T00:00:00Z"}', RejectCode.BAD_CONVERT),
    ("DateTime64(0)", ISO, '{"S":@"1970-01-01T00:00:60Z"}', RejectCode.BAD_CONVERT),
    ("DateTime64(0)", ISO, '{"S":@"1970-01-01T00:00:00+24:00"}', RejectCode.BAD_CONVERT),
    ("DateTime64(0)", ISO, '{"S":@"1970-01-01T00:00:00"}', RejectCode.BAD_CONVERT),
    ("DateTime64(0)", ISO, '{"S":@"0000-02-29T00:00:00Z"}', RejectCode.OUT_OF_RANGE),
    ("DateTime64(0)", ISO, '{"S":@"1900-01-01T00:00:00+00:01"}', RejectCode.OUT_OF_RANGE),
    ("DateTime64(0)", ISO, '{"S":"1899-12-31T23:59:00-00:01"}', -2208988800),
    ("Array(Int32)", None, '{"L":[{"N":"2"},{"S":"1"}]}', [2, 1]),
    ("Array(Int32)", None, '{"NS":["10","9","-1","1e1"]}', [-1, 9, 10, 10]),
    ("Array(Int32)", None, '{"SS":["10","9"]}', [9, 10]),
    ("Array(Int32)", None, '{"SS":["10",@"x"]}', RejectCode.NOT_PLAIN),
    ("Array(Int32)", None, '{"L":[{"N":"1"},{"NULL":@true}]}', RejectCode.NULL_VALUE),
    ("Array(Int32)", None, '{"L":[{"N":"1"},{"N":@"1.5"},{"NULL":true}]}', RejectCode.INEXACT),
    ("Array(Int32)", None, '{"NULL":true}', []),
    ("Array(Int32)", None, '{"N":@"1"}', RejectCode.WRONG_TAG),
    ("Array(Int32)", None, '{"M":@{}}', RejectCode.WRONG_TAG),
    ("Array(Nullable(Int32))", None, '{"L":[{"NULL":true},{"N":"1"}]}', [None, 1]),
    ("Array(String)", None, '{"SS":["é","z","\\n",""]}', [b"", b"\n", b"z", "é".encode()]),
    ("Array(String)", None, '{"NS":["9","10"]}', [b"10", b"9"]),
    ("Array(String)", None, '{"BS":["/w==","AA=="]}', [b"\x00", b"\xff"]),
    ("Array(String)", None, '{"L":[{"M":{}},{"SS":["b","a"]},{"S":"x"}]}', [b"{}", b'["a","b"]', b"x"]),
    ("Array(" + ENUM + ")", None, '{"SS":["ß","z","a"]}', ["a", "z", "ß"]),
    ("Array(DateTime64(0))", ISO, '{"SS":["1970-01-01T01:00:00Z","1970-01-01T00:30:00-00:01"]}', [1860, 3600]),
    ("Array(DateTime64(3))", E, '{"NS":["10","9"]}', [9000, 10000]),
    ("Array(Float64)", None, '{"NS":["10","9","-0"]}', [0.0, 9.0, 10.0]),
    ("Array(Bool)", None, '{"SS":[@"true"]}', RejectCode.WRONG_TAG),
    ("Array(Bool)", None, '{"SS":[]}', []),
    ("Array(Array(Int8))", None, '{"L":[{"NULL":true},{"L":[]},{"NS":["2","1"]}]}', [[], [], [1, 2]]),
    ("Array(Array(Int8))", None, '{"NS":[@"1"]}', RejectCode.WRONG_TAG),
    ("Array(Map(String, Int8))", None, '{"L":[{"NULL":true},{"M":{"a":{"N":"1"}}}]}', [[], [(b"a", 1)]]),
    ("Map(String, Int8)", None, '{"M":{"z":{"N":"2"},"":{"N":"3"}}}', [(b"", 3), (b"z", 2)]),
    ("Map(String, Bool)", None, '{"M":{"é":{"BOOL":true},"z":{"BOOL":false}}}', [(b"z", False), ("é".encode(), True)]),
    ("Map(String, Int8)", None, '{"M":{"a":{"NULL":@true},"b":{"N":"1"}}}', RejectCode.NULL_VALUE),
    ("Map(String, Int8)", None, '{"NULL":true}', []),
    ("Map(String, Int8)", None, '{"L":@[]}', RejectCode.WRONG_TAG),
    ("Map(String, Array(String))", None, '{"M":{"a":{"NULL":true}}}', [(b"a", [])]),
    ("Tuple(a Int8, b Nullable(Int8))", None, '{"M":{"a":{"N":"1"}}}', {"a": 1, "b": None}),
    ("Tuple(a Array(Int8), b Map(String, Int8))", None, '{"NULL":true}', {"a": [], "b": []}),
    ("Tuple(a Int8)", None, '{"L":@[]}', RejectCode.WRONG_TAG),
    ("Tuple(a Int8)", None, '{"M":{"a":{"N":@"300"}}}', RejectCode.OUT_OF_RANGE),
    ("Tuple(a Int8, b Int8)", None, '{"M":{"b":{"N":"1"},"a":{"NULL":@true}}}', RejectCode.NULL_VALUE),
    ("Tuple(a Int8, b Int8)", None, '{"M":{"b":{"N":@"300"},"a":{"S":"x"}}}', RejectCode.OUT_OF_RANGE),
    ("Tuple(`S` Int8, `x.y` Int8)", None, '{"M":{"x.y":{"N":"1"},"S":{"N":"2"}}}', {"S": 2, "x.y": 1}),
    ("Tuple(t Tuple(a Array(Int8)))", None, '{"M":{"t":{"NULL":true}}}', {"t": {"a": []}}),
    ("Nullable(JSON)", None, '{"M":{"b":{"N":"1.0"},"a":{"L":[{"NULL":true}]}}}', b'{"a":[null],"b":1}'),
    ("Nullable(JSON)", None, '{"NULL":true}', None),
    ("Nullable(JSON)", None, '{"L":@[]}', RejectCode.WRONG_TAG),
]  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "convert", "value", "result"),
    COLUMN_RULES,
    ids=[f"{number}-{rule[0][:20]}" for number, rule in enumerate(COLUMN_RULES)],
)
def test_a_column_takes_a_value_by_its_type(type_: str, convert: Convert | None, value: str, result: object) -> None:
    line, offset = marked(f'{{"Item":{{"x":{{"S":"x"}},"c":{value}}}}}')
    row = Reference(table(column(type_, convert=convert)), version=7).judge(line)
    if isinstance(result, RejectCode):
        assert isinstance(row, Verdict)
        assert (row.code, row.offset, row.column) == (result, offset, "c")
        assert row.path.startswith("c")
    else:
        assert isinstance(row, dict), row
        assert row["c"] == result
        assert type(row["c"]) is type(result)


def test_a_float_zero_has_no_sign() -> None:
    for text in ("-0", "-0.0e5", "-1e-999"):
        row = judged(table(column("Float64")), f'{{"Item":{{"c":{{"N":"{text}"}}}}}}')
        assert isinstance(row, dict)
        assert str(row["c"]) == "0.0"


@pytest.mark.parametrize(
    ("type_", "path", "text", "code", "shown"),
    [
        ("Int8", "c", '{"Item":@{}}', RejectCode.MISSING, "c"),
        ("Int8", "a.b", ' {"Item" : @{"a":{"M":{}}}}', RejectCode.MISSING, "a.b"),
        ("Int8", "a.b", '{"Item":@{"a":{"NULL":true}}}', RejectCode.MISSING, "a.b"),
        ("Int8", "a.b", '{"Item":{"a":{"M":{"b":{"NULL":@true}}}}}', RejectCode.NULL_VALUE, "a.b"),
        ("Int8", "a.b", '{"Item":{"a":{"L":@[]}}}', RejectCode.NOT_A_MAP, "a"),
        ("Int8", "a.b.c", '{"Item":{"a":{"M":{"b":{"S":@"x"}}}}}', RejectCode.NOT_A_MAP, "a.b"),
        ("Nullable(Int8)", "a.b", '{"Item":{"a":{"SS":@[]}}}', RejectCode.NOT_A_MAP, "a"),
        ("Array(Int8)", "a.b", '{"Item":{"a":{"BOOL":@true}}}', RejectCode.NOT_A_MAP, "a"),
        ("Tuple(q Int8)", "a", '{"Item":@{"a":{"M":{}}}}', RejectCode.MISSING, "a.q"),
        ("Tuple(q Int8)", "a", '{"Item":@{}}', RejectCode.MISSING, "a.q"),
        ("Tuple(q Int8, r Int8)", "a", '{"Item":@{"a":{"M":{"q":{"S":"x"}}}}}', RejectCode.MISSING, "a.r"),
        ("Array(Tuple(q Int8))", "o", '{"Item":@{"o":{"L":[{"M":{"q":{"N":"1"}}},{"M":{}}]}}}',
         RejectCode.MISSING, "o[].q"),
        ("Array(Tuple(q Int8))", "o", '{"Item":@{"o":{"L":[{"NULL":true}]}}}',
         RejectCode.MISSING, "o[].q"),
        ("Array(Tuple(q Int8))", "o", '{"Item":{"o":{"L":[{"M":{"q":{"N":"1"}}},{"S":@"x"}]}}}',
         RejectCode.WRONG_TAG, "o[1]"),
        ("Array(Tuple(q Int8))", "o", '{"Item":{"o":{"L":[{"M":{"q":{"S":@"x"}}}]}}}',
         RejectCode.NOT_PLAIN, "o[0].q"),
        ("Array(Tuple(a Int8, b Int8))", "o", '{"Item":@{"o":{"L":[{"M":{"a":{"N":"1"}}},{"M":{"b":{"N":"1"}}}]}}}',
         RejectCode.MISSING, "o[].a"),
        ("Tuple(t Tuple(a Int8), b Int8)", "c", '{"Item":@{}}', RejectCode.MISSING, "c.t.a"),
        ("Map(String, Tuple(x Int8))", "m", '{"Item":@{"m":{"M":{"k":{"M":{}}}}}}', RejectCode.MISSING, "m{}.x"),
        ("Map(String, Int8)", "m", '{"Item":{"m":{"M":{"k.l":{"S":@"x"}}}}}', RejectCode.NOT_PLAIN, 'm["k.l"]'),
        ("Array(Int8)", "s", '{"Item":{"s":{"NS":["1",@"1.5"]}}}', RejectCode.INEXACT, "s[1]"),
    ],
)  # fmt: skip
def test_a_fault_has_a_path_and_an_offset(type_: str, path: str, text: str, code: RejectCode, shown: str) -> None:
    line, offset = marked(text)
    assert Reference(table(column(type_, path)), version=0).judge(line) == Verdict(code, offset, shown, "c")


def test_columns_are_judged_in_schema_order() -> None:
    two = Table("t", (), (Column("x", ("x",), parse("Int8")), Column("y", ("y",), parse("Int8"))))
    line, offset = marked('{"Item":{"y":{"S":"bad"},"x":{"S":@"bad"}}}')
    assert Reference(two, version=0).judge(line) == Verdict(RejectCode.NOT_PLAIN, offset, "x", "x")


def test_a_default_stands_in_for_missing_and_null_only() -> None:
    of = table(column("Decimal(5, 2)", "a.b", default={"N": "1E0"}))
    for text in ('{"Item":{}}', '{"Item":{"a":{"NULL":true}}}', '{"Item":{"a":{"M":{"b":{"NULL":true}}}}}'):
        row = judged(of, text)
        assert isinstance(row, dict)
        assert row["c"] == 1
    line, offset = marked('{"Item":{"a":{"M":{"b":{"BOOL":@true}}}}}')
    assert Reference(of, version=0).judge(line) == Verdict(RejectCode.WRONG_TAG, offset, "a.b", "c")
    assert judged(table(column("Nullable(Int8)", default={"N": "1"})), '{"Item":{}}')["c"] is None


def test_a_table_that_no_schema_file_makes_is_refused() -> None:
    with pytest.raises(InternalError, match="conversion"):
        Reference(table(column("Array(DateTime64(3))")), version=0)
    for default in ({"N": "300"}, {"X": "1"}, {"BOOL": True}, {"S": "x", "N": "1"}):
        with pytest.raises(InternalError, match="default"):
            Reference(table(column("Int8", default=default)), version=0)


@pytest.mark.parametrize(("value", "key"), [('{"S":"x"}', b"x"), ('{"N":"1.0"}', b"1"), ('{"B":"AP8="}', b"\x00\xff")])
def test_a_key_of_type_string_takes_what_keys_may_be(value: str, key: bytes) -> None:
    of = Table("t", ("id",), (Column("id", ("id",), parse("String")),))
    assert judged(of, f'{{"Item":{{"id":{value}}}}}')["id"] == key


@pytest.mark.parametrize("value", ['{"BOOL":@true}', '{"M":@{}}', '{"L":@[]}', '{"SS":@["x"]}'])
def test_a_key_takes_no_json_text(value: str) -> None:
    of = Table("t", ("id",), (Column("id", ("id",), parse("String")),))
    line, offset = marked(f'{{"Item":{{"id":{value}}}}}')
    assert Reference(of, version=0).judge(line) == Verdict(RejectCode.WRONG_TAG, offset, "id", "id")
