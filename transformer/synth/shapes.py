"""The named shapes: which generator each has, how well its data compresses, and its lines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from transformer.errors import UsageError
from transformer.synth import all_types, hostile, orders, single_table, stress, users, wide
from transformer.synth.ratios import entropy_for
from transformer.synth.rows import Knobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformer.synth.rows import Block


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of table.

    make: its generator. block_items: lines in each block of that generator. about: one sentence for people.
    entropy: what `ratio=None` means (see `rows`). shuffle: every item is shuffled, asked for or not.
    """

    name: str
    make: Callable[[Knobs], Block]
    block_items: int
    about: str
    entropy: float = 1.0
    shuffle: bool = False


def _stress(name: str, about: str) -> Shape:
    return Shape(name, stress.generator(name), stress.BLOCK_ITEMS, about)


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("users", users.users, users.BLOCK_ITEMS, "the guide's table: id, age, first_name"),
        Shape(
            "orders", orders.orders, orders.BLOCK_ITEMS, "nested, all ten types, many optional attributes", entropy=0.5
        ),
        Shape("all-types", all_types.all_types, all_types.BLOCK_ITEMS, "the ten types in each other, edge numbers"),
        Shape("wide", wide.wide, wide.BLOCK_ITEMS, "200 attributes of mixed types", entropy=0.5),
        Shape(
            "single-table",
            single_table.single_table,
            single_table.BLOCK_ITEMS,
            "users, orders, sessions, products and reviews under pk and sk",
        ),
        Shape("hostile", hostile.hostile, hostile.BLOCK_ITEMS, "all that DynamoDB allows and readers get wrong"),
        Shape(
            "shuffled",
            orders.orders,
            orders.BLOCK_ITEMS,
            "orders, attributes and map members in another order in each item",
            entropy=0.5,
            shuffle=True,
        ),
        Shape("sparse", wide.sparse, wide.BLOCK_ITEMS, "the attributes of wide, one in twenty present"),
        _stress("long-strings", "texts of up to 8 KB"),
        _stress("escapes", "strings in which every eighth character is escaped"),
        _stress("unicode", "texts in many scripts"),
        _stress("long-numbers", "numbers of 16 to 38 digits"),
        _stress("deep", "maps and lists nested up to 32 levels"),
        _stress("list-of-maps", "lists of up to 40 maps"),
    )
}


_KEYS: dict[str, tuple[str, ...]] = {
    "orders": ("customer", "order_no"),
    "shuffled": ("customer", "order_no"),
    "all-types": ("pk", "sk"),
    "single-table": ("pk", "sk"),
    "hostile": (hostile.KEY,),
}  # all others: id


def shape_names() -> tuple[str, ...]:
    """All shapes, the most ordinary first."""
    return tuple(SHAPES)


def shape_named(name: str) -> Shape:
    """The shape of this name; UsageError with the list of names if there is none."""
    try:
        return SHAPES[name]
    except KeyError:
        raise UsageError(f"there is no shape {name!r}", remedy=f"shapes: {', '.join(SHAPES)}") from None


def key_names(shape: str) -> tuple[str, ...]:
    """The key attributes of a shape, partition key first; UsageError if there is no such shape."""
    return _KEYS.get(shape_named(shape).name, ("id",))


def lines(
    shape: str,
    items: int,
    seed: int,
    *,
    ratio: float | None = None,
    shuffle: bool = False,
    first: int = 0,
) -> Iterator[bytes]:
    """Lines of a full export, each with its newline: the items `first` to `first + items - 1` of an endless table.

    A pure function of its arguments (with the pinned numpy): a longer table begins with the items of a shorter one.
    ratio: how many times smaller gzip makes them, 4 to 15, for the shapes where that can be chosen.
    """
    return chain.from_iterable(blocks(shape, items, seed, ratio=ratio, shuffle=shuffle, first=first))


def blocks(
    shape: str,
    items: int,
    seed: int,
    *,
    ratio: float | None = None,
    shuffle: bool = False,
    first: int = 0,
) -> Iterator[list[bytes]]:
    """The same lines as `lines`, in lists of some hundreds to thousands: cheaper for whoever joins them."""
    if items < 0 or first < 0 or seed < 0:
        raise UsageError("the number of items, the first item and the seed are 0 or more")
    kind = shape_named(shape)
    shuffle = shuffle or kind.shuffle
    entropy = kind.entropy if ratio is None else entropy_for(shape, ratio, shuffle=shuffle)
    block = _generator(shape, Knobs(seed, entropy, shuffle))
    return _cut(block, kind.block_items, first, first + items)


def _cut(block: Block, size: int, first: int, after: int) -> Iterator[list[bytes]]:
    """The lines `first` to `after - 1` out of the blocks of `size` that they lie in."""
    for index in range(first // size, -(-after // size) if after > first else first // size):
        start = index * size
        yield block(index)[max(first - start, 0) : after - start]


@lru_cache(maxsize=4)
def _generator(shape: str, knobs: Knobs) -> Block:
    """The generator with its pools built, which costs up to some tenths of a second."""
    return SHAPES[shape].make(knobs)
