"""Which rows go into one insert, and the token that lets ClickHouse recognise that insert again.

A chunk is one insert is one block. Where a chunk ends depends on the bytes of the data file and on the schema, and on
nothing else: not on memory, workers, block sizes or rejects. A load that is repeated therefore makes the same chunks.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from transformer.errors import InternalError
from transformer.schema.layout import row_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from transformer.schema.table import Table

MAX_ROWS = 250_000
"""Rows of a chunk at most. Larger blocks cost the engine more CPU a row, not less."""

MAX_BYTES = 64 * 1024 * 1024
"""JSON bytes of a chunk after which it is cut, and bytes of ClickHouse memory that its fixed-size columns may take."""


class Decoded(Protocol):
    """What a chunk needs of a decoder's step."""

    @property
    def size(self) -> int:
        """Bytes of JSON, line ends included."""

    @property
    def items(self) -> int:
        """Lines that are not blank."""

    @property
    def batch(self) -> pa.RecordBatch:
        """The accepted rows, in line order."""


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """A chunk ends after the line at which one of these is reached.

    items: lines that are not blank.
    bytes: JSON bytes, line ends included.
    """

    items: int
    bytes: int

    @classmethod
    def for_table(cls, table: Table) -> ChunkLimits:
        """The limits for `table`: wide rows get fewer of them, so that a block of the engine stays small as well."""
        row_bytes = sum(column.type.fixed_bytes for column in row_columns(table))
        return cls(items=max(1, min(MAX_ROWS, MAX_BYTES // row_bytes)), bytes=MAX_BYTES)


@dataclass(slots=True)
class Chunk:
    """Steps of one data file on their way to one insert.

    The decoder is asked for at most `items_left` items and `bytes_left` bytes, so that the chunk ends exactly at the
    line that fills it.
    """

    limits: ChunkLimits
    items: int = 0
    size: int = 0
    rows: int = 0
    batches: list[pa.RecordBatch] = field(default_factory=list)

    @property
    def items_left(self) -> int:
        """Items until the chunk is full, 0 when it is."""
        return max(0, self.limits.items - self.items)

    @property
    def bytes_left(self) -> int:
        """Bytes until the chunk is full, 0 when it is. The line that reaches them may go beyond."""
        return max(0, self.limits.bytes - self.size)

    @property
    def full(self) -> bool:
        """Whether the next line belongs to the next chunk."""
        return self.items >= self.limits.items or self.size >= self.limits.bytes

    def add(self, step: Decoded) -> None:
        """Take in the rows of `step`. Raises InternalError when the chunk ought to have been cut before it."""
        if self.full or step.items > self.items_left:
            raise InternalError(f"a step of {step.items} items does not fit a chunk with room for {self.items_left}")
        self.items += step.items
        self.size += step.size
        if step.batch.num_rows:
            self.rows += step.batch.num_rows
            self.batches.append(step.batch)


class Token(str):
    """The `insert_deduplication_token` of a chunk: 32 hexadecimal digits, and what they stand for.

    job, file, first_line, last_line: as `token` was given them. Destinations made of files name their files by these.
    """

    job: str
    file: str
    first_line: int
    last_line: int


def token(job: str, file: str, first_line: int, last_line: int, fingerprint: str, revision: int | str) -> Token:
    """The token of a chunk.

    Equal tokens mean equal rows, because ClickHouse drops the second of two inserts with one token unseen.

    job: id of the job, new whenever rows are to be inserted again although their chunks are the same.
    file: the data file's name in the export.
    first_line, last_line: 1-based, inclusive.
    fingerprint: of the schema. revision: of the decoder; both change the rows that lines become.
    """
    # Only letters and digits: replicated tables put the token into a path of the coordination service.
    named = json.dumps([job, file, first_line, last_line, fingerprint, str(revision)])
    made = Token(hashlib.sha256(named.encode()).hexdigest()[:32])
    made.job, made.file, made.first_line, made.last_line = job, file, first_line, last_line
    return made
