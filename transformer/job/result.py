"""What a snapshot run has done: the record that the command prints and that schedulers read."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, ExitCode, InternalError, RejectsError

if TYPE_CHECKING:
    from transformer.errors import Verdict

LISTED_FILES = 1000
"""Most files that the record names one by one among those never begun: an export can have a million."""


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

    LOADED: every line is a row or a quarantined reject. PARTLY: some of its rows are in the table, or may be.
    UNTOUCHED: none is.
    """

    LOADED = "loaded"
    PARTLY = "partly"
    UNTOUCHED = "untouched"


@dataclass(slots=True)
class FileOutcome:
    """One data file. Rows are counted when their insert is acknowledged, items and rejects when they are decoded.

    gz_bytes, md5: known once the file is read to its end.
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

    job: random id of this run; it stands in insert tokens and in the name of the quarantine folder.
    destination: URL, without credentials.
    items_in_manifest: None where the export has no manifest.
    rejects: folder of the quarantine, or empty when nothing was written.
    rejects_by_code: how many items under each code name. first_rejects: the first few, without values.
    stages: seconds that threads spent in each stage, summed over threads.
    largest_chunk_bytes: Arrow size of the largest chunk.
    keys_in_table: different keys in the destination after the load, None where they were not counted.
    error: what ended the run, or None. error_file: the data file it happened in, or empty.
    """

    job: str
    export: str
    table: str = ""
    destination: str = ""
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
    keys_in_table: int | None = None
    warnings: list[str] = field(default_factory=list)
    error: BaseException | None = None
    error_file: str = ""

    @property
    def files_loaded(self) -> int:
        """Data files of which every line is accounted for."""
        return sum(file.state is FileState.LOADED for file in self.files)

    @property
    def items_read(self) -> int:
        """Items decoded or rejected, also those of files that were not finished."""
        return sum(file.items for file in self.files)

    @property
    def rows_inserted(self) -> int:
        """Rows whose insert was acknowledged, also those of files that were not finished."""
        return sum(file.rows for file in self.files)

    @property
    def items_rejected(self) -> int:
        """Items that became no row."""
        return sum(file.rejects for file in self.files)

    @property
    def gz_bytes(self) -> int:
        """Compressed bytes of the files that were read to their end."""
        return sum(file.gz_bytes for file in self.files)

    @property
    def json_bytes(self) -> int:
        """Uncompressed bytes decoded."""
        return sum(file.json_bytes for file in self.files)

    @property
    def exit_code(self) -> int:
        """What a process that did only this run ends with."""
        if self.status is Status.INTERRUPTED:
            return 128 + self.signal if self.signal else int(ExitCode.INTERRUPTED)
        if self.status is Status.FAILED:
            return int(self.error.exit_code if isinstance(self.error, Dynamo2chError) else ExitCode.BUG)
        return int(ExitCode.INPUT if self.items_rejected > self.max_rejects else ExitCode.DONE)

    def raise_for_status(self) -> None:
        """Raise what went wrong, for callers that prefer exceptions: the error, or RejectsError over the limit."""
        if self.error is not None:
            raise self.error
        if self.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if self.status is Status.FAILED:
            raise InternalError("the run failed without an error")
        if self.items_rejected > self.max_rejects:
            raise self.too_many_rejects()

    def too_many_rejects(self) -> RejectsError:
        """The error that says that more items were rejected than `max_rejects`."""
        where = f"They are in {self.rejects}; mend the schema and load again." if self.rejects else ""
        many = f"{self.items_rejected:,} item{'s were' if self.items_rejected != 1 else ' was'} rejected"
        return RejectsError(f"{many}, and --max-rejects allows {self.max_rejects:,}", remedy=where)

    def to_dict(self) -> dict[str, object]:
        """The record as `--json` prints it. Keys are an interface: they are added to, never renamed."""
        return {
            "status": self.status.value,
            "job": self.job,
            "export": self.export,
            "table": self.table,
            "destination": self.destination,
            "dry_run": self.dry_run,
            "files_total": len(self.files),
            "files_loaded": self.files_loaded,
            "files_skipped": 0,
            "files_not_loaded": self._not_loaded(),
            "items_in_manifest": self.items_in_manifest,
            "items_read": self.items_read,
            "rows_inserted": self.rows_inserted,
            "items_rejected": self.items_rejected,
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
            "largest_chunk_bytes": self.largest_chunk_bytes,
            "keys_in_table": self.keys_in_table,
            "warnings": list(self.warnings),
            "error": self._error(),
            "exit_code": self.exit_code,
        }

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
