"""Shapes `wide` and `sparse`: 200 attributes of mixed types, all of them usually there, or hardly any."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from transformer.synth.rows import Pool, Rows, names_of
from transformer.synth.values import NumberSet, StringSet
from transformer.synth.words import WORDS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from transformer.synth.rows import Block, Knobs

BLOCK_ITEMS = 256
ATTRIBUTES = 200  # with the key
_DISTINCT = 64
_PRESENT = 0.05  # the share of attributes that an item of `sparse` has


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of attribute: the stem of its names, its column, and how a value is made."""

    stem: str
    type: str
    convert: str
    value: Callable[[random.Random], object]


KINDS = (
    Kind("word", "LowCardinality(Nullable(String))", "", lambda c: c.choice(WORDS)),
    Kind("count", "Nullable(Int32)", "", lambda c: c.randrange(-(2**31), 2**31) >> c.randrange(24)),
    Kind("text", "Nullable(String)", "", lambda c: " ".join(c.sample(WORDS, c.randrange(1, 5)))),
    Kind("money", "Nullable(Decimal(12, 2))", "", lambda c: Decimal(c.randrange(10**6)) / 100),
    Kind("flag", "Nullable(Bool)", "", lambda c: c.random() < 0.5),
    Kind("serial", "Nullable(Int64)", "", lambda c: c.randrange(10**15)),
    Kind("seen", "Nullable(DateTime64(3))", "epoch_ms", lambda c: 1_767_225_600_000 + c.randrange(28 * 10**9)),
    Kind("rate", "Nullable(Float64)", "", lambda c: Decimal(c.randrange(1, 10**9)) / 10 ** c.randrange(3, 12)),
    Kind("code", "Nullable(String)", "", lambda c: f"{c.choice(WORDS)[:3].upper()}-{c.randrange(10**5):05d}"),
    Kind("tags", "Array(String)", "", lambda c: StringSet(c.sample(WORDS, 2))),
    Kind("stamp", "Nullable(DateTime64(6, 'UTC'))", "iso8601", lambda c: _moment(c)),
    Kind("small", "Nullable(UInt8)", "", lambda c: c.randrange(256)),
    Kind("ref", "Nullable(UUID)", "uuid", lambda c: str(uuid.UUID(int=c.getrandbits(128), version=4))),
    Kind("price", "Nullable(Decimal(18, 4))", "", lambda c: Decimal(c.randrange(10**8)) / 10**4),
    Kind("blob", "Nullable(String)", "", lambda c: c.randbytes(c.randrange(4, 13))),
    Kind("box", "Tuple(w Nullable(Int32), h Nullable(Int32))", "", lambda c: {"w": c.randrange(999), "h": 1}),
    Kind("codes", "Array(Int64)", "", lambda c: NumberSet(c.sample(range(1000), 2))),
    Kind("state", "LowCardinality(Nullable(String))", "", lambda c: c.choice(("on", "off", "idle", "lost"))),
    Kind("series", "Array(Float64)", "", lambda c: [Decimal(c.randrange(1000)) / 8 for _ in range(3)]),
    Kind("extra", "Nullable(String)", "", lambda c: {"k": c.choice(WORDS), "v": [c.randrange(100), None]}),
)


def wide(knobs: Knobs) -> Block:
    """The generator of `wide`: an attribute is missing once in fifty times."""
    return _generator(knobs, "wide", missing=0.02)


def sparse(knobs: Knobs) -> Block:
    """The generator of `sparse`: the attributes of `wide`, one in twenty of them present."""
    return _generator(knobs, "sparse", missing=1 - _PRESENT)


def attributes() -> list[tuple[str, Kind]]:
    """Name and kind of every attribute but the key."""
    return [(f"{(kind := KINDS[number % len(KINDS)]).stem}_{number:03d}", kind) for number in range(1, ATTRIBUTES)]


def schema_file() -> str:
    """The text of `schemas/wide.yaml`."""
    head = (
        "# yaml-language-server: $schema=schema-file.schema.json\n"
        "# Two hundred attributes of mixed types: the table of the synthetic shapes `wide` and `sparse`.\n"
        "# Made by transformer.synth.wide.schema_file; a test compares the two.\n"
        "table: wide\n"
        "key: [id]\n"
        "columns:\n"
        "  - {name: id, type: String}\n"
    )
    rows = []
    for name, kind in attributes():
        spelled = f'"{kind.type}"' if set(kind.type) & set(",'") else kind.type
        convert = f", convert: {kind.convert}" if kind.convert and kind.convert != "uuid" else ""
        rows.append(f"  - {{name: {name}, type: {spelled}{convert}}}\n")
    return head + "".join(rows)


def _generator(knobs: Knobs, shape: str, *, missing: float) -> Block:
    chance = knobs.chance(shape)
    sources = [
        Pool(knobs, name, [kind.value(chance) for _ in range(_DISTINCT)], missing=missing, null=0.01 * (1 - missing))
        for name, kind in attributes()
    ]
    rows = Rows(knobs, shape, sources, templates=2)  # items of 6 KB: only five fit into deflate's window

    def block(index: int) -> list[bytes]:
        return rows.draw(knobs.stream(shape, index), names_of(knobs, index * BLOCK_ITEMS, BLOCK_ITEMS))

    return block


def _moment(chance: random.Random) -> str:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=chance.randrange(28 * 10**9))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
