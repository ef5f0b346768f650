"""The two manifests of an export, read strictly: bytes in, checked values out, no storage.

Everything in them is taken to be hostile. In particular `dataFileS3Key` is never used as a path: a key must have the
shape `[prefix/]AWSDynamoDB/<export id>/data/<name>`, and only the name, of a narrow set of characters, goes on. So a
tree that was copied to another bucket or folder is read where it lies now, and no key can lead out of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from transformer.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUMMARY_NAME: Final = "manifest-summary.json"
FILES_NAME: Final = "manifest-files.json"
STARTED_NAME: Final = "_started"
DATA_FOLDER: Final = "data"
ROOT_FOLDER: Final = "AWSDynamoDB"

EXPORT_ID: Final = re.compile(r"[0-9]{13,15}-[0-9a-f]{8}")
"""Epoch milliseconds of the start, zero-padded, and eight hexadecimal digits. Sorts by time as text of equal length."""

_VERSIONS: Final = frozenset({"2020-06-30", "2023-08-01"})
_ARN: Final = re.compile(r"(arn:[a-z0-9-]+:dynamodb:[a-z0-9-]*:[0-9]*:table/([A-Za-z0-9_.-]+))/export/([0-9A-Za-z-]+)")
_TABLE_ARN: Final = re.compile(r"arn:[a-z0-9-]+:dynamodb:[a-z0-9-]*:[0-9]*:table/([A-Za-z0-9_.-]+)")
_DATA_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.json(\.gz)?")
_FILTER: Final = re.compile("filter|projection", re.IGNORECASE)
_ODD_IN_KEY: Final = re.compile(r"[\x00-\x1f\x7f\\]|://")
_DAMAGED: Final = "Copy the manifests again from the export; they must be exactly as AWS wrote them."


@dataclass(frozen=True, slots=True)
class Summary:
    """manifest-summary.json of an export of any kind.

    export_id: the last part of the export ARN. export_time: the moment of a full export, UTC; None where not given.
    window: of an incremental export, its first moment and the first one after it, UTC; None where not given.
    warnings: oddities that do not make the export unreadable.
    """

    export_arn: str
    export_id: str
    table_arn: str
    table_name: str
    export_time: datetime | None
    item_count: int
    output_format: str
    incremental: bool
    window: tuple[datetime, datetime] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileLine:
    """One line of manifest-files.json. name: last segment of the key. md5: base64, of the stored bytes."""

    name: str
    item_count: int
    md5: str
    etag: str | None


def is_md5(text: str) -> bool:
    """Whether `text` is the base64 of 16 bytes, as manifests and checksum files write an MD5."""
    try:
        return len(text) == 24 and len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def md5_of(data: bytes) -> str:
    """Return the base64 MD5 of `data`, as checksum files hold it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode("ascii")


def parse_summary(data: bytes, shown: str) -> Summary:
    """Read manifest-summary.json.

    shown: what to call it in messages. White space and unknown members are accepted, members that stand twice are not.
    Raises SourceError when a member that is needed is missing, of another type, or contradicts another, or when the
    version is unknown. Format and kind are returned, not judged.
    """
    fields = _object(data, shown)
    version = _text(fields, "version", shown)
    if version not in _VERSIONS:
        raise SourceError(
            f"{shown}: manifest version {version!r:.40} is unknown",
            remedy=f"Known are {' and '.join(sorted(_VERSIONS))}; a newer release of this tool may know more.",
        )
    kind = fields.get("exportType")
    if kind not in (None, "FULL_EXPORT", "INCREMENTAL_EXPORT"):
        raise SourceError(f"{shown}: exportType {kind!r:.40} is unknown", remedy=_DAMAGED)
    windowed = any(fields.get(name) is not None for name in ("exportFromTime", "exportToTime", "outputView"))
    if windowed and kind == "FULL_EXPORT":
        raise SourceError(f"{shown} calls itself a full export but has a window", remedy=_DAMAGED)
    arn = _text(fields, "exportArn", shown)
    parts = _ARN.fullmatch(arn)
    table_arn = _text(fields, "tableArn", shown)
    table = _TABLE_ARN.fullmatch(table_arn)
    if parts is None or table is None or parts[1] != table_arn:
        raise SourceError(f"{shown}: exportArn and tableArn are no ARNs of one table", remedy=_DAMAGED)
    filters = sorted(name for name in fields if _FILTER.search(name) and fields[name] is not None)
    return Summary(
        export_arn=arn,
        export_id=parts[3],
        table_arn=table_arn,
        table_name=table[1],
        export_time=_time(fields, "exportTime", shown),
        item_count=_count(fields, "itemCount", shown),
        output_format=_text(fields, "outputFormat", shown),
        incremental=windowed or kind == "INCREMENTAL_EXPORT",
        window=_window(fields, shown),
        warnings=tuple(f"{shown} names a filter ({name}): the export may not hold the whole table" for name in filters),
    )


def _window(fields: dict[str, Any], shown: str) -> tuple[datetime, datetime] | None:
    view = fields.get("outputView")
    if view not in (None, "NEW_AND_OLD_IMAGES", "NEW_IMAGE"):
        raise SourceError(f"{shown}: outputView {view!r:.40} is unknown", remedy=_DAMAGED)
    begin, end = _time(fields, "exportFromTime", shown), _time(fields, "exportToTime", shown)
    if begin is None or end is None:
        return None
    if begin >= end:
        raise SourceError(f"{shown}: exportFromTime and exportToTime are no window", remedy=_DAMAGED)
    return begin, end


def check_loadable(summary: Summary, shown: str, *, incremental: bool = False) -> None:
    """Raise SourceError for an export that is not one of the kind wanted, in DynamoDB JSON."""
    if summary.output_format != "DYNAMODB_JSON":
        raise SourceError(
            f"{shown}: this export is in the format {summary.output_format!r:.40}, only DYNAMODB_JSON can be read",
            remedy="Export the table again with --export-format DYNAMODB_JSON.",
        )
    if incremental and not summary.incremental:
        raise SourceError(
            f"{shown}: this is a full export, not an incremental one",
            remedy="Use `dynamo2ch snapshot` for it; `dynamo2ch increment` loads incremental exports.",
        )
    if incremental and summary.window is None:
        raise SourceError(f"{shown}: exportFromTime and exportToTime are no window", remedy=_DAMAGED)
    if summary.incremental and not incremental:
        raise SourceError(
            f"{shown}: this is an incremental export, which holds changes and deletes, not a table",
            remedy="Use `dynamo2ch increment` for it; `dynamo2ch snapshot` loads full exports.",
        )


def parse_files(data: bytes, summary: Summary, shown: str) -> tuple[FileLine, ...]:
    """Read manifest-files.json; the lines come back sorted by name.

    Raises SourceError for a malformed line, a key that does not lie in the data folder of this export (or is no plain
    key at all), a file that is named twice, and a sum of items that differs from the summary.
    """
    lines: dict[str, FileLine] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{shown}, line {number}"
        fields = _object(line, where)
        name = data_name(
            _text(fields, "dataFileS3Key", where), None if summary.incremental else summary.export_id, where
        )
        md5 = _text(fields, "md5Checksum", where)
        if not is_md5(md5):
            raise SourceError(f"{where}: md5Checksum is not the base64 of 16 bytes", remedy=_DAMAGED)
        etag = fields.get("etag")
        if etag is not None and not isinstance(etag, str):
            raise SourceError(f"{where}: etag is no string", remedy=_DAMAGED)
        if name in lines:
            raise SourceError(f"{where}: the file {name} is named a second time", remedy=_DAMAGED)
        lines[name] = FileLine(name, _count(fields, "itemCount", where), md5, etag)
    found = sum(line.item_count for line in lines.values())
    if found != summary.item_count:
        raise SourceError(
            f"{shown}: its files hold {found:,} items, {SUMMARY_NAME} says {summary.item_count:,}",
            remedy="The manifests belong to different exports, or one is cut short. " + _DAMAGED,
        )
    return tuple(lines[name] for name in sorted(lines))


def data_name(key: str, export_id: str | None, where: str) -> str:
    """Return the file name in a `dataFileS3Key`; SourceError unless it lies in the right data folder.

    export_id: whose folder that is; None for the one that all incremental exports under a prefix share.
    """
    segments = key.split("/")
    if _ODD_IN_KEY.search(key) or key.startswith("/") or ".." in segments or "." in segments:
        raise SourceError(f"{where}: {key!r:.200} is no key of a data file", remedy=_DAMAGED)
    folder = [ROOT_FOLDER, DATA_FOLDER] if export_id is None else [ROOT_FOLDER, export_id, DATA_FOLDER]
    if segments[-1 - len(folder) : -1] != folder:
        raise SourceError(f"{where}: {key!r:.200} does not lie in {'/'.join(folder)}/", remedy=_DAMAGED)
    if not _DATA_NAME.fullmatch(segments[-1]):
        raise SourceError(f"{where}: {key!r:.200} is no name of a data file (NAME.json.gz)", remedy=_DAMAGED)
    return segments[-1]


def _object(data: bytes, shown: str) -> dict[str, Any]:
    def members(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a member stands twice")
        return result

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=members)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{shown} is no valid JSON ({error!s:.100})", remedy=_DAMAGED) from error
    if not isinstance(value, dict):
        raise SourceError(f"{shown} is no JSON object", remedy=_DAMAGED)
    return value


def _text(fields: dict[str, Any], name: str, shown: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise SourceError(f"{shown}: {name} is missing or no string", remedy=_DAMAGED)
    return value


def _count(fields: dict[str, Any], name: str, shown: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SourceError(f"{shown}: {name} is missing or no count", remedy=_DAMAGED)
    return value


def _time(fields: dict[str, Any], name: str, shown: str) -> datetime | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(_text(fields, name, shown))
    except ValueError as error:
        raise SourceError(f"{shown}: {name} is no ISO 8601 time", remedy=_DAMAGED) from error
    if time.tzinfo is None:
        raise SourceError(f"{shown}: {name} has no time zone", remedy=_DAMAGED)
    return time.astimezone(UTC)


def started_at(export_id: str) -> datetime:
    """Return the moment that is written into an id that matches `EXPORT_ID`, UTC."""
    return datetime.fromtimestamp(int(export_id.partition("-")[0]) / 1000, tz=UTC)


def checksum_names(manifest: str) -> Iterator[str]:
    """Yield the names under which the checksum of a manifest may lie: as in real exports, then as in AWS's guide."""
    stem = manifest.removesuffix(".json")
    yield f"{stem}.md5"
    yield f"{stem}.checksum"
