"""The `default` of a column: YAML value to tagged DynamoDB value, if the column can hold it exactly."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from transformer.schema.document import Number
from transformer.schema.table import Convert
from transformer.schema.types import (
    UUID,
    Bool,
    DateTime64,
    Decimal,
    Enum,
    Float64,
    Integer,
    LowCardinality,
    String,
    Type,
)

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
"""What the text of an N looks like."""

UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""What the text of a UUID looks like."""

_ISO8601 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2})(?:\.([0-9]{1,9}))?"
    r"(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_UNIT = {Convert.EPOCH_S: 0, Convert.EPOCH_MS: 3, Convert.EPOCH_US: 6}
_LONGEST_NUMBER = 200  # characters; DynamoDB's numbers need 170 at most, written without an exponent


class DefaultError(ValueError):
    """The column cannot hold the value. The message completes "default ... "."""


def default_value(value: str | bool | Number, type_: Type, convert: Convert | None) -> dict[str, object]:
    """`value` as DynamoDB would write it in an attribute of a column of this type.

    Raises DefaultError if the type takes no default, or not this one.
    """
    match type_:
        case String() | LowCardinality(String()):
            if not isinstance(value, str):
                raise DefaultError("is not text: write it in quotes")
            return {"S": value}
        case Bool():
            if not isinstance(value, bool):
                raise DefaultError("is neither true nor false")
            return {"BOOL": value}
        case Enum(_, members):
            if value not in dict(members):
                raise DefaultError(f"is no name of {type_.sql}")
            return {"S": value}
        case UUID():
            if not isinstance(value, str) or not UUID_TEXT.fullmatch(value):
                raise DefaultError("is no UUID")
            return {"S": value}
        case DateTime64() if convert is Convert.ISO8601:
            _check_ticks(type_, _iso8601(value))
            return {"S": value}
        case DateTime64():
            number = _number(value)
            if convert in _UNIT:
                _check_ticks(type_, Fraction(number) / 10 ** _UNIT[convert])
            return {"N": number}
        case Integer() | Decimal() | Float64():
            number = _number(value)
            _check_number(type_, Fraction(number))
            return {"N": number}
        case _:
            raise DefaultError(f"is not possible in {type_.sql}: only scalar types that take no NULL have one")


def _number(value: str | bool | Number) -> str:
    """The text of a number, as DynamoDB could write it."""
    text = value.text if isinstance(value, Number) else value
    if not isinstance(text, str) or len(text) > _LONGEST_NUMBER or not NUMBER.fullmatch(text):
        raise DefaultError("is no number: write it like 0, -12.5 or 1e3")
    return text


def _check_number(type_: Integer | Decimal | Float64, number: Fraction) -> None:
    """Raise unless a column of this type holds the number."""
    match type_:
        case Integer():
            fits = number.denominator == 1 and type_.minimum <= number <= type_.maximum
        case Decimal(precision, scale):
            unscaled = number * 10**scale
            fits = unscaled.denominator == 1 and abs(unscaled) < 10**precision
        case Float64():
            try:
                float(number)
                fits = True
            except OverflowError:
                fits = False
    if not fits:
        raise DefaultError(f"does not fit into {type_.sql}")


def _iso8601(value: object) -> Fraction:
    """Seconds since 1970 of an ISO 8601 text."""
    matched = _ISO8601.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        raise DefaultError("is no time: write it like 2026-11-23T12:00:00Z")
    try:
        moment = datetime.fromisoformat(matched[1] + matched[3].replace("Z", "+00:00"))
    except ValueError as error:
        raise DefaultError("is no date of the calendar") from error
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds + Fraction(f"0.{matched[2] or 0}")


def _check_ticks(type_: DateTime64, seconds: Fraction) -> None:
    """Raise unless a column of this type holds that many seconds since 1970."""
    ticks = seconds * 10**type_.precision
    if ticks.denominator != 1 or not type_.minimum <= ticks <= type_.maximum:
        raise DefaultError(f"does not fit into {type_.sql}")
