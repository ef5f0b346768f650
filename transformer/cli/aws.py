"""The commands of the table's side: `stream`, `export`, `iam`, `sync`, `repair`."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from transformer.cli import options
from transformer.cli.render import note, show
from transformer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from transformer.aws.api import Api
    from transformer.aws.arn import TableArn
    from transformer.aws.exports import ExportState, Target
    from transformer.job.sync import SyncRequest, SyncResult
    from transformer.source.window import Window

stream_app = typer.Typer(help="The table's Kinesis stream: switch it on, show it.", no_args_is_help=True)
export_app = typer.Typer(help="Exports of a table: request them, wait for them, list them.", no_args_is_help=True)

TableArgument = Annotated[
    str, typer.Argument(metavar="TABLE_ARN", help="ARN of the DynamoDB table.", show_default=False)
]
Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Profile of the AWS configuration.")]
Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint-url", metavar="URL", help="Another place than AWS, for tests.", envvar="AWS_ENDPOINT_URL"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the calls that would be made to AWS; make none.")]
Bucket = Annotated[
    str,
    typer.Option(
        "--bucket", metavar="URL", help="Where exports go: s3://BUCKET or s3://BUCKET/PREFIX.", show_default=False
    ),
]
BucketOwner = Annotated[
    str | None, typer.Option("--bucket-owner", metavar="ACCOUNT", help="Account that owns the bucket, if not yours.")
]
KmsKey = Annotated[
    str | None, typer.Option("--kms-key", metavar="KEY", help="KMS key (id or ARN) to encrypt with. Default: AES256.")
]
EnablePitr = Annotated[
    bool, typer.Option("--enable-pitr", help="Switch point-in-time recovery on if it is off; AWS bills it.")
]


def _api(region: str, profile: str | None, endpoint: str | None, *, dry_run: bool = False) -> Api:
    from transformer.aws.api import Api

    return Api(region=region, profile=profile, endpoint_url=endpoint, dry_run=dry_run)


def _table(arn: str) -> TableArn:
    from transformer.aws.arn import TableArn

    return TableArn.parse(arn)


def _target(bucket: str, owner: str | None, key: str | None) -> Target:
    from transformer.aws.exports import Target

    return Target.parse(bucket, bucket_owner=owner, kms_key=key)


def _show(api: Api, record: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """Print the result, or in a dry run the calls."""
    if api.dry_run:
        calls = {"dry_run": True, "calls": [call.to_dict() for call in api.calls]}
        show(calls, lambda: "would call\n" + "\n".join(f"  {call}" for call in api.calls), as_json=as_json)
        return
    warnings = record.get("warnings") or []
    if isinstance(warnings, list):
        for warning in warnings:
            note(f"WARNING: {warning}")
    show(record, lambda: text, as_json=as_json)


@stream_app.command("enable")
def stream_enable(
    table: TableArgument,
    stream: Annotated[
        str, typer.Option("--stream", metavar="NAME", help="Name or ARN of the Kinesis stream.", show_default=False)
    ],
    create: Annotated[bool, typer.Option("--create", help="Make the stream if it is not there.")] = False,
    shards: Annotated[
        int | None, typer.Option("--shards", metavar="N", help="With --create: shards, instead of on-demand mode.")
    ] = None,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Let the table write its changes to a Kinesis stream, with times in microseconds; before the full export."""
    from transformer.aws.stream import enable

    arn = _table(table)
    api = _api(arn.region, profile, endpoint_url, dry_run=dry_run)
    state = enable(api, arn, stream, create=create, shards=shards)
    text = (
        f"table {arn.name} writes to {state.arn}: {state.status}, times in {state.precision}\n"
        f"next: dynamo2ch export start {arn} --bucket s3://BUCKET"
    )
    _show(api, state.to_dict(), text, as_json=as_json)


@stream_app.command("show")
def stream_show(
    table: TableArgument,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Show which stream the table writes to, and how."""
    from transformer.aws.stream import show as look

    arn = _table(table)
    api = _api(arn.region, profile, endpoint_url, dry_run=dry_run)
    state = look(api, arn)
    text = f"table {arn.name}: {state.arn or 'no stream'}, {state.status}, times in {state.precision}"
    _show(api, state.to_dict(), text, as_json=as_json)


@export_app.command("start")
def export_start(
    table: TableArgument,
    bucket: Bucket,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="An incremental export from this time (ISO 8601), or `last`: where the last one ends.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Its end. Default: 24 hours later, or five minutes ago."),
    ] = None,
    export_time: Annotated[
        str | None, typer.Option("--export-time", metavar="TIME", help="A full export of this moment. Default: now.")
    ] = None,
    new_image_only: Annotated[
        bool, typer.Option("--new-image-only", help="Leave old images out: smaller, and enough for `increment`.")
    ] = False,
    bucket_owner: BucketOwner = None,
    kms_key: KmsKey = None,
    enable_pitr: EnablePitr = False,
    client_token: Annotated[
        str | None,
        typer.Option("--client-token", metavar="TEXT", help="The same token twice is one export, and billed once."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Request a full export, or with --from an incremental one, in DynamoDB JSON."""
    from transformer.aws import exports

    arn = _table(table)
    api = _api(arn.region, profile, endpoint_url, dry_run=dry_run)
    if until is not None and since is None:
        raise UsageError("--to is for incremental exports", remedy="Give --from as well.")
    if export_time is not None and since is not None:
        raise UsageError("--export-time is for full exports, --from for incremental ones")
    state = exports.start(
        api,
        arn,
        _target(bucket, bucket_owner, kms_key),
        window=None if since is None else _window(api, arn, since, until),
        export_time=None if export_time is None else moment(export_time),
        view="NEW_IMAGE" if new_image_only else "NEW_AND_OLD_IMAGES",
        client_token=client_token,
        enable_pitr=enable_pitr,
    )
    if wait:
        state = exports.wait(api, state.arn, tell=_tell)
    command = "snapshot" if state.window is None else "increment"
    going = state.status == "IN_PROGRESS"
    following = f"dynamo2ch export wait {state.arn}" if going else f"dynamo2ch {command} {state.url}"
    _show(api, state.to_dict(), f"{_line(state)}\nnext: {following}", as_json=as_json)


def _window(api: Api, table: TableArn, since: str, until: str | None) -> Window:
    from transformer.aws import exports
    from transformer.job.sync import MARGIN
    from transformer.source.window import LONGEST, Window

    if since == "last" and api.dry_run:
        raise UsageError("a dry run asks AWS nothing, so it does not know the last export", remedy="Give --from TIME.")
    if since == "last":
        begin = exports.next_start(api, table)
        if begin is None:
            raise UsageError(
                f"table {table.name} has no incremental export to go on from",
                remedy="Give --from TIME, at least two minutes before the full export that it follows.",
            )
    else:
        begin = moment(since)
    latest = (api.clock.now() - MARGIN).replace(microsecond=0)
    return Window(begin, moment(until) if until is not None else min(begin + LONGEST, latest))


@export_app.command("wait")
def export_wait(
    arn: Annotated[str, typer.Argument(metavar="EXPORT_ARN", help="ARN of the export.", show_default=False)],
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Wait until an export has ended, and say where it is."""
    from transformer.aws import exports
    from transformer.aws.arn import table_of_export

    api = _api(table_of_export(arn).region, profile, endpoint_url, dry_run=dry_run)
    state = exports.wait(api, arn, tell=_tell)
    command = "snapshot" if state.window is None else "increment"
    _show(api, state.to_dict(), f"{_line(state)}\nnext: dynamo2ch {command} {state.url}", as_json=as_json)


@export_app.command("list")
def export_list(
    table: TableArgument,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    dry_run: DryRun = False,
    as_json: options.Json = False,
) -> None:
    """List the exports of a table that AWS remembers (90 days), newest first."""
    from transformer.aws import exports

    arn = _table(table)
    api = _api(arn.region, profile, endpoint_url, dry_run=dry_run)
    states = list(exports.exports_of(api, arn))
    record = {
        "table": str(arn),
        "exports": [state.to_dict() for state in states],
        "warnings": [warning for state in states for warning in state.warnings],
    }
    _show(api, record, "\n".join(map(_line, states)) or f"table {arn.name} has no exports", as_json=as_json)


def iam(
    command: Annotated[
        str, typer.Argument(metavar="COMMAND", help="Such as 'export start', snapshot, sync.", show_default=False)
    ],
    table: Annotated[
        str, typer.Option("--table", metavar="TABLE_ARN", help="ARN of the DynamoDB table.", show_default=False)
    ],
    bucket: Annotated[
        str | None, typer.Option("--bucket", metavar="URL", help="Where exports lie: s3://BUCKET/PREFIX.")
    ] = None,
    kms_key: KmsKey = None,
    stream: Annotated[str | None, typer.Option("--stream", metavar="NAME", help="Name or ARN of the stream.")] = None,
) -> None:
    """Print the least that an identity must be allowed for a command, as an IAM policy."""
    import json

    from transformer.aws.iam import Names, policy
    from transformer.cli.render import printable

    arn = _table(table)
    names = Names(
        arn, None if bucket is None else _target(bucket, None, kms_key), None if stream is None else arn.stream(stream)
    )
    typer.echo(printable(json.dumps(policy(command, names), indent=2)))


Interval = Annotated[
    int, typer.Option("--interval", metavar="SECONDS", help="Without --once: between two passes. At least 60.")
]


def sync(
    context: typer.Context,
    table: TableArgument,
    bucket: Bucket,
    once: Annotated[
        bool, typer.Option("--once", help="One pass, for cron or EventBridge; else go on for ever.")
    ] = False,
    interval: Interval = 900,
    schema: options.Schema = None,
    to: options.To = None,
    destination_table: options.Table = None,
    workers: options.Workers = None,
    memory: options.Memory = None,
    max_rejects: options.MaxRejects = 0,
    rejects: options.Rejects = None,
    ledger: options.Ledger = None,
    bucket_owner: BucketOwner = None,
    kms_key: KmsKey = None,
    enable_pitr: EnablePitr = False,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    as_json: options.Json = False,
    dry_run: DryRun = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Let a table follow its source without a stream: a full export once, then window after window."""
    from transformer.job.request import SnapshotRequest
    from transformer.job.sync import SyncRequest
    from transformer.job.sync import sync as one_pass

    if interval < 60:
        raise UsageError("--interval is at least 60 seconds")
    load = SnapshotRequest(
        export="",
        schema=schema,
        destination=to,
        table=destination_table,
        workers=workers,
        memory=_size(memory),
        max_rejects=max_rejects,
        rejects=rejects,
        ledger=ledger,
        storage_options=options.storage_options(storage_option),
    )
    arn = _table(table)
    api = _api(arn.region, profile, endpoint_url, dry_run=dry_run)
    request = SyncRequest(source=arn, target=_target(bucket, bucket_owner, kms_key), load=load, enable_pitr=enable_pitr)
    if dry_run:
        _dry_sync(api, request, as_json=as_json)
        return
    _passes(context, api, request, one_pass, interval=None if once else interval, as_json=as_json)


def repair(
    context: typer.Context,
    table: TableArgument,
    bucket: Bucket,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="When the stream died (ISO 8601).", show_default=False)
    ],
    schema: options.Schema = None,
    to: options.To = None,
    destination_table: options.Table = None,
    workers: options.Workers = None,
    memory: options.Memory = None,
    max_rejects: options.MaxRejects = 0,
    rejects: options.Rejects = None,
    ledger: options.Ledger = None,
    bucket_owner: BucketOwner = None,
    kms_key: KmsKey = None,
    profile: Profile = None,
    endpoint_url: Endpoint = None,
    as_json: options.Json = False,
    dry_run: DryRun = False,
    storage_option: options.StorageOption = None,
) -> None:
    """Load what changed since a stream or pipe died, deletes included, from incremental exports."""
    from transformer.aws import exports
    from transformer.job.request import SnapshotRequest
    from transformer.job.sync import MARGIN, SyncRequest, repair_windows
    from transformer.job.sync import repair as mend

    load = SnapshotRequest(
        export="",
        schema=schema,
        destination=to,
        table=destination_table,
        workers=workers,
        memory=_size(memory),
        max_rejects=max_rejects,
        rejects=rejects,
        ledger=ledger,
        storage_options=options.storage_options(storage_option),
    )
    arn = _table(table)
    api = _api(arn.region, profile, endpoint_url, dry_run=dry_run)
    request = SyncRequest(source=arn, target=_target(bucket, bucket_owner, kms_key), load=load)
    begin = moment(since)
    if dry_run:
        for window in repair_windows(begin.replace(microsecond=0), (api.clock.now() - MARGIN).replace(microsecond=0)):
            exports.start(api, arn, request.target, window=window)
        _show(api, {}, "", as_json=as_json)
        return
    _passes(context, api, request, partial(mend, since=begin), interval=None, as_json=as_json)


def _dry_sync(api: Api, request: SyncRequest, *, as_json: bool) -> None:
    from transformer.aws import exports

    list(exports.exports_of(api, request.source))
    state = exports.start(api, request.source, request.target, enable_pitr=request.enable_pitr)
    exports.wait(api, f"{request.source}/export/0-0" if api.dry_run else state.arn)
    _show(api, {}, "", as_json=as_json)


def _passes(
    context: typer.Context,
    api: Api,
    request: SyncRequest,
    one_pass: Callable[..., SyncResult],
    *,
    interval: int | None,
    as_json: bool,
) -> None:
    """Make one pass, or one after the other, and leave with the exit code of the last."""
    from transformer.cli.progress import bars_wanted, observer
    from transformer.cli.render import show_error
    from transformer.cli.signals import handled
    from transformer.job.stop import StopSwitch

    debug = bool(context.find_root().params["debug"])
    stop = StopSwitch()
    bars = bars_wanted()
    with handled(stop, as_log=not bars), observer(bars=bars, debug=debug) as observe:
        while True:
            result = one_pass(api, request, observe=observe, stop=stop)
            for warning in result.warnings:
                note(f"WARNING: {warning}")
            show(result.to_dict(), partial(_summary, result), as_json=as_json)
            if result.exit_code != 0:
                error = result.loads[-1].error if result.loads else None
                if error is not None:
                    show_error(error, debug=debug, where=result.loads[-1].error_file)
                elif result.loads and not result.signal:
                    show_error(result.loads[-1].too_many_rejects(), debug=False)
                raise typer.Exit(result.exit_code)
            if interval is None:
                return
            for _ in range(interval):
                if stop.pressed:
                    raise typer.Exit(128 + stop.signal)
                api.clock.sleep(1)


def _summary(result: SyncResult) -> str:
    lines = [f"{load.export}: {load.status.value}, {load.rows_inserted:,} rows" for load in result.loads]
    if result.exact_until is not None:
        lines.append(f"the table is as the source was at {result.exact_until:%Y-%m-%dT%H:%M:%SZ}")
    if result.waiting_until is not None:
        lines.append(f"the next window can be exported at {result.waiting_until:%Y-%m-%dT%H:%M:%SZ}")
    return "\n".join(lines) or "nothing to load"


def _size(memory: str | None) -> int | None:
    if memory is None:
        return None
    from transformer.job.budget import parse_size

    return parse_size(memory)


def moment(text: str) -> datetime:
    """A time from the command line: ISO 8601 with an offset or Z. Raises UsageError for anything else."""
    at: datetime | None = None
    with contextlib.suppress(ValueError):
        at = datetime.fromisoformat(text)
    if at is None or at.tzinfo is None:
        raise UsageError(f"{text!r:.60} is no time with an offset", remedy="Write it as in 2026-11-23T00:15:00Z (UTC).")
    return at.astimezone(UTC)


def _tell(state: ExportState, waited: timedelta) -> None:
    note(f"{state.arn}: {state.status} after {int(waited.total_seconds()):,} s")


def _line(state: ExportState) -> str:
    kind = f"full, of {state.export_time:%Y-%m-%dT%H:%M:%SZ}" if state.export_time else "full"
    if state.window is not None:
        kind = f"incremental, {state.window}"
    items = "" if state.items is None else f", {state.items:,} items"
    why = f" ({': '.join(filter(None, state.failure))})" if any(state.failure) else ""
    return f"{state.arn}: {state.status}{why}; {kind}{items}; {state.url}"
