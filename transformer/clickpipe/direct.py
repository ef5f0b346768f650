"""The guide's own design: the pipe flattens records and maps fields to columns. Simple, and it loses things.

The pipe fills a Null table whose columns are the scalar columns of the schema; a view adds the version in microseconds
and the mark of deletes, so that the destination is the same as with the landing design.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.schema.ddl import create_table
from transformer.schema.expression import quote_identifier
from transformer.schema.landing import Statement
from transformer.schema.layout import row_columns, takes_null
from transformer.schema.types import (
    UUID,
    Bool,
    Decimal,
    Enum,
    Float64,
    Integer,
    LowCardinality,
    Nullable,
    String,
    Type,
)

if TYPE_CHECKING:
    from transformer.schema.table import Column, Table

TIME, EVENT = "_time", "_event"


@dataclass(frozen=True, slots=True)
class DirectDesign:
    """What the direct design can do for one table.

    statements: in the order in which they run. landing: the table that the pipe fills. columns: its columns with their
    types. mappings: source field to column. losses: sentences on what will not arrive as the snapshot would load it.
    """

    statements: list[Statement]
    landing: str
    columns: list[tuple[str, str]]
    mappings: list[tuple[str, str]]
    losses: list[str]


def direct_design(table: Table, *, database: str | None = None, if_not_exists: bool = True) -> DirectDesign:
    """The direct design of a table.

    Raises UsageError when a column is not a scalar that a field can be mapped to.
    """
    refused = [why for column in table.columns if (why := _unfit(column))]
    if refused:
        raise UsageError(
            "the direct design cannot serve this table:" + "".join(f"\n  - {why}" for why in refused),
            remedy="Use --design landing, which serves every table.",
        )
    taken = {column.name for column in row_columns(table)}
    time, event = _free(TIME, taken), _free(EVENT, taken)
    columns = [(column.name, column.type.sql) for column in table.columns]
    mappings = [(_source(column, key=column.name in table.key), column.name) for column in table.columns]
    columns += [(time, "Int64"), (event, "LowCardinality(String)")]
    mappings += [("dynamodb.ApproximateCreationDateTime", time), ("eventName", event)]

    def qualified(name: str) -> str:
        return ".".join(quote_identifier(part) for part in (database, name) if part is not None)

    landing, view = f"{table.name}_direct", f"{table.name}_direct_view"
    exists = "IF NOT EXISTS " if if_not_exists else ""
    cluster = f" ON CLUSTER {quote_identifier(table.cluster)}" if table.cluster else ""
    lines = ",\n".join(f"    {quote_identifier(name)} {sql}" for name, sql in columns)
    selected = [f"    {quote_identifier(column.name)}" for column in table.columns]
    at, what = quote_identifier(time), quote_identifier(event)
    selected.append(f"    {at} * if({at} < 100000000000000, 1000, 1) AS {quote_identifier(table.version_column)}")
    selected.append(f"    toUInt8({what} = 'REMOVE') AS {quote_identifier(table.deleted_column)}")
    listed = ",\n".join(selected)
    statements = [
        Statement("destination", table.name, create_table(table, database=database, if_not_exists=if_not_exists)),
        Statement.marked(
            "fields of the pipe",
            landing,
            f"CREATE TABLE {exists}{qualified(landing)}{cluster}\n(\n{lines}\n)\nENGINE = Null",
        ),
        Statement.marked(
            "view of the rows",
            view,
            f"CREATE MATERIALIZED VIEW {exists}{qualified(view)}{cluster} TO {qualified(table.name)} AS\n"
            f"SELECT\n{listed}\nFROM {qualified(landing)}",
        ),
    ]
    return DirectDesign(statements, landing, columns, mappings, _losses(table))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"_{name}"
    return name


def _tag(type_: Type) -> str:
    """The type tag that a column of this type is filled from; empty if there is not just one."""
    match type_:
        case Nullable(inner) | LowCardinality(inner):
            return _tag(inner)
        case Integer() | Decimal() | Float64():
            return "N"
        case Bool():
            return "BOOL"
        case String() | Enum() | UUID():
            return "S"
        case _:
            return ""


def _unfit(column: Column) -> str:
    if not _tag(column.type):
        return f"column {column.name} is {column.type.sql}, which no single field fills"
    if column.default is not None:
        return f"column {column.name} has a default, which a pipe ignores"
    if any("." in step for step in column.path):
        return f"column {column.name}: a name with a dot cannot be told from a path in {'.'.join(column.path)!r}"
    return ""


def _source(column: Column, *, key: bool) -> str:
    image = "Keys" if key else "NewImage"
    return ".".join(("dynamodb", image, ".M.".join(column.path), _tag(column.type)))


def _losses(table: Table) -> list[str]:
    """What this design does to values, in sentences."""
    found = []
    texts = [
        column.name for column in table.columns if _tag(column.type) == "S" and isinstance(_plain(column.type), String)
    ]
    numbers = [column.name for column in table.columns if _tag(column.type) == "N"]
    strict = [c.name for c in table.columns if c.name not in table.key and not takes_null(c.type)]
    if table.unmapped_column:
        found.append(f"{table.unmapped_column} stays empty: attributes without a column are not kept.")
    if table.raw_column:
        found.append(f"{table.raw_column} stays empty: the item itself is not kept.")
    if texts:
        found.append(f"N, B, maps, lists and sets do not arrive in {', '.join(texts)}: only S is mapped.")
    if numbers:
        found.append(
            f"Numbers that do not fit {', '.join(numbers)} are cut or become NULL or 0 instead of being rejected, "
            "and numbers written as S do not arrive."
        )
    if strict:
        found.append(f"A missing or NULL attribute becomes the type's zero in {', '.join(strict)}, not a reject.")
    found.append("Records that the pipe cannot parse go to its error table, for seven days; there are no dead letters.")
    found.append("Records of another table in the same stream would be taken for this table's.")
    return found


def _plain(type_: Type) -> Type:
    return _plain(type_.inner) if isinstance(type_, Nullable | LowCardinality) else type_
