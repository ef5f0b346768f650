"""Where rows go: what every destination can do, and how to open one from its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from transformer.errors import UsageError
from transformer.load.address import Embedded, Nowhere, ParquetFolder, Server, parse_address
from transformer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from transformer.load.ledger import Ledger
    from transformer.schema.table import Table

DEFAULT_DESTINATION = "chdb://"
"""The embedded database in ./.dynamo2ch/chdb."""


class Destination(Protocol):
    """A place for rows. Threads may share it; a process that was forked from its own may not."""

    @property
    def url(self) -> str:
        """The URL without the password, with every default filled in: fit for logs and reports."""

    def ensure_table(self, table: Table) -> bool:
        """Create the table if it is missing; whether that was so.

        Raises ConflictError with the list of differences if there is one that cannot take the rows of `table`.
        """

    def insert(self, table: Table, batches: Sequence[pa.RecordBatch], token: str) -> None:
        """Insert all rows of `batches` as one block, or none of them.

        token: two inserts with one token are stored once, as long as the table remembers the first. Returning says that
        the server took the rows, raising RetryError says that it may have taken them.
        """

    def stored_rows(self, table: Table) -> int:
        """How many rows the table holds, of whatever version."""

    def ledger(self, table: Table) -> Ledger:
        """The ledger that is kept beside `table`; nothing is read or made yet."""

    def query(self, sql: str) -> bytes:
        """The result of one statement, in the format that its FORMAT clause names, else as a table for people."""

    def command(self, sql: str) -> None:
        """Run one statement that gives no rows: DDL, INSERT SELECT."""

    def close(self) -> None:
        """Give up connections and claims. May be called again."""


def open_destination(url: str = DEFAULT_DESTINATION, settings: Settings | None = None) -> Destination:
    """The destination that `url` names, connected.

    settings: password and time-outs, by default from the environment.
    Raises UsageError for a URL that cannot be understood or used, RetryError when nobody answers or, for an embedded
    database, when another process has it.
    """
    settings = Settings.from_environment() if settings is None else settings
    address = parse_address(url, settings)
    match address:
        case Nowhere():
            return NullDestination()
        case ParquetFolder():
            from transformer.load.parquet import ParquetDestination

            return ParquetDestination(address)
        case Embedded():
            from transformer.load.clickhouse import open_embedded

            return open_embedded(address)
        case Server():
            from transformer.load.clickhouse import open_server

            return open_server(address, settings)


def open_ledger(
    url: str | None, destination: Destination, table: Table, storage_options: Mapping[str, object] | None = None
) -> Ledger:
    """The ledger in the folder `url`, or where that is None, the one that `destination` keeps beside `table`.

    storage_options: passed to fsspec for `url`. Raises UsageError when `url` cannot be a ledger.
    """
    if url is None:
        return destination.ledger(table)
    from transformer.load.ledger_folder import FolderLedger

    return FolderLedger(url, storage_options)


def options_like(url: str | None, other: str, storage_options: Mapping[str, object]) -> Mapping[str, object]:
    """`storage_options`, which were given for `other`, where `url` is on storage of the same kind; none elsewhere."""
    protocol = (url or "").partition("://")[0]
    return storage_options if other.startswith(f"{protocol}://") else {}


class NullDestination:
    """Counts rows and forgets them: for measuring and for dry runs."""

    url = "null:"

    def __init__(self) -> None:
        self.rows = 0

    def ensure_table(self, table: Table) -> bool:
        """There is always a table here."""
        return False

    def insert(self, table: Table, batches: Sequence[pa.RecordBatch], token: str) -> None:
        """Count the rows."""
        self.rows += sum(batch.num_rows for batch in batches)

    def stored_rows(self, table: Table) -> int:
        """None are kept."""
        return 0

    def ledger(self, table: Table) -> Ledger:
        """One that keeps nothing either."""
        from transformer.load.ledger import NoLedger

        return NoLedger()

    def query(self, sql: str) -> bytes:
        """Raise UsageError: nothing was kept."""
        raise UsageError("null: keeps nothing that could be queried")

    def command(self, sql: str) -> None:
        """Raise UsageError: there is nothing here that a statement could change."""
        raise UsageError("null: has no tables")

    def close(self) -> None:
        """Nothing is open."""
