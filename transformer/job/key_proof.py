"""Whether a key is present and unique in every item of an export: exactly, in bounded memory.

The keys are read at the speed of a load, by the decoder with the key columns alone. Their hashes are spread over files
by their highest bits, and each file is sorted by itself; keys whose hashes are equal are then read once more and
compared byte by byte, so that a collision is no duplicate and a duplicate no collision.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transformer.decode.decoder import SLACK, Decoder
from transformer.decode.keys import KeyHasher
from transformer.schema.table import Column, Table, UnmappedPolicy
from transformer.schema.types import String
from transformer.source.blocks import BufferPool, open_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from transformer.source.export import DataFile

_FILES = 64
"""By the six highest bits. Two keys are tried at a time, and a process may have 1,024 files open by default."""
_BLOCK_BYTES = 8 << 20
_STEP_ITEMS = 8192
_SUSPECTS = 1 << 20
"""Equal hashes that are looked into at a time. Real collisions are a handful in 10^9 keys, so more are duplicates."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What was found about one key. items: that have it, as a scalar. unique: no two of them have the same.

    example: the parts of a key that stands twice, as text for people; empty if unique.
    """

    key: tuple[str, ...]
    items: int
    unique: bool
    example: str = ""


def key_facts(
    files: Sequence[DataFile],
    keys: Sequence[tuple[str, ...]],
    *,
    storage_options: Mapping[str, object] | None = None,
    folder: str | None = None,
) -> list[KeyFacts]:
    """The facts about each of `keys`, given as attribute names, from one reading of the files (two if hashes repeat).

    folder: where the hashes are kept meanwhile (8 bytes a key), by default the system's folder for temporary files.
    """
    tables = [_table(key) for key in keys]
    hashers = [KeyHasher(table) for table in tables]
    reading = _Reading(files, max(tables, key=lambda table: len(table.key)), dict(storage_options or {}))
    counts = [0] * len(keys)
    with tempfile.TemporaryDirectory(prefix="dynamo2ch-keys-", dir=folder) as scratch:
        for number in range(len(keys)):
            (Path(scratch) / str(number)).mkdir()
        with ExitStack() as stack:
            spills = [
                [
                    stack.enter_context((Path(scratch) / str(number) / str(part)).open("ab", buffering=1 << 13))
                    for part in range(_FILES)
                ]
                for number in range(len(keys))
            ]
            for batch in reading.batches():
                for number, hasher in enumerate(hashers):
                    hashes = np.sort(hasher.hashes(batch))
                    counts[number] += len(hashes)
                    cuts = np.searchsorted(hashes >> np.uint64(58), np.arange(_FILES + 1, dtype=np.uint64))
                    for part in np.flatnonzero(np.diff(cuts)).tolist():
                        spills[number][part].write(hashes[cuts[part] : cuts[part + 1]].tobytes())
        facts = []
        for number, key in enumerate(keys):
            example = ""
            for suspects in _repeated(Path(scratch) / str(number)):
                example = reading.find_twice(suspects, hashers[number], tables[number].key)
                if example:
                    break
            facts.append(KeyFacts(key, counts[number], not example, example))
    return facts


def _table(key: tuple[str, ...]) -> Table:
    columns = tuple(Column(f"k{index}", (name,), String()) for index, name in enumerate(key))
    return Table(
        name="keys",
        key=tuple(column.name for column in columns),
        columns=columns,
        unmapped_column="",
        unmapped_policy=UnmappedPolicy.IGNORE,
    )


def _repeated(folder: Path) -> Iterator[np.ndarray]:
    """Hashes that stand more than once, in portions: uint64."""
    for part in range(_FILES):
        hashes = np.fromfile(folder / str(part), np.uint64)
        hashes.sort()
        repeated = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
        for begin in range(0, len(repeated), _SUSPECTS):
            yield repeated[begin : begin + _SUSPECTS]


class _Reading:
    """Reads the key columns of the files."""

    def __init__(self, files: Sequence[DataFile], table: Table, options: dict[str, object]) -> None:
        self._files = files
        self._table = table
        self._options = options
        self._pool = BufferPool(_BLOCK_BYTES + SLACK)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The key columns of every valid item that has the key."""
        decoder = Decoder(self._table, version=0)
        for file in self._files:
            with open_blocks(
                file, block_bytes=_BLOCK_BYTES, slack=SLACK, storage_options=self._options, pool=self._pool
            ) as blocks:
                for block in blocks:
                    at = 0
                    while at < block.size:
                        step = decoder.step(block.buffer, at, block.size, max_items=_STEP_ITEMS, max_bytes=_BLOCK_BYTES)
                        at += step.size
                        yield step.batch
                    blocks.recycle(block)

    def find_twice(self, suspects: np.ndarray, hasher: KeyHasher, columns: tuple[str, ...]) -> str:
        """The first key found twice among those with these hashes, or nothing."""
        seen: set[tuple[bytes, ...]] = set()
        for batch in self.batches():
            for row in np.flatnonzero(np.isin(hasher.hashes(batch), suspects)).tolist():
                key = tuple(batch.column(name)[row].as_py() for name in columns)
                if key in seen:
                    return ", ".join(part.decode("utf-8", "backslashreplace")[:60] for part in key)
                seen.add(key)
        return ""
