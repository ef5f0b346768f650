"""Blocks: nothing of a file is lost, changed or invented, whatever it looks like; damage is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import InternalError, SourceError
from transformer.source.blocks import LEAST_SLACK, Block, BlockReader, BufferPool, check_item_count, open_blocks
from transformer.source.export import DataFile

EMPTY_MEMBER = bytes.fromhex("1f8b08000000000000ff03000000000000000000")

# Lines of any bytes but newlines, few kinds of bytes so that both long matches and literals occur; many newlines.
texts = st.lists(st.one_of(st.binary(max_size=40), st.just(b""), st.just(b'{"Item":{}}')), max_size=12).map(b"\n".join)
block_sizes = st.integers(1, 200)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., DataFile]:
    """Writes bytes to a new file and describes it. md5: True for the true one, None for none, or a text."""
    folder = tmp_path_factory.mktemp("files")
    numbers = itertools.count()

    def write(
        stored: bytes, suffix: str = ".json.gz", md5: str | bool | None = True, item_count: int | None = None
    ) -> DataFile:
        path = folder / f"{next(numbers) % 50}{suffix}"
        path.write_bytes(stored)
        if md5 is True:
            md5 = base64.b64encode(hashlib.md5(stored).digest()).decode()
        return DataFile(str(path), f"data/{path.name}", item_count, md5 or None, None)

    return write


def read(file: DataFile, block_bytes: int = 100, **options: object) -> bytes:
    """Read the whole file, checking on the way what must hold of every block."""
    slack = 80
    parts: list[bytes] = []
    with open_blocks(file, block_bytes=block_bytes, slack=slack, **options) as reader:
        for block in reader:
            assert block.buffer.dtype == np.uint8
            assert block.buffer.flags.c_contiguous
            assert block.buffer.flags.writeable
            assert block.size > 0
            assert len(block.buffer) >= block.size + slack
            assert not block.buffer[block.size : block.size + slack].any()
            assert block.file_offset == sum(map(len, parts))
            assert all(part.endswith(b"\n") for part in parts)
            parts.append(block.buffer[: block.size].tobytes())
            if block.size > block_bytes:
                assert b"\n" not in parts[-1][:block_bytes]
            block.buffer[:] = 255  # whoever gets it next must not see any of this
            reader.recycle(block)
            assert len(block.buffer) == block.size == 0
    stored = Path(file.url).read_bytes()
    assert reader.json_bytes == sum(map(len, parts))
    assert reader.gz_bytes == len(stored)
    assert reader.md5 == base64.b64encode(hashlib.md5(stored).digest()).decode()
    return b"".join(parts)


@given(text=texts, block_bytes=block_sizes, level=st.integers(0, 9))
def test_any_block_size_gives_the_same_bytes(store, text, block_bytes, level):
    assert read(store(gzip.compress(text, level)), block_bytes) == text
    if text[:2] != b"\x1f\x8b":
        assert read(store(text, suffix=".json"), block_bytes) == text


@given(text=texts, cuts=st.lists(st.integers(0, 400), max_size=4), padding=st.integers(0, 300), block_bytes=block_sizes)
def test_members_may_be_cut_anywhere(store, text, cuts, padding, block_bytes):
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    members = [gzip.compress(text[start:end]) for start, end in itertools.pairwise(edges)]
    assert read(store(b"".join(members) + bytes(padding)), block_bytes) == text


def test_each_line_that_fits_into_a_block_does_not_enlarge_it(store):
    text = b"".join(bytes([97 + index % 26]) * (index % 90) + b"\n" for index in range(500))
    with open_blocks(store(gzip.compress(text)), block_bytes=90, slack=64) as reader:
        assert {len(block.buffer) for block in reader} == {90 + 64}


def test_a_long_line_enlarges_only_its_own_block(store):
    text = b"short\n" + b"x" * 10_000 + b"\n" + b"y\n" * 40_000
    with open_blocks(store(gzip.compress(text)), block_bytes=100, slack=64) as reader:
        sizes = [block.size for block in reader]
    assert sizes[0] == len(b"short\n")
    assert sizes[1] >= 10_001
    assert max(sizes[2:]) == 100


def test_many_intakes_and_outputs(store):
    rng = np.random.default_rng(1)
    text = b"".join(rng.bytes(int(size)).replace(b"\n", b".") + b"\n" for size in rng.integers(0, 5000, 1500))
    text += b'{"Item":{"id":{"S":"same"}}}\n' * 100_000
    stored = gzip.compress(text[:2_000_000], 1) + EMPTY_MEMBER + gzip.compress(text[2_000_000:], 6)
    assert len(stored) > 3 * 256 * 1024
    assert read(store(stored), 700_001) == text


@pytest.mark.parametrize("md5", [True, None])
def test_an_empty_member_is_a_complete_file(store, md5):
    assert read(store(EMPTY_MEMBER, md5=md5, item_count=0)) == b""


class TestDamage:
    text = b'{"Item":{"id":{"S":"1"}}}\n{"Item":{"id":{"S":"two"},"n":{"N":"17"}}}\n{"Item":{}}\n'
    stored = gzip.compress(text, mtime=0)

    @pytest.mark.parametrize("members", [1, 2])
    def test_truncation_at_every_byte_is_refused(self, store, members):
        for length in range(len(self.stored)):
            cut = self.stored * (members - 1) + self.stored[:length]
            if members > 1 and not length:
                continue  # a whole member: only the manifest can tell
            with pytest.raises(SourceError, match=r"truncated|no gzip file|is empty|something else"):
                read(store(cut, md5=None))

    def test_truncation_of_a_large_file_is_refused(self, store):
        rng = np.random.default_rng(2)
        stored = gzip.compress(b"".join(rng.bytes(700).hex().encode() + b"\n" for _ in range(1500)))
        for length in (256 * 1024, 256 * 1024 + 1, len(stored) - 9, len(stored) - 8, len(stored) - 1):
            with pytest.raises(SourceError, match="truncated"):
                read(store(stored[:length], md5=None), 50_000)

    def test_every_bit_flip_is_refused_or_harmless(self, store):
        # Flags, time, extra flags and operating system of the header; the bits between deflate data and trailer.
        may_differ = {3, 4, 5, 6, 7, 8, 9, len(self.stored) - 9}
        for bit in range(8 * len(self.stored)):
            damaged = bytearray(self.stored)
            damaged[bit // 8] ^= 1 << bit % 8
            true_md5 = base64.b64encode(hashlib.md5(self.stored).digest()).decode()
            with pytest.raises(SourceError):
                read(store(bytes(damaged), md5=true_md5))
            try:
                assert read(store(bytes(damaged), md5=None)) == self.text
                assert bit // 8 in may_differ
            except SourceError:
                pass

    @given(junk=st.binary(min_size=1, max_size=20).filter(lambda junk: junk.strip(b"\0")))
    def test_something_after_the_gzip_data_is_refused(self, store, junk):
        with pytest.raises(SourceError):
            read(store(self.stored + junk, md5=None))

    def test_md5_mismatch(self, store):
        other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
        with pytest.raises(SourceError, match=r"MD5 of its .* the manifest says") as caught:
            read(store(self.stored, md5=other))
        assert caught.value.exit_code == 3

    def test_md5_mismatch_is_told_before_the_last_block_of_a_file(self, store):
        other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
        with open_blocks(store(self.stored, md5=other), block_bytes=1 << 16, slack=64) as reader:
            with pytest.raises(SourceError, match="MD5"):
                next(reader)
            with pytest.raises(InternalError):
                next(reader)
            with pytest.raises(InternalError):
                _ = reader.md5

    def test_corrupt_deflate_data_under_a_right_header(self, store):
        with pytest.raises(SourceError, match="damaged: corrupt gzip data"):
            read(store(self.stored[:10] + b"\xff" * 40, md5=None))

    def test_a_name_that_lies(self, store):
        with pytest.raises(SourceError, match="no gzip file although"):
            read(store(self.text, md5=None))
        with pytest.raises(SourceError, match="is gzip-compressed"):
            read(store(self.stored, suffix=".json", md5=None))
        raw = zlib.compress(self.text)
        with pytest.raises(SourceError, match="no gzip file although"):
            read(store(raw, md5=None))

    @pytest.mark.parametrize("item_count", [None, 1])
    @pytest.mark.parametrize("md5", [True, None])
    def test_a_file_of_zero_bytes_is_refused(self, store, item_count, md5):
        with pytest.raises(SourceError, match="is empty"):
            read(store(b"", item_count=item_count, md5=md5))

    def test_a_file_of_zero_bytes_that_should_hold_nothing(self, store):
        assert read(store(b"", item_count=0)) == b""
        with pytest.raises(SourceError, match="MD5"):
            read(store(b"", item_count=0, md5="FjvgqIxwymKf1RbbqtrZag=="))  # that of the empty member
        assert read(store(b"", suffix=".json")) == b""

    def test_only_zeros_are_no_gzip_file(self, store):
        with pytest.raises(SourceError, match="no gzip file"):
            read(store(bytes(100), md5=None))

    def test_missing_file(self, tmp_path):
        with pytest.raises(SourceError, match="not found"):
            open_blocks(DataFile(str(tmp_path / "x.json.gz"), "x.json.gz", 1, None, None), block_bytes=10, slack=64)

    @pytest.mark.parametrize("scheme", ["", "memory://"])
    def test_a_folder_in_place_of_the_file(self, tmp_path, scheme):
        import fsspec

        folder = scheme + str(tmp_path / "x.json.gz")
        fsspec.url_to_fs(folder)[0].makedirs(folder, exist_ok=True)
        with pytest.raises(SourceError, match="a folder where a file should be"):
            open_blocks(DataFile(folder, "x.json.gz", 1, None, None), block_bytes=10, slack=64)

    def test_a_bare_file_that_changes_while_it_is_read(self, tmp_path):
        path = tmp_path / "x.json"
        path.write_bytes(b"line\n" * 100_000)
        with open_blocks(DataFile(str(path), "x.json", None, None, None), block_bytes=1000, slack=64) as reader:
            next(reader)
            os.utime(path, ns=(1, 1))
            with pytest.raises(SourceError, match="changed while it was read"):
                list(reader)


class TestLimits:
    @pytest.mark.parametrize("block_bytes", [1, 7, 64, 1000])
    @pytest.mark.parametrize("end", [b"", b"\n", b"\nmore\n"])
    @pytest.mark.parametrize("start", [b"", b"before\n"])
    def test_the_longest_line_is_read_and_one_byte_more_is_refused(self, store, block_bytes, end, start):
        whole = start + b"x" * 1000 + end
        assert read(store(gzip.compress(whole)), block_bytes, max_line_bytes=1000) == whole
        with pytest.raises(SourceError, match=f"line at byte {len(start)} of .* longer than 1,000 bytes"):
            read(store(gzip.compress(start + b"x" * 1001 + end)), block_bytes, max_line_bytes=1000)

    def test_a_gzip_bomb_does_not_fill_the_memory(self, store):
        pump = zlib.compressobj(9, wbits=31)
        bomb = b"".join([pump.compress(b"x" * (1 << 20)) for _ in range(200)]) + pump.flush()
        file = store(bomb)
        with open_blocks(file, block_bytes=1 << 16, slack=64, max_line_bytes=2 << 20) as reader:
            tracemalloc.start()
            try:
                with pytest.raises(SourceError, match="longer than"):
                    next(reader)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert peak < 8 << 20

    def test_memory_does_not_grow_with_the_file(self, store):
        rng = np.random.default_rng(3)
        stored = gzip.compress(
            b"".join(b'{"Item":{"id":{"B":"%d"}}}\n' % rng.integers(1 << 62) for _ in range(60_000)), 1
        )
        peaks = []
        for times in (2, 20):
            with open_blocks(store(stored * times), block_bytes=1 << 18, slack=64) as reader:
                tracemalloc.start()
                try:
                    for block in reader:
                        reader.recycle(block)
                    peaks.append(tracemalloc.get_traced_memory()[1])
                finally:
                    tracemalloc.stop()
        assert peaks[1] < 1.1 * peaks[0]


class TestUse:
    def one(self, store) -> BlockReader:
        return open_blocks(store(gzip.compress(b"a\n" * 1000)), block_bytes=100, slack=0)

    def test_the_least_slack_is_always_there(self, store):
        with self.one(store) as reader:
            block = next(reader)
            assert len(block.buffer) == 100 + LEAST_SLACK
            assert not block.buffer[block.size : block.size + LEAST_SLACK].any()

    def test_figures_only_at_the_end(self, store):
        with self.one(store) as reader:
            next(reader)
            for figure in ("md5", "gz_bytes", "json_bytes"):
                with pytest.raises(InternalError):
                    getattr(reader, figure)

    def test_a_closed_reader_does_not_look_exhausted(self, store):
        with self.one(store) as reader:
            next(reader)
        with pytest.raises(InternalError):
            next(reader)

    def test_an_exhausted_reader_stays_exhausted(self, store):
        with self.one(store) as reader:
            assert len(list(reader)) == 20
            assert list(reader) == []
        assert list(reader) == []

    def test_blocks_outlive_the_reader(self, store):
        with self.one(store) as reader:
            blocks = list(reader)
        assert b"".join(block.buffer[: block.size].tobytes() for block in blocks) == b"a\n" * 1000

    def test_recycled_buffers_are_used_again(self, store):
        with self.one(store) as reader:
            first = next(reader)
            buffer = first.buffer
            reader.recycle(first)
            reader.recycle(first)  # a second time is harmless: the block has no buffer any more
            assert next(reader).buffer is buffer
            assert next(reader).buffer is not buffer

    def test_a_pool_serves_several_readers(self, store):
        pool = BufferPool(100 + 64, keep=1)
        seen = set()
        for _ in range(3):
            file = store(gzip.compress(b"a\n" * 100))
            with open_blocks(file, block_bytes=100, slack=64, pool=pool) as reader:
                for block in reader:
                    seen.add(id(block.buffer))
                    reader.recycle(block)
        assert len(seen) == 1

    def test_a_pool_drops_what_does_not_fit(self):
        pool = BufferPool(10, keep=1)
        pool.give(np.zeros(11, dtype=np.uint8))
        assert len(pool.take()) == 10

    def test_sizes_that_make_no_sense(self, store):
        file = store(gzip.compress(b"a\n"))
        for options in ({"block_bytes": 0}, {"block_bytes": 11}, {"block_bytes": 10, "pool": BufferPool(10)}):
            with pytest.raises(InternalError):
                open_blocks(file, slack=64, max_line_bytes=10, **options)

    def test_item_count(self, store):
        file = store(b"", item_count=3)
        check_item_count(file, 3)
        check_item_count(store(b""), 7)
        with pytest.raises(SourceError, match="manifest says 3 items, the file holds 2"):
            check_item_count(file, 2)

    def test_a_block_is_what_it_says(self):
        block = Block(np.zeros(70, dtype=np.uint8), 6, 12)
        assert (block.size, block.file_offset) == (6, 12)
