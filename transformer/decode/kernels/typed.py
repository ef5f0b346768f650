"""Typed values that no column looks into: judged to the last byte and skipped.

The text must be compact (`grammar.compact`); whatever is not ends the walk with a fault, never with a wrong answer.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.layout import (
    FAULT_AT,
    FAULT_CODE,
    FLOOR,
    INSTANCE,
    MAX_DEPTH,
    NAMES,
)
from transformer.decode.kernels.primitives import load64
from transformer.decode.kernels.strings import FAULT, QUOTE, equal_bytes, hash_bytes, plain_end, string_end

NOT_AN_ITEM, NOT_TYPED, UNKNOWN_TAG, TWO_TAGS, WRONG_JSON_TYPE, DUPLICATE_NAME, TOO_DEEP = 30, 31, 32, 33, 34, 35, 36
BAD_NUMBER, BAD_BASE64 = 40, 41
NAMES_RAN_OUT = 1  # no reject code: the table of names must grow and the line be walked again

LOW8, LOW16, LOW24, LOW32, LOW40, LOW48 = (np.uint64((1 << bits) - 1) for bits in (8, 16, 24, 32, 40, 48))


def word(text: bytes) -> np.uint64:
    """The first eight bytes of `text` as the number that `load64` reads."""
    return np.uint64(int.from_bytes(text[:8], "little"))


S_OPEN, N_OPEN, B_OPEN, M_OPEN, L_OPEN = (word(text) for text in (b'S":"', b'N":"', b'B":"', b'M":{', b'L":['))
SS_OPEN, NS_OPEN, BS_OPEN = (word(text) for text in (b'SS":[', b'NS":[', b'BS":['))
BOOL_OPEN, NULL_OPEN = word(b'BOOL":'), word(b'NULL":')
TRUE_TEXT, FALSE_TEXT = word(b"true"), word(b"false")

_SEXTETS = np.full(256, 255, np.uint8)
for _i, _c in enumerate(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):
    _SEXTETS[_c] = _i
SEXTETS = _SEXTETS


@kernel("boolean(uint8[::1], int64, int64)")
def is_number(buf, at, end):
    """Whether buf[at:end] is a number: -?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]{1,3})?"""
    if at < end and buf[at] == 0x2D:
        at += 1
    if at >= end:
        return False
    if buf[at] == 0x30:
        at += 1
    else:
        begin = at
        while at < end and 0x30 <= buf[at] <= 0x39:
            at += 1
        if at == begin:
            return False
    if at < end and buf[at] == 0x2E:
        at += 1
        begin = at
        while at < end and 0x30 <= buf[at] <= 0x39:
            at += 1
        if at == begin:
            return False
    if at < end and (buf[at] == 0x65 or buf[at] == 0x45):
        at += 1
        if at < end and (buf[at] == 0x2B or buf[at] == 0x2D):
            at += 1
        if not 1 <= end - at <= 3:
            return False
        while at < end and 0x30 <= buf[at] <= 0x39:
            at += 1
    return at == end


@kernel("boolean(uint8[::1], int64, int64)")
def is_base64(buf, at, end):
    """Whether buf[at:end] is padded standard base64 whose unused bits are zero (RFC 4648 section 3.5)."""
    if (end - at) & 3:
        return False
    if at == end:
        return True
    body = end
    if buf[end - 1] == 0x3D:
        body = end - 2 if buf[end - 2] == 0x3D else end - 1
    seen = np.uint8(0)
    for i in range(at, body):
        seen |= SEXTETS[buf[i]]
    if seen & 0x80:
        return False
    unused = 0 if body == end else (15 if end - body == 2 else 3)
    return (np.int64(SEXTETS[buf[body - 1]]) & unused) == 0


@kernel("int64(uint8[::1], int64, int64, int64, int64[::1], int32[::1], int32[::1], int64[::1])")
def enter_name(buf, at, length, instance, owners, places, lengths, state):
    """Enter the name buf[at:at+length] for map number `instance`. 0: new; 1: it was there; 2: the table is full.

    owners (int64), places, lengths (int32) are an open-addressed table, a power of two long. Slots of maps numbered
    state[FLOOR] or less belong to earlier lines and are free, so that nothing is ever cleared.
    """
    last = np.int64(owners.shape[0] - 1)
    if 2 * state[NAMES] > last:
        return np.int64(2)
    slot = np.int64(hash_bytes(buf, at, length, np.uint64(instance)) & np.uint64(last))
    while owners[slot] > state[FLOOR]:
        if owners[slot] == instance and lengths[slot] == length and equal_bytes(buf, places[slot], at, length):
            return np.int64(1)
        slot = (slot + 1) & last
    owners[slot] = instance
    places[slot] = at
    lengths[slot] = length
    state[NAMES] += 1
    return np.int64(0)


@kernel("int64(int64[::1], int64, int64)")
def fail(state, code, at):
    """Note a fault and return -1."""
    state[FAULT_CODE] = code
    state[FAULT_AT] = at
    return FAULT


@kernel("int64(uint8[::1], int64, int64[::1])")
def tag_fault(buf, at, state):
    """Say why the tag whose text begins at `at` (behind its quote) was not taken; returns -1.

    A known tag has the wrong JSON type behind it; everything else is no tag.
    """
    text = load64(buf, at)
    for short in (S_OPEN, N_OPEN, B_OPEN, M_OPEN, L_OPEN):
        if (text & LOW24) == (short & LOW24):
            return fail(state, WRONG_JSON_TYPE, at + 3)
    for double in (SS_OPEN, NS_OPEN, BS_OPEN):
        if (text & LOW32) == (double & LOW32):
            return fail(state, WRONG_JSON_TYPE, at + 4)
    for long in (BOOL_OPEN, NULL_OPEN):
        if (text & LOW48) == long:
            return fail(state, WRONG_JSON_TYPE, at + 6)
    return fail(state, UNKNOWN_TAG, at - 1)


@kernel("int64(uint8[::1], int64, int64, int64, boolean, int64[::1])")
def skip_set(buf, at, limit, kind, values, state):
    """Skip the elements of a set; `at` is behind its bracket, `kind` 0, 1, 2 for SS, NS, BS.

    Returns the position behind the closing bracket, or -1 with the fault in `state`.
    """
    if buf[at] == 0x5D:
        return at + 1
    while True:
        if buf[at] != QUOTE:
            return fail(state, WRONG_JSON_TYPE, at)
        end = string_end(buf, at + 1, limit)
        if end < 0:
            return fail(state, WRONG_JSON_TYPE, at)
        if values and kind == 1 and not is_number(buf, at + 1, end):
            return fail(state, BAD_NUMBER, at)
        if values and kind == 2 and not is_base64(buf, at + 1, end):
            return fail(state, BAD_BASE64, at)
        at = end + 2
        if buf[end + 1] == 0x5D:
            return at
        if buf[end + 1] != 0x2C:
            return fail(state, WRONG_JSON_TYPE, end + 1)


@kernel(
    "int64(uint8[::1], int64, int64, int64, boolean, boolean, "
    "int64[::1], int32[::1], int32[::1], int64[::1], int64[::1])"
)
def skip_value(buf, at, limit, depth, canonical, values, owners, places, lengths, stack, state):
    """Judge and skip the typed value whose brace stands at `at`; `depth` containers are around it.

    canonical: whether names with a backslash may be compared byte by byte; if not, they end the walk.
    values: whether numbers and base64 are judged too. Without, only what belongs to verdict class TYPES is.
    stack: int64, at least MAX_DEPTH + 1 long: the map number of each open container, 0 for a list.
    Returns the position behind the value's closing brace, or -1 with (FAULT_CODE, FAULT_AT) in `state`, which is the
    leftmost fault provided that the text is valid JSON. Nothing past `limit` + PADDING is read.
    """
    base = depth
    while True:
        # A typed value begins at `at`.
        if buf[at] != 0x7B:
            return fail(state, NOT_TYPED, at)
        if buf[at + 1] != QUOTE:
            return fail(state, NOT_TYPED, at + 1)
        text = load64(buf, at + 2)
        opened = False
        if (text & LOW32) == S_OPEN:
            at = string_end(buf, at + 6, limit) + 1
            if at <= 0:
                return fail(state, WRONG_JSON_TYPE, at)
        elif (text & LOW32) == N_OPEN or (text & LOW32) == B_OPEN:
            end = string_end(buf, at + 6, limit)
            if end < 0:
                return fail(state, WRONG_JSON_TYPE, at)
            if values:
                if (text & LOW32) == N_OPEN:
                    if not is_number(buf, at + 6, end):
                        return fail(state, BAD_NUMBER, at + 5)
                elif not is_base64(buf, at + 6, end):
                    return fail(state, BAD_BASE64, at + 5)
            at = end + 1
        elif (text & LOW32) == M_OPEN or (text & LOW32) == L_OPEN:
            if depth >= MAX_DEPTH:
                return fail(state, TOO_DEEP, at + 5)
            instance = np.int64(0)
            if (text & LOW32) == M_OPEN:
                state[INSTANCE] += 1
                instance = state[INSTANCE]
            depth += 1
            stack[depth] = instance
            at += 6
            opened = True
        elif (text & LOW48) == BOOL_OPEN:
            inner = load64(buf, at + 8)
            if (inner & LOW32) == TRUE_TEXT:
                at += 12
            elif (inner & LOW40) == FALSE_TEXT:
                at += 13
            else:
                return fail(state, WRONG_JSON_TYPE, at + 8)
        elif (text & LOW48) == NULL_OPEN:
            if (load64(buf, at + 8) & LOW32) != TRUE_TEXT:
                return fail(state, WRONG_JSON_TYPE, at + 8)
            at += 12
        elif (text & LOW40) == SS_OPEN or (text & LOW40) == NS_OPEN or (text & LOW40) == BS_OPEN:
            kind = 0 if (text & LOW40) == SS_OPEN else (1 if (text & LOW40) == NS_OPEN else 2)
            at = skip_set(buf, at + 7, limit, kind, values, state)
            if at < 0:
                return FAULT
        else:
            return tag_fault(buf, at + 2, state)
        # Behind an inner value, or just inside a container. Close what ends here, until another value begins.
        while True:
            if opened:
                closer = 0x7D if stack[depth] != 0 else 0x5D
                if buf[at] == closer:
                    at += 1
                    depth -= 1
                    opened = False
                    continue
            else:
                if buf[at] != 0x7D:
                    return fail(state, TWO_TAGS, at + 1)
                at += 1
                if depth == base:
                    return at
                if buf[at] == (0x7D if stack[depth] != 0 else 0x5D):
                    at += 1
                    depth -= 1
                    continue
                if buf[at] != 0x2C:
                    return fail(state, NOT_TYPED, at)
                at += 1
            opened = False
            if stack[depth] != 0:
                if buf[at] != QUOTE:
                    return fail(state, NOT_TYPED, at)
                end = string_end(buf, at + 1, limit) if canonical else plain_end(buf, at + 1, limit)
                if end < 0:
                    return fail(state, NOT_TYPED, at)
                known = enter_name(buf, at + 1, end - at - 1, stack[depth], owners, places, lengths, state)
                if known != 0:
                    return fail(state, DUPLICATE_NAME if known == 1 else NAMES_RAN_OUT, at)
                if buf[end + 1] != 0x3A:
                    return fail(state, NOT_TYPED, end + 1)
                at = end + 2
            break
