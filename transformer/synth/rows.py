"""Rows from columns of ready-made bytes: what makes the generators fast.

A shape is a list of *sources*, one per attribute. A source gives, for a whole block of items at once, the bytes of its
attribute (`,"name":{"S":"value"}`, or nothing where it is missing); a row is the join of one fragment of each source.
Blocks are independent: block `b` draws from its own random stream, so item `i` is the same whatever the number of
items or files, and several workers can write at once.

How well the result compresses is one number, the *entropy* (0 to 1). Each item follows one of its block's few
templates; a value is the template's with probability 1 - entropy and drawn afresh otherwise. Repeated stretches are
what deflate finds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from transformer.synth.values import encode, quote, shuffled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Block = Callable[[int], list[bytes]]
    """Block number -> its lines, each with its newline; every block of a shape has the same number of lines."""
    Maker = Callable[[np.random.Generator, int], list[bytes]]
    """Random stream, count -> that many fragments."""

TEMPLATES = 8  # of a block; few enough for each to recur within deflate's 32 KiB window, with items up to 2 KB
OTHER_ORDERS = 64  # distinct orders for the items that do not have the common one
ODD_SHARE = 0.04  # of the items have one of those: real exports agree in order as far as the items agree
SHUFFLED_ORDERS = 1024  # distinct orders when each item is shuffled
_TABLE = 1024  # entries of a pool's lookup table, so that weights are exact to 0.1 %


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a generator depends on, apart from the shape.

    seed: 0 or more.
    entropy: 0 (items repeat each other) to 1 (values are drawn afresh).
    shuffle: each item has its attributes, and each map its members, in an order of its own.
    """

    seed: int
    entropy: float
    shuffle: bool

    def chance(self, *purpose: str) -> random.Random:
        """A random stream for building pools; the same for the same seed and purpose."""
        return chance(self.seed, *purpose)

    def stream(self, shape: str, block: int) -> np.random.Generator:
        """The random stream of one block."""
        return np.random.Generator(np.random.PCG64([self.seed, block, *shape.encode()]))


def chance(seed: int, *purpose: str) -> random.Random:
    """A random stream that depends on seed and purpose only."""
    return random.Random(f"{seed}/{'/'.join(purpose)}")  # noqa: S311 - made-up data, no secrets


class Source(Protocol):
    """The bytes of one attribute for a block of items."""

    def draw(self, stream: np.random.Generator, templates: NDArray[np.intp]) -> Sequence[bytes]:
        """One fragment per item; `templates` holds the number of each item's template."""
        ...


class Pool:
    """An attribute whose values come from a fixed set of fragments, equally likely.

    name: the attribute. values: typed values. missing, null: shares of items without it, and with {"NULL":true}.
    """

    def __init__(
        self, knobs: Knobs, name: str, values: Sequence[object], *, missing: float = 0.0, null: float = 0.0
    ) -> None:
        stream = knobs.chance("pool", name)
        lead = b"," + quote(name) + b":"
        fragments = [lead + encode(shuffled(value, stream) if knobs.shuffle else value) for value in values]
        absent = round(_TABLE * missing)
        nulls = round(_TABLE * null)
        self._table = [b""] * absent + [lead + encode(None)] * nulls
        self._table += [fragments[i % len(fragments)] for i in range(_TABLE - absent - nulls)]
        self._entropy = knobs.entropy

    def draw(self, stream: np.random.Generator, templates: NDArray[np.intp]) -> Sequence[bytes]:
        """One fragment per item."""
        chosen = stream.integers(0, _TABLE, len(templates))
        if self._entropy < 1.0:
            of_template = stream.integers(0, _TABLE, TEMPLATES)
            chosen = np.where(stream.random(len(templates)) < self._entropy, chosen, of_template[templates])
        return pick(self._table, chosen)


class Fresh:
    """An attribute with a new value in each item, as far as the entropy asks for one.

    make: gives that many fragments, name and comma included. missing: the share of items without the attribute.
    """

    def __init__(self, knobs: Knobs, make: Maker, *, missing: float = 0.0) -> None:
        self._make = make
        self._missing = missing
        self._entropy = knobs.entropy

    def draw(self, stream: np.random.Generator, templates: NDArray[np.intp]) -> Sequence[bytes]:
        """One fragment per item."""
        count = len(templates)
        made = self._make(stream, count + TEMPLATES)
        if self._missing:
            for i in np.flatnonzero(stream.random(count + TEMPLATES) < self._missing).tolist():
                made[i] = b""
        if self._entropy < 1.0:
            repeated = np.flatnonzero(stream.random(count) >= self._entropy)
            for i, template in zip(repeated.tolist(), templates[repeated].tolist(), strict=True):
                made[i] = made[count + template]
        del made[count:]
        return made


class Orders:
    """The orders in which items write their `width` fragments: one for most items, or one each when shuffled."""

    def __init__(self, knobs: Knobs, purpose: str, width: int) -> None:
        stream = knobs.chance("order", purpose)
        self._shuffle = knobs.shuffle
        self._getters = []
        for _ in range(1 + (SHUFFLED_ORDERS if knobs.shuffle else OTHER_ORDERS)):
            order = list(range(width))
            stream.shuffle(order)
            self._getters.append(itemgetter(*order) if width > 1 else tuple)

    def apply(self, stream: np.random.Generator, columns: Sequence[Sequence[bytes]], count: int) -> list[bytes]:
        """The fragments of each of `count` items, joined in the item's order."""
        getters = self._getters
        choice = stream.integers(1, len(getters), count)
        if self._shuffle:
            rows = zip(*columns, strict=True)
            return [b"".join(getters[order](row)) for order, row in zip(choice.tolist(), rows, strict=True)]
        common = getters[0](columns)
        lines = list(map(b"".join, zip(*common, strict=True)))
        for i in np.flatnonzero(stream.random(count) < ODD_SHARE).tolist():
            lines[i] = b"".join(getters[choice[i]]([column[i] for column in columns]))
        return lines


class Rows:
    """Items of one kind: sources for everything but the key, and the orders they are written in.

    purpose: tells the kinds apart. templates: how many the items follow; fewer for longer items.
    """

    def __init__(self, knobs: Knobs, purpose: str, sources: Sequence[Source], *, templates: int = TEMPLATES) -> None:
        self._sources = list(sources)
        self._templates = templates
        self._orders = Orders(knobs, purpose, len(self._sources))

    def draw(self, stream: np.random.Generator, keys: Sequence[bytes]) -> list[bytes]:
        """One line per key; a key is the members of the key attributes (`"id":{"S":"x"}`), without a comma after."""
        count = len(keys)
        templates = stream.integers(0, self._templates, count)
        columns = [source.draw(stream, templates) for source in self._sources]
        rest = self._orders.apply(stream, columns, count)
        return [b'{"Item":{%b%b}}\n' % pair for pair in zip(keys, rest, strict=True)]


def pick(table: Sequence[bytes], indices: NDArray[np.intp] | NDArray[np.int64]) -> Sequence[bytes]:
    """`[table[i] for i in indices]`."""
    if len(indices) < 2:
        return [table[i] for i in indices.tolist()]
    picked: tuple[bytes, ...] = itemgetter(*indices.tolist())(table)
    return picked


def spread(first: int, count: int, bits: int, scatter: float, seed: int) -> NDArray[np.int64]:
    """Distinct numbers below 2^bits for the items `first` to `first + count - 1`, which must be below 2^bits too.

    A bijection of the item's number, so that keys are unique without remembering any. The lowest `scatter` (0 to 1) of
    the bits are permuted by a multiplication, the others count upwards: scattered keys look random and compress badly.
    """
    low = round(bits * scatter)
    numbers = np.arange(first, first + count, dtype=np.int64)
    mask = (1 << low) - 1
    # Odd, so invertible modulo a power of two; the products wrap modulo 2^64, which keeps the low bits right.
    factor = np.uint64((0x9E3779B97F4A7C15 + 2 * (seed % 1_000_003) * 0x632BE5AB) % 2**64 | 1)
    scattered = (numbers.astype(np.uint64) * factor + np.uint64(seed % 1_000_003)) & np.uint64(mask)
    return (numbers & ~np.int64(mask)) | scattered.astype(np.int64)


def names_of(knobs: Knobs, first: int, count: int) -> list[bytes]:
    """Key members of `count` items with the key `id`, an S of twelve hexadecimal digits: for shapes without a story."""
    numbers = spread(first, count, 48, knobs.entropy, knobs.seed)
    return [b'"id":{"S":"%012x"}' % number for number in numbers.tolist()]


def slices(data: bytes, width: int) -> list[bytes]:
    """`data` cut into pieces of `width` bytes."""
    return [data[at : at + width] for at in range(0, len(data), width)]


def random_digits(stream: np.random.Generator, count: int, width: int) -> list[bytes]:
    """`count` strings of `width` decimal digits."""
    return slices(stream.integers(48, 58, count * width, dtype=np.uint8).tobytes(), width)


def random_hex(stream: np.random.Generator, count: int, width: int) -> list[bytes]:
    """`count` strings of `width` (even) lower-case hexadecimal digits."""
    return slices(stream.bytes(count * width // 2).hex().encode(), width)
