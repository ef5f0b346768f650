"""The bytes of one stored file from first to last: from disk, from S3 by ranges, or from any other fsspec file."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from transformer.errors import RetryError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from transformer.source.storage import Location

RANGE_BYTES: Final = 4 << 20
"""Bytes of one range request to S3: long enough that the round trip is a small part of it."""

RANGES_AHEAD: Final = 2
"""Range requests in flight beyond the range being read."""

INPUT_BYTES: Final = RANGE_BYTES * (RANGES_AHEAD + 1)
"""Stored bytes that a stream holds at most: the part of a memory budget that a reader needs besides its blocks."""

_BLOCK_BYTES: Final = 4 << 20


class ByteStream(Protocol):
    """A file that is read once, forwards. Storage libraries' own exceptions leave it as they are."""

    def read(self, size: int) -> bytes | memoryview:
        """Return 1 to `size` bytes, or none at the end of the file."""

    def unchanged(self) -> bool:
        """Whether the file is still the one that was opened, as far as size, time and ETag tell."""

    def close(self) -> None:
        """Release the file; calling it again does nothing."""


def open_stream(location: Location) -> ByteStream:
    """Open the file at `location`. Raises whatever the storage library raises; see `faults.storage_errors`."""
    if location.protocol in ("file", "local") and not location.tail:
        return _LocalStream(location.path)
    if location.is_s3:
        return _RangeStream(location.file_system, location.path)
    return _FileStream(location.file_system, location.full_path)


class _LocalStream:
    """A file on disk, unbuffered: what is read goes straight to the inflater."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._stamp = self._look()

    def _look(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def unchanged(self) -> bool:
        return self._look() == self._stamp

    def close(self) -> None:
        self._file.close()


class _RangeStream:
    """An S3 object by consecutive range requests, a few of them in flight; s3fs retries each by itself."""

    def __init__(self, file_system: Any, path: str) -> None:
        self._fs = file_system
        self._path = path
        self._stamp = self._look()
        self._size = self._stamp[0]
        self._asked = 0
        self._flights: deque[tuple[int, Future[bytes]]] = deque()
        self._piece = memoryview(b"")
        self._ask()

    def _look(self) -> tuple[int, str]:
        self._fs.invalidate_cache(self._path)
        info = self._fs.info(self._path)
        if info["type"] != "file":
            raise IsADirectoryError(self._path)
        return int(info["size"]), str(info.get("ETag", ""))

    def _ask(self) -> None:
        """Send range requests until enough are in flight."""
        while len(self._flights) < RANGES_AHEAD and self._asked < self._size:
            end = min(self._asked + RANGE_BYTES, self._size)
            request = self._fs._cat_file(self._path, start=self._asked, end=end)  # noqa: SLF001 - fsspec's way into its loop
            self._flights.append((end - self._asked, asyncio.run_coroutine_threadsafe(request, self._fs.loop)))
            self._asked = end

    def read(self, size: int) -> memoryview:
        if not self._piece and self._flights:
            length, flight = self._flights.popleft()
            data = flight.result()
            if len(data) != length:
                raise RetryError(
                    f"reading s3://{self._path}: a range of {length:,} bytes came back with {len(data):,}",
                    remedy="Run the same command again; if it keeps failing, the storage does not honour ranges.",
                )
            self._piece = memoryview(data)
            self._ask()
        part, self._piece = self._piece[:size], self._piece[size:]
        return part

    def unchanged(self) -> bool:
        return self._look() == self._stamp

    def close(self) -> None:
        while self._flights:
            self._flights.pop()[1].cancel()
        self._piece = memoryview(b"")
        self._asked = self._size


class _FileStream:
    """A file of any other fsspec file system."""

    def __init__(self, file_system: Any, path: str) -> None:
        self._fs = file_system
        self._path = path
        self._stamp = self._look()
        self._file = file_system.open(path, "rb", block_size=_BLOCK_BYTES)

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        return data

    def _look(self) -> tuple[str, ...]:
        info = self._fs.info(self._path)
        if info["type"] == "directory":
            raise IsADirectoryError(self._path)
        return tuple(str(info.get(name)) for name in ("size", "ETag", "etag", "mtime", "created", "LastModified"))

    def unchanged(self) -> bool:
        return self._look() == self._stamp

    def close(self) -> None:
        self._file.close()
