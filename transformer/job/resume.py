"""Which job a run belongs to, what of it is done, and the contradictions that end a run before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transformer.errors import ConflictError
from transformer.job.chain import Loaded, check_continues, window_of
from transformer.load.ledger import (
    FinishedFile,
    Job,
    JobEvent,
    JobKind,
    JobState,
    NoLedger,
    Totals,
    living,
    replays_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from transformer.load.ledger import Ledger

_RESTART = "or give up what is loaded and begin anew with --restart"


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A job as a run takes it up.

    job: the one that counts, with its id and limits. done: its finished files by name. replayed: what replays of its
    rejects have loaded. resumed: it was there before.
    """

    job: Job
    done: Mapping[str, FinishedFile]
    replayed: Totals
    resumed: bool

    @property
    def rejects(self) -> int:
        """Items that are in the quarantine and that no replay has loaded."""
        return sum(file.rejects for file in self.done.values()) - self.replayed.rows

    @property
    def complete(self) -> bool:
        """Whether nothing of it is left to load."""
        return self.job.state is JobState.COMPLETE


def take_up(
    ledger: Ledger, wanted: Job, *, restart: bool, stored_rows: Callable[[], int], allow_gap: bool = False
) -> TakenUp:
    """The job for `wanted`: the one that is there already, or a new one.

    wanted: what a new job would be. restart: give up the one that is there. stored_rows: counts the rows in the table.
    allow_gap: start an increment wherever its window lies.
    May be called again with the same `wanted` after a RetryError, which may have hidden a success.
    Raises ConflictError when the ledger says that going on would mix what does not belong together.
    """
    jobs = ledger.jobs(wanted.table)
    before = living(wanted, jobs)
    if before is not None and before.job == wanted.job:
        # Started by this very run, in a try that was cut short.
        return TakenUp(before, {}, Totals(), resumed=False)
    if before is not None and restart:
        for child in replays_of(before, jobs):
            ledger.note(child, JobEvent.ABANDONED)
        ledger.note(before, JobEvent.ABANDONED)
        before = None
    if before is None:
        if wanted.kind is JobKind.INCREMENT:
            # Without a ledger nothing is known, and nothing is kept either.
            if not allow_gap and not isinstance(ledger, NoLedger):
                check_continues(Loaded.of(jobs), window_of(wanted), wanted.table)
        else:
            _check_others(ledger, wanted, jobs, stored_rows)
        job = ledger.start(wanted)
        if job.job == wanted.job:
            return TakenUp(job, {}, Totals(), resumed=False)
    else:
        job = before
    check_same_rows(job, wanted)
    done = ledger.files(job.job)
    if before is not None:
        _check_stored(job, Totals.of(done.values()), stored_rows)
    replayed = Totals.of(file for child in replays_of(job, jobs) for file in ledger.files(child.job).values())
    if before is not None and job.state is JobState.STARTED:
        job = ledger.note(job, JobEvent.RESUMED)
    return TakenUp(job, done, replayed, resumed=True)


def _check_stored(job: Job, loaded: Totals, stored_rows: Callable[[], int]) -> None:
    """Raise ConflictError when the table cannot hold what the ledger says is loaded.

    Of a job that is complete only an empty table is a contradiction: rows may have been deleted since for good reasons.
    """
    if not loaded.rows:
        return
    stored = stored_rows()
    if stored >= loaded.rows or (stored and job.state is JobState.COMPLETE):
        return
    what = "is empty" if not stored else f"holds only {stored:,} rows"
    raise ConflictError(
        f"table {job.table} {what}, but the ledger says that {loaded.files:,} files of this export with "
        f"{loaded.rows:,} rows are loaded into it (job {job.job})",
        remedy="Was the table emptied or made anew, or were rows deleted? Load all of it again with --restart.",
    )


def check_same_rows(job: Job, wanted: Job) -> None:
    """Raise ConflictError unless a line becomes the same row in `wanted` as in `job`, which was started before."""
    started = f"this export was begun on {job.started_at[:16].replace('T', ' ')} UTC (job {job.job})"
    if job.schema != wanted.schema:
        raise ConflictError(
            f"{started} with another schema: fingerprint {job.schema}, now {wanted.schema}",
            remedy="Finish with the schema it was begun with; rejects can then be loaded under the new one with "
            "`dynamo2ch replay`. Or give up what is loaded and load all of it again with --restart.",
        )
    if job.revision != wanted.revision:
        raise ConflictError(
            f"{started} by a release that decodes differently (revision {job.revision}, now {wanted.revision})",
            remedy=f"Finish with that release, {_RESTART}.",
        )
    if job.version != wanted.version:
        raise ConflictError(
            f"{started} with version {job.version} for its rows, now it would be {wanted.version}",
            remedy=f"Finish with the schema and the manifest it was begun with, {_RESTART}.",
        )


def _check_others(ledger: Ledger, wanted: Job, jobs: Sequence[Job], stored_rows: Callable[[], int]) -> None:
    """Raise ConflictError when rows of another full export would stay beside or above those of this one."""
    others = [
        job
        for job in jobs
        if job.kind is JobKind.SNAPSHOT and job.state is not JobState.ABANDONED and job.identity != wanted.identity
    ]
    above = [job for job in others if job.version >= wanted.version]
    if not above:
        return
    if not stored_rows():
        # Emptied since: what these jobs have loaded is gone, and nobody shall take it for loaded.
        for job in above:
            ledger.note(job, JobEvent.ABANDONED)
        return
    other = above[-1]
    name = other.export_id or other.url or other.export
    if wanted.version_from == "zero":
        what = (
            f"table {wanted.table} holds another full export already ({name}), and rows of this one get version 0: "
            "items that were deleted or changed between the two would stay as they were"
        )
        remedy = (
            "Write `version: {from: export_time}` to load a newer export into a live table, load into another table "
            f"with --table, or empty this one first (TRUNCATE TABLE {wanted.table})."
        )
    else:
        what = (
            f"table {wanted.table} holds an export ({name}) whose rows have the same or a higher version "
            f"({other.version}) than this one's would have ({wanted.version})"
        )
        remedy = "Load the exports in the order of their times, or into another table with --table."
    raise ConflictError(what, remedy=remedy)
