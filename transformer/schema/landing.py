"""SQL that decodes a Kinesis stream of a DynamoDB table inside ClickHouse: `landing_statements`.

    pipe → landing (Null) → view *decode* → stage (Null: the row, and its errors) → view *rows*    → destination
                                                                                  → view *to_dead* → dead letters

A row that the view lets through is, column by column, the row that the decode kernels make of the same item; what it
cannot decode exactly goes to the dead letters, whole, for the kernels to decode. Nothing in a view throws: an exception
would fail the whole insert, after other views of the same table have been written.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.schema.ddl import create_table
from transformer.schema.expression import quote_identifier, quote_string
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

SNAPSHOT_COLUMNS = (("item", "String"),)
"""The column of the table that an S3 pipe fills from a full export."""

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
    to_dead: str
    dead: str

    @classmethod
    def of(cls, table: str) -> Names:
        """The names on the way from a stream."""
        return cls(*(f"{table}_{end}" for end in ("landing", "stage", "decode", "rows", "to_dead", "dead")))

    @classmethod
    def of_snapshot(cls, table: str) -> Names:
        """The names on the way from an export; dead letters go where those of the stream go."""
        ends = ("snapshot", "snapshot_stage", "snapshot_decode", "snapshot_rows", "snapshot_to_dead", "dead")
        return cls(*(f"{table}_{end}" for end in ends))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: what it makes, in words and by name, and its SQL without a semicolon.

    mark: what stands in its COMMENT, so that drift can be seen; empty for tables that hold rows, which are compared
        column by column instead.
    """

    title: str
    name: str
    sql: str
    mark: str = ""

    @classmethod
    def marked(cls, title: str, name: str, sql: str) -> Statement:
        """A statement whose COMMENT says what it was made from."""
        digest = hashlib.sha256(sql.replace("IF NOT EXISTS ", "", 1).encode()).hexdigest()[:16]
        mark = f"dynamo2ch {digest}"
        return cls(title, name, f"{sql}\nCOMMENT {quote_string(mark)}", mark)


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
    if keep_raw_days and table.drop:
        raise UsageError(
            f"table {table.name} drops attributes, which records that are kept would hold",
            remedy="Leave out --keep-raw, or remove `drop` from the schema file.",
        )
    way = _Way(table, database, Names.of(table.name), depth, if_not_exists=if_not_exists)
    view = DecodeView(table, depth=depth, outputs=way.extra, source_table=source_table or table.name)
    return [*way.begin(LANDING_COLUMNS, keep_raw_days), *way.stage(), way.decode(view)]


def snapshot_statements(
    table: Table,
    *,
    database: str | None = None,
    depth: int = DEFAULT_DEPTH,
    version: int = 0,
    if_not_exists: bool = True,
) -> list[Statement]:
    """The same for items of a full export, in a table with the one column `item` (what stands behind "Item").

    version: of the rows, in microseconds. See `landing_statements` for the rest.
    """
    way = _Way(table, database, Names.of_snapshot(table.name), depth, if_not_exists=if_not_exists)
    view = DecodeView(table, depth=depth, outputs=way.extra, version=version)
    return [*way.begin(SNAPSHOT_COLUMNS, 0), *way.stage(), way.decode(view)]


def server_statements(
    table: Table, source: str, *, depth: int = DEFAULT_DEPTH, version: int = 0
) -> tuple[list[Statement], str]:
    """What to create, and the INSERT that decodes an export on the server.

    source: SQL of a table function or subquery that gives the lines of data files in a column `line`.
    """
    way = _Way(table, None, Names.of_snapshot(table.name), depth, if_not_exists=True)
    view = DecodeView(table, depth=depth, outputs=way.extra, version=version)
    begin = [statement for statement in way.begin(SNAPSHOT_COLUMNS, 0) if statement.name != way.names.landing]
    item = "if(JSONExtractKeys(line) = ['Item'], JSONExtractRaw(line, 'Item'), concat('!', line))"
    # `source` is SQL of ours. Blank lines are neither rows nor rejects.
    select = view.select(f"(SELECT {item} AS item FROM {source} WHERE match(line, '[^ \\\\t\\\\r]'))")  # noqa: S608
    columns = ", ".join(quote_identifier(name) for name, _ in way.staged)
    return [*begin, *way.stage()], f"INSERT INTO {quote_identifier(way.names.stage)} ({columns})\n{select}"


class _Way:
    """The statements of one way into a destination."""

    def __init__(self, table: Table, database: str | None, names: Names, depth: int, *, if_not_exists: bool) -> None:
        if not 0 <= depth <= MAX_DEPTH:
            raise UsageError(f"a depth of {depth} is not possible", remedy=f"Write 0 to {MAX_DEPTH}.")
        self.names = names
        self.extra = extra_names(table)
        self._table = table
        self._database = database
        self._if_not_exists = if_not_exists
        self._row = [(column.name, column.type.sql) for column in row_columns(table)]
        types = ("Array(String)", *(sql for _, sql in LANDING_COLUMNS))
        self.staged = [*self._row, *zip(self.extra, types, strict=True)]
        self._merge_tree = table.engine.replace("ReplacingMergeTree", "MergeTree")

    def _name(self, name: str) -> str:
        return ".".join(quote_identifier(part) for part in (self._database, name) if part is not None)

    def _create(self, what: str, name: str) -> str:
        cluster = f" ON CLUSTER {quote_identifier(self._table.cluster)}" if self._table.cluster else ""
        return f"CREATE {what} {'IF NOT EXISTS ' if self._if_not_exists else ''}{self._name(name)}{cluster}"

    def begin(self, columns: Sequence[tuple[str, str]], keep_raw_days: int) -> list[Statement]:
        """Destination, dead letters, and the table that takes the input."""
        table, names = self._table, self.names
        engine = "Null"
        if keep_raw_days:
            ttl = f"toDateTime(arrival) + INTERVAL {keep_raw_days} DAY"
            engine = f"{self._merge_tree}\nORDER BY (arrival, sequence_number)\nTTL {ttl}"
        destination = create_table(table, database=self._database, if_not_exists=self._if_not_exists)
        dead = f"{_columns(DEAD_COLUMNS)}\nENGINE = {self._merge_tree}\nORDER BY (at, sequence_number)"
        return [
            Statement("destination", table.name, destination),
            Statement("dead letters", names.dead, f"{self._create('TABLE', names.dead)}\n{dead}"),
            Statement(
                "what comes in",
                names.landing,
                f"{self._create('TABLE', names.landing)}\n{_columns(columns)}\nENGINE = {engine}",
            ),
        ]

    def stage(self) -> list[Statement]:
        """The stage, and what goes on from it."""
        names = self.names
        error, *record = map(quote_identifier, self.extra)
        rows = ",\n".join(f"    {quote_identifier(name)}" for name, _ in self._row)
        letters = ",\n".join(
            f"    {sql} AS {name}" for (name, _), sql in zip(DEAD_COLUMNS, ("now64(3)", error, *record), strict=True)
        )
        from_stage = f"FROM {self._name(names.stage)}"
        return [
            Statement.marked(
                "stage", names.stage, f"{self._create('TABLE', names.stage)}\n{_columns(self.staged)}\nENGINE = Null"
            ),
            Statement.marked(
                "view of the rows",
                names.rows,
                f"{self._create('MATERIALIZED VIEW', names.rows)} TO {self._name(self._table.name)} AS\n"
                f"SELECT\n{rows}\n{from_stage}\nWHERE empty({error})",
            ),
            Statement.marked(
                "view of the dead letters",
                names.to_dead,
                f"{self._create('MATERIALIZED VIEW', names.to_dead)} TO {self._name(names.dead)} AS\n"
                f"SELECT\n{letters}\n{from_stage}\nWHERE notEmpty({error})",
            ),
        ]

    def decode(self, view: DecodeView) -> Statement:
        """The decoding view, the last: from then on input becomes rows."""
        names = self.names
        return Statement.marked(
            "decoding view",
            names.decode,
            f"{self._create('MATERIALIZED VIEW', names.decode)} TO {self._name(names.stage)} AS\n"
            f"{view.select(self._name(names.landing))}",
        )


def extra_names(table: Table) -> tuple[str, str, str, str]:
    """Names of a staged row's errors, record, sequence number and arrival: none that the row itself has."""
    taken = {column.name for column in row_columns(table)}

    def free(name: str) -> str:
        return free(f"_{name}") if name in taken else name

    return free("_errors"), free("_record"), free("_sequence_number"), free("_arrival")


def _columns(columns: Sequence[tuple[str, str]]) -> str:
    lines = ",\n".join(f"    {quote_identifier(name)} {sql}" for name, sql in columns)
    return f"(\n{lines}\n)"
