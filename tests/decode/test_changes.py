"""Lines of incremental exports: what the twin makes of them, and that the kernels make the same."""

from __future__ import annotations

import json
import os
import uuid
from decimal import Decimal

import pytest
from decode_changes import change_cases
from decode_compare import assert_same, decode, judge
from hypothesis import event, given, reject
from hypothesis import strategies as st

from transformer.decode.defaults import Defaults
from transformer.decode.envelope import Envelope
from transformer.decode.plan import Plan
from transformer.decode.reference import Reference
from transformer.errors import RejectCode, SchemaError, Verdict
from transformer.schema.table import Column, Table, UnmappedPolicy
from transformer.schema.types import parse

pytestmark = pytest.mark.kernel

COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
TIME = 1795392154353205


def column(name: str, type_: str, path: tuple[str, ...] = (), **options: object) -> Column:
    return Column(name, path or (name,), parse(type_), **options)


USERS = Table(
    "t",
    ("id", "n"),
    (
        column("age", "Nullable(Int16)"),
        column("id", "String"),
        column("n", "Int32", ("sort.key",)),
        column("name", "String"),
        column("grade", "Enum8('b' = 2, 'a' = -1)", default={"S": "b"}),
        column("money", "Decimal(9, 2)", default={"N": "7"}),
        column("at", "Tuple(x Int8, y Nullable(String), z Array(Int8))"),
        column("city", "UUID", ("a", "b")),
        column("m", "Map(String, Int8)"),
        column("ok", "Bool"),
        column("f", "Float64"),
        column("few", "LowCardinality(String)"),
    ),
    raw_column="_raw",
)


def line(keys: object = None, *, time: object = None, **images: object) -> bytes:
    written = {"Metadata": {"WriteTimestampMicros": {"N": str(TIME)} if time is None else time}}
    members = {**written, "Keys": KEY if keys is None else keys, **images}
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()


KEY = {"id": {"S": "k"}, "sort.key": {"N": "1"}}
ITEM = {
    **KEY,
    "name": {"S": "sally"},
    "at": {"M": {"x": {"N": "1"}}},
    "a": {"M": {"b": {"S": "0a556908-f72b-4be6-9048-9e60715358d4"}}},
    "ok": {"BOOL": True},
    "f": {"N": "1.5"},
    "few": {"S": "x"},
    "other": {"N": "1.0"},
}
TOMBSTONE = {
    "age": None,
    "id": b"k",
    "n": 1,
    "name": b"",
    "grade": "a",
    "money": Decimal("0.00"),
    "at": {"x": 0, "y": None, "z": []},
    "city": uuid.UUID(int=0),
    "m": [],
    "ok": False,
    "f": 0.0,
    "few": b"",
    "version": TIME,
    "is_deleted": 1,
    "_unmapped": [],
    "_raw": b"",
}


@given(change_cases(), st.sampled_from([b"", b"\n"]))
def test_kernels_decode_changes_as_the_twin_does(case, ending):
    table, text = case
    try:
        Plan(table, Envelope.CHANGE)
        Defaults(table)
    except SchemaError as error:
        event(f"refused: {error.remedy}")
        reject()
    assert_same(table, b"\n".join(text) + ending, envelope=Envelope.CHANGE)


@pytest.mark.parametrize("images", [{}, {"OldImage": ITEM}, {"OldImage": {}}])
def test_a_line_without_new_image_is_a_tombstone(images):
    """Key, version, is_deleted; everything else is ClickHouse's default of the type, not the schema's default."""
    text = line(**images)
    assert judge(USERS, text, envelope=Envelope.CHANGE) == ([TOMBSTONE], [])
    assert_same(USERS, text, envelope=Envelope.CHANGE)


def test_a_new_image_is_the_row_that_a_full_export_gives_but_for_the_version():
    for images in ({"NewImage": ITEM}, {"OldImage": {**ITEM, "age": {"N": "1"}}, "NewImage": ITEM}):
        text = line(**images)
        full = json.dumps({"Item": ITEM}, separators=(",", ":")).encode()
        rows, rejects, _ = decode(USERS, text, envelope=Envelope.CHANGE)
        (wanted,), _, _ = decode(USERS, full)
        assert (rows, rejects) == ([{**wanted, "version": TIME}], [])


@pytest.mark.parametrize(
    ("text", "code", "place", "path", "shown"),
    [
        (line({**KEY, "z": {"S": "x"}}, NewImage=ITEM), RejectCode.KEYS_DIFFER, b'{"id', "", ""),
        (line({**KEY, "id": {"S": "other"}}, NewImage=ITEM), RejectCode.KEYS_DIFFER, b'{"id', "", ""),
        (line({**KEY, "z": {"S": "x"}}), RejectCode.KEYS_DIFFER, b'{"id', "", ""),
        (line({"id": {"S": "k"}}, NewImage=ITEM), RejectCode.MISSING, b'{"id', "n", '["sort.key"]'),
        (line({"sort.key": {"N": "1"}}), RejectCode.MISSING, b'{"sort', "id", "id"),
        (line({**KEY, "sort.key": {"N": "x"}}), RejectCode.BAD_NUMBER, b'"x"', "", '["sort.key"]'),
        (line(time={"N": "1.5"}), RejectCode.INEXACT, b'"1.5"', "version", "WriteTimestampMicros"),
        (line(time={"N": "-1"}), RejectCode.OUT_OF_RANGE, b'"-1"', "version", "WriteTimestampMicros"),
        (line(time={"S": "1"}), RejectCode.WRONG_TAG, b'"1"', "version", "WriteTimestampMicros"),
        (line(time={"NULL": True}), RejectCode.NULL_VALUE, b"true", "version", "WriteTimestampMicros"),
        (line(time="1795392154353205"), RejectCode.NOT_TYPED, b'"1795', "", "WriteTimestampMicros"),
        (line(OldImage={"a": {"N": "x"}}), RejectCode.BAD_NUMBER, b'"x"', "", "a"),
        (line(Item=ITEM), RejectCode.NOT_AN_ITEM, b'"Item"', "", ""),
        (line(NewImage=[]), RejectCode.WRONG_JSON_TYPE, b"[]", "", ""),
        (b'{"Keys":{},"NewImage":{}}', RejectCode.NOT_AN_ITEM, b"}", "", ""),
        (
            b'{"Metadata":{},"Keys":{"id":{"S":"k"},"sort.key":{"N":"1"}}}',
            RejectCode.MISSING,
            b"{},",
            "version",
            "Write",
        ),
    ],
)
def test_verdicts(text, code, place, path, shown):
    verdict = Reference(USERS, envelope=Envelope.CHANGE).judge(text)
    assert isinstance(verdict, Verdict)
    assert (verdict.code, verdict.column) == (code, path)
    assert text[verdict.offset :].startswith(place)
    assert verdict.path.startswith(shown)
    assert_same(USERS, text, envelope=Envelope.CHANGE)


def test_equal_numbers_written_differently_are_one_key():
    text = line({**KEY, "sort.key": {"N": "1.0"}}, NewImage=ITEM)
    rows, rejects, _ = decode(USERS, text, envelope=Envelope.CHANGE)
    assert not rejects
    assert rows[0]["n"] == 1


def test_unmapped_attributes_of_the_old_image_belong_to_nobody():
    table = Table("t", ("id",), (column("id", "String"),), unmapped_column="", unmapped_policy=UnmappedPolicy.REJECT)
    key = {"id": {"S": "k"}}
    text = b"\n".join(
        [
            line(key, OldImage={**key, "z": {"S": "x"}}, NewImage=key),
            line(key, OldImage={**key, "z": {"S": "x"}}),
            line(key, OldImage=key, NewImage={**key, "z": {"S": "x"}}),
        ]
    )
    rows, rejects = judge(table, text, envelope=Envelope.CHANGE)
    assert [row["is_deleted"] for row in rows] == [0, 1]
    assert [reject[3].code for reject in rejects] == [RejectCode.UNMAPPED]
    assert_same(table, text, envelope=Envelope.CHANGE)


def test_thousands_of_changes_of_every_fate():
    fates = [
        line(NewImage=ITEM),
        line(),
        line(OldImage=ITEM),
        line(OldImage=ITEM, NewImage={**ITEM, "age": {"N": "40000"}}),
        line({"id": {"S": "k"}}),
        b'{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"id":{"S":"\\u006b"},"sort.key":{"N":"1"}}}',
        b"",
        b"\xff",
    ]
    count = 20_000 if COMPILED else 40
    assert_same(USERS, b"\n".join(fates[i * i * i % len(fates)] for i in range(count)), envelope=Envelope.CHANGE)


def test_keys_and_dropped_paths_are_cut_out_of_every_image():
    table = Table("t", ("id",), (column("id", "String"), column("n", "Int8")), drop=(("ssn",),))
    key = {"id": {"S": "k"}}
    text = line(key, OldImage={"ssn": {"S": "secret"}}, NewImage={**key, "ssn": {"S": "secret"}, "n": {"N": "300"}})
    _, ((_, _, raw, verdict),) = judge(table, text, envelope=Envelope.CHANGE)
    assert verdict.code is RejectCode.OUT_OF_RANGE
    assert b"secret" not in raw
    assert_same(table, text, envelope=Envelope.CHANGE)
