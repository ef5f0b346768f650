"""Compressed bytes in, plain bytes out, with the MD5 of the compressed bytes taken on the way.

ISA-L inflates, through its non-threaded interface only: the threaded reader of python-isal can lose the last block of
a file without an error. The plain one says nothing about truncation and stops after one gzip member: both are handled
here.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from isal import isal_zlib

from transformer.errors import SourceError
from transformer.source.faults import storage_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformer.source.streams import ByteStream

_INTAKE_BYTES: Final = 256 << 10
# What does not fit into the output is copied back as `unconsumed_tail`, so an intake must not be long. 64 to 256 KiB in
# and 512 KiB to 2 MiB out ran within 3 % of each other, as fast as isal's private reader that writes into a buffer.
_OUTPUT_BYTES: Final = 1 << 20
_GZIP_WINDOW: Final = 31  # zlib's way to say: gzip header and trailer, the trailer checked
_GZIP_MAGIC: Final = b"\x1f\x8b"
_IsalError: Final = cast("type[Exception]", isal_zlib.error)  # its stub calls the class an instance

_COPY_AGAIN: Final = "Copy the file again from the export, or export the table again."


class Intake:
    """The stored bytes of one file, counted and digested as they are read."""

    def __init__(self, stream: ByteStream, shown: str, options: Mapping[str, Any]) -> None:
        self._stream = stream
        self.options = options
        self._digest = hashlib.md5(usedforsecurity=False)
        self.shown = shown
        self.count = 0

    def take(self) -> bytes | memoryview:
        """Return the next stored bytes; none at the end. Raises SourceError, RetryError, UsageError."""
        with storage_errors(f"reading {self.shown}", self.options):
            data = self._stream.read(_INTAKE_BYTES)
        self._digest.update(data)
        self.count += len(data)
        return data

    @property
    def md5(self) -> str:
        """Base64 of the MD5 of all bytes taken so far, as manifests write it."""
        return base64.b64encode(self._digest.digest()).decode("ascii")


class Unpacker(Protocol):
    """Fills buffers with the plain bytes of one file."""

    def fill(self, target: memoryview) -> int:
        """Write the next plain bytes to the start of `target` (not empty); return how many, 0 only at the end."""


class Plain:
    """A file that is not compressed."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._rest: bytes | memoryview = b""

    def fill(self, target: memoryview) -> int:
        if not self._rest:
            first = not self._intake.count
            self._rest = self._intake.take()
            if first and self._rest[:2] == _GZIP_MAGIC:
                raise SourceError(
                    f"{self._intake.shown} is gzip-compressed", remedy="Rename it so that it ends in .gz."
                )
        part, self._rest = self._rest[: len(target)], self._rest[len(target) :]
        target[: len(part)] = part
        return len(part)


class Gunzip:
    """One or more gzip members, with zero bytes allowed after them. Anything else is a SourceError.

    The decompressor checks CRC-32 and length of each member; a member that has not ended with the file is truncated.
    A file without any member is for the caller to judge: `members` is 0 then.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._rest: bytes | memoryview = b""
        self._member: Any = None
        self.members = 0

    def fill(self, target: memoryview) -> int:
        while True:
            if not self._rest:
                self._rest = self._intake.take()
            if self._member is None and not self._begin_member():
                return 0
            ended = not self._rest
            size = min(len(target), _OUTPUT_BYTES)
            try:
                data = self._member.decompress(self._rest, size)
            except _IsalError as error:
                raise SourceError(
                    f"{self._intake.shown} is damaged: corrupt gzip data within the first {self._intake.count:,} bytes "
                    f"({' '.join(str(error).split())})",
                    remedy=_COPY_AGAIN,
                ) from error
            if self._member.eof:
                self._rest = self._member.unused_data
                self._member = None
                self.members += 1
            else:
                self._rest = self._member.unconsumed_tail
                if ended and not data:
                    raise SourceError(
                        f"{self._intake.shown} is truncated: its {self._intake.count:,} bytes end inside the gzip data",
                        remedy=_COPY_AGAIN,
                    )
            if data:
                target[: len(data)] = data
                return len(data)

    def _begin_member(self) -> bool:
        """Make a decompressor if a member begins here; False at the end of the file."""
        if self.members:
            self._rest = bytes(self._rest).lstrip(b"\0")
        while len(self._rest) < len(_GZIP_MAGIC):
            more = self._intake.take()
            if not more:
                break
            self._rest = bytes(self._rest) + more
            if self.members:
                self._rest = self._rest.lstrip(b"\0")
        if not self._rest:
            return False
        if self._rest[:2] != _GZIP_MAGIC:
            what = (
                "has something else after its gzip data"
                if self.members
                else "is no gzip file although its name says so"
            )
            raise SourceError(f"{self._intake.shown} {what}", remedy=_COPY_AGAIN)
        self._member = isal_zlib.decompressobj(_GZIP_WINDOW)
        return True
