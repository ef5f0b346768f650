"""XXH64 with seed 0, as ClickHouse's `xxHash64` computes it (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md).

A library for Python hashes one object at a time, and making 250,000 objects of a chunk costs more than hashing them:
75 ms against 4.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.primitives import add, load64, multiply, subtract

PRIME_1 = np.uint64(0x9E3779B185EBCA87)
PRIME_2 = np.uint64(0xC2B2AE3D27D4EB4F)
PRIME_3 = np.uint64(0x165667B19E3779F9)
PRIME_4 = np.uint64(0x85EBCA77C2B2AE63)
PRIME_5 = np.uint64(0x27D4EB2F165667C5)
ZERO = np.uint64(0)
WORD = np.uint64(64)


@kernel("uint64(uint64, uint64)", merged=True)
def _rotate(word, by):
    """`word` rotated left by 0 < by < 64 bits."""
    return (word << by) | (word >> subtract(WORD, by))


@kernel("uint64(uint64, uint64)", merged=True)
def _round(lane, word):
    return multiply(_rotate(add(lane, multiply(word, PRIME_2)), np.uint64(31)), PRIME_1)


@kernel("uint64(uint64, uint64)", merged=True)
def _merge(state, lane):
    return add(multiply(state ^ _round(ZERO, lane), PRIME_1), PRIME_4)


@kernel("uint64(uint8[::1], int64, int64)")
def xxhash64(buf, at, end):
    """The hash of buf[at:end]; nothing outside is read."""
    size = end - at
    if size >= 32:
        one, two, three, four = add(PRIME_1, PRIME_2), PRIME_2, ZERO, subtract(ZERO, PRIME_1)
        while end - at >= 32:
            one = _round(one, load64(buf, at))
            two = _round(two, load64(buf, at + 8))
            three = _round(three, load64(buf, at + 16))
            four = _round(four, load64(buf, at + 24))
            at += 32
        state = add(
            add(_rotate(one, np.uint64(1)), _rotate(two, np.uint64(7))),
            add(_rotate(three, np.uint64(12)), _rotate(four, np.uint64(18))),
        )
        state = _merge(_merge(_merge(_merge(state, one), two), three), four)
    else:
        state = PRIME_5
    state = add(state, np.uint64(size))
    while end - at >= 8:
        state = add(multiply(_rotate(state ^ _round(ZERO, load64(buf, at)), np.uint64(27)), PRIME_1), PRIME_4)
        at += 8
    if end - at >= 4:
        word = ZERO
        for i in range(4):
            word |= np.uint64(buf[at + i]) << np.uint64(8 * i)
        state = add(multiply(_rotate(state ^ multiply(word, PRIME_1), np.uint64(23)), PRIME_2), PRIME_3)
        at += 4
    while at < end:
        state = multiply(_rotate(state ^ multiply(np.uint64(buf[at]), PRIME_5), np.uint64(11)), PRIME_1)
        at += 1
    state = multiply(state ^ (state >> np.uint64(33)), PRIME_2)
    state = multiply(state ^ (state >> np.uint64(29)), PRIME_3)
    return state ^ (state >> np.uint64(32))


@kernel("void(uint8[::1], int32[::1], uint64[::1])")
def hash_texts(data, offsets, hashes):
    """hashes[i] becomes the hash of data[offsets[i]:offsets[i + 1]], for every i in `hashes`."""
    for i in range(len(hashes)):
        hashes[i] = xxhash64(data, np.int64(offsets[i]), np.int64(offsets[i + 1]))


@kernel("void(uint8[::1], int64, int64, uint64[::1])")
def hash_fixed(data, stride, width, hashes):
    """hashes[i] becomes the hash of the first `width` bytes from data[i * stride], for every i in `hashes`."""
    for i in range(len(hashes)):
        hashes[i] = xxhash64(data, i * stride, i * stride + width)
