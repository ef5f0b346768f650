"""Which windows of incremental exports make a table exact, and up to when.

A line of a window holds the last state of an item within it, with the time of that write as version, and the table
keeps the highest version of a key. So what is loaded twice, or in another order, comes to the same. But AWS writes *no
line* for an item that was put and deleted within one window. A put that another window or the snapshot has seen would
then stay for ever, so it is not enough that every change lies in some window:

1. Where a window ends, another one begins, up to the end: what exists at such a *joint* exists where the next window
   begins, so that its deletion has a line. Windows that overlap leave ends at which none begins, and are refused.
2. The first window begins at least `LEAD` before the snapshot (what an export holds is exact only to the minute, and
   the edges of windows may be off by one), and ends after `TAIL`: before that, its rows could be older than those of
   the snapshot, which have the lower version.

Then the table equals the source at the end of the last window, whatever the order of loading; the tests derive that
from a model of what AWS writes and ClickHouse keeps. One hole stays, because a full export has no exact moment: an item
that was put after the beginning of the first window, seen by the snapshot, and deleted before the end of the first
window. `first_window` makes that a matter of AWS's minute; `snapshot --tombstone-missing` closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from transformer.errors import ConflictError
from transformer.load.ledger import JobKind, JobState
from transformer.source.window import LEAD, TAIL, Window, is_first, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformer.load.ledger import Job


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a table has been loaded from: the times of its full exports, and the windows after them."""

    snapshots: tuple[datetime, ...]
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> Loaded:
        """According to the complete jobs of a table, rejects or none: what is missing is in their quarantine."""
        complete = [job for job in jobs if job.state is JobState.COMPLETE]
        return cls(
            tuple(_time(job.export_time) for job in complete if job.kind is JobKind.SNAPSHOT and job.export_time),
            tuple(window_of(job) for job in complete if job.kind is JobKind.INCREMENT),
        )

    def end(self) -> datetime | None:
        """The moment whose state the table has, and at which the next window is to begin; None while no window follows
        a snapshot."""
        firsts = {window.until for window in self.windows if any(is_first(window, at) for at in self.snapshots)}
        reached = set(firsts)
        waiting = list(firsts)
        while waiting:
            joint = waiting.pop()
            for window in self.windows:
                if window.since == joint and window.until not in reached:
                    reached.add(window.until)
                    waiting.append(window.until)
        return max(reached, default=None)

    def loose(self) -> list[Window]:
        """The windows that end where none begins, but for the last: what they have put may never be deleted.

        Those that ended before the first full export do not count: it has seen what they have not.
        """
        end = self.end()
        begun = {window.since for window in self.windows}
        oldest = min((at - LEAD for at in self.snapshots), default=None)
        return sorted(
            window
            for window in set(self.windows)
            if window.until != end and window.until not in begun and (oldest is None or window.until > oldest)
        )

    def begun(self, snapshot: datetime) -> bool:
        """Whether a first window after the full export of this time is loaded."""
        return any(is_first(window, snapshot) for window in self.windows)


def check_continues(loaded: Loaded, window: Window, table: str) -> None:
    """Raise ConflictError unless the window goes on where the table ends, begins a chain, or is loaded already."""
    end = loaded.end()
    if window.since == end or window in loaded.windows:
        return
    if any(is_first(window, at) and not loaded.begun(at) for at in loaded.snapshots):
        return
    allow = "or load it all the same with --allow-gap, and make up for the missing changes yourself"
    if not loaded.snapshots:
        raise ConflictError(
            f"the ledger knows no full export in table {table}, so the changes of {window} follow nothing",
            remedy=f"Load a full export first (`dynamo2ch snapshot`), {allow}.",
        )
    if end is None:
        first = max(loaded.snapshots)
        raise ConflictError(
            f"the first window after the full export of {shown(first)} must begin at {shown(first - LEAD)} or before "
            f"and end at {shown(first + TAIL)} or later; this one is {window}",
            remedy=f"Export such a window first, {allow}.",
        )
    if window.since > end:
        raise ConflictError(
            f"table {table} has the changes until {shown(end)}; until {shown(window.since)} they would be missing",
            remedy=f"Load a window that begins there (`dynamo2ch export start --from {shown(end)}`), {allow}.",
        )
    raise ConflictError(
        f"the window {window} begins before table {table} ends ({shown(end)}): an item that it saw being put could be "
        "deleted in another window without a line",
        remedy=f"Windows must touch: the next one begins at {shown(end)}. Load that one, {allow}.",
    )


def window_of(job: Job) -> Window:
    """The window of an increment."""
    return Window(_time(job.window_since), _time(job.window_until))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
