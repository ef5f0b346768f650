"""Each shape has a table that takes all its items: the shapes and the data contract agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from transformer.decode.reference import Reference
from transformer.errors import UsageError
from transformer.schema.file import load_schema
from transformer.schema.table import Table
from transformer.synth import lines, shape_names
from transformer.synth.tables import table_for
from transformer.synth.wide import schema_file

SCHEMAS = Path(__file__).parents[2] / "schemas"
FILES = {"users": "users.yaml", "orders": "orders.yaml", "shuffled": "orders.yaml"}
COUNTS = {"wide": 60, "sparse": 200, "hostile": 130}


def table_of(shape: str) -> Table:
    return load_schema(SCHEMAS / FILES[shape]) if shape in FILES else table_for(shape)


@pytest.mark.parametrize("shape", shape_names())
def test_no_item_is_rejected_by_the_table_of_its_shape(shape: str) -> None:
    reference = Reference(table_of(shape), version=0)
    for line in lines(shape, COUNTS.get(shape, 400), 8):
        row = reference.judge(line[:-1])
        assert isinstance(row, dict), (row, line[:500])


@pytest.mark.parametrize("shape", shape_names())
def test_every_column_gets_a_value_from_some_item(shape: str) -> None:
    """A column that no item fills would test nothing."""
    table = table_of(shape)
    reference = Reference(table, version=0)
    empty = {column.name for column in table.columns} - {"null"}  # always NULL, as its name says
    for line in lines(shape, 1200, 8):
        row = reference.judge(line[:-1])
        assert isinstance(row, dict)
        empty -= {name for name in empty if row[name] not in (None, [], {})}
        if not empty:
            break
    assert not empty


def test_the_schema_file_of_wide_is_the_generated_one() -> None:
    assert (SCHEMAS / "wide.yaml").read_text() == schema_file()
    assert load_schema(SCHEMAS / "wide.yaml") == table_for("wide")


@pytest.mark.parametrize("shape", ["users", "orders", "shuffled", "nothing"])
def test_shapes_with_a_schema_file_have_no_second_table(shape: str) -> None:
    with pytest.raises(UsageError):
        table_for(shape)
