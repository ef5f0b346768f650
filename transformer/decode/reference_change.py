"""What only lines of incremental exports need, for the slow twin: keys that agree, and the columns of a tombstone."""

from __future__ import annotations

import uuid
from decimal import Decimal as Exact
from typing import TYPE_CHECKING

from transformer.decode.reference_item import canonical
from transformer.errors import InternalError
from transformer.schema.types import (
    UUID,
    Array,
    Bool,
    DateTime64,
    Decimal,
    Enum,
    Float64,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
    Type,
)

if TYPE_CHECKING:
    from transformer.decode.reference_item import Change


def keys_agree(change: Change, names: set[str]) -> bool:
    """Whether Keys has exactly the attributes `names`, each an S, N or B, and the new image has the same values."""
    if set(change.keys.members) != names:
        return False
    for name, value in change.keys.members.items():
        if value.tag not in ("S", "N", "B"):
            return False
        if change.image is not None:
            other = change.image.members.get(name)
            if other is None or canonical(other) != canonical(value):
                return False
    return True


def type_default(type_: Type) -> object:
    """What a column of this type has in a tombstone: ClickHouse's default of the type, whatever default the schema
    gives to items that lack the attribute."""
    match type_:
        case Nullable():
            return None
        case LowCardinality(inner):
            return type_default(inner)
        case Array() | Map():
            return []
        case Tuple(members):
            return {name: type_default(member) for name, member in members}
        case String():
            return b""
        case Integer() | DateTime64():
            return 0
        case Decimal(_, scale):
            return Exact(f"0E-{scale}")
        case Float64():
            return 0.0
        case Bool():
            return False
        case Enum():
            return type_.default
        case UUID():
            return uuid.UUID(int=0)
        case _:
            raise InternalError(f"no default for a column of type {type_.sql}")
