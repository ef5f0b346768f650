"""What differs between two schemas of one table, and the statements that bring a table from one to the other.

A statement is given only where ClickHouse keeps every stored value: widening a number, allowing NULL, adding or
dropping a column. For any other change of a type it would wrap or cut silently, so such a change says that the export
must be loaded again, into a new table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from transformer.schema.expression import quote_identifier
from transformer.schema.types import Array, Decimal, Integer, LowCardinality, Map, Nullable, Tuple, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformer.schema.table import Column, Table


class Kind(StrEnum):
    """What a change is."""

    ADDED = "added"
    REMOVED = "removed"
    WIDENED = "widened"
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    column: its name, or empty where it is about the table. what: in words. sql: the statement that makes it, without a
    semicolon; empty where there is none, and the export has to be loaded into a new table.
    stream: what a live ClickPipe into the table would notice of it, in words; empty if nothing. It writes the columns
    that it maps by their names.
    """

    kind: Kind
    column: str
    what: str
    sql: str = ""
    stream: str = ""

    def to_dict(self) -> dict[str, str]:
        """The record of `--json`."""
        return {
            "kind": self.kind.value,
            "column": self.column,
            "what": self.what,
            "sql": self.sql,
            "stream": self.stream,
        }


def drift(old: Table, new: Table) -> list[Change]:
    """What must change for a table made by `old` to be one made by `new`. The names of the tables are not compared."""
    changes = list(_of_table(old, new))
    before, after = ({column.name: column for column in table.columns} for table in (old, new))
    previous = ""
    for column in new.columns:
        if column.name not in before:
            changes.append(_added(old, column, previous))
        elif before[column.name] != column:
            changes += _changed(old, before[column.name], column)
        previous = column.name
    for name in before.keys() - after.keys() - set(old.key):
        changes.append(
            Change(
                Kind.REMOVED,
                name,
                f"column {name} is gone; with it go its stored values",
                f"{_alter(old)} DROP COLUMN {quote_identifier(name)}",
                "fails if it maps this column: take the column out of its mapping first",
            )
        )
    return sorted(changes, key=lambda change: (list(Kind).index(change.kind), change.column))


def _alter(table: Table) -> str:
    cluster = f" ON CLUSTER {quote_identifier(table.cluster)}" if table.cluster else ""
    return f"ALTER TABLE {quote_identifier(table.name)}{cluster}"


def _of_table(old: Table, new: Table) -> Iterator[Change]:
    """Differences that no ALTER mends."""
    for what, before, after in (
        ("the key", ", ".join(old.key), ", ".join(new.key)),
        ("the version column", old.version_column, new.version_column),
        ("the column of tombstones", old.deleted_column, new.deleted_column),
        ("the engine", old.engine, new.engine),
        ("the partition key", old.partition_by, new.partition_by),
        ("the column of unmapped attributes", old.unmapped_column, new.unmapped_column),
        ("the column of raw items", old.raw_column, new.raw_column),
    ):
        if before != after:
            yield Change(
                Kind.INCOMPATIBLE,
                "",
                f"{what} was {before or 'none'} and is {after or 'none'}: load into a new table",
                stream="needs a new pipe into the new table",
            )


def _added(table: Table, column: Column, previous: str) -> Change:
    place = f"AFTER {quote_identifier(previous)}" if previous else "FIRST"
    read = "NULL" if isinstance(column.type, Nullable) else "the default of the type"
    return Change(
        Kind.ADDED,
        column.name,
        f"column {column.name} ({'.'.join(column.path)}) is new; stored rows read {read} there until the export is "
        "loaded again",
        f"{_alter(table)} ADD COLUMN {quote_identifier(column.name)} {column.type.sql} {place}",
        "goes on, but leaves the column empty until it is in its mapping",
    )


def _changed(table: Table, old: Column, new: Column) -> Iterator[Change]:
    if (old.path, old.convert, old.default) != (new.path, new.convert, new.default):
        yield Change(
            Kind.INCOMPATIBLE,
            new.name,
            f"column {new.name} reads or converts other values than before: load into a new table",
            stream="goes on writing what its mapping says",
        )
    if old.type == new.type:
        return
    shown = f"column {new.name} was {old.type.sql} and is {new.type.sql}"
    if new.name in table.key or not widens(old.type, new.type):
        why = "ClickHouse does not change key columns" if new.name in table.key else "stored values might not survive"
        yield Change(
            Kind.INCOMPATIBLE, new.name, f"{shown}; {why}: load into a new table", stream="needs a pipe into that table"
        )
        return
    yield Change(
        Kind.WIDENED,
        new.name,
        shown,
        f"{_alter(table)} MODIFY COLUMN {quote_identifier(new.name)} {new.type.sql}",
        "goes on: what fitted before fits now",
    )


def widens(old: Type, new: Type) -> bool:
    """Whether every value of `old` is one of `new`, so that ClickHouse can change the type of a column in place."""
    if old == new:
        return True
    match old, new:
        case Nullable(before), Nullable(after):
            return widens(before, after)
        case _, Nullable(after):
            return not isinstance(old, LowCardinality) and widens(old, after)
        case LowCardinality(before), LowCardinality(after):
            return widens(before, after)
        case Integer(low, was_signed), Integer(high, is_signed):
            return high > low and (is_signed or not was_signed)
        case Decimal(digits, scale), Decimal(more, finer):
            return more - finer >= digits - scale and finer >= scale
        case Array(before), Array(after):
            return widens(before, after)
        case Map(before), Map(after):
            return widens(before, after)
        case Tuple(was), Tuple(now):
            return [name for name, _ in was] == [name for name, _ in now] and all(
                widens(before, after) for (_, before), (_, after) in zip(was, now, strict=True)
            )
        case _:
            return False
