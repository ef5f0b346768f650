"""The table's stream: every way from nothing to a stream in microseconds, and what is told on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aws.conftest import NOW, TABLE, Stubbed

from transformer.aws import stream
from transformer.errors import ConflictError, RetryError, UsageError

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/changes"
PRECISION = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}


def destination(stubbed: Stubbed, *states: dict[str, Any]) -> None:
    stubbed.answer(
        "dynamodb",
        "describe_kinesis_streaming_destination",
        {"TableName": "orders", "KinesisDataStreamDestinations": list(states)},
        TableName="orders",
    )


def summary(stubbed: Stubbed, status: str) -> None:
    description = {
        "StreamName": "changes", "StreamARN": ARN, "StreamStatus": status, "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": NOW, "EnhancedMonitoring": [], "OpenShardCount": 4,
    }  # fmt: skip
    stubbed.answer(
        "kinesis", "describe_stream_summary", {"StreamDescriptionSummary": description}, StreamName="changes"
    )


def enabled(stubbed: Stubbed) -> None:
    stubbed.answer(
        "dynamodb",
        "enable_kinesis_streaming_destination",
        {"TableName": "orders", "StreamArn": ARN, "DestinationStatus": "ENABLING"},
        TableName="orders",
        StreamArn=ARN,
        EnableKinesisStreamingConfiguration=PRECISION,
    )


def no_exports(stubbed: Stubbed) -> None:
    stubbed.answer("dynamodb", "list_exports", {"ExportSummaries": []}, TableArn=str(TABLE))


def test_from_nothing_to_a_stream_in_microseconds(stubbed: Stubbed) -> None:
    stubbed.refuse("kinesis", "describe_stream_summary", "ResourceNotFoundException", StreamName="changes")
    stubbed.answer("kinesis", "create_stream", {}, StreamName="changes", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    for status in ("CREATING", "CREATING", "ACTIVE"):
        summary(stubbed, status)
    destination(stubbed)
    enabled(stubbed)
    no_exports(stubbed)
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ENABLING"})
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ACTIVE", **PRECISION})
    state = stream.enable(stubbed.api, TABLE, "changes", create=True)
    assert (state.arn, state.status, state.precision, state.warnings) == (ARN, "ACTIVE", "MICROSECOND", ())
    assert stubbed.api.clock.now() > NOW


def test_shards_instead_of_on_demand_mode(stubbed: Stubbed) -> None:
    stubbed.refuse("kinesis", "describe_stream_summary", "ResourceNotFoundException", StreamName="changes")
    stubbed.answer(
        "kinesis",
        "create_stream",
        {},
        StreamName="changes",
        StreamModeDetails={"StreamMode": "PROVISIONED"},
        ShardCount=3,
    )
    summary(stubbed, "ACTIVE")
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "DISABLED"})
    enabled(stubbed)
    no_exports(stubbed)
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ACTIVE", **PRECISION})
    assert stream.enable(stubbed.api, TABLE, ARN, create=True, shards=3).status == "ACTIVE"


def test_milliseconds_become_microseconds(stubbed: Stubbed) -> None:
    """Without a precision in the answer, as older destinations have it, it is milliseconds too."""
    summary(stubbed, "ACTIVE")
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ACTIVE"})
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ACTIVE"})
    stubbed.answer(
        "dynamodb",
        "update_kinesis_streaming_destination",
        {},
        TableName="orders",
        StreamArn=ARN,
        UpdateKinesisStreamingConfiguration=PRECISION,
    )
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "UPDATING", **PRECISION})
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ACTIVE", **PRECISION})
    state = stream.enable(stubbed.api, TABLE, "changes")
    assert state.precision == "MICROSECOND"
    assert "were in milliseconds until now" in state.warnings[0]


def test_a_stream_that_is_on_stays_as_it_is(stubbed: Stubbed) -> None:
    summary(stubbed, "ACTIVE")
    for _ in range(2):
        destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ACTIVE", **PRECISION})
    assert not stream.enable(stubbed.api, TABLE, "changes").warnings


def test_an_older_full_export_is_warned_of(stubbed: Stubbed) -> None:
    export = f"{TABLE}/export/01795392000622-0a1b2c3d"
    summary(stubbed, "ACTIVE")
    destination(stubbed)
    enabled(stubbed)
    stubbed.answer("dynamodb", "list_exports", {"ExportSummaries": [{"ExportArn": export}]}, TableArn=str(TABLE))
    stubbed.answer(
        "dynamodb",
        "describe_export",
        {
            "ExportDescription": {
                "ExportArn": export,
                "ExportStatus": "COMPLETED",
                "ExportTime": NOW - timedelta(days=1),
            }
        },
        ExportArn=export,
    )
    destination(stubbed, {"StreamArn": ARN, "DestinationStatus": "ACTIVE", **PRECISION})
    state = stream.enable(stubbed.api, TABLE, "changes")
    assert "2026-11-22T12:00:00Z, before this stream was enabled" in state.warnings[0]


def test_a_table_has_one_stream(stubbed: Stubbed) -> None:
    summary(stubbed, "ACTIVE")
    destination(stubbed, {"StreamArn": ARN + "2", "DestinationStatus": "ACTIVE", **PRECISION})
    with pytest.raises(ConflictError, match="another stream"):
        stream.enable(stubbed.api, TABLE, "changes")


def test_a_stream_that_is_not_there(stubbed: Stubbed) -> None:
    stubbed.refuse("kinesis", "describe_stream_summary", "ResourceNotFoundException", StreamName="changes")
    with pytest.raises(UsageError, match="--create"):
        stream.enable(stubbed.api, TABLE, "changes")


def test_enabling_that_fails_says_why(stubbed: Stubbed) -> None:
    summary(stubbed, "ACTIVE")
    destination(stubbed)
    enabled(stubbed)
    no_exports(stubbed)
    failed = {"DestinationStatus": "ENABLE_FAILED", "DestinationStatusDescription": "no permission"}
    destination(stubbed, {"StreamArn": ARN, **failed})
    with pytest.raises(ConflictError, match="ENABLE_FAILED: no permission"):
        stream.enable(stubbed.api, TABLE, "changes")


def test_waiting_has_an_end(stubbed: Stubbed) -> None:
    for _ in range(203):
        summary(stubbed, "CREATING")
    with pytest.raises(RetryError, match="longer than 600 s"):
        stream.enable(stubbed.api, TABLE, "changes")


@pytest.mark.parametrize(
    ("states", "status", "warning"),
    [
        ([], "NONE", "has no stream"),
        ([{"StreamArn": ARN, "DestinationStatus": "ACTIVE", **PRECISION}], "ACTIVE", None),
        ([{"StreamArn": ARN, "DestinationStatus": "ACTIVE"}], "ACTIVE", "times in milliseconds"),
        (
            [
                {"StreamArn": ARN + "1", "DestinationStatus": "DISABLED"},
                {"StreamArn": ARN, "DestinationStatus": "ENABLING", **PRECISION},
            ],
            "ENABLING",
            None,
        ),
    ],
)
def test_show(stubbed: Stubbed, states: list[dict[str, Any]], status: str, warning: str | None) -> None:
    destination(stubbed, *states)
    state = stream.show(stubbed.api, TABLE)
    assert state.status == status
    assert (
        [warning in told for told in state.warnings] == ([True] if warning else []) if warning else not state.warnings
    )


@pytest.mark.parametrize(
    "name", ["a/b", "", "arn:aws:kinesis:us-east-1:123456789012:stream/x", "arn:aws:s3:::x", "x" * 129]
)
def test_streams_that_cannot_be(stubbed: Stubbed, name: str) -> None:
    with pytest.raises(UsageError):
        stream.enable(stubbed.api, TABLE, name)
