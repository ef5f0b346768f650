"""Chunks end where the bytes say, whatever the steps were; tokens differ when rows may."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import InternalError
from transformer.load import chunks
from transformer.load.chunks import MAX_BYTES, MAX_ROWS, Chunk, ChunkLimits, token
from transformer.schema.table import Column, Table, UnmappedPolicy
from transformer.schema.types import parse


@dataclass
class Step:
    """What a decoder would return for some lines of which some are rejected."""

    size: int
    items: int
    batch: pa.RecordBatch


def decode(lines: list[tuple[int, bool]], begin: int, max_items: int, max_bytes: int, longest: int) -> tuple[Step, int]:
    """A step over `lines` (bytes, accepted) from `begin`, by the rules of the decoder, of at most `longest` lines."""
    size = rows = 0
    end = begin
    while end < len(lines) and end - begin < min(max_items, longest) and size < max_bytes:
        size += lines[end][0]
        rows += lines[end][1]
        end += 1
    return Step(size, end - begin, pa.record_batch({"a": pa.nulls(rows)})), end


def cuts(lines: list[tuple[int, bool]], limits: ChunkLimits, longest: list[int]) -> list[int]:
    """Where chunks end, with steps of at most the lengths in `longest`, again and again."""
    found, begin, turn = [], 0, 0
    chunk = Chunk(limits)
    while begin < len(lines):
        step, begin = decode(lines, begin, chunk.items_left, chunk.bytes_left, longest[turn % len(longest)])
        turn += 1
        chunk.add(step)
        if chunk.full:
            found.append(begin)
            chunk = Chunk(limits)
    return found


@given(
    lines=st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=200),
    items=st.integers(1, 40),
    size=st.integers(1, 400),
    longest=st.lists(st.integers(1, 30), min_size=1, max_size=5),
)
def test_only_lines_move_a_cut(lines: list[tuple[int, bool]], items: int, size: int, longest: list[int]) -> None:
    limits = ChunkLimits(items=items, bytes=size)
    found = cuts(lines, limits, longest)
    assert found == cuts(lines, limits, [1])
    for begin, end in pairwise([0, *found]):
        within = [length for length, _ in lines[begin:end]]
        assert len(within) == items or sum(within) >= size
        assert len(within) <= items
        assert sum(within[:-1]) < size


def test_a_chunk_counts_rows_and_leaves_out_empty_batches() -> None:
    chunk = Chunk(ChunkLimits(items=4, bytes=100))
    chunk.add(Step(10, 2, pa.record_batch({"a": pa.nulls(0)})))
    chunk.add(Step(20, 1, pa.record_batch({"a": pa.nulls(1)})))
    assert (chunk.items, chunk.size, chunk.rows, len(chunk.batches)) == (3, 30, 1, 1)
    assert (chunk.items_left, chunk.bytes_left, chunk.full) == (1, 70, False)
    with pytest.raises(InternalError):
        chunk.add(Step(10, 2, pa.record_batch({"a": pa.nulls(2)})))
    chunk.add(Step(200, 1, pa.record_batch({"a": pa.nulls(1)})))
    assert (chunk.items_left, chunk.bytes_left, chunk.full) == (0, 0, True)
    with pytest.raises(InternalError):
        chunk.add(Step(0, 0, pa.record_batch({"a": pa.nulls(0)})))


def test_wide_tables_get_smaller_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Column("id", ("id",), parse("String"))
    narrow = ChunkLimits.for_table(Table("t", ("id",), (key,)))
    assert (narrow.items, narrow.bytes) == (MAX_ROWS, MAX_BYTES) == (250_000, 67_108_864)
    more = tuple(Column(f"c{n}", ("c",), parse("Nullable(Int256)")) for n in range(100))
    # 9 for the key, 33 for each column, 8 + 1 for version and is_deleted, 8 for the map of unmapped attributes.
    assert ChunkLimits.for_table(Table("t", ("id",), (key, *more))).items == 67_108_864 // 3326
    ignored = Table("t", ("id",), (key, *more), unmapped_policy=UnmappedPolicy.IGNORE, raw_column="_raw")
    assert ChunkLimits.for_table(ignored).items == 67_108_864 // 3327
    monkeypatch.setattr(chunks, "MAX_BYTES", 3000)
    assert ChunkLimits.for_table(ignored).items == 1


def test_tokens_are_stable_and_tell_chunks_apart() -> None:
    base = ("job", "data/a.json.gz", 1, 250_000, "0123", 3)
    # Written down: another text would insert what an interrupted load had inserted already.
    assert token(*base) == "d3f2b46d277649d4bb4663342edb55d1"
    others = {
        token("job2", *base[1:]),
        token("job", "data/b.json.gz", *base[2:]),
        token(*base[:2], 2, *base[3:]),
        token(*base[:3], 250_001, *base[4:]),
        token(*base[:4], "4567", 3),
        token(*base[:5], 4),
        token("job", "data/a.json.gz1", 1, 250_000, "0123", 3),
        token("jobdata", "/a.json.gz", 1, 250_000, "0123", 3),
        token("job", "data/a.json.gz", 12, 50_000, "0123", 3),
    }
    assert len(others | {token(*base)}) == 10
    assert token("ü/\n", "x", 1, 2, "f", "r").isalnum()
