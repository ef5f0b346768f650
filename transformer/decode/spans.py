"""The tables that `walk` fills, and the record counters behind them: made once per decoder, enlarged when full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from transformer.decode.kernels import layout

if TYPE_CHECKING:
    from transformer.decode.plan import Plan

MOST_ROWS = 8192
FEWEST_ROWS = 512
SPAN_TABLE_BYTES = 1 << 22
"""Rows of one step are as many as these bytes of span tables hold. Measured on `orders` and `wide`, MB/s of JSON:
1 MiB 203 and 103, 2 MiB 265 and 122, 4 MiB 354 and 205, 8 MiB 298 and 213. The walk itself hardly notices (its writes
are sequential per column), but every step calls a dozen functions per column."""


class Spans:
    """Span tables, counters and scratch of one decoder.

    rows_most: how many items one step takes. caps, counts, saved (int64 per level): see `kernels.walk`.
    start, length, extent (int32), tag (uint8): the span tables; record r of node n stands at nodes[n, BASE] + r.
    pending: what ran full in the step just located, to be enlarged after it.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        nodes = len(plan.tree)
        self.rows_most = max(FEWEST_ROWS, min(MOST_ROWS, SPAN_TABLE_BYTES // (13 * nodes)))
        self.caps = np.full(len(plan.levels), 2 * self.rows_most, np.int64)
        self.caps[0] = self.rows_most
        self.counts = np.zeros_like(self.caps)
        self.saved = np.zeros_like(self.caps)
        self.predicted = np.full(len(plan.fields) + nodes, -1, np.int64)
        self.seen = np.zeros(len(plan.fields), np.int64)
        self.stack = np.zeros(layout.MAX_DEPTH + 2, np.int64)
        self.contexts = np.zeros((2 * layout.MAX_DEPTH + 4, layout.CONTEXT_WIDTH), np.int64)
        self.state = np.zeros(layout.STATE_SIZE, np.int64)
        self.starts, self.ends, self.numbers, self.copy_starts, self.copy_ends = (
            np.zeros(self.rows_most, np.int32) for _ in range(5)
        )
        self.odd = np.zeros(self.rows_most, np.uint8)
        self.rows = np.zeros((self.rows_most, layout.ROW_WIDTH), np.int32)
        self.rejects = np.zeros((self.rows_most, layout.REJECT_WIDTH), np.int32)
        self.unmapped = np.zeros((4 * self.rows_most, layout.UNMAPPED_WIDTH), np.int32)
        self.bits = np.zeros(1 << 13, np.uint8)
        self.pending = layout.ENOUGH
        self._names(1 << 10)
        self._lay_out()

    def _names(self, size: int) -> None:
        self.owners = np.zeros(size, np.int64)
        self.places = np.zeros(size, np.int32)
        self.lengths = np.zeros(size, np.int32)

    def _lay_out(self) -> None:
        base = 0
        for node in self._plan.tree:
            self._plan.nodes[node.number, layout.BASE] = base
            base += int(self.caps[node.level]) + 80
        self.start, self.length, self.extent = (np.zeros(base, np.int32) for _ in range(3))
        self.tag = np.zeros(base, np.uint8)

    def begin(self) -> None:
        """Forget the spans of the last step."""
        self.counts[:] = 0
        self.tag[:] = 0
        self.state[layout.UNMAPPED] = 0
        self.state[layout.REJECTS] = 0

    def enlarge(self, what: int) -> None:
        """Double what ran full (`layout.SPANS_FULL`, UNMAPPED_FULL, NAMES_FULL). Only between steps."""
        if what == layout.SPANS_FULL:
            self.caps[self.state[layout.FAULT_AT]] *= 2
            self._lay_out()
        elif what == layout.UNMAPPED_FULL:
            self.unmapped = np.zeros((2 * len(self.unmapped), layout.UNMAPPED_WIDTH), np.int32)
        else:
            self._names(2 * len(self.owners))
            self.state[layout.FLOOR] = self.state[layout.INSTANCE]
