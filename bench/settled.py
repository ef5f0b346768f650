"""What does it cost to load an export until the table is settled, that is merged to one part?

Ours: `transformer.job.snapshot.run` with its defaults, and the same into `null:`; what the engine takes is the
difference. Ready Arrow: the same rows, decoded beforehand and only inserted, in the ways of INSERTS: the wall that no
loader can pass. Single pass: INSERT SELECT from typed parsing, in both spellings. Guide: the raw table and the
materialized view with one JSONExtract for each column. Each variant has a process and a database of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import clickhouse_connect
import polars as pl
import pyarrow as pa

from bench import checks, stages
from bench.clickhouse_sql import (
    SINGLE_PASS_SETTINGS,
    guide_columns,
    settings,
    single_pass_columns,
    single_pass_source,
)
from bench.forms import forms
from bench.inputs import Input
from bench.worker import cpu_seconds
from transformer.job.request import SnapshotRequest
from transformer.job.result import Status
from transformer.job.snapshot import run
from transformer.load.arrow_stream import arrow_stream
from transformer.load.clickhouse import INSERT_SETTINGS
from transformer.load.destination import open_destination
from transformer.schema.expression import quote_identifier, quote_string
from transformer.schema.table import Table

INSERTS = ("as shipped", "sorted", "sorted, collapsed")
"""Ways to insert ready Arrow: the chunks of a run; chunks of SORTED_ROWS rows, sorted by the key beforehand; the same
with the engine's own collapsing of what it inserts (`optimize_on_insert`), which is its default."""

SORTED_ROWS = 100_000

INSERT_SELECT_SETTINGS = {
    "max_threads": 2,
    "max_insert_threads": 1,
    # Blocks of a hundred thousand rows cost the engine least; its default is a million.
    "min_insert_block_size_rows": 100_000,
    "min_insert_block_size_bytes": 0,
    "optimize_on_insert": 0,  # saves a tenth
}
"""The settings, of those that were tried, with which an INSERT SELECT takes the least CPU up to the settled table."""


class _Variant:
    """A table in a database of this process."""

    def __init__(self, source: dict[str, Any]) -> None:
        self._input = Input(**source)
        self._table = self._input.table
        self._forms = forms(self._table, self._input.sample())
        # Beside the inputs and not where temporary files go, which may be memory.
        databases = Path(self._input.folder).parents[3] / "databases"
        databases.mkdir(exist_ok=True)
        self._folder = tempfile.mkdtemp(dir=databases)
        self._destination = open_destination(f"chdb://{self._folder}/chdb")
        self._client = clickhouse_connect.get_client(interface="chdb", path=f"{self._folder}/chdb")

    def _drop(self) -> None:
        self._client.command(f"DROP TABLE IF EXISTS {quote_identifier(self._table.name)} SYNC")

    def _settle(self) -> None:
        self._client.command(f"OPTIMIZE TABLE {quote_identifier(self._table.name)} FINAL")

    def _timed_command(self, sql: str) -> dict[str, float]:
        def load() -> None:
            self._client.command(sql)

        return _timed(load, self._settle)

    def checksums(self) -> checks.Checksums:
        """Of the settled table; raises RuntimeError when it is not one part, or holds two rows of one key."""
        name = self._table.name
        parts, rows = self._row(f"SELECT count(), sum(rows) FROM system.parts WHERE active AND table = '{name}'")
        if parts != 1 or rows != self._input.items:
            raise RuntimeError(f"{name} has {rows} rows in {parts} parts, not {self._input.items} in one")
        values = [quote_identifier(column.name) for column in self._table.columns]
        names, aggregates = checks.sql_measures(self._table, self._forms, values)
        return checks.from_sql(
            self._forms, names, self._row(f"SELECT {', '.join(aggregates)} FROM {quote_identifier(name)}")
        )

    def _row(self, sql: str) -> list[checks.Figure | None]:
        return checks.first_row(self._client.raw_query(sql, fmt="JSONCompactEachRow"))

    def remove(self) -> None:
        """Delete the database; nothing works afterwards."""
        shutil.rmtree(self._folder)


def _timed(load: Callable[[], None], settle: Callable[[], None]) -> dict[str, float]:
    """Seconds of both together, and of loading alone."""
    cpu, wall = cpu_seconds(), perf_counter()
    load()
    loaded_cpu, loaded_wall = cpu_seconds() - cpu, perf_counter() - wall
    settle()
    return {
        "cpu_s": cpu_seconds() - cpu,
        "wall_s": perf_counter() - wall,
        "load_cpu_s": loaded_cpu,
        "load_wall_s": loaded_wall,
    }


def _snapshot(source: Input, destination: str) -> None:
    with tempfile.TemporaryDirectory() as rejects:
        result = run(
            # Anew each time: the table is emptied between rounds.
            SnapshotRequest(
                export=source.folder, schema=source.table, destination=destination, rejects=rejects, restart=True
            )
        )
    if result.status is not Status.COMPLETE:
        raise RuntimeError(f"the run ended as {result.status.value}: {result.error}")


class Ours(_Variant):
    """A snapshot run as shipped."""

    def load(self) -> dict[str, float]:
        """Load and settle."""
        self._drop()
        return _timed(lambda: _snapshot(self._input, self._destination.url), self._settle)

    def final(self) -> dict[str, float]:
        """Seconds of a query with FINAL over the table, as it is after `load`, and of the same without."""
        name = quote_identifier(self._table.name)
        found = {}
        for how in ("", " FINAL"):
            begin = perf_counter()
            self._client.raw_query(f"SELECT count(), uniq({quote_identifier(self._table.key[0])}) FROM {name}{how}")
            found["final_s" if how else "plain_s"] = round(perf_counter() - begin, 4)
        return found


class Null:
    """A snapshot run that throws its rows away."""

    def __init__(self, source: dict[str, Any]) -> None:
        self._input = Input(**source)

    def load(self) -> dict[str, float]:
        """Read, decode and count."""
        return _timed(lambda: _snapshot(self._input, "null:"), lambda: None)


class ReadyArrow(_Variant):
    """Rows that are decoded already."""

    def __init__(self, source: dict[str, Any]) -> None:
        super().__init__(source)
        shipped = [chunk.batches for chunk in stages.chunks(self._input)]
        rows = pa.concat_batches([batch for batches in shipped for batch in batches])
        pieces = [rows.slice(at, SORTED_ROWS) for at in range(0, rows.num_rows, SORTED_ROWS)]
        ordered = [[self._sorted(piece)] for piece in pieces]
        self._ways = dict(zip(INSERTS, (shipped, ordered, ordered), strict=True))

    def _sorted(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        keys = pl.from_arrow(rows.select(list(self._table.key)))
        order = keys.with_row_index("at").sort(self._table.key, maintain_order=True)["at"]
        return rows.take(order.to_arrow())

    def load(self, way: str) -> dict[str, float]:
        """Insert and settle."""
        self._drop()
        self._destination.ensure_table(self._table)
        return _timed(lambda: self._insert(way), self._settle)

    def _insert(self, way: str) -> None:
        for number, batches in enumerate(self._ways[way]):
            if way != INSERTS[-1]:
                self._destination.insert(self._table, batches, f"{way} {number}")
                continue
            self._client.raw_insert(
                table=quote_identifier(self._table.name),
                column_names=batches[0].schema.names,
                insert_block=arrow_stream(batches, compression=None),
                settings={**INSERT_SETTINGS, "optimize_on_insert": 1},
                fmt="ArrowStream",
            )


class SinglePass(_Variant):
    """INSERT SELECT with one typed parse of each item."""

    def load(self, way: str) -> dict[str, float]:
        """Insert and settle."""
        self._drop()
        self._destination.ensure_table(self._table)
        sql = (
            f"INSERT INTO {quote_identifier(self._table.name)} ({_column_names(self._table)}) "
            f"SELECT {', '.join(single_pass_columns(self._table, self._forms))}, 0, 0 "
            f"FROM {single_pass_source(self._table, self._forms, self._input.pattern, way)} "
            + settings(**SINGLE_PASS_SETTINGS, **INSERT_SELECT_SETTINGS)
        )
        return self._timed_command(sql)


class Guide(_Variant):
    """ClickHouse's guide: items as text into a raw table, and from there through a view into the destination."""

    def load(self) -> dict[str, float]:
        """Insert and settle the destination; the raw table is dropped in the end and need not settle."""
        self._drop()
        selected = f"SELECT {self._selected()} FROM guide_raw"
        self._destination.ensure_table(self._table)
        target = f"{quote_identifier(self._table.name)} ({self._typed_names()})"
        for sql in (
            "DROP VIEW IF EXISTS guide_view SYNC",
            "DROP TABLE IF EXISTS guide_raw SYNC",
            "CREATE TABLE guide_raw (item String) ENGINE = MergeTree ORDER BY tuple()",
            f"CREATE MATERIALIZED VIEW guide_view TO {target} AS {selected}",
        ):
            self._client.command(sql)
        insert = (
            f"INSERT INTO guide_raw (item) SELECT Item "
            f"FROM file({quote_string(self._input.pattern)}, JSONEachRow, 'Item String') "
            + settings(**SINGLE_PASS_SETTINGS, **INSERT_SELECT_SETTINGS)
        )
        return self._timed_command(insert)

    def _typed_names(self) -> str:
        columns = [(column.name, column.type.sql) for column in self._table.columns]
        columns += [(self._table.version_column, "Int64"), (self._table.deleted_column, "UInt8")]
        return ", ".join(f"{quote_identifier(name)} {spelled}" for name, spelled in columns)

    def _selected(self) -> str:
        names = [quote_identifier(column.name) for column in self._table.columns]
        values = guide_columns(self._table, self._forms)
        selected = [f"{value} AS {name}" for name, value in zip(names, values, strict=True)]
        selected.append(f"toInt64(0) AS {quote_identifier(self._table.version_column)}")
        selected.append(f"toUInt8(0) AS {quote_identifier(self._table.deleted_column)}")
        return ", ".join(selected)


def _column_names(table: Table) -> str:
    names = [*(column.name for column in table.columns), table.version_column, table.deleted_column]
    return ", ".join(map(quote_identifier, names))
