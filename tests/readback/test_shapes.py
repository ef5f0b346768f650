"""Made-up exports read back whole, against an independent reading of the same files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from readback import columns, orders
from readback.proof import Check, Command, prove

pytestmark = pytest.mark.timeout(240)

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_every_order_is_read_back_exactly(command: Command) -> None:
    export = command.synth("export", "orders", items=3000, files=3)
    assert command.load(export, SCHEMAS / "orders.yaml")["files_loaded"] == 3
    assert prove(command, export, "orders", orders.checks(), key=orders.KEY, pieces=3) == 3000


@dataclass(frozen=True)
class Key:
    """A key column, and how it is compared."""

    column: str
    attribute: str
    type: str
    make: Callable[..., Check]


@pytest.mark.parametrize(
    ("shape", "items", "keys"),
    [
        ("all-types", 1000, [Key("pk", "pk", "String", columns.binary), Key("sk", "sk", "Int64", columns.integer)]),
        ("hostile", 600, [Key("key", 'p.k "é" 😀', "String", columns.text)]),
        ("single-table", 3000, [Key(name, name, "String", columns.text) for name in ("pk", "sk")]),
    ],
)
def test_whole_items_are_kept_as_they_were(command: Command, shape: str, items: int, keys: list[Key]) -> None:
    # Only the key has columns: everything else is kept twice, in _unmapped and in _raw.
    export = command.synth("export", shape, items=items, files=2)
    schema = command.folder / "schema.yaml"
    document = {
        "table": "whole",
        "key": [key.attribute for key in keys],
        "columns": [{"name": key.column, "path": [key.attribute], "type": key.type} for key in keys],
        "raw": {"column": "_raw"},
    }
    schema.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")  # JSON is YAML
    command.load(export, schema)
    checks = {key.column: key.make(key.column, key.attribute) for key in keys}
    checks["version"] = columns.constant("version", 0)
    checks["is_deleted"] = columns.constant("is_deleted", 0)
    checks["_unmapped"] = columns.unmapped("_unmapped", *(key.attribute for key in keys))
    checks["_raw"] = columns.raw("_raw")
    assert prove(command, export, "whole", checks, key=[key.column for key in keys]) == items


def test_two_hundred_columns_and_the_whole_item(command: Command) -> None:
    export = command.synth("export", "wide", items=600, files=2)
    schema = command.folder / "schema.yaml"
    text = (SCHEMAS / "wide.yaml").read_text(encoding="utf-8")
    schema.write_text(text + "raw: {column: _raw}\n", encoding="utf-8")
    command.load(export, schema)
    made = {
        "word": columns.text,
        "count": columns.integer,
        "text": columns.text,
        "money": columns.decimal,
        "flag": columns.boolean,
        "serial": columns.integer,
        "seen": columns.milliseconds,
        "rate": columns.nearest,
        "code": columns.text,
        "tags": columns.strings,
        "stamp": columns.microseconds_of_text,
        "small": columns.integer,
        "ref": columns.identifier,
        "price": columns.decimal,
        "blob": columns.binary,
        "box": _box,
        "codes": columns.integers,
        "state": columns.text,
        "series": columns.doubles,
        "extra": columns.as_json,
    }
    names = [f"{stem}_{number:03d}" for number in range(1, 200) for stem in [list(made)[number % 20]]]
    checks = {"id": columns.text("id")} | {name: made[name[:-4]](name) for name in names}
    checks |= {"version": columns.constant("version", 0), "is_deleted": columns.constant("is_deleted", 0)}
    checks |= {"_unmapped": columns.unmapped("_unmapped", *checks), "_raw": columns.raw("_raw")}
    assert prove(command, export, "wide", checks, key=("id",)) == 600


def _box(name: str) -> Check:
    """A Tuple of two integers, each of which may be missing, as may the map."""
    parts = {part: columns.integer(part, name, part) for part in ("w", "h")}
    return Check(name, lambda item: {part: check.expected(item) for part, check in parts.items()})
