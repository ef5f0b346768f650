"""How two schemas of one table differ, and the statements that take a table from the one to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.errors import ConflictError
from transformer.schema import types as t
from transformer.schema.expression import quote_identifier
from transformer.schema.layout import RowColumn, row_columns

if TYPE_CHECKING:
    from transformer.schema.table import Column, Table


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    what: one line. sql: the ALTER TABLE for it, or empty where none can make it. stream: whether it touches a column
    that a running ClickPipe writes, so that the pipe must be stopped for it. reload: whether the rows that are in the
    table are not what the new schema would have made of their items, even after `sql`.
    """

    what: str
    sql: str = ""
    stream: bool = False
    reload: bool = False


def changes(old: Table, new: Table) -> list[Change]:
    """The differences between two schemas, columns in the order of the new one, those that go last.

    Raises ConflictError when no ALTER leads from one to the other: another key, engine or partition, or other columns
    for version and deletion. That is another table.
    """
    _refuse_another_table(old, new)
    before = {column.name: column for column in row_columns(old)}
    after = {column.name: column for column in row_columns(new)}
    read_before = {column.name: column for column in old.columns}
    read_after = {column.name: column for column in new.columns}
    found: list[Change] = []
    previous = ""
    for name, column in after.items():
        if name not in before:
            found.append(_added(new, column, previous))
        elif (change := _changed(new, before[name], column, read_before.get(name), read_after.get(name))) is not None:
            found.append(change)
        previous = name
    for name in before:
        if name not in after:
            sql = f"{_alter(new)} DROP COLUMN {quote_identifier(name)}"
            found.append(Change(f"column {name} is gone", sql, stream=True))
    return [*found, *_computed(old, new), *_rules(old, new)]


def _computed(old: Table, new: Table) -> list[Change]:
    """The differences of the columns that ClickHouse computes. Rows that are stored keep what was computed for them."""
    before = {column.name: column for column in old.computed}
    after = {column.name: column for column in new.computed}
    found = []
    for name, column in after.items():
        if before.get(name) != column:
            action = "MODIFY" if name in before else "ADD"
            codec = f" CODEC({column.codec})" if column.codec else ""
            what = f"computed column {name} {'differs' if name in before else 'is new'}"
            definition = f"{quote_identifier(name)} {column.type.sql} MATERIALIZED ({column.expression}){codec}"
            found.append(Change(what, f"{_alter(new)} {action} COLUMN {definition}", reload=name in before))
    gone = [name for name in before if name not in after]
    return found + [
        Change(f"computed column {name} is gone", f"{_alter(new)} DROP COLUMN {quote_identifier(name)}")
        for name in gone
    ]


def _rules(old: Table, new: Table) -> list[Change]:
    """The differences that are no column's: they hold for items that are read from now on."""
    found = []
    for what, one, other in (
        ("the version comes from", old.version_from.value, new.version_from.value),
        ("unmapped attributes: policy", old.unmapped_policy.value, new.unmapped_policy.value),
        ("drop names", sorted(old.drop), sorted(new.drop)),
    ):
        if one != other:
            found.append(Change(f"{what} {other}, was {one}", reload=True))
    return found


def _refuse_another_table(old: Table, new: Table) -> None:
    for what, one, other in (
        ("name", old.name, new.name),
        ("key", old.key, new.key),
        ("engine", old.engine, new.engine),
        ("partition_by", old.partition_by, new.partition_by),
        ("version column", old.version_column, new.version_column),
        ("deleted column", old.deleted_column, new.deleted_column),
    ):
        if one != other:
            raise ConflictError(
                f"the {what} differs ({one!r}, {other!r}), which no ALTER TABLE can change",
                remedy="Load the export into a new table: dynamo2ch snapshot EXPORT --schema NEW --table NAME.",
            )
    types = {column.name: column.type for column in row_columns(old)}
    for name in new.key:
        key = next(column for column in row_columns(new) if column.name == name)
        if types[name] != key.type:
            raise ConflictError(
                f"key column {name} is {types[name].sql} and not {key.type.sql}, which ClickHouse does not change",
                remedy="Load the export into a new table: dynamo2ch snapshot EXPORT --schema NEW --table NAME.",
            )


def _added(table: Table, column: RowColumn, previous: str) -> Change:
    place = f" AFTER {quote_identifier(previous)}" if previous else " FIRST"
    sql = f"{_alter(table)} ADD COLUMN {quote_identifier(column.name)} {column.type.sql}{place}"
    what = f"column {column.name} {column.type.sql} is new"
    # What the older rows have for it stays in `_unmapped`, and what the stream brings has no mapping yet.
    return Change(what, sql, reload=True)


def _changed(
    table: Table, old: RowColumn, new: RowColumn, read_old: Column | None, read_new: Column | None
) -> Change | None:
    what = []
    sql = ""
    other = False
    if old.type != new.type:
        what.append(f"column {new.name} is {new.type.sql}, was {old.type.sql}")
        if _holds_all(new.type, old.type):
            sql = f"{_alter(table)} MODIFY COLUMN {quote_identifier(new.name)} {new.type.sql}"
        else:
            other = True
            what.append("which may not hold what is stored, so there is no statement for it")
    if read_old is not None and read_new is not None:
        for name, one, two in (
            ("path", read_old.path, read_new.path),
            ("convert", read_old.convert, read_new.convert),
            ("default", read_old.default, read_new.default),
        ):
            if one != two:
                other = True
                what.append(f"column {new.name} has another {name}")
        if read_old.codec != read_new.codec and not other:
            what.append(f"column {new.name} has another codec")
            codec = f" CODEC({read_new.codec or 'Default'})"
            sql = f"{_alter(table)} MODIFY COLUMN {quote_identifier(new.name)} {new.type.sql}{codec}"
    if not what:
        return None
    return Change("; ".join(what), sql, stream=other or old.type != new.type, reload=other)


def _holds_all(new: t.Type, old: t.Type) -> bool:
    """Whether every value of `old` is one of `new`: ClickHouse wraps and cuts what does not fit, without a word."""
    match old, new:
        case _ if old == new:
            return True
        case t.Nullable(one), t.Nullable(other):
            return _holds_all(other, one)
        case _, t.Nullable(other):
            return _holds_all(other, old)
        case t.LowCardinality(one), _ if not isinstance(new, t.LowCardinality):
            return _holds_all(new, one)
        case _, t.LowCardinality(other):
            return _holds_all(other, old.inner if isinstance(old, t.LowCardinality) else old)
        case t.Integer(), t.Integer():
            return new.minimum <= old.minimum and old.maximum <= new.maximum
        case t.Integer(), t.String():
            return True
        case t.Decimal(precision, scale), t.Decimal(wider, finer):
            return scale <= finer and precision - scale <= wider - finer
        case t.Array(one), t.Array(other):
            return _holds_all(other, one)
        case t.Map(one), t.Map(other):
            return _holds_all(other, one)
        case _:
            return False


def _alter(table: Table) -> str:
    cluster = f" ON CLUSTER {quote_identifier(table.cluster)}" if table.cluster else ""
    return f"ALTER TABLE {quote_identifier(table.name)}{cluster}"
