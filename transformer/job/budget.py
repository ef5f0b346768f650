"""Where the memory of a run goes: one number (`--memory`) becomes block sizes, threads and how many chunks may live.

What a chunk *is* never depends on memory (cuts must be the same in every run), so the budget decides only how many
chunks exist at one time. The numbers behind the shares, all measured on the embedded engine:

- one insert needs about four times its Arrow size on top of what the imports and the engine take (280 to 400 MB): a
  chunk of 156 MB cost 610 MB, one of 39 MB cost 225 MB, streamed or not. So an insert is charged four times its chunk,
  and inserts get two thirds of what the blocks leave;
- the number of chunks that went before makes no difference (4 or 40 chunks of 50 MB: 891 and 899 MB at the peak), so
  nothing is charged for history;
- two inserting threads did twice the work in 1.25 times the time, while a worker that inflates and decodes takes a
  core of its own: one inserter for every two workers keeps up.

The budget is for data. On top come interpreter, libraries and machine code (250 MB), and with an embedded engine
another 220 MB for itself, and what it keeps of each insert and merge. On two cores, nested items, 512 MiB: 379 MiB at
the peak with nothing but a counter behind the inserts, whether 200,000 items or 2,000,000; with the embedded engine 940
MiB for 200,000 items, 1,240 to 1,280 for 1,000,000, and from there on level: 1,390 for 2,000,000, 1,400 for 4,000,000.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from transformer.errors import UsageError

MIB = 1 << 20
MEMORY_PER_WORKER = 256 * MIB
"""The default, for each worker: a full chunk that grows, and its share of one that is inserted."""

LEAST_MEMORY = 64 * MIB

INSERT_FACTOR = 4
"""Memory of one insert in units of the Arrow size of its chunk."""

LARGEST_BLOCK = 8 * MIB
SMALLEST_BLOCK = MIB
_BLOCKS_PER_WORKER = 2  # one is decoded while the reader fills the next with the tail it carries over
_FIRST_GUESS = 64 * MIB  # size of a chunk in Arrow before the first is known: its limit in JSON

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_UNITS |= {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


class Aborted(Exception):  # noqa: N818 - it is no error, it unwinds a thread of a run that has already failed
    """The run has failed elsewhere; whoever waits for memory gives up."""


def parse_size(text: str) -> int:
    """Bytes meant by `text`: a number and a unit (B, KB, MB, GB by 1000; K, KiB, M, MiB, G, GiB by 1024).

    Raises UsageError when it is no size.
    """
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise UsageError(f"{text!r} is no size", remedy="Write a number and a unit, such as 512MiB or 2GiB.")
    return round(float(match[1]) * unit)


def format_size(size: int) -> str:
    """`size` bytes for people, in binary units."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if amount < 1024 or unit == "TiB":
            break
    return f"{amount:.1f} {unit}" if amount < 100 else f"{amount:.0f} {unit}"


@dataclass(frozen=True, slots=True)
class Budget:
    """How one run uses its memory. All sizes in bytes.

    workers: threads that read and decode, each one file at a time.
    inserters: threads that insert.
    block_bytes: size of the blocks that a reader hands out.
    holding: what chunks may take while they grow and while they wait for an inserter.
    inserting: what all inserts under way may take, each charged INSERT_FACTOR times its chunk.
    """

    workers: int
    inserters: int
    block_bytes: int
    holding: int
    inserting: int

    @classmethod
    def plan(cls, memory: int, *, workers: int, input_bytes: int = 0) -> Budget:
        """Share `memory` among at most `workers` workers.

        input_bytes: stored bytes that each reader holds besides its blocks.

        Raises UsageError when memory is less than LEAST_MEMORY: blocks and the smallest chunks would not fit.
        """
        if memory < LEAST_MEMORY:
            raise UsageError(
                f"{format_size(memory)} of memory is too little",
                remedy=f"Give at least --memory {LEAST_MEMORY // MIB}MiB.",
            )
        block_bytes = max(SMALLEST_BLOCK, min(LARGEST_BLOCK, memory // (16 * workers)))
        # More workers than the smallest blocks allow for would spend the budget on blocks alone.
        reader_bytes = _BLOCKS_PER_WORKER * block_bytes + input_bytes
        workers = max(1, min(workers, memory // (8 * _BLOCKS_PER_WORKER * block_bytes), memory // (4 * reader_bytes)))
        rest = memory - workers * reader_bytes
        inserting = rest * 2 // 3
        return cls(
            workers=workers,
            inserters=max(1, workers // 2),
            block_bytes=block_bytes,
            holding=rest - inserting,
            inserting=inserting,
        )

    @property
    def chunks(self) -> int:
        """How many chunks may grow or wait: one for each worker, and one for each inserter to begin with at once.

        More of them would make no load faster, since the inserters are behind when chunks wait at all.
        """
        return self.workers + self.inserters

    @property
    def largest_chunk(self) -> int:
        """Arrow bytes of the largest chunk with which the budget is kept: it must fit both shares."""
        return min(self.inserting // INSERT_FACTOR, self.holding)


class Allowance:
    """A number of bytes that threads share.

    A thread waits until its bytes are free. Whoever finds nobody else holding any is let in whatever it asks for, so a
    chunk larger than the share delays the others and never stops the run.

    total: bytes. holders: how many may hold some at one time, however few.
    """

    def __init__(self, total: int, *, holders: int) -> None:
        self._total = total
        self._places = holders
        self._held = 0
        self._holders = 0
        self._aborted = False
        self._changed = threading.Condition()

    def acquire(self, size: int) -> None:
        """Take `size` bytes, waiting for them. Raises Aborted when the run failed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._aborted or self._lets_in(size))
            if self._aborted:
                raise Aborted
            self._held += size
            self._holders += 1

    def _lets_in(self, size: int) -> bool:
        return self._holders == 0 or (self._holders < self._places and self._held + size <= self._total)

    def exchange(self, held: int, actual: int) -> None:
        """Hold `actual` bytes in place of `held`, without waiting: the bytes exist already."""
        with self._changed:
            self._held += actual - held
            self._changed.notify_all()

    def release(self, size: int) -> None:
        """Give back `size` bytes, all that one holder has."""
        with self._changed:
            self._held -= size
            self._holders -= 1
            self._changed.notify_all()

    def narrow(self) -> None:
        """Let one holder less in at a time than hold something now; one at least. For the rest of the run."""
        with self._changed:
            self._places = max(1, min(self._places, self._holders) - 1)

    def abort(self) -> None:
        """Wake every thread that waits, and let none in from now on."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()


class ChunkSizes:
    """What the next chunk is expected to take: the largest so far, or before the first one its limit in JSON."""

    def __init__(self) -> None:
        self._largest = 0
        self._lock = threading.Lock()

    @property
    def largest(self) -> int:
        """Arrow bytes of the largest chunk so far; 0 before the first."""
        return self._largest

    @property
    def expected(self) -> int:
        """Bytes to reserve for a chunk that is about to begin."""
        return self._largest or _FIRST_GUESS

    def saw(self, size: int) -> None:
        """A chunk of `size` bytes was cut."""
        with self._lock:
            self._largest = max(self._largest, size)
