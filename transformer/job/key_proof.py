"""Which attributes are the key of a table, proved on every item of an export.

Full exports write the key attributes first. Whether they are the whole key is proved by an external sort of hashes of
their values: different hashes are different keys, and equal hashes are compared byte by byte. Sketches prove nothing.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

_NONE = np.empty(0, np.uint64)

PARTS = 256
BUFFERED = 1 << 22
"""Hashes (8 bytes each) in memory before they go to the parts on disk."""

RECHECKED = 1000
"""Equal hashes whose keys are compared in one pass. Of a billion different keys, less than one pair is expected."""


class HashSpool:
    """Hashes of any number, in bounded memory, to be asked once which of them repeat. Threads may share it."""

    def __init__(self, *, buffered: int = BUFFERED) -> None:
        self._lock = threading.Lock()
        self._buffered = buffered
        self._waiting: list[npt.NDArray[np.uint64]] = []
        self._count = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def add(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Add some."""
        with self._lock:
            self._waiting.append(hashes)
            self._count += len(hashes)
            if self._count > self._buffered:
                self._spill()

    def _spill(self) -> None:
        """Sort what waits, and append it to the parts by the highest byte."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="dynamo2ch-keys-")
        hashes = np.sort(np.concatenate(self._waiting, dtype=np.uint64))
        bounds = np.searchsorted(hashes, np.arange(PARTS, dtype=np.uint64) << np.uint64(56))
        for part, hashes_of_part in enumerate(np.split(hashes, bounds[1:])):
            with (Path(self._folder.name) / str(part)).open("ab") as file:
                hashes_of_part.tofile(file)
        self._waiting, self._count = [], 0

    def repeated(self) -> Iterator[npt.NDArray[np.uint64]]:
        """The hashes that stand in it more than once, each once, part by part, ascending."""
        with self._lock:
            if self._folder is None:
                yield _twice(np.concatenate(self._waiting, dtype=np.uint64) if self._waiting else _NONE)
                return
            self._spill_rest()
            for part in range(PARTS):
                yield _twice(np.fromfile(Path(self._folder.name) / str(part), np.uint64))

    def _spill_rest(self) -> None:
        if self._waiting:
            self._spill()

    def close(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            with contextlib.suppress(FileNotFoundError):
                self._folder.cleanup()
            self._folder = None


def _twice(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    hashes = np.sort(hashes)
    again: npt.NDArray[np.uint64] = hashes[1:][hashes[1:] == hashes[:-1]]
    return np.unique(again)


def pair_hashes(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One hash for each pair; (a, b) and (b, a) differ."""
    mixed = np.multiply(second ^ (second >> np.uint64(29)), np.uint64(0xC2B2AE3D27D4EB4F), dtype=np.uint64)
    return np.add(np.multiply(first, np.uint64(0x9E3779B97F4A7C15), dtype=np.uint64), mixed, dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a table. proven: no other reading fits the data. note: how it was found, one line."""

    attributes: tuple[str, ...]
    proven: bool
    note: str


def repeats(suspects: npt.NDArray[np.uint64], rows: Iterable[tuple[int, tuple[bytes, ...]]]) -> bool:
    """Whether two rows have one key. rows: (hash, key) of every row whose hash is one of the suspects."""
    seen: dict[int, set[tuple[bytes, ...]]] = {int(suspect): set() for suspect in suspects}
    for hash_, key in rows:
        if key in seen[hash_]:
            return True
        seen[hash_].add(key)
    return False
