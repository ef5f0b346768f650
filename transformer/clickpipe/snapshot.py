"""The guide's step 3: an S3 ClickPipe that loads a full export through a view, once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from transformer.clickpipe.iam import s3_policy
from transformer.clickpipe.spec import NO_ACCOUNT, ROLE_PREFIX
from transformer.errors import UsageError
from transformer.schema.landing import SNAPSHOT_COLUMNS, Names, snapshot_statements

if TYPE_CHECKING:
    from transformer.clickpipe.spec import PipeSpec

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*?AWSDynamoDB/[0-9]+-[0-9a-f]+)/?")


@dataclass(frozen=True, slots=True)
class ExportLocation:
    """A full export in S3: bucket, and the key of its folder without a slash at the end."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> ExportLocation:
        """From s3://bucket/.../AWSDynamoDB/<export-id>. Raises UsageError for anything else."""
        found = _URL.fullmatch(url)
        if found is None or any(character in found[2] for character in "*?{}#"):
            raise UsageError(
                f"{url} is no folder of a full export in S3",
                remedy="Write it like s3://bucket/prefix/AWSDynamoDB/01693685827463-2d8752fd.",
            )
        return cls(found[1], found[2])


def snapshot_body(spec: PipeSpec, export: ExportLocation) -> dict[str, Any]:
    """The body of a one-shot S3 pipe into the snapshot table.

    Only full exports: the data files of incremental ones share a folder, so that no pattern selects one export.
    """
    role = f"arn:{spec.partition}:iam::{spec.account or NO_ACCOUNT}:role/{ROLE_PREFIX}{spec.table.name[:33]}-s3"
    return {
        "name": f"{spec.table.name}-snapshot"[:255],
        "source": {
            "objectStorage": {
                "type": "s3",
                "format": "JSONEachRow",
                "url": f"https://{export.bucket}.s3.{spec.region}.amazonaws.com/{export.prefix}/data/*.json.gz",
                "compression": "gzip",
                "isContinuous": False,
                "authentication": "IAM_ROLE",
                "iamRole": role,
            }
        },
        "destination": {
            "database": spec.database,
            "table": Names.of_snapshot(spec.table.name).landing,
            "managedTable": False,
            "columns": [{"name": name, "type": sql} for name, sql in SNAPSHOT_COLUMNS],
        },
        "fieldMappings": [{"sourceField": "Item", "destinationField": "item"}],
    }


def snapshot_files(spec: PipeSpec, export: ExportLocation) -> dict[str, str]:
    """The files of the S3 pipe, by name."""
    statements = snapshot_statements(spec.table, database=spec.database, depth=spec.depth)
    policy = s3_policy(export.bucket, export.prefix, spec.partition)
    files = {
        f"snapshot/sql/{number}-{statement.name}.sql": f"-- {statement.title}\n{statement.sql};\n"
        for number, statement in enumerate(statements, start=1)
    }
    files["snapshot/pipe.json"] = json.dumps(snapshot_body(spec, export), indent=2, ensure_ascii=False) + "\n"
    files["snapshot/access-policy.json"] = json.dumps(policy, indent=2) + "\n"
    return files
