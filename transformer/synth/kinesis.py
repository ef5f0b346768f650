"""Records of Kinesis Data Streams for DynamoDB, as DynamoDB writes them.

Member order, the double base64 of binary values and `SizeBytes` follow published records; see the Developer Guide,
"Using Kinesis Data Streams to capture changes to DynamoDB".
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any, Literal

from transformer.errors import UsageError
from transformer.synth.manifests import REGION
from transformer.synth.rows import chance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from transformer.synth.history import Change, Item

Precision = Literal["MICROSECOND", "MILLISECOND"]
_SERVICE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def records(
    changes: Iterable[Change],
    *,
    table: str,
    seed: int = 0,
    precision: Precision = "MICROSECOND",
    duplicates: float = 0.0,
    reorder: int = 0,
) -> list[bytes]:
    """The records of these changes, in the order in which a consumer might see them.

    A pure function of its arguments. precision: of `ApproximateCreationDateTime`; MILLISECOND records lack the member
    that says so, as all published ones do. duplicates: the share of records delivered twice, byte for byte the same.
    reorder: how many places a record may be late; 0 keeps the order.

    Raises UsageError for a share that is none or a negative number of places.
    """
    if not 0 <= duplicates <= 1 or reorder < 0:
        raise UsageError("duplicates is a share between 0 and 1, reorder a number of places")
    draw = chance(seed, "kinesis", table)
    delivered: list[bytes] = []
    for change in changes:
        one = record(
            change, table=table, event_id=str(uuid.UUID(bytes=draw.randbytes(16), version=4)), precision=precision
        )
        delivered += [one, one] if draw.random() < duplicates else [one]
    if not reorder:
        return delivered
    places = [(place + draw.uniform(0, reorder + 1), place) for place in range(len(delivered))]
    return [delivered[place] for _, place in sorted(places)]


def record(change: Change, *, table: str, event_id: str, precision: Precision = "MICROSECOND") -> bytes:
    """One record: compact UTF-8 JSON without a newline.

    INSERT has the new image, REMOVE the old one, MODIFY both; every record has the keys. A TTL deletion carries
    `userIdentity` as DynamoDB Streams documents it (no real Kinesis record of one has been seen).
    """
    body: dict[str, object] = {
        "ApproximateCreationDateTime": change.micros if precision == "MICROSECOND" else change.micros // 1000,
        "Keys": _item(change.key),
    }
    if change.new is not None:
        body["NewImage"] = _item(change.new)
    if change.old is not None:
        body["OldImage"] = _item(change.old)
    body["SizeBytes"] = sum(item_size(part) for part in (change.key, change.new, change.old) if part is not None)
    if precision == "MICROSECOND":
        body["ApproximateCreationDateTimePrecision"] = "MICROSECOND"
    return json.dumps(
        {
            "awsRegion": REGION,
            "eventID": event_id,
            "eventName": change.event,
            "userIdentity": _SERVICE if change.expired else None,
            "recordFormat": "application/json",
            "tableName": table,
            "dynamodb": body,
            "eventSource": "aws:dynamodb",
        },
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def item_size(item: Item) -> int:
    """Bytes that DynamoDB counts for an item: the names in UTF-8 and the values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((tag, inner),) = value.items()
    match tag:
        case "S":
            return len(inner.encode())
        case "N":
            return _number_size(inner)
        case "B":
            return len(base64.b64decode(inner))
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS" | "BS":
            return sum(_value_size({tag[0]: element}) for element in inner)
        case "L":
            return 3 + sum(1 + _value_size(element) for element in inner)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(part) for name, part in inner.items())
        case _:
            raise ValueError(f"{tag!r} is no DynamoDB type")


def _number_size(text: str) -> int:
    """One byte, one for every pair of digits (counted from the point, no zero pairs at the ends), one for a minus."""
    sign, digits, exponent = _decimal(text)
    if not digits:
        return 1
    digits += "0" * (exponent % 2)
    exponent -= exponent % 2
    return 1 + (len(digits) + 1) // 2 + sign


def _decimal(text: str) -> tuple[bool, str, int]:
    """Whether it is negative, its significant digits without zeros at either end, the power of ten of the last one."""
    mantissa, _, power = text.lower().partition("e")
    whole, _, fraction = mantissa.lstrip("+-").partition(".")
    digits = (whole + fraction).lstrip("0")
    stripped = digits.rstrip("0")
    return text.startswith("-"), stripped, int(power or 0) - len(fraction) + len(digits) - len(stripped)


def _item(item: Item) -> dict[str, object]:
    return {name: _twice(value) for name, value in item.items()}


def _twice(value: Mapping[str, Any]) -> dict[str, object]:
    """The value with every binary in it encoded in base64 once more."""
    ((tag, inner),) = value.items()
    match tag:
        case "B":
            return {"B": _again(inner)}
        case "BS":
            return {"BS": [_again(element) for element in inner]}
        case "L":
            return {"L": [_twice(element) for element in inner]}
        case "M":
            return {"M": {name: _twice(part) for name, part in inner.items()}}
        case _:
            return {tag: inner}


def _again(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
