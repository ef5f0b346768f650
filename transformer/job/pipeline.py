"""The threads of a run: workers that read and decode, inserters that insert, and the thread that keeps the books.

    files ──► worker: BlockReader ─ blocks ─► Decoder.step ─ batches ─► Chunk ──┐
    files ──► worker: one file at a time, a decoder of its own                  ├─► queue ──► inserter: insert
                      `holding` bounds what grows and waits ────────────────────┘     one chunk at a time each,
    all of them ── reports ──► coordinator: accounts, events, first error, ends       bounded by `inserting`

The coordinator is the thread that called.
Ends and errors travel through the same queues as the data, so nothing overtakes anything: a file is loaded when its
worker has reported the end of the file and every one of its chunks was reported as inserted.

Two ways to end before the end. *Stop* (a signal, enough rejects): workers finish the chunk in hand and begin no other,
and everything cut is inserted. *Abort* (an error): workers leave after the step in hand, chunks that wait are thrown
away, and inserts under way are waited for, because only their outcome tells what is in the table.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, InternalError, RejectsError, SourceError
from transformer.job import events
from transformer.job.parts import Decoded, Ended, EndOfStream, Failed, FileRead, Inserted, KeyTags, Retried
from transformer.job.result import FIRST_REJECTS, FileOutcome, FileState, RejectedItem, summary
from transformer.job.threads import Inserter, Shared, Worker
from transformer.load.ledger import moment

if TYPE_CHECKING:
    from transformer.job.events import Observer
    from transformer.job.parts import Parts, Report

LONGEST_WAIT = 0.5
"""Seconds after which the coordinator looks up even when nobody reports anything."""


@dataclass(slots=True)
class Account:
    """What a pipeline has done: the part of the result that it knows."""

    files: dict[str, FileOutcome]
    rejects_by_code: Counter[str] = field(default_factory=Counter)
    first_rejects: list[RejectedItem] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    largest_chunk: int = 0
    retries: int = 0
    error: BaseException | None = None
    error_file: str = ""

    @property
    def complete(self) -> bool:
        """Whether every file is loaded."""
        return all(file.state is FileState.LOADED for file in self.files.values())


class Pipeline:
    """Loads the files of one run. Used once."""

    def __init__(self, parts: Parts, observe: Observer) -> None:
        self._parts = parts
        self._observe = observe
        self._shared = Shared(parts)
        self._account = Account({file.name: FileOutcome(file.name) for file in parts.files})
        self._reads: dict[str, FileRead] = {}
        self._inserted: Counter[str] = Counter()
        self._tags: list[dict[str, str]] = [{} for _ in parts.table.key]
        self._stopping = False
        self._ledger_failed = False

    def run(self) -> Account:
        """Load until the end, the stop or the first error, and account for it.

        Raises nothing that happens to the load; that is in the account. What the observer raises, and a
        KeyboardInterrupt, ends the threads first and then comes through.
        """
        workers = [Worker(self._shared, decoder) for decoder in self._parts.decoders]
        inserters = [Inserter(self._shared) for _ in range(self._parts.budget.inserters)]
        threads = [
            *(threading.Thread(target=worker.run, name=f"worker-{n}") for n, worker in enumerate(workers)),
            *(threading.Thread(target=inserter.run, name=f"inserter-{n}") for n, inserter in enumerate(inserters)),
        ]
        for thread in threads:
            thread.start()
        try:
            self._keep_books(len(workers), len(inserters))
        except BaseException:
            self._shared.abort()
            raise
        finally:
            for _ in inserters:  # those that have ended already do not mind
                self._shared.chunks.put(EndOfStream())
            for thread in threads:
                thread.join()
        self._account.largest_chunk = self._shared.sizes.largest
        return self._account

    def _keep_books(self, workers: int, inserters: int) -> None:
        """Take every report until all threads have ended."""
        while workers or inserters:
            report = self._next_report()
            if report is None:
                pass
            elif isinstance(report, Ended):
                for stage, seconds in report.seconds.items():
                    self._account.stages[stage] = self._account.stages.get(stage, 0.0) + seconds
                workers -= report.worker
                inserters -= not report.worker
                if report.worker and not workers:
                    for _ in range(inserters):
                        self._shared.chunks.put(EndOfStream())
            else:
                self._enter(report)
            if self._parts.stop.pressed and not self._stopping:
                self._announce("signal", "asked to stop: finishing the chunks in hand")
            self._write_ledger(everything=False)
        self._write_ledger(everything=True)

    def _write_ledger(self, *, everything: bool) -> None:
        """Write down finished files when it is time, or at the end. What cannot be written fails the run."""
        recorder = self._parts.recorder
        if recorder is None or self._ledger_failed:
            return
        try:
            if everything or recorder.due:
                self._shared.retry(recorder.flush)
        except Dynamo2chError as error:
            self._ledger_failed = True
            self._fail("", error)

    def _next_report(self) -> Report | None:
        """The next report, or None when there was none for a while.

        Not simply a wait without end: Python runs signal handlers in this thread, and one that is caught just before
        the wait begins would otherwise be run at the next report, which a stalled network may never send.
        """
        try:
            return self._shared.reports.get(timeout=LONGEST_WAIT)
        except queue.Empty:
            return None

    def _enter(self, report: Report) -> None:
        """Enter one report in the books."""
        match report:
            case Decoded():
                self._decoded(report)
            case KeyTags(file, tags):
                self._key_tags(file, tags)
            case Inserted():
                self._inserted_chunk(report)
            case FileRead():
                self._reads[report.file] = report
                self._settle(report.file)
            case Retried(file, number, wait, message):
                self._account.retries += 1
                self._observe(events.CallRetried(file, number, wait, message))
            case Failed(file, error, maybe_inserted):
                if maybe_inserted:
                    self._account.files[file].state = FileState.PARTLY
                self._fail(file, error)
            case Ended():
                raise InternalError("the end of a thread is no entry")

    def _decoded(self, report: Decoded) -> None:
        outcome = self._account.files[report.file]
        outcome.items += report.items
        outcome.json_bytes += report.json_bytes
        outcome.begun_at = outcome.begun_at or moment(datetime.now(UTC))
        rejected = report.rejects.total()
        outcome.rejects += rejected
        outcome.rejects_by_code.update(report.rejects)
        self._account.rejects_by_code.update(report.rejects)
        room = FIRST_REJECTS - len(self._account.first_rejects)
        self._account.first_rejects.extend(report.examples[: max(room, 0)])
        self._observe(events.BlockDecoded(report.file, report.items, report.json_bytes))
        if rejected:
            self._observe(events.ItemsRejected(report.file, dict(report.rejects)))
        limit = self._parts.stop_after_rejects
        if limit is not None and self._account.rejects_by_code.total() >= limit and self._account.error is None:
            self._account.error = RejectsError(
                f"stopped after {self._account.rejects_by_code.total():,} rejected items",
                remedy="Mend the schema, or raise --stop-after-rejects, then run the same command again.",
            )
            self._parts.stop.press()
            self._announce("rejects", summary(self._account.error))

    def _inserted_chunk(self, report: Inserted) -> None:
        outcome = self._account.files[report.file]
        outcome.rows += report.rows
        outcome.keys += report.keys
        outcome.chunks += 1
        outcome.state = FileState.PARTLY
        self._observe(
            events.ChunkInserted(
                report.file,
                first_line=report.first_line,
                last_line=report.last_line,
                rows=report.rows,
                arrow_bytes=report.arrow_bytes,
                seconds=report.seconds,
            )
        )
        self._settle(report.file)

    def _settle(self, file: str) -> None:
        """Call `file` loaded when its end was seen and all of its chunks are in."""
        read = self._reads.get(file)
        outcome = self._account.files[file]
        if read is None or outcome.chunks != read.chunks:
            return
        outcome.gz_bytes = read.gz_bytes
        outcome.md5 = read.md5
        if outcome.rows + outcome.rejects != outcome.items:
            error = InternalError(
                f"{file}: {outcome.items} items, but {outcome.rows} rows and {outcome.rejects} rejects"
            )
            self._fail(file, error)
            return
        outcome.state = FileState.LOADED
        outcome.seconds = time.perf_counter() - read.begun
        if self._parts.recorder is not None:
            self._parts.recorder.add(outcome)
        self._observe(
            events.FileLoaded(
                file,
                items=outcome.items,
                rows=outcome.rows,
                rejects=outcome.rejects,
                gz_bytes=outcome.gz_bytes,
                json_bytes=outcome.json_bytes,
                md5=outcome.md5,
            )
        )

    def _key_tags(self, file: str, tags: tuple[frozenset[str], ...]) -> None:
        """Fail when one key column was filled from values of two types.

        DynamoDB fixes the type of a key attribute, so these are not the keys of one table; S "1" and N 1 are two
        items there and would be one row here.
        """
        for column, seen, new in zip(self._parts.table.key, self._tags, tags, strict=True):
            for tag in sorted(new):
                seen.setdefault(tag, file)
            if len(seen) > 1:
                found = " and ".join(f"{tag} (in {where})" for tag, where in sorted(seen.items()))
                self._fail(
                    file,
                    SourceError(
                        f"key column {column} was filled from {found}: these are not keys of one DynamoDB table, "
                        "and two different items could become one row",
                        remedy="Check `key:` and the path of that column in the schema file, and that the folder holds "
                        "one export only. Empty the table before loading again.",
                    ),
                )

    def _fail(self, file: str, error: BaseException) -> None:
        """Note the first error and make every thread leave."""
        if self._account.error is None or isinstance(self._account.error, RejectsError):
            self._account.error = error
            self._account.error_file = file
            self._announce("error", f"{file}: {summary(error)}" if file else summary(error))
        self._shared.abort()

    def _announce(self, reason: str, message: str) -> None:
        self._stopping = True
        self._observe(events.Stopping(reason, message))
