"""pyarrow.json with an explicit schema: DynamoDB JSON to the columns of a table, as far as pyarrow goes.

N is a string in the JSON, so columns are cast after reading. It cannot read maps of any names, JSON text of a part
of the item, nor base64: those columns are left out or left as text, which makes it faster than it would be.
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from bench.forms import JSON_TEXT, SETS, Form
from transformer.schema import types
from transformer.schema.table import Convert, Table

BLOCK_BYTES = 8 << 20


def readable(form: Form) -> bool:
    """Whether pyarrow can read a column of this form."""
    if form.tag == JSON_TEXT or isinstance(form.type, types.Map):
        return False
    return all(readable(member) for _, member in form.members) and (form.inner is None or readable(form.inner))


def schema(table: Table, forms: dict[str, Form]) -> pa.Schema:
    """The explicit schema of the lines."""
    tree: dict[str, Any] = {}
    for column in table.columns:
        if readable(forms[column.name]):
            node = tree
            for step in column.path[:-1]:
                node = node.setdefault(step, {})
            node[column.path[-1]] = forms[column.name]
    return pa.schema([pa.field("Item", _struct(tree))])


def _struct(tree: dict[str, Any]) -> pa.DataType:
    return pa.struct(
        [
            (name, pa.struct([("M", _struct(node))]) if isinstance(node, dict) else _tagged(node))
            for name, node in tree.items()
        ]
    )


def _tagged(form: Form) -> pa.DataType:
    return pa.struct([(form.tag, _inside(form))])


def _inside(form: Form) -> pa.DataType:
    if isinstance(form.type, types.Tuple):
        return pa.struct([(name, _tagged(member)) for name, member in form.members])
    if form.inner is not None:
        return pa.list_(pa.string() if form.tag in SETS else _tagged(form.inner))
    return pa.bool_() if form.tag == "BOOL" else pa.string()


def read(table: Table, forms: dict[str, Form], text: bytes, lines: pa.Schema) -> list[pa.RecordBatch]:
    """The columns that it can read, as record batches."""
    found = pj.read_json(
        io.BytesIO(text),
        read_options=pj.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
        parse_options=pj.ParseOptions(explicit_schema=lines, unexpected_field_behavior="ignore"),
    )
    return columns_of(table, forms, found.column("Item").chunks)


def columns_of(table: Table, forms: dict[str, Form], items: list[pa.StructArray]) -> list[pa.RecordBatch]:
    """The columns of `table` out of parsed items, typed structs in which numbers are still texts."""
    batches = []
    for item in items:
        columns = {}
        for column in table.columns:
            form = forms[column.name]
            if readable(form):
                value = item
                for step in column.path[:-1]:
                    value = _field(_field(value, step), "M")
                columns[column.name] = _value(_field(value, column.path[-1]), form)
        batches.append(pa.RecordBatch.from_pydict(columns))
    return batches


def _field(array: pa.StructArray, name: str) -> pa.Array:
    """The member with the struct's own nulls put into it."""
    return array.flatten()[array.type.get_field_index(name)]


def _value(tagged: pa.Array, form: Form) -> pa.Array:
    return _convert(_field(tagged, form.tag), form)


def _convert(array: pa.Array, form: Form) -> pa.Array:
    """What stands inside the tag as the column's Arrow type, where pyarrow has a cast for it."""
    match form.type:
        case types.Tuple():
            parts = [_value(_field(array, name), member) for name, member in form.members]
            return pa.StructArray.from_arrays(parts, [name for name, _ in form.members])
        case types.Array():
            assert form.inner is not None
            inner = _convert(array.values, form.inner) if form.tag in SETS else _value(array.values, form.inner)
            return pa.ListArray.from_arrays(array.offsets, inner, mask=array.is_null())
        case types.Integer(bits) if bits > 64:
            return array.cast(pa.decimal128(38, 0)) if bits == 128 else array
        case types.DateTime64() if form.convert is Convert.ISO8601:
            return array.cast(form.type.arrow)
        case types.DateTime64():
            return array.cast(pa.int64()).cast(form.type.arrow)
        case types.Integer() | types.Decimal() | types.Float64():
            made = array.cast(form.type.arrow)
            return made if form.default is None else pc.fill_null(made, form.default)
    return array
