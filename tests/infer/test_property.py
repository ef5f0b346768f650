"""For any items whatever: the proposed schema loads all of them without a reject, and every value can be read back."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from decode_compare import block, rows_of
from decode_strategies import Writer, items, plain_json, texts
from hypothesis import given
from hypothesis import strategies as st
from readback.plain import canonical, json_text, plain, typed_text

from transformer.decode.decoder import Decoder
from transformer.decode.profile_reference import add_line, item_of
from transformer.schema import types as t
from transformer.schema.file import parse_schema
from transformer.schema.profile import Profile
from transformer.schema.proposal_file import key_is_unproven, render
from transformer.schema.propose import propose

if TYPE_CHECKING:
    from decode_strategies import Members

    from transformer.schema.table import Column, Table

Item = dict[str, dict[str, Any]]


def value_at(item: Item, path: tuple[str, ...]) -> dict[str, Any] | None:
    """The typed value at a path, or None if it or a map on the way is missing or NULL."""
    value: dict[str, Any] | None = item.get(path[0])
    for name in path[1:]:
        if value is None or "NULL" in value:
            return None
        value = value["M"].get(name)
    return value


def expected(type_: t.Type, value: dict[str, Any] | None) -> object:
    """What a column of a type must hold, worked out without the package."""
    if isinstance(type_, t.Nullable | t.LowCardinality):
        return None if value is None or "NULL" in value else expected(type_.inner, value)
    if isinstance(type_, t.Tuple):
        members = {} if value is None else value["M"]
        assert members.keys() <= {name for name, _ in type_.members}
        return {name: expected(member, members.get(name)) for name, member in type_.members}
    if value is None or "NULL" in value:
        assert isinstance(type_, t.Array | t.Map)
        return []
    ((tag, inner),) = value.items()
    match type_:
        case t.Array(element):
            if tag == "L":
                return [expected(element, part) for part in inner]
            return sorted(expected(element, {tag[0]: part}) for part in inner)
        case t.Map(part):
            return sorted((name.encode(), expected(part, member)) for name, member in inner.items())
        case t.String():
            if tag == "B":
                return base64.b64decode(inner)
            return inner.encode() if tag == "S" else json_text(value).encode()
        case t.Bool():
            return value["BOOL"]
        case t.UUID():
            return uuid.UUID(value["S"])
        case t.DateTime64():
            return value["S"]
        case _:
            return Decimal(plain(value["N"]))


def shown(column: Column, found: object) -> object:
    """What a row holds, as `expected` says it."""
    inner = column.type.inner if isinstance(column.type, t.Nullable) else column.type
    if found is not None and isinstance(inner, t.DateTime64):
        assert isinstance(found, int)
        whole, left = divmod(found, 10**inner.precision)
        text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text}.{left:0{inner.precision}d}Z" if inner.precision else f"{text}Z"
    return found


def check(lines: list[bytes], *, tight: bool = False, key: tuple[str, ...] = ("k",)) -> Table:
    """Propose a schema for lines, decode them with it, and compare every value. Returns the table."""
    profile = Profile()
    for line in lines:
        add_line(profile, line)
    assert (profile.items, profile.invalid) == (len(lines), 0)
    text = render("t", key, propose(profile, key, tight=tight), heading=["made"], key_evidence="given", proven=True)
    assert not key_is_unproven(text)
    table = parse_schema(text, "proposed").table
    data = b"".join(line + b"\n" for line in lines)
    step = Decoder(table, version=0).step(block(data), 0, len(data), max_items=len(lines), max_bytes=len(data))
    assert step.size == len(data)
    assert step.rejects == []
    rows = rows_of(table, step.batch)
    read = {column.path[0] for column in table.columns}
    for line, row in zip(lines, rows, strict=True):
        item = item_of(line)
        assert item is not None
        for column in table.columns:
            assert shown(column, row[column.name]) == expected(column.type, value_at(item, column.path)), column
        left = [(name.encode(), typed_text(canonical(item[name])).encode()) for name in item if name not in read]
        assert row["_unmapped"] == sorted(left)
    return table


@st.composite
def tables(draw: st.DrawFn) -> list[bytes]:
    """Items with a key `k` of its own each, first."""
    writer = Writer("compact", draw(st.integers(0, 99)))
    found: list[Members] = draw(st.lists(items(), min_size=1, max_size=8))
    lines = []
    for number, members in enumerate(found):
        others = {name: value for name, value in members if name != "k"}
        lines.append(writer.line([("k", ("S", f"key {number}")), *others.items()]))
    return lines


@given(tables(), st.booleans())
def test_any_items_are_loaded_without_a_reject_and_read_back(lines: list[bytes], tight: bool) -> None:
    check(lines, tight=tight)


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """Many items of a few kinds, so that columns get narrow types, enough to be converted and shared."""
    pool = draw(st.lists(items(), min_size=1, max_size=3))
    uuids = [str(uuid.UUID(int=draw(st.integers(0, 2**128 - 1)))) for _ in range(3)]
    digits = draw(st.sampled_from((0, 3, 6, 9)))
    word = draw(texts().map(lambda text: text[:16]))
    lines = []
    for number in range(120):
        fraction = f".{number:0{digits}d}" if digits else ""
        item: dict[str, Any] = {
            "k": {"N": str(number)},
            "u": {"S": uuids[number % 3]},
            "at": {"S": f"20{number % 60:02d}-02-28T23:59:{number % 60:02d}{fraction}Z"},
            "word": {"S": word},
        }
        item |= {name: plain_json(value) for name, value in pool[number % len(pool)] if name not in item}
        lines.append(json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")).encode())
    return lines


@given(alike())
def test_columns_of_many_alike_items_are_converted_and_read_back(lines: list[bytes]) -> None:
    table = check(lines)
    types = {column.name: column.type for column in table.columns}
    assert types["u"] == t.UUID()
    assert isinstance(types["at"], t.DateTime64)
    assert types["word"] == t.LowCardinality(t.String())
