"""Files that appear whole or not at all, on a local disk or in a store."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Held in memory for each open file of a store: the smallest part that S3 takes.
_UPLOAD_BYTES = 5 * 1024 * 1024


class Target(Protocol):
    """One file that appears whole or not at all."""

    @property
    def url(self) -> str:
        """Where it appears."""

    def open(self) -> BinaryIO:
        """A stream that nobody else sees yet."""

    def publish(self, out: BinaryIO) -> None:
        """Give the stream's content its name."""

    def discard(self, out: BinaryIO) -> None:
        """Drop the stream's content. Raises nothing: the caller has something else to report, or nothing."""


class LocalFile:
    """A file on a local disk: under another name until it is whole and on the disk."""

    def __init__(self, path: str, *, mode: int = 0o600) -> None:
        """mode: permissions of the file; its folders are made with what fits them."""
        self._mode = mode
        self.url = path
        self._path = Path(path)
        self._temporary = self._path.with_name(f".{secrets.token_hex(8)}.part")

    def open(self) -> BinaryIO:
        """A new file."""
        folders = 0o700 if self._mode == 0o600 else 0o777
        self._path.parent.mkdir(mode=folders, parents=True, exist_ok=True)
        return os.fdopen(os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._mode), "wb")

    def publish(self, out: BinaryIO) -> None:
        """See `Target.publish`."""
        out.flush()
        os.fsync(out.fileno())
        out.close()
        self._temporary.replace(self._path)

    def discard(self, out: BinaryIO) -> None:
        """See `Target.discard`."""
        with contextlib.suppress(OSError):
            out.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink(missing_ok=True)


class StoredFile:
    """An object of a store, or a file of another kind: fsspec holds it back until it is committed."""

    def __init__(self, fs: AbstractFileSystem, path: str) -> None:
        self.url: str = fs.unstrip_protocol(path)
        self._fs = fs
        self._path = path

    def open(self) -> BinaryIO:
        """The beginning of an upload."""
        return cast("BinaryIO", self._fs.open(self._path, "wb", block_size=_UPLOAD_BYTES, autocommit=False))

    def publish(self, out: BinaryIO) -> None:
        """See `Target.publish`."""
        out.close()
        out.commit()  # type: ignore[attr-defined]

    def discard(self, out: BinaryIO) -> None:
        """See `Target.discard`."""
        with contextlib.suppress(Exception):
            out.close()
        with contextlib.suppress(Exception):
            out.discard()  # type: ignore[attr-defined]
