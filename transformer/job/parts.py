"""What a pipeline is put together from, and what its threads report to the thread that keeps the books."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import TracebackType

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from transformer.decode.keys import KeyHasher
    from transformer.errors import Verdict
    from transformer.job.budget import Budget
    from transformer.job.recorder import Recorder
    from transformer.job.result import RejectedItem
    from transformer.job.stop import StopSwitch
    from transformer.load.chunks import Chunk, ChunkLimits
    from transformer.load.destination import Destination
    from transformer.schema.digest import KeyDigest
    from transformer.schema.table import Table
    from transformer.source.blocks import Block
    from transformer.source.export import DataFile


class Rejected(Protocol):
    """A rejected line as `transformer.decode` describes it."""

    @property
    def line(self) -> int:
        """Index of the line within the step, blank lines counted."""

    @property
    def raw(self) -> bytes | None:
        """The line, less what the schema drops; None when that cannot be told apart."""

    @property
    def verdict(self) -> Verdict:
        """Why."""


class Step(Protocol):
    """What one step decoded; see `transformer.decode.decoder.Step`."""

    @property
    def size(self) -> int:
        """Bytes covered."""

    @property
    def lines(self) -> int:
        """Lines covered, blank ones too."""

    @property
    def items(self) -> int:
        """Lines that are not blank."""

    @property
    def batch(self) -> pa.RecordBatch:
        """The accepted rows, in the order of their lines."""

    @property
    def rejects(self) -> Sequence[Rejected]:
        """The others."""

    @property
    def key_tags(self) -> Sequence[Collection[str]]:
        """For each key column, in the order of the key, the type tags it was filled from."""


class Decoder(Protocol):
    """What turns lines into rows; see `transformer.decode.decoder.Decoder`. Used by one thread only."""

    def step(self, buffer: npt.NDArray[np.uint8], begin: int, end: int, *, max_items: int, max_bytes: int) -> Step:
        """Decode whole lines of `buffer` from `begin`."""


class DecoderFactory(Protocol):
    """Makes one decoder; the class `transformer.decode.decoder.Decoder` itself is one."""

    def __call__(self, table: Table, *, version: int) -> Decoder:
        """A decoder for `table` whose rows carry `version` (microseconds)."""


class Reader(Protocol):
    """What reads one data file; see `transformer.source.blocks.BlockReader`."""

    @property
    def md5(self) -> str:
        """Of the bytes read, base64; known at the end."""

    @property
    def gz_bytes(self) -> int:
        """Bytes read; known at the end."""

    def __enter__(self) -> Self:
        """Open until the end of the `with`."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close."""

    def __next__(self) -> Block:
        """The next block."""

    def recycle(self, block: Block) -> None:
        """Nobody needs `block` any more."""


class RejectsFile(Protocol):
    """Where the rejects of one data file go; see `transformer.load.quarantine.QuarantineFile`."""

    def write(self, line: int, verdict: Verdict, raw: bytes) -> None:
        """Add one reject."""

    def close(self) -> None:
        """Publish them."""


class Rejects(Protocol):
    """Where rejects go; see `transformer.load.quarantine.Quarantine`."""

    def file(self, name: str) -> RejectsFile:
        """The place for those of the data file `name`."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a pipeline needs.

    files: in the order in which they are begun.
    decoders: one for each worker.
    read: opens one data file.
    destination: shared by the inserters; it makes a connection for each of them.
    token: the deduplication token of the chunk of the given lines (1-based, inclusive) of a file.
    quarantine: where rejects are written, or None to write none.
    keys: hashes the keys of rows for the ledger, or None for no digests.
    recorder: writes finished files to the ledger, or None.
    retry_seconds: for how long an insert is tried again; 0 for never.
    stop_after_rejects: see `SnapshotRequest`.
    """

    table: Table
    files: Sequence[DataFile]
    decoders: Sequence[Decoder]
    budget: Budget
    limits: ChunkLimits
    read: Callable[[DataFile], Reader]
    destination: Destination
    token: Callable[[str, int, int], str]
    quarantine: Rejects | None
    stop: StopSwitch
    keys: KeyHasher | None = None
    recorder: Recorder | None = None
    retry_seconds: float = 0.0
    stop_after_rejects: int | None = None


@dataclass(frozen=True, slots=True)
class CutChunk:
    """A chunk on its way to an inserter. Lines are 1-based and inclusive; `held` bytes of the allowance are its own.
    keys: digest of the keys of its rows."""

    file: str
    chunk: Chunk
    first_line: int
    last_line: int
    held: int
    keys: KeyDigest


class EndOfStream:
    """The last thing an inserter takes from its queue."""


@dataclass(slots=True)
class Decoded:
    """What was decoded from `file` since the last such report. `examples` are the first few of its rejects."""

    file: str
    items: int = 0
    json_bytes: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    examples: list[RejectedItem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KeyTags:
    """New type tags were seen in the key columns of `file`."""

    file: str
    tags: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class Inserted:
    """An insert was acknowledged."""

    file: str
    first_line: int
    last_line: int
    rows: int
    arrow_bytes: int
    seconds: float
    keys: KeyDigest


@dataclass(frozen=True, slots=True)
class FileRead:
    """`file` was read to its end, count and checksum agree, and `chunks` chunks of it went to the inserters.

    begun: when it was opened, by `time.perf_counter`.
    """

    file: str
    chunks: int
    gz_bytes: int
    md5: str
    begun: float


@dataclass(frozen=True, slots=True)
class Retried:
    """A call to the destination failed the `number`-th time and is tried again after `wait` seconds.

    file: whose rows it is about, or empty. message: what happened.
    """

    file: str
    number: int
    wait: float
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """`error` happened; in `file`, or nowhere in particular when that is empty.

    maybe_inserted: rows of the file may be in the table although no insert of them was acknowledged.
    """

    file: str
    error: BaseException
    maybe_inserted: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A thread is about to leave. `worker` or an inserter; `seconds` it spent in each stage."""

    worker: bool
    seconds: dict[str, float] = field(default_factory=dict)


Report = Decoded | KeyTags | Inserted | FileRead | Retried | Failed | Ended
