"""The columns of a table as a program for `kernels.program`, and its result as one Arrow record batch.

The buffers of a step and what describes them form one Arrow IPC message (Arrow columnar format, "Encapsulated message
format"), whose numbers are filled into a template: Arrow then reads it in one call, without copying, where an object
for each buffer and array of `orders` took a tenth of the time of decoding.
"""

from __future__ import annotations

import struct
import sys
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from transformer.decode import arrays
from transformer.decode.kernels import layout, members, program
from transformer.decode.kernels.numbers import PARTS
from transformer.decode.kernels.order import MEMBER_WIDTH
from transformer.decode.kernels.primitives import PADDING
from transformer.decode.kernels.program import ALIGNMENT, OP_WIDTH
from transformer.decode.kernels.strings import hash_bytes
from transformer.errors import InternalError
from transformer.schema import types as t
from transformer.schema.table import Convert, UnmappedPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from transformer.decode.defaults import Defaults
    from transformer.decode.plan import Node, Plan
    from transformer.decode.spans import Spans
    from transformer.schema.table import Table

_LARGEST_STEP = 1 << 31
_FIRST_ROOM = 1 << 18
_TEXT_SCRATCH = 4096
_COUNTERS = 8
_KEPT_BYTES = 48 << 20
_ONLY_HERE = 2  # references to an array that only the deque holds: that one, and the argument of getrefcount
_PREFIX = struct.Struct("<iI")
_CONTINUATION = -1


class Program:
    """All columns of `table`, compiled: their operations, and the tables that these refer to.

    ops (int64), limits (uint64), enums (int64), slots (int32), names (uint8): see `kernels.program`.
    nodes, buffers: how many entries a message has.
    wanted: the row columns that are made. made: the numbers in the table of those that come from the item.
    """

    def __init__(self, table: Table, plan: Plan, defaults: Defaults, *, version: int, wanted: Collection[str]) -> None:
        self._plan = plan
        self._rows: list[list[int]] = []
        self._limits: list[np.ndarray] = []
        self._entries: list[tuple[int, int]] = []
        self._slots: list[np.ndarray] = []
        self._names = bytearray()
        self._column = -1
        self.made: list[int] = []
        for number, column in enumerate(table.columns):
            if column.name not in wanted:
                continue
            self._column += 1
            self.made.append(number)
            *path, leaf = plan.leaves[number]
            for node in path:
                self._add(program.CHECK, node, arrays.MAPS)
            if (default := defaults.text(number)) is not None:
                place, size, held = default
                spare = plan.spare[number]
                self._add(program.DEFAULT, leaf, TABLE=spare.number, LOW=place, HIGH=size, ARGUMENT=held)
                leaf = spare
            if column.name in table.key and column.type == t.String():
                self._add(program.CHECK, leaf, arrays.KEYS)
            self._type(leaf, column.type, column.convert, plan.drop_node(column.path), required=True)
        for name, width, value in ((table.version_column, 8, version), (table.deleted_column, 1, 0)):
            if name not in wanted:
                continue
            self._column += 1
            self._add(program.FILL, plan.item, WIDTH=width, ARGUMENT=value, entries=(1, 2))
        if table.unmapped_policy is UnmappedPolicy.KEEP and table.unmapped_column in wanted:
            self._column += 1
            self._add(program.UNMAPPED, plan.item, ARGUMENT=plan.root_drop, entries=(4, 9))
        if table.raw_column and table.raw_column in wanted:
            self._column += 1
            self._add(program.RAW, plan.item, ARGUMENT=plan.root_drop, entries=(1, 3))
        self.ops = np.array(self._rows, np.int64)
        self.limits = np.array(self._limits or np.zeros((1, 2, 4)), np.uint64)
        self.enums = np.array(self._entries, np.int64).reshape(len(self._entries), members.ENUM_WIDTH)
        self.slots = np.concatenate([np.zeros(0, np.int32), *self._slots]).astype(np.int32)
        self.names = np.frombuffer(bytes(self._names) + bytes(PADDING), np.uint8).copy()
        self.columns = self._column + 1
        self.nodes, self.buffers = (int(self.ops[:, at].sum()) for at in (program.NODES, program.BUFFERS))

    def _add(
        self,
        op: int,
        node: Node,
        allowed: int = 0,
        *,
        required: bool = False,
        entries: tuple[int, int] = (0, 0),
        **values: int,
    ) -> None:
        row = [0] * OP_WIDTH
        row[program.OP], row[program.COLUMN], row[program.NODE] = op, self._column, node.number
        row[program.ALLOWED], row[program.REQUIRED], row[program.PARENT] = allowed, int(required), -1
        row[program.NODES], row[program.BUFFERS] = entries
        for name, value in values.items():
            row[getattr(program, name)] = value
        self._rows.append(row)

    def _type(
        self, node: Node, type_: t.Type, change: Convert | None, drop: int, *, required: bool, parent: int = -1
    ) -> None:
        """The operations of one part; the same case distinction as in `arrays.ArrayBuilder`."""

        def fixed(op: int, allowed: int, width: int, **values: int) -> None:
            self._add(
                op, node, allowed, required=required, entries=(1, 2), **{"WIDTH": width, "PARENT": parent} | values
            )

        def scaled(allowed: int, scale: int, highest: int, lowest: int, width: int, *, signed: bool = True) -> None:
            self._limits.append(arrays.magnitudes(highest, lowest))
            fixed(
                program.SCALED, allowed, width, ARGUMENT=scale, TABLE=len(self._limits) - 1, SIGNED=int(signed)
            )  # fmt: skip

        match type_:
            case t.Nullable(inner) | t.LowCardinality(t.Nullable(inner)):
                self._type(node, inner, change, drop, required=False, parent=parent)
            case t.LowCardinality(inner):
                self._type(node, inner, change, drop, required=required, parent=parent)
            case t.Array(element):
                child = _there(node.child)
                how = program.SORT_TEXTS if _bare(element) == t.String() else program.KEEP_ORDER
                self._add(program.LIST, node, arrays.LISTS, ARGUMENT=how, entries=(1, 2))
                nested = isinstance(element, t.Array | t.Map | t.Tuple)
                inside = -1 if nested else node.number
                self._type(child, element, change, drop, required=True, parent=inside)
            case t.Map(value):
                nested = isinstance(value, t.Array | t.Map | t.Tuple)
                how = program.CHECK_KEYS if nested else program.SORT_KEYS
                self._add(program.MAP, node, arrays.MAPS, ARGUMENT=how, entries=(2, 3))
                self._add(program.TEXT, _there(node.keys), arrays.STRINGS, ARGUMENT=layout.DROP_NOTHING, entries=(1, 3))
                self._type(_there(node.child), value, change, layout.DROP_NOTHING, required=True)
            case t.Tuple(parts):
                self._add(program.STRUCT, node, arrays.MAPS, entries=(1, 1))
                for name, part in parts:
                    below = self._plan.drop_below(drop, name)
                    self._type(node.fields[name], part, change, below, required=True)
            case t.String() | t.JSON():
                allowed = arrays.EVERYTHING if type_ == t.String() else arrays.MAPS
                needed = required and type_ == t.String()
                self._add(program.TEXT, node, allowed, required=needed, ARGUMENT=drop, PARENT=parent, entries=(1, 3))
            case t.Enum(_, names):
                self._add(
                    program.ENUM, node, arrays.STRINGS, required=required, ARGUMENT=layout.DROP_NOTHING,
                    TABLE=self._enum([name.encode() for name, _ in names]), PARENT=parent,
                    SIGNED=program.UNSORTABLE, entries=(1, 3),
                )  # fmt: skip
            case t.Bool():
                fixed(program.BOOL, arrays.BOOLS, 0, SIGNED=program.UNSORTABLE)
            case t.Integer(bits, signed):
                lowest = -type_.minimum if signed else 0
                scaled(arrays.NUMBERS, 0, type_.maximum, lowest, bits // 8, signed=signed)
            case t.Decimal(precision, scale):
                most = 10**precision - 1
                scaled(arrays.NUMBERS, scale, most, most, 16 if precision <= 38 else 32)
            case t.Float64():
                fixed(program.FLOAT, arrays.NUMBERS, 8)
            case t.DateTime64(precision) if change in arrays.EPOCHS:
                allowed = 1 << layout.N
                scaled(allowed, precision - arrays.EPOCHS[change], type_.maximum, -type_.minimum, 8)
            case t.DateTime64(precision):
                unit = 10**precision
                fixed(
                    program.INSTANT, arrays.STRINGS, 8, ARGUMENT=unit,
                    LOW=type_.minimum // unit, HIGH=type_.maximum // unit, SIGNED=1,
                )  # fmt: skip
            case t.UUID():
                fixed(program.UUID, arrays.STRINGS, 16, SIGNED=program.UNSORTABLE)
            case _:
                raise InternalError(f"no operation for {type_.sql}")

    def _enum(self, names: Sequence[bytes]) -> int:
        """Add a hash table of names; returns its row in `enums`."""
        size = 2
        while size < 2 * len(names):
            size *= 2
        slots = np.full(size, -1, np.int32)
        head = len(self._entries)
        self._entries.append((sum(map(len, self._slots)), size - 1))
        for name in names:
            text = np.frombuffer(name + bytes(PADDING), np.uint8).copy()
            slot = int(hash_bytes(text, 0, len(name), np.uint64(0))) & (size - 1)
            while slots[slot] >= 0:
                slot = (slot + 1) & (size - 1)
            slots[slot] = len(self._entries)
            self._entries.append((len(self._names), len(name)))
            self._names += name
        self._slots.append(slots)
        return head


class BatchWriter:
    """Runs the program of a table over each step, and hands out what it wrote as record batches.

    schema: of the batches, those columns of the table's rows that are wanted.
    """

    def __init__(
        self, table: Table, plan: Plan, spans: Spans, defaults: Defaults, *, version: int, schema: pa.Schema
    ) -> None:
        self._program = Program(table, plan, defaults, version=version, wanted=frozenset(schema.names))
        self._plan, self._spans, self._defaults = plan, spans, defaults
        self._schema = schema
        self._message = _Template(self._schema, self._program.nodes, self._program.buffers)
        self._room = _FIRST_ROOM
        self._buffers = _Buffers()
        self._parts = np.zeros(PARTS, np.int64)
        self._limbs = np.zeros(4, np.uint64)
        self._text = np.zeros(_TEXT_SCRATCH, np.uint8)
        self._members = np.zeros((256, MEMBER_WIDTH), np.int32)
        self._pieces = np.zeros(1 << 12, np.uint8)
        self._faults = np.zeros((spans.rows_most, 2), np.int32)
        self._counters = np.zeros(_COUNTERS, np.int64)
        self._failed = np.zeros(self._program.columns, np.uint8)

    def write(self, buffer: np.ndarray) -> tuple[pa.RecordBatch, list[int]]:
        """The batch of the spans just located in `buffer`, and the numbers (in the table) of its empty columns.

        These have a fault, or something that only `arrays` can make.
        """
        what, plan, spans, message = self._program, self._plan, self._spans, self._message
        most = int(spans.counts.max())
        if len(self._faults) < most:
            self._faults = np.zeros((2 * most, 2), np.int32)
        grown = False
        while True:
            out = self._buffers.take(self._room)
            body = message.body
            end = program.write_columns(
                buffer, what.ops, what.limits, plan.nodes, spans.counts, spans.start, spans.length, spans.tag,
                spans.extent, spans.unmapped, int(spans.state[layout.UNMAPPED]), self._defaults.begin, what.enums,
                what.slots, what.names, self._members, self._pieces, plan.drops, plan.drop_names, self._parts,
                self._limbs, self._text, self._faults, self._counters,
                out, out.view(np.int32), out.view(np.int64), out.view(np.float64), body,
                message.nodes, message.buffers, self._failed,
            )  # fmt: skip
            if end >= 0:
                break
            # The kernel does not say what was too small. Nearly always it is the buffer, so that goes first.
            if grown:
                self._members = np.zeros((2 * len(self._members), MEMBER_WIDTH), np.int32)
                self._pieces = np.zeros(2 * len(self._pieces), np.uint8)
            grown = True
            self._room = 2 * len(out)
            if self._room > _LARGEST_STEP:
                raise InternalError("the columns of one step are larger than 2 GiB")
        batch = message.read(out, int(end), int(spans.counts[0]), self._schema)
        self._room = max(_FIRST_ROOM, int(end) + (int(end) >> 2), self._room - (self._room >> 3))
        self._buffers.lend(out)
        return batch, [what.made[column] for column in np.flatnonzero(self._failed).tolist()]


class _Buffers:
    """Buffers that are used again once nobody holds a batch of theirs: touching new pages took a fifth of all time.

    Whether anybody does is what the reference count of an array tells: Arrow's buffer holds one.
    """

    def __init__(self) -> None:
        self._lent: deque[np.ndarray] = deque()
        self._bytes = 0

    def take(self, size: int) -> np.ndarray:
        """A buffer of at least `size` bytes, aligned, contents undefined. Batches end in the order they were made."""
        while self._lent and sys.getrefcount(self._lent[0]) == _ONLY_HERE:
            array = self._lent.popleft()
            self._bytes -= len(array)
            if size <= len(array) <= 4 * size:
                return array
        size = -(-size // ALIGNMENT) * ALIGNMENT
        raw = np.empty(size + ALIGNMENT, np.uint8)
        begin = -raw.ctypes.data % ALIGNMENT
        return raw[begin : begin + size]

    def lend(self, array: np.ndarray) -> None:
        """Remember a buffer that was given out with a batch, unless too many are remembered already."""
        if self._bytes + len(array) <= _KEPT_BYTES:
            self._lent.append(array)
            self._bytes += len(array)


class _Template:
    """The metadata of a record batch message of a schema, in which only numbers change.

    body: where in a buffer the first column begins, behind the metadata.
    nodes, buffers (int64, n x 2): (length, nulls) of every array, (offset, length) of every buffer of the next message.
    """

    def __init__(self, schema: pa.Schema, nodes: int, buffers: int) -> None:
        # One row: what is zero would be left out of the message.
        whole = pa.record_batch([pa.nulls(1, field.type) for field in schema], schema=schema).serialize()
        _, size = _PREFIX.unpack_from(whole)
        self._metadata = np.frombuffer(whole, np.uint8, _PREFIX.size + size).copy()
        self.body = -(-len(self._metadata) // ALIGNMENT) * ALIGNMENT
        data = self._metadata.data[_PREFIX.size :]
        root = struct.unpack_from("<I", data)[0]
        header = _follow(data, _field(data, root, 2))
        self._body_length = _PREFIX.size + _field(data, root, 3)
        self._rows = _PREFIX.size + _field(data, header, 0)
        self.nodes = np.zeros((nodes, 2), np.int64)
        self.buffers = np.zeros((buffers, 2), np.int64)
        self._vectors = []
        for number, table in ((1, self.nodes), (2, self.buffers)):
            vector = _follow(data, _field(data, header, number))
            if struct.unpack_from("<I", data, vector)[0] != len(table):
                raise InternalError(f"the schema {schema} has other arrays than its program")
            begin = _PREFIX.size + vector + 4
            self._vectors.append((slice(begin, begin + table.nbytes), table))

    def read(self, out: np.ndarray, end: int, rows: int, schema: pa.Schema) -> pa.RecordBatch:
        """The batch whose columns stand in out[body:end], which it keeps alive."""
        body = self.body
        begin = body - len(self._metadata)
        metadata = out[begin:body]
        metadata[:] = self._metadata
        for place, table in self._vectors:
            metadata[place] = table.reshape(-1).view(np.uint8)
        struct.pack_into("<q", metadata.data, self._body_length, end - body)
        struct.pack_into("<q", metadata.data, self._rows, rows)
        return pa.ipc.read_record_batch(pa.py_buffer(out).slice(begin, end - begin), schema)


def _field(data: memoryview, table: int, number: int) -> int:
    """Where field `number` of the flatbuffers table at `table` stands. Raises InternalError when it is not there."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    size, at = struct.unpack_from("<H", data, vtable)[0], 4 + 2 * number
    offset = int(struct.unpack_from("<H", data, vtable + at)[0]) if at < size else 0
    if offset == 0:
        raise InternalError(f"Arrow's message has no field {number}")
    return table + offset


def _follow(data: memoryview, at: int) -> int:
    """Where the flatbuffers offset at `at` leads."""
    return at + int(struct.unpack_from("<I", data, at)[0])


def _bare(type_: t.Type) -> t.Type:
    while isinstance(type_, t.Nullable | t.LowCardinality):
        type_ = type_.inner
    return type_


def _there(node: Node | None) -> Node:
    if node is None:
        raise InternalError("the plan has no node for the elements of a column")
    return node
