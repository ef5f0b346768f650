"""Stage 2: a column of spans becomes the buffers of an Arrow array. One kernel per kind of column.

Every kernel goes once over the spans `base` to `base + count` of the span tables that `walk` filled, and enters what
the column cannot hold into `faults`, int32 rows (record, reject code) with room for `count`; it returns how many.
Spans that are MISSING or NULL are written as zero or empty. None of them decides whether that is allowed:
`survey` does.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.digits import SHORT, short_parts, short_scaled
from transformer.decode.kernels.floats import EXACT, write_float
from transformer.decode.kernels.layout import NULL, S_ESCAPED, TRUE, N, S
from transformer.decode.kernels.numbers import (
    NEGATIVE,
    NOT_PLAIN,
    OUT_OF_RANGE,
    exceeds,
    is_plain,
    negate,
    scaled,
)
from transformer.decode.kernels.primitives import above64, equal64, ones, prefetch, store64, trailing_zeros
from transformer.decode.kernels.strings import FAULT, unescape

MISSING_FAULT, NULL_FAULT, WRONG_TAG = 50, 51, 52
F_RECORD, F_CODE, FAULT_WIDTH = 0, 1, 2
NULLS, TOTAL_LENGTH, LONGEST_ESCAPED, SURVEY_SIZE = 0, 1, 2, 3
ZERO, ONES = np.uint64(0), np.uint64(0xFFFFFFFFFFFFFFFF)
LARGEST = np.uint64(0x7FFFFFFFFFFFFFFF)
SHORTEST_INEXACT = 1 << (53 + 5)  # from here on, the digits of `short_parts` may have no exact double
AHEAD = 12
"""How many values ahead the text is fetched: the values of one column lie a line apart, which no hardware foresees."""
SPANS = "int32[::1], int32[::1], uint8[::1], int64, int64"


@kernel("int64(int32[::1], uint8[::1], int64, int64, int64, boolean, int64, uint8[::1], int32[:, ::1], int64[::1])")
def survey(length, tag, base, count, allowed, required, wrong, bitmap, faults, result):
    """Look at the tags of all spans once, for whatever is made of them: enter faults, fill the validity bitmap, add up.

    allowed: bit t is set when tag t may come. required: whether MISSING and NULL are faults too (then with their own
    codes). wrong: the reject code for the others.
    bitmap: uint8, at least (count + 7) // 8 long; a bit is set where the span is neither MISSING nor NULL, bits past
    `count` are zero. result: int64, becomes the number of nulls (NULLS), the bytes of all spans that are not null
    (TOTAL_LENGTH) and of the longest S_ESCAPED one (LONGEST_ESCAPED): how much scratch its text needs.
    """
    found = 0
    nulls = np.int64(0)
    total = np.int64(0)
    longest = np.int64(0)
    for byte in range((count + 7) >> 3):
        bits = 0
        first = 8 * byte
        for record in range(first, min(first + 8, count)):
            held = np.int64(tag[base + record])
            if held > NULL:
                bits |= 1 << (record - first)
                size = np.int64(length[base + record])
                total += size
                if held == S_ESCAPED:
                    longest = max(longest, size)
                if (allowed >> held) & 1 == 0:
                    faults[found, F_RECORD] = record
                    faults[found, F_CODE] = wrong
                    found += 1
            else:
                nulls += 1
                if required:
                    faults[found, F_RECORD] = record
                    faults[found, F_CODE] = NULL_FAULT if held == NULL else MISSING_FAULT
                    found += 1
        bitmap[byte] = bits
    result[NULLS] = nulls
    result[TOTAL_LENGTH] = total
    result[LONGEST_ESCAPED] = longest
    return np.int64(found)


@kernel("int64(uint8[::1], int64, int64, int64, boolean, uint8[::1], int64)")
def look_over(tag, base, count, allowed, required, bitmap, to):
    """As `survey`, 64 tags at a time, where nothing is wrong: returns the number of nulls, or -1 where it must look.

    It must where a tag is not allowed, where MISSING or NULL come although required, and where two different tags are
    among the same 64. Fills bitmap[to:] as `survey` does, rounded up to whole words. Reads 64 tags past the last.
    """
    nulls = np.int64(0)
    for first in range(0, count, 64):
        at = base + first
        inside = ONES if count - first >= 64 else (np.uint64(1) << np.uint64(count - first)) - np.uint64(1)
        present = above64(tag, at, np.uint8(NULL)) & inside
        store64(bitmap, to + (first >> 3), present)
        if present != inside:
            if required:
                return FAULT
            nulls += ones(inside ^ present)
        if present != ZERO:
            held = tag[at + trailing_zeros(present)]
            if (allowed >> np.int64(held)) & 1 == 0 or held == S_ESCAPED:
                return FAULT
            if (equal64(tag, at, held) & present) != present:
                return FAULT
    return nulls


@kernel("void(uint8[::1], int64, int64, uint8[::1])")
def write_bools(tag, base, count, bitmap):
    """Fill the bitmap of an Arrow boolean array (bit set: TRUE)."""
    for byte in range((count + 7) >> 3):
        bits = 0
        for bit in range(min(8, count - 8 * byte)):
            if tag[base + 8 * byte + bit] == TRUE:
                bits |= 1 << bit
        bitmap[byte] = bits


@kernel("int64(int32[::1], uint8[::1], int64, int64, int64, int32[::1])")
def write_offsets(extent, tag, base, count, allowed, offsets):
    """Fill the offsets of an Arrow list array from the numbers of elements; returns their sum.

    allowed: bit t is set when a span of tag t has elements. offsets: int32, count + 1 long.
    """
    total = np.int64(0)
    for record in range(count):
        offsets[record] = total
        if (allowed >> np.int64(tag[base + record])) & 1 != 0:
            total += extent[base + record]
    offsets[count] = total
    return total


@kernel(
    f"int64(uint8[::1], {SPANS}, int64, uint64[:, ::1], int64, uint8[::1], int64[::1], uint64[::1], uint8[::1], "
    "int32[:, ::1])"
)
def write_scaled(buf, start, length, tag, base, count, scale, limits, width, out, parts, limbs, text, faults):
    """Write numbers times 10^scale as little-endian two's complement integers of `width` bytes.

    Serves every IntN, UIntN, Decimal and epoch. limits: uint64 (2, 4), the highest magnitude of positive and of
    negative values, lowest limb first. out: uint8, width * count + 32 long. parts, limbs: scratch of `numbers`.
    text: uint8, scratch longer than any escaped string among the spans.
    S is taken when its text is a number in plain notation; other tags than N and S are written as zero.
    """
    found = 0
    last = count - 1
    highest = limits[0, 0] if limits[0, 1] == ZERO else LARGEST
    lowest = limits[1, 0] if limits[1, 1] == ZERO else LARGEST
    for record in range(count):
        prefetch(buf, np.int64(start[base + min(record + AHEAD, last)]))
        held = np.int64(tag[base + record])
        to = record * width
        at = np.int64(start[base + record])
        size = np.int64(length[base + record])
        if held == N and size <= SHORT:
            negative = buf[at] == 0x2D
            value = short_scaled(buf, at + negative, size - negative, scale)
            if value >= 0 and np.uint64(value) <= (lowest if negative else highest):
                above = ZERO
                if negative and value > 0:
                    value = -value
                    above = ONES
                store64(out, to, np.uint64(value))
                for i in range(8, width, 8):
                    store64(out, to + i, above)
                continue
        for i in range(0, width, 8):
            store64(out, to + i, ZERO)
        if held != N and held != S and held != S_ESCAPED:
            continue
        code = np.int64(0)
        if held == S_ESCAPED:
            size = unescape(buf, at, at + size, text, np.int64(0))
            if is_plain(text, np.int64(0), size):
                code = scaled(text, np.int64(0), size, scale, parts, limbs)
            else:
                code = np.int64(NOT_PLAIN)
        elif held == S and not is_plain(buf, at, at + size):
            code = np.int64(NOT_PLAIN)
        else:
            code = scaled(buf, at, at + size, scale, parts, limbs)
        if code == 0 and exceeds(limbs, limits, parts[NEGATIVE]):
            code = np.int64(OUT_OF_RANGE)
        if code != 0:
            faults[found, F_RECORD] = record
            faults[found, F_CODE] = code
            found += 1
            continue
        if parts[NEGATIVE] != 0:
            negate(limbs)
        for i in range(0, width, 8):
            store64(out, to + i, limbs[i >> 3])
    return np.int64(found)


@kernel(f"int64(uint8[::1], {SPANS}, float64[::1], int64[::1], uint8[::1], int32[:, ::1])")
def write_floats(buf, start, length, tag, base, count, out, parts, text, faults):
    """Write the nearest doubles. A fault with the code UNDECIDED is none: the caller settles the value itself.

    S is taken when its text is a number in plain notation; other tags than N and S are written as zero.
    """
    found = 0
    last = count - 1
    for record in range(count):
        prefetch(buf, np.int64(start[base + min(record + AHEAD, last)]))
        held = np.int64(tag[base + record])
        out[record] = 0.0
        at = np.int64(start[base + record])
        size = np.int64(length[base + record])
        code = np.int64(0)
        if held == N:
            negative = buf[at] == 0x2D
            short = short_parts(buf, at + negative, size - negative)
            if 0 <= short < SHORTEST_INEXACT:
                # Both factors are exact, so one division gives the nearest double (Clinger's fast path).
                value = np.float64(short >> 5) / EXACT[short & 31]
                out[record] = -value if negative and short >= 32 else value
                continue
            code = write_float(buf, at, at + size, parts, out, record)
        elif held == S:
            code = np.int64(NOT_PLAIN)
            if is_plain(buf, at, at + size):
                code = write_float(buf, at, at + size, parts, out, record)
        elif held == S_ESCAPED:
            size = unescape(buf, at, at + size, text, np.int64(0))
            code = np.int64(NOT_PLAIN)
            if is_plain(text, np.int64(0), size):
                code = write_float(text, np.int64(0), size, parts, out, record)
        if code != 0:
            faults[found, F_RECORD] = record
            faults[found, F_CODE] = code
            found += 1
    return np.int64(found)
