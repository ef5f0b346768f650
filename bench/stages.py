"""How fast is each stage on one core: inflate alone, the decoder alone, and both together from file to Arrow?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from isal import isal_zlib

from bench import checks
from bench.forms import forms
from bench.inputs import Input
from transformer.decode.decoder import SLACK, Decoder
from transformer.job.budget import MEMORY_PER_WORKER, Budget
from transformer.load.chunks import Chunk, ChunkLimits
from transformer.schema.table import Table
from transformer.source.blocks import Block, BufferPool, check_item_count, open_blocks
from transformer.source.export import find_export

BLOCK_BYTES = Budget.plan(MEMORY_PER_WORKER, workers=1).block_bytes
"""What a run with its default memory reads at a time."""

_IN, _OUT = 256 << 10, 1 << 20  # bytes, as the source reads them
_GZIP = 31


class Chunker:
    """A decoder and the chunk in hand, as a worker of a run has them.

    table: the destination. limits: of a chunk, by default those of a run.
    """

    def __init__(self, table: Table, decoder: Decoder | None = None, limits: ChunkLimits | None = None) -> None:
        self._decoder = decoder or Decoder(table, version=0)
        self._limits = limits or ChunkLimits.for_table(table)
        self._chunk = Chunk(self._limits)
        self.rows = 0

    def block(self, block: Block) -> Iterator[Chunk]:
        """Decode a block; the chunks that it filled."""
        at = 0
        while at < block.size:
            chunk = self._chunk
            step = self._decoder.step(
                block.buffer, at, block.size, max_items=chunk.items_left, max_bytes=chunk.bytes_left
            )
            if step.rejects:
                raise ValueError(f"an item was rejected: {step.rejects[0].verdict}")
            at += step.size
            self.rows += step.batch.num_rows
            chunk.add(step)
            if chunk.full:
                self._chunk = Chunk(self._limits)
                yield chunk

    def end(self) -> Chunk:
        """The last chunk of a file."""
        last, self._chunk = self._chunk, Chunk(self._limits)
        return last


def chunks(source: Input) -> Iterator[Chunk]:
    """The chunks that a run makes of this input."""
    chunker = Chunker(source.table)
    for file in find_export(source.folder).files:
        with open_blocks(file, block_bytes=BLOCK_BYTES, slack=SLACK) as reader:
            for block in reader:
                yield from chunker.block(block)
        if (last := chunker.end()).rows:
            yield last


class Stages:
    """The stages of one input in one thread, with what a run uses by default."""

    def __init__(self) -> None:
        self._pool = BufferPool(BLOCK_BYTES + SLACK)

    def load(self, source: dict[str, Any]) -> None:
        """Take this input in hand: its JSON in memory as blocks, its gzip files in the page cache."""
        self._input = Input(**source)
        self._table = self._input.table
        self._forms = forms(self._table, self._input.sample())
        self._export = find_export(self._input.folder)
        self._decoder = Decoder(self._table, version=0)
        self._blocks: list[Block] = []
        for file in self._export.files:
            with open_blocks(file, block_bytes=BLOCK_BYTES, slack=SLACK) as reader:
                self._blocks.extend(reader)

    def checksums(self) -> checks.Checksums:
        """Of all rows."""
        return self._checksums(self._blocks)

    def sample_checksums(self, lines: int) -> checks.Checksums:
        """Of the first `lines` rows."""
        text = b"".join(self._input.lines(lines))
        data = np.zeros(len(text) + SLACK, np.uint8)
        data[: len(text)] = np.frombuffer(text, np.uint8)
        return self._checksums([Block(data, len(text), 0)])

    def _checksums(self, blocks: list[Block]) -> checks.Checksums:
        chunker = Chunker(self._table, self._decoder)
        found = [chunk for block in blocks for chunk in chunker.block(block)]
        return checks.of_batches(self._forms, [batch for chunk in [*found, chunker.end()] for batch in chunk.batches])

    def inflate(self) -> int:
        """Inflate every file in pieces and forget them; returns the bytes of JSON."""
        total = 0
        for path in self._input.paths:
            member = isal_zlib.decompressobj(_GZIP)
            with path.open("rb") as file:
                rest: bytes = file.read(_IN)
                while rest:
                    total += len(member.decompress(rest, _OUT))
                    rest = member.unconsumed_tail or file.read(_IN)
            if not member.eof:
                raise ValueError(f"{path} did not end")
        return total

    def md5(self) -> int:
        """Digest every file, as reading it does beside inflating; returns the bytes of gzip."""
        total = 0
        for path in self._input.paths:
            digest = hashlib.md5(usedforsecurity=False)
            with path.open("rb") as file:
                while data := file.read(_IN):
                    digest.update(data)
                    total += len(data)
        return total

    def kernel(self) -> int:
        """Decode the blocks that are in memory; returns the rows."""
        chunker = Chunker(self._table, self._decoder)
        for block in self._blocks:
            for _ in chunker.block(block):
                pass  # a full chunk is let go
        return chunker.rows

    def arrow(self) -> int:
        """Files to record batches, every check on; returns the rows."""
        chunker = Chunker(self._table, self._decoder)
        for file in self._export.files:
            before = chunker.rows
            with open_blocks(file, block_bytes=BLOCK_BYTES, slack=SLACK, pool=self._pool) as reader:
                for block in reader:
                    for _ in chunker.block(block):
                        pass
                    reader.recycle(block)
            check_item_count(file, chunker.rows - before)
            chunker.end()
        return chunker.rows


def as_arguments(source: Input) -> dict[str, Any]:
    """An input as a worker's call takes it."""
    return asdict(source)
