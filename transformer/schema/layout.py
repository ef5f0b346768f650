"""The columns of an inserted row, in the order in which they travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from transformer.schema.table import UnmappedPolicy
from transformer.schema.types import Integer, LowCardinality, Map, Nullable, String

if TYPE_CHECKING:
    from transformer.schema.table import Table
    from transformer.schema.types import Type

VERSION_TYPE = Integer(64, signed=True)
"""Type of the version column: microseconds since 1970, or 0."""

DELETED_TYPE = Integer(8, signed=False)
"""Type of the column that marks tombstones: 0 or 1."""

UNMAPPED_TYPE = Map(String())
"""Type of the column of unmapped attributes: name to canonical DynamoDB JSON."""

RAW_TYPE = String()
"""Type of the column that keeps the whole item: canonical DynamoDB JSON."""


@dataclass(frozen=True, slots=True)
class RowColumn:
    """One column of an inserted row: its name and its type in ClickHouse."""

    name: str
    type: Type


def row_columns(table: Table) -> tuple[RowColumn, ...]:
    """What is inserted, in order: the columns of the schema, version, deleted, unmapped (policy keep), raw (if any).

    Computed columns are not part of it: ClickHouse fills them.
    """
    columns = [RowColumn(column.name, column.type) for column in table.columns]
    columns.append(RowColumn(table.version_column, VERSION_TYPE))
    columns.append(RowColumn(table.deleted_column, DELETED_TYPE))
    if table.unmapped_policy is UnmappedPolicy.KEEP:
        columns.append(RowColumn(table.unmapped_column, UNMAPPED_TYPE))
    if table.raw_column:
        columns.append(RowColumn(table.raw_column, RAW_TYPE))
    return tuple(columns)


def takes_null(type_: Type) -> bool:
    """Whether a column of this type can hold NULL."""
    return isinstance(type_, Nullable) or (isinstance(type_, LowCardinality) and isinstance(type_.inner, Nullable))


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a batch of rows, in row layout order. A field is nullable exactly when its column is."""
    return pa.schema(
        [pa.field(column.name, column.type.arrow, nullable=takes_null(column.type)) for column in row_columns(table)]
    )
