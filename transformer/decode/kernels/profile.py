"""One pass over located lines that counts what stands at every place of the items.

Lines come here after `locate`: valid, and in the one compact form, so nothing is judged again. The tables have a fixed
size; what finds no room in them is counted at the place LOST, and the place that leads there is no longer looked into.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.hashes import xxhash64
from transformer.decode.kernels.layout import W_TEXT
from transformer.decode.kernels.primitives import PADDING, load64
from transformer.decode.kernels.profile_layout import (
    B_TAG,
    BOOL_TAG,
    K_ELEMENT,
    K_MEMBER,
    K_REST,
    L_TAG,
    LOST,
    M_TAG,
    MOST_ATTRIBUTES,
    MOST_MEMBERS,
    N_TAG,
    NULL_TAG,
    P_CHILDREN,
    P_ELEMENT,
    P_ELEMENTS,
    P_ELEMENTS_SUM,
    P_FIRST_CHILD,
    P_KIND,
    P_NAME,
    P_NAME_LENGTH,
    P_NEXT,
    P_PARENT,
    P_POSITION,
    P_REST,
    P_TAGS,
    Q_ARENA,
    Q_PLACES,
    S_TAG,
    SS_TAG,
)
from transformer.decode.kernels.profile_values import count_length, count_number, count_text
from transformer.decode.kernels.strings import QUOTE, string_end

NAME_SHIFT = np.uint64(20)

SETS = SS_TAG - S_TAG  # SS, NS and BS stand as far behind S, N and B

# How a frame of the walk ends: behind the value of a member of a map, or behind an element of a list.
F_PLACE, F_COUNT, F_LAST, F_LIST, FRAME_WIDTH = 0, 1, 2, 3, 4


@kernel("boolean(uint8[::1], int64, uint8[::1], int64, int64)")
def _same(buf, at, arena, name, length):
    while length >= 8:
        if load64(buf, at) != load64(arena, name):
            return False
        at += 8
        name += 8
        length -= 8
    for i in range(length):
        if buf[at + i] != arena[name + i]:
            return False
    return True


@kernel("int64(int64[:, ::1], int64[::1], int64, int64)")
def _new_place(places, state, parent, kind):
    """Enter a place, or give LOST where there is no room for one."""
    place = state[Q_PLACES]
    if place >= places.shape[0]:
        return LOST
    state[Q_PLACES] = place + 1
    places[place, P_PARENT] = parent
    places[place, P_KIND] = kind
    return place


@kernel("int64(uint8[::1], int64, int64, int64[:, ::1], int64[::1], uint8[::1], int64[::1], int64, int64)")
def _member(buf, at, length, places, table, arena, state, parent, last):
    """The place of the member named buf[at:at + length] of `parent`; last: the place before it, or 0."""
    guess = places[last, P_NEXT] if last > 0 else places[parent, P_FIRST_CHILD]
    if (
        guess > 0
        and places[guess, P_PARENT] == parent
        and places[guess, P_NAME_LENGTH] == length
        and _same(buf, at, arena, places[guess, P_NAME], length)
    ):
        return guess
    if parent == LOST:
        return LOST
    mask = table.shape[0] - 1
    slot = np.int64(xxhash64(buf, at, at + length) >> NAME_SHIFT) + parent * 31 & mask
    place = table[slot]
    while place != 0:
        if (
            places[place, P_PARENT] == parent
            and places[place, P_NAME_LENGTH] == length
            and _same(buf, at, arena, places[place, P_NAME], length)
        ):
            break
        slot = slot + 1 & mask
        place = table[slot]
    if place == 0:
        full = state[Q_PLACES] >= places.shape[0] or state[Q_ARENA] + length + 8 > arena.shape[0]
        if full or places[parent, P_CHILDREN] >= (MOST_ATTRIBUTES if parent == 0 else MOST_MEMBERS):
            if places[parent, P_REST] == 0:
                places[parent, P_REST] = _new_place(places, state, parent, K_REST)
            return places[parent, P_REST]
        place = _new_place(places, state, parent, K_MEMBER)
        places[place, P_NAME] = state[Q_ARENA]
        places[place, P_NAME_LENGTH] = length
        for i in range(length):
            arena[state[Q_ARENA] + i] = buf[at + i]
        state[Q_ARENA] += length
        places[parent, P_CHILDREN] += 1
        table[slot] = place
    if last > 0:
        places[last, P_NEXT] = place
    else:
        places[parent, P_FIRST_CHILD] = place
    return place


@kernel("void(int64[:, ::1], int64, int64)")
def _count_elements(places, place, count):
    places[place, P_ELEMENTS] = max(places[place, P_ELEMENTS], count)
    places[place, P_ELEMENTS_SUM] += count


@kernel("int64(int64[:, ::1], int64[::1], int64)")
def _element(places, state, place):
    """The place of the elements of `place`."""
    if place == LOST:
        return LOST
    if places[place, P_ELEMENT] == 0:
        places[place, P_ELEMENT] = _new_place(places, state, place, K_ELEMENT)
    return places[place, P_ELEMENT]


@kernel("int64(uint8[::1], int64, int64, int64[:, ::1], uint64[:, ::1], int64[::1], int64, int64)")
def _set(buf, at, limit, places, bitmaps, state, place, tag):
    """Count the set whose `[` stands at `at`; returns the position behind its `]`."""
    inside = _element(places, state, place)
    count = np.int64(0)
    at += 1
    while buf[at] != 0x5D:
        if buf[at] == 0x2C:
            at += 1
        stop = string_end(buf, at + 1, limit)
        places[inside, P_TAGS + tag] += 1
        if tag == S_TAG:
            count_text(buf, at + 1, stop, places, bitmaps, inside)
        elif tag == N_TAG:
            count_number(buf, at + 1, stop, places, inside)
        else:
            count_length(at + 1, stop, places, inside)
        count += 1
        at = stop + 1
    _count_elements(places, place, count)
    return at + 1


@kernel(
    "int64(uint8[::1], int64, int64, int64[:, ::1], uint64[:, ::1], int64[::1], uint8[::1], int64[::1], int64[:, ::1])"
)
def _item(buf, at, limit, places, bitmaps, table, arena, state, frames):
    """Count the map of an item whose `{` stands at `at`; returns the position behind its `}`.

    frames: int64[MAX_DEPTH + 2, FRAME_WIDTH], the maps and lists that are open.
    """
    depth = np.int64(0)
    frames[0, F_PLACE], frames[0, F_COUNT], frames[0, F_LAST], frames[0, F_LIST] = 0, 0, 0, 0
    at += 1
    while True:
        parent = frames[depth, F_PLACE]
        in_list = frames[depth, F_LIST] == 1
        byte = buf[at]
        if byte == 0x2C:
            at += 1
        elif byte == (0x5D if in_list else 0x7D):
            _count_elements(places, parent, frames[depth, F_COUNT])
            if depth == 0:
                return at + 1
            depth -= 1
            at += 2  # the bracket, and the brace that closes its tag
            continue
        if in_list:
            place = _element(places, state, parent)
        else:
            begin = at + 1
            stop = string_end(buf, begin, limit)
            place = _member(buf, begin, stop - begin, places, table, arena, state, parent, frames[depth, F_LAST])
            frames[depth, F_LAST] = place if places[place, P_KIND] == K_MEMBER and place != LOST else 0
            if depth == 0 and frames[0, F_COUNT] < 2:
                places[place, P_POSITION + frames[0, F_COUNT]] += 1
            at = stop + 2
        frames[depth, F_COUNT] += 1
        # {"S":"...": the tag begins two bytes on, and it has one to four letters.
        first, second = np.int64(buf[at + 2]), np.int64(buf[at + 3])
        at += 5
        if second == QUOTE and (first == 0x4D or first == 0x4C):
            places[place, P_TAGS + (M_TAG if first == 0x4D else L_TAG)] += 1
            depth += 1
            frames[depth, F_PLACE], frames[depth, F_COUNT], frames[depth, F_LAST] = place, 0, 0
            frames[depth, F_LIST] = 1 if first == 0x4C else 0
            at += 1
        elif second == QUOTE:
            stop = string_end(buf, at + 1, limit)
            if first == 0x53:
                places[place, P_TAGS + S_TAG] += 1
                count_text(buf, at + 1, stop, places, bitmaps, place)
            elif first == 0x4E:
                places[place, P_TAGS + N_TAG] += 1
                count_number(buf, at + 1, stop, places, place)
            else:
                places[place, P_TAGS + B_TAG] += 1
                count_length(at + 1, stop, places, place)
            at = stop + 2
        elif second == 0x53:  # SS, NS, BS
            tag = S_TAG if first == 0x53 else (N_TAG if first == 0x4E else B_TAG)
            places[place, P_TAGS + tag + SETS] += 1
            at = _set(buf, at + 1, limit, places, bitmaps, state, place, tag) + 1
        else:  # BOOL, NULL: both tags and true have four letters, false has five
            places[place, P_TAGS + (BOOL_TAG if first == 0x42 else NULL_TAG)] += 1
            at += 9 if buf[at + 3] == 0x66 else 8


@kernel(
    "void(uint8[::1], int32[:, ::1], int64, int64[:, ::1], uint64[:, ::1], int64[::1], uint8[::1], int64[::1], "
    "int64[:, ::1])"
)
def profile_rows(buf, rows, count, places, bitmaps, table, arena, state, frames):
    """Count the items of the first `count` located lines.

    buf: uint8 with PADDING behind its data. rows: int32, column W_TEXT says where the compact text of a line begins.
    places: int64[n, P_WIDTH], bitmaps: uint64[n, BITMAP_WORDS]; place 0 is the item, place LOST has no parent.
    table: int64, a power of two at least twice n: an open hash table of the members. arena: uint8, their names.
    state: see `profile_layout`. frames: int64[MAX_DEPTH + 2, FRAME_WIDTH], scratch.
    """
    limit = buf.shape[0] - PADDING
    for row in range(count):
        places[0, P_TAGS + M_TAG] += 1
        # {"Item": is eight bytes.
        _item(buf, rows[row, W_TEXT] + 8, limit, places, bitmaps, table, arena, state, frames)
