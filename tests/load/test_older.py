"""Rows for older servers: UUIDs as text wherever they stand, and everything else as it was."""

from __future__ import annotations

import uuid

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.load.older import for_older_reader
from transformer.schema.layout import arrow_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import parse

UUIDS = st.uuids().map(lambda value: value.bytes)
TYPES = {
    "UUID": UUIDS,
    "Nullable(UUID)": st.none() | UUIDS,
    "Array(UUID)": st.lists(UUIDS, max_size=3),
    "Array(Array(Nullable(UUID)))": st.lists(st.lists(st.none() | UUIDS, max_size=2), max_size=2),
    "Map(String, UUID)": st.dictionaries(st.binary(max_size=3), UUIDS, max_size=3).map(lambda value: [*value.items()]),
    "Array(Tuple(`a b` Nullable(UUID), n Int32))": st.lists(
        st.fixed_dictionaries({"a b": st.none() | UUIDS, "n": st.integers(-5, 5)}), max_size=3
    ),
}


def told(value: object) -> object:
    """`value` with every sixteen bytes as the text of a UUID."""
    match value:
        case bytes() if len(value) == 16:
            return str(uuid.UUID(bytes=value))
        case list() | tuple():
            return type(value)(told(one) for one in value)
        case dict():
            return {name: told(one) for name, one in value.items()}
        case _:
            return value


@pytest.mark.parametrize("type_", TYPES)
@given(data=st.data())
def test_uuids_become_text_wherever_they_stand(type_: str, data: st.DataObject) -> None:
    table = Table("t", ("id",), (Column("id", ("id",), parse("String")), Column("u", ("u",), parse(type_))))
    values = data.draw(st.lists(TYPES[type_], min_size=1, max_size=8))
    row = {"id": b"k", "version": 0, "is_deleted": 0, "_unmapped": []}
    batch = pa.RecordBatch.from_pylist([{**row, "u": value} for value in values], schema=arrow_schema(table))
    begin = data.draw(st.integers(0, len(values) - 1))  # a slice starts inside its buffers
    sent = for_older_reader(table, batch.slice(begin))
    assert sent.column("u").to_pylist() == [told(value) for value in batch.slice(begin).column("u").to_pylist()]
    assert sent.drop_columns("u").equals(batch.slice(begin).drop_columns("u"))


def test_rows_without_uuids_are_not_touched() -> None:
    table = Table("t", ("id",), (Column("id", ("id",), parse("String")),))
    batch = pa.RecordBatch.from_pylist(
        [{"id": b"k", "version": 0, "is_deleted": 0, "_unmapped": []}], schema=arrow_schema(table)
    )
    assert for_older_reader(table, batch) is batch
