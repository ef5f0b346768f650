"""Names of things at AWS."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transformer.errors import UsageError

_TABLE = re.compile(r"arn:([a-z0-9-]+):dynamodb:([a-z0-9-]+):([0-9]{12}):table/([A-Za-z0-9_.-]{3,255})")
_EXPORT = re.compile(_TABLE.pattern + r"/export/([0-9A-Za-z-]+)")
_STREAM = re.compile(r"arn:[a-z0-9-]+:kinesis:([a-z0-9-]+):([0-9]{12}):stream/([A-Za-z0-9_.-]{1,128})")
_STREAM_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True)
class TableArn:
    """A DynamoDB table: `arn:<partition>:dynamodb:<region>:<account>:table/<name>`."""

    partition: str
    region: str
    account: str
    name: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table/{self.name}"

    @classmethod
    def parse(cls, text: str) -> TableArn:
        """Read a table's ARN. Raises UsageError for anything else."""
        matched = _TABLE.fullmatch(text)
        if matched is None:
            raise UsageError(
                f"{text!r:.300} is no ARN of a DynamoDB table",
                remedy="`aws dynamodb describe-table --table-name NAME --query Table.TableArn` shows it.",
            )
        return cls(*matched.groups())

    def stream(self, name: str) -> str:
        """The ARN of the Kinesis stream of this name beside the table; a whole ARN stays as it is.

        Raises UsageError for a name that is none, and for a stream in another account or region, which DynamoDB
        refuses (Developer Guide, "Using Kinesis Data Streams to capture changes to DynamoDB").
        """
        if name.startswith("arn:"):
            matched = _STREAM.fullmatch(name)
            if matched is None:
                raise UsageError(f"{name!r:.300} is no ARN of a Kinesis stream")
            if (matched[1], matched[2]) != (self.region, self.account):
                raise UsageError(
                    f"stream {name} and table {self} are not in one account and region",
                    remedy="DynamoDB writes only to streams in the table's own account and region.",
                )
            return name
        if not _STREAM_NAME.fullmatch(name):
            raise UsageError(f"{name!r:.200} is no name of a Kinesis stream (letters, digits, _ . -)")
        return f"arn:{self.partition}:kinesis:{self.region}:{self.account}:stream/{name}"


def table_of_export(arn: str) -> TableArn:
    """The table that an export ARN names. Raises UsageError when it is none."""
    matched = _EXPORT.fullmatch(arn)
    if matched is None:
        raise UsageError(
            f"{arn!r:.300} is no ARN of an export", remedy="`dynamo2ch export list TABLE_ARN` shows those of a table."
        )
    return TableArn(*matched.groups()[:4])


def stream_name(arn: str) -> str:
    """The name in a stream's ARN."""
    return arn.rpartition("/")[2]
