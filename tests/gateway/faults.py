"""What goes wrong on cue."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any


class Kind(enum.Enum):
    """Where an answer goes wrong."""

    NONE = "none"
    """Nothing: this request is let through, and the next fault waits for the next one."""
    REFUSE = "refuse"
    """`status` and `code` in the place of carrying the statement out."""
    LOSE = "lose"
    """The statement is carried out, and `status` and `code` are answered all the same: a proxy lost the answer."""
    RESET_BEFORE = "reset_before"
    """The connection is reset before the body is read."""
    RESET_INSIDE = "reset_inside"
    """The connection is reset in the middle of the body."""
    RESET_AFTER = "reset_after"
    """The statement is carried out, and the connection is reset in the place of an answer."""
    STALL_BEFORE = "stall_before"
    """Nothing is carried out and nothing answered until the client has hung up."""
    STALL_AFTER = "stall_after"
    """The statement is carried out, and nothing answered until the client has hung up."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure. status, body: of the answer. code: ClickHouse's; None for a proxy's answer, which has none."""

    kind: Kind = Kind.REFUSE
    status: int = 500
    code: int | None = None
    body: str = ""

    @classmethod
    def exception(cls, code: int, name: str, *, status: int = 500, kind: Kind = Kind.REFUSE) -> Fault:
        """An exception as ClickHouse words it."""
        return cls(kind, status, code, f"Code: {code}. DB::Exception: on cue. ({name})")

    def to_record(self) -> dict[str, Any]:
        """For the control interface."""
        return {**asdict(self), "kind": self.kind.value}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Fault:
        """What `to_record` made."""
        return cls(**{**record, "kind": Kind(record["kind"])})
