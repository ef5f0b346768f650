"""Rows as the bytes of an Arrow IPC stream."""

from __future__ import annotations

import io
from collections import deque
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_PIECE = 1 << 20
"""Bytes that are handed on together: a batch is written in small pieces, and each would be a system call."""


def arrow_stream(batches: Sequence[pa.RecordBatch], *, compression: str | None = None) -> Generator[bytes, None, None]:
    """The stream of `batches`, which are of one schema and hold at least one row, in pieces of 1 to 2 MiB.

    All rows become one record batch. The engine writes one block either way, but since 26 it puts the tokens of the
    batches it read together and remembers those: the same rows with the same token, in other batches, are stored twice.
    How decoded rows are divided into batches depends on buffer sizes, so nothing may depend on it.

    compression: of the buffers inside the stream, lz4 or zstd; the server sees by itself which.
    """
    sink = _Pieces()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), batches[0].schema, options=options) as writer:
        writer.write_batch(batches[0] if len(batches) == 1 else pa.concat_batches(batches))
    yield from sink.drain()


class _Pieces(io.RawIOBase):
    """A file that remembers what was written until it is drained."""

    def __init__(self) -> None:
        self._pieces: deque[bytes | pa.Buffer] = deque()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | pa.Buffer) -> int:
        """Arrow hands over its large buffers as they are, which costs no copy, and small things as bytes."""
        self._pieces.append(data)
        return len(data)

    def drain(self) -> Generator[bytes, None, None]:
        """What was written, in pieces of about `_PIECE` bytes; buffers are let go once they are handed over."""
        waiting = bytearray()
        while self._pieces:
            view = memoryview(self._pieces.popleft())
            for begin in range(0, len(view), _PIECE):
                waiting += view[begin : begin + _PIECE]
                if len(waiting) >= _PIECE:
                    yield bytes(waiting)
                    waiting.clear()
        yield bytes(waiting)
