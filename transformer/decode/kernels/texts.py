"""Stage 2 for what ends up as bytes: strings, numbers kept as text, binary, JSON text, `_unmapped` and `_raw`.

These kernels do not know beforehand how long their output is. They return the position where they stopped for want of
room as -1 - record, and the caller begins again with a larger buffer.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.columns import AHEAD, F_CODE, F_RECORD, SPANS
from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.layout import (
    FALSE,
    MISSING,
    NULL,
    S_ESCAPED,
    TRUE,
    U_NAME,
    U_NAME_LENGTH,
    U_ROW,
    U_VALUE,
    UNMAPPED_WIDTH,
    B,
    L,
    M,
    N,
    S,
)
from transformer.decode.kernels.numbers import write_plain
from transformer.decode.kernels.order import BY_TEXT, compare_texts
from transformer.decode.kernels.primitives import prefetch
from transformer.decode.kernels.render import LONGEST_NUMBER, dropped, render
from transformer.decode.kernels.strings import FAULT, copy_run, unescape
from transformer.decode.kernels.typed import BAD_BASE64, BAD_NUMBER, SEXTETS, is_base64

TYPED, BARE_MAP = np.int64(0), np.int64(1)
SCRATCH = "int32[:, ::1], uint8[::1], int64[:, ::1], uint8[::1], int64[::1]"


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64)")
def decode_base64(buf, at, end, out, to):
    """Write the bytes of the canonical base64 text buf[at:end] to out[to:]; returns the position behind them."""
    while at + 4 < end:
        word = (
            (np.int64(SEXTETS[buf[at]]) << 18) | (np.int64(SEXTETS[buf[at + 1]]) << 12)
            | (np.int64(SEXTETS[buf[at + 2]]) << 6) | np.int64(SEXTETS[buf[at + 3]])
        )  # fmt: skip
        out[to] = word >> 16
        out[to + 1] = (word >> 8) & 0xFF
        out[to + 2] = word & 0xFF
        to += 3
        at += 4
    while at < end:
        word = np.int64(0)
        kept = 3
        for i in range(4):
            byte = buf[at + i]
            if byte == 0x3D:
                kept -= 1
                word <<= 6
            else:
                word = (word << 6) | np.int64(SEXTETS[byte])
        for i in range(kept):
            out[to + i] = (word >> (16 - 8 * i)) & 0xFF
        to += kept
        at += 4
    return to


@kernel(f"int64(uint8[::1], {SPANS}, int64, int32[::1], uint8[::1], {SCRATCH}, int32[:, ::1], int64[::1])")
def write_texts(
    buf, start, length, tag, base, count, drop, offsets, out, members, pieces, drops, names, parts, faults, found
):
    """Write spans as the bytes of a String column: S unescaped, N in plain notation, B decoded, the rest as JSON text.

    offsets: int32, count + 1 long. out: uint8. drop: the drop node of the column's path. members, pieces, drops,
    names, parts: as for `render`. found: int64 of length 1, the number of faults.
    Returns the number of bytes written, or -1 - record when `out`, members or pieces are too small.
    """
    to = np.int64(0)
    found[0] = 0
    last = count - 1
    for record in range(count):
        prefetch(buf, np.int64(start[base + min(record + AHEAD, last)]))
        offsets[record] = to
        held = np.int64(tag[base + record])
        if held <= NULL:
            continue
        at = np.int64(start[base + record])
        size = np.int64(length[base + record])
        if to + size + LONGEST_NUMBER > out.shape[0]:
            return FAULT - record
        if held == S:
            to = copy_run(buf, at, at + size, out, to)
            continue
        code = 0
        behind = to
        if held == S_ESCAPED:
            behind = unescape(buf, at, at + size, out, to)
        elif held == N:
            behind = write_plain(buf, at, at + size, out, to, parts)
            code = BAD_NUMBER if behind < 0 else 0
        elif held == B:
            if is_base64(buf, at, at + size):
                behind = decode_base64(buf, at, at + size, out, to)
            else:
                code = BAD_BASE64
        elif held == TRUE or held == FALSE:
            behind = copy_run(buf, at, at + size, out, to)
        else:
            brace = at - (5 if held == M or held == L else 6)
            behind = render(buf, brace, TYPED, False, drop, out, to, members, 0, pieces, drops, names, parts)
            if behind < 0:
                return FAULT - record
        if code != 0:
            faults[found[0], F_RECORD] = record
            faults[found[0], F_CODE] = code
            found[0] += 1
        else:
            to = behind
    offsets[count] = to
    return to


@kernel(f"int64(uint8[::1], int32[::1], uint8[::1], int64, int64, int64, int32[::1], uint8[::1], {SCRATCH})")
def write_raw(buf, start, tag, base, count, drop, offsets, out, members, pieces, drops, names, parts):
    """Write whole items, whose maps begin at the spans, as canonical DynamoDB JSON; where there is no item, nothing.

    Returns as `write_texts`.
    """
    to = np.int64(0)
    for record in range(count):
        offsets[record] = to
        if tag[base + record] == MISSING:
            continue
        at = np.int64(start[base + record])
        to = render(buf, at, BARE_MAP, True, drop, out, to, members, 0, pieces, drops, names, parts)
        if to < 0:
            return FAULT - record
    offsets[count] = to
    return to


@kernel("boolean(uint8[::1], int32[:, ::1], int64, int64)")
def _after(buf, unmapped, one, other):
    """Whether the name of entry `one` is higher than that of entry `other`."""
    a, b = np.int64(unmapped[one, U_NAME]), np.int64(unmapped[other, U_NAME])
    a_end, b_end = a + unmapped[one, U_NAME_LENGTH], b + unmapped[other, U_NAME_LENGTH]
    return compare_texts(buf, a, a_end, b, b_end, BY_TEXT) > 0


@kernel("void(uint8[::1], int32[:, ::1], int64)")
def sort_unmapped(buf, unmapped, entries):
    """Sort the unmapped attributes of each row by name; the table is in row order already.

    Shell's sort (Knuth's gaps): insertion alone takes quadratic time on an item of thousands of attributes.
    """
    begin = 0
    while begin < entries:
        end = begin + 1
        while end < entries and unmapped[end, U_ROW] == unmapped[begin, U_ROW]:
            end += 1
        gap = 1
        while gap < (end - begin) // 3:
            gap = 3 * gap + 1
        while gap > 0:
            for i in range(begin + gap, end):
                j = i
                while j - gap >= begin and _after(buf, unmapped, j - gap, j):
                    for column in range(UNMAPPED_WIDTH):
                        kept = unmapped[j, column]
                        unmapped[j, column] = unmapped[j - gap, column]
                        unmapped[j - gap, column] = kept
                    j -= gap
            gap //= 3
        begin = end


@kernel(f"int64(uint8[::1], int32[:, ::1], int64, int64, int32[::1], uint8[::1], int32[::1], uint8[::1], {SCRATCH})")
def write_unmapped(
    buf, unmapped, entries, drop, name_offsets, name_bytes, value_offsets, value_bytes,
    members, pieces, drops, names, parts,
):  # fmt: skip
    """Write unmapped attributes as the keys and values of an Arrow map array: name, and canonical DynamoDB JSON.

    name_offsets, value_offsets: int32, entries + 1 long. drop: the drop node of the item.
    Returns `entries`, or -1 - entry when a buffer is too small.
    """
    name_to = np.int64(0)
    value_to = np.int64(0)
    for entry in range(entries):
        name_offsets[entry] = name_to
        value_offsets[entry] = value_to
        at, size = np.int64(unmapped[entry, U_NAME]), np.int64(unmapped[entry, U_NAME_LENGTH])
        if name_to + size + LONGEST_NUMBER > name_bytes.shape[0]:
            return FAULT - entry
        name_to = unescape(buf, at, at + size, name_bytes, name_to)
        below = dropped(buf, at, size, drop, drops, names)
        value_to = render(
            buf, np.int64(unmapped[entry, U_VALUE]), TYPED, True, below, value_bytes, value_to,
            members, 0, pieces, drops, names, parts,
        )  # fmt: skip
        if value_to < 0:
            return FAULT - entry
    name_offsets[entries] = name_to
    value_offsets[entries] = value_to
    return entries
