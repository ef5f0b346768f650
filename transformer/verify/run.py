"""One verification: find export and job, ask the questions in the order of their cost, stop for nothing."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformer.errors import ConflictError, Dynamo2chError, UsageError
from transformer.load.ledger import Job, JobKind, JobState, Totals, living, replays_of
from transformer.schema.lookup import resolve_table
from transformer.verify.result import Check, Finding, VerifyResult

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from transformer.load.clickhouse import ClickHouse
    from transformer.load.ledger import Ledger
    from transformer.schema.table import Table
    from transformer.source.export import Export


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """What to prove.

    export, schema, destination, table, ledger, storage_options: as in a load (`transformer.job.request`).
    sample: how many items to decode slowly and compare; 0 for none. seed: draws them.
    full: load the export a second time and compare every row. workers: threads that do so.
    """

    export: str
    schema: Table | str | Path | None = None
    destination: str | None = None
    table: str | None = None
    ledger: str | None = None
    sample: int = 0
    seed: int = 1
    full: bool = False
    workers: int = 1
    storage_options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise UsageError for numbers that mean nothing."""
        if self.sample < 0:
            raise UsageError("--sample cannot be negative")
        if self.workers < 1:
            raise UsageError("--workers must be 1 or more")


def run(request: VerifyRequest) -> VerifyResult:
    """Prove that the destination holds what the export holds, or show the first differences.

    Every error that the tool raises on purpose is in the result (`error`, `exit_code`).
    """
    begin = time.perf_counter()
    result = VerifyResult(export=request.export)
    try:
        _verify(request, result)
    except Dynamo2chError as error:
        result.error = error
    result.seconds = time.perf_counter() - begin
    return result


def _verify(request: VerifyRequest, result: VerifyResult) -> None:
    from transformer.load.clickhouse import ClickHouse
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination, open_ledger, options_like
    from transformer.source.export import find_export
    from transformer.source.faults import public_url
    from transformer.verify.accounts import check_accounts
    from transformer.verify.keys import check_keys

    result.export = public_url(request.export)
    export = find_export(request.export, request.storage_options)
    result.export = export.shown
    result.warnings.extend(export.warnings)
    table = resolve_table(request.schema, name=request.table, table_in_export=export.table_name, export=export.shown)
    result.table = table.name
    with contextlib.closing(open_destination(request.destination or DEFAULT_DESTINATION)) as destination:
        result.destination = destination.url
        if not isinstance(destination, ClickHouse):
            raise UsageError(
                f"{destination.url} keeps nothing that could be verified", remedy="Name another with --to."
            )
        options = options_like(request.ledger, export.url, request.storage_options)
        ledger = open_ledger(request.ledger, destination, table, options)
        job, replays = find_job(ledger, table, export)
        result.job = job.job
        check_schema(table, job, replays)
        files = ledger.files(job.job)
        replayed = Totals.of(file for replay in replays for file in ledger.files(replay.job).values())
        loaded = Totals.of(files.values())
        result.rows = loaded.rows + replayed.rows
        result.rejects_open = loaded.rejects - replayed.rows
        result.checks.append(check_accounts(export, job, files))
        result.checks.append(check_keys(destination, table, job.version, loaded.keys + replayed.keys))
        if request.sample:
            from transformer.verify.sample import check_sample

            result.checks.append(
                check_sample(
                    destination,
                    table,
                    export,
                    files,
                    version=job.version,
                    count=request.sample,
                    seed=request.seed,
                    storage_options=request.storage_options,
                )
            )
        if request.full:
            _full(request, result, destination, table, export, job)


def _full(
    request: VerifyRequest,
    result: VerifyResult,
    destination: ClickHouse,
    table: Table,
    export: Export,
    job: Job,
) -> None:
    """Compare every row. With that, what the digests left open is closed."""
    from transformer.load.chunks import ChunkLimits
    from transformer.verify.staging import check_all

    rows, rejects = check_all(
        destination,
        table,
        export,
        version=job.version,
        limits=ChunkLimits(items=job.chunk_items, bytes=job.chunk_bytes),
        workers=request.workers,
        storage_options=request.storage_options,
    )
    result.checks.append(rows)
    if rejects != result.rejects_open:
        result.checks.append(
            Check(
                "rejects",
                Finding.MISMATCH,
                f"{rejects:,} items of the export are rejected now, {result.rejects_open:,} according to the ledger",
            )
        )
    if rows.finding is Finding.PROVED:
        for check in result.checks:
            if check.finding is Finding.CONSISTENT:
                check.finding = Finding.PROVED


def find_job(ledger: Ledger, table: Table, export: Export) -> tuple[Job, list[Job]]:
    """The job that has loaded `export` into `table`, and the replays of its rejects.

    Raises ConflictError when the ledger knows of none.
    """
    jobs = ledger.jobs(table.name)
    wanted = Job(job="", kind=JobKind.SNAPSHOT, table=table.name, export=export.fingerprint)
    job = living(wanted, jobs)
    if job is None:
        raise ConflictError(
            f"the ledger in {ledger.where} knows of no load of {export.shown} into table {table.name}",
            remedy="Load it with `dynamo2ch snapshot`, or name the destination, table or ledger it was loaded into.",
        )
    return job, [replay for replay in replays_of(job, jobs) if replay.state is not JobState.ABANDONED]


def check_schema(table: Table, job: Job, replays: list[Job]) -> None:
    """Raise ConflictError unless the schema is one that rows of the job were loaded with."""
    from transformer.schema.ddl import fingerprint

    mine = fingerprint(table)
    if mine not in {job.schema, *(replay.schema for replay in replays)}:
        raise ConflictError(
            f"job {job.job} has loaded table {table.name} with another schema: fingerprint {job.schema}, not {mine}",
            remedy="Verify with the schema file that it was loaded with.",
        )
