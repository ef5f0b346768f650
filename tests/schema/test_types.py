"""The text of types: what it spells, and what is refused with what to write instead."""

from __future__ import annotations

import pyarrow as pa
import pytest
from decode_tables import types
from hypothesis import given
from hypothesis import strategies as st

from transformer.schema.expression import quote_string, tokens
from transformer.schema.types import (
    JSON,
    Array,
    DateTime64,
    Decimal,
    Enum,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
    Type,
    TypeSyntaxError,
    parse,
)

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)


@given(types())
def test_a_type_reads_back_from_its_spelling(type_: Type) -> None:
    assert parse(type_.sql) == type_


@given(st.lists(TEXTS, min_size=1, max_size=5, unique=True))
def test_enum_names_read_back(names: list[str]) -> None:
    type_ = Enum(16, tuple((name, number) for number, name in enumerate(names, -2)))
    assert parse(type_.sql) == type_


@given(st.lists(TEXTS.filter(lambda name: name and "\0" not in name), min_size=1, max_size=4, unique=True))
def test_member_names_read_back(names: list[str]) -> None:
    type_ = Array(Tuple(tuple((name, String()) for name in names)))
    assert parse(type_.sql) == type_


@given(types())
def test_every_type_has_an_arrow_type_and_a_size(type_: Type) -> None:
    assert isinstance(type_.arrow, pa.DataType)
    assert type_.fixed_bytes > 0


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        (" Nullable( Decimal( 10 ,2 ) ) ", Nullable(Decimal(10, 2))),
        ("Enum8('a', 'b' = 5, 'c')", Enum(8, (("a", 1), ("b", 5), ("c", 6)))),
        ("Enum8('it''s' = -1, 'a\\'b\\\\')", Enum(8, (("it's", -1), ("a'b\\", 0)))),
        ("Enum8('a\\x01\\n\\d' = 1)", Enum(8, (("a\x01\n\\d", 1),))),
        ("DateTime64(6, 'Europe/Berlin')", DateTime64(6, "Europe/Berlin")),
        ('Tuple(`a b` Int8, "c`d" String, `e\\`` Bool)', None),
        ("Map(String, Array(UInt256))", Map(Array(Integer(256, signed=False)))),
        ("LowCardinality(Nullable(String))", LowCardinality(Nullable(String()))),
        ("Nullable(JSON)", Nullable(JSON())),
        ("Array(" * 32 + "Nullable(Int8)" + ")" * 32, None),
    ],
)
def test_spellings(text: str, type_: Type | None) -> None:
    found = parse(text)
    assert found == (type_ or parse(found.sql))


@pytest.mark.parametrize(
    ("text", "says", "instead"),
    [
        ("", "expected a type, found the end", ""),
        ("Strng", "Strng is no type", "String?"),
        ("int32", "int32 is no type", "Int32?"),
        ("Int512", "Int512 is no type", "Int"),
        ("Float32", "Float32 is no type", "Write Float64, or Decimal(P, S)"),
        ("DateTime", "DateTime is no type", "Write DateTime64(0)"),
        ("Date32", "Date32 is no type", "DateTime64(0)"),
        ("Decimal64(2)", "Decimal64 is no type", "Decimal(P, S)"),
        ("FixedString(16)", "FixedString is no type", "Write String."),
        ("Nested(a Int8)", "Nested is no type", "Array(Tuple(name T, ...))"),
        ("qqqq", "qqqq is no type", "There are: IntN"),
        ("Decimal(10)", "expected ','", ""),
        ("Decimal(77, 2)", "precision is 1 to 76", ""),
        ("Decimal(0, 0)", "precision is 1 to 76", ""),
        ("Decimal(5, 6)", "scale 0 to the precision", ""),
        ("Decimal(5, -1)", "scale 0 to the precision", ""),
        ("Decimal(1e1, 2)", "expected the precision", ""),
        ("Decimal(5.0, 2)", "expected the precision", ""),
        ("DateTime64(4)", "0, 3, 6 or 9", "next higher"),
        ("DateTime64(3, 'UTC\\') --')", "not a name", ""),
        ("DateTime64(3, UTC)", "time zone in quotes", ""),
        ("Enum8()", "name in single quotes", ""),
        ("Enum8('a' = 1, 'a' = 2)", "stands twice", ""),
        ("Enum8('a' = 1, 'b' = 1)", "stands twice", ""),
        ("Enum8('a' = 128)", "-128 to 127", ""),
        ("Enum16('a' = 99999)", "-32768 to 32767", ""),
        ("Enum8('a' = 99999999999999999999)", "expected a number", ""),
        ("Nullable(Array(String))", "no such NULL", "Write Array(String)."),
        ("Nullable(Nullable(String))", "no such NULL", "Write Nullable(String)."),
        ("Nullable(LowCardinality(String))", "no such NULL", "Write LowCardinality(Nullable(String))."),
        ("Nullable(Map(String, Int8))", "no such NULL", "Write Map(String, Int8)."),
        ("Array(Nullable(Tuple(a Int8)))", "no such NULL", "Tuple"),
        ("LowCardinality(UUID)", "only texts", "LowCardinality(String)"),
        ("JSON", "JSON loses nulls", "Nullable(JSON)"),
        ("Array(JSON)", "JSON loses nulls", "Nullable(JSON)"),
        ("Array(Nullable(JSON))", "JSON loses nulls", "Nullable(JSON)"),
        ("Map(String, Nullable(JSON))", "JSON loses nulls", "Nullable(JSON)"),
        ("Tuple(a Nullable(JSON))", "JSON loses nulls", "Nullable(JSON)"),
        ("Map(Int8, String)", "keys of a Map", "Map(String, T)"),
        ("Map(LowCardinality(String), String)", "keys of a Map", "Map(String, T)"),
        ("Tuple(String, Int8)", "no name or no type", "Tuple(sku String"),
        ("Tuple()", "member's name", ""),
        ("Tuple(a Int8, a Int8)", "stands twice", ""),
        ("Tuple(`` Int8)", "empty", ""),
        ("Tuple(`a\\0b` Int8)", "NUL", ""),
        ("Array(String", "'(' is not closed", ""),
        ("Array(String))", "')' closes no bracket", ""),
        ("String String", "unexpected 'String'", ""),
        ("String -- x", "cannot stand", ""),
        ("String; DROP TABLE t", "cannot stand", ""),
        ("Enum8('a = 1)", "quote is not closed", ""),
        ("Array(" * 34 + "Int8" + ")" * 34, "nested deeper", ""),
        ("Array(" * 5000 + "Int8" + ")" * 5000, "nested deeper", ""),
        ("Strïng", "cannot stand", ""),
    ],
)
def test_refusals(text: str, says: str, instead: str) -> None:
    with pytest.raises(TypeSyntaxError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert instead in caught.value.remedy


@given(TEXTS)
def test_any_text_is_a_type_or_refused(text: str) -> None:
    try:
        type_ = parse(text)
    except TypeSyntaxError:
        return
    assert parse(type_.sql) == type_


@given(TEXTS)
def test_literals_read_back(text: str) -> None:
    (token,) = tokens(quote_string(text))
    assert token.text == text
