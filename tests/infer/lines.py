"""Lines of an export against the schema proposed for them, value by value."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from decode_compare import block, rows_of
from readback.plain import canonical, json_text, plain, typed_text

from transformer.decode.decoder import Decoder
from transformer.decode.profile_reference import add_line, item_of
from transformer.schema import types as t
from transformer.schema.file import parse_schema
from transformer.schema.profile import Profile
from transformer.schema.proposal_file import key_is_unproven, render
from transformer.schema.propose import propose

if TYPE_CHECKING:
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
    decoder, buffer, rows, at = Decoder(table, version=0), block(data), [], 0
    while at < len(data):
        step = decoder.step(buffer, at, len(data), max_items=len(lines), max_bytes=len(data))
        assert step.rejects == []
        rows += rows_of(table, step.batch)
        at += step.size
    read = {column.path[0] for column in table.columns}
    for line, row in zip(lines, rows, strict=True):
        item = item_of(line)
        assert item is not None
        for column in table.columns:
            assert shown(column, row[column.name]) == expected(column.type, value_at(item, column.path)), column
        left = [(name.encode(), typed_text(canonical(item[name])).encode()) for name in item if name not in read]
        assert row["_unmapped"] == sorted(left)
    return table
