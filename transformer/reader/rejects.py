"""What a reader does with a line that becomes no row: raise, or hand it to whoever asked for it. Never nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from transformer.errors import RejectsError, UsageError

if TYPE_CHECKING:
    from transformer.errors import Verdict


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """One line that became no row.

    file: name of the data file in the export, empty for `decode_lines`.
    line: its 1-based number in the file, blank lines counted.
    verdict: code, offset in bytes, attribute path, column.
    raw: the bytes of the line, less what the schema drops; None when nothing of it may be kept.
    """

    file: str
    line: int
    verdict: Verdict
    raw: bytes | None


OnReject = Literal["raise"] | Callable[[RejectedLine], None]
"""`raise`: the first rejected line raises RejectsError. A callable: it is called with each one, in order, and reading
goes on; what it raises comes through."""


def check_policy(on_reject: OnReject) -> None:
    """Raise UsageError for what is no policy."""
    if on_reject != "raise" and not callable(on_reject):
        raise UsageError(
            f"on_reject cannot be {on_reject!r}",
            remedy="Give 'raise', or a callable that takes a RejectedLine, such as rejected.append.",
        )


def handle(on_reject: OnReject, rejected: RejectedLine) -> None:
    """Do with one rejected line what the policy says. Raises RejectsError, or what the callable raises."""
    if callable(on_reject):
        on_reject(rejected)
        return
    verdict = rejected.verdict
    where = f"{rejected.file} line {rejected.line}" if rejected.file else f"line {rejected.line}"
    path = f" {verdict.path}:" if verdict.path else ""
    raise RejectsError(
        f"{where} byte {verdict.offset}:{path} {verdict.code.name}, {verdict.reason}",
        remedy="Mend the schema, or take rejected lines yourself with on_reject=rejected.append.",
    )
