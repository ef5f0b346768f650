"""One export into one table: find it, check the schema, open the destination, load every file, account for it."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, MismatchError, RejectsError, UsageError
from transformer.job import events
from transformer.job.budget import MEMORY_PER_WORKER, Budget, format_size
from transformer.job.chain import Loaded
from transformer.job.parts import Parts
from transformer.job.pipeline import Pipeline
from transformer.job.recorder import Recorder
from transformer.job.request import REJECTS_FOLDER, default_workers
from transformer.job.resources import peak_rss_bytes
from transformer.job.result import FileOutcome, FileState, SnapshotResult, Status, summary
from transformer.job.resume import TakenUp, take_up
from transformer.job.stop import StopSwitch
from transformer.load.destination import open_ledger as open_ledger
from transformer.load.destination import options_like
from transformer.load.ledger import Job, JobEvent, JobKind, NoLedger, moment
from transformer.load.retry import Retrier
from transformer.reader.version import snapshot_version
from transformer.schema import lookup
from transformer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.job.events import Observer
    from transformer.job.parts import DecoderFactory
    from transformer.job.pipeline import Account
    from transformer.job.request import SnapshotRequest
    from transformer.load.destination import Destination
    from transformer.load.ledger import Ledger
    from transformer.load.quarantine import Quarantine
    from transformer.schema.table import Table
    from transformer.source.export import DataFile, Export

NULL_DESTINATION = "null:"


def run(
    request: SnapshotRequest,
    *,
    observe: Observer = events.ignore,
    stop: StopSwitch | None = None,
    decoder: DecoderFactory | None = None,
) -> SnapshotResult:
    """Load one export, full or incremental, into one table.

    A run goes on where earlier runs of the same export into the same table have ended, as the ledger tells (see
    `transformer.job.resume`): files that are loaded are skipped, and the others are loaded from their beginning, in the
    same chunks with the same tokens, so that ClickHouse drops those that it has.

    request: what to do. observe: takes the events of the run, from the calling thread. stop: ends the run after the
    chunks in hand. decoder: makes the decoders, one for each worker; by default `transformer.decode.decoder.Decoder`.

    Returns the record of the run. Every error that the tool raises on purpose, and every exception of the run's
    threads, is in it (`status`, `error`, `exit_code`; `raise_for_status` for those who prefer exceptions), together
    with the files that are loaded, partly loaded and untouched.
    """
    begin = time.perf_counter()
    # Random, never made from the export: ClickHouse answers a known token by dropping the rows, also when they have
    # been deleted since.
    result = SnapshotResult(
        job=secrets.token_hex(8),
        export=request.export,
        dry_run=request.dry_run,
        max_rejects=request.max_rejects,
        shard="" if request.shard is None else str(request.shard),
    )
    try:
        _load(request, result, observe, stop or StopSwitch(), decoder)
    except Dynamo2chError as error:
        result.status = Status.FAILED
        result.error = error
    result.seconds = time.perf_counter() - begin
    result.peak_rss_bytes = peak_rss_bytes()
    observe(ended(result))
    return result


def ended(result: SnapshotResult) -> events.RunEnded:
    """The last event of a run."""
    return events.RunEnded(
        job=result.job,
        status=result.status.value,
        exit_code=result.exit_code,
        files_total=len(result.files),
        files_loaded=result.files_loaded,
        items=result.items_read,
        rows=result.rows_inserted,
        rejects=result.items_rejected,
        seconds=result.seconds,
        peak_rss_bytes=result.peak_rss_bytes,
        error=summary(result.error),
    )


def _load(
    request: SnapshotRequest,
    result: SnapshotResult,
    observe: Observer,
    stop: StopSwitch,
    decoder: DecoderFactory | None,
) -> None:
    """Do what `run` says and fill in `result`. Raises what happens before the first file is begun."""
    # The heavy libraries come with these, and none of them is needed to build a request or to read a result.
    from transformer.decode.keys import KeyHasher
    from transformer.load.chunks import ChunkLimits, token
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination
    from transformer.source.blocks import LEAST_SLACK, BufferPool, open_blocks
    from transformer.source.export import find_export
    from transformer.source.faults import public_url
    from transformer.source.streams import input_bytes

    result.export = public_url(request.export)
    export = find_export(request.export, request.storage_options, incremental=request.incremental)
    result.export = export.shown
    result.warnings.extend(export.warnings)
    table = resolve_table(request, export)
    result.table = table.name
    decode, slack, revision = decoding(decoder, incremental=request.incremental)
    slack = max(slack, LEAST_SLACK)
    files = list(export.files) if request.shard is None else request.shard.of(export.files)
    result.items_in_manifest = _items(files)
    workers = min(request.workers or default_workers(), max(1, len(files)))
    memory = request.memory or workers * MEMORY_PER_WORKER
    budget = Budget.plan(memory, workers=workers, input_bytes=input_bytes(export.url))
    url = NULL_DESTINATION if request.dry_run else request.destination or DEFAULT_DESTINATION
    pool = BufferPool(budget.block_bytes + slack, keep=budget.workers)
    retry_seconds = (
        Settings.from_environment().retry_seconds if request.retry_seconds is None else request.retry_seconds
    )
    wanted = _wanted(request, export, table, result.job, revision)
    # Before anything is touched: a decoder refuses columns that contradict each other.
    decoders = [decode(table, version=wanted.version) for _ in range(budget.workers)]
    with contextlib.closing(open_destination(url)) as destination:
        result.destination = destination.url
        retry = Retrier(retry_seconds, given_up=lambda: stop.pressed)
        retry(lambda: destination.ensure_table(table))
        options = options_like(request.ledger, export.url, request.storage_options)
        ledger = NoLedger() if request.dry_run else open_ledger(request.ledger, destination, table, options)
        # May be repeated: what the first try has written, the second one finds.
        taken = retry(
            lambda: take_up(
                ledger,
                wanted,
                restart=request.restart,
                stored_rows=lambda: destination.stored_rows(table),
                allow_gap=request.allow_gap,
            )
        )
        job = taken.job
        result.job, result.attempt, result.job_complete = job.job, job.attempts, taken.complete
        quarantine = _quarantine(request, export, job)
        todo = [file for file in largest_first(files) if file.name not in taken.done]
        parts = Parts(
            table=table,
            files=todo,
            decoders=decoders,
            budget=budget,
            limits=ChunkLimits(items=job.chunk_items, bytes=job.chunk_bytes),
            read=lambda file: open_blocks(
                file,
                block_bytes=budget.block_bytes,
                slack=slack,
                storage_options=request.storage_options,
                pool=pool,
            ),
            destination=destination,
            token=lambda name, first, last: token(job.job, name, first, last, job.schema, job.revision),
            quarantine=quarantine,
            stop=stop,
            keys=KeyHasher(table),
            recorder=Recorder(ledger, job),
            retry_seconds=retry_seconds,
            stop_after_rejects=request.stop_after_rejects,
        )
        observe(
            events.RunStarted(
                job=job.job,
                export=result.export,
                table=result.table,
                destination=result.destination,
                files=len(todo),
                items=_items(todo),
                workers=budget.workers,
                inserters=budget.inserters,
                block_bytes=budget.block_bytes,
                warnings=export.warnings,
                files_skipped=len(files) - len(todo),
                attempt=job.attempts,
            )
        )
        account = Pipeline(parts, observe).run()
        conclude(result, account, stop)
        _add_skipped(result, taken, files)
        if result.status in (Status.COMPLETE, Status.COMPLETE_WITH_REJECTS) and not taken.complete:
            # Hours of work are behind this, and the destination may be gone for a minute just now.
            if url != NULL_DESTINATION:
                retry(lambda: _check_keys(result, table, destination))
            retry(lambda: _complete(result, ledger, job, export))
        if request.incremental and result.job_complete:
            retry(lambda: _tell_end(result, Loaded.of(ledger.jobs(table.name))))
    if quarantine is not None and (result.items_rejected or taken.rejects):
        result.rejects = quarantine.url
    if account.largest_chunk > budget.largest_chunk:
        result.warnings.append(
            f"a chunk took {format_size(account.largest_chunk)} as Arrow, more than --memory "
            f"{format_size(memory)} has room for; {format_size(account.largest_chunk * 8)} would have held it"
        )


def _wanted(request: SnapshotRequest, export: Export, table: Table, job: str, revision: int) -> Job:
    """The job that this run would start if there were none."""
    from transformer.load.chunks import ChunkLimits
    from transformer.schema.ddl import fingerprint
    from transformer.source.faults import public_url

    limits = ChunkLimits.for_table(table)
    since, until = export.window or (None, None)
    return Job(
        job=job,
        kind=JobKind.SNAPSHOT if export.window is None else JobKind.INCREMENT,
        table=table.name,
        export=export.fingerprint,
        export_id=export.export_id or "",
        url=export.shown,
        export_time="" if export.export_time is None else moment(export.export_time),
        window_since="" if since is None else moment(since),
        window_until="" if until is None else moment(until),
        summary_md5=export.summary_md5 or "",
        files_md5=export.files_md5 or "",
        files=len(export.files),
        items=export.item_count,
        version_from=table.version_from.value if export.window is None else "write_time",
        version=snapshot_version(table, export) if export.window is None else 0,
        schema=fingerprint(table),
        revision=revision,
        chunk_items=min(limits.items, request.chunk_items or limits.items),
        chunk_bytes=limits.bytes,
        # Where it is, not how to get in: the ledger is read by many.
        rejects=public_url(_rejects_folder(request, export, job)),
        started_at=moment(datetime.now(UTC)),
    )


def _items(files: Sequence[DataFile]) -> int | None:
    """Items of `files` according to the manifest, None where one has no count."""
    counts = [file.item_count for file in files]
    return None if None in counts else sum(count for count in counts if count is not None)


def _add_skipped(result: SnapshotResult, taken: TakenUp, files: Sequence[DataFile]) -> None:
    """Enter the files that earlier runs have loaded, and what is rejected in the whole job."""
    result.files += [
        FileOutcome(
            file.file,
            state=FileState.SKIPPED,
            items=file.items,
            rows=file.rows,
            rejects=file.rejects,
            chunks=file.chunks,
            gz_bytes=file.gz_bytes,
            json_bytes=file.json_bytes,
            md5=file.md5,
            rejects_by_code=Counter(file.rejects_by_code),
            keys=file.keys,
        )
        for file in (taken.done[each.name] for each in files if each.name in taken.done)
    ]
    result.rejects_open = result.items_rejected + taken.rejects
    if result.status is Status.COMPLETE and result.rejects_open:
        result.status = Status.COMPLETE_WITH_REJECTS


def decoding(decoder: DecoderFactory | None, *, incremental: bool = False) -> tuple[DecoderFactory, int, int]:
    """What makes decoders, the bytes that a buffer needs behind its data for them, and the revision of their rows."""
    if decoder is not None:
        return decoder, 0, 0
    from transformer.decode.decoder import REVISION, SLACK, Decoder
    from transformer.decode.envelope import Envelope

    return partial(Decoder, envelope=Envelope.CHANGE if incremental else Envelope.ITEM), SLACK, REVISION


def conclude(result: SnapshotResult, account: Account, stop: StopSwitch) -> None:
    """Enter in `result` what the pipeline did, and how it ended."""
    result.files = list(account.files.values())
    result.rejects_by_code = dict(account.rejects_by_code)
    result.first_rejects = account.first_rejects
    result.stages = account.stages
    result.largest_chunk_bytes = account.largest_chunk
    result.retries = account.retries
    if account.complete and (account.error is None or isinstance(account.error, RejectsError)):
        # A stop that came too late to leave anything out has stopped nothing.
        result.status = Status.COMPLETE_WITH_REJECTS if result.items_rejected else Status.COMPLETE
    elif account.error is not None:
        result.status = Status.FAILED
        result.error = account.error
        result.error_file = account.error_file
    else:
        result.status = Status.INTERRUPTED
        result.signal = stop.signal


def _complete(result: SnapshotResult, ledger: Ledger, job: Job, export: Export) -> None:
    """Call the job complete when every file of the export is in the ledger, whoever has put it there."""
    if result.status is Status.FAILED:
        return
    if ledger.files(job.job).keys() >= {file.name for file in export.files}:
        ledger.note(job, JobEvent.COMPLETE)
        result.job_complete = True


def _tell_end(result: SnapshotResult, loaded: Loaded) -> None:
    """Enter up to when the table follows its source, and warn of windows that nothing goes on from."""
    end = loaded.end()
    result.exact_until = "" if end is None else moment(end)
    for window in loaded.loose():
        result.warnings.append(
            f"no window begins where the window {window} ends: what was put in it and deleted later may still be in "
            "the table"
        )


def _check_keys(result: SnapshotResult, table: Table, destination: Destination) -> None:
    """Fail the run when the table holds fewer keys than rows were inserted: then different items became one row.

    That happens when `key` names less than the table's real key, or when the export holds an item twice. More keys than
    rows are no fault: the table may hold other rows already, or the stream may have added some.
    """
    from transformer.schema.ddl import count_keys

    try:
        result.keys_in_table = int(destination.query(f"{count_keys(table)} FORMAT TSV"))
    except UsageError as error:
        result.warnings.append(f"the keys in the table were not counted: {summary(error)}")
        return
    if result.keys_in_table < result.rows_in_job:
        result.status = Status.FAILED
        result.error = MismatchError(
            f"{result.rows_in_job:,} rows were inserted, but table {table.name} holds only {result.keys_in_table:,} "
            f"different keys ({', '.join(table.key)}): different items have become one row",
            remedy="Give `key` the table's whole key (partition key and sort key), drop this table, and load again.",
        )


def resolve_table(request: SnapshotRequest, export: Export) -> Table:
    """The destination table of `request`. Raises UsageError without a schema file, SchemaError for a wrong one."""
    return lookup.resolve_table(
        request.schema,
        name=request.table,
        table_in_export=export.table_name,
        export=export.shown,
        changes=export.window is not None,
    )


def largest_first(files: Sequence[DataFile]) -> list[DataFile]:
    """`files` by size, largest first, so that no worker is left with a large one at the end; then by name.

    By stored bytes where all are known, else by items.
    """
    by_size = all(file.size is not None for file in files)
    return sorted(files, key=lambda file: (-((file.size if by_size else file.item_count) or 0), file.name))


def _rejects_folder(request: SnapshotRequest, export: Export, job: str) -> str:
    """The URL of a job's quarantine: a folder named after it, in one named after the export, in the one asked for."""
    name = export.export_id or export.shown.rstrip("/").rpartition("/")[2] or "export"
    if request.rejects is None:
        return str(Path(REJECTS_FOLDER).absolute() / name / job)
    return f"{request.rejects.rstrip('/')}/{name}/{job}"


def _quarantine(request: SnapshotRequest, export: Export, job: Job) -> Quarantine | None:
    """The quarantine of this run: where the job began it, unless another place is asked for now."""
    from transformer.load.quarantine import Quarantine

    if request.rejects is None:
        return None if request.dry_run else Quarantine(job.rejects)
    options = options_like(request.rejects, export.url, request.storage_options)
    return Quarantine(_rejects_folder(request, export, job.job), options)
