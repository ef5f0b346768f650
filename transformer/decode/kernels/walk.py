"""Stage 1: one walk over the lines writes, for every place the schema speaks of, where its value stands.

The walk is driven by the plan's tables and guesses at every member which one comes next: the one that followed last
time. A guess is checked eight bytes at a time against the text that introduces the member, `"age":{"`; only where it
fails is the name read and looked up. No document is built, and nothing is copied.

Longer than other kernels because `walk` is one function on purpose: a call for each line or value would pass some
170 machine words each time (seven for every array), more than the work on a short value.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.envelope import matches
from transformer.decode.kernels.layout import (
    BARE,
    BASE,
    BS,
    C_FIRST,
    C_INSTANCE,
    C_KIND,
    C_NODE,
    C_SLOT,
    C_SPAN,
    CAPACITY,
    CHILD,
    CHILD_LEVEL,
    CLOSED,
    CONSUMES,
    DROPPED,
    FALSE,
    FAULT_AT,
    FAULT_CODE,
    FIELDS,
    FIELDS_END,
    FLOOR,
    IMAGE,
    INSTANCE,
    KEPT,
    KEYS,
    LEVEL,
    MAX_DEPTH,
    NAMES,
    NAMES_FULL,
    NOT_CONSUMED,
    NS,
    NULL,
    REQUIRED,
    S_ESCAPED,
    SHAPE,
    SPANS_FULL,
    SS,
    TABLE,
    TABLE_MASK,
    TAKES_DICT,
    TAKES_FIELDS,
    TAKES_LIST,
    TARGET,
    TOKEN,
    TOKEN_LENGTH,
    TRUE,
    U_NAME,
    U_NAME_LENGTH,
    U_ROW,
    U_VALUE,
    U_VALUE_LENGTH,
    UNMAPPED,
    UNMAPPED_FULL,
    W_ITEM,
    W_TEXT,
    B,
    L,
    M,
    N,
    S,
)  # fmt: skip
from transformer.decode.kernels.primitives import load64
from transformer.decode.kernels.strings import FAULT, QUOTE, hash_bytes, plain_end, string_end
from transformer.decode.kernels.typed import (
    BOOL_OPEN,
    BS_OPEN,
    FALSE_TEXT,
    L_OPEN,
    LOW8,
    LOW16,
    LOW24,
    LOW32,
    LOW40,
    LOW48,
    M_OPEN,
    NAMES_RAN_OUT,
    NS_OPEN,
    NULL_OPEN,
    SS_OPEN,
    TRUE_TEXT,
    enter_name,
    skip_value,
    word,
)  # fmt: skip

VALUE_OPEN = word(b'{"')
# S, N and B begin alike: a letter, then ":" in quotes.
QUOTED_MASK, QUOTED_OPEN = np.uint64(0xFFFFFF00), word(b'\0":"')
_TAGS = np.zeros(256, np.uint8)
_TAGS[[0x53, 0x4E, 0x42]] = S, N, B
QUOTED_TAGS = _TAGS
# The end of a value and the quote of the next name.
NEXT_MEMBER = word(b'},"')

# What surrounds the walk: a map with known members, a map read as a dict, a list.
IN_MAP, IN_DICT, IN_LIST = 0, 1, 2
# How many guesses are made before a name is looked up.
LOOK_AHEAD = 4
# What comes next.
NAME, VALUE, AFTER, NEXT_LINE = 0, 1, 2, 3
PLAN = "int64[:, ::1], int64[:, ::1], uint64[::1], uint64[::1], int32[::1], int64[::1]"
SPANS = "int64[::1], int64[::1], int64[::1], int32[::1], int32[::1], uint8[::1], int32[::1]"
SCRATCH = (
    "int64[::1], int32[::1], int32[::1], int64[::1], int64[:, ::1], int64[::1], "
    "int32[:, ::1], int32[:, ::1], int64[::1]"
)


@kernel("int64(uint8[::1], int64, int64, int64, int64[:, ::1], int64[:, ::1], uint64[::1], uint64[::1], int32[::1])")
def look_up(buf, quote, length, node, nodes, fields, words, masks, table):
    """The field of `node` whose introducing text, with a name of `length` bytes, stands at `quote`; -1 if none does."""
    mask = nodes[node, TABLE_MASK]
    slot = np.int64(hash_bytes(buf, quote + 1, length, np.uint64(0)) & np.uint64(mask))
    while True:
        field = np.int64(table[nodes[node, TABLE] + slot])
        if field < 0 or matches(buf, quote, words, masks, fields[field, TOKEN], fields[field, TOKEN_LENGTH]):
            return field
        slot = (slot + 1) & mask


@kernel(
    "int64(uint8[::1], int64, int64, int64[:, ::1], int64, uint8, int64[::1], int64[::1], "
    "int32[::1], int32[::1], uint8[::1], int64[::1])"
)
def _walk_set(buf, at, end, nodes, node, kind, caps, counts, start, length, tag, state):
    """Enter the elements of a set as records of the child level; `at` is behind the bracket.

    Returns the position behind the closing bracket, with the number of elements in state[FAULT_AT]; or -1.
    """
    state[FAULT_AT] = 0
    if buf[at] == 0x5D:
        return at + 1
    level = nodes[node, CHILD_LEVEL]
    base = nodes[nodes[node, CHILD], BASE]
    while True:
        if buf[at] != QUOTE:
            return FAULT
        if counts[level] >= caps[level]:
            state[CAPACITY], state[FAULT_AT] = SPANS_FULL, level
            return FAULT
        index = base + counts[level]
        counts[level] += 1
        at += 1
        stop = plain_end(buf, at, end)
        tag[index] = S if kind == SS else (N if kind == NS else B)
        if stop < 0:
            stop = string_end(buf, at, end)
            if stop < 0 or kind != SS:
                return FAULT
            tag[index] = S_ESCAPED
        start[index] = at
        length[index] = stop - at
        state[FAULT_AT] += 1
        at = stop + 2
        if buf[stop + 1] == 0x5D:
            return at
        if buf[stop + 1] != 0x2C:
            return FAULT


@kernel(f"int64(uint8[::1], int32[::1], int32[::1], uint8[::1], int64, int64, boolean, {PLAN}, {SPANS}, {SCRATCH})")
def walk(
    buf, starts, ends, odd, item, items, canonical,
    nodes, fields, words, masks, table, predicted,
    caps, counts, saved, start, length, tag, extent,
    owners, places, lengths, stack, contexts, seen, unmapped, rows, state,
):  # fmt: skip
    """Walk the compact lines `item` to `items` and enter the spans of each as one more record of every level it has.

    starts, ends, odd: the line table of `lines.index_lines`. canonical: whether the lines went through `compact`; if
    not, odd lines and unusual escapes end the walk.
    nodes, fields, words, masks, table: the plan. predicted: int64, what followed last time; changes speed only.
    caps, counts: int64 per level, records there is room for, records entered; saved: the counts before the last line.
    start, length (int32), tag (uint8), extent (int32, number of elements): the span tables. unmapped: int32 rows
    (U_ROW …) of attributes to be kept. rows: int32 (W_ITEM, W_TEXT), of each row its line and where its text begins.
    owners, places, lengths: the name table; stack, contexts, seen: scratch; state: see `layout`.
    Returns `items`, or the first line that is not taken: it has a fault, needs the careful look, or state[CAPACITY]
    tells what ran full. What was entered for that line is for `locate` to undo. Reads up to PADDING bytes past a line.
    """
    fields_total = fields.shape[0]
    levels = counts.shape[0]
    name_at = np.int64(0)
    name_length = np.int64(0)
    value_at = np.int64(0)
    target = np.int64(0)
    mode = np.int64(NEXT_LINE)
    while True:
        if mode == NEXT_LINE:
            if item >= items:
                return item
            for level in range(levels):
                saved[level] = counts[level]
            state[KEPT] = state[UNMAPPED]
            if odd[item] != 0 and not canonical:
                return item
            state[FLOOR] = state[INSTANCE]
            state[NAMES] = 0
            at, end = np.int64(starts[item]), np.int64(ends[item])
            if buf[at] != 0x7B:
                return item
            rows[counts[0], W_ITEM] = item
            rows[counts[0], W_TEXT] = at
            at += 1
            counts[0] += 1
            state[INSTANCE] += 1
            instance = state[INSTANCE]
            kind = np.int64(IN_MAP)
            node = np.int64(0)
            span = np.int64(-1)
            first = np.int64(0)
            image = False
            consuming = np.int64(0)
            depth = np.int64(0)
            containers = np.int64(0)
            slot = fields_total
            loose = False
            mode = np.int64(AFTER if buf[at] == 0x7D else NAME)
        if mode == NAME:
            field = np.int64(-1)
            if kind == IN_MAP:
                # An optional attribute that is absent is passed over: what followed it may come now.
                field = predicted[slot]
                tries = 1
                while field >= 0 and not matches(
                    buf, at, words, masks, fields[field, TOKEN], fields[field, TOKEN_LENGTH]
                ):
                    field = predicted[field] if tries < LOOK_AHEAD else np.int64(-1)
                    tries += 1
            if field < 0:
                if buf[at] != QUOTE:
                    return item
                stop = string_end(buf, at + 1, end)
                if stop < 0:
                    return item
                if nodes[node, TABLE_MASK] >= 0:
                    field = look_up(buf, at, stop - at - 1, node, nodes, fields, words, masks, table)
                if field < 0:
                    if nodes[node, SHAPE] & CLOSED != 0 or buf[stop + 1] != 0x3A:
                        return item
                    if not canonical and plain_end(buf, at + 1, end) < 0:
                        return item
                    known = enter_name(buf, at + 1, stop - at - 1, instance, owners, places, lengths, state)
                    if known != 0:
                        if known == 2:
                            state[CAPACITY] = NAMES_FULL
                        return item
                    if kind == IN_DICT:
                        level = nodes[node, CHILD_LEVEL]
                        if counts[level] >= caps[level]:
                            state[CAPACITY], state[FAULT_AT] = SPANS_FULL, level
                            return item
                        key = nodes[nodes[node, KEYS], BASE] + counts[level]
                        counts[level] += 1
                        start[key] = at + 1
                        length[key] = stop - at - 1
                        tag[key] = S_ESCAPED if canonical else S
                        if (load64(buf, stop + 2) & LOW16) != VALUE_OPEN:
                            return item
                        target = nodes[node, CHILD]
                        at = stop + 4
                        mode = np.int64(VALUE)
                    else:
                        if image:
                            name_at = at + 1
                            name_length = stop - at - 1
                            value_at = stop + 2
                        at = skip_value(
                            buf, stop + 2, end, containers, canonical, True, owners, places, lengths, stack, state
                        )
                        if at < 0:
                            if state[FAULT_CODE] == NAMES_RAN_OUT:
                                state[CAPACITY] = NAMES_FULL
                            return item
                        loose = loose or consuming == 0
                        mode = np.int64(AFTER)
                elif kind == IN_MAP:
                    if predicted[field] < 0 and predicted[slot] != field:
                        predicted[field] = predicted[slot]
                    predicted[slot] = field
            if field >= 0:
                if seen[field] == instance:
                    return item
                seen[field] = instance
                slot = field
                target = fields[field, TARGET]
                shape = nodes[target, SHAPE]
                introduced = at
                at += fields[field, TOKEN_LENGTH]
                if shape & DROPPED != 0:
                    at = skip_value(
                        buf, at - 2, end, containers, canonical, True, owners, places, lengths, stack, state
                    )
                    if at < 0:
                        if state[FAULT_CODE] == NAMES_RAN_OUT:
                            state[CAPACITY] = NAMES_FULL
                        return item
                    mode = np.int64(AFTER)
                elif shape & BARE != 0:
                    if buf[at] != 0x7B:
                        return item
                    mode = np.int64(VALUE)
                else:
                    if image:
                        name_at = introduced + 1
                        value_at = at - 2
                        name_length = value_at - name_at - 2
                        loose = shape & NOT_CONSUMED != 0
                    mode = np.int64(VALUE)
        if mode == VALUE:
            index = nodes[target, BASE] + counts[nodes[target, LEVEL]] - 1
            shape = nodes[target, SHAPE]
            text = load64(buf, at)
            mode = np.int64(AFTER)
            opens = np.int64(-1)
            closed = False
            if shape & BARE != 0:
                opens = np.int64(IN_MAP)
                start[index] = at
                tag[index] = M
                at += 1
            elif (text & QUOTED_MASK) == QUOTED_OPEN and QUOTED_TAGS[np.int64(text & LOW8)] != 0:
                # S, N and B alike: three branches would be three guesses.
                held = QUOTED_TAGS[np.int64(text & LOW8)]
                at += 4
                stop = plain_end(buf, at, end)
                if stop < 0:
                    stop = string_end(buf, at, end)
                    if stop < 0 or held != S:
                        return item
                    held = np.uint8(S_ESCAPED)
                tag[index] = held
                start[index] = at
                length[index] = stop - at
                at = stop + 1
                if kind == IN_MAP and not (image and loose) and (load64(buf, at) & LOW24) == NEXT_MEMBER:
                    at += 2
                    mode = np.int64(NAME)
                    continue
            elif (text & LOW48) == BOOL_OPEN:
                at += 6
                start[index] = at
                inner = load64(buf, at)
                if (inner & LOW32) == TRUE_TEXT:
                    tag[index] = TRUE
                    length[index] = 4
                elif (inner & LOW40) == FALSE_TEXT:
                    tag[index] = FALSE
                    length[index] = 5
                else:
                    return item
                at += length[index]
            elif (text & LOW48) == NULL_OPEN:
                at += 6
                if (load64(buf, at) & LOW32) != TRUE_TEXT:
                    return item
                start[index] = at
                length[index] = 4
                tag[index] = NULL
                at += 4
            elif (text & LOW32) == M_OPEN:
                if containers >= MAX_DEPTH:
                    return item
                start[index] = at + 3
                tag[index] = M
                if shape & (TAKES_FIELDS | TAKES_DICT) != 0:
                    opens = np.int64(IN_DICT if shape & TAKES_DICT != 0 else IN_MAP)
                    containers += 1
                    at += 4
                else:
                    closed = True
            elif (text & LOW32) == L_OPEN:
                if containers >= MAX_DEPTH:
                    return item
                start[index] = at + 3
                tag[index] = L
                if shape & TAKES_LIST != 0:
                    opens = np.int64(IN_LIST)
                    containers += 1
                    at += 4
                else:
                    closed = True
            elif (text & LOW40) == SS_OPEN or (text & LOW40) == NS_OPEN or (text & LOW40) == BS_OPEN:
                tag[index] = SS if (text & LOW40) == SS_OPEN else (NS if (text & LOW40) == NS_OPEN else BS)
                start[index] = at + 4
                if shape & TAKES_LIST != 0:
                    at = _walk_set(buf, at + 5, end, nodes, target, tag[index], caps, counts, start, length, tag, state)
                    if at < 0:
                        return item
                    extent[index] = state[FAULT_AT]
                    length[index] = at - start[index]
                else:
                    closed = True
            else:
                return item
            if closed:
                at = skip_value(
                    buf, start[index] - (5 if tag[index] == M or tag[index] == L else 6), end, containers, canonical,
                    True, owners, places, lengths, stack, state,
                )  # fmt: skip
                if at < 0:
                    if state[FAULT_CODE] == NAMES_RAN_OUT:
                        state[CAPACITY] = NAMES_FULL
                    return item
                length[index] = at - 1 - start[index]
            elif opens >= 0:
                contexts[depth, C_KIND] = kind
                contexts[depth, C_NODE] = node
                contexts[depth, C_SPAN] = span
                contexts[depth, C_INSTANCE] = instance
                contexts[depth, C_FIRST] = first
                contexts[depth, C_SLOT] = slot
                depth += 1
                kind = opens
                node = target
                span = index
                image = shape & IMAGE != 0
                if shape & CONSUMES != 0:
                    consuming += 1
                if kind == IN_LIST:
                    level = nodes[node, CHILD_LEVEL]
                    first = counts[level]
                    if buf[at] != 0x5D:
                        if (load64(buf, at) & LOW16) != VALUE_OPEN:
                            return item
                        if counts[level] >= caps[level]:
                            state[CAPACITY], state[FAULT_AT] = SPANS_FULL, level
                            return item
                        counts[level] += 1
                        target = nodes[node, CHILD]
                        at += 2
                        mode = np.int64(VALUE)
                else:
                    state[INSTANCE] += 1
                    instance = state[INSTANCE]
                    slot = fields_total + node
                    if kind == IN_DICT:
                        first = counts[nodes[node, CHILD_LEVEL]]
                    if buf[at] != 0x7D:
                        mode = np.int64(NAME)
                continue
            else:
                if buf[at] != 0x7D:
                    return item
                at += 1
        if mode == AFTER:
            byte = buf[at]
            if kind == IN_LIST:
                level = nodes[node, CHILD_LEVEL]
                if byte == 0x2C:
                    if (load64(buf, at + 1) & LOW16) != VALUE_OPEN:
                        return item
                    if counts[level] >= caps[level]:
                        state[CAPACITY], state[FAULT_AT] = SPANS_FULL, level
                        return item
                    counts[level] += 1
                    target = nodes[node, CHILD]
                    at += 3
                    mode = np.int64(VALUE)
                    continue
                if byte != 0x5D:
                    return item
                extent[span] = counts[level] - first
            else:
                if loose and image:
                    entry = state[UNMAPPED]
                    if entry >= unmapped.shape[0]:
                        state[CAPACITY] = UNMAPPED_FULL
                        return item
                    unmapped[entry, U_ROW] = counts[0] - 1
                    unmapped[entry, U_NAME] = name_at
                    unmapped[entry, U_NAME_LENGTH] = name_length
                    unmapped[entry, U_VALUE] = value_at
                    unmapped[entry, U_VALUE_LENGTH] = at - value_at
                    state[UNMAPPED] = entry + 1
                    loose = False
                if byte == 0x2C:
                    at += 1
                    mode = np.int64(NAME)
                    continue
                if byte != 0x7D:
                    return item
                if kind == IN_DICT:
                    extent[span] = counts[nodes[node, CHILD_LEVEL]] - first
            at += 1
            if depth == 0:
                if at != end:
                    return item
                for field in range(nodes[0, FIELDS], nodes[0, FIELDS_END]):
                    if fields[field, REQUIRED] != 0 and seen[field] != instance:
                        return item
                item += 1
                mode = np.int64(NEXT_LINE)
                continue
            length[span] = at - start[span]
            shape = nodes[node, SHAPE]
            if shape & CONSUMES != 0:
                consuming -= 1
            depth -= 1
            kind = contexts[depth, C_KIND]
            node = contexts[depth, C_NODE]
            image = nodes[node, SHAPE] & IMAGE != 0
            span = contexts[depth, C_SPAN]
            instance = contexts[depth, C_INSTANCE]
            first = contexts[depth, C_FIRST]
            slot = contexts[depth, C_SLOT]
            if shape & BARE == 0:
                containers -= 1
                if buf[at] != 0x7D:
                    return item
                at += 1
