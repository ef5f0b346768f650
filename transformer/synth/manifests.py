"""The names and manifests of an export, byte for byte as AWS writes them."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformer.synth.datafile import Written

ACCOUNT = "123456789012"
REGION = "eu-west-1"
BUCKET = "my-exports"
FIRST_EXPORT = datetime(2026, 11, 23, 0, 0, 0, 622_000, tzinfo=UTC)
"""When exports happen unless the caller says otherwise: a constant, since nothing here may depend on the clock."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an export is: everything in its manifests that does not come from the data.

    table: the table's name. started: whole milliseconds, UTC. prefix: as given to the API, or None.
    digest: 32 bytes that differ between exports; ids and file names are cut out of it.
    """

    table: str
    started: datetime
    prefix: str | None
    digest: bytes

    @property
    def export_id(self) -> str:
        """`0`, the start in epoch milliseconds (13 digits), a dash, 8 hexadecimal digits."""
        return f"0{_milliseconds(self.started):013d}-{self.digest[:4].hex()}"

    @property
    def table_arn(self) -> str:
        """The table."""
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.table}"

    @property
    def export_arn(self) -> str:
        """The export."""
        return f"{self.table_arn}/export/{self.export_id}"

    @property
    def root(self) -> str:
        """The key under which AWS puts the export: the prefix, joined with exactly one slash, and what follows."""
        start = "" if not self.prefix else self.prefix if self.prefix.endswith("/") else f"{self.prefix}/"
        return f"{start}AWSDynamoDB/{self.export_id}"

    def data_key(self, number: int, *, shared: bool = False) -> str:
        """The key of data file `number`: 26 characters of a-z2-7, which are 128 bits.

        shared: in the folder of all incremental exports under this prefix.
        """
        name = hashlib.sha256(self.digest + number.to_bytes(4, "big")).digest()[:16]
        folder = self.root.rpartition("/")[0] if shared else self.root
        return f"{folder}/data/{base64.b32encode(name).decode().rstrip('=').lower()}.json.gz"


def summary(identity: Identity, *, item_count: int, billed_bytes: int, seconds: float) -> bytes:
    """`manifest-summary.json` of a full export: one compact line without a newline, keys in AWS's order."""
    times: dict[str, object] = {"exportTime": _timestamp(identity.started)}
    return _compact(_summary("2020-06-30", identity, times, item_count, billed_bytes, seconds))


def increment_summary(
    identity: Identity,
    *,
    since: datetime,
    until: datetime,
    view: str,
    item_count: int,
    billed_bytes: int,
    seconds: float,
) -> bytes:
    """The same of an incremental export of [since, until), with its output view."""
    times: dict[str, object] = {"exportFromTime": _timestamp(since), "exportToTime": _timestamp(until)}
    fields = _summary("2023-08-01", identity, times, item_count, billed_bytes, seconds)
    return _compact({**fields, "outputView": view, "exportType": "INCREMENTAL_EXPORT"})


def _summary(
    version: str, identity: Identity, times: dict[str, object], item_count: int, billed_bytes: int, seconds: float
) -> dict[str, object]:
    ended = identity.started + timedelta(milliseconds=round(seconds * 1000))
    return {
        "version": version,
        "exportArn": identity.export_arn,
        "startTime": _timestamp(identity.started),
        "endTime": _timestamp(ended),
        "tableArn": identity.table_arn,
        "tableId": str(uuid.UUID(bytes=hashlib.sha256(identity.table.encode()).digest()[:16], version=4)),
        **times,
        "s3Bucket": BUCKET,
        "s3Prefix": identity.prefix,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{identity.root}/manifest-files.json",
        "billedSizeBytes": billed_bytes,
        "itemCount": item_count,
        "outputFormat": "DYNAMODB_JSON",
    }


def files(entries: list[tuple[str, Written]]) -> bytes:
    """`manifest-files.json`: one compact line per data file (key, what was written), each with a newline."""
    return b"".join(
        _compact(
            {
                "itemCount": written.item_count,
                "md5Checksum": written.md5,
                "etag": written.etag,
                "dataFileS3Key": key,
            }
        )
        + b"\n"
        for key, written in entries
    )


def _compact(value: dict[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
