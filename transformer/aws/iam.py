"""The least that an identity must be allowed for each command, with the names filled in.

Actions from the Developer Guide ("Requesting a table export in DynamoDB", "Using IAM policies for Kinesis Data Streams
and Amazon DynamoDB") and, for reading exports, from what `dynamo2ch snapshot` calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformer.aws.arn import TableArn
    from transformer.aws.exports import Target

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Names:
    """What a policy speaks of. target: where exports lie; stream: ARN of the Kinesis stream; None where not given."""

    table: TableArn
    target: Target | None = None
    stream: str | None = None

    def bucket(self) -> Target:
        """Raise UsageError without a bucket."""
        if self.target is None:
            raise UsageError("this policy names a bucket", remedy="Give --bucket s3://BUCKET[/PREFIX].")
        return self.target

    def kinesis(self) -> str:
        """Raise UsageError without a stream."""
        if self.stream is None:
            raise UsageError("this policy names a stream", remedy="Give --stream NAME.")
        return self.stream


def policy(command: str, names: Names) -> dict[str, Any]:
    """The policy document for a command. Raises UsageError for one that needs none, or names that are not given."""
    try:
        make = _COMMANDS[command]
    except KeyError:
        raise UsageError(
            f"there is no policy for {command!r:.60}", remedy=f"Commands: {', '.join(map(repr, COMMANDS))}."
        ) from None
    return {"Version": "2012-10-17", "Statement": make(names)}


def _allow(sid: str, actions: list[str], *resources: str, **more: Any) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": list(resources), **more}


def _stream_show(names: Names) -> list[Statement]:
    return [_allow("ShowStream", ["dynamodb:DescribeKinesisStreamingDestination"], str(names.table))]


def _stream_enable(names: Names) -> list[Statement]:
    stream = names.kinesis()
    return [
        _allow(
            "EnableStream",
            [
                "dynamodb:EnableKinesisStreamingDestination",
                "dynamodb:UpdateKinesisStreamingDestination",
                "dynamodb:DescribeKinesisStreamingDestination",
                "dynamodb:ListExports",
            ],
            str(names.table),
        ),
        _allow("LookAtExports", ["dynamodb:DescribeExport"], f"{names.table}/export/*"),
        _allow(
            "WriteToStream",
            [
                "kinesis:CreateStream",
                "kinesis:DescribeStream",
                "kinesis:DescribeStreamSummary",
                "kinesis:PutRecords",
            ],
            stream,
        ),
        _allow("FindStreams", ["kinesis:ListStreams"], "*"),
        _allow(
            "FirstUse",
            ["iam:CreateServiceLinkedRole"],
            f"arn:{names.table.partition}:iam::{names.table.account}:role/aws-service-role/"
            "kinesisreplication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBKinesisDataStreamsReplication",
        ),
    ]


def _objects(names: Names) -> str:
    target = names.bucket()
    start = f"{target.prefix}/" if target.prefix else ""
    return f"arn:{names.table.partition}:s3:::{target.bucket}/{start}AWSDynamoDB/*"


def _export_start(names: Names) -> list[Statement]:
    target = names.bucket()
    statements = [
        _allow(
            "RequestExport",
            [
                "dynamodb:ExportTableToPointInTime",
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:UpdateContinuousBackups",
                "dynamodb:ListExports",
            ],
            str(names.table),
        ),
        _allow("FollowExport", ["dynamodb:DescribeExport"], f"{names.table}/export/*"),
        _allow("WriteExport", ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"], _objects(names)),
    ]
    if target.kms_key:
        statements.append(_allow("Encrypt", ["kms:GenerateDataKey", "kms:Decrypt"], _key(names, target.kms_key)))
    return statements


def _export_wait(names: Names) -> list[Statement]:
    return [_allow("FollowExport", ["dynamodb:DescribeExport"], f"{names.table}/export/*")]


def _export_list(names: Names) -> list[Statement]:
    return [_allow("ListExports", ["dynamodb:ListExports"], str(names.table)), *_export_wait(names)]


def _read(names: Names) -> list[Statement]:
    target = names.bucket()
    bucket = f"arn:{names.table.partition}:s3:::{target.bucket}"
    start = f"{target.prefix}/" if target.prefix else ""
    statements = [
        _allow("ReadExport", ["s3:GetObject"], _objects(names)),
        _allow(
            "ListExport",
            ["s3:ListBucket"],
            bucket,
            Condition={"StringLike": {"s3:prefix": [f"{start}AWSDynamoDB/*"]}},
        ),
    ]
    if target.kms_key:
        statements.append(_allow("ReadEncrypted", ["kms:Decrypt"], _key(names, target.kms_key)))
    return statements


def _both(names: Names) -> list[Statement]:
    return [*_export_start(names), *_read(names)]


def _key(names: Names, key: str) -> str:
    if key.startswith("arn:"):
        return key
    table = names.table
    return f"arn:{table.partition}:kms:{table.region}:{table.account}:key/{key}"


_COMMANDS: dict[str, Callable[[Names], list[Statement]]] = {
    "stream enable": _stream_enable,
    "stream show": _stream_show,
    "export start": _export_start,
    "export wait": _export_wait,
    "export list": _export_list,
    "snapshot": _read,
    "increment": _read,
    "sync": _both,
    "repair": _both,
}
COMMANDS = tuple(_COMMANDS)
"""The commands that talk to AWS."""
