"""What a snapshot run is asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.schema.lookup import SCHEMA_FOLDER as SCHEMA_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from transformer.job.shards import Shard
    from transformer.schema.table import Table

REJECTS_FOLDER = ".dynamo2ch/rejects"


def default_workers() -> int:
    """The cores this process may use: a container's share, not the machine's."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux knows
        return os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """One export into one table.

    incremental: whether it is an incremental one. allow_gap: load a window although it does not continue what the table
        holds (see `transformer.job.chain`).
    export: an export folder, its manifest-summary.json, a folder above one export, or a folder of *.json.gz; any
        fsspec URL.
    schema: a resolved table, the path of a schema file, or None for schemas/<table>.yaml, where <table> is `table` or
        else the name in the export's manifest.
    destination: URL of the destination, or None for the default embedded database.
    table: name of the destination table, or None for the name in the schema file.
    workers: threads that read and decode, None for one a core.
    memory: bytes for data in flight (see `transformer.job.budget`), or None for as much as the workers can use.
    max_rejects: how many rejected items still count as success. Never stops a load.
    stop_after_rejects: end early when that many items were rejected, None for never.
    rejects: URL of the folder for quarantined items, or None for .dynamo2ch/rejects/<export>. A folder named after the
        run is made in it.
    restart: give up what earlier runs of the same export have done, and load all of it as a new job.
    ledger: URL of a folder to keep the ledger in, or None for tables in the destination's database.
    shard: which part of the files this run takes, or None for all.
    chunk_items: most items of one insert, or None for what suits the schema. Decided when a job starts.
    retry_seconds: for how long a call to the destination is tried again, 0 for never; None for the settings' number.
    dry_run: decode and judge everything, insert nothing; rejects are written only where `rejects` names a place.
    storage_options: passed to fsspec for the export.
    """

    export: str
    incremental: bool = False
    allow_gap: bool = False
    schema: Table | str | Path | None = None
    destination: str | None = None
    table: str | None = None
    workers: int | None = None
    memory: int | None = None
    max_rejects: int = 0
    stop_after_rejects: int | None = None
    rejects: str | None = None
    restart: bool = False
    ledger: str | None = None
    shard: Shard | None = None
    chunk_items: int | None = None
    retry_seconds: float | None = None
    dry_run: bool = False
    storage_options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise UsageError for numbers that mean nothing."""
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"{self.workers} workers cannot load anything", remedy="Give --workers 1 or more.")
        if self.max_rejects < 0:
            raise UsageError("--max-rejects cannot be negative")
        if self.stop_after_rejects is not None and self.stop_after_rejects < 1:
            raise UsageError("--stop-after-rejects must be 1 or more")
        if self.chunk_items is not None and self.chunk_items < 1:
            raise UsageError("--chunk-items must be 1 or more")
        if self.restart and self.shard is not None and self.shard.number != 1:
            raise UsageError(
                "--restart begins a new job, which only one part may do",
                remedy=f"Start part 1/{self.shard.count} with --restart, and when it is at work the others without.",
            )
