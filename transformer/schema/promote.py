"""A column of its own for an attribute that went into `_unmapped`, for stored rows too, without loading again.

The new column's DEFAULT reads `_unmapped`, so rows that were stored before show their value at once. ClickHouse's own
conversions wrap and cut without a word, so a promotion is only for types where a condition can be written that finds
every value that would not come out exactly. `misfits` counts them, and must be zero first; one that comes later, from a
stream whose view does not know the column yet, shows as NULL and stays what it is in `_unmapped`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from transformer.errors import SchemaError, UsageError
from transformer.schema.expression import quote_identifier, quote_string
from transformer.schema.file import parse_schema
from transformer.schema.table import Column, UnmappedPolicy
from transformer.schema.types import Bool, Integer, Nullable, String, Type
from transformer.schema.writer import scalar

if TYPE_CHECKING:
    from transformer.schema.table import Table

_NONE = "in({value}, ('', '{{\"NULL\":true}}'))"


def promoted(table: Table, attribute: str, name: str, type_: Type) -> Table:
    """The table with one more column, the last one. Raises UsageError for what cannot be promoted."""
    if table.unmapped_policy is not UnmappedPolicy.KEEP:
        raise UsageError(
            f"table {table.name} does not keep unmapped attributes, so stored rows have no value for {attribute!r}",
            remedy="Add the column to the schema file and load the export into a new table.",
        )
    if any(column.path[0] == attribute for column in table.columns):
        raise UsageError(f"a column reads {attribute!r} already", remedy="Name an attribute that has no column.")
    taken = {column.name for column in table.columns} | {computed.name for computed in table.computed}
    taken |= {table.version_column, table.deleted_column, table.unmapped_column, table.raw_column}
    if name in taken:
        raise UsageError(f"there is a column {name!r} already", remedy="Give the new one another name with --name.")
    if not isinstance(type_, Nullable) or not isinstance(type_.inner, String | Integer | Bool):
        raise UsageError(
            f"{type_.sql} cannot be read from {table.unmapped_column} exactly",
            remedy="Promote to Nullable(String), Nullable(Bool) or Nullable(IntN), or load into a new table.",
        )
    return replace(table, columns=(*table.columns, Column(name, (attribute,), type_)))


def statement(table: Table, column: Column) -> str:
    """The ALTER TABLE that adds a promoted column, without a semicolon."""
    cluster = f" ON CLUSTER {quote_identifier(table.cluster)}" if table.cluster else ""
    after = [each.name for each in table.columns if each.name != column.name][-1]
    return (
        f"ALTER TABLE {quote_identifier(table.name)}{cluster} ADD COLUMN {quote_identifier(column.name)} "
        f"{column.type.sql} DEFAULT {_expression(table, column)} AFTER {quote_identifier(after)}"
    )


def misfits(table: Table, column: Column) -> str:
    """The query that counts stored values which the column would not show exactly, without a FORMAT."""
    value = _value(table, column)
    none = _NONE.format(value=value)
    fits = _fits(value, _inner(column))
    return f"SELECT count() FROM {quote_identifier(table.name)} WHERE NOT ({none} OR {fits})"  # noqa: S608 - all quoted


def _fits(value: str, type_: Type) -> str:
    """Whether the DynamoDB JSON `value` comes out of `_expression` exactly."""
    number = f"JSONExtractString({value}, 'N')"
    match type_:
        case Integer(minimum=low, maximum=high):
            whole = f"toInt256OrZero({number})"
            return (
                f"(startsWith({value}, '{{\"N\":') AND toString({whole}) = {number} "
                f"AND {whole} BETWEEN toInt256('{low}') AND toInt256('{min(high, (1 << 255) - 1)}'))"
            )
        case Bool():
            return f"startsWith({value}, '{{\"BOOL\":')"
        case _:
            return f"(startsWith({value}, '{{\"S\":') OR startsWith({value}, '{{\"N\":'))"


def _value(table: Table, column: Column) -> str:
    return f"{quote_identifier(table.unmapped_column)}[{quote_string(column.path[0])}]"


def _inner(column: Column) -> Type:
    return column.type.inner if isinstance(column.type, Nullable) else column.type


def _expression(table: Table, column: Column) -> str:
    value, type_ = _value(table, column), _inner(column)
    fits = _fits(value, type_)
    match type_:
        case Integer():
            read = f"CAST(toInt256OrZero(JSONExtractString({value}, 'N')) AS {type_.sql})"
        case Bool():
            read = f"JSONExtractBool({value}, 'BOOL') = 1"
        case _:
            read = f"JSONExtractString({value}, if(startsWith({value}, '{{\"N\":'), 'N', 'S'))"
    return f"if({fits}, {read}, NULL)"


def with_column(path: str | Path, column: Column) -> str:
    """The text of a schema file with one more column, the last one; nothing else in it is changed.

    Raises SchemaError when the file's layout leaves no place for a line, with the line to add by hand.
    """
    text = Path(path).read_text(encoding="utf-8")
    table = parse_schema(text, str(path)).table
    line = f"{{name: {scalar(column.name)}, path: [{scalar(column.path[0])}], type: {scalar(column.type.sql)}}}"
    lines = text.splitlines()
    begin = next((number for number, each in enumerate(lines) if each.startswith("columns:")), len(lines))
    end = begin + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][0] in " -#"):
        end += 1
    while end > begin + 1 and not lines[end - 1].lstrip().startswith("-"):
        end -= 1
    first = next((each for each in lines[begin + 1 : end] if each.lstrip().startswith("-")), "  -")
    indent = first[: len(first) - len(first.lstrip())]
    made = "\n".join([*lines[:end], f"{indent}- {line}", *lines[end:]]) + "\n"
    try:
        if parse_schema(made, str(path)).table == replace(table, columns=(*table.columns, column)):
            return made
    except SchemaError:
        pass  # the remedy below is the same, whatever is wrong with the guess
    raise SchemaError(f"{path}: there is no place for a line more under `columns`", remedy=f"Add it: - {line}")
