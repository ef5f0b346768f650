"""Every line is settled: walked as it is, or rejected with the exact place of its fault, or rewritten and walked then.

`walk` takes the lines that are as AWS writes them. What it does not take is judged here class by class, in the order
of the data contract; a line that is valid all the same is rewritten compactly behind the block and walked again.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.envelope import line_fault
from transformer.decode.kernels.grammar import INVALID_UTF8, compact, json_fault, original_position, utf8_fault
from transformer.decode.kernels.layout import (
    BASE,
    CAPACITY,
    ENOUGH,
    FAULT_AT,
    FAULT_CODE,
    FLOOR,
    INSTANCE,
    KEPT,
    LEVEL,
    NAMES,
    NAMES_FULL,
    R_CODE,
    R_ITEM,
    R_OFFSET,
    REJECTS,
    SPARE,
    SPARE_END,
    SPARE_FULL,
    UNMAPPED,
    W_ITEM,
)
from transformer.decode.kernels.primitives import PADDING
from transformer.decode.kernels.strings import FAULT
from transformer.decode.kernels.typed import NAMES_RAN_OUT
from transformer.decode.kernels.walk import PLAN, SCRATCH, SPANS, walk


@kernel("void(int64[:, ::1], int64[::1], int64[::1], uint8[::1], int64[::1])")
def _undo(nodes, counts, saved, tag, state):
    """Take back every span and every unmapped attribute entered since the counts were `saved`."""
    for node in range(nodes.shape[0]):
        base, level = nodes[node, BASE], nodes[node, LEVEL]
        for record in range(saved[level], counts[level]):
            tag[base + record] = 0
    for level in range(counts.shape[0]):
        counts[level] = saved[level]
    state[UNMAPPED] = state[KEPT]


@kernel(
    "int64(uint8[::1], int64, int64, int64[:, ::1], int64[:, ::1], uint64[::1], uint64[::1], "
    "int64[::1], int32[::1], int32[::1], int64[::1], uint8[::1], int64[::1])"
)
def settle(buf, at, end, nodes, fields, words, masks, owners, places, lengths, stack, bits, state):
    """Judge the line buf[at:end] for the classes UTF8, JSON, TYPES and VALUES, in this order.

    Returns the position behind its compact copy, which begins at state[SPARE]; or -1 with FAULT_CODE and FAULT_AT (an
    offset in the line), or with state[CAPACITY] when there is no room. bits: uint8, (end - at) // 8 + 1 long.
    """
    fault = utf8_fault(buf, at, end)
    if fault >= 0:
        state[FAULT_CODE], state[FAULT_AT] = INVALID_UTF8, fault - at
        return FAULT
    if json_fault(buf, at, end, bits, state[FAULT_CODE:]):
        state[FAULT_AT] -= at
        return FAULT
    copy = state[SPARE]
    if copy + (end - at) + 2 * PADDING > state[SPARE_END]:
        state[CAPACITY] = SPARE_FULL
        return FAULT
    behind = compact(buf, at, end, copy)
    buf[behind : behind + PADDING] = 0
    for values in range(2):
        state[FLOOR] = state[INSTANCE]
        state[NAMES] = 0
        if line_fault(
            buf, copy, behind, values == 1, nodes, fields, words, masks, owners, places, lengths, stack, state
        ) < 0:  # fmt: skip
            if state[FAULT_CODE] == NAMES_RAN_OUT:
                state[CAPACITY] = NAMES_FULL
            else:
                state[FAULT_AT] = original_position(buf, at, copy, state[FAULT_AT]) - at
            return FAULT
    return behind


@kernel(
    f"int64(uint8[::1], int32[::1], int32[::1], uint8[::1], int64, int64, {PLAN}, {SPANS}, {SCRATCH}, "
    "int32[:, ::1], uint8[::1], int32[::1], int32[::1])"
)
def locate(
    buf, starts, ends, odd, item, items,
    nodes, fields, words, masks, table, predicted,
    caps, counts, saved, start, length, tag, extent,
    owners, places, lengths, stack, contexts, seen, unmapped, rows, state,
    rejects, bits, copy_starts, copy_ends,
):  # fmt: skip
    """Settle the lines `item` to `items` of the line table, in order.

    rejects: int32 (R_ITEM, R_CODE, R_OFFSET) per line rejected, room for all lines. copy_starts, copy_ends: int32,
    scratch of length 1. The rest as for `walk` and `settle`.
    Returns the first item that was not settled: `items`, or the one at which state[CAPACITY] tells what ran full.
    A reject code of 0 means that a line passed every judgement and still could not be walked: a bug.
    """
    state[CAPACITY] = ENOUGH
    while True:
        item = walk(
            buf, starts, ends, odd, item, items, False, nodes, fields, words, masks, table, predicted,
            caps, counts, saved, start, length, tag, extent,
            owners, places, lengths, stack, contexts, seen, unmapped, rows, state,
        )  # fmt: skip
        if item >= items:
            return item
        _undo(nodes, counts, saved, tag, state)
        if state[CAPACITY] != ENOUGH:
            return item
        at = np.int64(starts[item])
        behind = settle(
            buf, at, np.int64(ends[item]), nodes, fields, words, masks, owners, places, lengths, stack, bits, state
        )  # fmt: skip
        if behind >= 0:
            copy_starts[0], copy_ends[0] = state[SPARE], behind
            state[FAULT_CODE], state[FAULT_AT] = 0, 0
            taken = walk(
                buf, copy_starts, copy_ends, odd, 0, 1, True, nodes, fields, words, masks, table, predicted,
                caps, counts, saved, start, length, tag, extent,
                owners, places, lengths, stack, contexts, seen, unmapped, rows, state,
            )  # fmt: skip
            if taken == 1:
                rows[counts[0] - 1, W_ITEM] = item
                state[SPARE] = behind + PADDING
                item += 1
                continue
            _undo(nodes, counts, saved, tag, state)
            state[FAULT_CODE] = 0
        if state[CAPACITY] != ENOUGH:
            return item
        entry = state[REJECTS]
        rejects[entry, R_ITEM] = item
        rejects[entry, R_CODE] = state[FAULT_CODE]
        rejects[entry, R_OFFSET] = state[FAULT_AT]
        state[REJECTS] = entry + 1
        item += 1
