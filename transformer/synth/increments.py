"""Exports of a history: full ones of a moment, incremental ones of a window, shaped exactly as AWS shapes them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from transformer.errors import UsageError
from transformer.synth import datafile, manifests
from transformer.synth.export import WrittenExport, WrittenFile, write_manifests
from transformer.synth.history import key_text
from transformer.synth.rows import chance

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

    from transformer.synth.history import Change, History, Item

View = Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BILLED_LEAST = 10_000_000  # what AWS bills for an incremental export at least
_RUNNING = timedelta(minutes=5)


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(micros: int) -> datetime:
    """The inverse of `micros_of`, UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def write_full(
    directory: str | os.PathLike[str],
    history: History,
    *,
    at: datetime,
    files: int = 4,
    seed: int = 0,
    prefix: str | None = None,
    grey: timedelta = timedelta(0),
) -> WrittenExport:
    """Write a full export of the table as it was at `at` (aware) below `directory`, as a bucket holds it.

    grey: each item is seen as it was at a moment of its own within so much of `at`, before or after: AWS guarantees
    what an export holds only to the minute (Developer Guide, "DynamoDB data export to Amazon S3: how it works").
    """
    started = _milliseconds(at)
    identity = _identity(history.table, started, prefix, ("full", seed, files, micros_of(at), grey))
    draw = chance(seed, "grey")
    exact = micros_of(at)
    width = grey // timedelta(microseconds=1)
    seen: dict[str, tuple[int, Item | None]] = {}
    moments: dict[str, int] = {}
    for change in history.between(0, exact + width + 1):
        name = key_text(change.key)
        if name not in moments:
            moments[name] = exact + (draw.randint(-width, width) if width else 0)
        if change.micros < moments[name]:
            seen[name] = (change.micros, change.new)
    lines = [
        (name, {"Item": _keys_first(item, history.key)}) for name, (_, item) in sorted(seen.items()) if item is not None
    ]
    return _write(directory, identity, lines, files, seed, export_time=started)


def write_increment(
    directory: str | os.PathLike[str],
    history: History,
    *,
    since: datetime,
    until: datetime,
    view: View = "NEW_AND_OLD_IMAGES",
    files: int = 4,
    seed: int = 0,
    prefix: str | None = None,
    started: datetime | None = None,
) -> WrittenExport:
    """Write an incremental export of [since, until) (aware, whole seconds as in AWS's API) below `directory`.

    One line for each item that changed, with its last state in the window; none for an item that was put and deleted in
    it. The data files go to the folder that all incremental exports under one prefix share. started: when it was
    requested, by default a minute after the window.
    """
    if since.microsecond or until.microsecond or since >= until:
        raise UsageError("a window begins before it ends, both at whole seconds")
    begun = (started or until + timedelta(minutes=1)).astimezone(UTC).replace(microsecond=0)
    what = ("increment", seed, files, micros_of(since), micros_of(until), view)
    identity = _identity(history.table, begun, prefix, what)
    changes = history.net(micros_of(since), micros_of(until))
    lines = [(key_text(change.key), _change(change, view)) for change in changes]
    return _write(directory, identity, lines, files, seed, window=(since, until, view))


def _change(change: Change, view: View) -> dict[str, object]:
    """One line, its members in AWS's order."""
    line: dict[str, object] = {
        "Metadata": {"WriteTimestampMicros": {"N": str(change.micros)}},
        "Keys": dict(change.key),
    }
    if view == "NEW_AND_OLD_IMAGES" and change.old is not None:
        line["OldImage"] = dict(sorted(change.old.items()))
    if change.new is not None:
        line["NewImage"] = dict(sorted(change.new.items()))
    return line


def _keys_first(item: Item, key: tuple[str, ...]) -> dict[str, object]:
    return {name: item[name] for name in (*key, *(name for name in item if name not in key))}


def _identity(table: str, started: datetime, prefix: str | None, what: object) -> manifests.Identity:
    digest = hashlib.sha256(repr((table, started.isoformat(), prefix, what)).encode()).digest()
    return manifests.Identity(table, started, prefix, digest)


def _milliseconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def _write(
    directory: str | os.PathLike[str],
    identity: manifests.Identity,
    lines: Iterable[tuple[str, object]],
    files: int,
    seed: int,
    *,
    export_time: datetime | None = None,
    window: tuple[datetime, datetime, View] | None = None,
) -> WrittenExport:
    """Spread the lines over data files by the hash of their keys, and write the manifests."""
    from pathlib import Path

    if files < 1:
        raise UsageError("an export has at least one data file")
    bucket: Path = Path(directory)
    folder = bucket / identity.root
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "_started").write_bytes(b"")
    parts: list[list[bytes]] = [[] for _ in range(files)]
    for name, line in lines:
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        parts[hashlib.sha256(name.encode()).digest()[0] % files].append(text)
    written = []
    first = 0
    for number, part in enumerate(parts):
        key = identity.data_key(number, shared=window is not None)
        (bucket / key).parent.mkdir(parents=True, exist_ok=True)
        written.append(WrittenFile(bucket / key, key, first, datafile.write(bucket / key, [part] if part else [])))
        first += len(part)
    export = WrittenExport(
        folder,
        identity.export_id,
        identity.export_arn,
        identity.table,
        "history",
        export_time or identity.started,
        tuple(written),
    )
    if window is None:
        summary = manifests.summary(
            identity, item_count=export.item_count, billed_bytes=0, seconds=_RUNNING.total_seconds()
        )
    else:
        since, until, view = window
        summary = manifests.increment_summary(
            identity,
            since=since,
            until=until,
            view=view,
            item_count=export.item_count,
            billed_bytes=max(_BILLED_LEAST, export.json_bytes),
            seconds=_RUNNING.total_seconds(),
        )
    write_manifests(export, summary, seed)
    return export
