"""From a block of lines to a record batch of accepted rows and a list of rejected lines.

`Decoder.step` is the whole of decode for its callers: index the lines, locate, make the arrays, judge what a column
could not hold, and take those rows out. Decoding is a pure function of the table and the bytes; no limit, no guess
and no earlier step changes its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from transformer.decode.arrays import LISTS, MAPS, ArrayBuilder, Fault
from transformer.decode.defaults import Defaults
from transformer.decode.envelope import Envelope
from transformer.decode.kernels import layout
from transformer.decode.kernels.grammar import original_position
from transformer.decode.kernels.keys import mark_unequal
from transformer.decode.kernels.lines import LINES, SIZE, index_lines
from transformer.decode.kernels.locate import locate, settle
from transformer.decode.kernels.primitives import PADDING
from transformer.decode.plan import Plan
from transformer.decode.position import path_at, path_text, redact
from transformer.decode.program import BatchWriter
from transformer.decode.reference_change import keys_agree
from transformer.decode.reference_item import read_change
from transformer.decode.reference_json import FaultError
from transformer.decode.spans import Spans
from transformer.errors import InternalError, RejectCode, Verdict
from transformer.schema.layout import arrow_schema
from transformer.schema.table import UnmappedPolicy

if TYPE_CHECKING:
    from collections.abc import Collection

    from transformer.decode.plan import Changes, Node
    from transformer.schema.table import Table

SLACK = 1 << 18
"""Bytes that a block's buffer should have beyond its data: PADDING, column defaults, and copies of unusual lines.

With less (down to PADDING) decoding still works, by copying unusual lines into a buffer of its own, one at a time."""

REVISION = 1
"""Counts changes of what a line decodes to. Part of every insert token: two revisions never share a chunk."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """One line that became no row.

    line: its 0-based number within the step, blank lines counted. offset: where it starts, in bytes from the start of
    the step. raw: its bytes without the line feed, less what `drop` names; None when nothing of it may be kept, because
    it cannot be parsed and the schema drops something.
    """

    line: int
    offset: int
    raw: bytes | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Step:
    """What one call decoded.

    size: bytes covered, line feeds included. lines: lines covered. items: those that were not blank; each of them is
    a row of `batch` or one of `rejects`. key_tags: the type tags in each key column of the accepted rows, in key order.
    """

    size: int
    lines: int
    items: int
    batch: pa.RecordBatch
    rejects: list[Rejected]
    key_tags: tuple[frozenset[str], ...]


class Decoder:
    """Decodes lines of one kind of export into rows of one table.

    table: the destination. version: the version that every row of a full export gets, in microseconds since 1970;
    changes have their own. envelope: the kind of lines.
    wanted: names of the row columns to make, None for all. The others are walked over, which checks their JSON and
    their tags, but not made, so their values are not judged: a text that is no number, or does not fit, stays unseen
    there. (Walking over an attribute as if it had no column would cost more than its column does: 1.75 times the CPU
    time of the whole, with one of three columns wanted.)
    Raises SchemaError when columns contradict each other or a default does not fit its column.
    Not safe to share between threads: every thread has its own.
    """

    def __init__(
        self,
        table: Table,
        *,
        version: int = 0,
        envelope: Envelope = Envelope.ITEM,
        wanted: Collection[str] | None = None,
    ) -> None:
        self._table = table
        self._plan = Plan(table, envelope)
        self._spans = Spans(self._plan)
        self._held = np.zeros(0, np.uint8)
        self._builder = ArrayBuilder(self._plan, self._spans)
        full = arrow_schema(table)
        self._wanted = frozenset(full.names if wanted is None else wanted)
        self.schema: pa.Schema = pa.schema([field for field in full if field.name in self._wanted])
        self._drops = [self._plan.drop_node(column.path) for column in table.columns]
        self._keys = [self._column_number(name) for name in table.key]
        self._defaults = Defaults(table)
        self._with_default = [i for i in range(len(table.columns)) if self._defaults.text(i) is not None]
        self._writer = BatchWriter(table, self._plan, self._spans, self._defaults, version=version, schema=self.schema)

    def _column_number(self, name: str) -> int:
        return next(i for i, column in enumerate(self._table.columns) if column.name == name)

    def step(self, buffer: np.ndarray, begin: int, end: int, *, max_items: int, max_bytes: int) -> Step:
        """Decode whole lines from buffer[begin:end], as many as one step takes.

        buffer: uint8, C-contiguous, writable. The data ends at `end`; PADDING zero bytes must follow it, and SLACK
        bytes should, which are overwritten. begin: the start of a line. The last line may lack its line feed.
        max_items, max_bytes: the step ends after the line at which so many lines that are not blank, or so many bytes
        with line feeds, are reached; or earlier. At least one line is decoded when begin < end.
        Raises InternalError when the buffer breaks this contract or a kernel contradicts itself.
        """
        if buffer.dtype != np.uint8 or len(buffer) < end + PADDING:
            raise InternalError("a block must be uint8 with padding behind its data")
        spans = self._spans
        spans.begin()
        result = np.zeros(2, np.int64)
        items = index_lines(
            buffer, begin, end, spans.starts, spans.ends, spans.numbers, spans.odd,
            min(max_items, spans.rows_most), max_bytes, result,
        )  # fmt: skip
        spare = self._defaults.place(buffer, end + PADDING)
        if spare > len(buffer):
            return self._alone(buffer, begin, end, max_items, max_bytes)
        spans.state[layout.SPARE], spans.state[layout.SPARE_END] = spare, len(buffer)
        done = self._locate(buffer, items)
        if done == 0 and items > 0:
            return self._alone(buffer, begin, end, max_items, max_bytes)
        size, lines = int(result[SIZE]), int(result[LINES])
        if done < items:
            size, lines = int(spans.starts[done]) - begin, int(spans.numbers[done])
        return self._finish(buffer, begin, size, lines, done)

    @property
    def located(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the accepted lines of the last step stand, until the next one begins: (buffer, rows).

        buffer: uint8; the one given, or a copy. rows: int32[n, ROW_WIDTH]; row i of the batch has its compact text at
        rows[i, W_TEXT], provided that no column has rejected an item.
        """
        return self._held, self._spans.rows

    def _locate(self, buffer: np.ndarray, items: int) -> int:
        """Locate the indexed lines; returns how many were settled, 0 only if a buffer of their own is needed."""
        plan, spans = self._plan, self._spans
        if items == 0:
            return 0
        longest = int((spans.ends[:items] - spans.starts[:items]).max())
        if len(spans.bits) <= longest // 8:
            spans.bits = np.zeros(longest // 4 + 16, np.uint8)
        while True:
            done = int(locate(
                buffer, spans.starts, spans.ends, spans.odd, 0, items,
                plan.nodes, plan.fields, plan.words, plan.masks, plan.table, spans.predicted,
                spans.caps, spans.counts, spans.saved, spans.start, spans.length, spans.tag, spans.extent,
                spans.owners, spans.places, spans.lengths, spans.stack, spans.contexts, spans.seen, spans.unmapped,
                spans.rows, spans.state, spans.rejects, spans.bits, spans.copy_starts, spans.copy_ends,
            ))  # fmt: skip
            full = int(spans.state[layout.CAPACITY])
            if done > 0 or full in (layout.ENOUGH, layout.SPARE_FULL):
                spans.pending = full if done < items and full != layout.SPARE_FULL else layout.ENOUGH
                return done
            spans.enlarge(full)
            spans.begin()

    def _alone(self, buffer: np.ndarray, begin: int, end: int, max_items: int, max_bytes: int) -> Step:
        """Decode the first line in a buffer of its own, with room for its copy and for the defaults."""
        feed = np.flatnonzero(buffer[begin:end] == 0x0A)[:1]
        size = int(feed[0]) + 1 if len(feed) else end - begin
        room = np.zeros(2 * size + self._defaults.size + 8 * PADDING, np.uint8)
        if begin == 0 and end == size and len(room) <= len(buffer):
            raise InternalError("a line does not fit into the buffer that was made for it")
        room[:size] = buffer[begin : begin + size]
        return self.step(room, 0, size, max_items=max_items, max_bytes=max_bytes)

    def _finish(self, buffer: np.ndarray, begin: int, size: int, lines: int, items: int) -> Step:
        """Make the arrays of the located lines, judge the faults, and put the step together."""
        table, spans = self._table, self._spans
        rows = int(spans.counts[0])
        builder = self._builder
        image = self._images(rows)
        builder.begin(buffer, image)
        self._held = buffer
        batch, failed = self._writer.write(buffer)
        if image is not None:
            # The writer knows no tombstones. What it has found missing in them has failed; defaults it has filled in.
            failed = sorted({*failed, *self._with_default})
        verdicts: dict[int, _Finding] = {}
        for i in failed:
            column, made = table.columns[i], self.schema.get_field_index(table.columns[i].name)
            array = builder.column(
                self._plan.leaves[i],
                column.type,
                column.convert,
                is_key=column.name in table.key,
                filled=self._defaults.fill(i, builder.source(self._plan.leaves[i][-1]), image),
                drop=self._drops[i],
            )
            batch = batch.set_column(made, self.schema.field(made), array)
            if builder.faults:
                self._judge(builder.faults, column.name, self._keys_or_item(column.name), verdicts)
                builder.faults = []
        if self._plan.changes is not None:
            batch = self._versioned(batch, self._plan.changes, image, verdicts)
        if table.unmapped_policy is UnmappedPolicy.REJECT:
            self._judge_unmapped(buffer, verdicts)
        self._judge_keys(buffer, rows, verdicts)
        keep = np.ones(rows, np.bool_)
        keep[list(verdicts)] = False
        key_tags = tuple(self._tags(self._plan.leaves[number][-1], keep) for number in self._keys)
        rejects = self._structural_rejects(buffer, begin)
        if verdicts:
            batch = batch.filter(pa.array(keep))
            rejects += [self._reject_row(buffer, begin, row, finding) for row, finding in verdicts.items()]
            rejects.sort(key=lambda reject: reject.line)
        if batch.num_rows + len(rejects) != items:
            raise InternalError(f"{items} lines became {batch.num_rows} rows and {len(rejects)} rejects")
        if spans.pending != layout.ENOUGH:
            spans.enlarge(spans.pending)
        return Step(size, lines, items, batch, rejects, key_tags)

    def _images(self, rows: int) -> np.ndarray | None:
        """Which rows have an item, as bool; None when all have."""
        if self._plan.changes is None:
            return None
        source = self._builder.source(self._plan.item)
        image = source.tag[source.base : source.base + rows] != layout.MISSING
        return None if image.all() else image

    def _keys_or_item(self, column: str) -> Node:
        """The map in which a column's attribute is missed."""
        changes = self._plan.changes
        return changes.keys if changes is not None and column in self._table.key else self._plan.item

    def _versioned(
        self, batch: pa.RecordBatch, changes: Changes, image: np.ndarray | None, findings: dict[int, _Finding]
    ) -> pa.RecordBatch:
        """The batch with the times of the writes as versions, and tombstones marked."""
        builder, first = self._builder, len(self._table.columns)
        batch = batch.set_column(first, self.schema.field(first), builder.times(changes.time))
        if builder.faults:
            self._judge(builder.faults, self._table.version_column, changes.metadata, findings)
            builder.faults = []
        if image is None:
            return batch
        deleted = pa.array((~image).astype(np.uint8))
        return batch.set_column(first + 1, self.schema.field(first + 1), deleted)

    def _judge_keys(self, buffer: np.ndarray, rows: int, findings: dict[int, _Finding]) -> None:
        """Of changes: Keys must hold the key attributes and nothing else, with the values of the new image.

        Bytes are compared; a line on which they differ is asked slowly, because `1` and `1.0` are one number.
        """
        changes, spans = self._plan.changes, self._spans
        if changes is None:
            return
        keys, item = self._builder.source(changes.keys), self._builder.source(self._plan.item)
        marks = np.zeros(rows, np.uint8)
        size = np.full(rows, changes.keys_size, np.int64)
        for in_keys, in_image in changes.pairs:
            one, other = self._builder.source(in_keys), self._builder.source(in_image)
            size += spans.length[one.base : one.base + rows]
            mark_unequal(
                buffer, spans.start, spans.length, spans.tag, item.base, one.base, other.base, rows, marks
            )  # fmt: skip
        differ = (marks != 0) | (spans.length[keys.base : keys.base + rows] != size)
        names = {str(in_keys.path[-1]) for in_keys, _ in changes.pairs}
        for row in np.flatnonzero(differ).tolist():
            line = int(spans.rows[row, layout.W_ITEM])
            try:
                agree = keys_agree(read_change(buffer[spans.starts[line] : spans.ends[line]].tobytes()), names)
            except FaultError:
                agree = False  # a fault of an earlier class, which the verdict on the row will find
            if not agree:
                place = int(spans.start[keys.base + row])
                findings.setdefault(row, _Finding(RejectCode.KEYS_DIFFER, place, "", ""))

    def _judge(self, faults: list[Fault], column: str, home: Node, findings: dict[int, _Finding]) -> None:
        """Of each row's faults in one column, keep the leftmost, unless an earlier column had one already.

        home: the map whose brace is the place of what is missing.
        """
        spans, item = self._spans, self._builder.source(home)
        found: dict[int, _Finding] = {}
        for fault in faults:
            row = self._row_of(fault.level, fault.record)
            place = fault.place if fault.place >= 0 else int(spans.start[item.base + row])
            if row not in found or place < found[row].place:
                where = path_text(fault.path) if fault.place < 0 else ""
                found[row] = _Finding(RejectCode(fault.code), place, where, column)
        for row, finding in found.items():
            findings.setdefault(row, finding)

    def _row_of(self, level: int, record: int) -> int:
        """The row that a record of a deeper level belongs to."""
        while level > 0:
            parent = self._plan.levels[level].parent
            if parent is None:
                raise InternalError("a level below the items has no parent")
            source = self._builder.source(parent)
            held = source.tag[source.base : source.base + source.size].astype(np.int64)
            extents = self._spans.extent[source.base : source.base + source.size]
            parents = LISTS if parent.shape & layout.TAKES_LIST else MAPS
            ends = np.cumsum(np.where((parents >> held) & 1, extents, 0))
            record, level = int(np.searchsorted(ends, record, side="right")), parent.level
        return record

    def _judge_unmapped(self, buffer: np.ndarray, findings: dict[int, _Finding]) -> None:
        """With policy `reject`: the first unmapped attribute of a row is a fault, at the quote of its name."""
        entries = self._spans.unmapped[: self._spans.state[layout.UNMAPPED]]
        for row, name in entries[:, [layout.U_ROW, layout.U_NAME]].tolist():
            findings.setdefault(row, _Finding(RejectCode.UNMAPPED, name - 1, "", ""))

    def _reject_row(self, buffer: np.ndarray, begin: int, row: int, finding: _Finding) -> Rejected:
        """The reject of a located row. Faults of the earlier classes come first, if the line has any.

        The walk leaves numbers and base64 of mapped values to the column kernels, which do not tell a bad text from an
        unfit value; so a line that was not judged as a whole yet is judged now.
        """
        item, text = self._spans.rows[row].tolist()
        at, end = int(self._spans.starts[item]), int(self._spans.ends[item])
        line = buffer[at:end].tobytes()
        if text == at:
            earlier = self._settle(line)
            if earlier is not None:
                return self._rejected(begin, item, line, *earlier)
            offset = finding.place - at
        else:
            offset = int(original_position(buffer, at, text, finding.place)) - at
        return self._rejected(begin, item, line, finding.code, offset, finding.where, finding.column)

    def _settle(self, line: bytes) -> tuple[RejectCode, int] | None:
        """The verdict on a line in the classes before COLUMN, or None."""
        plan, spans = self._plan, self._spans
        room = np.zeros(2 * len(line) + 8 * PADDING, np.uint8)
        room[: len(line)] = np.frombuffer(line, np.uint8)
        state = spans.state
        if len(spans.bits) <= len(line) // 8:
            spans.bits = np.zeros(len(line) // 4 + 16, np.uint8)
        while True:
            state[layout.CAPACITY] = layout.ENOUGH
            state[layout.SPARE], state[layout.SPARE_END] = len(line) + PADDING, len(room)
            behind = settle(
                room, 0, len(line), plan.nodes, plan.fields, plan.words, plan.masks,
                spans.owners, spans.places, spans.lengths, spans.stack, spans.bits, state,
            )  # fmt: skip
            if behind >= 0:
                return None
            if state[layout.CAPACITY] == layout.ENOUGH:
                return RejectCode(int(state[layout.FAULT_CODE])), int(state[layout.FAULT_AT])
            spans.enlarge(int(state[layout.CAPACITY]))

    def _structural_rejects(self, buffer: np.ndarray, begin: int) -> list[Rejected]:
        rejects = []
        for item, code, offset in self._spans.rejects[: self._spans.state[layout.REJECTS]].tolist():
            if code == RejectCode.OK:
                raise InternalError(f"line {int(self._spans.numbers[item])} of a step was judged valid but not located")
            line = buffer[self._spans.starts[item] : self._spans.ends[item]].tobytes()
            rejects.append(self._rejected(begin, item, line, RejectCode(code), offset))
        return rejects

    def _rejected(
        self, begin: int, item: int, line: bytes, code: RejectCode, offset: int, where: str = "", column: str = ""
    ) -> Rejected:
        verdict = Verdict(code, offset, where or path_at(line, offset, self._table.drop), column)
        number, start = int(self._spans.numbers[item]), int(self._spans.starts[item])
        return Rejected(number, start - begin, redact(line, self._table.drop), verdict)

    def _tags(self, node: Node, keep: np.ndarray) -> frozenset[str]:
        """The type tags at `node` in the rows to be kept."""
        source = self._builder.source(node)
        held = source.tag[source.base : source.base + source.size][keep]
        present = np.bincount(held, minlength=len(layout.TAG_NAMES))
        return frozenset(layout.TAG_NAMES[tag] for tag in np.flatnonzero(present).tolist() if tag > layout.NULL)


class _Finding(NamedTuple):
    """What is wrong with a located row. place: byte in the buffer. where: declared path of what is missing."""

    code: RejectCode
    place: int
    where: str
    column: str
