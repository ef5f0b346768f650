"""Small shapes for benchmarks, each with one property that could slow a decoder down.

Key: id (S). Where an attribute is a text, a share of the items has a short one, as in real tables.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from transformer.synth.rows import Pool, Rows, names_of
from transformer.synth.values import NumberSet, StringSet
from transformer.synth.words import CITIES, WORDS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from transformer.synth.rows import Block, Knobs

    Maker = Callable[[random.Random], object]

BLOCK_ITEMS = 256
_DISTINCT = 128
_SCRIPTS = (
    "日本語",
    "русский",
    "العربية",
    "ελληνικά",
    "한국어",
    "हिन्दी",
    "français",
    "😀🎉",
    "中文",
    "português",
    "👩‍🚀",
    "ไทย",
)


def _prose(chance: random.Random, size: int) -> str:
    """Words, about `size` characters of them."""
    return " ".join(chance.choices(WORDS, k=max(size // 7, 1)))


def _escaped(chance: random.Random) -> str:
    """Prose in which about every eighth character needs an escape."""
    ends = ('"', "\\", "\n", "\t", '\\"', "\r\n", "\x1b", "\\\\n")
    return "".join(chance.choice(WORDS)[:7] + chance.choice(ends) for _ in range(chance.randrange(1, 40)))


def _foreign(chance: random.Random) -> str:
    return " ".join(chance.choices((*_SCRIPTS, *CITIES), k=chance.randrange(1, 20)))


def _digits(chance: random.Random, low: int, high: int) -> int:
    """A whole number of `low` to `high` digits, the last of them not zero."""
    return chance.choice((1, -1)) * (10 * chance.randrange(10 ** (low - 2), 10 ** chance.randrange(low - 1, high)) + 7)


def _nested(chance: random.Random, levels: int) -> object:
    """Maps and lists in each other, some values on every level."""
    value: object = chance.choice(WORDS)
    for _ in range(levels):
        beside = chance.randrange(1000)
        value = {"n": beside, chance.choice(WORDS): value} if chance.random() < 0.6 else [beside, value]
    return value


def _entry(chance: random.Random) -> dict[str, object]:
    entry: dict[str, object] = {
        "sku": f"{chance.choice(WORDS)[:3].upper()}-{chance.randrange(10**5):05d}",
        "qty": chance.randrange(1, 20),
        "price": Decimal(chance.randrange(100, 99_999)) / 100,
        "gift": chance.random() < 0.2,
    }
    if chance.random() < 0.3:
        entry["note"] = chance.choice(WORDS)
    if chance.random() < 0.3:
        entry["tags"] = StringSet(chance.sample(WORDS, 2))
    return entry


ATTRIBUTES: Mapping[str, Mapping[str, Maker]] = {
    "long-strings": {
        "title": lambda c: _prose(c, 40),
        "body": lambda c: _prose(c, c.choice((200, 2000, 8000))),
        "summary": lambda c: _prose(c, c.choice((100, 600))),
        "pages": lambda c: c.randrange(1, 900),
    },
    "escapes": {
        "quote": _escaped,
        "path": lambda c: "C:\\" + "\\".join(c.sample(WORDS, 4)),
        "document": lambda c: (
            f'{{"id": {c.randrange(10**6)}, "name": "{c.choice(WORDS)}", "tags": ["{c.choice(WORDS)}"]}}'
        ),
        "lines": lambda c: StringSet({_escaped(c): None for _ in range(2)}),
    },
    "unicode": {
        "title": _foreign,
        "text": lambda c: " ".join(_foreign(c) for _ in range(3)),
        "labels": lambda c: StringSet(c.sample(_SCRIPTS, 3)),
        "by_language": lambda c: {name: _foreign(c) for name in c.sample(_SCRIPTS, 3)},
    },
    "long-numbers": {
        "serial": lambda c: _digits(c, 20, 38),
        "amount": lambda c: Decimal(f"{_digits(c, 30, 38)}e-18"),
        "huge": lambda c: Decimal(f"{_digits(c, 30, 38)}e{c.randrange(80)}"),
        "tiny": lambda c: Decimal(f"{_digits(c, 20, 38)}e-{c.randrange(60, 130)}"),
        "measure": lambda c: Decimal(f"{_digits(c, 16, 38)}e-{c.randrange(30)}"),
        "codes": lambda c: NumberSet({_digits(c, 18, 36): None for _ in range(3)}),
    },
    "deep": {
        "tree": lambda c: _nested(c, c.randrange(4, 32)),
        "shallow": lambda c: _nested(c, 3),
        "forest": lambda c: [_nested(c, 12) for _ in range(3)],
    },
    "list-of-maps": {
        "entries": lambda c: [_entry(c) for _ in range(c.choice((1, 5, 20, 40)))],
        "totals": lambda c: [{"at": c.randrange(10**9), "sum": Decimal(c.randrange(10**7)) / 100} for _ in range(5)],
    },
}
"""Shape -> attribute -> how a value is made."""


def generator(shape: str) -> Callable[[Knobs], Block]:
    """What makes the generator of one of these shapes."""

    def make(knobs: Knobs) -> Block:
        chance = knobs.chance(shape)
        sources = [
            Pool(knobs, name, [value(chance) for _ in range(_DISTINCT)], missing=0.05)
            for name, value in ATTRIBUTES[shape].items()
        ]
        rows = Rows(knobs, shape, sources)

        def block(index: int) -> list[bytes]:
            return rows.draw(knobs.stream(shape, index), names_of(knobs, index * BLOCK_ITEMS, BLOCK_ITEMS))

        return block

    return make
