"""What one text, binary or number adds to the counters of its place."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.hashes import xxhash64
from transformer.decode.kernels.profile_layout import (
    HASHED,
    P_AFTER,
    P_BEFORE,
    P_DIGITS,
    P_HIGH,
    P_INTEGERS,
    P_LENGTH,
    P_LENGTH_MOST,
    P_LENGTH_SUM,
    P_LONG,
    P_LOW,
    P_OTHER,
    P_OTHER_WHOLE,
    P_TIMES,
    P_UUIDS,
    P_WHOLE,
)

MOST = np.int64(922337203685477580)
ONE = np.uint64(1)
LOW_SIX = np.uint64(63)
BIT_SHIFT = np.uint64(52)
WORD_SHIFT = np.uint64(6)


@kernel("boolean(uint8[::1], int64)")
def _is_uuid(buf, at):
    for i in range(36):
        byte = buf[at + i]
        if i == 8 or i == 13 or i == 18 or i == 23:
            if byte != 0x2D:
                return False
        elif not (0x30 <= byte <= 0x39 or 0x61 <= byte <= 0x66):
            return False
    return True


@kernel("boolean(uint8[::1], int64, int64)")
def _is_time(buf, at, length):
    """Whether the text looks like a moment with a zone: 2026-11-23T12:00:00, perhaps a fraction, Z or +01:00."""
    if length < 20 or buf[at + 4] != 0x2D or buf[at + 7] != 0x2D or buf[at + 10] != 0x54 or buf[at + 13] != 0x3A:
        return False
    last = buf[at + length - 1]
    return last == 0x5A or (buf[at + length - 3] == 0x3A and 0x30 <= last <= 0x39)


@kernel("boolean(uint8[::1], int64, int64)")
def _is_integer(buf, at, length):
    """Whether the text is an integer of at most 18 digits in plain notation."""
    if length > 1 and buf[at] == 0x2D:
        at += 1
        length -= 1
        if buf[at] == 0x30:
            return False
    if length == 0 or length > 18 or (length > 1 and buf[at] == 0x30):
        return False
    for i in range(length):
        if not 0x30 <= buf[at + i] <= 0x39:
            return False
    return True


@kernel("void(int64, int64, int64[:, ::1], int64)")
def count_length(at, end, places, place):
    length = end - at
    row = places[place]
    row[P_LENGTH] = min(row[P_LENGTH], length)
    row[P_LENGTH_MOST] = max(row[P_LENGTH_MOST], length)
    row[P_LENGTH_SUM] += length


@kernel("void(uint8[::1], int64, int64, int64[:, ::1], uint64[:, ::1], int64)")
def count_text(buf, at, end, places, bitmaps, place):
    """Count the content buf[at:end] of an S."""
    count_length(at, end, places, place)
    length = end - at
    row = places[place]
    if length > HASHED:
        row[P_LONG] += 1
        return
    bit = xxhash64(buf, at, end) >> BIT_SHIFT
    bitmaps[place, np.int64(bit >> WORD_SHIFT)] |= ONE << (bit & LOW_SIX)
    if length == 36 and _is_uuid(buf, at):
        row[P_UUIDS] += 1
    elif length >= 20 and _is_time(buf, at, length):
        row[P_TIMES] += 1
    elif length <= 19 and _is_integer(buf, at, length):
        row[P_INTEGERS] += 1


@kernel("void(uint8[::1], int64, int64, int64[:, ::1], int64)")
def count_number(buf, at, end, places, place):
    """Count the number buf[at:end], exactly."""
    row = places[place]
    begin = at
    negative = buf[at] == 0x2D
    if negative:
        at += 1
    if end - at <= 19:
        value = np.int64(0)
        i = at
        # The nineteenth digit is taken only where the number stays within Int64.
        while (
            i < end and 0x30 <= buf[i] <= 0x39 and (i < at + 18 or value < MOST or (value == MOST and buf[i] <= 0x37))
        ):
            value = value * 10 + (np.int64(buf[i]) - 48)
            i += 1
        if i == end:
            if negative:
                value = -value
            row[P_WHOLE] += 1
            if value < row[P_LOW]:
                row[P_LOW] = value
            if value > row[P_HIGH]:
                row[P_HIGH] = value
            return
    # first, last: positions of the first and last digit that is not 0; counted in digits, the point left out.
    exponent = np.int64(0)
    digits = np.int64(0)
    before = np.int64(-1)
    first = np.int64(-1)
    last = np.int64(-1)
    i = begin + (1 if negative else 0)
    while i < end:
        byte = np.int64(buf[i])
        if byte == 0x2E:
            before = digits
        elif byte == 0x65 or byte == 0x45:
            i += 1
            minus = buf[i] == 0x2D
            if minus or buf[i] == 0x2B:
                i += 1
            while i < end:
                exponent = exponent * 10 + (np.int64(buf[i]) - 48)
                i += 1
            if minus:
                exponent = -exponent
            break
        else:
            if byte != 0x30:
                if first < 0:
                    first = digits
                last = digits
            digits += 1
        i += 1
    if before < 0:
        before = digits
    row[P_OTHER] += 1
    if first < 0:  # zero
        row[P_OTHER_WHOLE] += 1
        return
    point = before + exponent
    if last < point:
        row[P_OTHER_WHOLE] += 1
    row[P_BEFORE] = max(row[P_BEFORE], point - first)
    row[P_AFTER] = max(row[P_AFTER], last + 1 - point)
    row[P_DIGITS] = max(row[P_DIGITS], last + 1 - first)
