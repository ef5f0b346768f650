"""What to write instead: suggestions for names that nobody knows."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_KNOWN_TYPES = (
    "IntN, UIntN (8 to 256 bits), Decimal(P, S), Float64, Bool, String, LowCardinality(String), UUID, DateTime64(P), "
    "Enum8, Enum16, Nullable(T), Array(T), Tuple(name T, ...), Map(String, T), Nullable(JSON)"
)
_INSTEAD = {
    "float32": "Float64, or Decimal(P, S), which is exact",
    "bfloat16": "Float64, or Decimal(P, S), which is exact",
    "date": "String, or DateTime64(0) with a conversion",
    "date32": "String, or DateTime64(0) with a conversion",
    "datetime": "DateTime64(0) with a conversion",
    "fixedstring": "String",
    "enum": "Enum8 or Enum16",
    "nested": "Array(Tuple(name T, ...))",
    "object": "Nullable(JSON), or String for JSON text",
    "variant": "String, which holds any value as JSON text",
    "dynamic": "String, which holds any value as JSON text",
    **{f"decimal{bits}": "Decimal(P, S)" for bits in (32, 64, 128, 256)},
}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question for the known name nearest to `name`, or nothing if none is near."""
    spelled = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), spelled, n=1)
    return f"Did you mean {spelled[near[0]]}?" if near else ""


def instead_of_type(name: str, known: Iterable[str]) -> str:
    """What to write in place of a type that there is not. `known`: names of the types that there are."""
    if name.lower() in _INSTEAD:
        return f"Write {_INSTEAD[name.lower()]}."
    return did_you_mean(name, known) or f"There are: {_KNOWN_TYPES}."
