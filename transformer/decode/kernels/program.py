"""Stage 2 in one call: all columns of a step, written one behind the other into one buffer.

A *program* is a table of operations, one for each part of the Arrow schema in the order of Arrow's record batch message
(depth first), made once by `decode.program`. Calling a function per column from Python, allocating its buffers and
describing them to Arrow took a quarter of the time of decoding `orders`; this takes one call for each step.

Longer than other kernels because the case distinction stands once, in one function, next to the words that it reads.

Only what goes well is done here. A column with a fault, or with something rare (escapes in a number, a set of hundreds
of elements, texts that outgrow their scratch), is *failed*: it is left empty and made by `decode.arrays`, which knows
what to say about it. Both give the same rows.
"""

from __future__ import annotations

import numpy as np

from transformer.decode.kernels import layout
from transformer.decode.kernels.columns import (
    LONGEST_ESCAPED,
    NULLS,
    look_over,
    survey,
    write_bools,
    write_floats,
    write_offsets,
    write_scaled,
)
from transformer.decode.kernels.compiler import kernel
from transformer.decode.kernels.dates import write_instants, write_uuids
from transformer.decode.kernels.layout import BASE, LEVEL, NULL, U_NAME_LENGTH, U_ROW
from transformer.decode.kernels.members import all_known, sort_entries, sort_fixed, sort_floats
from transformer.decode.kernels.primitives import store64
from transformer.decode.kernels.render import LONGEST_NUMBER
from transformer.decode.kernels.strings import FAULT
from transformer.decode.kernels.texts import SCRATCH, sort_unmapped, write_raw, write_texts, write_unmapped

# What an operation does.
CHECK, DEFAULT, STRUCT, LIST, MAP, TEXT, ENUM, BOOL, SCALED, FLOAT, INSTANT, UUID, FILL, UNMAPPED, RAW = range(15)

# Columns of the operation table (int64).
OP = 0
COLUMN = 1  # which column of the batch it belongs to
NODE = 2  # whose spans it reads
ALLOWED = 3  # tags that may come, as bits
REQUIRED = 4  # whether MISSING and NULL are faults
WIDTH = 5  # bytes of a fixed-size value
ARGUMENT = 6  # SCALED: scale. TEXT, RAW, UNMAPPED: drop node. INSTANT: ticks per second. FILL: the value.
TABLE = 7  # SCALED: row of `limits`. ENUM: row of `enums`. DEFAULT: the node whose spans it makes.
LOW, HIGH = 8, 9  # INSTANT: the lowest and highest second. DEFAULT: place and length of the default's text.
PARENT = 10  # the node of the list whose elements these are, -1 if there is none: elements of sets are sorted
SIGNED = 11  # how fixed-size values compare
NODES, BUFFERS = 12, 13  # how many entries of the message it makes
OP_WIDTH = 14
# How ARGUMENT of LIST and MAP tells what is to be sorted before the elements are written.
KEEP_ORDER, SORT_TEXTS, SORT_KEYS, CHECK_KEYS = 0, 1, 2, 3
UNSORTABLE = 2  # SIGNED of values that have no order here

ALIGNMENT = 64  # of buffers, as Arrow recommends
SPAN_TABLES = "int32[::1], int32[::1], uint8[::1], int32[::1]"


@kernel("int64(int64)", merged=True)
def aligned(at):
    """The next multiple of ALIGNMENT."""
    return (at + 63) & -64


@kernel("boolean(int32[::1], uint8[::1], int64, int64, int64)")
def _holds_sets(extent, tag, base, count, which):
    """Whether a list among the spans whose tag is in `which` has more than one element."""
    for record in range(base, base + count):
        if (which >> np.int64(tag[record])) & 1 != 0 and extent[record] > 1:
            return True
    return False


@kernel("void(int32[::1], int32[::1], uint8[::1], int64, int64, int64, int64, int64, uint8)")
def _fill_default(start, length, tag, base, to, count, place, size, held):
    """Copy the spans from `base` to `to`, with those of a default where the value is missing or NULL."""
    for record in range(count):
        gone = tag[base + record] <= NULL
        start[to + record] = place if gone else start[base + record]
        length[to + record] = size if gone else length[base + record]
        tag[to + record] = held if gone else tag[base + record]


@kernel("void(uint8[::1], int64, int64, int64, int64)")
def _fill(out, at, count, width, value):
    """Write `count` times the same value of 1 or 8 bytes."""
    for record in range(count):
        if width == 8:
            store64(out, at + 8 * record, np.uint64(value))
        else:
            out[at + record] = value


@kernel("void(int32[:, ::1], int64, int32[::1], int64)")
def _count_entries(unmapped, entries, offsets, count):
    """The offsets of the unmapped attributes of `count` rows, which the table holds in row order."""
    entry = 0
    for record in range(count):
        offsets[record] = entry
        while entry < entries and unmapped[entry, U_ROW] == record:
            entry += 1
    offsets[count] = entry


@kernel("void(int64[:, ::1], int64[::1], int64, int64)")
def _describe(table, filled, one, other):
    """Add an entry to the nodes (length, nulls) or buffers (offset, length) of the message."""
    table[filled[0], 0] = one
    table[filled[0], 1] = other
    filled[0] += 1


@kernel(
    f"int64(uint8[::1], int64[:, ::1], uint64[:, :, ::1], int64[:, ::1], int64[::1], {SPAN_TABLES}, "
    "int32[:, ::1], int64, int64, int64[:, ::1], int32[::1], uint8[::1], "
    f"{SCRATCH}, uint64[::1], uint8[::1], int32[:, ::1], int64[::1], "
    "uint8[::1], int32[::1], int64[::1], float64[::1], int64, int64[:, ::1], int64[:, ::1], uint8[::1])"
)
def write_columns(
    buf, ops, limits, nodes, counts, start, length, tag, extent,
    unmapped, entries, defaults, enums, slots, enum_names,
    members, pieces, drops, names, parts, limbs, text, faults, counters,
    out, out32, out64, out_floats, body, message_nodes, message_buffers, failed,
):  # fmt: skip
    """Run a program over the located spans; returns the end of what was written, or -1 when something is too small.

    ops, limits (uint64, n x 2 x 4), enums, slots, enum_names: the program. nodes: the plan's. counts, start, length,
    tag, extent, unmapped: as `walk` left them; spans of set elements and map entries are put in order. entries: how
    many attributes are unmapped. defaults: where the texts of the defaults stand in `buf`.
    members … parts, limbs, text: scratch of the column kernels; faults: room for as many as the largest level has
    records; counters: int64, 8 long.
    out, out32, out64, out_floats: one buffer seen as four types. body: where the first column begins in it, a multiple
    of ALIGNMENT. message_nodes, message_buffers: (length, nulls) and (offset from `body`, length) of every part.
    failed: per column, becomes 1 where it could not be written.
    Nothing is kept from a call that returned -1: out, members and pieces may be enlarged and the call repeated.
    """
    to = body
    node_count, buffer_count, result, found = counters[0:1], counters[1:2], counters[2:5], counters[5:6]
    node_count[0] = 0
    buffer_count[0] = 0
    for column in range(failed.shape[0]):
        failed[column] = 0
    for row in range(ops.shape[0]):
        op, column, node = ops[row, OP], ops[row, COLUMN], ops[row, NODE]
        base, count = nodes[node, BASE], counts[nodes[node, LEVEL]]
        next_nodes, next_buffers = node_count[0] + ops[row, NODES], buffer_count[0] + ops[row, BUFFERS]
        first_buffer = to
        ok = failed[column] == 0
        argument = ops[row, ARGUMENT]
        if ok and to + 33 * count + 1024 > out.shape[0]:
            return FAULT
        if ok and op == DEFAULT:
            goal = nodes[ops[row, TABLE], BASE]
            _fill_default(
                start, length, tag, base, goal, count, defaults + ops[row, LOW], ops[row, HIGH], np.uint8(argument)
            )
        elif ok and op < FILL:
            nulls = look_over(tag, base, count, ops[row, ALLOWED], ops[row, REQUIRED] != 0, out, to)
            if nulls < 0:
                wrong = survey(
                    length, tag, base, count, ops[row, ALLOWED], ops[row, REQUIRED] != 0, 0, out[to:], faults, result
                )
                nulls = result[NULLS]
                ok = wrong == 0 and (op <= ENUM or result[LONGEST_ESCAPED] + 128 <= text.shape[0])
            if ok and op == LIST:
                if argument == SORT_TEXTS:
                    child = nodes[nodes[node, layout.CHILD], BASE]
                    ok = sort_entries(buf, start, length, tag, extent, base, count, child, FAULT, ops[row, ALLOWED])
            elif ok and op == MAP:
                keys = nodes[nodes[node, layout.KEYS], BASE]
                child = nodes[nodes[node, layout.CHILD], BASE] if argument == SORT_KEYS else np.int64(-2)
                ok = sort_entries(buf, start, length, tag, extent, base, count, keys, child, ops[row, ALLOWED])
            if ok and op == STRUCT:
                _describe(message_nodes, node_count, count, 0)
                _describe(message_buffers, buffer_count, to - body, 0)
            elif ok and (op == LIST or op == MAP):
                total = write_offsets(extent, tag, base, count, ops[row, ALLOWED], out32[to >> 2 :])
                _describe(message_nodes, node_count, count, 0)
                _describe(message_buffers, buffer_count, to - body, 0)
                _describe(message_buffers, buffer_count, to - body, 4 * count + 4)
                to = aligned(to + 4 * count + 4)
                if op == MAP:
                    _describe(message_nodes, node_count, total, 0)
                    _describe(message_buffers, buffer_count, to - body, 0)
            elif ok and op != CHECK:
                bits = (count + 7) >> 3 if nulls > 0 else 0
                at = aligned(to + bits)
                size = ops[row, WIDTH] * count
                bad = np.int64(0)
                if op == SCALED:
                    bad = write_scaled(
                        buf, start, length, tag, base, count, argument, limits[ops[row, TABLE]], ops[row, WIDTH],
                        out[at:], parts, limbs, text, faults,
                    )  # fmt: skip
                elif op == FLOAT:
                    bad = write_floats(
                        buf, start, length, tag, base, count, out_floats[at >> 3 :], parts, text, faults
                    )  # fmt: skip
                elif op == BOOL:
                    size = (count + 7) >> 3
                    write_bools(tag, base, count, out[at:])
                elif op == UUID:
                    bad = write_uuids(buf, start, length, tag, base, count, out[at:], text, faults)
                elif op == INSTANT:
                    bad = write_instants(
                        buf, start, length, tag, base, count, argument, ops[row, LOW], ops[row, HIGH],
                        out64[at >> 3 :], parts, text, faults,
                    )  # fmt: skip
                else:
                    offsets = at
                    at = aligned(at + 4 * count + 4)
                    if at + LONGEST_NUMBER > out.shape[0]:
                        return FAULT
                    size = write_texts(
                        buf, start, length, tag, base, count, argument, out32[offsets >> 2 :], out[at:],
                        members, pieces, drops, names, parts, faults, found,
                    )  # fmt: skip
                    if size < 0:
                        return FAULT
                    bad = found[0]
                    if op == ENUM and bad == 0:
                        known = all_known(
                            tag, base, count, out32[offsets >> 2 :], out[at:], enums, ops[row, TABLE], slots, enum_names
                        )
                        bad = np.int64(0 if known else 1)
                parent = ops[row, PARENT]
                if bad == 0 and parent >= 0 and op != TEXT:
                    lists, many = nodes[parent, BASE], counts[nodes[parent, LEVEL]]
                    if _holds_sets(extent, tag, lists, many, layout.SETS):
                        if op == FLOAT:
                            bad = sort_floats(extent, tag, lists, many, out_floats[at >> 3 :])
                        elif ops[row, SIGNED] == UNSORTABLE:
                            bad = np.int64(1)
                        else:
                            bad = sort_fixed(
                                extent, tag, lists, many, out[at:], ops[row, WIDTH], ops[row, SIGNED] != 0
                            )  # fmt: skip
                ok = bad == 0
                if ok:
                    _describe(message_nodes, node_count, count, nulls)
                    _describe(message_buffers, buffer_count, to - body, bits)
                    if op == TEXT or op == ENUM:
                        _describe(message_buffers, buffer_count, offsets - body, 4 * count + 4)
                    _describe(message_buffers, buffer_count, at - body, size)
                    to = aligned(at + size)
        elif op == FILL:
            _fill(out, to, count, ops[row, WIDTH], argument)
            _describe(message_nodes, node_count, count, 0)
            _describe(message_buffers, buffer_count, to - body, 0)
            _describe(message_buffers, buffer_count, to - body, ops[row, WIDTH] * count)
            to = aligned(to + ops[row, WIDTH] * count)
        elif op == RAW:
            at = aligned(to + 4 * count + 4)
            if at + LONGEST_NUMBER > out.shape[0]:
                return FAULT
            size = write_raw(
                buf, start, tag, base, count, argument, out32[to >> 2 :], out[at:], members, pieces, drops, names, parts
            )  # fmt: skip
            if size < 0:
                return FAULT
            _describe(message_nodes, node_count, count, 0)
            _describe(message_buffers, buffer_count, to - body, 0)
            _describe(message_buffers, buffer_count, to - body, 4 * count + 4)
            _describe(message_buffers, buffer_count, at - body, size)
            to = aligned(at + size)
        elif op == UNMAPPED:
            _count_entries(unmapped, entries, out32[to >> 2 :], count)
            _describe(message_nodes, node_count, count, 0)
            _describe(message_nodes, node_count, entries, 0)
            _describe(message_buffers, buffer_count, to - body, 0)
            _describe(message_buffers, buffer_count, to - body, 4 * count + 4)
            _describe(message_buffers, buffer_count, to - body, 0)
            name_offsets = aligned(to + 4 * count + 4)
            value_offsets = aligned(name_offsets + 4 * entries + 4)
            name_at = aligned(value_offsets + 4 * entries + 4)
            name_room = np.int64(LONGEST_NUMBER + 64)
            for entry in range(entries):
                name_room += unmapped[entry, U_NAME_LENGTH]
            value_at = aligned(name_at + name_room)
            if value_at + LONGEST_NUMBER > out.shape[0]:
                return FAULT
            sort_unmapped(buf, unmapped, entries)
            if write_unmapped(
                buf, unmapped, entries, argument, out32[name_offsets >> 2 :], out[name_at:value_at],
                out32[value_offsets >> 2 :], out[value_at:], members, pieces, drops, names, parts,
            ) < 0:  # fmt: skip
                return FAULT
            name_size = np.int64(out32[(name_offsets >> 2) + entries])
            value_size = np.int64(out32[(value_offsets >> 2) + entries])
            for offsets, at, size in ((name_offsets, name_at, name_size), (value_offsets, value_at, value_size)):
                _describe(message_nodes, node_count, entries, 0)
                _describe(message_buffers, buffer_count, at - body, 0)
                _describe(message_buffers, buffer_count, offsets - body, 4 * entries + 4)
                _describe(message_buffers, buffer_count, at - body, size)
            to = aligned(value_at + value_size)
        if not ok:
            failed[column] = 1
            to = first_buffer
        # Arrow wants every column to have as many rows as the batch; of a failed one nothing else is looked at.
        while node_count[0] < next_nodes:
            _describe(message_nodes, node_count, counts[0], 0)
        while buffer_count[0] < next_buffers:
            _describe(message_buffers, buffer_count, to - body, 0)
    return to
