"""Places on any storage that fsspec knows: a file system, a path on it, and the URL that leads there again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import fsspec

from transformer.errors import SourceError, UsageError
from transformer.source.faults import public_url, service_code, storage_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEB: Final = frozenset({"http", "https"})
_S3: Final = frozenset({"s3", "s3a"})
_WHOLE_PATH: Final = frozenset({"file", "local", "memory", "s3", "s3a", "gs", "gcs", "http", "https"})
"""Protocols whose paths are all there is in a URL: no host, account or user before them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing. name: the last segment. size: bytes, or None where the storage does not say."""

    name: str
    is_folder: bool
    size: int | None


@dataclass(frozen=True, slots=True)
class Location:
    """A file or folder on some storage; it need not exist.

    path: as its file system spells it, without protocol.
    head, tail: what stands before and after the path in the URL: `s3://`; `ftp://user@host`; `zip://` and
        `::s3://bucket/a.zip`.
    """

    file_system: Any
    path: str
    head: str
    tail: str
    options: Mapping[str, Any]

    @classmethod
    def open(cls, url: str, storage_options: Mapping[str, Any] | None = None) -> Location:
        """Return the place `url` names. Nothing is read yet; S3 libraries are imported only for an S3 URL.

        storage_options: passed to fsspec (`endpoint_url`, `profile`, `anon`, `client_kwargs` …). Region, endpoint,
            profile and roles also come from the usual AWS environment and configuration files.
        Raises UsageError for a URL that cannot be understood, an unknown protocol, or a library that is missing.
        """
        shown = public_url(url)
        if not url.strip():
            raise UsageError("the URL is empty", remedy="Give the folder of an export.")
        if "\0" in url:
            raise UsageError("the URL holds a NUL byte", remedy="Give the folder of an export.")
        parts = url.split("::")
        at = next((index for index, part in enumerate(parts) if "://" in part), len(parts) - 1)
        protocol, separator, rest = parts[at].partition("://")
        if not separator:
            protocol = "file"
        if protocol in _S3 and not rest.strip("/"):
            raise UsageError(f"{shown} names no bucket", remedy="Give s3://BUCKET/PREFIX.")
        if protocol in _WEB and "?" in rest:
            raise UsageError(
                f"{shown} carries a query, which would sign one object only",
                remedy="Give the folder without a query, or an s3:// URL.",
            )
        options = dict(storage_options or {})
        if protocol in _S3 and len(parts) == 1:
            # Some S3 servers send the checksum of the whole object with a range of it, which botocore then refuses.
            # What is read is checked against the MD5 of the manifest.
            given = options.get("config_kwargs") or {}
            options["config_kwargs"] = {"response_checksum_validation": "when_required", **given}
        with storage_errors(f"opening {shown}", options):
            file_system, path = fsspec.url_to_fs(url, **options)
            file_system.invalidate_cache()  # a listing of an earlier call may be out of date
        if file_system.protocol == ("file", "local") and {".", ".."} & set(path.split("/")):
            path = str(Path(path).resolve())  # the folder above it is looked at too
        path = path.removeprefix(f"{protocol}://")
        path = path.rstrip("/") or path[:1]  # the root is "/" on disk and in memory, "" in an archive
        before = "" if protocol in _WHOLE_PATH else _before_path(rest, path)
        head = "::".join([*parts[:at], f"{protocol}://{before}"])
        tail = "".join(f"::{part}" for part in parts[at + 1 :])
        return cls(file_system, path, head, tail, options)

    @property
    def url(self) -> str:
        """The URL that opens this place again. May hold a password: for opening, not for showing."""
        return f"{self.head}{self.path}{self.tail}"

    @property
    def shown(self) -> str:
        """The URL as it may be shown and stored."""
        return public_url(self.url)

    @property
    def name(self) -> str:
        """The last segment of the path; empty at a root."""
        return self.path.rpartition("/")[2]

    @property
    def protocol(self) -> str:
        """`file`, `s3`, `memory` …: of the first link of a chained URL."""
        return self.head.rpartition("::")[2].partition("://")[0]

    @property
    def is_s3(self) -> bool:
        """Whether this is an object in S3, reached directly."""
        return self.protocol in _S3 and "::" not in self.head and not self.tail

    @property
    def lists(self) -> bool:
        """Whether folders can be listed. Web servers have no listings that could be relied upon."""
        return self.protocol not in _WEB

    @property
    def full_path(self) -> str:
        """The path as calls to the file system want it: on the web that is the URL."""
        return f"{self.head}{self.path}" if self.protocol in _WEB else self.path

    def child(self, *names: str) -> Location:
        """Return the place below this one. The names are not checked."""
        path = "/".join([self.path.rstrip("/"), *names] if self.path else names)
        return Location(self.file_system, path, self.head, self.tail, self.options)

    @property
    def parent(self) -> Location:
        """The folder this place is in; of a root, itself."""
        path = self.path.rpartition("/")[0] or ("/" if self.path.startswith("/") else self.path)
        return Location(self.file_system, path, self.head, self.tail, self.options)

    def entries(self) -> list[Entry] | None:
        """List the folder, sorted by name, not what is below its folders; None if it does not exist or is a file.

        Raises UsageError (permission, credentials), RetryError, SourceError.
        """
        with storage_errors(f"listing {self.shown}", self.options):
            try:
                found = self.file_system.ls(self.full_path, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return None
        listing = []
        for entry in found:
            path = entry["name"].rstrip("/")
            if path.strip("/") == self.full_path.strip("/"):
                if entry["type"] == "directory" or entry["name"].endswith("/"):
                    continue  # the marker object that some tools write for a folder
                if len(found) == 1 and (entry.get("size") or not self._is_folder()):
                    return None
                continue
            is_folder = entry["type"] == "directory"
            listing.append(Entry(path.rpartition("/")[2], is_folder, None if is_folder else entry.get("size")))
        return sorted(listing, key=lambda entry: entry.name)

    def _is_folder(self) -> bool:
        with storage_errors(f"looking at {self.shown}", self.options):
            return bool(self.file_system.isdir(self.full_path))

    def is_file(self) -> bool:
        """Whether this is an existing file."""
        with storage_errors(f"looking at {self.shown}", self.options):
            return bool(self.file_system.isfile(self.full_path))

    def read(self, limit: int) -> bytes | None:
        """Return the whole small file, or None if it does not exist.

        limit: bytes; a larger file is a SourceError, so that a hostile one cannot fill the memory.
        """
        with storage_errors(f"reading {self.shown}", self.options):
            try:
                if self.is_s3:  # one request, and an error says why, while the answer to HEAD has no body
                    data: bytes = self.file_system.cat_file(self.path, start=0, end=limit + 1)
                else:
                    with self.file_system.open(self.full_path, "rb") as file:
                        data = file.read(limit + 1)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if service_code(error) != "InvalidRange":
                    raise
                data = b""  # no range of an empty object can be satisfied
        if len(data) > limit:
            raise SourceError(
                f"{self.shown} is larger than {limit:,} bytes", remedy="This is no manifest that AWS writes."
            )
        return data


def _before_path(rest: str, path: str) -> str:
    """Return what stands before `path` in `rest`, a URL without its protocol: `user@host`, or nothing.

    Raises UsageError where the file system has put its path together in another way (`container@account`).
    """
    rest = rest.rstrip("/")
    tail = path.rstrip("/")
    if rest.endswith(tail):
        return rest.removesuffix(tail)
    if rest.lstrip("/") == tail.lstrip("/"):
        return ""
    raise UsageError(
        "the parts of this URL cannot be told apart",
        remedy="Give host, account and user as storage options, and only the path in the URL.",
    )
