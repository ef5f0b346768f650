"""An export, or lines at hand, as Arrow record batches."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from transformer.decode.decoder import SLACK, Decoder
from transformer.reader.rejects import OnReject, RejectedLine, check_policy, handle
from transformer.reader.version import snapshot_version
from transformer.schema.portable import portable_schema, to_portable
from transformer.schema.table import Table
from transformer.source.blocks import LEAST_SLACK, BufferPool, check_item_count, open_blocks
from transformer.source.export import find_export

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from transformer.source.export import DataFile

BLOCK_BYTES = 8 << 20
"""Bytes of lines that are in memory at one time, unless one line is longer."""

_NO_LIMIT = 1 << 62


def read_export(
    url: str | Path,
    schema: Table | str | Path,
    *,
    columns: Sequence[str] | None = None,
    binary: Collection[str] = (),
    on_reject: OnReject = "raise",
    storage_options: Mapping[str, Any] | None = None,
) -> pa.RecordBatchReader:
    """The rows of a full export, as a stream of record batches.

    url: the export: its folder, its manifest-summary.json, a folder above one export, or a folder of `*.json.gz`; a
        path or any fsspec URL.
    schema: a schema file, or a table from `transformer.schema.file.load_schema`.
    columns: the row columns wanted, in this order; None for all: those of the schema file, then version, is_deleted
        and, as the file says, `_unmapped` and `_raw`. What is not wanted is not decoded.
    binary: columns whose strings are wanted as bytes, for instance because the attribute is of type B.
    on_reject: what happens to a line that becomes no row. `raise` (the default): RejectsError. A callable, such as the
        `append` of a list: it gets each one as a `RejectedLine`. There is no way to leave them out unseen.
    storage_options: passed to fsspec; region, endpoint, profile and roles also come from the usual AWS environment.

    Returns a reader of batches of at most 8,192 rows, files in the order of their names, lines in theirs. Types are
    those of `transformer.schema.portable` (docs/library.md). One thread reads; memory is bounded by one block.

    Of every line UTF-8, JSON and type tags are checked, whatever is wanted of it. Whether a text is a number or base64
    and fits its column is judged for the columns wanted only: with few columns, fewer lines can be rejected. Of a file
    that is read to its end, item count and MD5 are compared with the manifest.

    Raises at once UsageError (URL, columns, credentials), SchemaError, SourceError (no export, damaged manifests) and
    RetryError (network); while it is read RejectsError, SourceError (damaged data) and RetryError.
    """
    reading = Reading(url, schema, columns=columns, binary=binary, on_reject=on_reject, storage_options=storage_options)
    return pa.RecordBatchReader.from_batches(reading.schema, reading.batches())


def decode_lines(
    lines: bytes | Iterable[bytes],
    schema: Table | str | Path,
    *,
    columns: Sequence[str] | None = None,
    binary: Collection[str] = (),
    on_reject: OnReject = "raise",
    version: int = 0,
) -> pa.RecordBatch:
    """The rows of export lines at hand, such as `{"Item":{"id":{"S":"a"}}}`.

    lines: bytes with one item a line, or an iterable of lines, with or without their line ends.
    schema, columns, binary, on_reject: as for `read_export`. version: what the version column gets, in microseconds.

    Returns one batch with a row for each line that was not rejected, in order. Blank lines become nothing.
    Raises RejectsError (or what `on_reject` raises), SchemaError, UsageError, and SourceError for bytes in a text
    column.
    """
    check_policy(on_reject)
    table = _table(schema)
    target = portable_schema(table, columns=columns, binary=binary)
    decoder = Decoder(table, version=version, wanted=target.names)
    if isinstance(lines, bytes):
        data = lines
    else:
        data = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines)
    buffer = np.zeros(len(data) + SLACK, np.uint8)
    buffer[: len(data)] = np.frombuffer(data, np.uint8)
    position = _Position("", on_reject)
    found = [
        to_portable(batch, table, target, where="the lines given")
        for batch in _decoded(decoder, buffer, len(data), position)
    ]
    (batch,) = pa.Table.from_batches(found, target).combine_chunks().to_batches() or [
        pa.RecordBatch.from_arrays([pa.array([], field.type) for field in target], schema=target)
    ]
    return batch


class Reading:
    """One reading of an export, checked and ready to begin; see `read_export` for the arguments.

    schema: the Arrow schema of its batches. Raises what `read_export` raises at once.
    """

    def __init__(
        self,
        url: str | Path,
        schema: Table | str | Path,
        *,
        columns: Sequence[str] | None = None,
        binary: Collection[str] = (),
        on_reject: OnReject = "raise",
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        check_policy(on_reject)
        self._on_reject = on_reject
        self._options = dict(storage_options or {})
        self._table = _table(schema)
        self._binary = binary
        self._export = find_export(str(url), self._options)
        self._choose(columns)

    def _choose(self, columns: Sequence[str] | None) -> None:
        self.schema = portable_schema(
            self._table,
            columns=columns,
            binary=[name for name in self._binary if columns is None or name in columns],
        )
        version = snapshot_version(self._table, self._export)
        self._decoder = Decoder(self._table, version=version, wanted=self.schema.names)

    def narrowed(self, columns: Sequence[str] | None) -> Reading:
        """Another reading of the same files, with these columns; the export is not looked for again."""
        other = copy.copy(self)
        other._choose(columns)  # noqa: SLF001 - of the same class
        return other

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches, in order. May be called once. Raises what `read_export` raises while it is read."""
        slack = max(SLACK, LEAST_SLACK)
        pool = BufferPool(BLOCK_BYTES + slack, keep=1)
        for file in self._export.files:
            yield from self._file(file, slack, pool)

    def _file(self, file: DataFile, slack: int, pool: BufferPool) -> Iterator[pa.RecordBatch]:
        position = _Position(file.name, self._on_reject)
        with open_blocks(
            file, block_bytes=BLOCK_BYTES, slack=slack, storage_options=self._options, pool=pool
        ) as reader:
            for block in reader:
                for batch in _decoded(self._decoder, block.buffer, block.size, position):
                    yield to_portable(batch, self._table, self.schema, where=file.name)
                reader.recycle(block)
        check_item_count(file, position.items)


class _Position:
    """How far a file is read, and what to do with its rejects."""

    def __init__(self, file: str, on_reject: OnReject) -> None:
        self.file = file
        self.on_reject = on_reject
        self.lines = 0
        self.items = 0


def _decoded(decoder: Decoder, buffer: np.ndarray, size: int, position: _Position) -> Iterator[pa.RecordBatch]:
    """The rows of buffer[:size], step by step; rejects go where they should."""
    begin = 0
    while begin < size:
        step = decoder.step(buffer, begin, size, max_items=_NO_LIMIT, max_bytes=_NO_LIMIT)
        for rejected in step.rejects:
            line = position.lines + rejected.line + 1
            handle(position.on_reject, RejectedLine(position.file, line, rejected.verdict, rejected.raw))
        position.lines += step.lines
        position.items += step.items
        begin += step.size
        if step.batch.num_rows:
            yield step.batch


def _table(schema: Table | str | Path) -> Table:
    if isinstance(schema, Table):
        return schema
    from transformer.schema.file import load_schema

    return load_schema(Path(schema))
