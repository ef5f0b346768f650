"""Rows as Parquet files, one for each chunk, for those who keep a copy in a lake.

    <root>/<table>/_schema.json                                     what the rows are; another schema is a conflict
    <root>/<table>/<job>/<data file>-<first line>-<last line>.parquet   a chunk, whole or not there
    <root>/_ledger/...                                              see `transformer.load.ledger_folder`

A chunk is the same rows in every attempt, and its file has the same name, so writing it again changes nothing. A job
that was given up is taken out of the folder: no later row would replace its rows, as a ReplacingMergeTree does.

Types are those of `transformer.schema.portable`: what Parquet lacks is text that spells the value out.
"""

from __future__ import annotations

import errno
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from transformer.errors import ConflictError, InternalError, RetryError, UsageError
from transformer.load.chunks import Token
from transformer.load.ledger import Job, JobEvent, JobState
from transformer.load.ledger_folder import FolderLedger, safe_name
from transformer.load.publish import LocalFile, StoredFile
from transformer.schema.ddl import fingerprint
from transformer.schema.portable import portable_schema, to_portable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.errors import Dynamo2chError
    from transformer.load.address import ParquetFolder
    from transformer.load.publish import Target
    from transformer.schema.table import Table

LEDGER = "_ledger"
SCHEMA = "_schema.json"
_FILE_MODE = 0o666  # as the umask allows: unlike rejects, these are meant for others
_PERMANENT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR}


class ParquetDestination:
    """A folder of Parquet files, at any fsspec URL. See `transformer.load.destination.Destination`."""

    def __init__(self, address: ParquetFolder) -> None:
        """Nothing is read or made yet. Raises UsageError when fsspec does not know the URL."""
        import fsspec.core
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._fs, root = fsspec.core.url_to_fs(address.folder)
        except (ValueError, ImportError, TypeError) as error:
            raise UsageError(f"Parquet files cannot be written to {address.folder}: {error}") from error
        self.url = address.url
        self._folder = address.folder.rstrip("/")
        self._binary = address.binary
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)

    def ensure_table(self, table: Table) -> bool:
        """See `Destination.ensure_table`. The columns of two schemas would not fit into one data set."""
        schema = self._schema(table)
        wanted = {
            "table": table.name,
            "key": list(table.key),
            "fingerprint": fingerprint(table),
            "columns": [{"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in schema],
        }
        path = f"{self._table(table)}/{SCHEMA}"
        try:
            found = json.loads(self._fs.cat_file(path))
        except FileNotFoundError:
            self._write(path, json.dumps(wanted, indent=1).encode() + b"\n")
            return True
        except ValueError as error:
            raise ConflictError(
                f"{path} is not what this tool writes: {error}", remedy="Choose another folder with --to parquet:URL."
            ) from error
        except Exception as error:
            raise self._fault(path, error, "read") from error
        if found != wanted:
            raise ConflictError(
                f"{self._table(table)} holds rows of another schema (fingerprint {found.get('fingerprint')}, "
                f"now {wanted['fingerprint']})",
                remedy="Write to another folder with --to parquet:URL, or to another table with --table.",
            )
        return False

    def insert(self, table: Table, batches: Sequence[pa.RecordBatch], token: str) -> None:
        """Write the rows as one file, or none of them. Raises SourceError for bytes in a column of text."""
        if not isinstance(token, Token):
            raise InternalError("a Parquet file is named by the chunk's token, and this is only its text")
        schema = self._schema(table)
        rows = pa.Table.from_batches([to_portable(batch, table, schema, where=token.file) for batch in batches], schema)
        out = io.BytesIO()
        # One row group: a chunk is small, and readers skip whole files by its statistics.
        pq.write_table(rows, out, compression="zstd", row_group_size=max(1, rows.num_rows), store_schema=True)
        name = f"{safe_name(token.file)}-{token.first_line}-{token.last_line}.parquet"
        self._write(f"{self._table(table)}/{token.job}/{name}", out.getvalue())

    def stored_rows(self, table: Table) -> int:
        """See `Destination.stored_rows`; read from the end of each file."""
        try:
            self._fs.invalidate_cache()
            found = self._fs.find(self._table(table), maxdepth=2)
            return sum(self._rows(name) for name in found if name.endswith(".parquet"))
        except FileNotFoundError:
            return 0
        except Exception as error:
            raise self._fault(self._table(table), error, "read") from error

    def _rows(self, name: str) -> int:
        with self._fs.open(name, "rb") as file:
            return int(pq.read_metadata(file).num_rows)

    def ledger(self, table: Table) -> FolderLedger:
        """See `Destination.ledger`."""
        return _Ledger(self)

    def query(self, sql: str) -> bytes:
        """Raise UsageError: files have no engine."""
        raise UsageError(
            "parquet: keeps files and has no engine that could answer a query",
            remedy=f"DuckDB reads them with read_parquet('{self._folder}/TABLE/*/*.parquet').",
        )

    def command(self, sql: str) -> None:
        """Raise UsageError: files have no tables that a statement could change."""
        raise UsageError("parquet: keeps files and has no tables", remedy="Name a ClickHouse destination with --to.")

    def close(self) -> None:
        """Nothing is open."""

    def remove(self, job: Job) -> None:
        """Remove what a job has written, if anything. Raises RetryError or UsageError."""
        path = f"{self._root}/{safe_name(job.table)}/{job.job}"
        try:
            self._fs.invalidate_cache()
            if self._fs.exists(path):
                self._fs.rm(path, recursive=True)
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._fault(path, error, "removed") from error

    def ledger_url(self) -> str:
        """Where the ledger is."""
        return f"{self._folder}/{LEDGER}"

    def _table(self, table: Table) -> str:
        return f"{self._root}/{safe_name(table.name)}"

    def _schema(self, table: Table) -> pa.Schema:
        return portable_schema(table, binary=self._binary)

    def _write(self, path: str, content: bytes) -> None:
        target: Target = LocalFile(path, mode=_FILE_MODE) if self._local else StoredFile(self._fs, path)
        out: Any = None
        try:
            out = target.open()
            out.write(content)
            target.publish(out)
        except Exception as error:
            if out is not None:
                target.discard(out)
            raise self._fault(path, error, "written") from error

    @staticmethod
    def _fault(path: str, error: Exception, done: str) -> Dynamo2chError:
        message = f"{path} cannot be {done}: {error}"
        if isinstance(error, OSError):
            if error.errno in _PERMANENT or isinstance(error, PermissionError):
                return UsageError(message, remedy="Mend its permissions, or choose another folder (--to parquet:URL).")
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return RetryError(message, remedy="Make room, then run the same command again; it goes on from there.")
        return RetryError(message)


class _Ledger(FolderLedger):
    """A ledger that takes the files of jobs away which are given up."""

    def __init__(self, destination: ParquetDestination) -> None:
        super().__init__(destination.ledger_url())
        self._destination = destination

    def start(self, job: Job) -> Job:
        """See `Ledger.start`. A crash may have come between giving up a job and removing its files."""
        for other in self.jobs(job.table):
            if other.state is JobState.ABANDONED:
                self._destination.remove(other)
        return super().start(job)

    def note(self, job: Job, event: JobEvent) -> Job:
        """See `Ledger.note`. First noted, then removed: files that the ledger calls loaded are there."""
        noted = super().note(job, event)
        if event is JobEvent.ABANDONED:
            self._destination.remove(job)
        return noted
