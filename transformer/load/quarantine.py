"""Rejected items, kept so that they can be mended and loaded later: gzipped JSON Lines, one file for each data file.

A quarantine file appears whole or not at all: it is written under another name, or as one upload, and gets its name
when it is closed. A data file without rejects leaves none. Files on local disks can be read by their owner only.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import gzip
import json
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from transformer.errors import Dynamo2chError, InternalError, RetryError, UsageError
from transformer.load.publish import LocalFile, StoredFile
from transformer.load.rejected import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from transformer.errors import Verdict
    from transformer.load.publish import Target

# What the operator has to mend; any other failure of a disk or a store may be over at the next try.
_PERMANENT = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR}


class Quarantine:
    """A folder of quarantine files, at any fsspec URL. Threads may share it; each writes files of its own."""

    def __init__(self, url: str, storage_options: Mapping[str, object] | None = None) -> None:
        """Nothing is read, made or written yet.

        url: the folder. storage_options: passed to fsspec.
        Raises UsageError when fsspec does not know the URL.
        """
        import fsspec.core
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, **dict(storage_options or {}))
        except (ValueError, ImportError, TypeError) as error:
            raise UsageError(f"rejects cannot be written to {url}: {error}") from error
        self.url: str = url.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)

    def file(self, name: str) -> QuarantineFile:
        """The quarantine file of the data file `name` (its name in the export), not yet opened."""
        # One flat folder: slashes are escaped, so that no name leads anywhere else.
        path = f"{self._root.rstrip('/')}/{quote(name, safe=' ()+,=@!')}{SUFFIX}"
        return QuarantineFile(name, LocalFile(path) if self._local else StoredFile(self._fs, path))


class QuarantineFile:
    """The rejects of one data file. For one thread.

    As a context manager it is published on leaving, also after an error: what was rejected before stays known.
    """

    def __init__(self, name: str, target: Target) -> None:
        self._name = name
        self._target = target
        self._out: BinaryIO | None = None
        self._gzip: gzip.GzipFile | None = None
        self._closed = False
        self.count = 0

    @property
    def url(self) -> str:
        """Where the file is, once it is closed and if it holds anything."""
        return self._target.url

    def write(self, line: int, verdict: Verdict, raw: bytes) -> None:
        """Add one reject.

        line: its 1-based number in the data file. raw: the bytes of the line as far as they may be kept; empty when
        they may not. Raises RetryError or UsageError when it cannot be written.
        """
        if self._closed:
            raise InternalError(f"the quarantine of {self._name} is closed")
        record = {
            "file": self._name,
            "line": line,
            "offset": verdict.offset,
            "code": verdict.code.name,
            "path": verdict.path,
            "column": verdict.column,
            "reason": verdict.reason,
            **_raw(raw),
        }
        try:
            if self._gzip is None:
                self._out = self._target.open()
                # No time and no name in the header: equal rejects make equal files.
                self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=self._out, compresslevel=6, mtime=0)
            self._gzip.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        except Exception as error:
            raise self._fault(error) from error
        self.count += 1

    def close(self) -> None:
        """Publish what was written, if anything was. May be called again. Raises RetryError or UsageError."""
        if self._closed:
            return
        self._closed = True
        if self._gzip is None or self._out is None:
            return
        try:
            self._gzip.close()
            self._target.publish(self._out)
        except Exception as error:
            self._target.discard(self._out)
            raise self._fault(error) from error

    def discard(self) -> None:
        """Leave nothing behind. May be called again, and after `close`, which then has won."""
        if not self._closed and self._gzip is not None and self._out is not None:
            with contextlib.suppress(Exception):
                self._gzip.close()
            self._target.discard(self._out)
        self._closed = True

    def _fault(self, error: Exception) -> Dynamo2chError:
        message = f"the rejects of {self._name} cannot be written to {self.url}: {error}"
        if isinstance(error, OSError) and (error.errno in _PERMANENT or isinstance(error, PermissionError)):
            return UsageError(message, remedy="Choose another place with --rejects, or mend its permissions.")
        return RetryError(message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _raw(raw: bytes) -> dict[str, str | None]:
    """The line as a member of the record: text where it is text, else base64, else that it is withheld."""
    if not raw:
        return {"raw": None}
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(raw).decode()}
