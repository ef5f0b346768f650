"""The twin's verdicts that need no schema: types and values, each with its exact offset."""

from __future__ import annotations

import pytest
from decode_examples import column, judged, marked, table

from transformer.decode.reference import Reference
from transformer.errors import RejectCode, Verdict


def deep(levels: int, inner: str) -> str:
    """`inner` under alternating levels of M and L, the innermost of which is an L."""
    for level in range(levels):
        inner = f'{{"L":[{inner}]}}' if level % 2 == 0 else f'{{"M":{{"m":{inner}}}}}'
    return inner


TYPE_AND_VALUE_FAULTS = {
    RejectCode.NOT_AN_ITEM: (
        *("@[]", " @1", "@null", '@"Item"', "{@}", " { @} ", '{@"x":1}', '{"Item":{},@"x":1}', '{@"item":{}}'),
        *('{@"Keys":{},"Item":1}', '{@"":{}}', '{"Item":{"a":{"S":"x"}}, @"x":{"S":1}}'),
    ),
    RejectCode.DUPLICATE_NAME: (
        *('{"Item":{},@"Item":{}}', '{"Item":{},@"\\u0049tem":1}', '{"Item":{"a":{"S":"x"},@"a":1}}'),
        *('{"Item":{"a":{"S":"x"},@"\\u0061":{}}}', '{"Item":{"":{"S":"x"},"b":{"S":"x"}, @"" : {"S":"x"}}}'),
        *('{"Item":{"m":{"M":{"a":{"S":"x"},@"a":{"X":1}}}}}', '{"Item":{"é":{"S":"x"},@"\\u00e9":{"S":"x"}}}'),
    ),
    RejectCode.WRONG_JSON_TYPE: (
        *('{"Item":@[]}', '{"Item": @null}', '{"Item":{"a":{"S":@1}}}', '{"Item":{"a":{"N":@1}}}'),
        *('{"Item":{"a":{"B":@[]}}}', '{"Item":{"a":{"S":@{"S":"x"}}}}', '{"Item":{"a":{"BOOL":@"true"}}}'),
        *('{"Item":{"a":{"BOOL":@null}}}', '{"Item":{"a":{"BOOL":@1}}}'),
        *('{"Item":{"a":{"NULL":@false}}}', '{"Item":{"a":{"NULL":@null}}}', '{"Item":{"a":{"NULL":@1}}}'),
        *('{"Item":{"a":{"M":@[]}}}', '{"Item":{"a":{"M":@null}}}', '{"Item":{"a":{"L":@{}}}}'),
        *('{"Item":{"a":{"SS":@"x"}}}', '{"Item":{"a":{"NS":@{}}}}', '{"Item":{"a":{"BS":@"AQ=="}}}'),
        *('{"Item":{"a":{"SS":["x",@1]}}}', '{"Item":{"a":{"NS":[@1]}}}', '{"Item":{"a":{"BS":["AQ==",@null]}}}'),
        *('{"Item":{"a":{"SS":[@["x"]]}}}', '{"Item":{"a":{"S":@1,"S":"x"}}}'),
    ),
    RejectCode.NOT_TYPED: (
        *('{"Item":{"a":@1}}', '{"Item":{"a":@"x"}}', '{"Item":{"a":@null}}', '{"Item":{"a":@[]}}'),
        *('{"Item":{"a":{@}}}', '{"Item":{"a":{"M":{"b":{@}}}}}', '{"Item":{"a":@1,"a":{}}}'),
        *('{"Item":{"a":{ @}}}', '{"Item":{"a":{"L":[@"x"]}}}', '{"Item":{"a":{"L":[{"S":"x"},{@}]}}}'),
    ),
    RejectCode.UNKNOWN_TAG: (
        *('{"Item":{"a":{@"X":1}}}', '{"Item":{"a":{@"s":"x"}}}', '{"Item":{"a":{@"":"x"}}}'),
        *('{"Item":{"a":{@"X":{"a":1,"a":1},"S":"x"}}}', '{"Item":{"a":{"M":{"b":{@"Item":{}}}}}}'),
        *('{"Item":{"a":{@"S ":"x"}}}', '{"Item":{"a":{@"X":1}},"Item":{}}', '{"Item":{"a":{@"SSS":["x"]}}}'),
    ),
    RejectCode.TWO_TAGS: (
        *('{"Item":{"a":{"S":"x",@"N":"1"}}}', '{"Item":{"a":{"S":"x",@"S":"x"}}}', '{"Item":{"a":{"S":"x",@"X":1}}}'),
        *('{"Item":{"a":{"S":"x",@"N":"1","B":""}}}', '{"Item":{"a":{"M":{"b":{"S":"x"}}, @"L":[]}}}'),
        *('{"Item":{"a":{"N":"bad",@"S":"x"}}}',),
    ),
    RejectCode.TOO_DEEP: (
        '{"Item":{"a":' + deep(32, '{"L":@[]}') + "}}",
        '{"Item":{"a":' + deep(32, '{"M":@{}}') + "}}",
        '{"Item":{"a":' + deep(32, '{"L":@[1,[],{}]}') + ',"a":1}}',
        '{"Item":{"b":{"N":"bad"},"a":' + deep(32, '{"M":@{"x":{"X":1}}}') + "}}",
        '{"Item":{"a":' + deep(32, '{"L":@[' + deep(40, "{}") + "]}") + "}}",
    ),
    RejectCode.BAD_NUMBER: (
        *('{"Item":{"a":{"N":@""}}}', '{"Item":{"a":{"N": @"01"}}}', '{"Item":{"a":{"NS":["1",@"x","y"]}}}'),
        *('{"Item":{"a":{"N":@"1 "}}}', '{"Item":{"a":{"N":@"+1"}}}', '{"Item":{"a":{"N":@"1e1000"}}}'),
        *('{"Item":{"a":{"N":@"NaN"},"b":{"B":"A"}}}', '{"Item":{"a":{"L":[{"N":@".5"},{"N":"1."}]}}}'),
        *('{"Item":{"a":{"N":@"١"}}}', '{"Item":{"a":{"N":@"1\\n"}}}', '{"Item":{"a":{"N":@"\\u002b1"}}}'),
    ),
    RejectCode.BAD_BASE64: (
        *('{"Item":{"a":{"B":@"A"}}}', '{"Item":{"a":{"B":@"AAB="}}}', '{"Item":{"a":{"B":@"AQ"}}}'),
        *('{"Item":{"a":{"B":@"A-_="}}}', '{"Item":{"a":{"BS":["AQ==",@"AQ= ="]}}}', '{"Item":{"a":{"B":@"é"}}}'),
        *('{"Item":{"a":{"B":@"AQ==AQ=="}}}', '{"Item":{"a":{"BS":["AQ==",@"="]}}}'),
        *('{"Item":{"a":{"B":@"AQ==\\n"},"b":{"N":"x"}}}',),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in TYPE_AND_VALUE_FAULTS.items() for text in texts]
)
def test_types_and_values_are_judged_before_columns(code: RejectCode, text: str) -> None:
    line, offset = marked(text)
    verdict = Reference(table(column("Bool")), version=0).judge(line)
    assert isinstance(verdict, Verdict)
    assert (verdict.code, verdict.offset, verdict.column) == (code, offset, "")


@pytest.mark.parametrize("line", [b"", b" ", b"\t", b"\r", b" \t\r \r"])
def test_a_blank_line_is_neither_row_nor_reject(line: bytes) -> None:
    assert Reference(table(), version=0).judge(line) is None


@pytest.mark.parametrize(
    "value",
    [
        *('{"SS":[]}', '{"NS":["1","1.0"]}', '{"\\u0053":"x"}', '{"BOOL":false}', '{"B":""}', '{"B":"Q\\u0055I="}'),
        *('{ "N" : "\\u0031e5" }', '{"N":"' + "9" * 9999 + '"}', '{"N":"1E-999"}', '{"BS":["AQ==","AQ=="]}'),
        '{"M":{"":{"L":[]}}}',
        deep(32, '{"SS":["x"]}'),
        deep(31, '{"M":{}}'),
    ],
    ids=lambda value: value[:30],
)  # fmt: skip
def test_odd_but_valid_values_are_kept(value: str) -> None:
    row = judged(table(), f'{{"Item":{{"a":{value}}}}}')
    assert isinstance(row, dict)
    assert [name for name, _ in row["_unmapped"]] == [b"a"]


def test_a_class_is_judged_as_a_whole_before_the_next() -> None:
    both = '{"Item":{"c":{"S":"x"},"n":{"N":"bad"},"x":{"X":1}}}'
    bool_table = table(column("Bool"))
    for text, code in (
        (both + "\udcff", RejectCode.INVALID_UTF8),
        (both + "}", RejectCode.JSON_TRAILING),
        (both, RejectCode.UNKNOWN_TAG),
        (both.replace('"X":1', '"S":""'), RejectCode.BAD_NUMBER),
        (both.replace('"X":1', '"S":""').replace("bad", "1"), RejectCode.WRONG_TAG),
    ):
        verdict = Reference(bool_table, version=0).judge(text.encode("utf-8", "surrogateescape"))
        assert isinstance(verdict, Verdict)
        assert verdict.code is code
