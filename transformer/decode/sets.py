"""Order inside a list array: elements of sets by value, entries of maps by key. Elements of lists stay as they are.

DynamoDB keeps no order in sets and maps, so the same item may arrive in another one; the row must be the same.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transformer.decode.kernels import layout, order
from transformer.schema.types import Array, Integer, Map, Nullable, Tuple, Type


def sorted_elements(offsets: np.ndarray, tags: np.ndarray, values: pa.Array, type_: Type) -> pa.Array:
    """The list elements `values` with those of sets sorted.

    offsets: int32, one more than there are lists. tags: uint8, the tag of each list. type_: the type of the elements.
    """
    if len(values) < 2 or isinstance(type_, Array | Map | Tuple):
        return values  # a set has no such elements: its row is rejected
    moved = order_of(offsets, tags, layout.SETS, values, type_)
    return values if moved is None else values.take(moved)


def order_of(offsets: np.ndarray, tags: np.ndarray, which: int, values: pa.Array, type_: Type) -> pa.Array | None:
    """The permutation that sorts the elements of each list whose tag is in `which` (bits), or None for no change.

    Texts and integers of up to 64 bits, in lists of moderate length, have a kernel; sorting with Arrow, one table per
    column and step, took 57 of 470 ms on `orders`. Everything else is sorted so.
    """
    place = (offsets, tags, 0, len(tags), which)
    permutation = np.empty(len(values), np.int64)
    result = order.TOO_LONG
    if pa.types.is_binary(values.type) and values.null_count == 0:
        _, starts, data = values.buffers()
        result = order.order_texts(*place, _writable(starts, np.int32), _writable(data, np.uint8), permutation)
    elif pa.types.is_signed_integer(values.type) and values.null_count == 0:
        numbers = values.cast(pa.int64(), safe=False).to_numpy()
        result = order.order_integers(*place, np.require(numbers, requirements="W"), permutation)
    if result == order.TOO_LONG:
        return _sorted_by_arrow(offsets, (which >> tags.astype(np.int64)) & 1 != 0, values, type_)
    return None if result == order.IN_ORDER else pa.array(permutation)


def _writable(buffer: pa.Buffer, kind: type[np.generic]) -> np.ndarray:
    return np.require(np.frombuffer(buffer, kind), requirements="W")


def _sorted_by_arrow(offsets: np.ndarray, chosen: np.ndarray, values: pa.Array, type_: Type) -> pa.Array | None:
    """As `order_of`, for lists where `chosen` is true and elements of any scalar type."""
    sizes = np.diff(offsets)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    inside = np.flatnonzero(chosen[rows])
    if len(inside) < 2:
        return None
    table = pa.table({"row": rows[inside], "value": _sortable(values.take(pa.array(inside)), type_)})
    by_value = pc.sort_indices(table, sort_keys=[("row", "ascending"), ("value", "ascending")]).to_numpy()
    permutation = np.arange(len(values))
    permutation[inside] = inside[by_value]
    return pa.array(permutation)


def _sortable(values: pa.Array, type_: Type) -> pa.Array:
    """An array in the same order as `values`: little-endian wide integers do not sort as Arrow sees them."""
    inner = type_.inner if isinstance(type_, Nullable) else type_
    if not isinstance(inner, Integer) or inner.bits <= 64:
        return values
    width = inner.bits // 8
    digits = np.frombuffer(values.buffers()[1], np.uint8)[values.offset * width : (values.offset + len(values)) * width]
    big = digits.reshape(len(values), width)[:, ::-1].copy()
    if inner.signed:
        big[:, 0] ^= 0x80
    return pa.Array.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(big)])
