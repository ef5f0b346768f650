"""Shape `all-types`: the ten types, each nested in the containers that can hold it, with the numbers at the edges.

Key: pk (B) and sk (N).
"""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from transformer.synth.rows import Pool, Rows, spread
from transformer.synth.values import BinarySet, NumberSet, StringSet
from transformer.synth.words import CITIES, WORDS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from transformer.synth.rows import Block, Knobs

BLOCK_ITEMS = 256
_DISTINCT = 128
_ITEMS_PER_PARTITION = 8
DIGITS = 38  # the most significant digits a DynamoDB number has
INTEGER_BITS = (8, 16, 32, 64, 128, 256)

EDGES: tuple[Decimal, ...] = tuple(
    Decimal(sign + text)
    for sign in ("", "-")
    for text in (
        "0", "1", "7", "10", "0.1", "0.5", "1.5", "100", "12345678", "123456789012345678", "0.000001", "1e21", "1e22",
        "9007199254740992", "9007199254740993", "4.35", "2.675", "1e-130",
        "9.9999999999999999999999999999999999999e125",
        "1e125", "99999999999999999999999999999999999999", "0.99999999999999999999999999999999999999",
        "1234567890123456789.0123456789012345678", "1.0000000000000000000000000000000000001", "3.0517578125e-5",
    )
)  # fmt: skip
"""Numbers at which readers go wrong: ends of the range, most digits, halves, neighbours of powers of two and ten."""


def all_types(knobs: Knobs) -> Block:
    """The generator of this shape."""
    chance = knobs.chance("all-types")
    sources = [
        Pool(knobs, name, [value(chance) for _ in range(_DISTINCT)], missing=0.1, null=0.03)
        for name, value in _ATTRIBUTES.items()
    ]
    sources += [Pool(knobs, name, integer_edges(name), missing=0.2, null=0.02) for name in integer_names()]
    rows = Rows(knobs, "all-types", sources)

    def block(index: int) -> list[bytes]:
        first = index * BLOCK_ITEMS
        at = np.arange(BLOCK_ITEMS)
        numbers = spread(first, BLOCK_ITEMS, 48, knobs.entropy, knobs.seed)[at - at % _ITEMS_PER_PARTITION]
        keys = [
            b'"pk":{"B":"%b"},"sk":{"N":"%d"}' % (base64.b64encode(number.to_bytes(7, "big")), sort)
            for number, sort in zip(numbers.tolist(), (at % _ITEMS_PER_PARTITION - 3).tolist(), strict=True)
        ]
        return rows.draw(knobs.stream("all-types", index), keys)

    return block


def integer_names() -> list[str]:
    """`i8` to `i256` and `u8` to `u256`: attributes whose values are the edges of those types."""
    return [f"{sign}{bits}" for bits in INTEGER_BITS for sign in "iu"]


def integer_edges(name: str) -> list[int]:
    """Values within the integer type of this name, the ends of its range among them.

    The ends of the 256-bit types, and of UInt128, have more than 38 digits: there the nearest number that DynamoDB has.
    """
    bits, signed = int(name[1:]), name[0] == "i"
    low = -(2 ** (bits - 1)) if signed else 0
    high = 2 ** (bits - signed) - 1
    near = {low, low + 1, low // 2, 0, 1, 9, 10, 99, 100, high // 10, high // 2, high - 1, high}
    near |= {-1, -10, -99} if signed else set()
    return sorted({_shortened(number) for number in near if low <= number <= high})


def _shortened(number: int) -> int:
    """`number` with all digits after the 38th set to zero."""
    unit = int(10 ** max(len(str(abs(number))) - DIGITS, 0))
    return (abs(number) // unit * unit) * (-1 if number < 0 else 1)


def number(chance: random.Random) -> Decimal:
    """An edge number, or one with random digits and exponent within DynamoDB's range."""
    if chance.random() < 0.5:
        return chance.choice(EDGES)
    digits = chance.randrange(1, 10 ** chance.randrange(1, DIGITS + 1))
    return Decimal(f"{chance.choice('+-')}{digits}e{chance.randrange(-40, 40)}")  # only the constructor never rounds


def text(chance: random.Random) -> str:
    """A string: empty, a word, another script, or with characters that JSON escapes."""
    words = (chance.choice(WORDS), chance.choice(CITIES))
    return chance.choice(
        ("", *words, "日本語 テキスト", "🙂👩‍👩‍👧", 'a "quoted" \\ word', "tab\tline\nbell\x07", "é" * 9)
    )


def _strings(chance: random.Random) -> StringSet:
    return StringSet({text(chance): None for _ in range(chance.randrange(1, 5))})


def _numbers(chance: random.Random) -> NumberSet:
    return NumberSet({number(chance): None for _ in range(chance.randrange(1, 5))})


def _binaries(chance: random.Random) -> BinarySet:
    return BinarySet({_binary(chance): None for _ in range(chance.randrange(1, 5))})


def _binary(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(12))


def _any(chance: random.Random, depth: int) -> object:
    """A value of any of the ten types; containers down to `depth` levels."""
    makers: list[Callable[[], object]] = [
        lambda: text(chance),
        lambda: number(chance),
        lambda: _binary(chance),
        lambda: chance.random() < 0.5,
        lambda: None,
        lambda: _strings(chance),
        lambda: _numbers(chance),
        lambda: _binaries(chance),
    ]
    if depth > 0:
        makers.append(lambda: [_any(chance, depth - 1) for _ in range(chance.randrange(4))])
        makers.append(lambda: {name: _any(chance, depth - 1) for name in chance.sample(WORDS, chance.randrange(4))})
    return chance.choice(makers)()


def _all_ten(chance: random.Random) -> dict[str, object]:
    return {
        "s": text(chance),
        "n": number(chance),
        "b": _binary(chance),
        "bool": chance.random() < 0.5,
        "null": None,
        "ss": _strings(chance),
        "ns": _numbers(chance),
        "bs": _binaries(chance),
        "m": {"inner": {"deeper": _any(chance, 2)}, "empty": {}},
        "l": [_any(chance, 2), [], [text(chance)], {"x": number(chance)}],
    }


def _decimal(chance: random.Random) -> Decimal:
    """A number that Decimal(76, 38) holds: at most 38 digits on either side of the point."""
    return Decimal(f"{chance.randrange(-(10**DIGITS) + 1, 10**DIGITS)}e-{chance.randrange(DIGITS + 1)}")


_ATTRIBUTES: dict[str, Callable[[random.Random], object]] = {
    "s": text,
    "n": number,
    "decimal": _decimal,
    "float": number,
    "b": _binary,
    "bool": lambda c: c.random() < 0.5,
    "null": lambda _: None,
    "ss": _strings,
    "ns": _numbers,
    "bs": _binaries,
    "m": _all_ten,
    "l": lambda c: list(_all_ten(c).values()),
    "m_of_m": lambda c: {name: {"n": c.randrange(100), "s": text(c)} for name in c.sample(WORDS, c.randrange(3))},
    "m_of_l": lambda c: {name: [text(c), text(c)] for name in c.sample(WORDS, c.randrange(3))},
    "m_of_n": lambda c: {name: Decimal(c.randrange(10**9)) / 1000 for name in c.sample(WORDS, c.randrange(4))},
    "l_of_l": lambda c: [[c.randrange(-99, 99) for _ in range(c.randrange(3))] for _ in range(c.randrange(3))],
    "l_of_m": lambda c: [{"k": text(c), "v": c.randrange(10**6), "tags": _strings(c)} for _ in range(c.randrange(4))],
    "l_of_b": lambda c: [_binary(c) for _ in range(c.randrange(3))],
    "any": lambda c: _any(c, 4),
    "rest": lambda c: _any(c, 4),
}
