"""The table's Kinesis stream: made, switched on with times in microseconds, and shown.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/kds.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformer.aws.api import MissingError
from transformer.aws.arn import TableArn, stream_name
from transformer.aws.exports import newest_full
from transformer.errors import ConflictError, UsageError
from transformer.source.window import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformer.aws.api import Api

MICROSECOND = "MICROSECOND"
_STREAM_POLL, _STREAM_LIMIT = 3.0, 600.0
_DESTINATION_POLL, _DESTINATION_LIMIT = 5.0, 1800.0
_ON = ("ACTIVE", "ENABLING", "UPDATING")
_MILLISECOND_WARNING = (
    "times in milliseconds: two changes of one item within a millisecond cannot be told apart, and later changes may "
    "lose. `dynamo2ch stream enable` switches to microseconds"
)


@dataclass(frozen=True, slots=True)
class StreamState:
    """A table's stream. arn: None when there is none. status: of the destination, as AWS names it.

    precision: of ApproximateCreationDateTime, None where AWS does not say. warnings: sentences for the user.
    """

    table: TableArn
    arn: str | None
    status: str
    precision: str | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "table": str(self.table),
            "stream": self.arn,
            "status": self.status,
            "precision": self.precision,
            "warnings": list(self.warnings),
        }


def enable(api: Api, table: TableArn, stream: str, *, create: bool = False, shards: int | None = None) -> StreamState:
    """Let DynamoDB write the table's changes to a stream, with times in microseconds, and wait until it does.

    stream: name or ARN. create: make it if it is not there, in on-demand mode, or with so many `shards`.
    A stream that is on already stays on; milliseconds become microseconds.
    Raises UsageError when the stream is not there, ConflictError when the table has another one (it can have one only).
    """
    arn = table.stream(stream)
    name = stream_name(arn)
    _ensure_stream(api, name, create=create, shards=shards)
    before = _destinations(api, table, assume={"StreamArn": arn, "DestinationStatus": "DISABLED"})
    for other in before:
        if other.get("StreamArn") != arn and other.get("DestinationStatus") in _ON:
            raise ConflictError(
                f"table {table.name} writes to another stream already: {other.get('StreamArn')}",
                remedy="A table has one stream. Use that one, or disable it first "
                "(`aws dynamodb disable-kinesis-streaming-destination`).",
            )
    was_on = any(each.get("DestinationStatus") in _ON for each in before if each.get("StreamArn") == arn)
    precision = {"ApproximateCreationDateTimePrecision": MICROSECOND}
    warnings = []
    if not was_on:
        api.call(
            "dynamodb",
            "EnableKinesisStreamingDestination",
            {},
            TableName=table.name,
            StreamArn=arn,
            EnableKinesisStreamingConfiguration=precision,
        )
        warnings += _older_export(api, table)
    state = _wait_active(api, table, arn)
    if state.get("ApproximateCreationDateTimePrecision") != MICROSECOND and was_on:
        api.call(
            "dynamodb",
            "UpdateKinesisStreamingDestination",
            {},
            TableName=table.name,
            StreamArn=arn,
            UpdateKinesisStreamingConfiguration=precision,
        )
        state = _wait_active(api, table, arn)
        warnings.append("the times of this stream were in milliseconds until now, and are in microseconds from now on")
    return _state(table, state, warnings)


def show(api: Api, table: TableArn) -> StreamState:
    """What is set."""
    states = _destinations(api, table, assume={})
    on = [each for each in states if each.get("DestinationStatus") in _ON]
    return _state(table, (on or [*states, {}])[0], [])


def _ensure_stream(api: Api, name: str, *, create: bool, shards: int | None) -> None:
    def active() -> bool:
        answer = api.call(
            "kinesis",
            "DescribeStreamSummary",
            {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}},
            StreamName=name,
        )
        status = answer["StreamDescriptionSummary"]["StreamStatus"]
        if status == "DELETING":
            raise ConflictError(f"stream {name} is being deleted", remedy="Run the same command again when it is gone.")
        return bool(status in ("ACTIVE", "UPDATING"))

    # A dry run that is to create one tells the longer way.
    there, ready = not (api.dry_run and create), False
    if there:
        try:
            ready = active()
        except MissingError:
            there = False
    if not there:
        if not create:
            raise UsageError(
                f"there is no stream {name} in {api.region}", remedy="Give --create to make it (on-demand mode)."
            )
        mode: dict[str, Any] = {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}
        if shards is not None:
            mode = {"StreamModeDetails": {"StreamMode": "PROVISIONED"}, "ShardCount": shards}
        api.call("kinesis", "CreateStream", {}, StreamName=name, **mode)
    if not ready:
        api.until(active, seconds=_STREAM_POLL, what=f"stream {name}", limit=_STREAM_LIMIT)


def _destinations(api: Api, table: TableArn, *, assume: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    answer = api.call(
        "dynamodb",
        "DescribeKinesisStreamingDestination",
        {"KinesisDataStreamDestinations": [assume] if assume else []},
        TableName=table.name,
    )
    return list(answer.get("KinesisDataStreamDestinations", ()))


def _wait_active(api: Api, table: TableArn, arn: str) -> Mapping[str, Any]:
    assumed = {
        "StreamArn": arn,
        "DestinationStatus": "ACTIVE",
        "ApproximateCreationDateTimePrecision": MICROSECOND,
    }
    found: list[Mapping[str, Any]] = []

    def active() -> bool:
        mine = [each for each in _destinations(api, table, assume=assumed) if each.get("StreamArn") == arn]
        found[:] = mine
        status = mine[0].get("DestinationStatus") if mine else None
        if status in ("ENABLE_FAILED", "DISABLED", "DISABLING"):
            why = mine[0].get("DestinationStatusDescription") or "AWS gives no reason"
            raise ConflictError(
                f"the stream of table {table.name} is {status}: {why}",
                remedy="Check that the stream is there and ACTIVE, and that you may write to it "
                "(`dynamo2ch iam 'stream enable'`).",
            )
        return status == "ACTIVE"

    api.until(active, seconds=_DESTINATION_POLL, what="enabling the stream", limit=_DESTINATION_LIMIT)
    return found[0]


def _older_export(api: Api, table: TableArn) -> list[str]:
    """A warning when there is a full export from before the stream was enabled: changes since then are in neither."""
    newest = newest_full(api, table)
    if newest is None or newest.export_time is None:
        return []
    told = (
        f"the newest full export is of {shown(newest.export_time)}, before this stream was enabled: changes between "
        "the two are in neither. Request a new one now (`dynamo2ch export start`), or load the time between with "
        "`dynamo2ch repair`"
    )
    return [told]


def _state(table: TableArn, state: Mapping[str, Any], warnings: list[str]) -> StreamState:
    precision = state.get("ApproximateCreationDateTimePrecision")
    status = str(state.get("DestinationStatus", "NONE"))
    told = list(warnings)
    if status == "NONE":
        told.append(f"table {table.name} has no stream: `dynamo2ch stream enable {table} --stream NAME`")
    elif precision != MICROSECOND:
        told.append(_MILLISECOND_WARNING)
    arn = state.get("StreamArn")
    return StreamState(table, None if arn is None else str(arn), status, precision, tuple(told))
