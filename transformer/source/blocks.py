"""A data file as blocks of whole lines.

A block is a numpy buffer with the plain bytes of one or more whole lines and zeroed padding behind them, as the kernels
want it. Blocks are cut at the last newline; what follows it is carried into the next one. Only the last line of a file
may lack its newline. A line that is larger than a block makes that one block larger, up to a limit, so that neither a
gzip bomb nor an endless line can fill the memory: one reader holds one block, the carried tail, and a few MiB of input.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from transformer.errors import InternalError, SourceError
from transformer.source.faults import storage_errors
from transformer.source.inflate import Gunzip, Intake, Plain
from transformer.source.storage import Location
from transformer.source.streams import open_stream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import numpy.typing as npt

    from transformer.source.export import DataFile
    from transformer.source.inflate import Unpacker
    from transformer.source.streams import ByteStream

MAX_LINE_BYTES: Final = 64 << 20
"""Default limit for one line. An item is at most 400 KB, and escapes make its JSON several times as long, not more."""

LEAST_SLACK: Final = 64
"""Bytes behind the data of a block that are always there and zero."""

_SEARCH_BYTES: Final = 64 << 10
_NEWLINE: Final = b"\n"
_EMPTY: Final[npt.NDArray[np.uint8]] = np.empty(0, dtype=np.uint8)


@dataclass(slots=True)
class Block:
    """Whole lines of one file.

    buffer: uint8, C-contiguous, writable, at least `size` + slack long; the slack after `size` is zero, what may follow
        it is undefined.
    size: bytes of lines, at least 1.
    file_offset: where the block begins in the uncompressed file, in bytes.
    """

    buffer: npt.NDArray[np.uint8]
    size: int
    file_offset: int


class BufferPool:
    """Buffers of one size, used again so that their pages are touched only once.

    Several readers and threads may share a pool. length: bytes of a buffer. keep: how many idle ones are kept.
    """

    def __init__(self, length: int, *, keep: int = 4) -> None:
        self.length = length
        self._idle: deque[npt.NDArray[np.uint8]] = deque(maxlen=keep)  # append and pop are atomic

    def take(self) -> npt.NDArray[np.uint8]:
        """Return a buffer of `length` bytes, contents undefined."""
        try:
            return self._idle.pop()
        except IndexError:
            return np.empty(self.length, dtype=np.uint8)

    def give(self, buffer: npt.NDArray[np.uint8]) -> None:
        """Take back a buffer nobody uses any more; one of another length is dropped."""
        if len(buffer) == self.length:
            self._idle.append(buffer)


class BlockReader:
    """Iterates over the blocks of one file, once; made by `open_blocks`. Used by one thread, except for `recycle`.

    Iterating raises SourceError (damaged or truncated gzip, MD5 mismatch, a line over the limit, a file that changed),
    RetryError and UsageError (storage). The MD5 is compared when the end of the file is met, before the last block is
    handed out where possible; earlier blocks have gone out by then, so a file counts as read only after exhaustion.
    """

    def __init__(
        self,
        file: DataFile,
        stream: ByteStream,
        intake: Intake,
        unpacker: Unpacker,
        *,
        pool: BufferPool,
        slack: int,
        max_line_bytes: int,
    ) -> None:
        self._file = file
        self._stream = stream
        self._intake = intake
        self._unpacker = unpacker
        self._pool = pool
        self._slack = slack
        self._block_bytes = pool.length - slack
        self._max_line_bytes = max_line_bytes
        self._carry = b""
        self._offset = 0
        self._json_bytes = 0
        self._ended = False
        self._failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file. Blocks handed out stay valid."""
        self._stream.close()
        self._failed = self._failed or not self._ended

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Block:
        if self._failed:
            raise InternalError(f"{self._intake.shown} is read on after it failed or was closed")
        if self._ended:
            raise StopIteration
        try:
            block = self._next()
        except BaseException:
            self._failed = True
            raise
        if block is None:
            raise StopIteration
        return block

    def _next(self) -> Block | None:
        """Fill a buffer and cut it; None when the file is exhausted."""
        buffer, room = self._begin()
        fill = searched = len(self._carry)
        while True:
            view = buffer.data
            while fill < room and not self._ended:
                filled = self._unpacker.fill(view[fill:room])
                fill += filled
                if not filled:
                    self._end(self._offset + fill)
            if self._ended:
                size = fill
                break
            size = _after_last_newline(view, searched, fill)
            if size:
                break
            searched = fill
            buffer, room = self._grow(buffer, fill)
        if not size:
            self._pool.give(buffer)
            return None
        self._carry = bytes(view[size:fill])
        buffer[size : size + self._slack] = 0
        block = Block(buffer, size, self._offset)
        self._offset += size
        return block

    def _begin(self) -> tuple[npt.NDArray[np.uint8], int]:
        """Return a buffer that starts with the carried tail, and the number of bytes it may be filled to."""
        tail = len(self._carry)
        if tail < self._block_bytes:
            buffer, room = self._pool.take(), self._block_bytes
        else:
            room = min(2 * tail, self._max_line_bytes + 1)
            buffer = np.empty(room + self._slack, dtype=np.uint8)
        buffer.data[:tail] = self._carry
        return buffer, room

    def _grow(self, buffer: npt.NDArray[np.uint8], fill: int) -> tuple[npt.NDArray[np.uint8], int]:
        """Return a larger buffer with the same first `fill` bytes, which hold no newline, and its room."""
        if fill > self._max_line_bytes:
            raise SourceError(
                f"{self._intake.shown}: the line at byte {self._offset:,} of the uncompressed file is longer than "
                f"{self._max_line_bytes:,} bytes",
                remedy="No export has such a line: is this file DynamoDB JSON, one item per line?",
            )
        room = min(2 * fill, self._max_line_bytes + 1)  # one more byte for the newline
        larger = np.empty(room + self._slack, dtype=np.uint8)
        larger[:fill] = buffer[:fill]
        self._pool.give(buffer)
        return larger, room

    def _end(self, json_bytes: int) -> None:
        """The end of the file was met after `json_bytes`: check what can be checked of it as a whole."""
        shown = self._intake.shown
        if isinstance(self._unpacker, Gunzip) and not self._unpacker.members and self._file.item_count != 0:
            raise SourceError(
                f"{shown} is empty: 0 bytes, not even an empty gzip member",
                remedy="Copy the file again from the export; a file without items has 20 bytes.",
            )
        if self._file.md5 is None:  # the MD5 proves more, and this costs a request
            with storage_errors(f"reading {shown}", self._intake.options):
                unchanged = self._stream.unchanged()
            if not unchanged:
                raise SourceError(f"{shown} was changed while it was read", remedy="Run again when it is complete.")
        elif self._intake.md5 != self._file.md5:
            raise SourceError(
                f"{shown} is damaged: the MD5 of its {self._intake.count:,} bytes is {self._intake.md5}, "
                f"the manifest says {self._file.md5}",
                remedy="Copy the file again from the export.",
            )
        self._json_bytes = json_bytes
        self._ended = True

    def recycle(self, block: Block) -> None:
        """Take back the buffer of a block that is no longer used, which is empty then; any thread may call this."""
        buffer, block.buffer, block.size = block.buffer, _EMPTY, 0
        self._pool.give(buffer)

    def _only_at_end(self) -> None:
        if not self._ended:
            raise InternalError(f"{self._intake.shown} has not been read to its end")

    @property
    def md5(self) -> str:
        """Base64 MD5 of the stored bytes. Only after the last block (else InternalError), like the next two."""
        self._only_at_end()
        return self._intake.md5

    @property
    def gz_bytes(self) -> int:
        """Bytes of the stored file, compressed or not."""
        self._only_at_end()
        return self._intake.count

    @property
    def json_bytes(self) -> int:
        """Bytes of the uncompressed file."""
        self._only_at_end()
        return self._json_bytes


def _after_last_newline(view: memoryview, begin: int, end: int) -> int:
    """Return the index after the last newline in `view[begin:end]`, or 0 if there is none."""
    while begin < end:
        start = max(begin, end - _SEARCH_BYTES)
        found = bytes(view[start:end]).rfind(_NEWLINE)
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def open_blocks(
    file: DataFile,
    *,
    block_bytes: int,
    slack: int,
    storage_options: Mapping[str, Any] | None = None,
    max_line_bytes: int = MAX_LINE_BYTES,
    pool: BufferPool | None = None,
) -> BlockReader:
    """Open a data file for reading; use the result in a `with` statement.

    file: as `find_export` lists it. Files whose name ends in .gz are inflated, others are taken as they are.
    block_bytes: bytes of lines a block holds at most, unless one line is longer. At least 1, at most `max_line_bytes`.
    slack: zero bytes wanted behind the lines; at least `LEAST_SLACK` are given.
    storage_options: the ones given to `find_export`.
    max_line_bytes: longest line, without its newline, that is read.
    pool: buffers to share with other readers; its length must be `block_bytes + max(slack, LEAST_SLACK)`.

    Raises SourceError when the file does not exist, RetryError and UsageError from the storage.
    """
    slack = max(slack, LEAST_SLACK)
    if not 1 <= block_bytes <= max_line_bytes:
        raise InternalError(f"block_bytes must be in 1…{max_line_bytes} (the longest line), not {block_bytes}")
    if pool is None:
        pool = BufferPool(block_bytes + slack)
    elif pool.length != block_bytes + slack:
        raise InternalError(f"the pool has buffers of {pool.length} bytes, {block_bytes + slack} are needed")
    options = dict(storage_options or {})
    location = Location.open(file.url, options)
    with storage_errors(f"opening {location.shown}", options):
        stream = open_stream(location)
    intake = Intake(stream, location.shown, options)
    unpacker: Unpacker = Gunzip(intake) if file.name.endswith(".gz") else Plain(intake)
    return BlockReader(file, stream, intake, unpacker, pool=pool, slack=slack, max_line_bytes=max_line_bytes)


def check_item_count(file: DataFile, items: int) -> None:
    """Compare the items read from a whole file with its manifest; raise SourceError if they differ.

    items: non-blank lines of the file. A file without a declared count passes.
    """
    if file.item_count is not None and items != file.item_count:
        raise SourceError(
            f"{file.shown}: the manifest says {file.item_count:,} items, the file holds {items:,}",
            remedy="Copy the export again, or export the table again; what was loaded of this file is not complete.",
        )
