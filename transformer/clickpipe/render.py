"""`clickpipe render`: everything as files, for review, made without any network and always the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from transformer.clickpipe.body import pipe
from transformer.clickpipe.explain import explain
from transformer.clickpipe.iam import kinesis_policy, trust_policy
from transformer.clickpipe.snapshot import snapshot_files
from transformer.clickpipe.terraform import terraform

if TYPE_CHECKING:
    from pathlib import Path

    from transformer.clickpipe.snapshot import ExportLocation
    from transformer.clickpipe.spec import PipeSpec


def rendered(spec: PipeSpec, export: ExportLocation | None = None) -> dict[str, str]:
    """File name to content. export: where a full export is, for the files of an S3 pipe; None makes none.

    Raises UsageError when the design cannot serve the table.
    """
    made = pipe(spec)
    files = {
        f"sql/{number}-{statement.name}.sql": f"-- {statement.title}\n{statement.sql};\n"
        for number, statement in enumerate(made.statements, start=1)
    }
    files["pipe.json"] = json_text(made.body)
    files["main.tf"] = terraform(spec, made.body)
    files["trust-policy.json"] = json_text(trust_policy())
    files["access-policy.json"] = json_text(kinesis_policy(spec.stream_arn))
    if export is not None:
        files |= snapshot_files(spec, export)
    files["README.md"] = explain(spec, made, list(files))
    return files


def write(files: dict[str, str], folder: Path) -> list[Path]:
    """Write rendered files, over those of an earlier time. Returns their paths in order of their names."""
    written = []
    for name, content in sorted(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        written.append(path)
    return written


def json_text(content: dict[str, Any]) -> str:
    """JSON for people."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
