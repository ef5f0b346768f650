"""What is asked for: one pipe from one stream into the tables of one schema, with all names that follow from it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.schema.landing import DEFAULT_DEPTH

if TYPE_CHECKING:
    from transformer.schema.table import Table

_STREAM = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}")
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")

ROLE_PREFIX = "ClickHouseAccessRole-"
"""ClickHouse's documentation asks for it; whether it is enforced is not known."""

NO_ACCOUNT = "ACCOUNT_ID"
"""Stands for the AWS account in what is rendered without one."""


class Design(Enum):
    """How records become rows."""

    LANDING = "landing"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class PipeSpec:
    """One Kinesis ClickPipe.

    table: the destination. source_table: the DynamoDB table, by default of the same name.
    stream, region, account: the Kinesis stream; account is empty when not known. role: ARN of the role that the pipe
        assumes; by default one named after the stream in that account.
    database: where the tables are. depth, keep_raw_days: see `transformer.schema.landing.landing_statements`.
    start: UNIX seconds from which the stream is read; None reads all that it still holds.
    """

    table: Table
    stream: str
    region: str
    design: Design = Design.LANDING
    database: str = "default"
    source_table: str = ""
    account: str = ""
    role: str = ""
    depth: int = DEFAULT_DEPTH
    keep_raw_days: int = 0
    start: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for names that AWS or ClickHouse would not take."""
        for value, pattern, what, remedy in (
            (self.stream, _STREAM, "stream", "Letters, digits, and _ . - only."),
            (self.region, _REGION, "region", "Write it like eu-west-1."),
            (self.database, _DATABASE, "database", "Letters, digits and _ only."),
            (self.account or "0" * 12, _ACCOUNT, "account", "Write the twelve digits of the AWS account."),
            (
                self.role or "arn:aws:iam::000000000000:role/x",
                _ROLE,
                "role",
                "Write its ARN, arn:aws:iam::...:role/...",
            ),
        ):
            if not pattern.fullmatch(value):
                raise UsageError(f"{value!r} is not the name of a {what}", remedy=remedy)
        if self.start is not None and not 0 < self.start < 1 << 33:
            raise UsageError("the start is not in UNIX seconds", remedy="Write it like 1795392000.")

    @property
    def name(self) -> str:
        """The pipe's name, by which it is found again."""
        return f"{self.table.name}-cdc"[:255]

    @property
    def records_of(self) -> str:
        """The DynamoDB table whose records are meant."""
        return self.source_table or self.table.name

    @property
    def partition(self) -> str:
        """The part of AWS that the region belongs to, as ARNs name it."""
        return "aws-cn" if self.region.startswith("cn-") else "aws-us-gov" if "-gov-" in self.region else "aws"

    @property
    def role_name(self) -> str:
        """The name of the role, at most 64 characters, as IAM allows."""
        name = ROLE_PREFIX + self.stream
        if len(name) > 64:
            name = f"{name[:55]}-{hashlib.sha256(self.stream.encode()).hexdigest()[:8]}"
        return name

    @property
    def role_arn(self) -> str:
        """The role that the pipe assumes."""
        return self.role or f"arn:{self.partition}:iam::{self.account or NO_ACCOUNT}:role/{self.role_name}"

    @property
    def stream_arn(self) -> str:
        """The stream."""
        return f"arn:{self.partition}:kinesis:{self.region}:{self.account or NO_ACCOUNT}:stream/{self.stream}"
