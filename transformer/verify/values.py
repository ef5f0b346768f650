"""Values of columns as both sides can write them exactly: what ClickHouse answers, what the slow twin decodes.

Everything is text or a list of texts, because JSON numbers are not exact and texts may be no UTF-8. The SQL here and
the way rows are sent have nothing in common: what an insert would damage, this sees.
"""

from __future__ import annotations

import struct
from decimal import Decimal as Exact
from typing import Any

from transformer.errors import InternalError
from transformer.schema.expression import quote_string
from transformer.schema.types import (
    JSON,
    UUID,
    Array,
    Bool,
    DateTime64,
    Decimal,
    Enum,
    Float64,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
    Type,
)

Shown = str | None | list["Shown"]
"""A value as text: bytes in hexadecimal, numbers in decimal, doubles by their bits."""


def shown_sql(type_: Type, expression: str, depth: int = 0) -> str:
    """The SQL that shows `expression`, a value of `type_`, as `shown` shows the same value."""
    match type_:
        case Nullable(inner):
            return f"if(isNull({expression}), NULL, {shown_sql(inner, f'assumeNotNull({expression})', depth)})"
        case LowCardinality(inner):
            return shown_sql(inner, f"CAST({expression} AS {inner.sql})", depth)
        case String():
            return f"hex({expression})"
        case Enum():
            return f"hex(CAST({expression} AS String))"
        case Integer() | UUID() | Bool():
            return f"toString({expression})"
        case Decimal(_, scale):
            return f"toDecimalString({expression}, {scale})"
        case Float64():
            return f"toString(reinterpretAsUInt64({expression}))"
        case DateTime64():
            return f"toString(reinterpretAsInt64({expression}))"
        case Array(element):
            # Every lambda variable has a name of its own: equal ones in different depths confuse the analyzer.
            name = f"x{depth}"
            return f"arrayMap({name} -> {shown_sql(element, name, depth + 1)}, {expression})"
        case Map(value):
            name = f"x{depth}"
            values = f"arrayMap({name} -> {shown_sql(value, name, depth + 1)}, mapValues({expression}))"
            return f"tuple(arrayMap({name} -> hex({name}), mapKeys({expression})), {values})"
        case Tuple(members):
            parts = (
                shown_sql(member, f"tupleElement({expression}, {quote_string(name)})", depth)
                for name, member in members
            )
            return f"tuple({', '.join(parts)})"
        case _:
            raise InternalError(f"{type_.sql} cannot be compared")


def shown(type_: Type, value: object) -> Shown:
    """A value of the slow twin (see `transformer.decode.reference.Row`), shown."""
    if value is None:
        return None
    match type_:
        case Nullable(inner) | LowCardinality(inner):
            return shown(inner, value)
        case String() if isinstance(value, bytes):
            return value.hex().upper()
        case Enum() if isinstance(value, str):
            return value.encode().hex().upper()
        case Bool() if isinstance(value, bool):
            return "true" if value else "false"
        case Integer() | UUID() | DateTime64():
            return str(value)
        case Decimal(_, scale) if isinstance(value, Exact):
            return f"{value:.{scale}f}"
        case Float64() if isinstance(value, float):
            return str(struct.unpack("<Q", struct.pack("<d", value))[0])
        case Array(element) if isinstance(value, list):
            return [shown(element, each) for each in value]
        case Map(inner) if isinstance(value, list):
            return [[key.hex().upper() for key, _ in value], [shown(inner, each) for _, each in value]]
        case Tuple(members) if isinstance(value, dict):
            return [shown(member, value[name]) for name, member in members]
        case _:
            raise InternalError(f"the twin gives {type(value).__name__} for {type_.sql}")


def members(value: Any) -> list[Shown]:
    """The members of a tuple of shown values as ClickHouse answers it in JSON: a list, in some releases an object."""
    return [_plain(member) for member in (value.values() if isinstance(value, dict) else value)]


def _plain(value: object) -> Shown:
    if isinstance(value, dict | list):
        return members(value)
    return None if value is None else str(value)


def literal(type_: Type, value: object) -> str:
    """The SQL of a key value of the slow twin, as a constant of `type_`."""
    match type_:
        case String() if isinstance(value, bytes):
            return f"unhex('{value.hex()}')"
        case Integer() if isinstance(value, int):
            return f"CAST('{value}' AS {type_.sql})"
        case Decimal(_, scale) if isinstance(value, Exact):
            return f"CAST('{value:.{scale}f}' AS {type_.sql})"
        case _:
            raise InternalError(f"{type_.sql} is no type of a key")


def comparable(type_: Type) -> bool:
    """Whether values of `type_` are compared; JSON columns are outside the exactness contract."""
    return type_ not in (JSON(), Nullable(JSON()))


def readable(value: Shown, type_: Type) -> str:
    """What a person can read of a shown value, cut short."""
    text = _readable(value, type_)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 60  # characters of a value in a message


def _readable(value: Shown, type_: Type) -> str:
    match type_:
        case Nullable(inner) | LowCardinality(inner):
            return _readable(value, inner)
        case String() | Enum() if isinstance(value, str):
            return repr(bytes.fromhex(value).decode("utf-8", "backslashreplace"))
        case Float64() if isinstance(value, str):
            return repr(struct.unpack("<d", struct.pack("<Q", int(value)))[0])
        case Array(element) if isinstance(value, list):
            return f"[{', '.join(_readable(each, element) for each in value)}]"
        case _:
            return "NULL" if value is None else str(value)
