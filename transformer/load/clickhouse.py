"""The two destinations that are ClickHouse: a server over HTTP, and the engine inside this process.

Both go through clickhouse-connect and differ in how connections are made, not in what is sent over them.
"""

from __future__ import annotations

import contextlib
import json
import queue
from typing import TYPE_CHECKING, Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import Error as DriverError

from transformer import log
from transformer.errors import ConflictError, InternalError, RetryError, UsageError
from transformer.load.address import DEFAULT_DATABASE, Embedded, Server
from transformer.load.arrow_stream import arrow_stream
from transformer.load.engine import claim_engine, load_library, release_engine
from transformer.load.faults import Action, translate
from transformer.load.ledger_table import TableLedger
from transformer.load.older import NEW_READER, for_older_reader
from transformer.load.preflight import lacks
from transformer.load.statement import with_format
from transformer.load.tls import tls_options
from transformer.schema.ddl import count_rows, create_table, differences
from transformer.schema.expression import quote_identifier
from transformer.schema.layout import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

    from transformer.load.engine import Engine
    from transformer.load.ledger import Ledger
    from transformer.schema.table import Table
    from transformer.settings import Settings

_log = log.get(__name__)

OLDEST_SERVER = (24, 8)
"""Year and month of the oldest release that is supported."""

INSERT_SETTINGS: dict[str, int] = {
    "async_insert": 0,  # on by default since 26.2: would answer before the rows are stored, and mix chunks
    "insert_deduplicate": 1,  # tokens count only with it; a profile may have switched it off
    # However many batches a chunk has, the block ends with the insert: a token stands for one block.
    "min_insert_block_size_rows": 10_000_000,
    "min_insert_block_size_bytes": 0,
    "max_insert_threads": 1,  # a second thread would make a second block
    # Rows of one key are collapsed by merges and by FINAL; doing it within each inserted block as well costs a tenth of
    # all CPU up to the settled table (60,000 nested items, CPU seconds: 0.75 with it, 0.67 without; and 0.46 without it
    # and with NEWER_TABLE_SETTINGS). Sorting the chunks before they are sent brings 0.02 more and costs more than that.
    "optimize_on_insert": 0,
    # What differs from the table is an error, not a guess.
    "input_format_arrow_allow_missing_columns": 0,
    "input_format_arrow_case_insensitive_column_matching": 0,
    "input_format_null_as_default": 0,
    "input_format_skip_unknown_fields": 0,
    "distributed_foreground_insert": 1,  # through a Distributed table: answer when the shards have the rows
}
"""Sent with every insert, next to the token, so that no profile of the server decides any of it."""

NEWER_SETTINGS: dict[str, str] = {
    "deduplicate_insert": "enable",  # since 26.2; overrides insert_deduplicate
}
"""Sent where the server knows them."""

MAX_QUERY_BYTES = 16 << 20
"""Length of the longest statement of ours that a server is asked to read."""

NEWER_TABLE_SETTINGS: dict[str, int] = {
    # Parts as they were inserted live until they are merged: written as one file each and not as several per column,
    # they cost half the CPU of the insert (0.17 s of 0.34), and so does reading them for the merge.
    "min_level_for_wide_part": 1,
}
"""Given to a table that is made, where the server knows them."""

DEFAULT_FORMAT = "PrettyCompactNoEscapes"


def open_server(address: Server, settings: Settings) -> ClickHouse:
    """A destination on a server. Raises UsageError or RetryError, see `open_destination`."""

    tls = tls_options(address, settings)

    def connect() -> Client:
        return clickhouse_connect.get_client(
            interface="https" if address.secure else "http",
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password.reveal(),
            database=address.database,
            client_name="dynamo2ch",
            connect_timeout=settings.connect_timeout,
            send_receive_timeout=settings.read_timeout,
            autogenerate_session_id=False,  # statements of one session cannot run at the same time
            dedicated_pool=True,  # its sockets close with it
            query_retries=0,
            **tls,
        )

    # Over a network lz4 buffers cost less than the bytes they save.
    destination = ClickHouse(address, connect, compression="lz4")
    destination.check_version()
    return destination


def open_embedded(address: Embedded) -> ClickHouse:
    """A destination in a local folder. Raises UsageError or RetryError, see `open_destination`."""
    try:
        load_library()
    except ImportError as error:
        raise UsageError(
            "an embedded database needs the package chdb, which is not installed",
            remedy='Install it with pip install "dynamo2ch[embedded]", or name a server with --to http://...',
        ) from error
    engine = claim_engine(address.folder)

    def connect() -> Client:
        engine.check_process()
        try:
            client = clickhouse_connect.get_client(
                interface="chdb", path=str(address.folder), chdb_options=engine.options
            )
        except DriverError as error:
            if "Error initializing EmbeddedServer" in str(error):
                raise RetryError(
                    f"the embedded database in {address.folder} cannot be opened",
                    remedy="If another program has it open, wait for that one to end. The engine's reason is above.",
                ) from error
            raise
        if address.database != DEFAULT_DATABASE:
            client.command(f"CREATE DATABASE IF NOT EXISTS {quote_identifier(address.database)}")
            client.database = address.database
        return client

    try:
        return ClickHouse(address, connect, compression=None, engine=engine)
    except BaseException:
        release_engine(engine)
        raise


class ClickHouse:
    """A `Destination` behind a clickhouse-connect client.

    A client runs one statement at a time; as many clients are made as statements run at the same time.
    """

    def __init__(
        self,
        address: Server | Embedded,
        connect: Callable[[], Client],
        *,
        compression: str | None,
        engine: Engine | None = None,
    ) -> None:
        """Connect once, so that a destination that cannot be used is found out now.

        compression: of Arrow buffers on the way. engine: the claim that goes with an embedded database.
        """
        self._address = address
        self._connect = connect
        self._compression = compression
        self._engine = engine
        self._idle: queue.LifoQueue[Client] = queue.LifoQueue()
        self._closed = False
        with self._client(Action.CONNECT) as client:
            newer = {name: value for name, value in NEWER_SETTINGS.items() if name in client.server_settings}
            self._settings: dict[str, int | str] = {**INSERT_SETTINGS, **newer}
            self._version = str(client.server_version)
            self._release = tuple(int(number) for number in self._version.split(".")[:2])

    @property
    def url(self) -> str:
        """The URL without the password."""
        return self._address.url

    def check_version(self) -> None:
        """Raise UsageError when the server is too old."""
        if self._release < OLDEST_SERVER:
            self.close()
            raise UsageError(
                f"{self.url} is ClickHouse {self._version}",
                remedy=f"The oldest that is supported is {'.'.join(map(str, OLDEST_SERVER))}.",
            )

    def ensure_table(self, table: Table) -> bool:
        """See `Destination.ensure_table`."""
        with self._client(Action.PREPARE) as client:
            created = not self._exists(client, table)
            if isinstance(self._address, Server):
                missing = lacks(client, table, INSERT_SETTINGS, exists=not created)
                if missing:
                    lines = "".join(f"\n  - {lack}" for lack in missing)
                    raise UsageError(
                        f"{self.url} is not ready for a load into {table.name}:{lines}",
                        remedy="Have its administrator change that; SECURITY.md has the grants of a loader.",
                    )
            if created:
                settings = self._table_settings(client)
                client.command(create_table(table, if_not_exists=True, settings=settings))
                _log.info("table created", table=table.name, destination=self.url)
            # Also after creating: another process may have been faster, with another schema.
            found = self._differences(client, table)
        if found:
            lines = "".join(f"\n  - {difference}" for difference in found)
            raise ConflictError(
                f"table {table.name} at {self.url} does not fit the schema:{lines}",
                remedy="Change the table or the schema file, or load into another table with --table.",
            )
        return created

    @staticmethod
    def _table_settings(client: Client) -> dict[str, int]:
        known = client.query(
            "SELECT name FROM system.merge_tree_settings WHERE has({names:Array(String)}, name)",
            parameters={"names": list(NEWER_TABLE_SETTINGS)},
        ).result_rows
        return {str(name): NEWER_TABLE_SETTINGS[str(name)] for (name,) in known}

    def _exists(self, client: Client, table: Table) -> bool:
        rows = client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
            parameters={"name": table.name},
        ).result_rows
        return bool(rows)

    def _differences(self, client: Client, table: Table) -> list[str]:
        where = {"name": table.name}
        described = client.query(
            "SELECT sorting_key, engine_full, partition_key FROM system.tables "
            "WHERE database = currentDatabase() AND name = {name:String}",
            parameters=where,
        ).result_rows
        if not described:
            return ["it was dropped again as soon as it was there"]
        sorting_key, engine, partition_key = described[0]
        columns = client.query(
            "SELECT name, type, default_kind FROM system.columns "
            "WHERE database = currentDatabase() AND table = {name:String} ORDER BY position",
            parameters=where,
        ).result_rows
        existing = [(str(name), str(type_), str(kind)) for name, type_, kind in columns]
        return differences(table, existing, str(sorting_key), str(engine), str(partition_key))

    def insert(self, table: Table, batches: Sequence[pa.RecordBatch], token: str) -> None:
        """See `Destination.insert`."""
        batches = [batch for batch in batches if batch.num_rows]
        if not batches:
            return
        schema = arrow_schema(table)
        for batch in batches:
            # The server converts whatever comes, and wraps, cuts and guesses while it does.
            if batch.schema.names != schema.names or batch.schema.types != schema.types:
                raise InternalError(f"a batch for {table.name} has the columns {batch.schema}, not {schema}")
        if self._release < NEW_READER:
            batches = [for_older_reader(table, batch) for batch in batches]
        with self._client(Action.INSERT) as client:
            client.raw_insert(
                table=quote_identifier(table.name),
                column_names=schema.names,
                # A generator: the driver sends bytes a second time after a lost connection, without a token.
                insert_block=arrow_stream(batches, compression=self._compression),
                settings={**self._settings, "insert_deduplication_token": token},
                fmt="ArrowStream",
            )

    def ledger(self, table: Table) -> Ledger:
        """See `Destination.ledger`."""
        return TableLedger(self, engine=table.engine, cluster=table.cluster)

    def records(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a SELECT without a FORMAT clause, as JSON objects.

        parameters: for `{name:Type}` in the statement. settings: sent with it. Numbers of 64 bits and more are exact,
        as text. Raises as `query` does.
        """
        with self._client(Action.QUERY) as client:
            answer = client.raw_query(
                f"{sql}\nFORMAT JSONEachRow",
                parameters=dict(parameters or {}),
                settings={"output_format_json_quote_64bit_integers": 1, **(settings or {})},
            )
        return [json.loads(line) for line in answer.splitlines()]

    def execute(self, sql: str) -> None:
        """Run a statement that returns nothing. Raises as `query` does."""
        with self._client(Action.PREPARE) as client:
            client.command(sql)

    def insert_records(
        self,
        table: str,
        columns: Sequence[str],
        records: Sequence[Mapping[str, object]],
        *,
        token: str,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Insert JSON objects as one block with a deduplication token; for few and small rows."""
        lines = [json.dumps(record, ensure_ascii=True).encode() + b"\n" for record in records]
        with self._client(Action.RECORD) as client:
            client.raw_insert(
                table=quote_identifier(table),
                column_names=list(columns),
                insert_block=(line for line in lines),
                settings={**self._settings, **(settings or {}), "insert_deduplication_token": token},
                fmt="JSONEachRow",
            )

    def stored_rows(self, table: Table) -> int:
        """See `Destination.stored_rows`."""
        return int(self.query(f"{count_rows(table)} FORMAT TSV"))

    def query(self, sql: str) -> bytes:
        """See `Destination.query`."""
        with self._client(Action.QUERY) as client:
            return client.raw_query(with_format(sql, DEFAULT_FORMAT))

    def command(self, sql: str) -> None:
        """See `Destination.command`."""
        with self._client(Action.PREPARE) as client:
            # A generated view may be longer than the default of 256 KiB.
            client.command(sql, settings={"max_query_size": MAX_QUERY_BYTES})

    def close(self) -> None:
        """See `Destination.close`."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()
        if self._engine is not None:
            release_engine(self._engine)

    @contextlib.contextmanager
    def _client(self, action: Action) -> Iterator[Client]:
        """A client that is nobody else's inside, with what goes wrong translated."""
        if self._closed:
            raise InternalError(f"{self.url} is closed")
        if self._engine is not None:
            self._engine.check_process()
        client: Any = None
        try:
            try:
                client = self._idle.get_nowait()
            except queue.Empty:
                client = self._connect()
            yield client
        except Exception as error:
            if client is not None:
                self._give_back(client)
            fault = translate(error, action, self._address)
            if fault is error:
                raise
            raise fault from error
        self._give_back(client)

    def _give_back(self, client: Client) -> None:
        if self._closed:
            client.close()
        else:
            self._idle.put(client)
