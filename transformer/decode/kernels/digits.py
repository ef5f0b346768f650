"""Numbers of few digits, which is what numbers mostly are: eight digits at a time, nothing of the general case."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.numbers import POWERS, TEN, ZERO
from transformer.decode.kernels.primitives import add, equal64, load64, multiply, trailing_zeros
from transformer.decode.kernels.strings import FAULT

SHORT = 18  # digits that always fit into 64 bits

ZEROS = np.uint64(0x3030303030303030)
SIXES = np.uint64(0x0606060606060606)
NIBBLES = np.uint64(0xF0F0F0F0F0F0F0F0)
PAIRS = np.uint64(0x00FF00FF00FF00FF)
QUADS = np.uint64(0x0000FFFF0000FFFF)
ONE, MOST = np.uint64(1), np.uint64(99999999)
EIGHT, SIXTEEN, THIRTY_TWO = np.uint64(8), np.uint64(16), np.uint64(32)


@kernel("uint64(uint64, uint64)")
def _eight(text, shift):
    """The value of the digits in the low 64 - shift bits of `text`, first digit lowest; all ones if one is no digit."""
    digits = (text ^ ZEROS) << shift
    if ((digits | add(digits, SIXES)) & NIBBLES) != ZERO:
        return np.uint64(0xFFFFFFFFFFFFFFFF)
    digits = add(multiply(digits, TEN), digits >> EIGHT) & PAIRS
    digits = add(multiply(digits, np.uint64(100)), digits >> SIXTEEN) & QUADS
    return add(multiply(digits, np.uint64(10000)), digits >> THIRTY_TWO) & np.uint64(0xFFFFFFFF)


@kernel("int64(uint8[::1], int64, int64)")
def short_digits(buf, at, length):
    """The value of 1 to 16 digits without a superfluous leading zero, or -1. Reads 16 bytes from `at`.

    Eight digits at a time: the text is moved to the top of a word, so that what is missing counts as leading zeros.
    """
    if length > 1 and buf[at] == 0x30:
        return FAULT
    value = ZERO
    if length > 8:
        head = length - 8
        value = _eight(load64(buf, at), np.uint64(8 * (8 - head)))
        if value > MOST:
            return FAULT
        at += head
        length = np.int64(8)
    low = _eight(load64(buf, at), np.uint64(8 * (8 - length)))
    if low > MOST:
        return FAULT
    return np.int64(value * np.uint64(100000000) + low)


@kernel("int64(uint8[::1], int64, int64)", merged=True)
def short_parts(buf, at, size):
    """The number without a sign in buf[at:at+size] as 32 x its digits + how many of them are behind the point.

    -1 where it is something else, or has more than 16 digits, or more than eight on either side of its point.
    Two words at most are parsed, whatever the number of digits. Reads 64 bytes from `at`.
    """
    if size <= 0 or size > 17:
        return FAULT
    points = equal64(buf, at, np.uint8(0x2E)) & ((ONE << np.uint64(size)) - ONE)
    if points == ZERO:
        value = short_digits(buf, at, size) if size <= 16 else FAULT
        return value << 5 if value >= 0 else FAULT
    whole = trailing_zeros(points)
    fraction = size - whole - 1
    if whole < 1 or whole > 8 or fraction < 1 or fraction > 8 or (whole > 1 and buf[at] == 0x30):
        return FAULT
    high = _eight(load64(buf, at), np.uint64(8 * (8 - whole)))
    low = _eight(load64(buf, at + whole + 1), np.uint64(8 * (8 - fraction)))
    if high > MOST or low > MOST:
        return FAULT
    return np.int64((high * POWERS[fraction] + low) << np.uint64(5)) + fraction


@kernel("int64(uint8[::1], int64, int64, int64)", merged=True)
def short_scaled(buf, at, size, scale):
    """The number without a sign in buf[at:at+size] times 10^scale; -1 where `scaled` must see it.

    Takes digits with or without a fraction, which is what numbers mostly are; the rest (exponents, more digits, a
    product that is no integer or beyond 18 digits, what is no number) is left to `scaled`, and so is every verdict.
    Reads 64 bytes from `at`.
    """
    parts = short_parts(buf, at, size)
    power = scale - (parts & 31)
    if parts < 0 or power < 0 or size + power > SHORT:
        return FAULT
    return (parts >> 5) * np.int64(POWERS[power])
