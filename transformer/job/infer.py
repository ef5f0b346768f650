"""A schema file for an export, from every line of it: profile, key and proposal."""

from __future__ import annotations

import contextlib
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from transformer.errors import Dynamo2chError, SchemaError, UsageError
from transformer.job.key_proof import RECHECKED, HashSpool, Key, pair_hashes, repeats
from transformer.job.request import default_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from transformer.schema.infer import Proposed
    from transformer.schema.profile import Place, Profile
    from transformer.source.export import Export

BLOCK_BYTES = 8 << 20

_KEY_TAGS = ("S", "N", "B")
_CANDIDATES = 8
"""Attributes that are tried as a key where the order of attributes does not tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """What to infer from. See `SnapshotRequest` for the fields that both have.

    key: the key attributes where they are known; else they are found. sample: read so many items only, or None for all.
    tight: propose types without head-room.
    """

    export: str
    table: str | None = None
    key: tuple[str, ...] = ()
    sample: int | None = None
    tight: bool = False
    workers: int | None = None
    storage_options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise UsageError for what means nothing."""
        if self.sample is not None and self.sample < 1:
            raise UsageError("--sample must be 1 or more")
        if len(self.key) > 2 or len(set(self.key)) != len(self.key) or not all(self.key):
            raise UsageError(
                "a key is a partition key, or a partition key and a sort key", remedy="Write --key pk or --key pk,sk."
            )


@dataclass(frozen=True, slots=True)
class Inferred:
    """A proposal. text: the schema file. notes: what it leaves out. seconds: how long it took."""

    table: str
    text: str
    key: Key
    columns: list[Proposed]
    notes: list[str]
    profile: Profile
    seconds: float


def infer(request: InferRequest) -> Inferred:
    """Read the export and propose a schema file for it.

    Raises SourceError and UsageError as a load does; UsageError also where no key can be found, or the one given is
    not the key of every item.
    """
    from transformer.schema.file import parse_schema
    from transformer.schema.infer import propose
    from transformer.schema.writer import schema_text
    from transformer.source.export import find_export

    begin = time.perf_counter()
    export = find_export(request.export, request.storage_options)
    table = request.table or export.table_name
    if table is None:
        raise UsageError(
            f"{export.shown} does not say which table it holds", remedy="Name the destination table with --table NAME."
        )
    reading = _Reading(export, request)
    profile, key = _profile_and_key(reading, request.key)
    columns, notes = propose(profile, key.attributes, tight=request.tight)
    text = schema_text(
        table, key.attributes, columns, header=_header(export, request, profile, notes), key_note=key.note,
        proven=key.proven,
    )  # fmt: skip
    parse_schema(text, "the proposed schema")  # its own words, if ever we should propose what cannot be read
    return Inferred(table, text, key, columns, notes, profile, time.perf_counter() - begin)


def _header(export: Export, request: InferRequest, profile: Profile, notes: list[str]) -> list[str]:
    if request.sample is None:
        lines = [f"Inferred from all {profile.items:,} items of {export.shown}."]
    else:
        lines = [
            f"SAMPLED: inferred from the first {profile.items:,} items of {export.shown}.",
            "Items that were not read may be rejected; without --sample no item is.",
        ]
    if profile.faults:
        lines.append(f"{profile.faults:,} lines are no valid items; a load rejects them.")
    if request.tight:
        lines.append("Types are as narrow as the data allow (--tight).")
    else:
        lines.append("Head-room: integers one width wider (64 bits only from a thousandth of their range on), decimals")
        lines.append("two digits more on both sides, in the next of 9, 18, 38 and 76 digits.")
    return [*lines, *(f"Note: {note}." for note in notes)]


def prepare_schema(
    export: str, schema: Path | None, *, table: str | None, storage_options: Mapping[str, object]
) -> tuple[Path | None, list[str]]:
    """The schema file for a load, inferred and written to schemas/<table>.yaml where there is none; and warnings.

    export, schema, table, storage_options: as the load was asked for. Returns no path where the load has to say itself
    what is missing. Raises what `infer` raises.
    """
    from transformer.schema.file import load_schema_file
    from transformer.schema.lookup import default_path
    from transformer.source.export import find_export

    warnings = []
    path = schema
    if path is None:
        try:
            name = table or find_export(export, storage_options).table_name
        except Dynamo2chError:
            return None, []  # the load meets the same fault, and its result reports it
        path = None if name is None else default_path(name)
        if path is None:
            return None, []
        if not path.exists():
            inferred = infer(InferRequest(export=export, table=name, storage_options=storage_options))
            write_schema(path, inferred.text)
            warnings.append(f"there was no schema file {path}: it was inferred from every line, and written")
    try:
        proven = load_schema_file(path).key_proven
    except SchemaError:
        return path, warnings  # the load meets the same fault
    if not proven:
        warnings.append(
            f"the key in {path} is not proven: two keys fit the data. Settle it with dynamo2ch schema infer --key"
        )
    return path, warnings


def write_schema(path: Path, text: str) -> None:
    """Write a schema file whole or not at all: several machines may infer the same one at the same time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text)
        # Temporary files are for their owner alone; a schema file is for everybody who may read the folder.
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise UsageError(
            f"{path}: the schema file cannot be written: {error.strerror or error}",
            remedy="Name a place that can be written to: dynamo2ch schema infer EXPORT -o FILE.",
        ) from error


class _Reading:
    """Passes over an export, with threads over its files."""

    def __init__(self, export: Export, request: InferRequest) -> None:
        self._export = export
        self._storage_options = request.storage_options
        self._sample = request.sample
        # A sample is the first items in the order of the manifest, which only one thread can tell.
        self._workers = 1 if request.sample else request.workers or default_workers()
        self.shown = export.shown

    def blocks(self, number: int) -> Iterator[tuple[npt.NDArray[np.uint8], int]]:
        """The blocks of file `number`: buffer and size."""
        from transformer.decode.decoder import SLACK
        from transformer.source.blocks import open_blocks

        file = self._export.files[number]
        with open_blocks(file, block_bytes=BLOCK_BYTES, slack=SLACK, storage_options=self._storage_options) as reader:
            for block in reader:
                yield block.buffer, block.size
                reader.recycle(block)

    def first_names(self) -> tuple[str, ...]:
        """The first two attributes of the first valid item, or fewer."""
        from transformer.decode.reference_item import read_item
        from transformer.decode.reference_json import FaultError

        for number in range(len(self._export.files)):
            for buffer, size in self.blocks(number):
                for line in buffer[:size].tobytes().split(b"\n"):
                    if line.strip():
                        with contextlib.suppress(FaultError):
                            return tuple(read_item(line).members)[:2]
        return ()

    def run(self, keys: Sequence[str], take: Callable[[pa.RecordBatch], None], *, most: int | None = None) -> Profile:
        """One pass: the profile, and every batch of `keys` to `take`, from any thread. most: items, in one thread."""
        from queue import Empty, SimpleQueue

        from transformer.decode.profile import Profiler
        from transformer.schema.profile import Profile
        from transformer.source.blocks import check_item_count

        most = most or self._sample
        numbers: SimpleQueue[int] = SimpleQueue()
        for number in range(len(self._export.files)):
            numbers.put(number)

        def work() -> Profile:
            profiler = Profiler(keys)
            left = most
            with contextlib.suppress(Empty):
                while left is None or left > 0:
                    number = numbers.get_nowait()
                    items = 0
                    for buffer, size in self.blocks(number):
                        for step in profiler.steps(buffer, 0, size, left):
                            items += step.items
                            left = None if left is None else left - step.items
                            take(step.batch)
                        if left == 0:
                            return profiler.profile()
                    check_item_count(self._export.files[number], items)
            return profiler.profile()

        workers = 1 if most else max(1, min(self._workers, len(self._export.files)))
        total = Profile()
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(work) for _ in range(workers)]
            try:
                for future in futures:
                    total.add(future.result())
            except BaseException:
                while not numbers.empty():
                    with contextlib.suppress(Empty):
                        numbers.get_nowait()
                raise
        return total

    def unique(self, keys: Sequence[str], spool: HashSpool) -> bool:
        """Whether no two items have the same values of `keys`. spool: the hashes of all of them."""
        for repeated in spool.repeated():
            for at in range(0, len(repeated), RECHECKED):
                if self._repeats(keys, repeated[at : at + RECHECKED]):
                    return False
        return True

    def _repeats(self, keys: Sequence[str], suspects: npt.NDArray[np.uint64]) -> bool:
        import numpy as np

        rows: list[tuple[int, tuple[bytes, ...]]] = []

        def take(batch: pa.RecordBatch) -> None:
            hashes = hashes_of(batch, len(keys))
            for row in np.flatnonzero(np.isin(hashes, suspects)).tolist():
                values = tuple(batch.column(number)[row].as_py() or b"" for number in range(len(keys)))
                rows.append((int(hashes[row]), values))

        self.run(keys, take)
        return repeats(suspects, rows)

    def proves(self, keys: Sequence[str]) -> bool:
        """Whether no two items have the same values of `keys`, by a pass of its own."""
        with contextlib.closing(HashSpool()) as spool:
            self.run(keys, lambda batch: spool.add(hashes_of(batch, len(keys))))
            return self.unique(keys, spool)


def hashes_of(batch: pa.RecordBatch, keys: int) -> npt.NDArray[np.uint64]:
    """One hash for each row's values of the first `keys` (1 or 2) columns."""
    from transformer.decode.profile import key_hashes

    first = key_hashes(batch, 0)
    return first if keys == 1 else pair_hashes(first, key_hashes(batch, 1))


def _profile_and_key(reading: _Reading, given: tuple[str, ...]) -> tuple[Profile, Key]:
    keys = given or reading.first_names()
    with contextlib.closing(HashSpool()) as single, contextlib.closing(HashSpool()) as double:

        def take(batch: pa.RecordBatch) -> None:
            if len(keys) > 0:
                single.add(hashes_of(batch, 1))
            if len(keys) > 1:
                double.add(hashes_of(batch, 2))

        profile = reading.run(keys, take)
        if given:
            return profile, _given(reading, profile, given, double if len(given) == 2 else single)
        if not keys:
            raise UsageError(
                f"{reading.shown} holds no item, so nothing tells the key", remedy="Name it: --key pk or --key pk,sk."
            )
        members, items = profile.item.members, profile.items
        first = members[keys[0]]
        second = members[keys[1]] if len(keys) > 1 else None
        if _key_like(first, items) and first.first == items:
            also = second is not None and second.second == items and _key_like(second, items)
            if reading.unique(keys[:1], single):
                if not also:
                    return profile, Key(keys[:1], True, "first in every item, and unique")
                note = (
                    f"first in every item, and unique; but {keys[1]!r} is second in every item and might be its sort "
                    "key: settle it with --key"
                )
                return profile, Key(keys[:1], items == 0, note)
            if also and reading.unique(keys[:2], double):
                return profile, Key(keys[:2], True, "first and second in every item, and unique together")
    return profile, _searched(reading, profile)


def _key_like(place: Place, items: int) -> bool:
    """Whether every item has it, with one tag that a key may have."""
    return place.count == items and len(place.tags) == 1 and next(iter(place.tags)) in _KEY_TAGS


def _given(reading: _Reading, profile: Profile, key: tuple[str, ...], spool: HashSpool) -> Key:
    if profile.items:
        for name in key:
            place = profile.item.members.get(name)
            if place is None or not _key_like(place, profile.items):
                seen = "none of the items has it" if place is None else f"it is {place.tags} in {profile.items:,} items"
                raise UsageError(
                    f"{name!r} is no key attribute: {seen}", remedy="A key is S, N or B, and in every item."
                )
        if not reading.unique(key, spool):
            raise UsageError(
                f"several items have the same {' and '.join(key)}, so that is not the key",
                remedy="Name the whole key of the table: --key pk,sk.",
            )
    return Key(key, True, "as given with --key; unique")


def _searched(reading: _Reading, profile: Profile) -> Key:
    """A key by trial, where the order of attributes does not tell it: the first candidates that are unique."""
    candidates = sorted(
        (name for name, place in profile.item.members.items() if name and _key_like(place, profile.items)),
        key=lambda name: (_rank(name), name),
    )[:_CANDIDATES]
    tried: list[tuple[str, ...]] = [(name,) for name in candidates]
    tried += [(one, other) for one in candidates for other in candidates if one < other][: 2 * _CANDIDATES]
    for keys in tried:
        if _unique_at_first(reading, keys) and reading.proves(keys):
            note = "the order of attributes does not tell the key; this is unique here: settle it with --key"
            return Key(keys, False, note)
    raise UsageError(
        f"nothing in {reading.shown} tells the key of the table", remedy="Name it: --key pk or --key pk,sk."
    )


def _unique_at_first(reading: _Reading, keys: tuple[str, ...]) -> bool:
    """Whether nothing repeats among the first items: most candidates fail here, at little cost."""
    with contextlib.closing(HashSpool()) as spool:
        reading.run(keys, lambda batch: spool.add(hashes_of(batch, len(keys))), most=10_000)
        return not any(len(repeated) for repeated in spool.repeated())


def _rank(name: str) -> int:
    """How much a name looks like that of a key: the usual ones first."""
    lower = name.lower()
    if lower in ("pk", "id", "sk", "key", "uuid"):
        return 0
    return 1 if lower.endswith(("id", "key", "pk", "sk", "_no", "number")) else 2
