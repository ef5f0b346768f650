"""The ledger as a folder of JSON objects, for destinations that have no tables or where none may be made.

    <root>/<table>/jobs/<start token>.json          a job, written by whoever is first
    <root>/<table>/events/<job>-<random>.json       what happened to it later
    <root>/files/<job>/<data file>.json             one for each finished data file

An object appears whole or not at all, and is never changed. That the first writer of a job wins needs a file system, or
a store with conditional writes (S3 has them).
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from transformer.errors import RetryError, UsageError
from transformer.load.ledger import (
    FinishedFile,
    Job,
    JobEvent,
    begin,
    moment,
    unreadable,
    with_events,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class FolderLedger:
    """See the module."""

    def __init__(self, url: str, storage_options: Mapping[str, object] | None = None) -> None:
        """Nothing is read or made yet.

        url: the folder, any fsspec URL. storage_options: passed to fsspec.
        Raises UsageError when fsspec does not know the URL.
        """
        import fsspec.core
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._fs, root = fsspec.core.url_to_fs(url, **dict(storage_options or {}))
        except (ValueError, ImportError, TypeError) as error:
            raise UsageError(f"a ledger cannot be kept in {url}: {error}") from error
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        self.where: str = url.rstrip("/")

    def jobs(self, table: str) -> list[Job]:
        """See `Ledger.jobs`."""
        folder = f"{self._root}/{safe_name(table)}"
        events: dict[str, list[tuple[str, str]]] = {}
        for record in self._read_all(f"{folder}/events"):
            events.setdefault(str(record["job"]), []).append((str(record["at"]), str(record["event"])))
        try:
            jobs = [Job.from_record(record) for record in self._read_all(f"{folder}/jobs")]
            jobs = [
                with_events(job, [(JobEvent(event), at) for at, event in sorted(events.get(job.job, ()))])
                for job in jobs
            ]
        except (KeyError, ValueError, TypeError) as error:
            raise unreadable(self.where, f"{type(error).__name__} {error}") from error
        return sorted(jobs, key=lambda job: (job.started_at, job.job))

    def start(self, job: Job) -> Job:
        """See `Ledger.start`."""
        return begin(
            job,
            lambda: self.jobs(job.table),
            lambda token: self._create(f"{self._root}/{safe_name(job.table)}/jobs/{token}.json", job.to_record()),
            self.where,
        )

    def note(self, job: Job, event: JobEvent) -> Job:
        """See `Ledger.note`."""
        at = moment(datetime.now(UTC))
        path = f"{self._root}/{safe_name(job.table)}/events/{job.job}-{secrets.token_hex(8)}.json"
        self._create(path, {"job": job.job, "event": event.value, "at": at})
        return with_events(job, [(event, at)])

    def record(self, files: Sequence[FinishedFile]) -> None:
        """See `Ledger.record`. Of several, each is written whole; a crash between them leaves the first ones."""
        for file in files:
            self._create(f"{self._root}/files/{safe_name(file.job)}/{safe_name(file.file)}.json", file.to_record())

    def files(self, job: str) -> dict[str, FinishedFile]:
        """See `Ledger.files`."""
        try:
            found = [FinishedFile.from_record(each) for each in self._read_all(f"{self._root}/files/{safe_name(job)}")]
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise unreadable(self.where, f"{type(error).__name__} {error}") from error
        return {file.file: file for file in found}

    def _read_all(self, folder: str) -> list[dict[str, Any]]:
        """The objects in `folder`, none when it is not there."""
        try:
            self._fs.invalidate_cache()
            names = [name for name in self._fs.find(folder, maxdepth=1) if name.endswith(".json")]
            contents = [self._fs.cat_file(name) for name in sorted(names)]
        except FileNotFoundError:
            return []
        except PermissionError as error:
            raise UsageError(f"the ledger in {self.where} may not be read: {error}") from error
        except OSError as error:
            raise RetryError(f"the ledger in {self.where} cannot be read: {error}") from error
        try:
            records = [json.loads(content) for content in contents]
        except ValueError as error:
            raise unreadable(self.where, error) from error
        if not all(isinstance(record, dict) and "job" in record for record in records):
            raise unreadable(self.where, "an object in it is no record")
        return records

    def _create(self, path: str, record: Mapping[str, object]) -> None:
        """Write a record to a place where there is none; one that is there already stays."""
        content = json.dumps(record, sort_keys=True).encode() + b"\n"
        try:
            if self._local:
                _create_local(Path(path), content)
            else:
                self._fs.pipe_file(path, content, mode="create")
        except FileExistsError:
            return
        except PermissionError as error:
            raise UsageError(f"the ledger in {self.where} may not be written: {error}") from error
        except OSError as error:
            raise RetryError(f"the ledger in {self.where} cannot be written: {error}") from error


def _create_local(path: Path, content: bytes) -> None:
    """A file that is whole and on the disk when it gets its name. Raises FileExistsError when the name is taken."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        # A link, unlike a rename, does not replace what another process has put there meanwhile.
        path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)


def safe_name(name: str) -> str:
    """`name` as one segment of a path that leads nowhere else."""
    quoted = quote(name, safe=" ()+,=@!")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")
