"""Rows of a record batch as the slow twin gives them, and the two engines run side by side."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from transformer.decode.decoder import SLACK, Decoder, Step
from transformer.decode.envelope import Envelope
from transformer.decode.position import redact
from transformer.decode.reference import Reference
from transformer.errors import Verdict
from transformer.schema import types as t
from transformer.schema.layout import row_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from transformer.schema.table import Table

Rejects = list[tuple[int, int, bytes | None, Verdict]]
"""Line number, byte offset of the line, what is kept of it, and the verdict."""


def value(type_: t.Type, arrow: Any) -> object:
    """What pyarrow's to_pylist gives for a value of `type_`, in the value domain of the twin."""
    if arrow is None:
        return None
    match type_:
        case t.Nullable(inner) | t.LowCardinality(inner):
            return value(inner, arrow)
        case t.Integer(bits, signed) if bits > 64:
            return int.from_bytes(arrow, "little", signed=signed)
        case t.UUID():
            return uuid.UUID(bytes=arrow)
        case t.JSON():
            return arrow.encode()
        case t.Array(element):
            return [value(element, part) for part in arrow]
        case t.Map(inner):
            return [(key, value(inner, part)) for key, part in arrow]
        case t.Tuple(members):
            return {name: value(inner, arrow[name]) for name, inner in members}
        case _:
            return arrow


def _ticks(array: pa.Array) -> pa.Array:
    """The array with every timestamp as its integer: Python's datetime has neither nanoseconds nor year 2299's end."""
    import pyarrow as pa

    def plain(type_: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(type_):
            return pa.int64()
        if pa.types.is_list(type_):
            return pa.list_(plain(type_.value_type))
        if pa.types.is_map(type_):
            return pa.map_(type_.key_type, plain(type_.item_type))
        if pa.types.is_struct(type_):
            return pa.struct([pa.field(field.name, plain(field.type)) for field in type_])
        return type_

    wanted = plain(array.type)
    return array if wanted == array.type else array.cast(wanted)


def rows_of(table: Table, batch: pa.RecordBatch) -> list[dict[str, object]]:
    """The rows of a batch in the value domain of the twin."""
    batch.validate(full=True)
    columns = [
        [value(column.type, part) for part in _ticks(batch.column(number)).to_pylist()]
        for number, column in enumerate(row_columns(table))
    ]
    names = [column.name for column in row_columns(table)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def block(data: bytes, slack: int = SLACK) -> np.ndarray:
    """A padded buffer that holds `data`."""
    buffer = np.zeros(len(data) + 64 + slack, np.uint8)
    buffer[: len(data)] = np.frombuffer(data, np.uint8)
    return buffer


def decode(
    table: Table,
    data: bytes,
    *,
    version: int = 0,
    slack: int = SLACK,
    max_items: int = 1 << 30,
    envelope: Envelope = Envelope.ITEM,
) -> tuple[list[dict[str, object]], Rejects, list[Step]]:
    """All rows and rejects of `data`, decoded by the kernels, with reject positions counted from its start."""
    decoder = Decoder(table, version=version, envelope=envelope)
    buffer = block(data, slack)
    rows: list[dict[str, object]] = []
    rejects: Rejects = []
    steps = []
    at = lines = 0
    while at < len(data):
        step = decoder.step(buffer, at, len(data), max_items=max_items, max_bytes=1 << 40)
        assert step.size > 0
        assert step.batch.num_rows + len(step.rejects) == step.items
        rows += rows_of(table, step.batch)
        rejects += [(lines + r.line, at + r.offset, r.raw, r.verdict) for r in step.rejects]
        at += step.size
        lines += step.lines
        steps.append(step)
    assert bytes(buffer[: len(data)]) == data
    return rows, rejects, steps


def judge(
    table: Table, data: bytes, *, version: int = 0, envelope: Envelope = Envelope.ITEM
) -> tuple[list[dict[str, object]], Rejects]:
    """The same by the slow twin."""
    twin = Reference(table, version=version, envelope=envelope)
    rows: list[dict[str, object]] = []
    rejects: Rejects = []
    at = 0
    parts = data.split(b"\n")
    for number, line in enumerate(parts if parts[-1] else parts[:-1]):
        result = twin.judge(line)
        if isinstance(result, Verdict):
            rejects.append((number, at, redact(line, table.drop), result))
        elif result is not None:
            rows.append(result)
        at += len(line) + 1
    return rows, rejects


def assert_same(table: Table, data: bytes, *, envelope: Envelope = Envelope.ITEM, **options: int) -> None:
    """Both engines give the same rows and the same rejects."""
    rows, rejects, _ = decode(table, data, envelope=envelope, **options)
    wanted_rows, wanted_rejects = judge(table, data, envelope=envelope)
    assert rejects == wanted_rejects
    assert rows == wanted_rows
