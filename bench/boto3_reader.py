"""boto3's TypeDeserializer over `json.loads`: what most Python programs do with DynamoDB JSON."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal, Rounded
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer

from bench import checks
from bench.forms import JSON_TEXT, Form
from transformer.schema import types
from transformer.schema.table import Convert, Table

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Deserializer(TypeDeserializer):
    """What boto3 needs to read exports: B is base64 there, and it refuses 1e50 when all its zeros are written."""

    def _deserialize_b(self, value: str) -> Binary:
        return Binary(base64.b64decode(value))

    def _deserialize_n(self, value: str) -> Decimal:
        try:
            return super()._deserialize_n(value)
        except Rounded:
            return Decimal(value)


def read(lines: list[bytes]) -> list[dict[str, Any]]:
    """The items as Python values."""
    deserialize = _Deserializer().deserialize
    return [{name: deserialize(value) for name, value in json.loads(line)["Item"].items()} for line in lines]


def checksums(table: Table, forms: dict[str, Form], items: list[dict[str, Any]]) -> checks.Checksums:
    """Checksums of the columns of `table`, from such items."""
    found: checks.Checksums = {"rows": len(items)}
    for column in table.columns:
        form = forms[column.name]
        for name, value in _of_values(column.name, form, [_at(item, column.path) for item in items]):
            found[name] = checks.add(found.get(name), value)
    return found


def _at(item: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        item = None if item is None else item.get(step)
    return item


def _of_values(name: str, form: Form, values: list[Any]) -> Iterator[tuple[str, checks.Figure]]:
    held = [value for value in values if value is not None]
    match form.type:
        case types.Tuple():
            for part, member in form.members:
                yield from _of_values(f"{name}.{part}", member, [_at(value, (part,)) for value in values])
            return
        case types.Array() | types.Map():
            assert form.inner is not None
            yield f"{name}.size", sum(map(len, held))
            mapped = isinstance(form.type, types.Map)
            if mapped:
                yield f"{name}.keys", sum(len(key.encode()) for value in held for key in value)
            inner = [part for value in held for part in (value.values() if mapped else value)]
            yield from _of_values(f"{name}{{}}" if mapped else f"{name}[]", form.inner, inner)
            return
    yield f"{name}.count", len(held) if form.default is None else len(values)
    if form.tag != JSON_TEXT:
        yield f"{name}.sum", _total(form, held)


def _total(form: Form, values: Iterable[Any]) -> checks.Figure:
    match form.type:
        case types.String():
            return sum(len(value.value) if isinstance(value, Binary) else len(value.encode()) for value in values)
        case types.Enum(_, members):
            numbers = dict(members)
            return sum(numbers[value] for value in values)
        case types.UUID():
            return sum(int.from_bytes(uuid.UUID(value).bytes[:8], "little") for value in values) & checks.LOW
        case types.DateTime64(precision, _) if form.convert is Convert.ISO8601:
            tick = timedelta(microseconds=10 ** (6 - precision))
            return sum((datetime.fromisoformat(value) - _EPOCH) // tick for value in values) & checks.LOW
        case types.Decimal():
            return checks.plain(_exact_sum(values, form.type.scale))
        case types.Float64():
            return float(sum(map(float, values)))
        case _:
            return sum(map(int, values)) & checks.LOW


def _exact_sum(values: Iterable[Decimal], scale: int) -> Decimal:
    """Decimal's own sum rounds to 28 digits."""
    return Decimal(sum(int(value.scaleb(scale, checks.WIDE)) for value in values)).scaleb(-scale, checks.WIDE)
