"""What a missing or NULL attribute becomes in a column that has a default.

The texts of the defaults are written behind the data of a block, and the spans of missing values are pointed at them:
so a default goes through the same kernel as every other value of its column, and cannot become anything else.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from transformer.decode.kernels import layout
from transformer.decode.kernels.primitives import PADDING
from transformer.decode.reference import Reference
from transformer.errors import InternalError, SchemaError
from transformer.schema.types import LowCardinality, Nullable

if TYPE_CHECKING:
    from transformer.decode.arrays import Source
    from transformer.schema.table import Table

_TAGS = {"S": layout.S, "N": layout.N, "B": layout.B}


class Defaults:
    """The defaults of a table's columns.

    size: bytes that `place` needs, PADDING included. Raises SchemaError when a column does not take its own default.
    """

    def __init__(self, table: Table) -> None:
        try:
            Reference(table, version=0)
        except InternalError as error:
            raise SchemaError(
                str(error), remedy="Write a default that the column holds exactly, with the tag DynamoDB would use."
            ) from error
        self._spans: dict[int, tuple[int, int, int]] = {}
        texts = bytearray()
        for number, column in enumerate(table.columns):
            inner = column.type.inner if isinstance(column.type, LowCardinality) else column.type
            if column.default is None or isinstance(inner, Nullable):
                continue
            (tag, value), *_ = column.default.items()
            if tag not in (*_TAGS, "BOOL"):
                raise SchemaError(
                    f"column {column.name}: a default is a scalar, not {tag}",
                    remedy="Give the text that the column shall hold, as S.",
                )
            if tag == "BOOL":
                text, held = (b"true", layout.TRUE) if value else (b"false", layout.FALSE)
            else:
                text = json.dumps(value, ensure_ascii=False).encode()[1:-1]
                held = layout.S_ESCAPED if b"\\" in text else _TAGS[tag]
            self._spans[number] = (len(texts), len(text), held)
            texts += text
        self._texts = np.frombuffer(bytes(texts), np.uint8)
        self.size = len(texts) + PADDING if self._spans else 0
        self._place = 0

    def place(self, buffer: np.ndarray, at: int) -> int:
        """Write the texts to buffer[at:]; returns where free space begins. Beyond its end: nothing was written."""
        behind = at + self.size
        if behind <= len(buffer) and self.size:
            buffer[at : at + len(self._texts)] = self._texts
            buffer[at + len(self._texts) : behind] = 0
            self._place = at
        return behind

    def text(self, number: int) -> tuple[int, int, int] | None:
        """Where the default of column `number` stands, counted from `begin`, its bytes and its tag; None without."""
        return self._spans.get(number)

    @property
    def begin(self) -> int:
        """Where `place` wrote the texts."""
        return self._place

    def fill(self, number: int, source: Source, image: np.ndarray | None) -> Source | None:
        """The spans of column `number` with its default where a value is missing or NULL; None without a default.

        image: bool per row, False for a tombstone, which gets no default of the schema; None when there is none.
        """
        if number not in self._spans:
            return None
        at, size, held = self._spans[number]
        span = slice(source.base, source.base + source.size)
        start, length, tag = source.start[span].copy(), source.length[span].copy(), source.tag[span].copy()
        gone = tag <= layout.NULL if image is None else (tag <= layout.NULL) & image
        start[gone], length[gone], tag[gone] = self._place + at, size, held
        return source._replace(start=start, length=length, tag=tag, base=0)
