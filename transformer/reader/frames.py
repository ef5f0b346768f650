"""An export as a polars LazyFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from transformer.reader.batches import Reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from transformer.reader.rejects import OnReject
    from transformer.schema.table import Table

FRAME_ROWS = 65_536
"""Rows of the frames that polars is handed, where it does not ask for another number."""


def scan_export(
    url: str | Path,
    schema: Table | str | Path,
    *,
    binary: Collection[str] = (),
    on_reject: OnReject = "raise",
    storage_options: Mapping[str, Any] | None = None,
) -> pl.LazyFrame:
    """The rows of a full export as a LazyFrame: nothing is read until it is collected.

    Columns that the query does not use are not decoded, and reading ends where a limit (`head`) is reached; filters are
    applied frame by frame. Which columns are used decides which values are judged; see `read_export`, also for the
    arguments. Every collect reads the export again.

    Raises what `read_export` raises: at once for what is wrong with arguments, schema or manifests, while it is
    collected for what is wrong with lines and data files (polars hands these errors on as they are).
    """
    whole = Reading(url, schema, binary=binary, on_reject=on_reject, storage_options=storage_options)

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, batch_rows: int | None
    ) -> Iterator[pl.DataFrame]:
        reading = whole.narrowed(columns)
        left = rows
        size = batch_rows or FRAME_ROWS
        for frame in _frames(reading, size if left is None else min(size, left)):
            taken = frame if left is None else frame.head(left)
            yield taken if predicate is None else taken.filter(predicate)
            if left is not None:
                left -= taken.height
                if left == 0:
                    return

    return register_io_source(source, schema=_frame(pa.Table.from_batches([], whole.schema)).schema)


def _frames(reading: Reading, rows: int) -> Iterator[pl.DataFrame]:
    """The batches as frames of about `rows` rows: each frame costs polars some work of its own."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in reading.batches():
        held.append(batch)
        count += batch.num_rows
        if count >= rows:
            yield _frame(pa.Table.from_batches(held, reading.schema))
            held, count = [], 0
    yield _frame(pa.Table.from_batches(held, reading.schema))


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table of columns is never a Series
    return frame
