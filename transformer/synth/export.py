"""Full exports on disk, shaped exactly as AWS shapes them."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from transformer.errors import UsageError
from transformer.synth import datafile, manifests, shapes
from transformer.synth.rows import chance

# Bytes AWS bills per byte of JSON: 44.6 MB for 65.3 MB on one real table. Only an estimate goes into the manifest.
_BILLED_PER_JSON_BYTE = 0.683
_BILLED_FROM_BYTES = 4096  # tiny real exports state 0


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One data file of a finished export.

    path: where it is. key: its key in the manifest. first_item: the number of its first item; its items follow it.
    written: counts, sizes and checksums.
    """

    path: Path
    key: str
    first_item: int
    written: datafile.Written


@dataclass(frozen=True, slots=True)
class WrittenExport:
    """A finished export.

    path: its folder, `<directory>/[prefix/]AWSDynamoDB/<export id>`. table, shape: names.
    files: the data files that hold items, in the order of their items, then the empty ones.
    """

    path: Path
    export_id: str
    export_arn: str
    table: str
    shape: str
    export_time: datetime
    files: tuple[WrittenFile, ...]

    @property
    def item_count(self) -> int:
        """Items in all files, as the summary states."""
        return sum(file.written.item_count for file in self.files)

    @property
    def json_bytes(self) -> int:
        """Bytes of all lines, newlines included."""
        return sum(file.written.json_bytes for file in self.files)

    @property
    def gz_bytes(self) -> int:
        """Bytes of all data files."""
        return sum(file.written.gz_bytes for file in self.files)

    @property
    def ratio(self) -> float:
        """JSON bytes per gzip byte."""
        return self.json_bytes / max(self.gz_bytes, 1)


def write_export(
    directory: str | os.PathLike[str],
    *,
    shape: str,
    items: int,
    files: int,
    seed: int,
    ratio: float | None = None,
    shuffle: bool = False,
    prefix: str | None = None,
    table: str | None = None,
    empty_files: int = 0,
    export_time: datetime | None = None,
    workers: int | None = None,
) -> WrittenExport:
    """Write a full export of `items` items of `shape` in `files` data files below `directory`, as a bucket holds it.

    Everything written is a pure function of the arguments but `directory` and `workers` (with the pinned numpy and one
    zlib); writing the same export again replaces it by the same bytes.

    ratio: JSON bytes per gzip byte, 4 to 15, reached within a quarter from some thousand items on; for the shapes
        that say so. None leaves it to the shape.
    shuffle: an attribute order of its own for each item; else most items of a kind agree in it. Keys come first anyhow.
    prefix: the S3 prefix, joined by one slash; it may end in one. table: its name, the shape's by default.
    empty_files: data files without items beside the others, as empty partitions give them.
    export_time: when the export was asked for (aware; whole milliseconds), by default a constant.
    workers: threads, one file each; by default one per core.

    Raises UsageError for arguments that make no export.
    """
    if files < 1 or empty_files < 0:
        raise UsageError("an export has at least one data file for its items, and no negative number of empty ones")
    if prefix is not None and (prefix.startswith("/") or {".", ".."} & set(prefix.split("/"))):
        raise UsageError(f"prefix {prefix!r} is no relative path")
    started = manifests.FIRST_EXPORT if export_time is None else export_time
    if started.tzinfo is None:
        raise UsageError("the export time needs a time zone")
    started = started.astimezone(UTC).replace(microsecond=started.microsecond // 1000 * 1000)
    table = shapes.shape_named(shape).name if table is None else table
    what = (shape, items, files, seed, ratio, shuffle, prefix, table, empty_files, started.isoformat())
    identity = manifests.Identity(table, started, prefix, hashlib.sha256(repr(what).encode()).digest())

    # Refuses impossible arguments before anything is written, and builds the pools once for all threads.
    shapes.blocks(shape, items, seed, ratio=ratio, shuffle=shuffle)
    bucket = Path(directory)
    folder = bucket / identity.root
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "_started").write_bytes(b"")
    cuts = _cuts(items, files, seed) + [items] * empty_files

    def write(number: int) -> WrittenFile:
        first, after = cuts[number], cuts[number + 1]
        key = identity.data_key(number)
        blocks = shapes.blocks(shape, after - first, seed, ratio=ratio, shuffle=shuffle, first=first)
        return WrittenFile(bucket / key, key, first, datafile.write(bucket / key, blocks))

    threads = min(workers or len(os.sched_getaffinity(0)), len(cuts) - 1)
    with ThreadPoolExecutor(threads) as pool:
        written = tuple(pool.map(write, range(len(cuts) - 1)))
    export = WrittenExport(folder, identity.export_id, identity.export_arn, table, shape, started, written)
    billed = round(export.json_bytes * _BILLED_PER_JSON_BYTE) if export.json_bytes >= _BILLED_FROM_BYTES else 0
    summary = manifests.summary(
        identity, item_count=export.item_count, billed_bytes=billed, seconds=300 + export.gz_bytes / 20e6
    )
    write_manifests(export, summary, seed)
    return export


def _cuts(items: int, files: int, seed: int) -> list[int]:
    """Where the files begin and end, as item numbers: sizes differ by some percent, as those of partitions do."""
    stream = chance(seed, "cuts")
    shares = [stream.uniform(0.95, 1.05) for _ in range(files)]
    total = sum(shares)
    cuts = [0.0]
    for share in shares:
        cuts.append(cuts[-1] + share)
    return [round(items * cut / total) for cut in cuts]


def write_manifests(export: WrittenExport, summary: bytes, seed: int) -> None:
    """Write both manifests with their checksums, the summary last, which marks the export as complete."""
    entries = [(file.key, file.written) for file in export.files]
    chance(seed, "manifest").shuffle(entries)  # real ones are in no order
    for name, content in (("manifest-files", manifests.files(entries)), ("manifest-summary", summary)):
        (export.path / f"{name}.json").write_bytes(content)
        (export.path / f"{name}.md5").write_text(datafile.checksum(content))
