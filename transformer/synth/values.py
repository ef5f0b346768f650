"""Attribute values as Python objects, and the bytes that an export has for them.

The bytes follow real exports: compact JSON, raw UTF-8, only `"`, `\\` and control characters escaped, numbers in plain
notation, base64 padded. Maps keep the order of the dict, sets the order of the tuple.
"""

from __future__ import annotations

import base64
import json
from decimal import Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable


class StringSet(tuple[str, ...]):
    """An SS: distinct strings, never empty."""

    __slots__ = ()


class NumberSet(tuple["int | Decimal", ...]):
    """An NS: distinct numbers, never empty."""

    __slots__ = ()


class BinarySet(tuple[bytes, ...]):
    """A BS: distinct byte strings, never empty."""

    __slots__ = ()


class Verbatim(bytes):
    """A typed value already in its bytes, for what the normal spelling would not show (other escapes, exponents)."""

    __slots__ = ()


# Wide enough for every number that DynamoDB has (38 digits within 1e-130 to 9.99e125), so that nothing is rounded.
_EXACT = Context(prec=400)


def plain(number: int | Decimal) -> str:
    """`number` as DynamoDB gives it back: no exponent, no superfluous zeros or sign."""
    if isinstance(number, int):
        return str(number)
    if number == 0:
        return "0"
    return format(number.normalize(_EXACT), "f")


def quote(text: str) -> bytes:
    """`text` as a JSON string in raw UTF-8."""
    return json.dumps(text, ensure_ascii=False).encode()


def encode(value: object) -> bytes:
    """The typed value as DynamoDB JSON: str is S, int and Decimal N, bytes B, dict M, list L, and so on.

    Raises TypeError for an object that is none of the ten types (a float has no exact decimal notation of its own).
    """
    match value:
        case Verbatim():
            return bytes(value)
        case bool():
            return b'{"BOOL":true}' if value else b'{"BOOL":false}'
        case None:
            return b'{"NULL":true}'
        case str():
            return b'{"S":%b}' % quote(value)
        case int() | Decimal():
            return b'{"N":"%b"}' % plain(value).encode()
        case bytes():
            return b'{"B":"%b"}' % base64.b64encode(value)
        case StringSet():
            return b'{"SS":[%b]}' % b",".join(map(quote, value))
        case NumberSet():
            return b'{"NS":[%b]}' % b",".join(b'"%b"' % plain(number).encode() for number in value)
        case BinarySet():
            return b'{"BS":[%b]}' % b",".join(b'"%b"' % base64.b64encode(part) for part in value)
        case dict():
            return b'{"M":{%b}}' % members(value.items())
        case list():
            return b'{"L":[%b]}' % b",".join(map(encode, value))
        case _:
            raise TypeError(f"no DynamoDB type holds a {type(value).__name__}")


def members(pairs: Iterable[tuple[str, object]]) -> bytes:
    """Names and typed values as the inside of a JSON object, without its braces."""
    return b",".join(b"%b:%b" % (quote(name), encode(value)) for name, value in pairs)


def line(pairs: Iterable[tuple[str, object]]) -> bytes:
    """One item as a line of a full export, newline included; the key attributes come first in `pairs`."""
    return b'{"Item":{%b}}\n' % members(pairs)


def shuffled(value: object, chance: random.Random) -> object:
    """The same value with the members of each of its maps in another order."""
    if isinstance(value, dict):
        pairs = [(name, shuffled(inner, chance)) for name, inner in value.items()]
        chance.shuffle(pairs)
        return dict(pairs)
    if isinstance(value, list):
        return [shuffled(inner, chance) for inner in value]
    return value
