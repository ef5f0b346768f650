"""AWS as the table's side sees it, over a made-up history: exports are written to a folder when they are requested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from transformer.aws.api import Api, Call
from transformer.aws.exports import ExportState
from transformer.errors import ConflictError
from transformer.source.window import Window
from transformer.synth.history import History
from transformer.synth.increments import write_full, write_increment

BUCKET = "exports"


@dataclass
class FakeClock:
    """A clock that only `sleep` moves."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class FakeAws(Api):
    """An `Api` that answers for one table. looks: how often an export is in progress before it is complete."""

    history: History | None = None
    folder: Path = Path()
    looks: int = 2
    earliest: datetime | None = None
    exports: dict[str, dict[str, Any]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def call(self, service: str, operation: str, assume: Mapping[str, Any], **parameters: Any) -> Mapping[str, Any]:
        self.calls.append(Call(service, operation, parameters))
        answer: Mapping[str, Any] = getattr(self, f"_{operation}")(**parameters)
        return answer

    def requested(self) -> int:
        """How many exports were paid for."""
        return len(self.exports)

    def locate(self, state: ExportState) -> str:
        return str(self.paths[state.arn])

    def _DescribeContinuousBackups(self, TableName: str) -> Mapping[str, Any]:
        recovery = {"PointInTimeRecoveryStatus": "ENABLED", "EarliestRestorableDateTime": self.earliest}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def _ExportTableToPointInTime(self, **what: Any) -> Mapping[str, Any]:
        assert self.history is not None
        token = what["ClientToken"]
        if token not in self.tokens:
            now = self.clock.now()
            if what["ExportType"] == "FULL_EXPORT":
                written = write_full(self.folder, self.history, at=now, files=2, seed=len(self.exports))
                details: dict[str, Any] = {"ExportTime": written.export_time}
            else:
                window = what["IncrementalExportSpecification"]
                if window["ExportToTime"] > now - timedelta(minutes=4):
                    raise ConflictError("InvalidExportTimeException")
                written = write_increment(
                    self.folder,
                    self.history,
                    since=window["ExportFromTime"],
                    until=window["ExportToTime"],
                    view=window["ExportViewType"],
                    files=2,
                    seed=len(self.exports),
                    started=now,
                )
                details = {"IncrementalExportSpecification": window}
            self.tokens[token] = written.export_arn
            self.paths[written.export_arn] = written.path
            self.exports[written.export_arn] = {
                "ExportArn": written.export_arn,
                "ExportStatus": "IN_PROGRESS",
                "S3Bucket": what["S3Bucket"],
                "S3Prefix": what.get("S3Prefix"),
                "looks": self.looks,
                **details,
            }
        return {"ExportDescription": self.exports[self.tokens[token]]}

    def _DescribeExport(self, ExportArn: str) -> Mapping[str, Any]:
        export = self.exports[ExportArn]
        if export["looks"] > 0:
            export["looks"] -= 1
        elif export["ExportStatus"] == "IN_PROGRESS":
            export["ExportStatus"] = "COMPLETED"
        return {"ExportDescription": export}

    def _ListExports(self, TableArn: str, **_: Any) -> Mapping[str, Any]:
        return {"ExportSummaries": [{"ExportArn": arn} for arn in self.exports]}


def windows(aws: FakeAws) -> list[Window]:
    """The windows that were requested, in order."""
    found = (export.get("IncrementalExportSpecification") for export in aws.exports.values())
    return [Window(each["ExportFromTime"], each["ExportToTime"]) for each in found if each]
