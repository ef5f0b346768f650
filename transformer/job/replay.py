"""The rejects of a load once more, after the schema was mended.

A replay is a job of its own, whose parent is the job that rejected the items. Its rows carry the version that the load
would have given them, so whatever the stream has brought since stays above them. What is rejected again goes to a
quarantine of the replay's own, which can be replayed in turn: every reject is in exactly one place, and in the ledger

    items of the export = rows of the load + rows of all replays + rejects of the last one.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import numpy as np

from transformer.errors import ConflictError, Dynamo2chError, SourceError, UsageError
from transformer.job import events
from transformer.job.budget import MEMORY_PER_WORKER, Budget
from transformer.job.parts import Parts
from transformer.job.pipeline import Pipeline
from transformer.job.recorder import Recorder
from transformer.job.request import default_workers
from transformer.job.resources import peak_rss_bytes
from transformer.job.result import FileOutcome, FileState, SnapshotResult, Status
from transformer.job.resume import check_same_rows
from transformer.job.snapshot import conclude, decoding, ended
from transformer.job.stop import StopSwitch
from transformer.load.ledger import Job, JobEvent, JobKind, JobState, living, moment
from transformer.load.rejected import Kept
from transformer.load.retry import Retrier
from transformer.schema.lookup import resolve_table
from transformer.settings import Settings
from transformer.source.blocks import LEAST_SLACK, Block
from transformer.source.export import DataFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from transformer.errors import Verdict
    from transformer.job.events import Observer
    from transformer.job.parts import DecoderFactory
    from transformer.load.ledger import FinishedFile, Ledger
    from transformer.load.quarantine import Quarantine, QuarantineFile
    from transformer.load.rejected import RejectsFolder
    from transformer.schema.table import Table

WITHHELD = b"?"
"""Stands in for a line that may not be kept. No item begins like this, so it is rejected again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What to replay.

    rejects: the quarantine folder of a load or of another replay, as its result names it; any fsspec URL.
    schema: the mended schema: a table, or the path of a schema file.
    job: id of the job that rejected the items, or None for the name of the folder.
    The others as in a load (`transformer.job.request.SnapshotRequest`).
    """

    rejects: str
    schema: Table | str | Path
    destination: str | None = None
    table: str | None = None
    job: str | None = None
    ledger: str | None = None
    workers: int | None = None
    max_rejects: int = 0
    retry_seconds: float | None = None
    storage_options: Mapping[str, object] = field(default_factory=dict)


def run(
    request: ReplayRequest,
    *,
    observe: Observer = events.ignore,
    stop: StopSwitch | None = None,
    decoder: DecoderFactory | None = None,
) -> SnapshotResult:
    """Load the rejects of a job under another schema. Goes on where an earlier replay has ended, as a load does.

    Returns the record of the run, with every error that the tool raises on purpose in it. `rejects_open` is what is
    still rejected.
    """
    begin = time.perf_counter()
    result = SnapshotResult(job=secrets.token_hex(8), export=request.rejects, max_rejects=request.max_rejects)
    try:
        _replay(request, result, observe, stop or StopSwitch(), decoder)
    except Dynamo2chError as error:
        result.status = Status.FAILED
        result.error = error
    result.seconds = time.perf_counter() - begin
    result.peak_rss_bytes = peak_rss_bytes()
    observe(ended(result))
    return result


def _replay(
    request: ReplayRequest,
    result: SnapshotResult,
    observe: Observer,
    stop: StopSwitch,
    decoder: DecoderFactory | None,
) -> None:
    from transformer.decode.keys import KeyHasher
    from transformer.load.chunks import ChunkLimits, token
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination, open_ledger, options_like
    from transformer.load.rejected import RejectsFolder
    from transformer.source.faults import public_url

    result.export = public_url(request.rejects)
    folder = RejectsFolder(request.rejects, request.storage_options)
    table = resolve_table(request.schema, name=request.table, table_in_export=None, export=result.export)
    result.table = table.name
    found = folder.files()
    decode, slack, revision = decoding(decoder)
    retry_seconds = (
        Settings.from_environment().retry_seconds if request.retry_seconds is None else request.retry_seconds
    )
    with contextlib.closing(open_destination(request.destination or DEFAULT_DESTINATION)) as destination:
        result.destination = destination.url
        destination.ensure_table(table)
        options = options_like(request.ledger, request.rejects, request.storage_options)
        ledger = open_ledger(request.ledger, destination, table, options)
        jobs = ledger.jobs(table.name)
        parent = _parent(request, jobs, ledger.where, table)
        rejected = {name: file for name, file in ledger.files(parent.job).items() if file.rejects}
        job = _take_up(ledger, jobs, _wanted(result.job, parent, rejected, table, revision, request), parent)
        result.job, result.attempt, result.rejects = job.job, job.attempts, job.rejects
        result.items_in_manifest = job.items
        done = ledger.files(job.job)
        todo = [_file(name, folder.url) for name in sorted(rejected) if name not in done]
        _check_files(folder, {file.name for file in todo}, found)
        workers = min(request.workers or default_workers(), max(1, len(todo)))
        budget = Budget.plan(workers * MEMORY_PER_WORKER, workers=workers)
        readers: dict[str, KeptLines] = {}

        def read(file: DataFile) -> KeptLines:
            path = found[file.name]
            readers[file.name] = KeptLines(
                folder.read(path),
                rejected[file.name].rejects,
                path,
                block_bytes=budget.block_bytes,
                slack=max(slack, LEAST_SLACK),
            )
            return readers[file.name]

        observe(
            events.RunStarted(
                job=job.job,
                export=result.export,
                table=result.table,
                destination=result.destination,
                files=len(todo),
                items=sum(rejected[file.name].rejects for file in todo),
                workers=budget.workers,
                inserters=budget.inserters,
                block_bytes=budget.block_bytes,
                files_skipped=len(rejected) - len(todo),
                attempt=job.attempts,
            )
        )
        parts = Parts(
            table=table,
            files=todo,
            decoders=[decode(table, version=job.version) for _ in range(budget.workers)],
            budget=budget,
            limits=ChunkLimits(items=job.chunk_items, bytes=job.chunk_bytes),
            read=read,
            destination=destination,
            token=lambda name, first, last: token(job.job, name, first, last, job.schema, job.revision),
            quarantine=_StillRejected(_quarantine(request, job), readers),
            stop=stop,
            keys=KeyHasher(table),
            recorder=Recorder(ledger, job),
            retry_seconds=retry_seconds,
        )
        account = Pipeline(parts, observe).run()
        conclude(result, account, stop)
        result.files += [_skipped(file) for file in done.values()]
        result.rejects_open = sum(file.rejects for file in result.files)
        if result.rejects_open and result.status is Status.COMPLETE:
            result.status = Status.COMPLETE_WITH_REJECTS
        if result.status in (Status.COMPLETE, Status.COMPLETE_WITH_REJECTS):
            if job.state is JobState.STARTED:
                Retrier(retry_seconds, given_up=lambda: stop.pressed)(lambda: ledger.note(job, JobEvent.COMPLETE))
            result.job_complete = True
    if not result.rejects_open:
        result.rejects = ""


def _parent(request: ReplayRequest, jobs: Sequence[Job], where: str, table: Table) -> Job:
    """The job whose rejects these are. Raises ConflictError when the ledger does not know it or it is not complete."""
    name = request.job or request.rejects.rstrip("/").rpartition("/")[2]
    parent = next((job for job in jobs if job.job == name), None)
    if parent is None:
        raise ConflictError(
            f"the ledger in {where} knows of no job {name} of table {table.name}",
            remedy="The folder of rejects is named after its job; name the job with --job if it was renamed.",
        )
    if parent.kind is JobKind.INCREMENT:
        raise UsageError(
            f"job {name} loaded an incremental export, whose rejects cannot be replayed one by one",
            remedy="Load the incremental export again with the mended schema: its rows carry their own versions.",
        )
    if parent.state is not JobState.COMPLETE:
        raise ConflictError(
            f"job {name} is {'given up' if parent.state is JobState.ABANDONED else 'not complete'}",
            remedy="Replay the rejects of a load that is complete; run `dynamo2ch status` to see which are.",
        )
    return parent


def _wanted(
    name: str, parent: Job, rejected: Mapping[str, FinishedFile], table: Table, revision: int, request: ReplayRequest
) -> Job:
    """The job that this replay would start if there were none."""
    from transformer.schema.ddl import fingerprint
    from transformer.source.faults import public_url

    return replace(
        parent,
        job=name,
        kind=JobKind.REPLAY,
        url=public_url(request.rejects),
        files=len(rejected),
        items=sum(file.rejects for file in rejected.values()),
        schema=fingerprint(table),
        revision=revision,
        rejects=public_url(_beside(request.rejects, name)),
        parent=parent.job,
        started_at=moment(datetime.now(UTC)),
        state=JobState.STARTED,
        attempts=1,
        ended_at="",
    )


def _take_up(ledger: Ledger, jobs: Sequence[Job], wanted: Job, parent: Job) -> Job:
    """The replay for `wanted`: the one that is there already, or a new one. Raises ConflictError or UsageError."""
    before = living(wanted, jobs)
    if before is None:
        if (wanted.schema, wanted.revision) == (parent.schema, parent.revision):
            raise UsageError(
                "this is the schema under which the items were rejected; they would be rejected again",
                remedy="Mend the schema file first: the rejects say column and reason.",
            )
        return ledger.start(wanted)
    if before.state is JobState.COMPLETE and before.schema != wanted.schema:
        left = sum(file.rejects for file in ledger.files(before.job).values())
        if left:
            raise ConflictError(
                f"these rejects were replayed already, by job {before.job}; it left {left:,} of them",
                remedy=f"Replay those: dynamo2ch replay {before.rejects}",
            )
        return before
    check_same_rows(before, wanted)
    return ledger.note(before, JobEvent.RESUMED) if before.state is JobState.STARTED else before


def _file(name: str, folder: str) -> DataFile:
    return DataFile(url=f"{folder}/{name}", name=name, item_count=None, md5=None, etag=None)


def _check_files(folder: RejectsFolder, names: set[str], found: Mapping[str, str]) -> None:
    """Raise SourceError when there are rejects in the ledger whose file is not in the folder."""
    missing = sorted(names - found.keys())
    if missing:
        raise SourceError(
            f"{folder.url} lacks the rejects of {len(missing):,} files that the ledger says there are: "
            f"{', '.join(missing[:3])}",
            remedy="Give the folder as the load has written it. Parts of one load must share it: --rejects URL.",
        )


def _skipped(file: FinishedFile) -> FileOutcome:
    return FileOutcome(
        file.file,
        state=FileState.SKIPPED,
        items=file.items,
        rows=file.rows,
        rejects=file.rejects,
        chunks=file.chunks,
        json_bytes=file.json_bytes,
        keys=file.keys,
    )


def _quarantine(request: ReplayRequest, job: Job) -> Quarantine:
    from transformer.load.quarantine import Quarantine

    return Quarantine(_beside(request.rejects, job.job), request.storage_options)


def _beside(folder: str, name: str) -> str:
    """The URL of the folder `name` beside `folder`."""
    return f"{folder.rstrip('/').rpartition('/')[0]}/{name}"


class KeptLines:
    """The rejects of one data file as a reader of blocks (`transformer.job.parts.Reader`).

    kept: number and verdict of each line so far, in the order of the lines of the blocks; `raw` is None for those that
    were withheld, and else empty.
    """

    md5 = ""
    gz_bytes = 0

    def __init__(self, rejects: Iterator[Kept], expected: int, where: str, *, block_bytes: int, slack: int) -> None:
        """rejects: of one file. expected: how many the ledger says there are. where: what to call the file."""
        self._rejects = rejects
        self._expected = expected
        self._where = where
        self._block_bytes = block_bytes
        self._slack = slack
        self._offset = 0
        self.kept: list[Kept] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        return

    def __next__(self) -> Block:
        """The next lines. Raises SourceError at the end when they were not as many as the ledger says."""
        lines: list[bytes] = []
        size = 0
        for each in self._rejects:
            line = WITHHELD if each.raw is None else each.raw
            self.kept.append(Kept(each.line, each.verdict, None if each.raw is None else b""))
            lines.append(line)
            size += len(line) + 1
            if size >= self._block_bytes:
                break
        if not lines:
            if len(self.kept) != self._expected:
                raise SourceError(
                    f"{self._where} holds {len(self.kept):,} rejects, the ledger says {self._expected:,}",
                    remedy="Give the folder as the load has written it.",
                )
            raise StopIteration
        buffer = np.zeros(size + self._slack, np.uint8)
        buffer[:size] = np.frombuffer(b"\n".join(lines) + b"\n", np.uint8)
        block = Block(buffer, size, self._offset)
        self._offset += size
        return block

    def recycle(self, block: Block) -> None:
        """Nothing is used again."""


class _StillRejected:
    """The quarantine of a replay: items keep the line that they had in the data file."""

    def __init__(self, quarantine: Quarantine, readers: Mapping[str, KeptLines]) -> None:
        self._quarantine = quarantine
        self._readers = readers

    def file(self, name: str) -> _StillRejectedFile:
        """See `transformer.job.parts.Rejects`."""
        return _StillRejectedFile(self._quarantine.file(name), self._readers, name)


class _StillRejectedFile:
    def __init__(self, target: QuarantineFile, readers: Mapping[str, KeptLines], name: str) -> None:
        self._target = target
        self._readers = readers
        self._name = name

    def write(self, line: int, verdict: Verdict, raw: bytes) -> None:
        """Add the reject that stands at `line` (from 1) of the blocks; a withheld one stays what it was."""
        kept = self._readers[self._name].kept[line - 1]
        if kept.raw is None:
            self._target.write(kept.line, kept.verdict, b"")
        else:
            self._target.write(kept.line, verdict, raw)

    def close(self) -> None:
        """See `transformer.job.parts.RejectsFile`."""
        self._target.close()
