"""What the ledger says of the jobs of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.load.ledger import Job, Totals, replays_of

if TYPE_CHECKING:
    from pathlib import Path

    from transformer.load.destination import Destination


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job. loaded: totals of its finished files. replayed: rows that replays of its rejects have loaded."""

    job: Job
    loaded: Totals
    replayed: int

    def to_dict(self) -> dict[str, object]:
        """The record as `--json` prints it."""
        return {
            **self.job.to_record(),
            "state": self.job.state.value,
            "attempts": self.job.attempts,
            "ended_at": self.job.ended_at or None,
            "files_finished": self.loaded.files,
            "items_read": self.loaded.items,
            "rows_inserted": self.loaded.rows,
            "items_rejected": self.loaded.rejects,
            "rows_replayed": self.replayed,
            "rejects_open": self.loaded.rejects - self.replayed,
            "chunks": self.loaded.chunks,
            "gz_bytes": self.loaded.gz_bytes,
            "json_bytes": self.loaded.json_bytes,
        }


def statuses(
    destination: Destination, *, schema: Path | None, table: str | None, ledger: str | None
) -> tuple[str, list[JobStatus]]:
    """The name of the table, and its jobs in the order in which they were started.

    schema, table: name the table, one of them at least. ledger: as in a load.
    Raises UsageError when nothing names a table.
    """
    from transformer.load.destination import open_ledger
    from transformer.schema.file import load_schema
    from transformer.schema.table import Table

    if schema is not None:
        described = load_schema(schema)
        name = table or described.name
    elif table is not None:
        # The ledger is found without the columns.
        described, name = Table(name=table, key=(), columns=()), table
    else:
        raise UsageError("no table is named", remedy="Name one with --table NAME or --schema FILE.")
    books = open_ledger(ledger, destination, described)
    jobs = books.jobs(name)
    files = {job.job: Totals.of(books.files(job.job).values()) for job in jobs}
    return name, [
        JobStatus(job, files[job.job], sum(files[child.job].rows for child in replays_of(job, jobs))) for job in jobs
    ]
