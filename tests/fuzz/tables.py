"""Tables of every kind of column, made from a number."""

from __future__ import annotations

import random

from decode_strategies import NAMES
from decode_tables import ENUM_NAMES, TUPLE_NAMES

from transformer.decode.decoder import Decoder
from transformer.errors import SchemaError
from transformer.schema import types as t
from transformer.schema.table import Column, Convert, Path, Table, UnmappedPolicy

EPOCHS = (Convert.EPOCH_S, Convert.EPOCH_MS, Convert.EPOCH_US)


def make_table(seed: int) -> Table:
    """The table of this number: one or two keys, up to ten other columns, and any policy for the rest.

    The decoder refuses columns that contradict each other; then the next table out of the same seed is taken.
    """
    chance = random.Random(f"table {seed}")
    while True:
        table = _table(chance)
        try:
            Decoder(table, version=0)
        except SchemaError:
            continue
        return table


def _table(chance: random.Random) -> Table:
    names = chance.sample(NAMES, 18)
    keys = [Column(f"k{at}", (names.pop(),), _key_type(chance)) for at in range(chance.choice((1, 1, 2)))]
    others = [_column(chance, f"c{at}", names) for at in range(chance.randrange(11))]
    policy = chance.choice((*UnmappedPolicy, UnmappedPolicy.KEEP))
    drop: list[Path] = []
    if chance.random() < 0.3:
        drop = [_path(chance, names) for _ in range(chance.choice((1, 2)))]
    columns = [*keys, *others]
    chance.shuffle(columns)
    return Table(
        name="t",
        key=tuple(key.name for key in keys),
        columns=tuple(columns),
        unmapped_column="_unmapped" if policy is UnmappedPolicy.KEEP else "",
        unmapped_policy=policy,
        raw_column=chance.choice(("", "_raw")),
        drop=tuple(drop),
    )


def _key_type(chance: random.Random) -> t.Type:
    return chance.choice((t.String(), t.String(), t.Integer(64, True), t.Integer(256, False), t.Decimal(38, 10)))


def _path(chance: random.Random, names: list[str]) -> Path:
    """A path, mostly one whose first name is its own: columns in each other's way reject nearly every item."""
    first = names.pop() if len(names) > 3 and chance.random() < 0.8 else chance.choice(names)
    return (first, *(chance.choice(names) for _ in range(chance.choice((0, 0, 0, 1, 2)))))


def _column(chance: random.Random, name: str, names: list[str]) -> Column:
    type_ = make_type(chance, 2)
    scalar = next(iter(_leaves(type_)), type_)
    convert = None
    if isinstance(scalar, t.DateTime64):
        convert = chance.choice((*EPOCHS, Convert.ISO8601))
    elif isinstance(scalar, t.UUID):
        convert = Convert.UUID
    default: dict[str, object] | None = None
    if chance.random() < 0.2:
        match type_:
            case t.String():
                default = {"S": chance.choice(("", "none", '"\\é'))}
            case t.Integer() | t.Float64():
                default = {"N": "7"}
            case t.Bool():
                default = {"BOOL": False}
    return Column(name, _path(chance, names), type_, convert, default)


def make_type(chance: random.Random, depth: int) -> t.Type:
    """A type of the type table, with up to `depth` levels of Array, Map and Tuple."""
    kind = chance.randrange(14)
    if depth and kind == 0:
        return t.Array(make_type(chance, depth - 1))
    if depth and kind == 1:
        return t.Map(make_type(chance, depth - 1))
    if depth and kind in (2, 3):
        chosen = chance.sample(TUPLE_NAMES, chance.choice((1, 2, 3)))
        inner = t.Tuple(tuple((name, make_type(chance, depth - 1)) for name in chosen))
        return inner if kind == 2 else t.Array(inner)
    flat = _scalar(chance)
    if chance.random() < 0.5:
        return flat
    return t.LowCardinality(t.Nullable(t.String())) if isinstance(flat, t.LowCardinality) else t.Nullable(flat)


def _scalar(chance: random.Random) -> t.Type:
    precision = chance.choice((1, 9, 10, 18, 19, 38, 39, 76))
    return chance.choice(
        (
            t.String(),
            t.String(),
            t.Integer(chance.choice((8, 16, 32, 64, 128, 256)), chance.random() < 0.5),
            t.Integer(chance.choice((8, 16, 32, 64, 128, 256)), chance.random() < 0.5),
            t.Decimal(precision, chance.randrange(precision + 1)),
            t.Float64(),
            t.Bool(),
            t.UUID(),
            t.DateTime64(chance.choice((0, 3, 6, 9)), chance.choice(("", "UTC"))),
            t.Enum(8, tuple((name, at) for at, name in enumerate(chance.sample(ENUM_NAMES, 3), -1))),
            t.LowCardinality(t.String()),
        )
    )


def _leaves(type_: t.Type) -> list[t.Type]:
    """The types inside that need a conversion."""
    match type_:
        case t.Nullable(inner) | t.LowCardinality(inner) | t.Array(inner) | t.Map(inner):
            return _leaves(inner)
        case t.Tuple(members):
            return [leaf for _, inner in members for leaf in _leaves(inner)]
        case t.DateTime64() | t.UUID():
            return [type_]
        case _:
            return []
