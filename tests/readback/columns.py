"""Checks of columns by the attribute that they read: one maker for each way of storing that the schema files use.

A maker takes the name of the column and the path to its attribute, which is the name unless given. Each expected value
is worked out from the item in Python's own types; None stands for NULL, into which missing attributes turn too.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from readback.plain import Item, canonical, canonical_map, json_text, typed_text
from readback.proof import Check

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def value_at(item: Item, path: tuple[str, ...]) -> dict[str, Any] | None:
    """The typed value at `path` through maps; None when it is missing or NULL, or a map on the way is."""
    members: Item = item
    for name in path[:-1]:
        if name not in members or "NULL" in members[name]:
            return None
        members = members[name]["M"]
    value = members.get(path[-1])
    return None if value is None or "NULL" in value else value


def inner_at(item: Item, tag: str, path: tuple[str, ...]) -> Any:
    """What stands inside the tag `tag` there, or None."""
    value = value_at(item, path)
    return None if value is None else value[tag]


def _if_any(function: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: None if value is None else function(value)


def _scalar(name: str, tag: str, path: tuple[str, ...], sql: str, convert: Callable[[Any], object], read: Any) -> Check:
    path = path or (name,)
    convert = _if_any(convert)
    return Check(sql, lambda item: convert(inner_at(item, tag, path)), _if_any(read))


def text(name: str, *path: str) -> Check:
    """S as it is."""
    return _scalar(name, "S", path, name, str, str)


def integer(name: str, *path: str, default: int | None = None) -> Check:
    """N that is an integer."""
    check = _scalar(name, "N", path, name, _whole, int)
    if default is None:
        return check
    return Check(check.sql, lambda item: default if (found := check.expected(item)) is None else found, check.read)


def _whole(number: str) -> int:
    assert Decimal(number) == int(Decimal(number))
    return int(Decimal(number))


def decimal(name: str, *path: str) -> Check:
    """N, equal as a number: trailing zeros are the column's scale and no part of the value."""
    return _scalar(name, "N", path, name, Decimal, Decimal)


def nearest(name: str, *path: str) -> Check:
    """N as the nearest double, compared to the last bit."""
    return _scalar(name, "N", path, name, _double, lambda value: float(value).hex())


def _double(number: str) -> str:
    return (float(number) + 0.0).hex()  # + 0.0: there is no negative zero in DynamoDB


def boolean(name: str, *path: str) -> Check:
    """BOOL."""
    return _scalar(name, "BOOL", path, name, lambda value: value, lambda value: value)


def binary(name: str, *path: str) -> Check:
    """B as its bytes."""
    return _scalar(name, "B", path, f"hex({name})", base64.b64decode, bytes.fromhex)


def identifier(name: str, *path: str) -> Check:
    """S that is a UUID."""
    return _scalar(name, "S", path, name, str.lower, str)


def milliseconds(name: str, *path: str) -> Check:
    """N that counts milliseconds, in a column of as many."""
    return _scalar(name, "N", path, f"toUnixTimestamp64Milli({name})", _whole, int)


def microseconds_of_text(name: str, *path: str) -> Check:
    """S that is a moment, in a column of microseconds."""
    return _scalar(name, "S", path, f"toUnixTimestamp64Micro({name})", _microseconds, int)


def _microseconds(moment: str) -> int:
    whole, left = divmod(datetime.fromisoformat(moment) - _EPOCH, timedelta(microseconds=1))
    assert not left
    return whole


def _array(name: str, tag: str, path: tuple[str, ...], sql: str, made: Callable[[Any], Any], read: Any) -> Check:
    path = path or (name,)
    return Check(sql, lambda item: made(inner_at(item, tag, path) or []), read)


def strings(name: str, *path: str) -> Check:
    """SS, sorted by bytes."""
    return _array(name, "SS", path, name, lambda inner: sorted(inner, key=str.encode), list)


def integers(name: str, *path: str) -> Check:
    """NS of integers, sorted as numbers."""
    return _array(name, "NS", path, name, lambda inner: sorted(map(_whole, inner)), lambda value: list(map(int, value)))


def binaries(name: str, *path: str) -> Check:
    """BS, sorted by bytes."""
    return _array(
        name,
        "BS",
        path,
        f"arrayMap(part -> hex(part), {name})",
        lambda inner: sorted(map(base64.b64decode, inner)),
        lambda value: list(map(bytes.fromhex, value)),
    )


def doubles(name: str, *path: str) -> Check:
    """L of N, each as the nearest double."""
    return _array(
        name,
        "L",
        path,
        name,
        lambda inner: [_double(element["N"]) for element in inner],
        lambda value: [float(element).hex() for element in value],
    )


def double_lists(name: str, *path: str) -> Check:
    """L of L of N, each as the nearest double."""
    return _array(
        name,
        "L",
        path,
        name,
        lambda inner: [[_double(element["N"]) for element in row["L"]] for row in inner],
        lambda value: [[float(element).hex() for element in row] for row in value],
    )


def mapped(name: str, tag: str, convert: Callable[[Any], object], read: Callable[[Any], object]) -> Check:
    """M of values of one tag, in pairs sorted by the bytes of the names: an object would hide repetition."""

    def expected(item: Item) -> object:
        members = inner_at(item, "M", (name,)) or {}
        return [(key, convert(members[key][tag])) for key in sorted(members, key=str.encode)]

    return Check(f"(mapKeys({name}), mapValues({name}))", expected, lambda pair: _pairs(pair, read))


def text_map(name: str) -> Check:
    """M of S."""
    return mapped(name, "S", str, str)


def integer_map(name: str) -> Check:
    """M of integers."""
    return mapped(name, "N", _whole, int)


def _pairs(pair: list[list[Any]], read: Callable[[Any], object]) -> list[tuple[Any, object]]:
    names, values = pair
    return [(key, read(value)) for key, value in zip(names, values, strict=True)]


def as_json(name: str, *path: str) -> Check:
    """Anything, as JSON text."""
    path = path or (name,)
    return Check(name, lambda item: _if_any(json_text)(value_at(item, path)))


def raw(name: str) -> Check:
    """The whole item as canonical DynamoDB JSON."""
    return Check(name, lambda item: typed_text(canonical_map(item)))


def unmapped(name: str, *consumed: str) -> Check:
    """Every attribute but those named, as canonical DynamoDB JSON, in pairs sorted by the bytes of their names."""
    known = frozenset(consumed)

    def expected(item: Item) -> object:
        return [(key, typed_text(canonical(item[key]))) for key in sorted(item, key=str.encode) if key not in known]

    return Check(f"(mapKeys({name}), mapValues({name}))", expected, lambda pair: _pairs(pair, str))


def constant(name: str, value: int) -> Check:
    """A column that the load itself sets."""
    return Check(name, lambda _: value, int)
