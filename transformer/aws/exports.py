"""Exports of a table: requested, waited for, listed.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport_Requesting.html
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from transformer.aws.api import POLL_SECONDS, export_failure, pages
from transformer.aws.arn import TableArn, table_of_export
from transformer.errors import ConflictError, UsageError
from transformer.source.window import LONGEST, SHORTEST, Window, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from transformer.aws.api import Api

View = Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE"]
WAIT_SECONDS = 24 * 3600.0
"""How long an export is waited for: large tables take hours."""
_LOOKED_AT = 100
"""Most exports of which the details are asked for, the newest first; each costs a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where exports go.

    bucket, prefix: in S3; prefix as given to the API, or empty. bucket_owner: account of a bucket that is not yours.
    kms_key: id or ARN of the KMS key to encrypt with; by default AES256 with S3's own keys.
    """

    bucket: str
    prefix: str = ""
    bucket_owner: str | None = None
    kms_key: str | None = None

    @classmethod
    def parse(cls, url: str, *, bucket_owner: str | None = None, kms_key: str | None = None) -> Target:
        """Read s3://BUCKET[/PREFIX]. Raises UsageError for anything else."""
        scheme, _, rest = url.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise UsageError(
                f"{url!r:.200} is no place for an export", remedy="Write s3://BUCKET or s3://BUCKET/PREFIX."
            )
        return cls(bucket=bucket, prefix=prefix.rstrip("/"), bucket_owner=bucket_owner, kms_key=kms_key)

    def parameters(self) -> dict[str, Any]:
        """As ExportTableToPointInTime takes them."""
        found: dict[str, Any] = {"S3Bucket": self.bucket}
        if self.prefix:
            found["S3Prefix"] = self.prefix
        if self.bucket_owner:
            found["S3BucketOwner"] = self.bucket_owner
        if self.kms_key:
            found |= {"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": self.kms_key}
        return found


@dataclass(frozen=True, slots=True)
class ExportState:
    """What AWS says of an export.

    status: IN_PROGRESS, COMPLETED or FAILED. window: of an incremental one. export_time: of a full one, UTC.
    url: of its folder in S3. filtered: whether it holds only a part of the table.
    """

    arn: str
    status: str
    window: Window | None
    export_time: datetime | None
    url: str
    items: int | None
    filtered: bool
    failure: tuple[str, str] = ("", "")

    @property
    def export_id(self) -> str:
        """The last part of the ARN, which is also the name of its folder."""
        return self.arn.rpartition("/")[2]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user."""
        if not self.filtered:
            return ()
        told = (
            f"export {self.arn} was requested with a filter (FilterSpecification): it is not the whole table, and what "
            "it leaves out will be missing"
        )
        return (told,)

    def to_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "export": self.arn,
            "status": self.status,
            "kind": "full" if self.window is None else "incremental",
            "export_time": None if self.export_time is None else shown(self.export_time),
            "from": None if self.window is None else shown(self.window.since),
            "to": None if self.window is None else shown(self.window.until),
            "url": self.url,
            "items": self.items,
            "filtered": self.filtered,
            "failure": ": ".join(filter(None, self.failure)) or None,
            "warnings": list(self.warnings),
        }


def check_recovery(api: Api, table: TableArn, *, enable: bool) -> datetime | None:
    """Make sure that point-in-time recovery is on, which exports need; returns the earliest moment it reaches back to.

    enable: switch it on when it is off. Raises ConflictError when it is off otherwise.
    """
    answer = api.call(
        "dynamodb",
        "DescribeContinuousBackups",
        {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {
                    "PointInTimeRecoveryStatus": "DISABLED" if enable else "ENABLED",
                },
            }
        },
        TableName=table.name,
    )
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        if not enable:
            raise ConflictError(
                f"point-in-time recovery of table {table.name} is off, and exports need it",
                remedy="Give --enable-pitr to switch it on (AWS bills it by the size of the table).",
            )
        api.call(
            "dynamodb",
            "UpdateContinuousBackups",
            {},
            TableName=table.name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
        return None
    return _utc(recovery.get("EarliestRestorableDateTime"))


def start(
    api: Api,
    table: TableArn,
    target: Target,
    *,
    window: Window | None = None,
    export_time: datetime | None = None,
    view: View = "NEW_AND_OLD_IMAGES",
    client_token: str | None = None,
    enable_pitr: bool = False,
) -> ExportState:
    """Request a full export, or an incremental one of a window, in DynamoDB JSON.

    export_time: the moment of a full export, by default now. client_token: AWS answers a second request with the same
    token with the same export, and bills one. That of an incremental export is made from all that is asked, so that
    asking twice cannot pay twice; that of a full one is random, because a second one is another moment.
    Raises UsageError for a window that AWS does not take, ConflictError without point-in-time recovery, and as
    `Api.call`.
    """
    if window is not None:
        check_window(window)
    check_recovery(api, table, enable=enable_pitr)
    what: dict[str, Any] = {"TableArn": str(table), **target.parameters(), "ExportFormat": "DYNAMODB_JSON"}
    if window is None:
        what["ExportType"] = "FULL_EXPORT"
        if export_time is not None:
            what["ExportTime"] = export_time
    else:
        what["ExportType"] = "INCREMENTAL_EXPORT"
        what["IncrementalExportSpecification"] = {
            "ExportFromTime": window.since,
            "ExportToTime": window.until,
            "ExportViewType": view,
        }
    token = client_token or (str(uuid.uuid4()) if window is None else _token(what))
    assumed = {"ExportArn": f"{table}/export/EXPORT-ID", "ExportStatus": "IN_PROGRESS", **what}
    answer = api.call("dynamodb", "ExportTableToPointInTime", {"ExportDescription": assumed}, **what, ClientToken=token)
    return _state(answer["ExportDescription"])


def check_window(window: Window) -> None:
    """Raise UsageError unless AWS takes the window: 15 minutes to 24 hours, at whole seconds."""
    length = window.until - window.since
    if not SHORTEST <= length <= LONGEST or window.since.microsecond or window.until.microsecond:
        raise UsageError(
            f"the window {window} is {length}; AWS takes 15 minutes to 24 hours, at whole seconds",
            remedy="Cut the time into several windows that touch.",
        )


def describe(api: Api, arn: str) -> ExportState:
    """What AWS says of an export now."""
    assumed = {"ExportArn": arn, "ExportStatus": "COMPLETED"}
    answer = api.call("dynamodb", "DescribeExport", {"ExportDescription": assumed}, ExportArn=arn)
    return _state(answer["ExportDescription"])


def wait(
    api: Api, arn: str, *, tell: Callable[[ExportState, timedelta], None] = lambda _state, _since: None
) -> ExportState:
    """Wait until the export has ended. tell: called after every look, with the state and the time waited so far.

    Raises SourceError with the reason and what to do when it has failed.
    """
    table_of_export(arn)
    begun = api.clock.now()
    states: list[ExportState] = []

    def ended() -> bool:
        states[:] = [describe(api, arn)]
        tell(states[0], api.clock.now() - begun)
        return states[0].status != "IN_PROGRESS"

    api.until(ended, seconds=POLL_SECONDS, what=f"export {arn}", limit=WAIT_SECONDS)
    state = states[0]
    if state.status == "FAILED":
        raise export_failure(arn, *state.failure)
    return state


def exports_of(api: Api, table: TableArn) -> Iterator[ExportState]:
    """The exports of a table that AWS remembers (90 days), newest first, with their details; at most a hundred."""
    arns = [
        str(each["ExportArn"]) for each in pages(api, "dynamodb", "ListExports", "ExportSummaries", TableArn=str(table))
    ]
    for arn in sorted(arns, key=lambda each: each.rpartition("/")[2], reverse=True)[:_LOOKED_AT]:
        yield describe(api, arn)


def newest_full(api: Api, table: TableArn) -> ExportState | None:
    """The newest full export of a table that has not failed."""
    return next((each for each in exports_of(api, table) if each.window is None and each.status != "FAILED"), None)


def next_start(api: Api, table: TableArn) -> datetime | None:
    """Where a chain of windows goes on: the latest end of an incremental export that has not failed."""
    ends = [each.window.until for each in exports_of(api, table) if each.window is not None and each.status != "FAILED"]
    return max(ends, default=None)


def _state(description: Mapping[str, Any]) -> ExportState:
    arn = str(description["ExportArn"])
    increment = description.get("IncrementalExportSpecification")
    window = None
    if increment:
        since, until = _utc(increment.get("ExportFromTime")), _utc(increment.get("ExportToTime"))
        if since is not None and until is not None:
            window = Window(since, until)
    bucket, prefix = description.get("S3Bucket"), description.get("S3Prefix")
    start = "" if not prefix else f"{str(prefix).rstrip('/')}/"
    count = description.get("ItemCount")
    return ExportState(
        arn=arn,
        status=str(description.get("ExportStatus", "")),
        window=window,
        export_time=None if window else _utc(description.get("ExportTime") or description.get("StartTime")),
        url=f"s3://{bucket}/{start}AWSDynamoDB/{arn.rpartition('/')[2]}" if bucket else "",
        items=None if count is None else int(count),
        filtered=bool(description.get("FilterSpecification")),
        failure=(str(description.get("FailureCode") or ""), str(description.get("FailureMessage") or "")),
    )


def _token(what: Mapping[str, Any]) -> str:
    text = json.dumps(what, sort_keys=True, default=lambda value: value.isoformat())
    return f"dynamo2ch-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _utc(value: object) -> datetime | None:
    return value.astimezone(UTC) if isinstance(value, datetime) else None
