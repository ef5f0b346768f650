"""Canonical DynamoDB JSON and JSON text of a typed value: one walk, with the type tags or without.

Works on compact text. Names and set elements are put in order, numbers become plain,
strings get canonical escapes, and what `drop` names is left out.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.layout import D_CHILD, D_LENGTH, D_NAME, D_PARENT, DROP_ALL, DROP_NOTHING
from transformer.decode.kernels.numbers import write_plain
from transformer.decode.kernels.order import BY_BASE64, BY_TEXT, M_LENGTH, M_NAME, M_VALUE, sort_members
from transformer.decode.kernels.primitives import load64, string_marks64, trailing_zeros
from transformer.decode.kernels.strings import (
    FAULT,
    QUOTE,
    canonical_content,
    copy_run,
)
from transformer.decode.kernels.typed import BS_OPEN, LOW40, LOW48, NS_OPEN, SS_OPEN, word

LONGEST_NUMBER = 1100  # more than `write_plain` adds to a text


N_TAG, M_TAG, L_TAG, NULL_TAG, BOOL_TAG, S_TAG = (
    word(text) for text in (b'{"N":', b'{"M":', b'{"L":', b'{"NULL"', b'{"BOOL"', b'{"S":')
)
S_TEXT, N_TEXT, B_TEXT = (word(text) for text in (b'{"S":"', b'{"N":"', b'{"B":"'))
LOW56 = np.uint64((1 << 56) - 1)
TYPED = np.int64(0)
NULL_TEXT = np.frombuffer(b"null", np.uint8)


@kernel("int64(uint8[::1], int64)", merged=True)
def _closing(buf, at):
    """The position of the quote that ends the valid string whose content begins at `at`."""
    while True:
        marks = string_marks64(buf, at)
        if marks == np.uint64(0):
            at += 64
            continue
        at += trailing_zeros(marks)
        if buf[at] == QUOTE:
            return at
        at += 2


@kernel("int64(uint8[::1], int64)")
def value_end(buf, at):
    """The position behind the JSON value of valid, compact text that begins at `at`: an object, array or string.

    Strings are passed 64 bytes at a time, and an S, N or B as a whole: most of all bytes stand in these.
    """
    depth = 0
    while True:
        byte = buf[at]
        if byte == QUOTE:
            at = _closing(buf, at + 1) + 1
        elif byte == 0x7B:
            head = load64(buf, at) & LOW48
            if head == S_TEXT or head == N_TEXT or head == B_TEXT:
                at = _closing(buf, at + 6) + 2
            else:
                at += 1
                depth += 1
        elif byte == 0x5B:
            at += 1
            depth += 1
        else:
            at += 1
            if byte == 0x7D or byte == 0x5D:
                depth -= 1
            else:
                continue
        if depth == 0:
            return at


@kernel("int64(uint8[::1], int64, int64, int64, int64[:, ::1], uint8[::1])")
def dropped(buf, at, length, node, drops, names):
    """Where the drop paths at `node` go with the member named buf[at:at+length]: a node, DROP_ALL or DROP_NOTHING."""
    if node >= 0:
        for row in range(drops.shape[0]):
            if drops[row, D_PARENT] == node and drops[row, D_LENGTH] == length:
                same = True
                for i in range(length):
                    if buf[at + i] != names[drops[row, D_NAME] + i]:
                        same = False
                        break
                if same:
                    return drops[row, D_CHILD]
    return np.int64(DROP_NOTHING)


@kernel("int64(uint8[::1], int64, int64, int32[:, ::1], int64)")
def _list_strings(buf, at, order, members, top):
    """Enter the string elements of the array at `at` into members from `top`; returns the top, or -1 when full."""
    at += 1
    while buf[at] == QUOTE:
        if top >= members.shape[0]:
            return FAULT
        stop = value_end(buf, at)
        members[top, M_NAME] = at + 1
        members[top, M_LENGTH] = stop - at - 2
        top += 1
        at = stop + 1 if buf[stop] == 0x2C else stop
    return top


@kernel("int64(uint8[::1], int64, int64, uint8[::1], int64, int64[::1])")
def _write_number(buf, at, end, out, to, parts):
    """As `write_plain`; writes nothing for what is no number. The walk leaves the numbers that a column reads to that
    column's kernel, which rejects the row: what is rendered of it until then is never seen."""
    behind = write_plain(buf, at, end, out, to, parts)
    return behind if behind >= 0 else to


@kernel("int64(uint8[::1], int64, uint64, boolean, uint8[::1], int64, int64[::1])")
def _render_scalar(buf, at, head, tagged, out, to, parts):
    """Write the S, N, B, BOOL or NULL at `at`, whose first five bytes are `head`, without its closing brace.

    Returns the position behind, or -1 when `out` has no room.
    """
    stop = value_end(buf, at)
    if to + (stop - at) + LONGEST_NUMBER > out.shape[0]:
        return FAULT
    if head == N_TAG:
        if tagged:
            to = copy_run(buf, at, at + 6, out, to)
        to = _write_number(buf, at + 6, stop - 2, out, to, parts)
        if tagged:
            out[to] = QUOTE
            to += 1
        return to
    if head == S_TAG:
        if tagged:
            to = copy_run(buf, at, at + 5, out, to)
        out[to] = QUOTE
        to = canonical_content(buf, at + 6, stop - 2, out, to + 1)
        out[to] = QUOTE
        return to + 1
    if (load64(buf, at) & LOW56) == NULL_TAG and not tagged:
        for i in range(4):
            out[to + i] = NULL_TEXT[i]
        return to + 4
    inner = at + 8 if (load64(buf, at) & LOW56) == BOOL_TAG else at + 5
    return copy_run(buf, at if tagged else inner, stop - 1, out, to)


@kernel(
    "int64(uint8[::1], int64, boolean, boolean, int64, uint8[::1], int64, int32[:, ::1], int64, uint8[::1], int64[::1])"
)
def _render_set(buf, at, numbers, quoted, order, out, to, members, top, pieces, parts):
    """Write the set elements of the array at `at`, sorted; returns the position behind them, or -1 when full.

    The elements are first written to `pieces` in their canonical form, because that is what is compared.
    """
    end = _list_strings(buf, at, order, members, top)
    if end < 0:
        return FAULT
    used = np.int64(0)
    for row in range(top, end):
        begin = np.int64(members[row, M_NAME])
        stop = begin + members[row, M_LENGTH]
        if used + (stop - begin) + LONGEST_NUMBER > pieces.shape[0]:
            return FAULT
        members[row, M_NAME] = used
        if numbers:
            used = _write_number(buf, begin, stop, pieces, used, parts)
        else:
            used = canonical_content(buf, begin, stop, pieces, used)
        members[row, M_LENGTH] = used - members[row, M_NAME]
    sort_members(pieces, members, top, end, order)
    if to + used + 3 * (end - top) + LONGEST_NUMBER > out.shape[0]:
        return FAULT
    for row in range(top, end):
        if row > top:
            out[to] = 0x2C
            to += 1
        if quoted:
            out[to] = QUOTE
            to += 1
        begin = np.int64(members[row, M_NAME])
        to = copy_run(pieces, begin, begin + members[row, M_LENGTH], out, to)
        if quoted:
            out[to] = QUOTE
            to += 1
    return to


@kernel(
    "int64(uint8[::1], int64, int64, boolean, int64, uint8[::1], int64, int32[:, ::1], int64, uint8[::1], "
    "int64[:, ::1], uint8[::1], int64[::1])"
)
def render(buf, at, bare, tagged, drop, out, to, members, top, pieces, drops, names, parts):
    """Write a value to out[to:]: as canonical DynamoDB JSON if `tagged`, else as JSON text.

    at: the brace of a typed value (bare 0), or of a map of typed values such as an item (bare 1).
    drop: the drop node of this value, or DROP_NOTHING. drops, names: the drop table and the bytes of its names.
    members, pieces: scratch tables, members used from row `top` on. parts: scratch of `numbers`.
    Returns the position behind, or -1 when out, members or pieces have no room: the caller makes them larger and
    begins again. Writes up to 31 bytes beyond. Calls itself, at most MAX_DEPTH levels deep.
    """
    if to + LONGEST_NUMBER > out.shape[0]:
        return FAULT
    head = load64(buf, at) & LOW40
    text = load64(buf, at + 2) & LOW40
    if bare != 0 or head == M_TAG:
        if bare == 0:
            if tagged:
                to = copy_run(buf, at, at + 5, out, to)
            at += 5
        at += 1
        end = top
        while buf[at] != 0x7D:
            if buf[at] == 0x2C:
                at += 1
            if end >= members.shape[0]:
                return FAULT
            colon = value_end(buf, at)
            members[end, M_NAME] = at + 1
            members[end, M_LENGTH] = colon - at - 2
            members[end, M_VALUE] = colon + 1
            at = value_end(buf, colon + 1)
            end += 1
        sort_members(buf, members, top, end, BY_TEXT)
        out[to] = 0x7B
        to += 1
        empty = True
        for row in range(top, end):
            name, length = np.int64(members[row, M_NAME]), np.int64(members[row, M_LENGTH])
            below = dropped(buf, name, length, drop, drops, names)
            if below == DROP_ALL:
                continue
            if to + length + LONGEST_NUMBER > out.shape[0]:
                return FAULT
            if not empty:
                out[to] = 0x2C
                to += 1
            empty = False
            to = copy_run(buf, name - 1, name + length + 1, out, to)
            out[to] = 0x3A
            value = np.int64(members[row, M_VALUE])
            to = render(buf, value, TYPED, tagged, below, out, to + 1, members, end, pieces, drops, names, parts)
            if to < 0 or to + LONGEST_NUMBER > out.shape[0]:
                return FAULT
        out[to] = 0x7D
        to += 1
    elif head == L_TAG:
        if tagged:
            to = copy_run(buf, at, at + 5, out, to)
        out[to] = 0x5B
        to += 1
        at += 6
        while buf[at] != 0x5D:
            if buf[at] == 0x2C:
                out[to] = 0x2C
                to += 1
                at += 1
            to = render(buf, at, TYPED, tagged, drop, out, to, members, top, pieces, drops, names, parts)
            if to < 0 or to + LONGEST_NUMBER > out.shape[0]:
                return FAULT
            at = value_end(buf, at)
        out[to] = 0x5D
        to += 1
    elif text == SS_OPEN or text == NS_OPEN or text == BS_OPEN:
        if tagged:
            to = copy_run(buf, at, at + 6, out, to)
        out[to] = 0x5B
        order = BY_BASE64 if text == BS_OPEN else BY_TEXT
        numbers = text == NS_OPEN
        to = _render_set(buf, at + 6, numbers, tagged or not numbers, order, out, to + 1, members, top, pieces, parts)
        if to < 0:
            return FAULT
        out[to] = 0x5D
        to += 1
    else:
        to = _render_scalar(buf, at, head, tagged, out, to, parts)
        if to < 0:
            return FAULT
    if tagged and bare == 0:
        out[to] = 0x7D
        to += 1
    return to
