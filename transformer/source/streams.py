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
"""Bytes of one range request to S3 at most: long enough that the round trip is a small part of it."""

SMALLEST_RANGE: Final = 256 << 10

RANGES_AHEAD: Final = 4
"""Range requests in flight beyond the range being read. One connection with a round trip of 30 ms and 90 MB/s brings 55
MB/s in ranges of 4 MiB, and one worker takes 70 to 150 MB/s of gzip. See `bench.fetch` for the figures."""

INPUT_BYTES: Final = RANGE_BYTES * (RANGES_AHEAD + 1)
"""Stored bytes that a stream holds at most, unless it is told to do with less: `job.budget` counts them."""

_BLOCK_BYTES: Final = 4 << 20


class ByteStream(Protocol):
    """A file that is read once, forwards. Storage libraries' own exceptions leave it as they are."""

    def read(self, size: int) -> bytes | memoryview:
        """Return 1 to `size` bytes, or none at the end of the file."""

    def unchanged(self) -> bool:
        """Whether the file is still the one that was opened, as far as size, time and ETag tell."""

    def close(self) -> None:
        """Release the file; calling it again does nothing."""


def open_stream(location: Location, *, input_bytes: int = INPUT_BYTES) -> ByteStream:
    """Open the file at `location`.

    input_bytes: how many stored bytes may be held. Less than RANGES_AHEAD + 1 smallest ranges cannot be kept.
    Raises whatever the storage library raises; see `faults.storage_errors`.
    """
    if location.protocol in ("file", "local") and not location.tail:
        return _LocalStream(location.path)
    if location.is_s3:
        range_bytes = min(RANGE_BYTES, max(SMALLEST_RANGE, input_bytes // (RANGES_AHEAD + 1)))
        return _RangeStream(location.file_system, location.path, range_bytes)
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
    """An S3 object by consecutive range requests, a few of them in flight, each retried by itself.

    All of them ask for the object that was found at first, by its ETag: one that was overwritten meanwhile answers
    PreconditionFailed, so that a file is never put together from two.
    """

    def __init__(self, file_system: Any, path: str, range_bytes: int) -> None:
        self._fs = file_system
        self._path = path
        self._range_bytes = range_bytes
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
            end = min(self._asked + self._range_bytes, self._size)
            flight = asyncio.run_coroutine_threadsafe(self._fetch(self._asked, end), self._fs.loop)
            self._flights.append((end - self._asked, flight))
            self._asked = end

    async def _fetch(self, begin: int, end: int) -> bytes:
        """The bytes from `begin` to `end` of the object that was opened. Runs in the loop of s3fs."""
        from s3fs.core import _error_wrapper

        bucket, key, version = self._fs.split_path(self._path)
        pin = {"VersionId": version} if version else {"IfMatch": self._stamp[1]} if self._stamp[1] else {}

        async def ask() -> bytes:
            span = f"bytes={begin}-{end - 1}"
            answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=key, Range=span, **pin)  # noqa: SLF001
            async with answer["Body"] as body:
                data: bytes = await body.read()
            return data

        # The same that s3fs does around its own requests: what may pass is tried again, a few times, ever later.
        found: bytes = await _error_wrapper(ask, retries=self._fs.retries)
        return found

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
