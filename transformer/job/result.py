"""What a snapshot run has done: the record that the command prints and that schedulers read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, ExitCode, InternalError, RejectsError
from transformer.schema.digest import KeyDigest

if TYPE_CHECKING:
    from transformer.errors import Verdict

LISTED_FILES = 1000
"""Most files that the record names one by one among those never begun: an export can have a million."""


SLOWEST_FILES = 20
"""Most files that the record names with the time they took."""

FIRST_REJECTS = 10
"""Most rejected items that the record names one by one; all of them are in the quarantine."""


def summary(error: BaseException | None) -> str:
    """What an error says, without its remedy; empty for none."""
    if error is None:
        return ""
    return error.message if isinstance(error, Dynamo2chError) else f"{type(error).__name__}: {error}"


class Status(Enum):
    """How a run ended."""

    COMPLETE = "complete"
    COMPLETE_WITH_REJECTS = "complete_with_rejects"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class FileState(Enum):
    """How far one data file came.

    SKIPPED: an earlier run of the job has loaded it. LOADED: every line is a row or a quarantined reject. PARTLY: some
    of its rows are in the table, or may be. UNTOUCHED: this run has inserted none of it.
    """

    SKIPPED = "skipped"

    LOADED = "loaded"
    PARTLY = "partly"
    UNTOUCHED = "untouched"


@dataclass(slots=True)
class FileOutcome:
    """One data file. Rows are counted when their insert is acknowledged, items and rejects when they are decoded.

    gz_bytes, md5: known once the file is read to its end. rejects_by_code: by code name. keys: digest of the keys of
    the rows. begun_at: when the first of it was decoded, ISO 8601, or empty. seconds: from its opening until its
    last chunk was acknowledged; 0 before that.
    Of a file that is skipped everything is as the ledger has it.
    """

    name: str
    state: FileState = FileState.UNTOUCHED
    items: int = 0
    rows: int = 0
    rejects: int = 0
    chunks: int = 0
    gz_bytes: int = 0
    json_bytes: int = 0
    md5: str = ""
    rejects_by_code: Counter[str] = field(default_factory=Counter)
    keys: KeyDigest = field(default_factory=KeyDigest)
    begun_at: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """The record of this file in the result."""
        return {
            "file": self.name,
            "state": self.state.value,
            "items_read": self.items,
            "rows_inserted": self.rows,
            "items_rejected": self.rejects,
        }


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """One rejected item, without any of its values. line is 1-based, offset in bytes from the start of the line."""

    file: str
    line: int
    offset: int
    code: str
    path: str
    column: str
    reason: str

    @classmethod
    def of(cls, file: str, line: int, verdict: Verdict) -> RejectedItem:
        """The item at `line` of `file`."""
        return cls(
            file=file,
            line=line,
            offset=verdict.offset,
            code=verdict.code.name,
            path=verdict.path,
            column=verdict.column,
            reason=verdict.reason,
        )


@dataclass(slots=True)
class SnapshotResult:
    """One run. Sizes in bytes, times in seconds.

    job: id of the job, which stands in insert tokens and in the name of the quarantine folder. attempt: which run of it
        this is, from 1.
    shard: `I/N` where this run took one part of the files, else empty. job_complete: every file of the export is
        accounted for, whoever loaded it.
    rejects_open: rejected items of the whole job so far, less those that a replay has loaded.
    destination: URL, without credentials.
    items_in_manifest: None where the export has no manifest.
    rejects: folder of the quarantine, or empty when nothing was written.
    rejects_by_code: how many items under each code name. first_rejects: the first few, without values.
    stages: seconds that threads spent in each stage, summed over threads.
    largest_chunk_bytes: Arrow size of the largest chunk.
    retries: calls to the destination that failed and were made again.
    keys_in_table: different keys in the destination after the load, None where they were not counted.
    exact_until: after an increment, the moment whose state the table has (ISO 8601), or empty.
    error: what ended the run, or None. error_file: the data file it happened in, or empty.
    """

    job: str
    export: str
    table: str = ""
    destination: str = ""
    attempt: int = 1
    shard: str = ""
    job_complete: bool = False
    rejects_open: int = 0
    dry_run: bool = False
    max_rejects: int = 0
    status: Status = Status.FAILED
    signal: int = 0
    files: list[FileOutcome] = field(default_factory=list)
    items_in_manifest: int | None = None
    rejects: str = ""
    rejects_by_code: dict[str, int] = field(default_factory=dict)
    first_rejects: list[RejectedItem] = field(default_factory=list)
    seconds: float = 0.0
    peak_rss_bytes: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    largest_chunk_bytes: int = 0
    retries: int = 0
    keys_in_table: int | None = None
    exact_until: str = ""
    warnings: list[str] = field(default_factory=list)
    error: BaseException | None = None
    error_file: str = ""

    @property
    def files_loaded(self) -> int:
        """Data files of which this run has accounted for every line."""
        return sum(file.state is FileState.LOADED for file in self.files)

    @property
    def files_skipped(self) -> int:
        """Data files that an earlier run has loaded."""
        return sum(file.state is FileState.SKIPPED for file in self.files)

    @property
    def _fresh(self) -> list[FileOutcome]:
        """The files that this run was to load."""
        return [file for file in self.files if file.state is not FileState.SKIPPED]

    @property
    def rows_in_job(self) -> int:
        """Rows of these files whose insert was acknowledged, in this run or before."""
        return sum(file.rows for file in self.files)

    @property
    def items_read(self) -> int:
        """Items decoded or rejected, also those of files that were not finished."""
        return sum(file.items for file in self._fresh)

    @property
    def rows_inserted(self) -> int:
        """Rows whose insert was acknowledged, also those of files that were not finished."""
        return sum(file.rows for file in self._fresh)

    @property
    def items_rejected(self) -> int:
        """Items that became no row in this run."""
        return sum(file.rejects for file in self._fresh)

    @property
    def gz_bytes(self) -> int:
        """Compressed bytes of the files that were read to their end."""
        return sum(file.gz_bytes for file in self._fresh)

    @property
    def json_bytes(self) -> int:
        """Uncompressed bytes decoded."""
        return sum(file.json_bytes for file in self._fresh)

    @property
    def exit_code(self) -> int:
        """What a process that did only this run ends with."""
        if self.status is Status.INTERRUPTED:
            return 128 + self.signal if self.signal else int(ExitCode.INTERRUPTED)
        if self.status is Status.FAILED:
            return int(self.error.exit_code if isinstance(self.error, Dynamo2chError) else ExitCode.BUG)
        return int(ExitCode.INPUT if self.rejects_open > self.max_rejects else ExitCode.DONE)

    def raise_for_status(self) -> None:
        """Raise what went wrong, for callers that prefer exceptions: the error, or RejectsError over the limit."""
        if self.error is not None:
            raise self.error
        if self.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if self.status is Status.FAILED:
            raise InternalError("the run failed without an error")
        if self.rejects_open > self.max_rejects:
            raise self.too_many_rejects()

    def too_many_rejects(self) -> RejectsError:
        """The error that says that more items were rejected than `max_rejects`."""
        where = (
            f"They are in {self.rejects}; mend the schema and load them with `dynamo2ch replay`."
            if self.rejects
            else ""
        )
        many = f"{self.rejects_open:,} item{'s were' if self.rejects_open != 1 else ' was'} rejected"
        return RejectsError(f"{many}, and --max-rejects allows {self.max_rejects:,}", remedy=where)

    def to_dict(self) -> dict[str, object]:
        """The record as `--json` prints it. Keys are an interface: they are added to, never renamed."""
        return {
            "status": self.status.value,
            "job": self.job,
            "attempt": self.attempt,
            "shard": self.shard or None,
            "job_complete": self.job_complete,
            "exact_until": self.exact_until or None,
            "export": self.export,
            "table": self.table,
            "destination": self.destination,
            "dry_run": self.dry_run,
            "files_total": len(self.files),
            "files_loaded": self.files_loaded,
            "files_skipped": self.files_skipped,
            "files_not_loaded": self._not_loaded(),
            "items_in_manifest": self.items_in_manifest,
            "items_read": self.items_read,
            "rows_inserted": self.rows_inserted,
            "items_rejected": self.items_rejected,
            "rejects_open": self.rejects_open,
            "max_rejects": self.max_rejects,
            "rejects": self.rejects or None,
            "rejects_by_code": dict(sorted(self.rejects_by_code.items())),
            "first_rejects": [
                {name: getattr(item, name) for name in RejectedItem.__dataclass_fields__} for item in self.first_rejects
            ],
            "gz_bytes": self.gz_bytes,
            "json_bytes": self.json_bytes,
            "seconds": round(self.seconds, 3),
            "peak_rss_bytes": self.peak_rss_bytes,
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "slowest_files": self._slowest(),
            "largest_chunk_bytes": self.largest_chunk_bytes,
            "retries": self.retries,
            "keys_in_table": self.keys_in_table,
            "warnings": list(self.warnings),
            "error": self._error(),
            "exit_code": self.exit_code,
        }

    def _slowest(self) -> list[dict[str, object]]:
        """The files of this run that took longest, at most SLOWEST_FILES."""
        timed = sorted((file for file in self.files if file.seconds), key=lambda file: (-file.seconds, file.name))
        return [
            {**file.to_dict(), "json_bytes": file.json_bytes, "seconds": round(file.seconds, 3)}
            for file in timed[:SLOWEST_FILES]
        ]

    def _not_loaded(self) -> list[dict[str, object]]:
        """Every file that is partly loaded, and the first LISTED_FILES of those that were not touched."""
        partly = [file for file in self.files if file.state is FileState.PARTLY]
        untouched = [file for file in self.files if file.state is FileState.UNTOUCHED]
        return [file.to_dict() for file in partly + untouched[:LISTED_FILES]]

    def _error(self) -> dict[str, object] | None:
        """What ended the run, as a record."""
        if self.error is None:
            return None
        return {
            "type": type(self.error).__name__,
            "message": summary(self.error),
            "remedy": self.error.remedy if isinstance(self.error, Dynamo2chError) else "",
            "file": self.error_file or None,
            "exit_code": int(self.error.exit_code if isinstance(self.error, Dynamo2chError) else ExitCode.BUG),
        }
