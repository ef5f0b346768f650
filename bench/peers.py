"""The same bytes, on one core, through what people use today. Each peer is a worker's object with the same methods."""

from __future__ import annotations

from typing import Any

from bench import boto3_reader, checks, pyarrow_reader
from bench.clickhouse_sql import (
    SINGLE_PASS,
    SINGLE_PASS_SETTINGS,
    settings,
    single_pass_columns,
    single_pass_source,
)
from bench.forms import forms
from bench.inputs import Input


class PyArrow:
    """pyarrow.json over the JSON in memory: it is spared the inflating."""

    def load(self, source: dict[str, Any]) -> list[str]:
        """Take this input in hand; returns the columns that pyarrow cannot read."""
        taken = Input(**source)
        self._table, self._text = taken.table, taken.text()
        self._forms = forms(self._table, taken.sample())
        self._schema = pyarrow_reader.schema(self._table, self._forms)
        return [name for name, form in self._forms.items() if not pyarrow_reader.readable(form)]

    def checksums(self) -> checks.Checksums:
        """Of the columns that it can read."""
        return checks.of_batches(self._forms, self._read())

    def read(self) -> int:
        """Bytes to Arrow columns; returns the rows."""
        return sum(batch.num_rows for batch in self._read())

    def _read(self) -> Any:
        return pyarrow_reader.read(self._table, self._forms, self._text, self._schema)


class Boto3:
    """json.loads and boto3's TypeDeserializer over the first lines, in memory."""

    def load(self, source: dict[str, Any], lines: int) -> int:
        """Take the first `lines` lines of this input in hand; returns their bytes."""
        taken = Input(**source)
        self._table, self._lines = taken.table, taken.lines(lines)
        self._forms = forms(self._table, taken.sample())
        return sum(map(len, self._lines))

    def checksums(self) -> checks.Checksums:
        """Of the items read."""
        return boto3_reader.checksums(self._table, self._forms, boto3_reader.read(self._lines))

    def read(self) -> int:
        """Lines to Python values; returns the items."""
        return len(boto3_reader.read(self._lines))


class TypedClickHouse:
    """ClickHouse's single pass: one parse into a typed Tuple, from the gzip files to aggregates over every column.

    There are two ways to write it (`clickhouse_sql.SINGLE_PASS`), and which is faster depends on the data.
    """

    def load(self, source: dict[str, Any]) -> None:
        """Take this input in hand."""
        import chdb

        self._query = chdb.query
        taken = Input(**source)
        table = taken.table
        self._forms = forms(table, taken.sample())
        self._names, aggregates = checks.sql_measures(table, self._forms, single_pass_columns(table, self._forms))
        self._sql = {
            way: f"SELECT {', '.join(aggregates)} FROM {single_pass_source(table, self._forms, taken.pattern, way)} "
            + settings(max_threads=1, **SINGLE_PASS_SETTINGS)
            for way in SINGLE_PASS
        }

    def checksums(self, way: str) -> checks.Checksums:
        """Of all rows."""
        return checks.from_sql(self._forms, self._names, checks.first_row(self._run(way)))

    def read(self, way: str) -> int:
        """Files to aggregates; returns the rows."""
        return int(checks.first_row(self._run(way))[0] or 0)

    def _run(self, way: str) -> bytes:
        return bytes(self._query(self._sql[way], "JSONCompactEachRow").bytes())
