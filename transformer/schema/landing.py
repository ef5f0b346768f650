"""SQL that decodes a Kinesis stream of a DynamoDB table inside ClickHouse: `landing_statements`.

    pipe → landing (Null) → view *decode* → stage (Null: the row, and its errors) → view *rows*    → destination
                                                                                  → view *to_dead* → dead letters

A row that the view lets through is, column by column, the row that the decode kernels make of the same item; what it
cannot decode exactly goes to the dead letters, whole, for the kernels to decode. Nothing in a view throws: an exception
would fail the whole insert, after other views of the same table have been written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.schema.ddl import create_table
from transformer.schema.expression import quote_identifier
from transformer.schema.landing_view import DecodeView
from transformer.schema.layout import row_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.schema.table import Table

DEFAULT_DEPTH = 6
"""Levels of maps and lists inside one another that are written as JSON text."""

MAX_DEPTH = 32
"""Levels that DynamoDB allows."""

LANDING_COLUMNS = (("raw", "String"), ("sequence_number", "String"), ("arrival", "DateTime64(3)"))
"""The columns of the landing table, which the pipe fills."""

DEAD_COLUMNS = (
    ("at", "DateTime64(3)"),
    ("errors", "Array(String)"),
    ("raw", "String"),
    ("sequence_number", "String"),
    ("arrival", "DateTime64(3)"),
)
"""The columns of the dead letters: when and why, then the record as it came, less what the schema drops."""


@dataclass(frozen=True, slots=True)
class Names:
    """The tables and views on the way to one destination."""

    landing: str
    stage: str
    decode: str
    rows: str
    dead: str
    to_dead: str

    @classmethod
    def of(cls, table: str) -> Names:
        """The names that belong to a destination table."""
        return cls(*(f"{table}_{end}" for end in ("landing", "stage", "decode", "rows", "dead", "to_dead")))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: what it makes, in words and by name, and its SQL without a semicolon."""

    title: str
    name: str
    sql: str


def landing_statements(
    table: Table,
    *,
    database: str | None = None,
    depth: int = DEFAULT_DEPTH,
    source_table: str | None = None,
    keep_raw_days: int = 0,
    if_not_exists: bool = True,
) -> list[Statement]:
    """The statements that let records in the landing table become rows, in the order in which they must run.

    database: put before every name; None leaves it to the connection.
    depth: maps and lists inside one another, within one attribute, that are written as JSON text (String columns,
        `_unmapped`, `_raw`), 0 to MAX_DEPTH; a record with more goes to the dead letters.
    source_table: the DynamoDB table whose records are meant; those of others are passed over. Default: as `table`.
    keep_raw_days: days for which the landing table keeps the records; 0 keeps none.
    Raises UsageError for a depth out of range, and for records to be kept of which the schema drops something.
    """
    if not 0 <= depth <= MAX_DEPTH:
        raise UsageError(f"a depth of {depth} is not possible", remedy=f"Write 0 to {MAX_DEPTH}.")
    if keep_raw_days and table.drop:
        raise UsageError(
            f"table {table.name} drops attributes, which records that are kept would hold",
            remedy="Leave out --keep-raw, or remove `drop` from the schema file.",
        )
    names = Names.of(table.name)
    errors, record = extra_names(table)
    cluster = f" ON CLUSTER {quote_identifier(table.cluster)}" if table.cluster else ""
    exists = "IF NOT EXISTS " if if_not_exists else ""

    def qualified(name: str) -> str:
        return ".".join(quote_identifier(part) for part in (database, name) if part is not None)

    def create(what: str, name: str) -> str:
        return f"CREATE {what} {exists}{qualified(name)}{cluster}"

    merge_tree = table.engine.replace("ReplacingMergeTree", "MergeTree")
    kept = (
        f"{merge_tree}\nORDER BY (arrival, sequence_number)\nTTL toDateTime(arrival) + INTERVAL {keep_raw_days} DAY"
        if keep_raw_days
        else "Null"
    )
    row = [(column.name, column.type.sql) for column in row_columns(table)]
    stage = [*row, (errors, "Array(String)"), *zip(record, (sql for _, sql in LANDING_COLUMNS), strict=True)]
    view = DecodeView(table, depth=depth, source_table=source_table or table.name, errors=errors, record_names=record)
    listed = ",\n".join(f"    {quote_identifier(name)}" for name, _ in row)
    error = quote_identifier(errors)
    letters = ",\n".join(
        f"    {sql} AS {name}"
        for (name, _), sql in zip(DEAD_COLUMNS, ("now64(3)", error, *map(quote_identifier, record)), strict=True)
    )
    from_stage = f"FROM {qualified(names.stage)}"
    return [
        Statement("destination", table.name, create_table(table, database=database, if_not_exists=if_not_exists)),
        Statement(
            "dead letters",
            names.dead,
            f"{create('TABLE', names.dead)}\n{_columns(DEAD_COLUMNS)}\nENGINE = {merge_tree}\n"
            "ORDER BY (at, sequence_number)",
        ),
        Statement(
            "landing table",
            names.landing,
            f"{create('TABLE', names.landing)}\n{_columns(LANDING_COLUMNS)}\nENGINE = {kept}",
        ),
        Statement("stage", names.stage, f"{create('TABLE', names.stage)}\n{_columns(stage)}\nENGINE = Null"),
        Statement(
            "view of the rows",
            names.rows,
            f"{create('MATERIALIZED VIEW', names.rows)} TO {qualified(table.name)} AS\n"
            f"SELECT\n{listed}\n{from_stage}\nWHERE empty({error})",
        ),
        Statement(
            "view of the dead letters",
            names.to_dead,
            f"{create('MATERIALIZED VIEW', names.to_dead)} TO {qualified(names.dead)} AS\n"
            f"SELECT\n{letters}\n{from_stage}\nWHERE notEmpty({error})",
        ),
        # Last: from now on records flow.
        Statement(
            "decoding view",
            names.decode,
            f"{create('MATERIALIZED VIEW', names.decode)} TO {qualified(names.stage)} AS\n"
            f"{view.select(qualified(names.landing))}",
        ),
    ]


def extra_names(table: Table) -> tuple[str, tuple[str, str, str]]:
    """Names of a staged row's errors, and of its record, sequence number and arrival: none that the row has."""
    taken = {column.name for column in row_columns(table)}

    def free(name: str) -> str:
        return free(f"_{name}") if name in taken else name

    return free("_errors"), (free("_record"), free("_sequence_number"), free("_arrival"))


def _columns(columns: Sequence[tuple[str, str]]) -> str:
    lines = ",\n".join(f"    {quote_identifier(name)} {sql}" for name, sql in columns)
    return f"(\n{lines}\n)"
