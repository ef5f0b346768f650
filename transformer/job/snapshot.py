"""One full export into one table: find it, check the schema, open the destination, load every file, account for it."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, MismatchError, RejectsError, UsageError
from transformer.job import events
from transformer.job.budget import MEMORY_PER_WORKER, Budget, format_size
from transformer.job.parts import Parts
from transformer.job.pipeline import Pipeline
from transformer.job.request import REJECTS_FOLDER, SCHEMA_FOLDER, default_workers
from transformer.job.resources import peak_rss_bytes
from transformer.job.result import SnapshotResult, Status, summary
from transformer.job.stop import StopSwitch
from transformer.reader.version import snapshot_version
from transformer.schema.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.job.events import Observer
    from transformer.job.parts import DecoderFactory
    from transformer.job.pipeline import Account
    from transformer.job.request import SnapshotRequest
    from transformer.load.destination import Destination
    from transformer.load.quarantine import Quarantine
    from transformer.source.export import DataFile, Export

NULL_DESTINATION = "null:"


def run(
    request: SnapshotRequest,
    *,
    observe: Observer = events.ignore,
    stop: StopSwitch | None = None,
    decoder: DecoderFactory | None = None,
) -> SnapshotResult:
    """Load one full export into one table.

    Nothing is resumed: running again loads everything again, under a new random job id, because a destination answers
    a known token by dropping the data, also when the rows have been deleted since. The table holds every item once
    all the same: the rows of a run are equal to those of the run before, and ReplacingMergeTree keeps one for each key
    (queries use FINAL).

    request: what to do. observe: takes the events of the run, from the calling thread. stop: ends the run after the
    chunks in hand. decoder: makes the decoders, one for each worker; by default `transformer.decode.decoder.Decoder`.

    Returns the record of the run. Every error that the tool raises on purpose, and every exception of the run's
    threads, is in it (`status`, `error`, `exit_code`; `raise_for_status` for those who prefer exceptions), together
    with the files that are loaded, partly loaded and untouched.
    """
    begin = time.perf_counter()
    result = SnapshotResult(
        job=secrets.token_hex(8), export=request.export, dry_run=request.dry_run, max_rejects=request.max_rejects
    )
    try:
        _load(request, result, observe, stop or StopSwitch(), decoder)
    except Dynamo2chError as error:
        result.status = Status.FAILED
        result.error = error
    result.seconds = time.perf_counter() - begin
    result.peak_rss_bytes = peak_rss_bytes()
    observe(_ended(result))
    return result


def _ended(result: SnapshotResult) -> events.RunEnded:
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
    from transformer.load.chunks import ChunkLimits, token
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination
    from transformer.schema.ddl import fingerprint
    from transformer.source.blocks import LEAST_SLACK, BufferPool, open_blocks
    from transformer.source.export import find_export
    from transformer.source.faults import public_url

    result.export = public_url(request.export)
    export = find_export(request.export, request.storage_options)
    result.export = export.shown
    result.warnings.extend(export.warnings)
    result.items_in_manifest = export.item_count
    table = resolve_table(request, export)
    result.table = table.name
    version = snapshot_version(table, export)
    decode, slack, revision = _decoding(decoder)
    slack = max(slack, LEAST_SLACK)
    files = largest_first(export.files)
    workers = min(request.workers or default_workers(), max(1, len(files)))
    memory = request.memory or workers * MEMORY_PER_WORKER
    budget = Budget.plan(memory, workers=workers)
    quarantine = _quarantine(request, export, result.job)
    url = NULL_DESTINATION if request.dry_run else request.destination or DEFAULT_DESTINATION
    pool = BufferPool(budget.block_bytes + slack, keep=budget.workers)
    schema_fingerprint = fingerprint(table)
    # Before anything is touched: a decoder refuses columns that contradict each other.
    decoders = [decode(table, version=version) for _ in range(budget.workers)]
    with contextlib.closing(open_destination(url)) as destination:
        result.destination = destination.url
        destination.ensure_table(table)
        parts = Parts(
            table=table,
            files=files,
            decoders=decoders,
            budget=budget,
            limits=ChunkLimits.for_table(table),
            read=lambda file: open_blocks(
                file,
                block_bytes=budget.block_bytes,
                slack=slack,
                storage_options=request.storage_options,
                pool=pool,
            ),
            destination=destination,
            token=lambda name, first, last: token(result.job, name, first, last, schema_fingerprint, revision),
            quarantine=quarantine,
            stop=stop,
            stop_after_rejects=request.stop_after_rejects,
        )
        observe(
            events.RunStarted(
                job=result.job,
                export=result.export,
                table=result.table,
                destination=result.destination,
                files=len(files),
                items=export.item_count,
                workers=budget.workers,
                inserters=budget.inserters,
                block_bytes=budget.block_bytes,
                warnings=export.warnings,
            )
        )
        account = Pipeline(parts, observe).run()
        _conclude(result, account, stop)
        if result.status in (Status.COMPLETE, Status.COMPLETE_WITH_REJECTS) and url != NULL_DESTINATION:
            _check_keys(result, table, destination)
    if quarantine is not None and result.items_rejected:
        result.rejects = quarantine.url
    if account.largest_chunk > budget.largest_chunk:
        result.warnings.append(
            f"a chunk took {format_size(account.largest_chunk)} as Arrow, more than --memory "
            f"{format_size(memory)} has room for; {format_size(account.largest_chunk * 8)} would have held it"
        )


def _decoding(decoder: DecoderFactory | None) -> tuple[DecoderFactory, int, int]:
    """What makes decoders, the bytes that a buffer needs behind its data for them, and the revision of their rows."""
    if decoder is not None:
        return decoder, 0, 0
    from transformer.decode.decoder import REVISION, SLACK, Decoder

    return Decoder, SLACK, REVISION


def _conclude(result: SnapshotResult, account: Account, stop: StopSwitch) -> None:
    """Enter what the pipeline did, and how it ended."""
    result.files = list(account.files.values())
    result.rejects_by_code = dict(account.rejects_by_code)
    result.first_rejects = account.first_rejects
    result.stages = account.stages
    result.largest_chunk_bytes = account.largest_chunk
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
    if result.keys_in_table < result.rows_inserted:
        result.status = Status.FAILED
        result.error = MismatchError(
            f"{result.rows_inserted:,} rows were inserted, but table {table.name} holds only {result.keys_in_table:,} "
            f"different keys ({', '.join(table.key)}): different items have become one row",
            remedy="Give `key` the table's whole key (partition key and sort key), drop this table, and load again.",
        )


def resolve_table(request: SnapshotRequest, export: Export) -> Table:
    """The destination table: the one given, or read from the schema file given or found, under the name asked for.

    Raises UsageError when there is no schema file, SchemaError when it is wrong.
    """
    schema = request.schema
    if isinstance(schema, Table):
        table = schema
    else:
        path = _schema_file(request, export) if schema is None else Path(schema)
        from transformer.schema.file import load_schema

        table = load_schema(path)
    if request.table is None:
        return table
    from transformer.schema.resolve import table_name_faults

    for what, remedy in table_name_faults(request.table):
        raise UsageError(f"--table: {what}", remedy=remedy)
    return replace(table, name=request.table)


def _schema_file(request: SnapshotRequest, export: Export) -> Path:
    """schemas/<table>.yaml for the table asked for or named in the manifest. Raises UsageError when it is not there."""
    name = request.table or export.table_name
    if name is None:
        raise UsageError(
            f"{export.shown} does not say which table it holds, so there is no schema file to look for",
            remedy="Name one with --schema FILE, or the table with --table NAME.",
        )
    path = Path(SCHEMA_FOLDER) / f"{name}.yaml"
    # A name from a manifest or a command line must not lead out of the folder.
    if path.parent != Path(SCHEMA_FOLDER) or not path.is_file():
        raise UsageError(
            f"there is no schema file {path} for table {name}",
            remedy="Write one (README, `The schema file`), or name another with --schema FILE.",
        )
    return path


def largest_first(files: Sequence[DataFile]) -> list[DataFile]:
    """`files` by size, largest first, so that no worker is left with a large one at the end; then by name.

    By stored bytes where all are known, else by items.
    """
    by_size = all(file.size is not None for file in files)
    return sorted(files, key=lambda file: (-((file.size if by_size else file.item_count) or 0), file.name))


def _quarantine(request: SnapshotRequest, export: Export, job: str) -> Quarantine | None:
    """The quarantine of this run: a folder named after it, in one named after the export, in the one asked for."""
    from transformer.load.quarantine import Quarantine

    if request.rejects is None and request.dry_run:
        return None
    name = export.export_id or export.shown.rstrip("/").rpartition("/")[2] or "export"
    if request.rejects is None:
        return Quarantine(str(Path(REJECTS_FOLDER).absolute() / name / job))
    protocol = request.rejects.partition("://")[0]
    options = request.storage_options if export.url.startswith(f"{protocol}://") else {}
    return Quarantine(f"{request.rejects.rstrip('/')}/{name}/{job}", options)
