"""Shape `single-table`: users, their orders and sessions, products and their reviews, all in one table.

Key: pk and sk (both S), whose beginnings tell the kind, as does the attribute `entity`. What hangs together stands
together, sorted by sk.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from transformer.synth.rows import Pool, Rows, spread
from transformer.synth.values import StringSet
from transformer.synth.words import CITIES, FIRST_NAMES, LAST_NAMES, WORDS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from transformer.synth.rows import Block, Knobs, Source

BLOCK_ITEMS = 1024
_DISTINCT = 256
_BITS = 40
_USERS = 0.8  # the share of collections that are a user's; the others are a product's


def single_table(knobs: Knobs) -> Block:
    """The generator of this shape."""
    kinds = {kind: Rows(knobs, f"single-table/{kind}", _sources(knobs, kind)) for kind in _ATTRIBUTES}

    def block(index: int) -> list[bytes]:
        stream = knobs.stream("single-table", index)
        numbers = spread(index * BLOCK_ITEMS, BLOCK_ITEMS, _BITS, knobs.entropy, knobs.seed).tolist()
        chance = knobs.chance("single-table", str(index))
        layout: list[tuple[str, bytes]] = []
        while len(layout) < BLOCK_ITEMS:
            # A collection is numbered by its first item, so no two have the same key.
            collection = _user if chance.random() < _USERS else _product
            layout.extend(collection(chance, numbers[len(layout)]))
        del layout[BLOCK_ITEMS:]
        made = {
            kind: iter(rows.draw(stream, [key for of, key in layout if of == kind])) for kind, rows in kinds.items()
        }
        return [next(made[kind]) for kind, _ in layout]

    return block


def _key(pk: str, sk: str) -> bytes:
    return b'"pk":{"S":"%b"},"sk":{"S":"%b"}' % (pk.encode(), sk.encode())


def _user(chance: random.Random, number: int) -> Iterator[tuple[str, bytes]]:
    pk = f"USER#{number:010x}"
    for order in range(chance.randrange(5)):
        yield "order", _key(pk, f"ORDER#2026-{1 + 2 * order:02d}-{chance.randrange(1, 29):02d}#{order + 1}")
    yield "user", _key(pk, "PROFILE")
    for session in range(chance.randrange(3)):
        yield "session", _key(pk, f"SESSION#{session}{chance.getrandbits(60):015x}")


def _product(chance: random.Random, number: int) -> Iterator[tuple[str, bytes]]:
    pk = f"PRODUCT#{number:010x}"
    yield "product", _key(pk, "META")
    for review in range(chance.randrange(4)):
        yield "review", _key(pk, f"REVIEW#{review}#USER#{chance.getrandbits(40):010x}")


def _address(chance: random.Random) -> dict[str, object]:
    return {"city": chance.choice(CITIES), "zip": f"{chance.randrange(10**5):05d}"}


def _lines(chance: random.Random) -> list[object]:
    return [
        {"sku": f"PRODUCT#{chance.getrandbits(40):010x}", "qty": chance.randrange(1, 9), "price": _price(chance)}
        for _ in range(chance.randrange(1, 4))
    ]


def _price(chance: random.Random) -> Decimal:
    return Decimal(chance.randrange(99, 99_999)) / 100


def _name(chance: random.Random) -> str:
    return f"{chance.choice(FIRST_NAMES).title()} {chance.choice(LAST_NAMES)}"


# Kind -> attributes: name, share of items without it, and how a value is made.
_ATTRIBUTES: dict[str, tuple[tuple[str, float, Callable[[random.Random], object]], ...]] = {
    "user": (
        ("name", 0.0, _name),
        ("email", 0.1, lambda c: f"{c.choice(WORDS)}.{c.choice(WORDS)}@example.com"),
        ("created_at", 0.0, lambda c: 1_600_000_000_000 + c.randrange(160 * 10**9)),
        ("plan", 0.2, lambda c: c.choice(("free", "plus", "pro"))),
        ("address", 0.4, _address),
        ("active", 0.0, lambda c: c.random() < 0.9),
    ),
    "order": (
        ("status", 0.0, lambda c: c.choice(("new", "paid", "shipped"))),
        ("total", 0.0, _price),
        ("lines", 0.0, _lines),
        ("gsi1pk", 0.5, lambda c: f"STATUS#{c.choice(('new', 'paid', 'shipped'))}"),
    ),
    "session": (
        ("expires_at", 0.0, lambda c: 1_767_225_600 + c.randrange(10**7)),
        ("ip", 0.1, lambda c: f"10.{c.randrange(256)}.{c.randrange(256)}.{c.randrange(256)}"),
        ("agent", 0.3, lambda c: f"Mozilla/5.0 ({c.choice(WORDS)}) rv:{c.randrange(60, 150)}.0"),
    ),
    "product": (
        ("name", 0.0, lambda c: f"{c.choice(WORDS)} {c.choice(WORDS)}"),
        ("price", 0.0, _price),
        ("stock", 0.1, lambda c: c.randrange(500)),
        ("tags", 0.4, lambda c: StringSet(c.sample(WORDS, c.randrange(1, 4)))),
        ("size", 0.5, lambda c: {"w": c.randrange(1, 900), "h": c.randrange(1, 900)}),
        ("picture", 0.8, lambda c: c.randbytes(24)),
    ),
    "review": (
        ("stars", 0.0, lambda c: c.randrange(1, 6)),
        ("text", 0.2, lambda c: f'"{" ".join(c.sample(WORDS, c.randrange(3, 20)))}" he said'),
        ("moderated", 0.5, lambda c: None if c.random() < 0.2 else c.random() < 0.5),
    ),
}


def _sources(knobs: Knobs, kind: str) -> list[Source]:
    chance = knobs.chance("single-table", kind)
    sources: list[Source] = [Pool(knobs, "entity", [kind])]
    for name, missing, value in _ATTRIBUTES[kind]:
        sources.append(Pool(knobs, name, [value(chance) for _ in range(_DISTINCT)], missing=missing))
    return sources
