"""How memory is shared out, and how threads wait for it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import UsageError
from transformer.job.budget import (
    INSERT_FACTOR,
    LARGEST_BLOCK,
    LEAST_MEMORY,
    MEMORY_PER_WORKER,
    MIB,
    SMALLEST_BLOCK,
    Aborted,
    Allowance,
    Budget,
    ChunkSizes,
    format_size,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 << 20),
        ("512mib", 512 << 20),
        ("2GiB", 2 << 30),
        ("2G", 2 << 30),
        ("1.5 GiB", 3 << 29),
        ("300MB", 300_000_000),
        ("1gb", 10**9),
        ("64k", 64 << 10),
        ("123", 123),
        (" 7 B ", 7),
    ],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1MiB", "1 MiB/s", "1e9", "12 parsecs", "0x10", "1,5G", "١MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (512 << 20, "512 MiB"),
        (3 << 29, "1.5 GiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_sizes_are_shown_in_binary_units(size: int, text: str) -> None:
    assert format_size(size) == text


@given(
    memory=st.integers(LEAST_MEMORY, 1 << 36), workers=st.integers(1, 256), held=st.sampled_from([0, 4 << 20, 12 << 20])
)
def test_the_shares_never_exceed_the_budget(memory: int, workers: int, held: int) -> None:
    budget = Budget.plan(memory, workers=workers, input_bytes=held)
    blocks = 2 * budget.workers * budget.block_bytes
    assert blocks + budget.workers * held + budget.holding + budget.inserting <= memory
    assert blocks <= memory // 4
    assert SMALLEST_BLOCK <= budget.block_bytes <= LARGEST_BLOCK
    assert 1 <= budget.workers <= workers
    assert budget.inserters >= 1
    assert budget.chunks == budget.workers + budget.inserters
    assert budget.largest_chunk > 0


@pytest.mark.parametrize("workers", [1, 2, 4, 8, 64])
def test_the_default_holds_a_full_chunk_for_every_worker(workers: int) -> None:
    budget = Budget.plan(workers * MEMORY_PER_WORKER, workers=workers)
    assert budget.workers == workers
    assert budget.block_bytes == LARGEST_BLOCK
    assert budget.holding >= workers * 64 * MIB
    assert budget.inserting >= workers // 2 * INSERT_FACTOR * 64 * MIB


def test_too_little_memory_is_a_usage_error_that_names_the_least() -> None:
    with pytest.raises(UsageError, match=r"too little") as caught:
        Budget.plan(LEAST_MEMORY - 1, workers=1)
    assert caught.value.remedy == "Give at least --memory 64MiB."
    parse_size(caught.value.remedy.split()[-1].rstrip("."))


def test_a_thread_waits_until_its_bytes_are_free() -> None:
    allowance = Allowance(100, holders=9)
    allowance.acquire(60)
    entered = threading.Event()

    def second() -> None:
        allowance.acquire(60)
        entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.is_set()
    allowance.release(60)
    thread.join(timeout=240)
    assert entered.is_set()


def test_whoever_is_alone_is_let_in_whatever_it_asks_for() -> None:
    allowance = Allowance(100, holders=9)
    allowance.acquire(10_000)
    allowance.exchange(10_000, 50)
    allowance.acquire(50)


def test_no_more_than_so_many_hold_bytes_however_few() -> None:
    allowance = Allowance(100, holders=2)
    allowance.acquire(1)
    allowance.exchange(1, 2)  # the same holder
    allowance.acquire(1)
    entered = threading.Event()

    def third() -> None:
        allowance.acquire(1)
        entered.set()

    thread = threading.Thread(target=third)
    thread.start()
    assert not entered.is_set()
    allowance.release(2)
    thread.join(timeout=240)
    assert entered.is_set()


def test_an_abort_wakes_those_who_wait_and_lets_none_in() -> None:
    allowance = Allowance(1, holders=9)
    allowance.acquire(1)
    outcome: list[str] = []

    def waiting() -> None:
        try:
            allowance.acquire(1)
        except Aborted:
            outcome.append("aborted")

    thread = threading.Thread(target=waiting)
    thread.start()
    allowance.abort()
    thread.join(timeout=240)
    assert outcome == ["aborted"]
    with pytest.raises(Aborted):
        allowance.acquire(0)


def test_the_next_chunk_is_expected_to_be_as_large_as_the_largest_so_far() -> None:
    sizes = ChunkSizes()
    assert sizes.expected == 64 * MIB
    assert sizes.largest == 0
    sizes.saw(10)
    sizes.saw(5)
    assert sizes.expected == sizes.largest == 10


def test_an_allowance_can_be_narrowed_but_never_closed() -> None:
    allowance = Allowance(100, holders=3)
    allowance.acquire(1)
    allowance.acquire(1)
    allowance.narrow()  # two hold something, so one at a time from now on
    allowance.release(1)
    waiting = threading.Thread(target=allowance.acquire, args=(1,))
    waiting.start()
    waiting.join(timeout=0.05)
    assert waiting.is_alive()
    allowance.release(1)
    waiting.join(timeout=30)
    assert not waiting.is_alive()
    allowance.narrow()
    allowance.release(1)
    allowance.acquire(1)  # one at a time is always let in
