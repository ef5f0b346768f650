"""The ledger as two tables in the database of the destination.

`_dynamo2ch_jobs` has one row for each event of a job, `_dynamo2ch_files` one for each finished data file. Rows are only
ever added; a row that stands twice (a retry on a table that does not deduplicate) counts once.

Who is first, when workers on several machines start one job at the same moment, is decided by ClickHouse: they all send
their row with the same deduplication token, and it keeps one of them.

Behind a load balancer a read may meet a replica that has not got the last write yet. Shared engines wait for it with
`select_sequential_consistency`. For Replicated engines that setting looks only at inserts with a quorum, and so these
are sent to a quorum, one after the other, as its documentation asks
(https://clickhouse.com/docs/operations/settings/settings#select_sequential_consistency).
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from transformer.errors import InternalError
from transformer.load.ledger import (
    FIXED,
    FinishedFile,
    Job,
    JobEvent,
    begin,
    moment,
    unreadable,
    with_events,
)
from transformer.schema.expression import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JOBS = "_dynamo2ch_jobs"
FILES = "_dynamo2ch_files"

_JOB_TYPES = {
    "files": "UInt64",
    "items": "Nullable(UInt64)",
    "version": "Int64",
    "revision": "UInt32",
    "chunk_items": "UInt64",
    "chunk_bytes": "UInt64",
}
_JOB_COLUMNS = {
    **{name: _JOB_TYPES.get(name, "String") for name in FIXED},
    "event": "String",
    "at": "String",
}
_FILE_COLUMNS = {
    "job": "String",
    "file": "String",
    "attempt": "UInt32",
    "items": "UInt64",
    "rows": "UInt64",
    "rejects": "UInt64",
    "rejects_by_code": "Map(String, UInt64)",
    "chunks": "UInt32",
    "gz_bytes": "UInt64",
    "json_bytes": "UInt64",
    "md5": "String",
    "keys_count": "UInt64",
    "keys_sum": "UInt64",
    "keys_xor": "UInt64",
    "started_at": "String",
    "finished_at": "String",
    "worker": "String",
}


class Statements(Protocol):
    """What the ledger needs of a ClickHouse."""

    @property
    def url(self) -> str:
        """Without credentials."""

    def records(
        self, sql: str, parameters: Mapping[str, object] | None = None, settings: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a SELECT."""

    def execute(self, sql: str) -> None:
        """Run a statement that returns nothing."""

    def insert_records(
        self,
        table: str,
        columns: Sequence[str],
        records: Sequence[Mapping[str, object]],
        *,
        token: str,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Insert rows as one block with a deduplication token."""


class TableLedger:
    """See the module."""

    def __init__(self, database: Statements, *, engine: str = "ReplacingMergeTree", cluster: str = "") -> None:
        """Nothing is read or made yet.

        engine, cluster: of the destination table; the ledger is made like it when it is made.
        """
        self._database = database
        self._family = engine.removesuffix("ReplacingMergeTree")
        self._cluster = cluster
        self._ready = False

    @property
    def where(self) -> str:
        """The tables' names and the destination's URL."""
        return f"{JOBS} and {FILES} at {self._database.url}"

    def jobs(self, table: str) -> list[Job]:
        """See `Ledger.jobs`."""
        if not self._exists():
            return []
        rows = self._database.records(
            f"SELECT * FROM {JOBS} WHERE table = {{table:String}} ORDER BY at, job, event",  # noqa: S608 - constants
            {"table": table},
            self._read_settings(),
        )
        found: dict[str, Job] = {}
        events: dict[str, set[tuple[str, str]]] = {}
        try:
            for row in rows:
                if row["event"] == JobEvent.STARTED.value:
                    found.setdefault(row["job"], Job.from_record(row))
                else:
                    events.setdefault(row["job"], set()).add((row["at"], row["event"]))
            jobs = [
                with_events(job, [(JobEvent(event), at) for at, event in sorted(events.get(name, ()))])
                for name, job in found.items()
            ]
        except (KeyError, ValueError, TypeError) as error:
            raise unreadable(self.where, f"{type(error).__name__} {error}") from error
        return sorted(jobs, key=lambda job: (job.started_at, job.job))

    def start(self, job: Job) -> Job:
        """See `Ledger.start`."""
        self._make()
        return begin(
            job,
            lambda: self.jobs(job.table),
            lambda token: self._insert_event(job, JobEvent.STARTED, job.started_at, token),
            self.where,
        )

    def note(self, job: Job, event: JobEvent) -> Job:
        """See `Ledger.note`."""
        self._make()
        at = moment(datetime.now(UTC))
        self._insert_event(job, event, at, _token([job.job, event.value, at]))
        return with_events(job, [(event, at)])

    def record(self, files: Sequence[FinishedFile]) -> None:
        """See `Ledger.record`."""
        if not files:
            return
        self._make()
        records = [file.to_record() for file in files]
        self._database.insert_records(
            FILES, list(_FILE_COLUMNS), records, token=_token(records), settings=self._write_settings()
        )

    def files(self, job: str) -> dict[str, FinishedFile]:
        """See `Ledger.files`."""
        if not self._exists():
            return {}
        rows = self._database.records(
            f"SELECT * FROM {FILES} WHERE job = {{job:String}} "  # noqa: S608 - constants
            "ORDER BY file, finished_at LIMIT 1 BY file",
            {"job": job},
            self._read_settings(),
        )
        try:
            return {row["file"]: FinishedFile.from_record(row) for row in rows}
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise unreadable(self.where, f"{type(error).__name__} {error}") from error

    def _insert_event(self, job: Job, event: JobEvent, at: str, token: str) -> None:
        record = {**job.to_record(), "event": event.value, "at": at}
        self._database.insert_records(JOBS, list(_JOB_COLUMNS), [record], token=token, settings=self._write_settings())

    def _exists(self) -> bool:
        """Whether both tables are there. Notes their kind of engine, which may be another than was asked for."""
        if not self._ready:
            rows = self._database.records(
                "SELECT name, engine FROM system.tables "
                "WHERE database = currentDatabase() AND name IN ({jobs:String}, {files:String})",
                {"jobs": JOBS, "files": FILES},
            )
            if len(rows) == 2:
                self._family = str(rows[0]["engine"]).removesuffix("MergeTree")
                self._ready = True
        return self._ready

    def _make(self) -> None:
        """Make the tables where they are not there."""
        if self._exists():
            return
        for name, columns, order in ((JOBS, _JOB_COLUMNS, "table, export, job"), (FILES, _FILE_COLUMNS, "job, file")):
            on = f" ON CLUSTER {quote_identifier(self._cluster)}" if self._cluster else ""
            lines = ", ".join(f"{quote_identifier(column)} {type_}" for column, type_ in columns.items())
            window = "" if self._family else " SETTINGS non_replicated_deduplication_window = 1000"
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {name}{on} ({lines}) "
                f"ENGINE = {self._family}MergeTree ORDER BY ({order}){window}"
            )
        if not self._exists():
            raise InternalError(f"the ledger was made, but is not there: {self.where}")

    def _read_settings(self) -> dict[str, object]:
        return {"select_sequential_consistency": 1} if self._family else {}

    def _write_settings(self) -> dict[str, object]:
        return {"insert_quorum": "auto", "insert_quorum_parallel": 0} if self._family == "Replicated" else {}


def _token(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
