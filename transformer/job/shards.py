"""One export for several machines: which files are whose, without anybody being asked."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from transformer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformer.source.export import DataFile

_FORM = "Write --shard I/N, as in --shard 1/4 for the first of four parts."


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` (from 1) of `count`. Raises UsageError when there is no such part."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise UsageError(f"there is no part {self.number} of {self.count}", remedy=_FORM)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The part that `I/N` names. Raises UsageError."""
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if match is None:
            raise UsageError(f"{text!r} is no part", remedy=_FORM)
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self | None:
        """The part of this child of an AWS Batch array job, or None outside of one.

        AWS_BATCH_JOB_ARRAY_INDEX counts from 0 (https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html).
        Raises UsageError when one of the two variables is there without the other, or is no number.
        """
        index, size = environ.get("AWS_BATCH_JOB_ARRAY_INDEX"), environ.get("AWS_BATCH_JOB_ARRAY_SIZE")
        if index is None and size is None:
            return None
        if index is None or size is None or not (index.isdecimal() and size.isdecimal()):
            raise UsageError(
                "AWS_BATCH_JOB_ARRAY_INDEX and AWS_BATCH_JOB_ARRAY_SIZE do not say together which part this is",
                remedy=f"Set both to numbers, or unset both. {_FORM}",
            )
        return cls(int(index) + 1, int(size))

    def of(self, files: Sequence[DataFile]) -> list[DataFile]:
        """The files of this part. Every file is in exactly one part; the parts are about equally large.

        The largest file goes first, each to the part that has least so far. Measured in items as the manifest says
        them, because every worker reads the same manifest, while a listing may show sizes to one and not to another;
        without a manifest in stored bytes.
        """
        return split(files, self.count)[self.number - 1]


def split(files: Sequence[DataFile], count: int) -> list[list[DataFile]]:
    """The files of each of `count` parts; see `Shard.of`."""
    loads = [(0, number) for number in range(count)]
    parts: list[list[DataFile]] = [[] for _ in range(count)]
    for file in sorted(files, key=lambda file: (-_weight(file), file.name)):
        load, number = heapq.heappop(loads)
        parts[number].append(file)
        # An empty file still has to be opened.
        heapq.heappush(loads, (load + _weight(file) + 1, number))
    return parts


def _weight(file: DataFile) -> int:
    return (file.size or 0) if file.item_count is None else file.item_count
