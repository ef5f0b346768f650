"""Spans become Arrow arrays: the types of a column's tree are walked, and each part is made by its kernel.

Nothing is rejected here. What a column cannot hold is noted as a fault (level, record, code, byte), and the array
holds a zero in its place; the decoder judges the item and takes its row out.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transformer.decode import sets
from transformer.decode.kernels import columns, dates, layout, texts
from transformer.decode.kernels.floats import UNDECIDED
from transformer.decode.kernels.layout import DROP_NOTHING
from transformer.decode.kernels.numbers import PARTS
from transformer.decode.kernels.order import MEMBER_WIDTH
from transformer.decode.kernels.render import LONGEST_NUMBER
from transformer.errors import InternalError, RejectCode
from transformer.schema.table import Convert
from transformer.schema.types import (
    JSON,
    UUID,
    Array,
    Bool,
    DateTime64,
    Decimal,
    Enum,
    Float64,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformer.decode.plan import Node, Plan
    from transformer.decode.position import Step
    from transformer.decode.spans import Spans


def _bits(*tags: int) -> int:
    return sum(1 << tag for tag in tags)


STRINGS = _bits(layout.S, layout.S_ESCAPED)
NUMBERS = STRINGS | _bits(layout.N)
BOOLS = _bits(layout.TRUE, layout.FALSE)
LISTS = layout.SETS | _bits(layout.L)
MAPS = _bits(layout.M)
KEYS = NUMBERS | _bits(layout.B)
EVERYTHING = KEYS | BOOLS | LISTS | MAPS

EPOCHS = {Convert.EPOCH_S: 0, Convert.EPOCH_MS: 3, Convert.EPOCH_US: 6}


class Fault(NamedTuple):
    """A value that its column cannot hold.

    level, record: whose value. place: its byte in the buffer, or -1 for a value that is missing.
    path: the declared path of the column's part.
    """

    level: int
    record: int
    code: int
    place: int
    path: tuple[Step, ...]


class Source(NamedTuple):
    """The spans that one array is made from: `size` spans from index `base` of the tables."""

    start: np.ndarray
    length: np.ndarray
    tag: np.ndarray
    base: int
    size: int
    level: int
    path: tuple[Step, ...]


class Survey(NamedTuple):
    """What one look at the tags of a source told.

    validity: the Arrow validity bitmap, None when nothing is null. total_length: bytes of all spans.
    records: those whose tag is not allowed (int32), None when there are none.
    """

    validity: pa.Buffer | None
    total_length: int
    records: np.ndarray | None


class ArrayBuilder:
    """Makes the arrays of one step. The buffer and the span tables stay untouched."""

    def __init__(self, plan: Plan, spans: Spans) -> None:
        self._plan = plan
        self._spans = spans
        self._parts = np.zeros(PARTS, np.int64)
        self._limbs = np.zeros(4, np.uint64)
        self._found = np.zeros(1, np.int64)
        self._survey_result = np.zeros(columns.SURVEY_SIZE, np.int64)
        self._text = np.zeros(256, np.uint8)
        self._members = np.zeros((256, MEMBER_WIDTH), np.int32)
        self._pieces = np.zeros(1 << 12, np.uint8)
        self._fault_rows = np.zeros((spans.rows_most, columns.FAULT_WIDTH), np.int32)
        self.faults: list[Fault] = []
        # Records whose parts are missing only because what should hold them is no map: that fault says it all.
        self._muted: frozenset[int] = frozenset()
        # Which rows have an image, and which of them the column in hand may find fault with (None: all).
        self._image: np.ndarray | None = None
        self._judged: np.ndarray | None = None
        self._buffer = np.zeros(0, np.uint8)

    def begin(self, buffer: np.ndarray, image: np.ndarray | None) -> None:
        """Start a step over the spans that were just located in `buffer`.

        image: bool per row, False for a tombstone, whose columns outside the key get the default of their type; None
        when there are no tombstones.
        """
        self._buffer = buffer
        self._image = image
        self.faults = []

    def source(self, node: Node) -> Source:
        """All spans of `node`."""
        spans = self._spans
        base = int(self._plan.nodes[node.number, layout.BASE])
        count = int(spans.counts[node.level])
        return Source(spans.start, spans.length, spans.tag, base, count, node.level, node.path)

    def column(
        self,
        nodes: Sequence[Node],
        type_: Type,
        change: Convert | None,
        *,
        is_key: bool,
        filled: Source | None,
        drop: int,
    ) -> pa.Array:
        """The array of a column whose path runs through `nodes`.

        change: the column's conversion. filled: spans with its default filled in, if it has one. drop: its drop node.
        """
        self._muted = frozenset()
        self._judged = None if is_key else self._image
        for node in nodes[:-1]:
            self._mute(self._survey(self.source(node), MAPS, required=False, wrong=RejectCode.NOT_A_MAP))
        leaf = filled if filled is not None else self.source(nodes[-1])
        if is_key and type_ == String():
            self._survey(leaf, KEYS, required=False)
        return self._array(nodes[-1], leaf, type_, change, drop, required=True)

    def _scratch(self, count: int) -> np.ndarray:
        if len(self._fault_rows) < count:
            self._fault_rows = np.zeros((2 * count, columns.FAULT_WIDTH), np.int32)
        return self._fault_rows

    def _survey(
        self, source: Source, allowed: int, *, required: bool, wrong: RejectCode = RejectCode.WRONG_TAG
    ) -> Survey:
        """Look at the tags of all spans once: note those that are not allowed, and learn what the kernels need."""
        rows = self._scratch(source.size)
        bitmap = np.empty((source.size + 7) // 8, np.uint8)
        result = self._survey_result
        found = columns.survey(
            source.length, source.tag, source.base, source.size, allowed, required, int(wrong), bitmap, rows, result
        )
        if found:
            self._note(source, rows[:found])
        longest = int(result[columns.LONGEST_ESCAPED])
        if len(self._text) < longest + 128:
            self._text = np.zeros(2 * longest + 128, np.uint8)
        # Where a value is required, one that is missing is a fault, or its row a tombstone: a zero, never a null.
        validity = pa.py_buffer(bitmap) if result[columns.NULLS] and not required else None
        return Survey(validity, int(result[columns.TOTAL_LENGTH]), rows[:found, columns.F_RECORD] if found else None)

    def _note(self, source: Source, rows: np.ndarray) -> None:
        if self._judged is not None and source.level == 0:
            rows = rows[self._judged[rows[:, columns.F_RECORD]]]
        for record, code in rows.tolist():
            if record in self._muted:
                continue
            missing = code == RejectCode.MISSING
            place = -1 if missing else int(source.start[source.base + record])
            if source.tag[source.base + record] in _QUOTED:
                place -= 1  # the span is what stands between the quotes, the value begins with the first
            self.faults.append(Fault(source.level, record, code, place, source.path))

    def _array(
        self, node: Node, source: Source, type_: Type, change: Convert | None, drop: int, *, required: bool
    ) -> pa.Array:
        match type_:
            case Nullable(inner) | LowCardinality(Nullable(inner)):
                return self._array(node, source, inner, change, drop, required=False)
            case LowCardinality(inner):
                return self._array(node, source, inner, change, drop, required=required)
            case Array(element):
                self._survey(source, LISTS, required=False)
                return self._list(node, source, element, change, drop)
            case Map(value):
                self._survey(source, MAPS, required=False)
                return self._map(node, source, value, change)
            case Tuple(members):
                return self._tuple(node, source, type_, members, change, drop)
            case String():
                return self._texts(source, self._survey(source, EVERYTHING, required=required), pa.binary(), drop)
            case JSON():
                return self._texts(source, self._survey(source, MAPS, required=False), pa.string(), drop)
            case Bool():
                return self._bools(source, self._survey(source, BOOLS, required=required))
            case Integer(bits, signed):
                survey = self._survey(source, NUMBERS, required=required)
                limits = magnitudes(type_.maximum, -type_.minimum if signed else 0)
                return self._scaled(source, survey, type_.arrow, 0, limits, bits // 8)
            case Decimal(precision, scale):
                survey = self._survey(source, NUMBERS, required=required)
                limits = magnitudes(10**precision - 1, 10**precision - 1)
                return self._scaled(source, survey, type_.arrow, scale, limits, 16 if precision <= 38 else 32)
            case Float64():
                return self._floats(source, self._survey(source, NUMBERS, required=required))
            case DateTime64(precision) if change in EPOCHS:
                survey = self._survey(source, _bits(layout.N), required=required)
                limits = magnitudes(type_.maximum, -type_.minimum)
                return self._scaled(source, survey, type_.arrow, precision - EPOCHS[change], limits, 8)
            case DateTime64():
                return self._instants(source, self._survey(source, STRINGS, required=required), type_)
            case UUID():
                return self._uuids(source, self._survey(source, STRINGS, required=required))
            case Enum():
                return self._names(source, self._survey(source, STRINGS, required=required), type_, required=required)
            case _:
                raise InternalError(f"no column kernel for {type_.sql}")

    def _mute(self, survey: Survey) -> None:
        if survey.records is not None:
            self._muted |= frozenset(survey.records.tolist())

    def _bools(self, source: Source, survey: Survey) -> pa.Array:
        bitmap = np.empty((source.size + 7) // 8, np.uint8)
        columns.write_bools(source.tag, source.base, source.size, bitmap)
        return pa.Array.from_buffers(pa.bool_(), source.size, [survey.validity, pa.py_buffer(bitmap)])

    def _scaled(
        self, source: Source, survey: Survey, type_: pa.DataType, scale: int, limits: np.ndarray, width: int
    ) -> pa.Array:
        out = np.empty(width * source.size + 32, np.uint8)
        rows = self._scratch(source.size)
        found = columns.write_scaled(
            self._buffer, source.start, source.length, source.tag, source.base, source.size,
            scale, limits, width, out, self._parts, self._limbs, self._text, rows,
        )  # fmt: skip
        if found:
            self._note(source, rows[:found])
        return pa.Array.from_buffers(type_, source.size, [survey.validity, pa.py_buffer(out)])

    def _floats(self, source: Source, survey: Survey) -> pa.Array:
        out = np.empty(source.size, np.float64)
        rows = self._scratch(source.size)
        found = columns.write_floats(
            self._buffer, source.start, source.length, source.tag, source.base, source.size,
            out, self._parts, self._text, rows,
        )  # fmt: skip
        for i in np.flatnonzero(rows[:found, columns.F_CODE] == UNDECIDED).tolist():
            record = rows[i, columns.F_RECORD]
            at = source.start[source.base + record]
            value = float(self._plain_text(at, source.length[source.base + record]))
            if np.isinf(value):
                rows[i, columns.F_CODE] = RejectCode.OUT_OF_RANGE
            else:
                out[record] = value
        self._note(source, rows[:found][rows[:found, columns.F_CODE] != UNDECIDED])
        return pa.Array.from_buffers(pa.float64(), source.size, [survey.validity, pa.py_buffer(out)])

    def _plain_text(self, at: int, length: int) -> str:
        text = self._buffer[at : at + length].tobytes().decode()
        return text if "\\" not in text else _unescaped(text)

    def _texts(self, source: Source, survey: Survey, type_: pa.DataType, drop: int) -> pa.Array:
        offsets = np.empty(source.size + 1, np.int32)
        rows = self._scratch(source.size)
        room = survey.total_length + 2 * LONGEST_NUMBER
        while True:
            out = np.empty(room, np.uint8)
            end = texts.write_texts(
                self._buffer, source.start, source.length, source.tag, source.base, source.size, drop, offsets, out,
                self._members, self._pieces, self._plan.drops, self._plan.drop_names, self._parts, rows, self._found,
            )  # fmt: skip
            if end >= 0:
                break
            room = self._enlarge(room)
        if self._found[0]:
            self._note(source, rows[: int(self._found[0])])
        buffers = [survey.validity, pa.py_buffer(offsets), pa.py_buffer(out)]
        return pa.Array.from_buffers(type_, source.size, buffers)

    def _enlarge(self, room: int) -> int:
        """Twice the room for whatever ran full: the kernels do not say which of the three it was."""
        self._members = np.zeros((2 * len(self._members), MEMBER_WIDTH), np.int32)
        self._pieces = np.zeros(2 * len(self._pieces), np.uint8)
        if room > _LARGEST_COLUMN:
            raise InternalError("one column of one step is larger than 1 GiB")
        return 2 * room

    def _instants(self, source: Source, survey: Survey, type_: DateTime64) -> pa.Array:
        out = np.empty(source.size, np.int64)
        rows = self._scratch(source.size)
        per_second = 10**type_.precision
        found = dates.write_instants(
            self._buffer, source.start, source.length, source.tag, source.base, source.size,
            per_second, type_.minimum // per_second, type_.maximum // per_second, out, self._parts, self._text, rows,
        )  # fmt: skip
        self._note(source, rows[:found])
        return pa.Array.from_buffers(type_.arrow, source.size, [survey.validity, pa.py_buffer(out)])

    def _uuids(self, source: Source, survey: Survey) -> pa.Array:
        out = np.empty(16 * source.size, np.uint8)
        rows = self._scratch(source.size)
        found = dates.write_uuids(
            self._buffer, source.start, source.length, source.tag, source.base, source.size, out, self._text, rows
        )  # fmt: skip
        self._note(source, rows[:found])
        return pa.Array.from_buffers(pa.binary(16), source.size, [survey.validity, pa.py_buffer(out)])

    def _names(self, source: Source, survey: Survey, type_: Enum, *, required: bool) -> pa.Array:
        """Enum values travel by name: a wrong number would be stored, a wrong name fails the whole insert."""
        text = self._texts(source, survey, pa.string(), DROP_NOTHING)
        held = source.tag[source.base : source.base + source.size] > layout.NULL
        known = pc.is_in(text, value_set=pa.array([name for name, _ in type_.members], pa.string()), skip_nulls=True)
        for record in np.flatnonzero(~np.asarray(known) & held).tolist():
            self._note(source, np.array([[record, RejectCode.UNKNOWN_ENUM]], np.int32))
        if required and not held.all():
            text = pc.if_else(pa.array(held), text, type_.default)
        return text

    def times(self, node: Node) -> pa.Array:
        """The version of each row: the N at `node`, a whole number of microseconds since 1970 that Int64 holds."""
        source = self.source(node)
        self._muted, self._judged = frozenset(), None
        survey = self._survey(source, _bits(layout.N), required=True)
        return self._scaled(source, survey, pa.int64(), 0, magnitudes(2**63 - 1, 0), 8)

    def _list(self, node: Node, source: Source, element: Type, change: Convert | None, drop: int) -> pa.Array:
        child = _required(node.child)
        offsets = np.empty(source.size + 1, np.int32)
        columns.write_offsets(self._spans.extent, source.tag, source.base, source.size, LISTS, offsets)
        values = self._below(child, element, change, drop)
        in_order = sets.sorted_elements(offsets, source.tag[source.base : source.base + source.size], values, element)
        return pa.ListArray.from_arrays(pa.array(offsets), in_order, type=pa.list_(element.arrow))

    def _map(self, node: Node, source: Source, value: Type, change: Convert | None) -> pa.Array:
        child = _required(node.child)
        offsets = np.empty(source.size + 1, np.int32)
        columns.write_offsets(self._spans.extent, source.tag, source.base, source.size, MAPS, offsets)
        names = self.source(_required(node.keys))
        keys = self._texts(names, self._survey(names, STRINGS, required=False), pa.binary(), DROP_NOTHING)
        values = self._below(child, value, change, DROP_NOTHING)
        tags = source.tag[source.base : source.base + source.size]
        moved = sets.order_of(offsets, tags, MAPS, keys, String())
        if moved is not None:
            keys, values = keys.take(moved), values.take(moved)
        return pa.MapArray.from_arrays(pa.array(offsets), keys, values, type=pa.map_(pa.binary(), value.arrow))

    def _below(self, child: Node, type_: Type, change: Convert | None, drop: int) -> pa.Array:
        """The array of all elements at `child`, which have records of their own."""
        muted, self._muted = self._muted, frozenset()
        values = self._array(child, self.source(child), type_, change, drop, required=True)
        self._muted = muted
        return values

    def _tuple(
        self,
        node: Node,
        source: Source,
        type_: Type,
        members: Sequence[tuple[str, Type]],
        change: Convert | None,
        drop: int,
    ) -> pa.Array:
        muted = self._muted
        self._mute(self._survey(source, MAPS, required=False))
        arrays = []
        for name, member in members:
            below = node.fields[name]
            at = self._plan.drop_below(drop, name)
            arrays.append(self._array(below, self.source(below), member, change, at, required=True))
        self._muted = muted
        return pa.StructArray.from_arrays(arrays, fields=list(type_.arrow))

    def raw(self) -> pa.Array:
        """The whole items as canonical DynamoDB JSON."""
        source = self.source(self._plan.item)
        offsets = np.empty(source.size + 1, np.int32)
        room = int(source.length[source.base : source.base + source.size].sum()) + 2 * LONGEST_NUMBER
        while True:
            out = np.empty(room, np.uint8)
            end = texts.write_raw(
                self._buffer, source.start, source.tag, source.base, source.size, self._plan.root_drop, offsets, out,
                self._members, self._pieces, self._plan.drops, self._plan.drop_names, self._parts,
            )  # fmt: skip
            if end >= 0:
                return pa.Array.from_buffers(pa.binary(), source.size, [None, pa.py_buffer(offsets), pa.py_buffer(out)])
            room = self._enlarge(room)

    def unmapped(self) -> pa.Array:
        """The attributes that were not consumed: a map of name to canonical DynamoDB JSON, sorted by name."""
        entries = int(self._spans.state[layout.UNMAPPED])
        table = self._spans.unmapped[:entries]
        count = int(self._spans.counts[0])
        texts.sort_unmapped(self._buffer, self._spans.unmapped, entries)
        offsets = np.zeros(count + 1, np.int32)
        np.cumsum(np.bincount(table[:, layout.U_ROW], minlength=count), out=offsets[1:])
        name_offsets, value_offsets = (np.empty(entries + 1, np.int32) for _ in range(2))
        name_room = int(table[:, layout.U_NAME_LENGTH].sum()) + 2 * LONGEST_NUMBER
        room = int(table[:, layout.U_VALUE_LENGTH].sum()) + 2 * LONGEST_NUMBER
        while True:
            name_bytes, value_bytes = np.empty(name_room, np.uint8), np.empty(room, np.uint8)
            end = texts.write_unmapped(
                self._buffer, self._spans.unmapped, entries, self._plan.root_drop,
                name_offsets, name_bytes, value_offsets, value_bytes,
                self._members, self._pieces, self._plan.drops, self._plan.drop_names, self._parts,
            )  # fmt: skip
            if end >= 0:
                break
            room = self._enlarge(room)
        keys = pa.Array.from_buffers(
            pa.binary(), entries, [None, pa.py_buffer(name_offsets), pa.py_buffer(name_bytes)]
        )  # fmt: skip
        values = pa.Array.from_buffers(
            pa.binary(), entries, [None, pa.py_buffer(value_offsets), pa.py_buffer(value_bytes)]
        )  # fmt: skip
        return pa.MapArray.from_arrays(pa.array(offsets), keys, values, type=pa.map_(pa.binary(), pa.binary()))


_QUOTED = frozenset((layout.S, layout.S_ESCAPED, layout.N, layout.B))
_LARGEST_COLUMN = 1 << 30


def _required(node: Node | None) -> Node:
    if node is None:
        raise InternalError("the plan has no node for the elements of a column")
    return node


def _unescaped(text: str) -> str:
    value = json.loads(f'"{text}"')
    return str(value)


@cache
def magnitudes(positive: int, negative: int) -> np.ndarray:
    """The highest magnitudes of positive and of negative values as four uint64 each, lowest first."""
    limits = [[(limit >> (64 * i)) & (2**64 - 1) for i in range(4)] for limit in (positive, negative)]
    return np.array(limits, np.uint64)
