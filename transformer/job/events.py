"""What a run tells while it goes on. Whoever shows progress or writes logs takes these; the run itself prints nothing.

All events of a run come from the thread that called it, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The export is found, the destination open, the table there.

    files: data files to load. items: items in them according to the manifest, None where there is none.
    files_skipped: data files that earlier runs of the job have loaded. attempt: which run of it this is, from 1.
    """

    job: str
    export: str
    table: str
    destination: str
    files: int
    items: int | None
    workers: int
    inserters: int
    block_bytes: int
    warnings: tuple[str, ...] = ()
    files_skipped: int = 0
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class BlockDecoded:
    """`items` items of `json_bytes` bytes were decoded from `file`."""

    file: str
    items: int
    json_bytes: int


@dataclass(frozen=True, slots=True)
class ItemsRejected:
    """Items of `file` were rejected: how many under each code name."""

    file: str
    codes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChunkInserted:
    """One insert was acknowledged: lines `first_line` to `last_line` (1-based) of `file`."""

    file: str
    first_line: int
    last_line: int
    rows: int
    arrow_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CallRetried:
    """A call to the destination failed the `number`-th time; it is tried again after `wait` seconds.

    file: whose rows it is about, or empty. message: what happened.
    """

    file: str
    number: int
    wait: float
    message: str


@dataclass(frozen=True, slots=True)
class FileLoaded:
    """Every line of `file` is a row or a reject, and its count and checksum agree with the manifest."""

    file: str
    items: int
    rows: int
    rejects: int
    gz_bytes: int
    json_bytes: int
    md5: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """No further chunk will be begun. reason: `signal`, `rejects` or `error`; message: a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event, with the totals of the result. error: message of what ended the run, or empty."""

    job: str
    status: str
    exit_code: int
    files_total: int
    files_loaded: int
    items: int
    rows: int
    rejects: int
    seconds: float
    peak_rss_bytes: int
    error: str = ""


Event = RunStarted | BlockDecoded | ItemsRejected | ChunkInserted | CallRetried | FileLoaded | Stopping | RunEnded
Observer = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """The observer of those who want none."""
