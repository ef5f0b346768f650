"""The server engine: ClickHouse reads the data files of an export itself and decodes them with generated SQL.

The way of ClickHouse's guide, for those who would rather keep the work on the server. It costs the server several times
the CPU that ready rows cost (see bench/), and it cannot check the MD5 of a file; what it lets through is, column by
column, what the kernels would make of it, and what it cannot decode exactly goes to the table of dead letters.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from transformer.errors import ExitCode, MismatchError, UsageError
from transformer.job.snapshot import resolve_table
from transformer.load.address import Embedded, parse_address
from transformer.load.destination import DEFAULT_DESTINATION, open_destination
from transformer.reader.version import snapshot_version
from transformer.schema.ddl import count_keys
from transformer.schema.expression import quote_identifier, quote_string
from transformer.schema.landing import DEFAULT_DEPTH, Names, server_statements
from transformer.settings import Settings
from transformer.source.export import find_export

if TYPE_CHECKING:
    from transformer.job.request import SnapshotRequest
    from transformer.load.destination import Destination
    from transformer.source.export import DataFile

_LINES = "SELECT count() FROM {source} WHERE match(line, '[^ \\\\t\\\\r]') FORMAT TSV"


@dataclass(slots=True)
class ServerResult:
    """What a load by the server engine did.

    dead_letters: items that could not be decoded exactly; they are in the table `rejects`.
    rows_inserted: items less dead letters; held against the keys in the table when it was empty before.
    """

    table: str
    destination: str
    rejects: str
    engine: str = "server"
    status: str = "complete"
    files_total: int = 0
    files_loaded: int = 0
    items_in_manifest: int | None = None
    items_read: int = 0
    rows_inserted: int = 0
    items_rejected: int = 0
    keys_in_table: int = 0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    max_rejects: int = 0

    @property
    def exit_code(self) -> ExitCode:
        """INPUT when more items were rejected than the run allows."""
        return ExitCode.INPUT if self.items_rejected > self.max_rejects else ExitCode.DONE

    def to_dict(self) -> dict[str, object]:
        """The result as JSON."""
        return asdict(self)


def load_on_server(request: SnapshotRequest, *, role: str = "", depth: int = DEFAULT_DEPTH) -> ServerResult:
    """Load a full export with statements of the destination alone.

    request: its export, schema, destination, table and max_rejects count; what is about threads, chunks and ledgers
        does not: the ledger knows nothing of such a load, and a second one loads the same rows again, which merges
        remove.
    role: ARN of a role that the server assumes to read from S3; without one, it reads with what it has itself.
    depth: see `landing_statements`.
    Raises UsageError for a place that the server cannot read from, MismatchError when a data file has another number of
    items than its manifest says, or the table another number of keys than items were loaded into it.
    """
    begin = time.perf_counter()
    to = request.destination or DEFAULT_DESTINATION
    export = find_export(request.export, dict(request.storage_options))
    table = resolve_table(request, export)
    address = parse_address(to, Settings.from_environment())
    sources = {file.name: _source(file, role, embedded=isinstance(address, Embedded)) for file in export.files}
    names = Names.of_snapshot(table.name)
    destination = open_destination(to)
    try:
        result = ServerResult(table.name, destination.url, names.dead, max_rejects=request.max_rejects)
        result.warnings.extend(export.warnings)
        result.files_total, result.items_in_manifest = len(export.files), export.item_count
        version = snapshot_version(table, export)
        begun = empty = False
        before = 0
        for file in export.files:
            source = sources[file.name]
            statements, insert = server_statements(table, source, depth=depth, version=version)
            if not begun:
                for statement in statements:
                    destination.command(statement.sql)
                destination.ensure_table(table)
                empty = _count(destination, count_keys(table)) == 0
                before = _dead(destination, names.dead)
                begun = True
            items = _count(destination, _LINES.format(source=source))
            if file.item_count is not None and items != file.item_count:
                raise MismatchError(
                    f"{file.name} holds {items:,} items, and {file.item_count:,} by its manifest",
                    remedy="Copy the export again.",
                )
            destination.command(insert)
            result.items_read += items
            result.files_loaded += 1
        if begun:
            result.items_rejected = _dead(destination, names.dead) - before
            result.keys_in_table = _count(destination, count_keys(table))
        result.rows_inserted = result.items_read - result.items_rejected
        if empty and result.keys_in_table != result.rows_inserted:
            raise MismatchError(
                f"{result.rows_inserted:,} items were loaded, and {table.name} has {result.keys_in_table:,} keys",
                remedy="Empty the table and load again; if it stays so, two items share a key.",
            )
    finally:
        destination.close()
    if result.items_rejected:
        result.status = "complete_with_rejects"
    result.seconds = round(time.perf_counter() - begin, 3)
    return result


def _source(file: DataFile, role: str, *, embedded: bool) -> str:
    """The table function that gives the lines of a data file in a column `line`."""
    form = "'LineAsString', 'line String', 'gzip'"
    parts = urlsplit(file.url)
    if parts.scheme == "s3":
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
            raise UsageError(f"{file.shown}: that is no bucket", remedy="Write s3://bucket/prefix/...")
        key = quote(parts.path.lstrip("/"), safe="/-_.~")
        url = quote_string(f"https://{parts.netloc}.s3.amazonaws.com/{key}")
        credentials = f", extra_credentials(role_arn = {quote_string(role)})" if role else ""
        return f"s3({url}, {form}{credentials})"
    if parts.scheme in ("", "file") and embedded:
        path = Path(unquote(parts.path) if parts.scheme else file.url).absolute()
        if any(character in str(path) for character in "*?{}"):
            raise UsageError(f"{path}: ClickHouse would take that for a pattern", remedy="Rename the folder.")
        return f"file({quote_string(str(path))}, {form})"
    raise UsageError(
        f"the server cannot read {file.shown}",
        remedy="Give an export in s3://, or load with --engine client, which sends the rows from here.",
    )


def _count(destination: Destination, sql: str) -> int:
    return int(destination.query(sql if "FORMAT" in sql else f"{sql} FORMAT TSV"))


def _dead(destination: Destination, dead: str) -> int:
    return _count(destination, f"SELECT count() FROM {quote_identifier(dead)} FORMAT TSV")  # noqa: S608 - quoted
