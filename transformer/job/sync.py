"""A ClickHouse table that follows a DynamoDB table without a stream: a full export once, then window after window.

Nothing is remembered here. What is loaded stands in the ledger, what was exported is known to AWS; so a run that was
cut off anywhere is made good by the next, which finds the export that is under way or not loaded yet and goes on.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from transformer.aws import exports
from transformer.errors import ConflictError, ExitCode
from transformer.job import events
from transformer.job.chain import Loaded, window_of
from transformer.job.snapshot import open_ledger, run
from transformer.job.stop import StopSwitch
from transformer.load.ledger import JobKind, JobState
from transformer.schema.lookup import resolve_table
from transformer.schema.table import Table
from transformer.source.window import SHORTEST, Window, first_window, next_window, shown, windows_between

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from transformer.aws.api import Api
    from transformer.aws.arn import TableArn
    from transformer.aws.exports import ExportState, Target
    from transformer.job.events import Observer
    from transformer.job.request import SnapshotRequest
    from transformer.job.result import SnapshotResult
    from transformer.load.ledger import Job

MARGIN = timedelta(minutes=5)
"""How far windows stay behind now: the latest moment that AWS can restore is typically five minutes ago."""
_FRESH = timedelta(hours=24)
"""A full export of the same table, made by whomever, is taken when it is no older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """A table to follow.

    source: the DynamoDB table. target: where its exports go. load: how they are loaded; its `export` means nothing.
    enable_pitr: switch point-in-time recovery on when it is off. locate: where the files of an export are to be read,
    by default in S3 where AWS has put them.
    """

    source: TableArn
    target: Target
    load: SnapshotRequest
    enable_pitr: bool = False
    locate: Callable[[ExportState], str] = lambda state: state.url


@dataclass(slots=True)
class SyncResult:
    """What a pass has done.

    loads: the result of each export that was loaded, in order. exact_until: the moment whose state the table has, or
    None. waiting_until: when the next window can be exported, or None. signal: what ended the pass early, or 0.
    """

    loads: list[SnapshotResult] = field(default_factory=list)
    exact_until: datetime | None = None
    waiting_until: datetime | None = None
    warnings: list[str] = field(default_factory=list)
    signal: int = 0

    @property
    def exit_code(self) -> int:
        """That of the last load, or of the signal."""
        if self.signal:
            return 128 + self.signal
        return self.loads[-1].exit_code if self.loads else int(ExitCode.DONE)

    def to_dict(self) -> dict[str, object]:
        """The record for `--json`."""
        return {
            "status": "interrupted" if self.signal else "complete" if self.exit_code == 0 else "failed",
            "exports_loaded": [load.to_dict() for load in self.loads],
            "rows_inserted": sum(load.rows_inserted for load in self.loads),
            "exact_until": None if self.exact_until is None else shown(self.exact_until),
            "waiting_until": None if self.waiting_until is None else shown(self.waiting_until),
            "warnings": list(self.warnings),
        }


class _StoppedError(Exception):
    """A signal came while AWS was at work."""


def sync(
    api: Api, request: SyncRequest, *, observe: Observer = events.ignore, stop: StopSwitch | None = None
) -> SyncResult:
    """Bring the table up to date, as far as AWS can export now: one pass.

    Raises what AWS refuses (see `Api.call`), SourceError for an export that failed, SchemaError and UsageError for the
    schema file. What a load does not take is in `loads`, and ends the pass.
    """
    stop = stop or StopSwitch()
    request = _with_schema(request)
    result = SyncResult()
    try:
        while not stop.pressed:
            jobs = _jobs(request)
            state = _next_export(api, request, jobs, result)
            if state is None:
                break
            if not _load(api, request, state, result, observe, stop, allow_gap=False):
                break
    except _StoppedError:
        pass
    if stop.pressed:
        result.signal = stop.signal
    result.exact_until = Loaded.of(_jobs(request)).end()
    return result


def repair(
    api: Api,
    request: SyncRequest,
    *,
    since: datetime,
    observe: Observer = events.ignore,
    stop: StopSwitch | None = None,
) -> SyncResult:
    """Load everything that changed from `since` until now, deletes included: for a stream that was dead.

    since: when it died; rather a little earlier than later. What it has delivered and what the windows say agree, as
    both carry the time of the write as version. One thing could go wrong: an item that was put after `since`, seen by
    the stream, and deleted within the same window has no line. So the first windows are short.
    Raises ConflictError when AWS cannot reach back so far, and as `sync`.
    """
    stop = stop or StopSwitch()
    request = _with_schema(request)
    result = SyncResult()
    earliest = exports.check_recovery(api, request.source, enable=False)
    since = since.replace(microsecond=0)
    if earliest is not None and earliest > since:
        raise ConflictError(
            f"AWS can export changes of table {request.source.name} since {shown(earliest)} only, not since "
            f"{shown(since)}",
            remedy="Load the table anew: `dynamo2ch snapshot` of a new full export, with --replace.",
        )
    states, end = _going_on(_own(api, request), since)
    until = (api.clock.now() - MARGIN).replace(microsecond=0)
    if until - end >= SHORTEST or not states:
        # AWS works on all of them at once.
        states += [_start(api, request, window) for window in repair_windows(end, until)]
    else:
        result.waiting_until = end + SHORTEST + MARGIN
    try:
        for state in states:
            if stop.pressed or not _load(api, request, state, result, observe, stop, allow_gap=True):
                break
    except _StoppedError:
        pass
    if stop.pressed:
        result.signal = stop.signal
    return result


def _going_on(known: Sequence[ExportState], since: datetime) -> tuple[list[ExportState], datetime]:
    """Exports of windows that touch, the first one from `since`, and where they end: what an earlier repair has asked
    for. Others that only overlap it must not be loaded beside it."""
    states = []
    end = since
    while following := [state for state in known if state.window is not None and state.window.since == end]:
        states.append(max(following, key=lambda state: state.window.until if state.window is not None else since))
        window = states[-1].window
        end = end if window is None else window.until
    return states, end


_SHORT_WINDOWS = 4


def repair_windows(since: datetime, until: datetime) -> Sequence[Window]:
    """Touching windows from `since` to `until`: a few of a quarter of an hour, then long ones. UsageError if too short.

    The short ones are where the stream was alive and `since` an estimate.
    """
    windows: list[Window] = []
    while len(windows) < _SHORT_WINDOWS and until - since >= 2 * SHORTEST:
        windows.append(Window(since, since + SHORTEST))
        since += SHORTEST
    return [*windows, *windows_between(since, until)]


def _with_schema(request: SyncRequest) -> SyncRequest:
    """The request with its schema file read; by default the one named after the DynamoDB table."""
    table = resolve_table(
        request.load.schema,
        name=request.load.table,
        table_in_export=request.source.name,
        export=f"table {request.source}",
        changes=True,
    )
    return replace(request, load=replace(request.load, schema=table, table=None))


def _jobs(request: SyncRequest) -> list[Job]:
    """What the ledger has on the table; nothing when the table is not there yet."""
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination

    table = request.load.schema
    assert isinstance(table, Table)  # noqa: S101 - `_with_schema` has seen to it
    with contextlib.closing(open_destination(request.load.destination or DEFAULT_DESTINATION)) as destination:
        ledger = open_ledger(request.load.ledger, destination, table)
        return [job for job in ledger.jobs(table.name) if job.state is not JobState.ABANDONED]


def _next_export(api: Api, request: SyncRequest, jobs: list[Job], result: SyncResult) -> ExportState | None:
    """The export to load next: one that there is already, or a new one. None when it is too early for another."""
    loaded = Loaded.of(jobs)
    begun = [job for job in jobs if job.state is JobState.STARTED]
    if not loaded.snapshots:
        half = next((job for job in begun if job.kind is JobKind.SNAPSHOT), None)
        fresh = api.clock.now() - _FRESH
        for state in _own(api, request):
            if state.window is not None or state.export_time is None:
                continue
            if half.export_id == state.export_id if half is not None else state.export_time >= fresh:
                return state
        if half is not None:
            raise ConflictError(
                f"table {half.table} is half loaded from {half.url}, which is none of the exports in "
                f"s3://{request.target.bucket}/{request.target.prefix}",
                remedy="Finish that load with `dynamo2ch snapshot`, or empty the table.",
            )
        return _start(api, request, None)
    return _next_window(api, request, loaded, begun, result)


def _next_window(
    api: Api, request: SyncRequest, loaded: Loaded, begun: list[Job], result: SyncResult
) -> ExportState | None:
    """The same, once there is a snapshot."""
    end = loaded.end()
    first = first_window(max(loaded.snapshots))
    since = first.since if end is None else end
    there = {
        state.window.until: state
        for state in _own(api, request)
        if state.window is not None and state.window.since == since
    }
    if end is None:
        found = there.get(first.until)
    else:
        # One that is half loaded goes first: another that overlaps it must not be loaded.
        half = {
            window_of(job).until for job in begun if job.kind is JobKind.INCREMENT and window_of(job).since == since
        }
        until = max((until for until in there if not half or until in half), default=None)
        found = None if until is None else there[until]
    if found is not None:
        return found
    latest = api.clock.now() - MARGIN
    window = first if end is None else next_window(end, api.clock.now(), margin=MARGIN)
    if window is None or window.until > latest:
        result.waiting_until = since + SHORTEST + MARGIN
        return None
    return _start(api, request, window)


def _own(api: Api, request: SyncRequest) -> list[ExportState]:
    """The exports of the table that lie in the target, did not fail and hold the whole of it, newest first."""
    start = f"{request.target.prefix}/" if request.target.prefix else ""
    root = f"s3://{request.target.bucket}/{start}AWSDynamoDB/"
    return [
        state
        for state in exports.exports_of(api, request.source)
        if state.status != "FAILED" and not state.filtered and state.url.startswith(root)
    ]


def _start(api: Api, request: SyncRequest, window: Window | None) -> ExportState:
    return exports.start(api, request.source, request.target, window=window, enable_pitr=request.enable_pitr)


def _load(
    api: Api,
    request: SyncRequest,
    state: ExportState,
    result: SyncResult,
    observe: Observer,
    stop: StopSwitch,
    *,
    allow_gap: bool,
) -> bool:
    """Wait for an export and load it. False when the load did not end well."""

    def watch(_state: ExportState, _waited: timedelta) -> None:
        if stop.pressed:
            raise _StoppedError

    done = exports.wait(api, state.arn, tell=watch)
    result.warnings.extend(done.warnings)
    load = replace(request.load, export=request.locate(done), incremental=done.window is not None, allow_gap=allow_gap)
    loaded = run(load, observe=observe, stop=stop)
    result.loads.append(loaded)
    return loaded.exit_code == 0
