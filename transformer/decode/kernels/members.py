"""Order and membership inside columns: set elements and map entries sorted where they stand, names of enums known."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.layout import BS, NS, NULL, SETS, L, N, S
from transformer.decode.kernels.numbers import is_plain
from transformer.decode.kernels.order import BY_BASE64, BY_TEXT, LONGEST_SET, compare_texts
from transformer.decode.kernels.primitives import load64, most_significant_first
from transformer.decode.kernels.strings import hash_bytes

ONE, ALL = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
E_SLOT, E_MASK, E_NAME, E_LENGTH, ENUM_WIDTH = 0, 1, 0, 1, 2


@kernel("uint64(uint8[::1], int64, int64)", merged=True)
def _first_bytes(buf, at, size):
    """The first eight of `size` bytes from `at` as a number that compares as they do; shorter ones end in zeros."""
    word = load64(buf, at)
    if size < 8:
        word &= (ONE << np.uint64(8 * size)) - ONE
    return most_significant_first(word)


@kernel("boolean(uint8[::1], int64, int64, int64, int64, int64)", merged=True)
def _before(buf, a, a_size, b, b_size, order):
    """Whether the text from `a` is lower than the one from `b`. Most texts differ in their first eight bytes."""
    if order == BY_TEXT:
        one, other = _first_bytes(buf, a, a_size), _first_bytes(buf, b, b_size)
        if one != other:
            return one < other
    return compare_texts(buf, a, a + a_size, b, b + b_size, order) < 0


@kernel("void(int32[::1], int32[::1], uint8[::1], int64, int64)", merged=True)
def _swap(start, length, tag, one, other):
    start[one], start[other] = start[other], start[one]
    length[one], length[other] = length[other], length[one]
    tag[one], tag[other] = tag[other], tag[one]


@kernel(
    "boolean(uint8[::1], int32[::1], int32[::1], uint8[::1], int32[::1], int64, int64, int64, int64, int64)",
)
def sort_entries(buf, start, length, tag, extent, base, count, keys, values, which):
    """Sort the spans of set elements, or of map entries by name, where they stand. False if this is not for here.

    base, count: the spans of the sets or maps; `extent` tells how many elements each has. keys: the first span of all
    their elements or names. values: the first span of the map values, which move with their names; -1: there are none;
    -2: they cannot be moved. which: bit t is set when a span of tag t has elements.
    False: a text with escapes, a number that is not plain, more than LONGEST_SET elements, values that had to be moved.
    """
    first = keys
    for record in range(base, base + count):
        held = np.int64(tag[record])
        if (which >> held) & 1 == 0:
            continue
        size = np.int64(extent[record])
        end = first + size
        if size < 2 or (values == -1 and (SETS >> held) & 1 == 0):
            first = end
            continue
        if size > LONGEST_SET:
            return False
        order = np.int64(BY_BASE64 if held == BS else BY_TEXT)
        for i in range(first, end):
            if held == NS and (tag[i] != N or not is_plain(buf, np.int64(start[i]), np.int64(start[i] + length[i]))):
                return False
            if held != NS and held != BS and tag[i] != S:
                return False
        for i in range(first + 1, end):
            j = i
            while j > first and _before(
                buf, np.int64(start[j]), np.int64(length[j]), np.int64(start[j - 1]), np.int64(length[j - 1]), order
            ):
                if values == -2:
                    return False
                _swap(start, length, tag, j, j - 1)
                if values >= 0:
                    _swap(start, length, tag, values + j - keys, values + j - 1 - keys)
                j -= 1
        first = end
    return True


@kernel("boolean(uint8[::1], int64, int64, int64, boolean)", merged=True)
def _lower(out, a, b, width, signed):
    """Whether the little-endian integer of `width` bytes from `a` is lower than the one from `b`."""
    flip = ONE << np.uint64(63) if signed else np.uint64(0)
    if width < 8:
        shift = np.uint64(64 - 8 * width)
        return ((load64(out, a) << shift) ^ flip) < ((load64(out, b) << shift) ^ flip)
    for i in range(width - 8, -1, -8):
        one, other = load64(out, a + i) ^ flip, load64(out, b + i) ^ flip
        if one != other:
            return one < other
        flip = np.uint64(0)
    return False


@kernel("int64(int32[::1], uint8[::1], int64, int64, uint8[::1], int64, boolean)")
def sort_fixed(extent, tag, base, count, out, width, signed):
    """Sort the elements of every set, integers of `width` bytes each in `out`. 1 if a set is too long for this."""
    first = np.int64(0)
    for record in range(base, base + count):
        held = np.int64(tag[record])
        size = np.int64(extent[record]) if held >= L else np.int64(0)
        if (SETS >> held) & 1 != 0:
            if size > LONGEST_SET:
                return np.int64(1)
            for i in range(first + 1, first + size):
                at = i * width
                while at > first * width and _lower(out, at, at - width, width, signed):
                    for byte in range(at, at + width):
                        kept = out[byte]
                        out[byte] = out[byte - width]
                        out[byte - width] = kept
                    at -= width
        first += size
    return np.int64(0)


@kernel("int64(int32[::1], uint8[::1], int64, int64, float64[::1])")
def sort_floats(extent, tag, base, count, out):
    """Sort the elements of every set, doubles in `out`. 1 if a set is too long for this."""
    first = np.int64(0)
    for record in range(base, base + count):
        held = np.int64(tag[record])
        size = np.int64(extent[record]) if held >= L else np.int64(0)
        if (SETS >> held) & 1 != 0:
            if size > LONGEST_SET:
                return np.int64(1)
            for i in range(first + 1, first + size):
                value = out[i]
                at = i
                while at > first and out[at - 1] > value:
                    out[at] = out[at - 1]
                    at -= 1
                out[at] = value
        first += size
    return np.int64(0)


@kernel(
    "boolean(uint8[::1], int64, int64, int32[::1], uint8[::1], int64[:, ::1], int64, int32[::1], uint8[::1])",
)
def all_known(tag, base, count, offsets, data, enums, enum, slots, names):
    """Whether every text that is not null is one of the names of an enum.

    offsets, data: the texts, as an Arrow string array. enums: row `enum` tells where its hash table begins in `slots`
    (E_SLOT) and its size less one (E_MASK); the table holds row numbers of `enums` that tell where a name stands in
    `names` (E_NAME) and how long it is (E_LENGTH), -1 where there is none.
    """
    for record in range(count):
        if np.int64(tag[base + record]) <= NULL:
            continue
        at = np.int64(offsets[record])
        size = np.int64(offsets[record + 1]) - at
        mask = enums[enum, E_MASK]
        slot = np.int64(hash_bytes(data, at, size, np.uint64(0)) & np.uint64(mask))
        while True:
            entry = np.int64(slots[enums[enum, E_SLOT] + slot])
            if entry < 0:
                return False
            if enums[entry, E_LENGTH] == size:
                same = True
                place = enums[entry, E_NAME]
                for i in range(0, size, 8):
                    keep = ALL if size - i >= 8 else (ONE << np.uint64(8 * (size - i))) - ONE
                    same = same and ((load64(data, at + i) ^ load64(names, place + i)) & keep) == np.uint64(0)
                if same:
                    break
            slot = (slot + 1) & mask
    return True
