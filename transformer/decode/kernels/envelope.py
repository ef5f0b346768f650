"""A whole line, judged: the members of its envelope, and every typed value inside."""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.layout import (
    BARE,
    FIELDS,
    FIELDS_END,
    INSTANCE,
    REQUIRED,
    SHAPE,
    TARGET,
    TOKEN,
    TOKEN_LENGTH,
)
from transformer.decode.kernels.primitives import differs32
from transformer.decode.kernels.strings import FAULT, string_end
from transformer.decode.kernels.typed import (
    DUPLICATE_NAME,
    NAMES_RAN_OUT,
    NOT_AN_ITEM,
    WRONG_JSON_TYPE,
    enter_name,
    fail,
    skip_value,
)


@kernel("boolean(uint8[::1], int64, uint64[::1], uint64[::1], int64, int64)", merged=True)
def matches(buf, at, words, masks, first, length):
    """Whether the `length` bytes from `at` are those kept in `words` from `first`; `masks` is zero behind them.

    Both are padded to 32 bytes: introducing texts that are not longer take one compare, whatever their length, which
    leaves the processor nothing to guess. Reads up to 31 bytes more than `length`.
    """
    if differs32(buf, at, words, masks, first):
        return False
    index = first
    while length > 32:
        index += 4
        at += 32
        length -= 32
        if differs32(buf, at, words, masks, index):
            return False
    return True


@kernel("boolean(uint8[::1], uint64[::1], uint64[::1], int64, int64, int64, int64[::1], int32[::1])")
def _has_member(buf, words, masks, first, size, envelope, owners, places):
    """Whether map number `envelope` had the member whose introducing text is at `first`."""
    for slot in range(owners.shape[0]):
        if owners[slot] == envelope and matches(buf, places[slot] - 1, words, masks, first, size):
            return True
    return False


@kernel(
    "int64(uint8[::1], int64, int64, boolean, int64[:, ::1], int64[:, ::1], uint64[::1], uint64[::1], "
    "int64[::1], int32[::1], int32[::1], int64[::1], int64[::1])"
)
def line_fault(buf, at, end, values, nodes, fields, words, masks, owners, places, lengths, stack, state):
    """Judge a whole line, compact and valid JSON, for the classes TYPES (values False) or VALUES (values True).

    nodes, fields, words, masks: the plan; node 0 is the envelope. Returns 0 when there is no fault, else -1 with the
    leftmost fault in `state`. With values True the line must have passed TYPES.
    """
    if buf[at] != 0x7B:
        return fail(state, NOT_AN_ITEM, at)
    at += 1
    state[INSTANCE] += 1
    envelope = state[INSTANCE]
    while buf[at] != 0x7D:
        name = at
        stop = string_end(buf, at + 1, end)
        target = np.int64(-1)
        for field in range(nodes[0, FIELDS], nodes[0, FIELDS_END]):
            if matches(buf, at, words, masks, fields[field, TOKEN], fields[field, TOKEN_LENGTH]):
                target = fields[field, TARGET]
        if target < 0:
            return fail(state, NOT_AN_ITEM, name)
        known = enter_name(buf, name + 1, stop - name - 1, envelope, owners, places, lengths, state)
        if known != 0:
            return fail(state, DUPLICATE_NAME if known == 1 else NAMES_RAN_OUT, name)
        at = stop + 2
        if nodes[target, SHAPE] & BARE == 0 or buf[at] != 0x7B:
            return fail(state, WRONG_JSON_TYPE, at)
        at += 1
        state[INSTANCE] += 1
        instance = state[INSTANCE]
        while buf[at] != 0x7D:
            name = at
            stop = string_end(buf, at + 1, end)
            known = enter_name(buf, name + 1, stop - name - 1, instance, owners, places, lengths, state)
            if known != 0:
                return fail(state, DUPLICATE_NAME if known == 1 else NAMES_RAN_OUT, name)
            at = skip_value(buf, stop + 2, end, 0, True, values, owners, places, lengths, stack, state)
            if at < 0:
                return FAULT
            if buf[at] == 0x2C:
                at += 1
        at += 1
        if buf[at] == 0x2C:
            at += 1
    for field in range(nodes[0, FIELDS], nodes[0, FIELDS_END]):
        if fields[field, REQUIRED] != 0:
            first, size = fields[field, TOKEN], fields[field, TOKEN_LENGTH]
            if not _has_member(buf, words, masks, first, size, envelope, owners, places):
                return fail(state, NOT_AN_ITEM, at)
    return np.int64(0)
