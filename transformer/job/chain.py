"""Which windows of incremental exports make a table exact, and up to when.

A line of a window holds the last state of an item within it, with the time of that write as version, and the table
keeps the highest version of a key. So what is loaded twice, or in any order, comes to the same. What must not happen
is that a change falls between two windows; and that an item lives and dies within one window, seen by another: AWS
writes *no line* for an item that was put and deleted in one window, so a put that another window or the snapshot has
seen would stay for ever. Hence the rules, which the tests derive from a model of AWS's behaviour:

1. There is a *chain* from the snapshot to the end: windows of which each begins exactly where another ends. A change
   then lies in one window of the chain, and what exists where a window of it ends, exists where the next begins, so
   that its deletion has a line. Windows beside the chain do no harm, but do not take the place of one in it: windows
   that only overlap are no chain.
2. The first window begins at least `LEAD` before the snapshot (what an export holds is exact only to the minute, and
   the edges of windows may be off by one), and ends after `TAIL`: before that, its rows could be older than those of
   the snapshot, which have the lower version.

One hole stays, because a full export has no exact moment: an item that was put after the beginning of the first window
and is in the snapshot, and was deleted in the first window. `guards` makes it as small as AWS's minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from transformer.errors import ConflictError
from transformer.load.ledger import JobKind, JobState, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from transformer.load.ledger import Job

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
        return f"{_shown(self.since)} to {_shown(self.until)}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a table has been loaded from: the times of its full exports, and the windows after them."""

    snapshots: tuple[datetime, ...]
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> Loaded:
        """According to the complete jobs of a table. A job with rejects counts: what is missing is in its quarantine."""
        complete = [job for job in jobs if job.state is JobState.COMPLETE]
        return cls(
            tuple(_time(job.export_time) for job in complete if job.kind is JobKind.SNAPSHOT and job.export_time),
            tuple(
                Window(_time(job.window_since), _time(job.window_until))
                for job in complete
                if job.kind is JobKind.INCREMENT
            ),
        )

    def joints(self) -> set[datetime]:
        """The moments at which a next window may begin: the ends of chains."""
        return self._reached(
            {window.until for window in self.windows if any(is_first(window, at) for at in self.snapshots)}
        )

    def _reached(self, joints: set[datetime]) -> set[datetime]:
        """`joints` and what chains from them lead to."""
        reached = set(joints)
        waiting = list(joints)
        while waiting:
            joint = waiting.pop()
            for window in self.windows:
                if window.since == joint and window.until not in reached:
                    reached.add(window.until)
                    waiting.append(window.until)
        return reached

    def end(self) -> datetime | None:
        """The moment whose state the table has, and at which the next window is to begin; None while no window follows
        a snapshot.

        Of several first windows the one that ends first counts: the other may be its guard, see `guards`.
        """
        ends = []
        for snapshot in self.snapshots:
            firsts = [window for window in self.windows if is_first(window, snapshot)]
            if firsts:
                ends.append(max(self._reached({min(window.until for window in firsts)})))
        return max(ends, default=None)


def is_first(window: Window, snapshot: datetime) -> bool:
    """Whether a chain after the full export of this time may begin with this window."""
    return window.since <= snapshot - LEAD and window.until >= snapshot + TAIL


def check_continues(loaded: Loaded, window: Window, table: str) -> None:
    """Raise ConflictError unless the window continues a chain, or begins one."""
    joints = loaded.joints()
    if window.since in joints or any(is_first(window, at) for at in loaded.snapshots):
        return
    allow = "or load it all the same with --allow-gap, and make up for the missing changes yourself"
    if not loaded.snapshots:
        raise ConflictError(
            f"the ledger knows no full export in table {table}, so there is nothing that the changes of {window} follow",
            remedy=f"Load a full export first (`dynamo2ch snapshot`), {allow}.",
        )
    if not joints:
        first = min(loaded.snapshots)
        raise ConflictError(
            f"the first window after the full export of {_shown(first)} must begin at {_shown(first - LEAD)} or before "
            f"and end at {_shown(first + TAIL)} or later; this one is {window}",
            remedy=f"Export such a window first, {allow}.",
        )
    end = max(joints)
    if window.since > end:
        raise ConflictError(
            f"table {table} has the changes until {_shown(end)}; those from then until {_shown(window.since)} are missing",
            remedy=f"Load that window first (`dynamo2ch export start --from {_shown(end)} --to {_shown(window.since)}`), "
            f"{allow}.",
        )
    raise ConflictError(
        f"the window {window} begins where none of those in table {table} ends: an item that was put before its "
        "beginning may be deleted in it without a line",
        remedy=f"Windows must touch: the next one begins at {_shown(end)}. Load that one, {allow}.",
    )


def guards(snapshot: datetime) -> tuple[Window, Window]:
    """The first two windows to export after a full export: one to begin the chain, and one beside it.

    The chain's ends right behind AWS's minute, so that whatever the snapshot can have seen exists at a joint if it was
    not deleted before it. The other begins right before that minute, so that what was put earlier and is deleted around
    the moment of the snapshot has a line there. What is left are items that lived only within these minutes.
    """
    end = _up_to_second(snapshot + TAIL)
    begin = (snapshot - LEAD).replace(microsecond=0)
    return Window(end - SHORTEST, end), Window(begin, begin + SHORTEST)


def next_window(since: datetime, now: datetime, *, margin: timedelta) -> Window | None:
    """The window to export next: from `since` to `now` less `margin`, 24 hours at most; None when it is too early."""
    until = min((now - margin).replace(microsecond=0), since + LONGEST)
    return Window(since, until) if until - since >= SHORTEST else None


def windows_between(since: datetime, until: datetime) -> Sequence[Window]:
    """Touching windows from `since` until `until` that AWS allows, as few as possible.

    Raises ConflictError when there is less than a quarter of an hour between them.
    """
    if until - since < SHORTEST:
        raise ConflictError(
            f"{_shown(since)} to {_shown(until)} is shorter than the 15 minutes that a window has at least",
            remedy="Wait a little, or begin earlier: an earlier beginning does no harm where it is the end of a window.",
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


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _shown(at: datetime) -> str:
    return moment(at).replace(".000000Z", "Z")
