"""Rows for readers other than ClickHouse: Arrow types that data frames, DuckDB and Parquet have, without loss.

What travels to ClickHouse has types of its own (`transformer.schema.types`): strings are bytes, wide integers are
little-endian binary. Here each of them becomes the nearest type that the others read as what it is. Where they have
none, it becomes text that spells the value out. `docs/types.md` shows the whole table.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pyarrow as pa

from transformer.errors import SourceError, UsageError
from transformer.schema.layout import row_columns, takes_null
from transformer.schema.types import (
    JSON,
    UUID,
    Array,
    DateTime64,
    Decimal,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from transformer.schema.layout import RowColumn
    from transformer.schema.table import Table
    from transformer.schema.types import Type

WIDEST_DECIMAL = 38
"""Digits of a decimal that polars, DuckDB and Parquet readers take; Arrow's own 76 are read by few of them."""


def portable_type(type_: Type, *, binary: bool = False) -> pa.DataType:
    """The Arrow type in which values of `type_` are handed to others.

    binary: whether strings stay bytes; else they are text, which bytes that are not UTF-8 cannot become.
    """
    match type_:
        case Nullable(inner) | LowCardinality(inner):
            return portable_type(inner, binary=binary)
        case Integer(bits) if bits > 64:
            return pa.string()
        case Decimal(precision) if precision > WIDEST_DECIMAL:
            return pa.string()
        case String():
            return pa.binary() if binary else pa.string()
        case UUID():
            return pa.string()
        case DateTime64(precision) if precision == 0:
            return pa.timestamp("ms", "UTC")  # neither polars nor Parquet count whole seconds
        case Array(element):
            return pa.list_(portable_type(element, binary=binary))
        case Map(value):
            return pa.map_(pa.string(), portable_type(value, binary=binary))
        case Tuple(members):
            return pa.struct([pa.field(name, portable_type(member, binary=binary)) for name, member in members])
        case _:
            return type_.arrow


def portable_schema(table: Table, *, columns: Sequence[str] | None = None, binary: Collection[str] = ()) -> pa.Schema:
    """The Arrow schema in which rows of `table` are handed to others.

    columns: names, in the order wanted; None for all, in row order. binary: columns whose strings stay bytes.
    Raises UsageError for a name that the table does not have, that stands twice, or for none at all.
    """
    return pa.schema(
        [
            pa.field(
                column.name,
                portable_type(column.type, binary=column.name in binary),
                nullable=takes_null(column.type),
            )
            for column in _chosen(table, columns, binary)
        ]
    )


def to_portable(batch: pa.RecordBatch, table: Table, schema: pa.Schema, *, where: str) -> pa.RecordBatch:
    """`batch` with the columns and types of `schema`.

    batch: rows as decode makes them, with at least those columns. schema: from `portable_schema` for the same table.
    where: the data file, for messages.
    Raises SourceError for a string that is no UTF-8 in a column of text.
    """
    types = {column.name: column.type for column in row_columns(table)}
    arrays = []
    for field in schema:
        try:
            arrays.append(_array(batch.column(field.name), types[field.name], field.type))
        except pa.ArrowInvalid as error:
            raise SourceError(
                f"{where}: column {field.name} holds bytes that are no UTF-8, and it was asked for as text",
                remedy=f"Ask for its bytes with binary=[{field.name!r}].",
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _chosen(table: Table, columns: Sequence[str] | None, binary: Collection[str]) -> list[RowColumn]:
    by_name = {column.name: column for column in row_columns(table)}
    chosen = list(by_name) if columns is None else list(columns)
    unknown = [name for name in (*chosen, *binary) if name not in by_name]
    if unknown:
        raise UsageError(
            f"table {table.name} has no column {unknown[0]!r}", remedy=f"Its columns are {', '.join(by_name)}."
        )
    if not chosen:
        raise UsageError("no column is asked for", remedy="Ask for one at least: without columns a batch has no rows.")
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise UsageError(f"column {twice[0]} is asked for twice", remedy="Name each column once.")
    return [by_name[name] for name in chosen]


def _array(array: pa.Array, type_: Type, target: pa.DataType) -> pa.Array:
    """`array`, of values of `type_`, as `target`. Raises ArrowInvalid for text that is none."""
    if array.type == target:
        return array
    match type_:
        case Nullable(inner) | LowCardinality(inner):
            return _array(array, inner, target)
        case Integer(_, signed):
            return _texts(array, lambda value: str(int.from_bytes(value, "little", signed=signed)))
        case Decimal():
            return _texts(array, lambda value: f"{value:f}")
        case UUID():
            return _texts(array, lambda value: str(uuid.UUID(bytes=value)))
        case String() | JSON() | DateTime64():
            return array.cast(target)
        case Array(element):
            values = _array(array.values, element, target.value_type)
            return pa.ListArray.from_arrays(array.offsets, values, type=target)
        case Map(value):
            items = _array(array.items, value, target.item_type)
            return pa.MapArray.from_arrays(array.offsets, array.keys.cast(pa.string()), items, type=target)
        case Tuple(members):
            parts = [
                _array(part, member, field.type)
                for part, (_, member), field in zip(array.flatten(), members, target, strict=True)
            ]
            return pa.StructArray.from_arrays(parts, fields=list(target))
        case _:
            return array.cast(target)


def _texts(array: pa.Array, spell: Callable[[Any], str]) -> pa.Array:
    """The values of `array` spelled out, one by one: these types are rare, and Arrow cannot print them plainly."""
    return pa.array([None if value is None else spell(value) for value in array.to_pylist()], pa.string())
