"""Data files read with nothing but `gzip`, `json`, `decimal` and `base64`, and the two canonical texts of a value.

Nothing here comes from the package under test: these are the same rules, written a second time, as plainly as possible.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

Item = dict[str, dict[str, Any]]
"""Attribute name -> {tag: inner}, as `json` reads the map under "Item"."""


def lines(export: Path) -> Iterator[tuple[str, bytes]]:
    """Each line of each data file under `export` that is not blank, with where it stands (file:line)."""
    for path in sorted(export.rglob("*.json.gz")):
        with gzip.open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path.name}:{number}", line.rstrip(b"\n")


def item(line: bytes) -> Item:
    """The item on a line. Two members of one name in any object of it fail."""
    envelope = json.loads(line.decode("utf-8"), object_pairs_hook=_members)
    assert list(envelope) == ["Item"]
    found: Item = envelope["Item"]
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    assert len(members) == len(pairs)
    return members


def plain(text: str) -> str:
    """A number without exponent, superfluous zeros or sign."""
    digits = format(Decimal(text), "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits


def canonical(value: dict[str, Any]) -> dict[str, Any]:
    """A typed value with every set in it sorted and every number plain."""
    ((tag, inner),) = value.items()
    return {tag: _RULES[tag](inner)}


def canonical_map(members: Item) -> Item:
    """The same for each value of a map."""
    return {name: canonical(value) for name, value in members.items()}


_RULES: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": plain,
    "B": lambda inner: base64.b64encode(base64.b64decode(inner, validate=True)).decode(),
    "BOOL": bool,
    "NULL": bool,
    "M": canonical_map,
    "L": lambda inner: [canonical(element) for element in inner],
    "SS": sorted,  # by code points, which is the order of the UTF-8 bytes
    "NS": lambda inner: sorted(map(plain, inner)),
    "BS": lambda inner: sorted(inner, key=base64.b64decode),
}


def typed_text(value: object) -> str:
    """The canonical DynamoDB JSON of what `canonical` or `canonical_map` gave."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def json_text(value: dict[str, Any]) -> str:
    """A typed value as JSON without tags."""
    ((tag, inner),) = canonical(value).items()
    match tag:
        case "N":
            return str(inner)
        case "NULL":
            return "null"
        case "M":
            return "{" + ",".join(f"{_quoted(name)}:{json_text(inner[name])}" for name in sorted(inner)) + "}"
        case "L":
            return "[" + ",".join(map(json_text, inner)) + "]"
        case "NS":
            return "[" + ",".join(inner) + "]"
        case _:
            return typed_text(inner)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
