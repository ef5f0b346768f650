"""The bytes of one stored file from first to last: from disk, from S3 by ranges, or from any other fsspec file."""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from transformer.errors import RetryError, SourceError
from transformer.source.faults import OVERWRITTEN, storage_errors

if TYPE_CHECKING:
    from concurrent.futures import Future

    from transformer.source.storage import Location

RANGE_BYTES: Final = 4 << 20
"""Bytes of one range request to S3: long enough that the round trip is a small part of it."""

RANGES_AHEAD: Final = 2
"""Range requests in flight beyond the range being read."""

_INPUT_BYTES: Final = RANGE_BYTES * (RANGES_AHEAD + 1)

_PAUSES: Final = (0.2, 1.0, 3.0, 8.0)
"""Seconds, before jitter, until a range that broke off is asked for again; the fifth failure is told."""

_BLOCK_BYTES: Final = 4 << 20


class ByteStream(Protocol):
    """A file that is read once, forwards. Storage libraries' own exceptions leave it as they are."""

    def read(self, size: int) -> bytes | memoryview:
        """Return 1 to `size` bytes, or none at the end of the file."""

    def unchanged(self) -> bool:
        """Whether the file is still the one that was opened, as far as size, time and ETag tell."""

    def close(self) -> None:
        """Release the file; calling it again does nothing."""


def input_bytes(url: str) -> int:
    """Stored bytes that a reader of a file below `url` holds at most, besides its blocks: for a memory budget."""
    return _INPUT_BYTES if url.startswith(("s3://", "s3a://")) else _BLOCK_BYTES if "://" in url else 0


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
    """An S3 object by consecutive range requests, a few of them in flight, all of one version of the object.

    Every request carries the ETag that was seen first (If-Match), so that S3 itself refuses (412) to serve a part of an
    object that was overwritten meanwhile; s3fs offers no such condition, hence a request of our own through its client.
    A range whose answer breaks off is asked for again, alone: the ranges behind it keep what they have. s3fs repeats
    only requests that fail before the body.
    """

    def __init__(self, file_system: Any, path: str) -> None:
        self._fs = file_system
        self._path = path
        self._bucket, self._key, self._version = file_system.split_path(path)
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
            flight = asyncio.run_coroutine_threadsafe(self._range(self._asked, end), self._fs.loop)
            self._flights.append((end - self._asked, flight))
            self._asked = end

    async def _range(self, begin: int, end: int) -> bytes:
        """The bytes from `begin` to before `end`; asked for again, with growing pauses, while the network fails."""
        for pause in _PAUSES:
            try:
                with storage_errors(f"reading s3://{self._path}"):
                    return await self._request(begin, end)
            except RetryError:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret
        return await self._request(begin, end)

    async def _request(self, begin: int, end: int) -> bytes:
        condition = {"IfMatch": self._stamp[1]} if self._stamp[1] else {}
        version = {"VersionId": self._version} if self._version else {}
        answer = await self._fs._call_s3(  # noqa: SLF001 - fsspec's way into its loop
            "get_object",
            Bucket=self._bucket,
            Key=self._key,
            Range=f"bytes={begin}-{end - 1}",
            **condition,
            **version,
        )
        if answer.get("ETag", self._stamp[1]) != self._stamp[1]:  # for storage that does not know the condition
            answer["Body"].close()
            raise SourceError(f"s3://{self._path} was overwritten while it was read", remedy=OVERWRITTEN)
        length = answer["ContentLength"]
        if length > end - begin:  # not read: it may be the whole object, again and again
            answer["Body"].close()
            raise SourceError(
                f"reading s3://{self._path}: a range of {end - begin:,} bytes came back with {length:,}",
                remedy="This storage does not honour ranges. Copy the export to a disk, or to another storage.",
            )
        async with answer["Body"] as body:
            data: bytes = await body.read()
        if len(data) != end - begin:
            raise RetryError(
                f"reading s3://{self._path}: a range of {end - begin:,} bytes came back with {len(data):,}",
                remedy="Run the same command again; if it keeps failing, check the network and the storage.",
            )
        return data

    def read(self, size: int) -> memoryview:
        if not self._piece and self._flights:
            _, flight = self._flights.popleft()
            self._piece = memoryview(flight.result())
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
