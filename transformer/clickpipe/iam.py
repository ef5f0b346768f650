"""Policies of the role that a ClickPipe assumes (ClickHouse's pages on ClickPipes for Kinesis and S3)."""

from __future__ import annotations

from typing import Any

KINESIS_ACTIONS = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetShardIterator",
    "kinesis:GetRecords",
    "kinesis:ListShards",
    "kinesis:RegisterStreamConsumer",
    "kinesis:DeregisterStreamConsumer",
    "kinesis:ListStreamConsumers",
    "kinesis:SubscribeToShard",
)
"""What a pipe does with its stream; DescribeStreamSummary is in ClickHouse's own live tests, not in the page."""

PRINCIPAL = "CLICKHOUSE_SERVICE_IAM_ARN"
"""Stands for the service's principal (`iamRole` of the service in the Cloud API) where it is not known."""


def trust_policy(principal: str = PRINCIPAL) -> dict[str, Any]:
    """Who may assume the role: the ClickHouse service, and nobody else."""
    return _policy({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"})


def kinesis_policy(stream_arn: str) -> dict[str, Any]:
    """What the role may do with one stream and its consumers. ListStreams knows no narrower resource."""
    return _policy(
        {"Effect": "Allow", "Action": list(KINESIS_ACTIONS), "Resource": stream_arn},
        {
            "Effect": "Allow",
            "Action": ["kinesis:SubscribeToShard", "kinesis:DescribeStreamConsumer"],
            "Resource": f"{stream_arn}/*",
        },
        {"Effect": "Allow", "Action": "kinesis:ListStreams", "Resource": "*"},
    )


def s3_policy(bucket: str, prefix: str, partition: str = "aws") -> dict[str, Any]:
    """What the role may read: the objects of one export."""
    arn = f"arn:{partition}:s3:::{bucket}"
    return _policy(
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{arn}/{prefix}/*"},
        {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": arn},
    )


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
