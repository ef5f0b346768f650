"""Rows for servers whose Arrow reader is not that of today.

The reader was replaced in 26.7. The one before it takes everything we send but UUIDs: it turns their sixteen bytes into
FixedString(16) and then parses that as text, which fails (code 376, seen on 24.8 and 25.8). As text it takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transformer.schema.layout import row_columns
from transformer.schema.types import UUID, Array, Map, Nullable, Tuple

if TYPE_CHECKING:
    from transformer.schema.table import Table
    from transformer.schema.types import Type

NEW_READER = (26, 7)
"""Year and month of the first release that takes UUIDs as sixteen bytes."""

_DIGITS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_PLACES = np.array([place for place in range(36) if place not in (8, 13, 18, 23)])
_DASH = ord("-")


def holds_uuids(type_: Type) -> bool:
    """Whether a value of this type is, or can hold, a UUID."""
    match type_:
        case UUID():
            return True
        case Nullable(inner) | Array(inner) | Map(inner):
            return holds_uuids(inner)
        case Tuple(members):
            return any(holds_uuids(member) for _, member in members)
        case _:
            return False


def for_older_reader(table: Table, batch: pa.RecordBatch) -> pa.RecordBatch:
    """`batch`, of the layout of `table`, with every UUID as text of 36 characters."""
    columns = row_columns(table)
    if not any(holds_uuids(column.type) for column in columns):
        return batch
    arrays = [_as_text(array, column.type) for array, column in zip(batch.columns, columns, strict=True)]
    fields = [field.with_type(array.type) for field, array in zip(batch.schema, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _as_text(array: pa.Array, type_: Type) -> pa.Array:
    if not holds_uuids(type_):
        return array
    match type_:
        case UUID():
            return _text(array)
        case Nullable(inner):
            return _as_text(array, inner)
        case Array(inner):
            # Offsets count from the start of all values, also in a slice.
            return pa.ListArray.from_arrays(array.offsets, _as_text(array.values, inner))
        case Map(inner):
            return pa.MapArray.from_arrays(array.offsets, array.keys, _as_text(array.items, inner))
        case Tuple(members):
            parts = [_as_text(array.field(number), member) for number, (_, member) in enumerate(members)]
            return pa.StructArray.from_arrays(parts, names=[name for name, _ in members])
        case _:
            raise TypeError(f"{type_} holds no UUID")


def _text(array: pa.Array) -> pa.Array:
    """fixed_size_binary(16) as utf8."""
    count = len(array)
    raw = np.frombuffer(array.buffers()[1], np.uint8, count * 16, array.offset * 16).reshape(count, 16)
    text = np.full((count, 36), _DASH, np.uint8)
    text[:, _PLACES] = _DIGITS[raw].reshape(count, 32)
    offsets = np.arange(0, 36 * count + 1, 36, dtype=np.int32)
    filled = pa.Array.from_buffers(pa.utf8(), count, [None, pa.py_buffer(offsets), pa.py_buffer(text.reshape(-1))])
    if not array.null_count:
        return filled
    return pc.if_else(array.is_valid(), filled, pa.scalar(None, pa.utf8()))
