"""Rows of the twin as a whole: their layout, what is unmapped, what is dropped; and properties of any line."""

from __future__ import annotations

import json

import pytest
from decode_examples import column, judged, marked, table
from decode_strategies import Members, Writer, items, lines, plain_json
from decode_tables import cases, items_for, tables
from hypothesis import given
from hypothesis import strategies as st

from transformer.decode.position import redact
from transformer.decode.reference import Reference
from transformer.decode.reference_item import read_item
from transformer.errors import RejectCode, Verdict, VerdictClass
from transformer.schema.table import Column, Table, UnmappedPolicy
from transformer.schema.types import parse


def test_a_row_is_laid_out_in_insert_order() -> None:
    of = Table(
        "t", ("k",), (Column("b", ("b",), parse("Nullable(Int8)")), Column("k", ("k",), parse("String"))),
        version_column="v", deleted_column="d", unmapped_column="rest", raw_column="item",
    )  # fmt: skip
    row = judged(of, '{"Item":{"z":{"NS":["2","10"]},"k":{"S":"x"},"é":{"S":"\\/"},"Z":{"B":"AQ=="}}}')
    assert list(row.items()) == [
        ("b", None),
        ("k", b"x"),
        ("v", 7),
        ("d", 0),
        ("rest", [(b"Z", b'{"B":"AQ=="}'), (b"z", b'{"NS":["10","2"]}'), ("é".encode(), b'{"S":"/"}')]),
        ("item", '{"Z":{"B":"AQ=="},"k":{"S":"x"},"z":{"NS":["10","2"]},"é":{"S":"/"}}'.encode()),
    ]


@given(cases())
def test_every_line_becomes_a_row_a_verdict_or_nothing(case: tuple[Table, list[bytes]]) -> None:
    of, some_lines = case
    reference = Reference(of, version=1)
    layout = [c.name for c in of.columns] + [of.version_column, of.deleted_column]
    layout += [name for name in (of.unmapped_column, of.raw_column) if name]
    for line in some_lines:
        match reference.judge(line):
            case Verdict() as verdict:
                assert 0 <= verdict.offset <= len(line)
                by_column = verdict.code.verdict_class is VerdictClass.COLUMN
                assert (verdict.column in layout) == (by_column and verdict.code is not RejectCode.UNMAPPED)
                verdict.path.encode()  # no lone surrogates: it goes into a JSON file
            case None:
                assert not line.strip(b" \t\r")
            case row:
                assert isinstance(row, dict)
                assert list(row) == layout


@given(tables(), st.data(), st.integers(0, 255))
def test_how_a_line_is_written_does_not_matter(of: Table, data: st.DataObject, seed: int) -> None:
    item = data.draw(items_for(of))
    reference = Reference(of, version=1)
    first = reference.judge(Writer().line(item))
    for style in ("spaced", "ascii"):
        other = reference.judge(Writer(style, seed).line(item))
        if isinstance(first, Verdict):
            assert isinstance(other, Verdict)
            assert (first.code, first.path, first.column) == (other.code, other.path, other.column)
        else:
            assert other == first
    if isinstance(first, dict):
        assert reference.judge(Writer("wild", seed).line(item)) == first  # also in another member order


@given(tables(), st.data())
def test_dropping_is_as_if_the_value_had_never_been_there(of: Table, data: st.DataObject) -> None:
    line = data.draw(lines(items_for(of)))
    before = Reference(of, version=1).judge(line)
    if not line.strip() or (isinstance(before, Verdict) and before.code.verdict_class < VerdictClass.COLUMN):
        return
    redacted = redact(line, of.drop)
    assert redacted is not None
    settings = {name: getattr(of, name) for name in of.__dataclass_fields__}
    undropped = Table(**{**settings, "drop": ()})
    after = Reference(undropped, version=1).judge(redacted)
    if isinstance(before, Verdict):
        assert isinstance(after, Verdict)
        assert (before.code, before.column) == (after.code, after.column)
    else:
        assert before == after


@given(items())
def test_nothing_of_an_item_is_lost(item: Members) -> None:
    """Without columns, `_raw` and `_unmapped` hold all that `json` reads from the line, in the canonical order."""
    line = Writer().line(item)
    row = Reference(table(raw_column="_raw"), version=1).judge(line)
    assert isinstance(row, dict)
    raw = json.loads(row["_raw"])
    assert {name.decode(): json.loads(value) for name, value in row["_unmapped"]} == raw
    assert set(raw) == {name for name, _ in item}
    again = read_item(Writer().line([]).replace(b"{}", row["_raw"]))
    assert Reference(table(raw_column="_raw"), version=1).judge(b'{"Item":' + row["_raw"] + b"}") == row
    assert list(again.members) == sorted(again.members, key=str.encode)
    for name, value in item:
        if value[0] in ("S", "BOOL", "NULL", "B"):
            assert raw[name] == plain_json(value)


CONSUMED: list[tuple[list[tuple[str, str]], str, bool]] = [
    ([("a", "String")], '{"M":{"x":{"S":"y"}}}', True),
    ([("a.b", "Int8")], '{"M":{"b":{"N":"1"}}}', True),
    ([("a.b", "Int8")], '{"M":{"b":{"N":"1"},"c":{"NULL":true}}}', False),
    ([("a.b", "Int8"), ("a.c", "Bool")], '{"M":{"b":{"N":"1"},"c":{"BOOL":true}}}', True),
    ([("a.b", "Nullable(Int8)")], '{"NULL":true}', True),
    ([("a.b", "Nullable(Int8)")], '{"M":{}}', True),
    ([("a.b.c", "Nullable(Int8)")], '{"M":{"b":{"M":{}}}}', True),
    ([("a.b.c", "Nullable(Int8)")], '{"M":{"b":{"NULL":true}}}', True),
    ([("a.b.c", "Nullable(Int8)")], '{"M":{"x":{"M":{}}}}', False),
    ([("a", "Tuple(b Int8)")], '{"M":{"b":{"N":"1"}}}', True),
    ([("a", "Tuple(b Int8)")], '{"M":{"b":{"N":"1"},"c":{"N":"1"}}}', False),
    ([("a", "Tuple(b Int8)"), ("a.c", "Int8")], '{"M":{"b":{"N":"1"},"c":{"N":"1"}}}', True),
    ([("a", "Tuple(b Int8)"), ("a", "String")], '{"M":{"b":{"N":"1"},"c":{"N":"1"}}}', True),
    ([("a", "Map(String, Tuple(b Int8))")], '{"M":{"k":{"M":{"b":{"N":"1"}}}}}', True),
    ([("a", "Map(String, Tuple(b Int8))")], '{"M":{"k":{"M":{"b":{"N":"1"},"c":{"N":"1"}}}}}', False),
    ([("a", "Map(String, Array(Int8))")], '{"M":{"k":{"NULL":true}}}', True),
    ([("a", "Array(Tuple(b Int8))")], '{"L":[{"M":{"b":{"N":"1"}}}]}', True),
    ([("a", "Array(Tuple(b Int8))")], '{"L":[{"M":{"b":{"N":"1"}}},{"M":{"b":{"N":"1"},"c":{"L":[]}}}]}', False),
    ([("a", "Array(Tuple(b Nullable(Int8)))"), ("a", "Array(Tuple(c Nullable(Int8)))")],
     '{"L":[{"M":{"b":{"N":"1"},"c":{"N":"1"}}},{"NULL":true}]}', True),
    ([("a", "Array(String)")], '{"L":[{"M":{"x":{"S":"y"}}}]}', True),
    ([("a", "Array(Int8)")], '{"NS":["1"]}', True),
    ([("a", "Array(Array(Tuple(b Nullable(Int8))))")], '{"L":[{"L":[{"M":{"c":{"N":"1"}}}]}]}', False),
    ([("a", "Nullable(JSON)")], '{"M":{}}', False),
    ([("a", "Nullable(JSON)"), ("a", "String")], '{"M":{}}', False),
    ([("a.b", "Nullable(JSON)")], '{"NULL":true}', False),
    ([("b", "Nullable(String)")], '{"S":"x"}', False),
]  # fmt: skip


@pytest.mark.parametrize(("specs", "value", "consumed"), CONSUMED, ids=[f"{n}" for n in range(len(CONSUMED))])
def test_an_attribute_is_consumed_when_all_its_values_went_into_columns(
    specs: list[tuple[str, str]], value: str, consumed: bool
) -> None:
    columns = tuple(Column(f"c{n}", tuple(path.split(".")), parse(type_)) for n, (path, type_) in enumerate(specs))
    line, offset = marked(f'{{"Item":{{@"a":{value}}}}}')
    row = Reference(Table("t", (), columns), version=0).judge(line)
    assert isinstance(row, dict), row
    assert row["_unmapped"] == ([] if consumed else [(b"a", value.encode())])
    ignoring = Table("t", (), columns, unmapped_column="", unmapped_policy=UnmappedPolicy.IGNORE)
    assert isinstance(Reference(ignoring, version=0).judge(line), dict)
    strict = Table("t", (), columns, unmapped_column="", unmapped_policy=UnmappedPolicy.REJECT)
    verdict = Reference(strict, version=0).judge(line)
    assert isinstance(verdict, dict) if consumed else verdict == Verdict(RejectCode.UNMAPPED, offset, "a")


def test_the_first_unmapped_attribute_of_the_line_is_named_after_all_columns() -> None:
    of = table(column("Int8"), unmapped_column="", unmapped_policy=UnmappedPolicy.REJECT)
    line, offset = marked('{"Item":{"c":{"N":"1"},@"z.z":{"S":""},"a":{"S":""}}}')
    assert Reference(of, version=0).judge(line) == Verdict(RejectCode.UNMAPPED, offset, '["z.z"]')
    late, offset = marked('{"Item":{"a":{"S":""},"c":{"N":@"1000"}}}')
    assert Reference(of, version=0).judge(late) == Verdict(RejectCode.OUT_OF_RANGE, offset, "c", "c")


def test_drop_reaches_columns_unmapped_and_raw_but_not_the_checks() -> None:
    of = Table(
        "t",
        (),
        (column("Nullable(String)", "a"), column("Array(Tuple(q Nullable(Int8)))", "o", name="o")),
        raw_column="_raw", drop=(("ssn",), ("a", "secret"), ("o", "q"), ("o", "p")),
    )  # fmt: skip
    row = judged(
        of,
        '{"Item":{"ssn":{"S":"1"},"a":{"M":{"secret":{"S":"x"},"b":{"S":"y"}}},'
        '"o":{"L":[{"M":{"q":{"N":"999"},"p":{"S":"x"}}}]},"z":{"M":{"ssn":{"S":"2"}}}}}',
    )
    assert row == {
        "c": b'{"b":"y"}', "o": [{"q": None}], "version": 7, "is_deleted": 0,
        "_unmapped": [(b"z", b'{"M":{"ssn":{"S":"2"}}}')],
        "_raw": b'{"a":{"M":{"b":{"S":"y"}}},"o":{"L":[{"M":{}}]},"z":{"M":{"ssn":{"S":"2"}}}}',
    }  # fmt: skip
    line, offset = marked('{"Item":{"ssn":{"N":@"bad"}}}')
    assert Reference(of, version=0).judge(line) == Verdict(RejectCode.BAD_NUMBER, offset, "ssn")


def test_drop_goes_into_lists_within_lists() -> None:
    of = table(drop=(("o", "p"),))
    value = '{"L":[{"L":[{"M":{"p":{"S":"private"}}}]}]}'
    assert judged(of, f'{{"Item":{{"o":{value}}}}}')["_unmapped"] == [(b"o", b'{"L":[{"L":[{"M":{}}]}]}')]
