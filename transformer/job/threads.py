"""The two kinds of threads of a run. What they share, and how they end, is told in `transformer.job.pipeline`."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, InternalError, PressureError
from transformer.job.budget import INSERT_FACTOR, Aborted, Allowance, ChunkSizes
from transformer.job.parts import CutChunk, Decoded, Ended, EndOfStream, Failed, FileRead, Inserted, KeyTags, Retried
from transformer.job.resources import trim_heap
from transformer.job.result import FIRST_REJECTS, RejectedItem, summary
from transformer.load.chunks import Chunk
from transformer.load.retry import Attempt, Retrier
from transformer.schema.digest import KeyDigest
from transformer.source.blocks import check_item_count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from transformer.job.parts import Decoder, Parts, Reader, Rejected, Report, Step
    from transformer.source.blocks import Block
    from transformer.source.export import DataFile


KEY_TAGS = frozenset(("S", "N", "B"))
"""The types a DynamoDB key can have. Any other in a key column has rejected its item and tells nothing else."""


class Shared:
    """What the threads of one run have in common.

    files: the files that nobody has begun.
    chunks: from workers to inserters. Unbounded as a queue: what may wait in it is bounded by `holding`, in bytes.
    reports: from every thread to the coordinator.
    holding: bytes of chunks that grow or wait. inserting: bytes of inserts under way.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.files: queue.SimpleQueue[DataFile] = queue.SimpleQueue()
        for file in parts.files:
            self.files.put(file)
        self.chunks: queue.SimpleQueue[CutChunk | EndOfStream] = queue.SimpleQueue()
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self.holding = Allowance(parts.budget.holding, holders=parts.budget.chunks)
        self.inserting = Allowance(parts.budget.inserting, holders=parts.budget.inserters)
        self.sizes = ChunkSizes()
        self._aborted = threading.Event()
        self.retry = Retrier(
            parts.retry_seconds,
            sleep=self._aborted.wait,
            # Who asks for a stop does not want to wait for a destination that does not answer.
            given_up=lambda: self.aborted or parts.stop.pressed,
            tell=lambda attempt: self.reports.put(retried("", attempt)),
        )

    def abort(self) -> None:
        """Make every thread leave as soon as it can."""
        self._aborted.set()
        self.holding.abort()
        self.inserting.abort()

    @property
    def aborted(self) -> bool:
        """Whether the run has failed."""
        return self._aborted.is_set()


def retried(file: str, attempt: Attempt) -> Retried:
    """The report of an attempt that failed and is going to be repeated."""
    return Retried(file, attempt.number, attempt.wait, summary(attempt.error))


class Stages:
    """Seconds that one thread spends in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time inside to `stage`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin


class Worker:
    """Reads and decodes one file after the other, cuts chunks, and writes rejects."""

    def __init__(self, shared: Shared, decoder: Decoder) -> None:
        self._shared = shared
        self._parts = shared.parts
        self._decoder = decoder
        self._stages = Stages()
        self._tags: tuple[frozenset[str], ...] = tuple(frozenset() for _ in self._parts.table.key)

    def run(self) -> None:
        """The body of the thread. Raises nothing: what happens is reported."""
        name = ""
        try:
            while not (self._shared.aborted or self._parts.stop.pressed):
                try:
                    file = self._shared.files.get_nowait()
                except queue.Empty:
                    break
                name = file.name
                with _FileLoad(self._shared, self._stages, file) as load:
                    self._load(file, load)
        except Aborted:
            pass
        except BaseException as error:  # whatever it is, the run must end and say so
            self._shared.reports.put(Failed(name, error))
        finally:
            self._shared.reports.put(Ended(worker=True, seconds=self._stages.seconds))

    def _load(self, file: DataFile, load: _FileLoad) -> None:
        """Take `file` through the decoder, until its end or until the run is to stop."""
        with self._parts.read(file) as reader:
            while (block := self._next_block(reader)) is not None:
                if not self._decode(block, load):
                    return
                load.report()
                reader.recycle(block)
            load.finish(reader)

    def _next_block(self, reader: Reader) -> Block | None:
        with self._stages.timed("read"):
            return next(reader, None)

    def _decode(self, block: Block, load: _FileLoad) -> bool:
        """Decode all of `block`. False when the run is to stop and the chunk in hand is cut."""
        begin = 0
        while begin < block.size:
            if self._shared.aborted:
                raise Aborted
            if not load.has_chunk and self._parts.stop.pressed:
                return False
            chunk = load.open_chunk()
            with self._stages.timed("decode"):
                step = self._decoder.step(
                    block.buffer, begin, block.size, max_items=chunk.items_left, max_bytes=chunk.bytes_left
                )
            if step.size <= 0:
                raise InternalError(f"{load.name}: the decoder makes no progress at line {load.lines + 1}")
            self._note_tags(load.name, step)
            load.add(step)
            begin += step.size
        return True

    def _note_tags(self, name: str, step: Step) -> None:
        """Report the type tags of key columns when there are new ones."""
        tags = tuple(seen | KEY_TAGS.intersection(new) for seen, new in zip(self._tags, step.key_tags, strict=True))
        if tags != self._tags:
            self._tags = tags
            self._shared.reports.put(KeyTags(name, tags))


class _FileLoad:
    """One file on its way through a worker: its counts, its chunk in hand, its rejects."""

    def __init__(self, shared: Shared, stages: Stages, file: DataFile) -> None:
        self._shared = shared
        self._parts = shared.parts
        self._stages = stages
        self._file = file
        self._begun = time.perf_counter()
        self.name = file.name
        self.lines = 0
        self._items = 0
        self._chunks = 0
        self._chunk: Chunk | None = None
        self._chunk_line = 0
        self._held = 0
        self._fresh = Decoded(self.name)
        self._quarantine = None if self._parts.quarantine is None else self._parts.quarantine.file(file.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The books must know of every item of the chunks that were cut, however the file ended.
        self.report()
        try:
            self._publish_rejects()
        except Dynamo2chError as second:
            if error is None:
                raise
            error.add_note(f"besides: {second}")

    @property
    def has_chunk(self) -> bool:
        """Whether a chunk has been begun and not cut."""
        return self._chunk is not None

    def open_chunk(self) -> Chunk:
        """The chunk in hand; a new one, once there is memory for it, when there is none. Raises Aborted."""
        if self._chunk is None:
            expected = self._shared.sizes.expected
            with self._stages.timed("wait"):
                self._shared.holding.acquire(expected)
            self._held = expected
            self._chunk = Chunk(self._parts.limits)
            self._chunk_line = self.lines + 1
        return self._chunk

    def add(self, step: Step) -> None:
        """Take over what a step decoded, and cut the chunk when it is full."""
        chunk = self.open_chunk()
        rows = step.batch.num_rows
        if rows + len(step.rejects) != step.items:
            raise InternalError(
                f"{self.name}: {step.items} items became {rows} rows and {len(step.rejects)} rejects "
                f"after line {self.lines}"
            )
        for rejected in step.rejects:
            self._reject(rejected)
        chunk.add(step)
        self.lines += step.lines
        self._items += step.items
        self._fresh.items += step.items
        self._fresh.json_bytes += step.size
        if chunk.full:
            self._cut()

    def report(self) -> None:
        """Tell the coordinator what was decoded since the last time."""
        fresh, self._fresh = self._fresh, Decoded(self.name)
        self._shared.reports.put(fresh)

    def finish(self, reader: Reader) -> None:
        """The file was read to its end. Raises SourceError when it does not hold as many items as the manifest says."""
        check_item_count(self._file, self._items)
        if self._chunk is not None:
            self._cut()
        self._publish_rejects()
        self._shared.reports.put(
            FileRead(self.name, chunks=self._chunks, gz_bytes=reader.gz_bytes, md5=reader.md5, begun=self._begun)
        )

    def _publish_rejects(self) -> None:
        """Give the file's rejects their name in the quarantine."""
        if self._quarantine is not None:
            with self._stages.timed("quarantine"):
                self._quarantine.close()

    def _reject(self, rejected: Rejected) -> None:
        """Quarantine one line."""
        verdict = rejected.verdict
        line = self.lines + rejected.line + 1
        if self._quarantine is not None:
            with self._stages.timed("quarantine"):
                self._quarantine.write(line, verdict, rejected.raw or b"")
        self._fresh.rejects[verdict.code.name] += 1
        if len(self._fresh.examples) < FIRST_REJECTS:
            self._fresh.examples.append(RejectedItem.of(self.name, line, verdict))

    def _cut(self) -> None:
        """Hand the chunk to the inserters, unless all of its items were rejected."""
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        keys = KeyDigest()
        if self._parts.keys is not None:
            with self._stages.timed("digest"):
                keys = self._parts.keys.digest(chunk.batches)
        size = sum(batch.nbytes for batch in chunk.batches)
        self._shared.holding.exchange(self._held, size)
        self._held = 0
        if not chunk.rows:
            self._shared.holding.release(size)
            return
        self._shared.sizes.saw(size)
        self._chunks += 1
        self._shared.chunks.put(CutChunk(self.name, chunk, self._chunk_line, self.lines, held=size, keys=keys))


class Inserter:
    """Takes chunks from the queue and inserts them, one at a time."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._parts = shared.parts
        self._stages = Stages()

    def run(self) -> None:
        """The body of the thread. Raises nothing: what happens is reported."""
        name = ""
        maybe = False
        try:
            while isinstance(cut := self._shared.chunks.get(), CutChunk):
                name = cut.file
                self._shared.inserting.acquire(INSERT_FACTOR * cut.held)
                self._shared.holding.release(cut.held)
                maybe = True
                self._insert(cut)
                maybe = False
                del cut  # or its batches would live until the next one comes
                trim_heap()
        except Aborted:
            pass
        except BaseException as error:  # whatever it is, the run must end and say so
            self._shared.reports.put(Failed(name, error, maybe_inserted=maybe))
        finally:
            self._shared.reports.put(Ended(worker=False, seconds=self._stages.seconds))

    def _insert(self, cut: CutChunk) -> None:
        """One insert, tried until it is acknowledged, then reported. Gives back its memory."""
        begin = time.perf_counter()
        token = self._parts.token(cut.file, cut.first_line, cut.last_line)
        inserting, charge = self._shared.inserting, INSERT_FACTOR * cut.held
        admitted = True

        def insert() -> None:
            nonlocal admitted
            if not admitted:
                inserting.acquire(charge)
                admitted = True
            try:
                self._parts.destination.insert(self._parts.table, cut.chunk.batches, token)
            except PressureError:
                # The chunk stays what it is, for its token stands for exactly these rows. It comes again when fewer
                # others are under way, and the memory it was charged for is free until then.
                inserting.narrow()
                inserting.release(charge)
                admitted = False
                raise

        with self._stages.timed("insert"):
            self._shared.retry(insert, tell=lambda attempt: self._shared.reports.put(retried(cut.file, attempt)))
        inserting.release(charge)
        self._shared.reports.put(
            Inserted(
                cut.file,
                first_line=cut.first_line,
                last_line=cut.last_line,
                rows=cut.chunk.rows,
                arrow_bytes=cut.held,
                seconds=time.perf_counter() - begin,
                keys=cut.keys,
            )
        )
