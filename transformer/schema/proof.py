"""SQL of the questions by which a loaded table is proved: digests of its keys, its rows against those of another table.

Rows of an export all carry one version. Whatever has a higher one came later, through the stream or an increment, and
is allowed; whatever has a lower one was there before and is not in the export, or the export's row would have won.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformer.schema.digest import digest_of, key_hash
from transformer.schema.expression import quote_identifier
from transformer.schema.layout import row_columns
from transformer.schema.types import JSON, Nullable

if TYPE_CHECKING:
    from transformer.schema.table import Table

# FINAL has to look across partitions, whatever a profile says.
FINAL_SETTINGS = {"do_not_merge_across_partitions_select_final": 0}

ROWS_PER_BUCKET = 1_000_000
"""Rows that are compared with one another at a time: EXCEPT keeps one side in memory."""


def digests(table: Table, version: int) -> str:
    """Nine numbers over the living keys: digests of those whose row has the version, a higher one, a lower one."""
    name = quote_identifier(table.version_column)
    parts = [digest_of(key_hash(table), f"{name} {sign} {version}") for sign in ("=", ">", "<")]
    return f"SELECT array({', '.join(parts)}) AS digests FROM {quote_identifier(table.name)} FINAL"  # noqa: S608


def deleted_digest(table: Table, version: int) -> str:
    """Three numbers: the digest of the keys that a tombstone above the version has deleted for good."""
    name, keys = quote_identifier(table.name), ", ".join(map(quote_identifier, table.key))
    deleted, newest = quote_identifier(table.deleted_column), quote_identifier(table.version_column)
    # Only keys that have a tombstone are grouped: they are few, and all keys would have to be held in memory.
    inner = (
        f"SELECT {key_hash(table)} AS h FROM {name} "  # noqa: S608 - every identifier is quoted
        f"WHERE ({keys}) IN (SELECT {keys} FROM {name} WHERE {deleted} = 1 AND {newest} > {version}) "
        f"GROUP BY {keys} HAVING argMax({deleted}, {newest}) = 1"
    )
    return f"SELECT array({digest_of('h')}) AS digest FROM ({inner})"  # noqa: S608


def compared(table: Table) -> tuple[str, ...]:
    """The columns that are compared: all but JSON, which is outside the exactness contract."""
    return tuple(column.name for column in row_columns(table) if column.type not in (JSON(), Nullable(JSON())))


def _rows(table: Table, version: int, bucket: int, buckets: int) -> str:
    """The living rows of one version and one bucket, in the columns that are compared."""
    columns = ", ".join(map(quote_identifier, compared(table)))
    where = f"{quote_identifier(table.version_column)} = {version}"
    if buckets > 1:
        where += f" AND {key_hash(table)} % {buckets} = {bucket}"
    return f"SELECT {columns} FROM {quote_identifier(table.name)} FINAL WHERE {where}"  # noqa: S608


def rows_only_in(one: Table, other: Table, version: int, bucket: int, buckets: int) -> str:
    """The rows of `one` that `other` does not have equal in every column, as a subquery."""
    return f"({_rows(one, version, bucket, buckets)} EXCEPT {_rows(other, version, bucket, buckets)})"


def keys_overtaken(table: Table, version: int) -> str:
    """The keys of which the table has a row above the version, living or deleted, as a subquery."""
    keys = ", ".join(map(quote_identifier, table.key))
    newest = quote_identifier(table.version_column)
    return f"(SELECT {keys} FROM {quote_identifier(table.name)} WHERE {newest} > {version})"  # noqa: S608


def count_differences(one: Table, other: Table, version: int, bucket: int, buckets: int) -> str:
    """Counts the rows of `one` that `other` does not have: those that something later has replaced, and the rest.

    other: the table into which later versions may have come.
    """
    keys = ", ".join(map(quote_identifier, one.key))
    overtaken = keys_overtaken(other, version)
    return (
        f"SELECT countIf(later) AS overtaken, countIf(NOT later) AS different FROM (SELECT ({keys}) IN {overtaken} "  # noqa: S608
        f"AS later FROM {rows_only_in(one, other, version, bucket, buckets)})"
    )


def different_rows(
    one: Table, other: Table, version: int, bucket: int, buckets: int, *, limit: int, shown: str
) -> tuple[str, str]:
    """The first rows of `one` that `other` does not have and that nothing later has replaced; and their counterparts.

    shown: the expressions to select, over the columns that are compared.
    Returns two statements: of those rows, and of the rows of `other` that have the same keys and the version.
    """
    keys = ", ".join(map(quote_identifier, one.key))
    first = (
        f"FROM {rows_only_in(one, other, version, bucket, buckets)} "
        f"WHERE ({keys}) NOT IN {keys_overtaken(other, version)} ORDER BY {keys} LIMIT {limit}"
    )
    there = (
        f"SELECT {shown} FROM {quote_identifier(other.name)} FINAL "  # noqa: S608 - every identifier is quoted
        f"WHERE {quote_identifier(other.version_column)} = {version} AND ({keys}) IN (SELECT {keys} {first})"
    )
    return f"SELECT {shown} {first}", there
