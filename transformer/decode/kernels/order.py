"""Order among names, set elements and map entries: by the bytes they stand for."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.strings import BACKSLASH, escape_point
from transformer.decode.kernels.typed import SEXTETS

# Columns of the member table (int32): a name (or a set element), and where its value begins.
M_NAME, M_LENGTH, M_VALUE, MEMBER_WIDTH = 0, 1, 2, 3

BY_TEXT, BY_BASE64 = 0, 1


@kernel("int64(uint8[::1], int64, int64, int64, int64, int64)")
def compare_texts(buf, a, a_end, b, b_end, order):
    """Compare two string contents: negative, zero or positive, as the first is lower, equal or higher.

    order BY_TEXT: by the UTF-8 bytes they stand for; the only escapes are canonical ones, which stand for one byte.
    order BY_BASE64: by the bytes they decode to.
    """
    while a < a_end and b < b_end:
        left, right = np.int64(buf[a]), np.int64(buf[b])
        if order == BY_BASE64:
            left = np.int64(-1) if left == 0x3D else np.int64(SEXTETS[left])
            right = np.int64(-1) if right == 0x3D else np.int64(SEXTETS[right])
        else:
            if left == BACKSLASH:
                left = escape_point(buf, a)
                a += 5 if buf[a + 1] == 0x75 else 1
            if right == BACKSLASH:
                right = escape_point(buf, b)
                b += 5 if buf[b + 1] == 0x75 else 1
        if left != right:
            return left - right
        a += 1
        b += 1
    return (a_end - a) - (b_end - b)


@kernel("int64(uint8[::1], int32[:, ::1], int64, int64, int64)")
def _compare_rows(buf, members, one, other, order):
    a, b = np.int64(members[one, M_NAME]), np.int64(members[other, M_NAME])
    return compare_texts(buf, a, a + members[one, M_LENGTH], b, b + members[other, M_LENGTH], order)


@kernel("void(int32[:, ::1], int64, int64)")
def _swap_rows(members, one, other):
    for i in range(MEMBER_WIDTH):
        kept = members[one, i]
        members[one, i] = members[other, i]
        members[other, i] = kept


@kernel("void(uint8[::1], int32[:, ::1], int64, int64, int64)")
def sort_members(buf, members, begin, end, order):
    """Sort the rows members[begin:end] by name. Heapsort: 10,000 names in any order must not take quadratic time."""
    size = end - begin
    for i in range(1, size):
        if _compare_rows(buf, members, begin + i - 1, begin + i, order) > 0:
            break
    else:
        return
    heap = size
    root = size // 2
    while heap > 1:
        if root > 0:
            root -= 1
        else:
            heap -= 1
            _swap_rows(members, begin, begin + heap)
        parent = root
        while 2 * parent + 1 < heap:
            child = 2 * parent + 1
            if child + 1 < heap and _compare_rows(buf, members, begin + child, begin + child + 1, order) < 0:
                child += 1
            if _compare_rows(buf, members, begin + parent, begin + child, order) >= 0:
                break
            _swap_rows(members, begin + parent, begin + child)
            parent = child


IN_ORDER, MOVED, TOO_LONG = 0, 1, 2
LONGEST_SET = 64  # elements; insertion sort is quadratic, and larger sets are rare enough for a general sort


@kernel("int64(uint8[::1], int64, int64, int64, int64)")
def _compare_bytes(data, a, a_size, b, b_size):
    """Negative, zero or positive, as the bytes from a are lower than, equal to or higher than those from b."""
    for i in range(min(a_size, b_size)):
        if data[a + i] != data[b + i]:
            return np.int64(data[a + i]) - np.int64(data[b + i])
    return a_size - b_size


@kernel("int64(int32[::1], uint8[::1], int64, int64, int64, int32[::1], uint8[::1], int64[::1])")
def order_texts(lists, tag, base, count, sets, offsets, data, permutation):
    """Find the permutation that sorts the elements of every set among `count` lists by their bytes.

    lists: int32, offsets of the lists. sets: bit t is set when a list whose span has tag t is a set; others keep their
    order. offsets, data: the elements, as an Arrow binary array. permutation: int64, one for each element.
    Returns IN_ORDER (nothing written), MOVED, or TOO_LONG when a set has more than LONGEST_SET elements.
    """
    for i in range(permutation.shape[0]):
        permutation[i] = i
    moved = np.int64(IN_ORDER)
    for record in range(count):
        begin, end = np.int64(lists[record]), np.int64(lists[record + 1])
        if end - begin < 2 or (sets >> np.int64(tag[base + record])) & 1 == 0:
            continue
        if end - begin > LONGEST_SET:
            return np.int64(TOO_LONG)
        for i in range(begin + 1, end):
            one = permutation[i]
            at, size = np.int64(offsets[one]), np.int64(offsets[one + 1] - offsets[one])
            j = i
            while j > begin:
                other = permutation[j - 1]
                there = np.int64(offsets[other])
                if _compare_bytes(data, there, np.int64(offsets[other + 1]) - there, at, size) <= 0:
                    break
                permutation[j] = other
                j -= 1
            if j != i:
                permutation[j] = one
                moved = np.int64(MOVED)
    return moved


@kernel("int64(int32[::1], uint8[::1], int64, int64, int64, int64[::1], int64[::1])")
def order_integers(lists, tag, base, count, sets, values, permutation):
    """As `order_texts`, for elements that are int64."""
    for i in range(permutation.shape[0]):
        permutation[i] = i
    moved = np.int64(IN_ORDER)
    for record in range(count):
        begin, end = np.int64(lists[record]), np.int64(lists[record + 1])
        if end - begin < 2 or (sets >> np.int64(tag[base + record])) & 1 == 0:
            continue
        if end - begin > LONGEST_SET:
            return np.int64(TOO_LONG)
        for i in range(begin + 1, end):
            one = permutation[i]
            value = values[one]
            j = i
            while j > begin and values[permutation[j - 1]] > value:
                permutation[j] = permutation[j - 1]
                j -= 1
            if j != i:
                permutation[j] = one
                moved = np.int64(MOVED)
    return moved
