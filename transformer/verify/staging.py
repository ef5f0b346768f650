"""The whole export once more, into a table of its own, and both tables compared by ClickHouse in every column.

Costs: as much as the load itself (reading, decoding, inserting), the table's size on disk for as long as it runs, and
one read of both tables for every ROWS_PER_BUCKET rows. Nothing else finds what an insert or a merge has damaged in rows
that nobody sampled.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from transformer.decode.decoder import SLACK, Decoder
from transformer.load.chunks import Chunk, token
from transformer.schema.ddl import create_table
from transformer.schema.expression import quote_identifier
from transformer.schema.layout import row_columns
from transformer.schema.proof import FINAL_SETTINGS, ROWS_PER_BUCKET, compared, count_differences, different_rows
from transformer.source.blocks import check_item_count, open_blocks
from transformer.verify.result import SHOWN, Check, Finding
from transformer.verify.values import comparable, members, readable, shown_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from transformer.load.chunks import ChunkLimits
    from transformer.load.clickhouse import ClickHouse
    from transformer.load.destination import Destination
    from transformer.schema.table import Table
    from transformer.source.export import DataFile, Export
    from transformer.verify.keys import Answers
    from transformer.verify.values import Shown

_BLOCK_BYTES = 8 << 20
PREFIX = "_dynamo2ch_verify_"


def check_all(
    destination: ClickHouse,
    table: Table,
    export: Export,
    *,
    version: int,
    limits: ChunkLimits,
    workers: int,
    storage_options: Mapping[str, object],
) -> tuple[Check, int]:
    """Load `export` into a staging table and compare it with `table`.

    limits: of the chunks. workers: threads that load.
    Returns the comparison of the rows, and how many items were rejected.
    """
    with _staged(destination, table) as staging:
        load = _Loading(destination, staging, export, version, limits, storage_options)
        load.run(workers)
        return compare(destination, staging, table, version, load.rows), load.rejects


@contextlib.contextmanager
def _staged(answers: Answers, table: Table) -> Iterator[Table]:
    """An empty table like `table`, dropped at the end."""
    # Nobody else needs it, so it is not replicated; and what MATERIALIZED columns compute is not compared.
    engine = "ReplacingMergeTree" if table.engine.startswith("Replicated") else table.engine
    staging = replace(table, name=f"{PREFIX}{secrets.token_hex(6)}", computed=(), engine=engine, cluster="")
    answers.execute(create_table(staging))
    try:
        yield staging
    finally:
        answers.execute(f"DROP TABLE IF EXISTS {quote_identifier(staging.name)}")


class _Loading:
    """Loads the staging table. The first error ends all threads and is raised by `run`."""

    def __init__(
        self,
        destination: Destination,
        staging: Table,
        export: Export,
        version: int,
        limits: ChunkLimits,
        storage_options: Mapping[str, object],
    ) -> None:
        self._destination = destination
        self._staging = staging
        self._files: queue.SimpleQueue[DataFile] = queue.SimpleQueue()
        for file in export.files:
            self._files.put(file)
        self._version = version
        self._limits = limits
        self._storage_options = storage_options
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()
        self.rows = 0
        self.rejects = 0

    def run(self, workers: int) -> None:
        """Load everything."""
        threads = [threading.Thread(target=self._work, name=f"verify-{n}") for n in range(max(1, workers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _work(self) -> None:
        try:
            decoder = Decoder(self._staging, version=self._version)
            while not self._errors:
                self._load(self._files.get_nowait(), decoder)
        except queue.Empty:
            pass
        except BaseException as error:  # whatever it is, the others must end and `run` must raise it
            self._errors.append(error)

    def _load(self, file: DataFile, decoder: Decoder) -> None:
        chunk = Chunk(self._limits)
        items = rows = rejects = cuts = 0
        with open_blocks(file, block_bytes=_BLOCK_BYTES, slack=SLACK, storage_options=self._storage_options) as reader:
            for block in reader:
                begin = 0
                while begin < block.size and not self._errors:
                    step = decoder.step(
                        block.buffer, begin, block.size, max_items=chunk.items_left, max_bytes=chunk.bytes_left
                    )
                    chunk.add(step)
                    begin += step.size
                    items += step.items
                    rejects += len(step.rejects)
                    rows += step.batch.num_rows
                    if chunk.full:
                        cuts += 1
                        self._insert(file, chunk, cuts)
                        chunk = Chunk(self._limits)
                reader.recycle(block)
        check_item_count(file, items)
        self._insert(file, chunk, cuts + 1)
        with self._lock:
            self.rows += rows
            self.rejects += rejects

    def _insert(self, file: DataFile, chunk: Chunk, number: int) -> None:
        if chunk.rows:
            named = token(self._staging.name, file.name, number, number, "", 0)
            self._destination.insert(self._staging, chunk.batches, named)


def compare(answers: Answers, staging: Table, table: Table, version: int, rows: int) -> Check:
    """Compare the rows of `staging`, which are those of the export, with the rows of `table` that have its version."""
    buckets = max(1, -(-rows // ROWS_PER_BUCKET))
    missing = overtaken = surplus = 0
    faults: list[str] = []
    for bucket in range(buckets):
        (row,) = answers.records(count_differences(staging, table, version, bucket, buckets), settings=FINAL_SETTINGS)
        missing += int(row["different"])
        overtaken += int(row["overtaken"])
        if int(row["different"]) and len(faults) < SHOWN:
            faults += _explain(answers, staging, table, version, bucket, buckets, SHOWN - len(faults))
        (row,) = answers.records(count_differences(table, staging, version, bucket, buckets), settings=FINAL_SETTINGS)
        # A row that differs stands on both sides; what stands only in the table is more than was exported.
        surplus += int(row["different"])
        if int(row["different"]) and len(faults) < SHOWN:
            faults += _explain(answers, table, staging, version, bucket, buckets, SHOWN - len(faults))
    if missing or surplus:
        detail = (
            f"{missing:,} of {rows:,} rows of the export are not in the table as they should be, and {surplus:,} rows "
            "of its version in the table are not in the export"
        )
        return Check("rows", Finding.MISMATCH, detail, list(dict.fromkeys(faults))[:SHOWN])
    later = f", {overtaken:,} of them changed or deleted since" if overtaken else ""
    skipped = len(row_columns(table)) - len(compared(table))
    beside = f"; {skipped} JSON columns were not compared" if skipped else ""
    return Check("rows", Finding.PROVED, f"all {rows:,} rows are equal in every column{later}{beside}")


def _explain(
    answers: Answers, one: Table, other: Table, version: int, bucket: int, buckets: int, limit: int
) -> list[str]:
    """What is wrong with the first rows of `one` that `other` does not have equal: one sentence each."""
    columns = [column for column in row_columns(one) if comparable(column.type)]
    parts = ", ".join(shown_sql(column.type, quote_identifier(column.name)) for column in columns)
    statements = different_rows(one, other, version, bucket, buckets, limit=limit, shown=f"tuple({parts}) AS r")
    found, there = (
        [
            dict(zip((column.name for column in columns), members(row["r"]), strict=True))
            for row in answers.records(statement, settings=FINAL_SETTINGS)
        ]
        for statement in statements
    )
    counterparts = {_key(one, row): row for row in there}
    types = {column.name: column.type for column in columns}
    faults = []
    for row in found:
        key = ", ".join(f"{name} {readable(row[name], types[name])}" for name in one.key)
        counterpart = counterparts.get(_key(one, row))
        staged, stored = (row, counterpart) if one.name.startswith(PREFIX) else (counterpart, row)
        if stored is None:
            faults.append(f"{key} is in the export and not in the table")
        elif staged is None:
            faults.append(f"{key} is in the table and not in the export")
        else:
            faults += [
                f"{key}: column {name} is {readable(stored[name], type_)}, not {readable(staged[name], type_)}"
                for name, type_ in types.items()
                if stored[name] != staged[name]
            ]
    return faults


def _key(table: Table, row: Mapping[str, Shown]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in table.key)
