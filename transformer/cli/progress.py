"""What a run looks like while it goes on: bars on a terminal, JSON log lines elsewhere. Both on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from transformer.cli.render import printable
from transformer.job import events
from transformer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID
    from structlog.stdlib import BoundLogger

    from transformer.job.events import Event, Observer

LOG_EVERY = 10.0
"""Least seconds between two log lines on progress; the others stand for something that happened once."""


def bars_wanted() -> bool:
    """Whether stderr is a terminal that can redraw a line, and nobody asked for log lines there."""
    if Settings.from_environment().log_format != "auto":
        return False
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def observer(*, bars: bool, debug: bool) -> Iterator[Observer]:
    """The observer for `bars` or for log lines. `debug` adds a log line for each insert."""
    from transformer import log

    settings = Settings.from_environment()
    if bars:
        log.configure("debug" if debug else "warning")
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        # rich itself honours NO_COLOR. markup=False: names from the export are no markup.
        console = Console(stderr=True, markup=False, highlight=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            yield Bars(progress)
    else:
        log.configure("debug" if debug else settings.log_level, settings.log_format)
        yield LogLines(log.get("dynamo2ch"))


class Bars:
    """Two bars, files and items, with the rejects so far."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._files: TaskID | None = None
        self._items: TaskID | None = None
        self._rejects = 0

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, events.RunStarted):
            self._files = self._progress.add_task("files", total=event.files, note="")
            self._items = self._progress.add_task("items", total=event.items, note="")
            for warning in event.warnings:
                self._progress.console.print(printable(f"warning: {warning}"))
            return
        if self._files is None or self._items is None:
            return
        match event:
            case events.BlockDecoded(_, items, _):
                self._progress.advance(self._items, items)
            case events.ItemsRejected(_, codes):
                self._rejects += sum(codes.values())
                self._progress.update(self._items, note=f"{self._rejects:,} rejected")
            case events.FileLoaded():
                self._progress.advance(self._files, 1)
            case events.CallRetried(_, number, wait, message):
                note = f"try {number} failed, next in {wait:.0f} s: {message.splitlines()[0]}"
                self._progress.update(self._files, note=printable(note))
            case events.Stopping(_, message):
                self._progress.update(self._files, note=printable(message.splitlines()[0]))
            case _:
                return


class LogLines:
    """A line for the start, for each file, and now and then for the progress between."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log
        self._items = 0
        self._rejects = 0
        self._json_bytes = 0
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Log one event."""
        match event:
            case events.RunStarted():
                self._log = self._log.bind(job=event.job)
                self._log.info(
                    "run started",
                    export=event.export,
                    table=event.table,
                    destination=event.destination,
                    files=event.files,
                    items=event.items,
                    workers=event.workers,
                    inserters=event.inserters,
                    files_skipped=event.files_skipped,
                    attempt=event.attempt,
                )
                for warning in event.warnings:
                    self._log.warning("source warning", message=warning)
            case events.BlockDecoded(_, items, json_bytes):
                self._items += items
                self._json_bytes += json_bytes
                self._progress()
            case events.ItemsRejected(_, codes):
                self._rejects += sum(codes.values())
            case events.ChunkInserted():
                self._log.debug(
                    "chunk inserted",
                    file=event.file,
                    first_line=event.first_line,
                    last_line=event.last_line,
                    rows=event.rows,
                    arrow_bytes=event.arrow_bytes,
                    seconds=round(event.seconds, 3),
                )
            case events.CallRetried(file, number, wait, message):
                self._log.warning("trying again", file=file, attempt=number, seconds=round(wait, 1), message=message)
            case events.FileLoaded():
                self._log.info(
                    "file loaded",
                    file=event.file,
                    items=event.items,
                    rows=event.rows,
                    rejects=event.rejects,
                    gz_bytes=event.gz_bytes,
                    json_bytes=event.json_bytes,
                    md5=event.md5,
                )
            case events.Stopping(reason, message):
                self._log.warning("stopping", reason=reason, message=message)
            case events.RunEnded():
                self._log.bind(job=event.job).info(
                    "run ended",
                    status=event.status,
                    exit_code=event.exit_code,
                    files_total=event.files_total,
                    files_loaded=event.files_loaded,
                    items=event.items,
                    rows=event.rows,
                    rejects=event.rejects,
                    seconds=round(event.seconds, 3),
                    peak_rss_bytes=event.peak_rss_bytes,
                    error=event.error,
                )

    def _progress(self) -> None:
        now = time.monotonic()
        if now - self._last >= LOG_EVERY:
            self._last = now
            self._log.info("progress", items=self._items, rejects=self._rejects, json_bytes=self._json_bytes)
