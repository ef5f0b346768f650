"""The ledger: what has been loaded, kept beside the data, so that any worker anywhere can go on from there.

A *job* is one export (or what is left of one, in a replay) on its way into one destination table. It is written down
before its first row, with everything that a later run needs to make the same chunks and the same tokens. Then comes one
record for each data file of which every line is accounted for, written in groups: a file whose record a crash has
swallowed is loaded again, with the same tokens, so nothing is doubled.

Nothing is ever changed or deleted: records are added, and what a job is now follows from all of its records together.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from transformer.errors import ConflictError, InternalError
from transformer.schema.digest import KeyDigest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Self


class JobKind(Enum):
    """What a job loads: a full export, an incremental one, or the rejects of another job."""

    SNAPSHOT = "snapshot"
    INCREMENT = "increment"
    REPLAY = "replay"


class JobEvent(Enum):
    """What can be noted of a job."""

    STARTED = "started"
    RESUMED = "resumed"
    COMPLETE = "complete"
    ABANDONED = "abandoned"


class JobState(Enum):
    """What a job is: begun, with every file accounted for, or given up in favour of a new one (`--restart`)."""

    STARTED = "started"
    COMPLETE = "complete"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. What stands here is fixed when it starts, down to `started_at`; the rest follows from later records.

    job: its id, which is part of every insert token. kind: see `JobKind`.
    table: the destination table, without its database, which is the ledger's own.
    export: fingerprint of the export: which files it has, how many items each, with which checksums.
    export_id: as AWS calls it; empty for a folder without manifests. url: where it lay, without credentials.
    export_time: the moment of a full export as ISO 8601 text, or empty. window_since, window_until: the window of an
        incremental one in the same form, or empty.
    summary_md5, files_md5: of the two manifests (base64), or empty.
    files, items: how many there are; items is None where no manifest says.
    version_from: `zero`, `export_time` or, for increments, `write_time`. version: of its rows, in microseconds.
    schema: fingerprint of the schema. revision: of the decoder. chunk_items, chunk_bytes: the limits of its chunks.
        Together with the file they decide what a chunk and its token are.
    rejects: folder of its quarantine, or empty.
    parent: for a replay, the job whose rejects it loads; else empty.
    started_at: ISO 8601, UTC. state, attempts (runs so far), ended_at (when it became complete or abandoned).
    """

    job: str
    kind: JobKind
    table: str
    export: str
    export_id: str = ""
    url: str = ""
    export_time: str = ""
    window_since: str = ""
    window_until: str = ""
    summary_md5: str = ""
    files_md5: str = ""
    files: int = 0
    items: int | None = None
    version_from: str = "zero"
    version: int = 0
    schema: str = ""
    revision: int = 0
    chunk_items: int = 0
    chunk_bytes: int = 0
    rejects: str = ""
    parent: str = ""
    started_at: str = ""
    state: JobState = JobState.STARTED
    attempts: int = 1
    ended_at: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Equal for jobs of which at most one may be alive: kind, table, export, parent."""
        return self.kind.value, self.table, self.export, self.parent

    def to_record(self) -> dict[str, Any]:
        """What is fixed, as JSON values."""
        record: dict[str, Any] = {name: getattr(self, name) for name in FIXED}
        record["kind"] = self.kind.value
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The job of `to_record`; numbers may come as text, as ClickHouse writes large ones."""
        values = {name: record[name] for name in FIXED}
        for name in _NUMBERS:
            values[name] = None if values[name] is None else int(values[name])
        return cls(**values | {"kind": JobKind(record["kind"])})


FIXED = tuple(each.name for each in fields(Job) if each.name not in ("state", "attempts", "ended_at"))
"""The members of a job that never change."""

_NUMBERS = ("files", "items", "version", "revision", "chunk_items", "chunk_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedFile:
    """One data file of which every line is a row that the destination acknowledged or a reject in the quarantine.

    job: whose it is. file: its name in the export. attempt: in which run of the job it was finished, from 1.
    items: lines that are not blank; rows + rejects = items. rejects_by_code: by code name.
    chunks: inserts. gz_bytes, json_bytes: read. md5: base64, of the bytes read.
    keys: digest of the keys of its rows (`schema.digest`).
    started_at, finished_at: ISO 8601, UTC. worker: host and process that loaded it.
    """

    job: str
    file: str
    attempt: int
    items: int
    rows: int
    rejects: int
    chunks: int
    gz_bytes: int
    json_bytes: int
    md5: str
    keys: KeyDigest
    rejects_by_code: Mapping[str, int] = field(default_factory=dict)
    started_at: str = ""
    finished_at: str = ""
    worker: str = ""

    def to_record(self) -> dict[str, Any]:
        """All of it as JSON values."""
        record = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "keys"}
        record["rejects_by_code"] = dict(sorted(self.rejects_by_code.items()))
        record |= {"keys_count": self.keys.count, "keys_sum": self.keys.sum, "keys_xor": self.keys.xor}
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The file of `to_record`; numbers may come as text."""
        values: dict[str, Any] = {name: str(record[name]) for name in _FILE_TEXTS}
        values |= {name: int(record[name]) for name in _FILE_NUMBERS}
        keys = KeyDigest(*(int(record[f"keys_{part}"]) for part in ("count", "sum", "xor")))
        codes = {str(code): int(count) for code, count in record["rejects_by_code"].items()}
        return cls(**values, keys=keys, rejects_by_code=codes)


_FILE_TEXTS = ("job", "file", "md5", "started_at", "finished_at", "worker")
_FILE_NUMBERS = ("attempt", "items", "rows", "rejects", "chunks", "gz_bytes", "json_bytes")


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over finished files."""

    files: int = 0
    items: int = 0
    rows: int = 0
    rejects: int = 0
    chunks: int = 0
    gz_bytes: int = 0
    json_bytes: int = 0
    keys: KeyDigest = field(default_factory=KeyDigest)

    @classmethod
    def of(cls, finished: Iterable[FinishedFile]) -> Self:
        """The totals of `finished`."""
        total = cls()
        for file in finished:
            total = replace(
                total,
                files=total.files + 1,
                **{name: getattr(total, name) + getattr(file, name) for name in _FILE_NUMBERS[1:]},
                keys=total.keys + file.keys,
            )
        return total


class Ledger(Protocol):
    """A place that keeps the records of jobs. Threads may share one; processes each open their own.

    Every method may raise RetryError when the place cannot be reached now, and UsageError when it may not be used.
    """

    @property
    def where(self) -> str:
        """What to call the place in messages, without credentials."""

    def jobs(self, table: str) -> list[Job]:
        """Every job of a destination table, with what it is now, in the order in which they were started."""

    def start(self, job: Job) -> Job:
        """Write `job` down, and return the one that counts.

        When several workers start the same job at the same time (equal `identity`), one of them is first and all get
        that one back: whoever goes on must use the answer, with its id and limits.
        """

    def note(self, job: Job, event: JobEvent) -> Job:
        """Note that `event` happened to `job`, now; returns the job as it is with that. Noting twice changes nothing
        but `attempts`."""

    def record(self, files: Sequence[FinishedFile]) -> None:
        """Write down files, all of them or none. A file that is recorded already stays as it was."""

    def files(self, job: str) -> dict[str, FinishedFile]:
        """The finished files of the job with this id, by name."""


class NoLedger:
    """The ledger of destinations that keep nothing: every run is the first one."""

    where = "nowhere"

    def jobs(self, table: str) -> list[Job]:
        """None."""
        return []

    def start(self, job: Job) -> Job:
        """It counts, as there is no other."""
        return job

    def note(self, job: Job, event: JobEvent) -> Job:
        """See `Ledger.note`."""
        return with_events(job, [(event, "")])

    def record(self, files: Sequence[FinishedFile]) -> None:
        """Forget them."""

    def files(self, job: str) -> dict[str, FinishedFile]:
        """None."""
        return {}


def with_events(job: Job, events: Iterable[tuple[JobEvent, str]]) -> Job:
    """`job` after `events`, each with its time: abandoned outweighs complete, whatever came first."""
    state, attempts, ended = job.state, job.attempts, job.ended_at
    for event, at in events:
        if event is JobEvent.RESUMED:
            attempts += 1
        elif event is JobEvent.ABANDONED and state is not JobState.ABANDONED:
            state, ended = JobState.ABANDONED, at
        elif event is JobEvent.COMPLETE and state is JobState.STARTED:
            state, ended = JobState.COMPLETE, at
    return replace(job, state=state, attempts=attempts, ended_at=ended)


_STARTS = 5  # names tried for a start; each takes somebody who deletes records by hand


def begin(job: Job, jobs: Callable[[], list[Job]], create: Callable[[str], None], where: str) -> Job:
    """What `Ledger.start` does, for a ledger that can do two things.

    jobs: reads the jobs of the table. create: writes `job` down under a name, unless that name is in use. All workers
    that see the same jobs try the same name, so only one of them succeeds.
    Raises InternalError when what is written cannot be read.
    """
    for attempt in range(_STARTS):
        before = jobs()
        if (alive := living(job, before)) is not None:
            return alive
        # A name that is in use, but whose record somebody has deleted, is passed over at the next attempt.
        generation = sum(each.identity == job.identity for each in before)
        content = json.dumps([*job.identity, generation, attempt])
        create(hashlib.sha256(content.encode()).hexdigest()[:32])
        if (alive := living(job, jobs())) is not None:
            return alive
    raise InternalError(f"the ledger in {where} does not keep what is written to it")


def living(job: Job, among: Iterable[Job]) -> Job | None:
    """The job of the same identity that is not abandoned, or None."""
    alive = (each for each in among if each.identity == job.identity and each.state is not JobState.ABANDONED)
    return min(alive, key=lambda each: (each.started_at, each.job), default=None)


def replays_of(job: Job, jobs: Sequence[Job]) -> list[Job]:
    """The replays of the rejects of `job`, and of the rejects that these had, and so on."""
    found: list[Job] = []
    parents = {job.job}
    while True:
        children = [
            each
            for each in jobs
            if each.kind is JobKind.REPLAY
            and each.parent in parents
            and each.state is not JobState.ABANDONED
            and each not in found
        ]
        if not children:
            return found
        found += children
        parents = {each.job for each in children}


def unreadable(where: str, reason: object) -> ConflictError:
    """The error for records that nobody of this release has written."""
    return ConflictError(
        f"the ledger in {where} cannot be understood: {reason}",
        remedy="It was written by another release of this tool or changed by hand. Use that release, or move the "
        "ledger away and load again into an empty table.",
    )


def moment(at: datetime) -> str:
    """`at` as the ledger writes it: ISO 8601 with microseconds and a Z, so that texts sort as times."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
