"""Further tools over the same bytes, for whoever has them: `pip install -r requirements-bench.txt`.

Each is a worker's object with the methods of `peers`. polars and DuckDB parse into the typed structs that pyarrow is
given too, and Arrow's casts make columns of them. `available` says which can run here.
"""

from __future__ import annotations

import base64
import importlib.util
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from boto3.dynamodb.types import Binary

from bench import boto3_reader, checks, pyarrow_reader
from bench.forms import forms
from bench.inputs import Input

PEERS = {"orjson": "Orjson", "polars": "Polars", "duckdb": "DuckDB"}
"""Modules, and the class here that needs it."""


def available() -> dict[str, str]:
    """Those of PEERS whose module is installed."""
    return {module: name for module, name in PEERS.items() if importlib.util.find_spec(module) is not None}


class Orjson:
    """orjson.loads and the shortest loop that gives boto3's values, over the first lines."""

    def load(self, source: dict[str, Any], lines: int) -> int:
        """Take the first `lines` lines of this input in hand; returns their bytes."""
        import orjson

        self._loads = orjson.loads
        taken = Input(**source)
        self._table, self._lines = taken.table, taken.lines(lines)
        self._forms = forms(self._table, taken.sample())
        return sum(map(len, self._lines))

    def checksums(self) -> checks.Checksums:
        """Of the items read."""
        return boto3_reader.checksums(self._table, self._forms, self._read())

    def read(self) -> int:
        """Lines to Python values; returns the items."""
        return len(self._read())

    def _read(self) -> list[dict[str, Any]]:
        loads = self._loads
        return [{name: _plain(value) for name, value in loads(line)["Item"].items()} for line in self._lines]


def _bytes(text: str) -> Binary:
    return Binary(base64.b64decode(text))


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "S": lambda text: text,
    "N": Decimal,
    "B": _bytes,
    "BOOL": lambda value: value,
    "NULL": lambda _: None,
    "M": lambda members: {name: _plain(value) for name, value in members.items()},
    "L": lambda elements: [_plain(value) for value in elements],
    "SS": set,
    "NS": lambda elements: set(map(Decimal, elements)),
    "BS": lambda elements: set(map(_bytes, elements)),
}


def _plain(tagged: dict[str, Any]) -> Any:
    ((tag, value),) = tagged.items()
    return _MAKERS[tag](value)


class _Structs:
    """A reader that parses lines into typed structs."""

    def load(self, source: dict[str, Any], lines: int) -> int:
        """Take the first `lines` lines of this input in hand; returns their bytes."""
        taken = Input(**source)
        self._table = taken.table
        self._forms = forms(self._table, taken.sample())
        self._schema = pyarrow_reader.schema(self._table, self._forms)
        self._text = b"".join(taken.lines(lines))
        self._prepare()
        return len(self._text)

    def _prepare(self) -> None:
        raise NotImplementedError

    def _items(self) -> pa.ChunkedArray:
        raise NotImplementedError

    def checksums(self) -> checks.Checksums:
        """Of the columns that it can read."""
        return checks.of_batches(self._forms, self._read())

    def read(self) -> int:
        """Bytes to Arrow columns; returns the rows."""
        return sum(batch.num_rows for batch in self._read())

    def _read(self) -> list[pa.RecordBatch]:
        return pyarrow_reader.columns_of(self._table, self._forms, self._items().chunks)


class Polars(_Structs):
    """polars.read_ndjson with an explicit schema."""

    def _prepare(self) -> None:
        import polars as pl

        self._pl = pl
        self._given = pl.Schema(pl.from_arrow(self._schema.empty_table()).schema)  # type: ignore[union-attr]

    def _items(self) -> pa.ChunkedArray:
        frame = self._pl.read_ndjson(io.BytesIO(self._text), schema=self._given)
        return _narrow(frame.to_arrow().column("Item"), self._schema.field("Item").type)


class DuckDB(_Structs):
    """DuckDB's read_json with an explicit schema, from a file, in one thread."""

    def _prepare(self) -> None:
        import tempfile

        import duckdb

        self._file = tempfile.NamedTemporaryFile(suffix=".json")  # noqa: SIM115 - lives as long as this object
        self._file.write(self._text)
        self._file.flush()
        self._connection = duckdb.connect()
        self._connection.execute("SET threads TO 1")
        spelled = _duckdb_type(self._schema.field("Item").type).replace("'", "''")
        columns = f"{{Item: '{spelled}'}}"
        self._sql = f"SELECT Item FROM read_json('{self._file.name}', format='newline_delimited', columns={columns})"

    def _items(self) -> pa.ChunkedArray:
        found = self._connection.sql(self._sql).to_arrow_table()
        return _narrow(found.column("Item"), self._schema.field("Item").type)


def _narrow(items: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """polars and DuckDB use string views and large lists of their own; the casts behind want Arrow's usual types."""
    return items.cast(type_)


def _duckdb_type(type_: pa.DataType) -> str:
    if pa.types.is_struct(type_):
        members = ", ".join('"' + field.name.replace('"', '""') + '" ' + _duckdb_type(field.type) for field in type_)
        return f"STRUCT({members})"
    if pa.types.is_list(type_):
        return f"{_duckdb_type(type_.value_type)}[]"
    return "BOOLEAN" if pa.types.is_boolean(type_) else "VARCHAR"
