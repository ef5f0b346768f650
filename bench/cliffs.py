"""Is there an input on which the decoder falls off a cliff? One shape for each thing that could push it.

Every shape is decoded into a table that looks at all of it; two more are about what has no column (`unmapped`) and
about whole values kept as text (`json-text`). Its first items are compared with the slow twin before anything is timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.inputs import Input, ensure
from bench.stages import BLOCK_BYTES, Chunker
from transformer.decode.decoder import SLACK, Decoder
from transformer.decode.reference import Reference
from transformer.errors import Verdict
from transformer.schema.table import Column, Table
from transformer.schema.types import parse
from transformer.source.blocks import Block

CLIFFS: dict[str, tuple[str, dict[str, str]]] = {
    "shuffled": ("shuffled", {}),
    "sparse": ("sparse", {}),
    "long-strings": (
        "long-strings",
        {
            "title": "Nullable(String)", "body": "Nullable(String)", "summary": "Nullable(String)",
            "pages": "Nullable(Int32)",
        },
    ),
    "escapes": (
        "escapes",
        {
            "quote": "Nullable(String)", "path": "Nullable(String)", "document": "Nullable(String)",
            "lines": "Array(String)",
        },
    ),
    "non-ascii": (
        "unicode",
        {
            "title": "Nullable(String)", "text": "Nullable(String)", "labels": "Array(String)",
            "by_language": "Map(String, String)",
        },
    ),
    "long-numbers": (
        "long-numbers",
        {
            "serial": "Nullable(Int128)", "amount": "Nullable(Decimal(76, 18))", "huge": "Nullable(Float64)",
            "tiny": "Nullable(Float64)", "measure": "Nullable(String)", "codes": "Array(Int128)",
        },
    ),
    "deep": ("deep", {"tree": "Nullable(String)", "shallow": "Nullable(String)", "forest": "Nullable(String)"}),
    "lists-of-maps": (
        "list-of-maps",
        {
            "entries": "Array(Tuple(sku String, qty Int32, price Decimal(10, 2), gift Bool, note Nullable(String), "
            "tags Array(String)))",
            "totals": "Array(Tuple(at Int64, sum Decimal(12, 2)))",
        },
    ),
    "unmapped": ("orders", {"customer": "String", "order_no": "Int64"}),
    "json-text": (
        "list-of-maps", {"entries": "Nullable(String)", "totals": "Nullable(String)"},
    ),
}  # fmt: skip
"""By name: the synthetic shape, and the columns besides the key; none: the schema file of that shape."""

TWIN_LINES = 150


def table_of(name: str, source: Input) -> Table:
    """The table that a cliff is decoded into."""
    columns = CLIFFS[name][1]
    if not columns:
        return source.table
    key = ("customer", "order_no") if "customer" in columns else ("id",)
    spelled = {**({} if "customer" in columns else {"id": "String"}), **columns}
    made = [Column(column, (column,), parse(type_)) for column, type_ in spelled.items()]
    return Table(name.replace("-", "_"), key, tuple(made))


class Cliff:
    """A worker's object: one shape in memory."""

    def load(self, name: str, source: dict[str, Any]) -> int:
        """Take an input in hand; returns its bytes of JSON. Raises ValueError where decoder and twin disagree."""
        taken = Input(**source)
        table = table_of(name, taken)
        self._decoder = Decoder(table, version=0)
        self._table = table
        text = taken.text()
        self._blocks = [_block(piece) for piece in _pieces(text)]
        sample = taken.lines(TWIN_LINES)
        self._compare(b"".join(sample), sample)
        return len(text)

    def _compare(self, text: bytes, lines: list[bytes]) -> None:
        block = _block(text)
        step = self._decoder.step(block.buffer, 0, block.size, max_items=len(lines), max_bytes=1 << 40)
        twin = Reference(self._table, version=0)
        rows = [twin.judge(line.rstrip(b"\n")) for line in lines[: step.items]]
        if step.rejects or any(isinstance(row, Verdict) for row in rows):
            raise ValueError(f"an item was rejected: {[str(one.verdict) for one in step.rejects[:1]]}")
        for column in self._table.columns:
            nulls = sum(row[column.name] is None for row in rows if isinstance(row, dict))
            if step.batch.column(column.name).null_count != nulls:
                raise ValueError(f"{column.name}: decoder and twin disagree about what is missing")

    def kernel(self) -> int:
        """Decode all of it; returns the rows."""
        chunker = Chunker(self._table, self._decoder)
        for block in self._blocks:
            for _ in chunker.block(block):
                pass
        return chunker.rows


def _pieces(text: bytes) -> list[bytes]:
    """Blocks of whole lines, as the source cuts them."""
    pieces, at = [], 0
    while at < len(text):
        end = text.rfind(b"\n", at, at + BLOCK_BYTES) + 1 or text.find(b"\n", at) + 1 or len(text)
        pieces.append(text[at:end])
        at = end
    return pieces


def _block(text: bytes) -> Block:
    data = np.zeros(len(text) + SLACK, np.uint8)
    data[: len(text)] = np.frombuffer(text, np.uint8)
    return Block(data, len(text), 0)


def inputs(name: str, json_bytes: int, **where: Any) -> Input:
    """The input of a cliff, of about so many bytes of JSON."""
    shape = CLIFFS[name][0]
    return ensure(shape, max(64, json_bytes // _ITEM_BYTES[shape]), 4 if shape in _RATIOS else None, **where)


_ITEM_BYTES = {
    "shuffled": 863, "sparse": 480, "long-strings": 4300, "escapes": 1500, "unicode": 1600, "long-numbers": 600,
    "deep": 1500, "list-of-maps": 3000, "orders": 863,
}  # fmt: skip
_RATIOS = ("shuffled", "orders")
