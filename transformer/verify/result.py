"""What a verification has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from transformer.errors import Dynamo2chError, ExitCode

SHOWN = 10
"""Differences that are named one by one, for each check."""


class Finding(Enum):
    """PROVED: equal. CONSISTENT: nothing speaks against it, but later changes hide a part. MISMATCH: not equal."""

    PROVED = "proved"
    CONSISTENT = "consistent"
    MISMATCH = "mismatch"


@dataclass(slots=True)
class Check:
    """One question and its answer.

    name: of the question. finding: the answer. detail: one sentence. differences: the first few, one sentence each.
    """

    name: str
    finding: Finding
    detail: str
    differences: list[str] = field(default_factory=list)


@dataclass(slots=True)
class VerifyResult:
    """One verification. Times in seconds. error: what kept it from being finished, or None."""

    export: str
    table: str = ""
    destination: str = ""
    job: str = ""
    checks: list[Check] = field(default_factory=list)
    rows: int = 0
    rejects_open: int = 0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    error: Dynamo2chError | None = None

    @property
    def finding(self) -> Finding:
        """The worst answer."""
        order = [Finding.PROVED, Finding.CONSISTENT, Finding.MISMATCH]
        return max((check.finding for check in self.checks), key=order.index, default=Finding.MISMATCH)

    @property
    def exit_code(self) -> int:
        """What a process that did only this ends with."""
        if self.error is not None:
            return int(self.error.exit_code)
        return int(ExitCode.MISMATCH if self.finding is Finding.MISMATCH else ExitCode.DONE)

    def to_dict(self) -> dict[str, object]:
        """The record as `--json` prints it."""
        return {
            "status": "failed" if self.error is not None else self.finding.value,
            "export": self.export,
            "table": self.table,
            "destination": self.destination,
            "job": self.job,
            "rows": self.rows,
            "rejects_open": self.rejects_open,
            "checks": [
                {
                    "check": check.name,
                    "finding": check.finding.value,
                    "detail": check.detail,
                    "differences": check.differences,
                }
                for check in self.checks
            ],
            "seconds": round(self.seconds, 3),
            "warnings": self.warnings,
            "error": None
            if self.error is None
            else {
                "type": type(self.error).__name__,
                "message": self.error.message,
                "remedy": self.error.remedy,
                "exit_code": int(self.error.exit_code),
            },
            "exit_code": self.exit_code,
        }
