"""Find an export: from whatever URL the user gives to a checked list of data files.

What a URL may name, in this order: manifest-summary.json itself, the folder that holds it, a folder above exactly one
export, or a folder of data files without manifests. Anything that leaves a choice is refused with the choices listed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from transformer.errors import SourceError, UsageError
from transformer.source import manifest, search
from transformer.source.faults import public_url
from transformer.source.storage import Location

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from transformer.source.storage import Entry

_SUMMARY_LIMIT: Final = 1 << 20
_FILES_LIMIT: Final = 256 << 20  # a million data files
_CHECKSUM_LIMIT: Final = 4096
_NAMES_IN_MESSAGE: Final = 3
_CHOICES_SHOWN: Final = 20  # each costs one request
_ARN: Final = re.compile(r"arn:[^:]*:dynamodb:.*?(?:/export/(?P<id>[^/]+))?")


@dataclass(frozen=True, slots=True)
class DataFile:
    """One data file of an export.

    url: opens it through fsspec; may hold a password, so it is shown as `shown`.
    name: path relative to the export (`data/….json.gz`), its identity in tokens, ledger and quarantine.
    item_count, md5 (base64, of the stored bytes), etag: from the manifest; None without one.
    size: stored bytes, or None where no listing told.
    """

    url: str
    name: str
    item_count: int | None
    md5: str | None
    etag: str | None
    size: int | None = None

    @property
    def shown(self) -> str:
        """The URL as it may be shown and stored."""
        return public_url(self.url)


@dataclass(frozen=True, slots=True)
class Export:
    """An export that can be loaded.

    url: its folder. kind: `full` and `incremental` have manifests, which were checked; `bare` is a folder of data files
        alone, of which nothing is known: the export members are None then.
    export_time: the moment whose state a full export holds, UTC. item_count: of all files.
    window: of an incremental export, its first moment and the first one after it, UTC.
    files: sorted by name. warnings: sentences for the user.
    summary_md5, files_md5: base64, of the manifests as they lie there; None for a folder without.
    """

    url: str
    kind: Literal["full", "bare", "incremental"]
    export_arn: str | None
    export_id: str | None
    table_name: str | None
    table_arn: str | None
    export_time: datetime | None
    item_count: int | None
    files: tuple[DataFile, ...]
    warnings: tuple[str, ...]
    summary_md5: str | None = None
    files_md5: str | None = None
    window: tuple[datetime, datetime] | None = None

    @property
    def shown(self) -> str:
        """The URL as it may be shown and stored."""
        return public_url(self.url)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits over what makes it this export: its ARN, and name, count and checksum of every file.

        A copy elsewhere is the same export. A folder without manifests is known only by its place and the sizes of its
        files.
        """
        if self.export_arn is None:
            content: list[object] = [self.shown, [[file.name, file.size] for file in self.files]]
        else:
            content = [self.export_arn, [[file.name, file.item_count, file.md5] for file in self.files]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def find_export(url: str, storage_options: Mapping[str, Any] | None = None, *, incremental: bool = False) -> Export:
    """Find the export that `url` names, check its manifests, and list its data files.

    url: see the module; a path or any fsspec URL.
    storage_options: passed to fsspec; region, endpoint, profile and roles also come from the usual AWS environment.
    incremental: which kind of export is wanted.

    Raises UsageError: an ARN, several exports, a file instead of a folder, credentials, permissions. SourceError:
    nothing there, not finished, damaged manifests, missing data files, ION, the other kind. RetryError: network.
    """
    _refuse_arn(url)
    location = Location.open(url, storage_options)
    if location.name == manifest.SUMMARY_NAME:
        return _with_manifests(location.parent, location.read(_SUMMARY_LIMIT), incremental=incremental)
    if _inside_data_folder(location):
        raise UsageError(
            f"{location.shown} is the data folder of exports, which does not say what belongs to which",
            remedy="Give the folder of one export, the one that holds manifest-summary.json.",
        )
    summary = location.child(manifest.SUMMARY_NAME).read(_SUMMARY_LIMIT)
    if summary is not None:
        return _with_manifests(location, summary, incremental=incremental)
    entries = location.entries()
    if entries is None:
        _refuse_no_folder(location)
    below = search.exports_below(location, entries)
    if len(below) > 1:
        raise UsageError(
            f"{location.shown} holds {len(below)} exports:\n{_choices(below)}",
            remedy="Give the URL of one of them.",
        )
    if below:
        found = below[0]
        return _with_manifests(found, found.child(manifest.SUMMARY_NAME).read(_SUMMARY_LIMIT), incremental=incremental)
    if incremental:
        raise SourceError(
            f"{location.shown} holds no {manifest.SUMMARY_NAME}, and without it the window of an incremental export is "
            "unknown",
            remedy=f"Give the folder of one export: …/{manifest.ROOT_FOLDER}/EXPORT-ID.",
        )
    return _bare(location, entries)


def _refuse_arn(url: str) -> None:
    if not url.startswith("arn:"):
        return
    match = _ARN.fullmatch(url)
    export_id = (match and match["id"]) or "EXPORT-ID"
    raise UsageError(
        f"{url:.300} is an ARN, which does not say where the files are",
        remedy=f"Give their URL: s3://BUCKET/PREFIX/{manifest.ROOT_FOLDER}/{export_id} "
        "(`aws dynamodb describe-export --export-arn …` shows S3Bucket and S3Prefix).",
    )


def _inside_data_folder(location: Location) -> bool:
    """Whether this is the data folder of an export, or the one that incremental exports share."""
    if location.name != manifest.DATA_FOLDER:
        return False
    above = location.parent
    if above.name == manifest.ROOT_FOLDER:
        return True
    try:
        return above.child(manifest.SUMMARY_NAME).read(_SUMMARY_LIMIT) is not None
    except UsageError:  # this folder may be readable where the one above it is not
        return False


def _refuse_no_folder(location: Location) -> NoReturn:
    if location.is_file():
        raise UsageError(
            f"{location.shown} is a file",
            remedy="Give the folder of an export, its manifest-summary.json, or the folder the file lies in.",
        )
    raise SourceError(f"{location.shown} does not exist, or holds nothing", remedy="Check the URL.")


def _choices(folders: list[Location]) -> str:
    """Return one line per export, newest first: start, table, kind, items, URL; of the newest few, the rest by URL."""
    lines = []
    for index, folder in enumerate(folders):
        if index == _CHOICES_SHOWN:
            lines.append(f"  … and {len(folders) - index:,} older ones")
            break
        started = f"{manifest.started_at(folder.name):%Y-%m-%dT%H:%M:%SZ}" if _is_id(folder.name) else "-"
        lines.append(f"  {started}  {_description(folder)}  {folder.shown}")
    return "\n".join(lines)


def _description(folder: Location) -> str:
    try:
        data = folder.child(manifest.SUMMARY_NAME).read(_SUMMARY_LIMIT)
        if data is None:
            return "not finished"
        summary = manifest.parse_summary(data, folder.shown)
    except (SourceError, UsageError):
        return "unreadable manifest"
    kind = "incremental" if summary.incremental else "full"
    return f"{summary.table_name}  {kind}  {summary.item_count:,} items"


def _is_id(name: str) -> bool:
    return manifest.EXPORT_ID.fullmatch(name) is not None


def _with_manifests(folder: Location, summary_data: bytes | None, *, incremental: bool = False) -> Export:
    """Check the manifests in `folder` and list the files they name."""
    if summary_data is None:
        raise SourceError(
            f"{folder.shown} has no {manifest.SUMMARY_NAME}: the export has not finished or has failed, or the copy is "
            "not complete",
            remedy="`aws dynamodb describe-export` shows its state; wait for COMPLETED, or copy the folder again.",
        )
    summary_shown = folder.child(manifest.SUMMARY_NAME).shown
    summary = manifest.parse_summary(summary_data, summary_shown)
    manifest.check_loadable(summary, summary_shown, incremental=incremental)
    warnings = list(summary.warnings)
    # A summary that differs is not refused: people re-format it when they share an export, and its members are checked.
    warnings += _checksum_warnings(folder, manifest.SUMMARY_NAME, summary_data, refuse=False)

    files_shown = folder.child(manifest.FILES_NAME).shown
    files_data = folder.child(manifest.FILES_NAME).read(_FILES_LIMIT)
    if files_data is None:
        raise SourceError(f"{files_shown} does not exist", remedy="Copy the export again, with both manifests.")
    warnings += _checksum_warnings(folder, manifest.FILES_NAME, files_data, refuse=True)
    lines = manifest.parse_files(files_data, summary, files_shown)

    # All incremental exports under one prefix write into one folder, beside theirs.
    data_folder = (folder.parent if incremental else folder).child(manifest.DATA_FOLDER)
    listed = _listed(data_folder, warnings)
    if listed is not None:
        _compare(data_folder, lines, listed, warnings, shared=incremental)
    files = tuple(
        DataFile(
            url=data_folder.child(line.name).url,
            name=f"{manifest.DATA_FOLDER}/{line.name}",
            item_count=line.item_count,
            md5=line.md5,
            etag=line.etag,
            size=None if listed is None else listed[line.name].size,
        )
        for line in lines
    )
    return Export(
        url=folder.url,
        kind="incremental" if incremental else "full",
        export_arn=summary.export_arn,
        export_id=summary.export_id,
        table_name=summary.table_name,
        table_arn=summary.table_arn,
        export_time=summary.export_time,
        item_count=summary.item_count,
        files=files,
        warnings=tuple(warnings),
        summary_md5=manifest.md5_of(summary_data),
        files_md5=manifest.md5_of(files_data),
        window=summary.window,
    )


def _checksum_warnings(folder: Location, name: str, data: bytes, *, refuse: bool) -> list[str]:
    """Compare a manifest with its checksum file. If missing, warn; if different, warn or `refuse` (SourceError)."""
    shown = folder.child(name).shown
    for checksum_name in manifest.checksum_names(name):
        try:
            checksum = folder.child(checksum_name).read(_CHECKSUM_LIMIT)
        except UsageError:  # who may not list a bucket in S3 is told "denied" of what is not there
            checksum = None
        if checksum is None:
            continue
        declared = checksum.decode("ascii", "replace").strip()
        actual = manifest.md5_of(data)
        if declared == actual:
            return []
        problem = f"{shown} does not match {checksum_name}: its MD5 is {actual}, not {declared!r:.40}"
        if refuse:
            raise SourceError(problem, remedy="Copy the manifests again from the export.")
        return [problem]
    return [f"the checksum of {shown} is missing ({' or '.join(manifest.checksum_names(name))})"]


def _listed(data_folder: Location, warnings: list[str]) -> dict[str, Entry] | None:
    """Return the files of the data folder by name; None where listing is not possible: reading finds out then."""
    if not data_folder.lists:
        return None
    try:
        entries = data_folder.entries()
    except UsageError as error:
        warnings.append(f"whether all data files are there is found out only when they are read: {error.message}")
        return None
    return {entry.name: entry for entry in entries or () if not entry.is_folder}


def _compare(
    data_folder: Location,
    lines: tuple[manifest.FileLine, ...],
    listed: dict[str, Entry],
    warnings: list[str],
    *,
    shared: bool,
) -> None:
    """Compare what the manifest names with what is there. shared: files of other exports are to be expected."""
    missing = [line.name for line in lines if line.name not in listed]
    if missing:
        raise SourceError(
            f"{data_folder.shown} lacks {len(missing):,} of the {len(lines):,} files that the manifest names: "
            f"{_some(missing)}",
            remedy="Copy the export again; all of it is needed.",
        )
    extra = sorted(listed.keys() - {line.name for line in lines})
    if extra and not shared:
        warnings.append(
            f"{data_folder.shown} holds {len(extra):,} files that the manifest does not name; they are not loaded: "
            f"{_some(extra)}"
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(f"{name:.100}" for name in names[:_NAMES_IN_MESSAGE])
    return shown if len(names) <= _NAMES_IN_MESSAGE else f"{shown}, …"


def _bare(folder: Location, entries: list[Entry]) -> Export:
    """Take a folder of data files that has no manifests."""
    names = {entry.name for entry in entries}
    if manifest.FILES_NAME in names or manifest.STARTED_NAME in names:
        _with_manifests(folder, None)
    taken = [entry for entry in entries if _is_data(entry)]
    if not taken:
        if any(name.endswith((".ion", ".ion.gz")) for name in names):
            raise SourceError(
                f"{folder.shown} holds files in ION, only DynamoDB JSON can be read",
                remedy="Export the table again with --export-format DYNAMODB_JSON.",
            )
        raise SourceError(
            f"{folder.shown} holds no export and no data files (*.json.gz, *.json)",
            remedy="Give the folder that holds manifest-summary.json, or the one that holds the data files.",
        )
    warnings = [f"{folder.shown} has no manifests: whether its {len(taken):,} files are complete cannot be checked"]
    others = sorted(names - {entry.name for entry in taken})
    if others:
        warnings.append(
            f"{folder.shown} holds {len(others):,} other files or folders; they are not loaded: {_some(others)}"
        )
    twice = sorted(entry.name for entry in taken if f"{entry.name}.gz" in names)
    if twice:
        warnings.append(f"{folder.shown} holds files both plain and compressed; both are loaded: {_some(twice)}")
    return Export(
        url=folder.url,
        kind="bare",
        export_arn=None,
        export_id=None,
        table_name=None,
        table_arn=None,
        export_time=None,
        item_count=None,
        files=tuple(
            DataFile(folder.child(entry.name).url, entry.name, item_count=None, md5=None, etag=None, size=entry.size)
            for entry in taken
        ),
        warnings=tuple(warnings),
    )


def _is_data(entry: Entry) -> bool:
    """Names that begin with . or _ are by custom not data (resource forks, markers, files being written)."""
    return not entry.is_folder and entry.name.endswith((".json", ".json.gz")) and entry.name[0] not in "._"
