"""Shape `users`: the table of ClickHouse's guide, id (UUID in upper case), age and first_name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformer.synth.rows import TEMPLATES, Fresh, Pool, Rows, pick, random_hex, spread
from transformer.synth.words import FIRST_NAMES

if TYPE_CHECKING:
    import numpy as np

    from transformer.synth.rows import Block, Knobs

BLOCK_ITEMS = 4096
SALLY = b'{"Item":{"id":{"S":"0A556908-F72B-4BE6-9048-9E60715358D4"},"age":{"N":"26"},"first_name":{"S":"sally"}}}\n'
"""The guide's example item as an export has it, key first. Always item 0."""
_SALLY_NODE = 0x9E60715358D4
_NODE_BITS = 48


def users(knobs: Knobs) -> Block:
    """The generator of this shape."""
    ages = Pool(knobs, "age", list(range(18, 97)), missing=0.03, null=0.01)
    names = Pool(knobs, "first_name", FIRST_NAMES, missing=0.02)
    rows = Rows(knobs, "users", [ages, names])
    starts = Fresh(knobs, _uuid_starts)
    # The last 12 digits make the id unique; Sally's stand for item 0, so no other id can be hers.
    origin = int(spread(0, 1, _NODE_BITS, knobs.entropy, knobs.seed)[0])

    def block(index: int) -> list[bytes]:
        stream = knobs.stream("users", index)
        templates = stream.integers(0, TEMPLATES, BLOCK_ITEMS)
        nodes = spread(index * BLOCK_ITEMS, BLOCK_ITEMS, _NODE_BITS, knobs.entropy, knobs.seed)
        nodes = (nodes - origin + _SALLY_NODE) & ((1 << _NODE_BITS) - 1)
        keys = [
            b'"id":{"S":"%b%012X"}' % pair for pair in zip(starts.draw(stream, templates), nodes.tolist(), strict=True)
        ]
        lines = rows.draw(stream, keys)
        if index == 0:
            lines[0] = SALLY
        return lines

    return block


def _uuid_starts(stream: np.random.Generator, count: int) -> list[bytes]:
    """Random UUIDs (version 4) in upper case up to and including their last dash."""
    digits = random_hex(stream, count, 18)
    variants = pick((b"8", b"9", b"A", b"B"), stream.integers(0, 4, count))
    return [
        b"%b-%b-4%b-%b%b-" % (d[:8].upper(), d[8:12].upper(), d[12:15].upper(), variant, d[15:].upper())
        for d, variant in zip(digits, variants, strict=True)
    ]
