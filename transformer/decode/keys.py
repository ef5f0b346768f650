"""The digest of the keys of decoded rows. What it is, and the SQL that computes the same, is in `schema.digest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transformer.decode.kernels.hashes import hash_fixed, hash_texts
from transformer.errors import InternalError
from transformer.schema.digest import KeyDigest
from transformer.schema.types import Decimal, Integer, String

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from transformer.schema.table import Table
    from transformer.schema.types import Type


class KeyHasher:
    """Hashes the keys of batches of one table. Holds no state between calls; threads may share it."""

    def __init__(self, table: Table) -> None:
        self._columns = [(column.name, column.type) for column in table.key_columns]

    def hashes(self, batch: pa.RecordBatch) -> np.ndarray:
        """The hash of each row's key: uint64[rows].

        batch: rows in the layout of `schema.layout.arrow_schema`. Raises InternalError for a key column of a type that
        no key can have, or with a NULL in it.
        """
        columns = [column_hashes(batch.column(name), type_) for name, type_ in self._columns]
        if len(columns) == 1:
            return columns[0]
        pairs = np.ascontiguousarray(np.column_stack(columns)).view(np.uint8).reshape(-1)
        hashes = np.empty(batch.num_rows, np.uint64)
        hash_fixed(pairs, 8 * len(columns), 8 * len(columns), hashes)
        return hashes

    def digest(self, batches: Sequence[pa.RecordBatch]) -> KeyDigest:
        """The digest of the keys of all rows of `batches`."""
        total = KeyDigest()
        for batch in batches:
            hashes = self.hashes(batch)
            if len(hashes):
                summed = int(np.add.reduce(hashes, dtype=np.uint64))
                total += KeyDigest(len(hashes), summed, int(np.bitwise_xor.reduce(hashes)))
        return total


def column_hashes(array: pa.Array, type_: Type) -> np.ndarray:
    """The hash of each value of one key column: uint64[rows]. Raises InternalError as `KeyHasher.hashes` does."""
    if array.null_count:
        raise InternalError("a key column holds a NULL")
    hashes = np.empty(len(array), np.uint64)
    if not len(array):
        return hashes
    match type_:
        case String():
            _, ends, data = array.buffers()
            offsets = np.frombuffer(ends, np.int32)[array.offset : array.offset + len(array) + 1]
            # Copied, a millisecond or two a chunk: kernels take arrays that could be written to, Arrow's cannot.
            first, last = int(offsets[0]), int(offsets[-1])
            texts = np.array(np.frombuffer(data, np.uint8)[first:last]) if last > first else np.zeros(0, np.uint8)
            hash_texts(texts, offsets - np.int32(first), hashes)
        case Integer(bits, _):
            _fixed(array, bits // 8, hashes)
        case Decimal(precision, _):
            _fixed(array, next(size for size, digits in _DECIMALS if precision <= digits), hashes)
        case _:
            raise InternalError(f"{type_.sql} is no type of a key")
    return hashes


_DECIMALS = ((4, 9), (8, 18), (16, 38), (32, 76))
"""Bytes that ClickHouse keeps a Decimal in, and the most digits that they are for."""


def _fixed(array: pa.Array, width: int, hashes: np.ndarray) -> None:
    """Hash the low `width` bytes of each value: Arrow keeps a narrow Decimal in wider numbers."""
    stride = array.type.bit_width // 8
    if stride < width:
        raise InternalError(f"{array.type} is narrower than {width} bytes")
    begin = array.offset * stride
    data = np.frombuffer(array.buffers()[1], np.uint8)[begin : begin + len(array) * stride]
    hash_fixed(np.array(data), stride, width, hashes)
