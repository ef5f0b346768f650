"""Stage 0: where the lines are, and which of them need a careful look.

One vector pass over the bytes finds line ends, control characters and ill-formed UTF-8 together, so that the walk
behind it may take both for granted on every line that is not marked odd.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.primitives import controls64, high64, newlines64, trailing_zeros, utf8_faults64

ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE = np.uint64(1)
NONE = np.uint64(0)
SIZE, LINES = 0, 1


@kernel("boolean(uint8[::1], int64, int64)")
def is_blank(buf, begin, end):
    """Whether buf[begin:end] holds nothing but space, tab and carriage return."""
    for at in range(begin, end):
        byte = buf[at]
        if byte != 0x20 and byte != 0x09 and byte != 0x0D:
            return False
    return True


@kernel(
    "boolean(uint8[::1], int64, int64, int32[::1], int32[::1], int32[::1], uint8[::1], int64, int64, boolean)",
)
def _close(buf, start, stop, starts, ends, numbers, odd, items, lines, careful):
    """Enter the line buf[start:stop] as item number `items`; True when it is blank and was not entered."""
    if (start == stop or buf[start] <= 0x20) and is_blank(buf, start, stop):
        return True
    starts[items] = start
    ends[items] = stop
    numbers[items] = lines
    # The fault masks look back three bytes; at the start of a line these belong to another one, which may hide a fault.
    odd[items] = careful or (buf[start] | buf[start + 1] | buf[start + 2]) >= 0x80
    return False


@kernel("int64(uint8[::1], int64, int64, int32[::1], int32[::1], int32[::1], uint8[::1], int64, int64, int64[::1])")
def index_lines(buf, begin, end, starts, ends, numbers, odd, max_items, max_bytes, result):
    """Index the lines from `begin`, up to the end of the line at which a limit is reached.

    buf: uint8; `begin` is the start of a line, `end` the end of the data, PADDING readable bytes follow.
    starts, ends: int32, positions in buf of each line that is not blank, without its line feed.
    numbers: int32, the line's 0-based number counted from `begin`, blank lines included.
    odd: uint8, 1 when the line holds a control character or may not be valid UTF-8, else 0.
    max_items: lines that are not blank, at most the length of `starts`; max_bytes: bytes including line feeds.
    result: result[SIZE] becomes the bytes covered, result[LINES] the lines covered.
    Returns how many lines were indexed. Progress is made whenever begin < end and the limits are positive.
    """
    items = np.int64(0)
    lines = np.int64(0)
    start = begin
    carried = False
    at = begin
    while start < end and items < max_items and start - begin < max_bytes:
        newline = newlines64(buf, at)
        fault = controls64(buf, at) ^ newline
        if high64(buf, at) != NONE:
            fault |= utf8_faults64(buf, at) if at >= 3 else ALL
        left = end - at
        if left <= 64:
            # The end of the data closes the last line: a line feed there is imagined, what follows is forgotten.
            # A sequence cut off at the very end shows its fault one byte later, hence the inclusive mask.
            tail = ALL if left == 64 else (ONE << np.uint64(left)) - ONE
            newline &= tail
            fault &= tail | (NONE if left == 64 else ONE << np.uint64(left))
            if left == 64 and buf[end - 1] >= 0x80:
                carried = True
            if left < 64 and (left == 0 or buf[end - 1] < 0x80):
                fault &= tail
        done = NONE
        while newline != NONE and items < max_items and start - begin < max_bytes:
            bit = newline & ~(newline - ONE)
            upto = (bit - ONE) | bit
            stop = at + trailing_zeros(bit)
            if not _close(
                buf, start, stop, starts, ends, numbers, odd, items, lines, carried or (fault & upto & ~done) != NONE
            ):
                items += 1
            lines += 1
            start = stop + 1
            carried = False
            done = upto
            newline ^= bit
        if newline != NONE:
            break
        carried = carried or (fault & ~done) != NONE
        at += 64
        if at >= end:
            if start < end and items < max_items and start - begin < max_bytes:
                if not _close(buf, start, end, starts, ends, numbers, odd, items, lines, carried):
                    items += 1
                lines += 1
                start = end
            break
    result[SIZE] = start - begin
    result[LINES] = lines
    return items
