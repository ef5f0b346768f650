"""Windows of time that incremental exports cover: what AWS allows, and how to cut time into them.

Why they must touch, and where the first one after a full export must lie: `transformer.job.chain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from transformer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAD = timedelta(minutes=2)
"""How long before a snapshot its first window begins at the latest."""
TAIL = timedelta(minutes=1)
"""How long after a snapshot its first window ends at the earliest."""
SHORTEST, LONGEST = timedelta(minutes=15), timedelta(hours=24)
"""What AWS allows for a window (Developer Guide, "DynamoDB data export to Amazon S3: how it works")."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The changes with since <= time < until, both UTC."""

    since: datetime
    until: datetime

    def __str__(self) -> str:
        return f"{shown(self.since)} to {shown(self.until)}"


def is_first(window: Window, snapshot: datetime) -> bool:
    """Whether a chain after the full export of this time may begin with this window."""
    return window.since <= snapshot - LEAD and window.until >= snapshot + TAIL


def first_window(snapshot: datetime) -> Window:
    """The best first window after a full export: the shortest one, ending right behind AWS's minute.

    Whatever the snapshot can have seen exists at its end, unless it was deleted before; so the hole is what was put in
    the quarter of an hour before the snapshot and deleted within AWS's minute around it. With a window of a day it
    would be what was put in the minutes before the snapshot and deleted within the day.
    """
    end = _up_to_second(snapshot + TAIL)
    return Window(end - SHORTEST, end)


def next_window(since: datetime, now: datetime, *, margin: timedelta) -> Window | None:
    """The window to export next: from `since` to `now` less `margin`, 24 hours at most; None when it is too early."""
    until = min((now - margin).replace(microsecond=0), since + LONGEST)
    return Window(since, until) if until - since >= SHORTEST else None


def windows_between(since: datetime, until: datetime) -> Sequence[Window]:
    """Touching windows from `since` until `until` that AWS allows, as few as possible.

    Raises UsageError when there is less than a quarter of an hour between them.
    """
    if until - since < SHORTEST:
        raise UsageError(
            f"{shown(since)} to {shown(until)} is shorter than the 15 minutes that a window has at least",
            remedy="Wait a little, or begin where an earlier window ends.",
        )
    windows = []
    while since < until:
        rest = until - since
        # A remainder must be a window too.
        step = LONGEST if rest >= LONGEST + SHORTEST or rest <= LONGEST else rest - SHORTEST
        windows.append(Window(since, min(until, since + step)))
        since = windows[-1].until
    return windows


def _up_to_second(at: datetime) -> datetime:
    return at if not at.microsecond else at.replace(microsecond=0) + timedelta(seconds=1)


def shown(at: datetime) -> str:
    """A moment as people and AWS's own command write it: ISO 8601 in UTC, fractions only where there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
