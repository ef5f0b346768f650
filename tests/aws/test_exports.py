"""Exports: what is requested, what is refused before AWS is asked, what is said of those that fail."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from aws.conftest import NOW, TABLE, Stubbed
from aws_double import FakeClock
from moto import mock_aws

from transformer.aws import exports
from transformer.aws.api import Api, MissingError, explain
from transformer.aws.arn import TableArn, table_of_export
from transformer.aws.exports import Target
from transformer.errors import ConflictError, RetryError, SourceError, UsageError
from transformer.source.window import Window

EXPORT = f"{TABLE}/export/01795392000622-0a1b2c3d"
WINDOW = Window(NOW - timedelta(hours=2), NOW - timedelta(hours=1))
TARGET = Target(bucket="my-exports", prefix="nightly")


def recovery(stubbed: Stubbed, status: str = "ENABLED") -> None:
    details = {"PointInTimeRecoveryStatus": status}
    if status == "ENABLED":
        details |= {"EarliestRestorableDateTime": NOW - timedelta(days=7)}  # type: ignore[dict-item]
    stubbed.answer(
        "dynamodb",
        "describe_continuous_backups",
        {
            "ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": details,
            }
        },
        TableName="orders",
    )


def requested(stubbed: Stubbed, **expected: Any) -> None:
    stubbed.answer(
        "dynamodb",
        "export_table_to_point_in_time",
        {"ExportDescription": {"ExportArn": EXPORT, "ExportStatus": "IN_PROGRESS", "S3Bucket": "my-exports"}},
        TableArn=str(TABLE),
        S3Bucket="my-exports",
        ExportFormat="DYNAMODB_JSON",
        **expected,
    )


def test_a_full_export(stubbed: Stubbed) -> None:
    recovery(stubbed)
    requested(stubbed, S3Prefix="nightly", ExportType="FULL_EXPORT", ClientToken="again")
    state = exports.start(stubbed.api, TABLE, TARGET, client_token="again")
    assert (state.arn, state.status, state.window) == (EXPORT, "IN_PROGRESS", None)


def test_an_incremental_export_of_another_account_with_a_key(stubbed: Stubbed) -> None:
    recovery(stubbed)
    what = {
        "ExportType": "INCREMENTAL_EXPORT",
        "IncrementalExportSpecification": {
            "ExportFromTime": WINDOW.since, "ExportToTime": WINDOW.until, "ExportViewType": "NEW_IMAGE",
        },
        "S3BucketOwner": "210987654321",
        "S3SseAlgorithm": "KMS",
        "S3SseKmsKeyId": "key",
    }  # fmt: skip
    requested(stubbed, **what, ClientToken="t")
    target = Target(bucket="my-exports", bucket_owner="210987654321", kms_key="key")
    exports.start(stubbed.api, TABLE, target, window=WINDOW, view="NEW_IMAGE", client_token="t")


def test_the_token_of_a_window_is_made_from_all_that_is_asked() -> None:
    def token(target: Target = TARGET, window: Window | None = WINDOW, **more: Any) -> str:
        api = Api(region="eu-west-1", dry_run=True)
        exports.start(api, TABLE, target, window=window, **more)
        return str(api.calls[-1].parameters["ClientToken"])

    assert token() == token()
    others = {
        token(),
        token(replace(TARGET, prefix="x")),
        token(replace(TARGET, kms_key="k")),
        token(window=replace(WINDOW, until=NOW)),
        token(view="NEW_IMAGE"),
        token(window=None),
        token(window=None),
    }
    assert len(others) == 7


def test_recovery_that_is_off(stubbed: Stubbed) -> None:
    recovery(stubbed, "DISABLED")
    with pytest.raises(ConflictError, match="--enable-pitr"):
        exports.start(stubbed.api, TABLE, TARGET)
    recovery(stubbed, "DISABLED")
    stubbed.answer(
        "dynamodb",
        "update_continuous_backups",
        {},
        TableName="orders",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    requested(stubbed, S3Prefix="nightly", ExportType="FULL_EXPORT", ClientToken="t")
    exports.start(stubbed.api, TABLE, TARGET, client_token="t", enable_pitr=True)


@pytest.mark.parametrize(
    "window",
    [
        Window(NOW, NOW + timedelta(minutes=14, seconds=59)),
        Window(NOW, NOW + timedelta(hours=24, seconds=1)),
        Window(NOW.replace(microsecond=1), NOW + timedelta(hours=1)),
        Window(NOW, NOW - timedelta(hours=1)),
    ],
)
def test_windows_that_aws_does_not_take(stubbed: Stubbed, window: Window) -> None:
    with pytest.raises(UsageError, match="15 minutes to 24 hours"):
        exports.start(stubbed.api, TABLE, TARGET, window=window)


def described(stubbed: Stubbed, arn: str = EXPORT, **details: Any) -> None:
    stubbed.answer("dynamodb", "describe_export", {"ExportDescription": {"ExportArn": arn, **details}}, ExportArn=arn)


def test_waiting_for_an_export(stubbed: Stubbed) -> None:
    described(stubbed, ExportStatus="IN_PROGRESS")
    described(stubbed, ExportStatus="IN_PROGRESS")
    described(
        stubbed, ExportStatus="COMPLETED", S3Bucket="b", S3Prefix="p/", ItemCount=7, ExportTime=NOW - timedelta(hours=1)
    )
    told: list[tuple[str, float]] = []
    state = exports.wait(stubbed.api, EXPORT, tell=lambda at, waited: told.append((at.status, waited.total_seconds())))
    assert (state.url, state.items) == ("s3://b/p/AWSDynamoDB/01795392000622-0a1b2c3d", 7)
    assert told == [("IN_PROGRESS", 0), ("IN_PROGRESS", 20), ("COMPLETED", 40)]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("S3NoSuchBucket", "does not exist"),
        ("S3AccessDenied", "s3:PutObject"),
        ("KmsNotFoundException", "KMS key"),
        ("Something", "ask AWS"),
    ],
)
def test_an_export_that_fails_says_why_and_what_to_do(stubbed: Stubbed, code: str, remedy: str) -> None:
    described(stubbed, ExportStatus="FAILED", FailureCode=code, FailureMessage="it failed")
    with pytest.raises(SourceError, match="it failed") as caught:
        exports.wait(stubbed.api, EXPORT)
    assert remedy in caught.value.remedy


def test_a_filtered_export_is_warned_of(stubbed: Stubbed) -> None:
    described(stubbed, ExportStatus="COMPLETED", FilterSpecification={"FilterExpression": "a = :b"})
    assert "not the whole table" in exports.wait(stubbed.api, EXPORT).warnings[0]


def test_a_list_of_several_pages_newest_first(stubbed: Stubbed) -> None:
    arns = [f"{TABLE}/export/0179539200{number:04d}-0a1b2c3d" for number in (3, 1, 2)]
    stubbed.answer(
        "dynamodb",
        "list_exports",
        {"ExportSummaries": [{"ExportArn": arn} for arn in arns[:2]], "NextToken": "more"},
        TableArn=str(TABLE),
    )
    stubbed.answer(
        "dynamodb",
        "list_exports",
        {"ExportSummaries": [{"ExportArn": arns[2]}]},
        TableArn=str(TABLE),
        NextToken="more",
    )
    specification = {"ExportFromTime": WINDOW.since, "ExportToTime": WINDOW.until, "ExportViewType": "NEW_IMAGE"}
    described(
        stubbed, arns[0], ExportStatus="FAILED", IncrementalExportSpecification={**specification, "ExportToTime": NOW}
    )
    described(stubbed, arns[2], ExportStatus="COMPLETED", ExportTime=NOW)
    described(stubbed, arns[1], ExportStatus="IN_PROGRESS", IncrementalExportSpecification=specification)
    assert exports.next_start(stubbed.api, TABLE) == WINDOW.until


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ThrottlingException", RetryError),
        ("AccessDeniedException", UsageError),
        ("ExpiredTokenException", UsageError),
        ("TableNotFoundException", MissingError),
        ("ExportConflictException", ConflictError),
        ("InvalidExportTimeException", ConflictError),
        ("ValidationException", UsageError),
    ],
)
def test_answers_of_aws_become_errors_with_a_remedy(stubbed: Stubbed, code: str, kind: type) -> None:
    stubbed.refuse("dynamodb", "describe_export", code, "in AWS's words", ExportArn=EXPORT)
    with pytest.raises(kind, match="in AWS's words") as caught:
        exports.describe(stubbed.api, EXPORT)
    assert code in str(caught.value)
    assert type(explain("x", code, "y")) is type(caught.value)


def test_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match="credentials"):
        exports.describe(Api(region="eu-west-1"), EXPORT)
    with pytest.raises(UsageError, match="nobody"):
        exports.describe(Api(region="eu-west-1", profile="nobody"), EXPORT)


@pytest.mark.parametrize("url", ["my-exports", "https://x/y", "s3://", "s3:///p", ""])
def test_places_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, match="s3://BUCKET"):
        Target.parse(url)


def test_names() -> None:
    assert TableArn.parse(str(TABLE)) == TABLE == table_of_export(EXPORT)
    assert Target.parse("s3://b/p/q/") == Target(bucket="b", prefix="p/q")
    for text in ("orders", EXPORT, "arn:aws:s3:::b"):
        with pytest.raises(UsageError):
            TableArn.parse(text)
    with pytest.raises(UsageError):
        table_of_export(str(TABLE))


def ended(api: Api, arn: str) -> exports.ExportState:
    """The state of an export when moto, whose threads take their time, is done. Its ARN is none that `wait` takes."""
    deadline = time.monotonic() + 120
    while (state := exports.describe(api, arn)).status == "IN_PROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return state


@mock_aws
def test_moto_has_the_same_opinion_of_recovery_and_of_missing_buckets() -> None:
    """Where moto follows AWS: point-in-time recovery, a bucket that is not there."""
    table = replace(TABLE, region="us-east-1")
    client = boto3.client("dynamodb", region_name="us-east-1")
    client.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    api = Api(region="us-east-1", clock=FakeClock(NOW))
    with pytest.raises(ConflictError, match="point-in-time recovery"):
        exports.start(api, table, TARGET)
    state = exports.start(api, table, TARGET, enable_pitr=True)
    failed = ended(api, state.arn)
    assert (failed.status, failed.failure[0]) == ("FAILED", "S3NoSuchBucket")
    assert exports.check_recovery(api, table, enable=False) is not None
    assert [each.status for each in exports.exports_of(api, table)] == ["FAILED"]
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="my-exports")
    assert ended(api, exports.start(api, table, TARGET).arn).status == "COMPLETED"
