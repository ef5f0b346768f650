"""Exports loaded over HTTP and read back whole, on every server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from readback import columns, orders
from readback.proof import Command, prove

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCHEMAS = Path(__file__).parents[2] / "schemas"


def test_every_order_is_read_back_exactly(command: Command) -> None:
    export = command.synth("export", "orders", items=3000, files=3)
    assert command.load(export, SCHEMAS / "orders.yaml")["files_loaded"] == 3
    assert prove(command, export, "orders", orders.checks(), key=orders.KEY, pieces=3) == 3000


@pytest.mark.parametrize(
    ("shape", "key", "type_"), [("all-types", ("pk", "sk"), "Int64"), ("single-table", ("pk", "sk"), "String")]
)
def test_whole_items_are_kept_as_they_were(command: Command, shape: str, key: tuple[str, str], type_: str) -> None:
    export = command.synth("export", shape, items=1000, files=2)
    schema = command.folder / "schema.yaml"
    document = {
        "table": "whole",
        "key": list(key),
        "columns": [{"name": key[0], "type": "String"}, {"name": key[1], "type": type_}],
        "raw": {"column": "_raw"},
    }
    schema.write_text(json.dumps(document))
    command.load(export, schema)
    first = columns.binary if shape == "all-types" else columns.text
    second = columns.integer if type_ == "Int64" else columns.text
    checks = {key[0]: first(key[0], key[0]), key[1]: second(key[1], key[1])}
    checks |= {"version": columns.constant("version", 0), "is_deleted": columns.constant("is_deleted", 0)}
    checks |= {"_unmapped": columns.unmapped("_unmapped", *key), "_raw": columns.raw("_raw")}
    assert prove(command, export, "whole", checks, key=key) == 1000


def test_two_hundred_columns(command: Command) -> None:
    export = command.synth("export", "wide", items=300, files=2)
    command.load(export, SCHEMAS / "wide.yaml")
    ((rows, keys),) = command.query("SELECT count(), uniqExact(id) FROM wide FINAL")
    assert (rows, keys) == ("300", "300")


def test_the_same_command_again_loads_nothing(command: Command) -> None:
    export = command.synth("export", "users", items=500, files=2)
    command.load(export, SCHEMAS / "users.yaml")
    again = command.record("snapshot", export, "--schema", SCHEMAS / "users.yaml", "--to", command.url)
    assert again["files_skipped"] == 2
    assert again["rows_inserted"] == 0
    assert list(command.query("SELECT count() FROM users")) == [["500"]]
