"""Quarantine files read back.

What stands in a quarantine is taken to be hostile, as it comes from whoever wrote the items: it is read strictly, and
nothing in it is used as a path.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import unquote

from transformer.errors import RejectCode, RetryError, SourceError, UsageError, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUFFIX = ".rejects.jsonl.gz"
_LONGEST = 256 << 20  # bytes of one record: a line of 64 MiB with every byte escaped


@dataclass(frozen=True, slots=True)
class Kept:
    """One reject. line: its number in the data file, from 1. raw: the line, or None when it was withheld."""

    line: int
    verdict: Verdict
    raw: bytes | None


class RejectsFolder:
    """A folder of quarantine files, at any fsspec URL."""

    def __init__(self, url: str, storage_options: Mapping[str, object] | None = None) -> None:
        """Nothing is read yet. Raises UsageError when fsspec does not know the URL."""
        import fsspec.core

        try:
            self._fs, root = fsspec.core.url_to_fs(url, **dict(storage_options or {}))
        except (ValueError, ImportError, TypeError) as error:
            raise UsageError(f"rejects cannot be read from {url}: {error}") from error
        self._root = root.rstrip("/")
        self.url = url.rstrip("/")

    def files(self) -> dict[str, str]:
        """The quarantine files by the name of their data file. Raises UsageError when there is no such folder."""
        try:
            self._fs.invalidate_cache()
            paths = [str(path) for path in self._fs.ls(self._root, detail=False)]
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UsageError(
                f"{self.url} is no folder of rejects", remedy="Give the folder that the load has named under `rejects`."
            ) from error
        except PermissionError as error:
            raise UsageError(f"{self.url} may not be read: {error}") from error
        except OSError as error:
            raise RetryError(f"{self.url} cannot be read: {error}") from error
        names = {unquote(path.rsplit("/", 1)[-1].removesuffix(SUFFIX)): path for path in paths if path.endswith(SUFFIX)}
        return dict(sorted(names.items()))

    def read(self, path: str) -> Iterator[Kept]:
        """The rejects in one of `files`, in the order in which they were written.

        Raises SourceError for a file that is damaged or was not written by a load, RetryError for a storage that fails.
        """
        try:
            with self._fs.open(path, "rb") as stored, gzip.GzipFile(fileobj=cast("BinaryIO", stored)) as plain:
                while line := plain.readline(_LONGEST):
                    yield self._kept(path, line)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._damaged(path, error) from error
        except OSError as error:
            raise RetryError(f"{path} cannot be read: {error}") from error

    def _kept(self, path: str, line: bytes) -> Kept:
        try:
            record = json.loads(line)
            verdict = Verdict(
                RejectCode[record["code"]], _whole(record["offset"]), str(record["path"]), str(record["column"])
            )
            return Kept(_whole(record["line"]), verdict, _raw(record))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(path, f"{type(error).__name__} {error}") from error

    def _damaged(self, path: str, reason: object) -> SourceError:
        return SourceError(
            f"{path} is no quarantine file of this tool, or damaged: {reason!s:.200}",
            remedy="Load the export again with --restart: it writes all rejects anew.",
        )


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.40} is no number")
    return value


def _raw(record: Mapping[str, Any]) -> bytes | None:
    if "raw_base64" in record:
        raw = base64.b64decode(record["raw_base64"], validate=True)
    elif record["raw"] is None:
        return None
    else:
        raw = str(record["raw"]).encode("utf-8", "strict")
    if b"\n" in raw or not raw.strip(b" \t\r"):
        raise ValueError("raw is not one line")
    return raw
