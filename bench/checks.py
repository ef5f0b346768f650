"""Checksums of columns, worked out alike in SQL, over Arrow arrays and over Python values.

Each leaf of a column gives a count of the values that are not NULL, and a content figure: sums of numbers (integers
modulo 2^64, decimals exactly, floats to nine digits), lengths of strings in bytes, ticks of times, half of each UUID;
each list and map gives its total length. JSON text is only counted: peers keep it with tags.
Known by name, so that a peer that cannot read some column is compared in the others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.forms import JSON_TEXT, Form
from transformer.schema import types
from transformer.schema.expression import quote_string
from transformer.schema.table import Table

Figure = int | float | str
"""An integer, a float, or a decimal as text."""

Checksums = dict[str, Figure]

LOW = (1 << 64) - 1
"""Integers and ticks are summed modulo one more than this."""
WIDE = Context(prec=200)
"""Decimal arithmetic that never rounds the sums of a benchmark."""

_UNITS = {3: "Milli", 6: "Micro", 9: "Nano"}


def measures(name: str, form: Form, value: str, *, arrays: bool = False) -> Iterator[tuple[str, str]]:
    """Names and SQL aggregates of a column's checksums.

    value: SQL for the column, or, if `arrays`, for arrays of such values.
    """
    suffix = "Array" if arrays else ""

    def over(call: str) -> str:
        """`call` with each value in place of its braces."""
        return f"arrayMap(v -> {call.format('v')}, {value})" if arrays else call.format(value)

    match form.type:
        case types.Tuple():
            for part, member in form.members:
                at = f"tupleElement({value}, {quote_string(part)})"
                yield from measures(f"{name}.{part}", member, at, arrays=arrays)
            return
        case types.Array():
            yield f"{name}.size", f"sum{suffix}({_lengths(value, arrays)})"
            inner = f"arrayFlatten({value})" if arrays else value
            yield from measures(f"{name}[]", _inner(form), inner, arrays=True)
            return
        case types.Map():
            if arrays:
                raise NotImplementedError("maps inside arrays")
            yield f"{name}.size", f"sum(length({value}))"
            yield f"{name}.keys", f"sumArray(arrayMap(v -> length(v), mapKeys({value})))"
            yield from measures(f"{name}{{}}", _inner(form), f"mapValues({value})", arrays=True)
            return
        case types.String():
            content = over("length({})")
        case types.Enum():
            content = over("toInt16({})")
        case types.UUID():
            content = over("reinterpretAsUInt64(UUIDToNum({}))")
        case types.DateTime64(precision, _):
            content = over(f"toUnixTimestamp64{_UNITS[precision]}({{}})")
        case _:
            content = value
    yield f"{name}.count", f"count{suffix}({value})"
    if form.tag != JSON_TEXT:
        total = f"sum{suffix}({content})"
        yield f"{name}.sum", f"toString({total})" if isinstance(form.type, types.Decimal) else total


def _lengths(value: str, arrays: bool) -> str:
    return f"arrayMap(v -> length(v), {value})" if arrays else f"length({value})"


def _inner(form: Form) -> Form:
    assert form.inner is not None
    return form.inner


def from_sql(forms: dict[str, Form], names: list[str], values: list[Figure | None]) -> Checksums:
    """Checksums from the one row that the aggregates named `names` gave, `rows` first."""
    kinds = {"rows": types.Integer(64, signed=False), **_leaf_types(forms)}
    return {name: _settle(value, kinds[name]) for name, value in zip(names, values, strict=True)}


def first_row(answer: bytes) -> list[Figure | None]:
    """The first row of a JSONCompactEachRow answer."""
    row: list[Figure | None] = json.loads(answer.partition(b"\n")[0])
    return row


def _leaf_types(forms: dict[str, Form]) -> dict[str, types.Type]:
    """The type behind each figure; lengths and counts are integers."""
    kinds: dict[str, types.Type] = {}

    def visit(name: str, form: Form) -> None:
        whole = types.Integer(64, signed=False)
        kinds.update({f"{name}.size": whole, f"{name}.keys": whole, f"{name}.count": whole, f"{name}.sum": form.type})
        for part, member in form.members:
            visit(f"{name}.{part}", member)
        if form.inner is not None:
            visit(f"{name}{{}}" if isinstance(form.type, types.Map) else f"{name}[]", form.inner)

    for name, form in forms.items():
        visit(name, form)
    return kinds


def _settle(value: object, type_: types.Type) -> Figure:
    """A figure as every side writes it: nothing summed up is 0."""
    if isinstance(type_, types.Decimal):
        return plain(Decimal(str(value or 0)))
    if isinstance(type_, types.Float64):
        return float(value or 0)  # type: ignore[arg-type]
    return int(value or 0) & LOW  # type: ignore[call-overload, no-any-return]


def sql_measures(table: Table, forms: dict[str, Form], values: list[str]) -> tuple[list[str], list[str]]:
    """Names and aggregates for all columns. values: SQL of each column of `table`."""
    found = [("rows", "count()")]
    for column, value in zip(table.columns, values, strict=True):
        found.extend(measures(column.name, forms[column.name], value))
    return [name for name, _ in found], [sql for _, sql in found]


def of_batches(forms: dict[str, Form], batches: list[pa.RecordBatch]) -> Checksums:
    """Checksums of Arrow columns of the types that decode makes, or of those of them that are there."""
    found: Checksums = {"rows": sum(batch.num_rows for batch in batches)}
    for name, form in forms.items():
        for batch in batches:
            if name in batch.schema.names:
                for key, value in _of_array(name, form, batch.column(name)):
                    found[key] = add(found.get(key), value)
    return found


def plain(number: Decimal) -> str:
    """A decimal as text, without exponent or superfluous zeros."""
    return format(number.normalize(WIDE), "f")


def add(first: Figure | None, second: Figure) -> Figure:
    """The sum of two figures of one name."""
    if first is None:
        return second
    if isinstance(first, str) or isinstance(second, str):
        return plain(WIDE.add(Decimal(first), Decimal(second)))
    if isinstance(first, float):
        return first + second
    return (first + int(second)) & LOW


def _of_array(name: str, form: Form, array: pa.Array) -> Iterator[tuple[str, Figure]]:
    match form.type:
        case types.Tuple():
            for index, (part, member) in enumerate(form.members):
                yield from _of_array(f"{name}.{part}", member, array.field(index))
            return
        case types.Array():
            yield f"{name}.size", len(array.flatten())
            yield from _of_array(f"{name}[]", _inner(form), array.flatten())
            return
        case types.Map():
            begin, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
            keys = array.keys[begin:end]
            yield f"{name}.size", len(keys)
            yield f"{name}.keys", pc.sum(pc.binary_length(keys)).as_py() or 0
            yield from _of_array(f"{name}{{}}", _inner(form), array.items[begin:end])
            return
    yield f"{name}.count", len(array) - array.null_count
    if form.tag != JSON_TEXT and _has_values(form, array):
        yield f"{name}.sum", _settle(_content(form.type, array), form.type)


def _has_values(form: Form, array: pa.Array) -> bool:
    """Whether an array holds the column's values, not a text of them that nobody converted."""
    if isinstance(form.type, types.String | types.Enum):
        return form.tag != "B" or not pa.types.is_string(array.type)
    return bool(array.type == form.type.arrow)


def _content(type_: types.Type, array: pa.Array) -> object:
    """The content figure of one array; None if it has no values."""
    match type_:
        case types.String():
            return pc.sum(pc.binary_length(array)).as_py()
        case types.Enum(_, members):
            numbers = np.array([number for _, number in members], np.int64)
            places = pc.index_in(array.drop_null().cast(pa.string()), pa.array([n for n, _ in members], pa.string()))
            return int(numbers[places.to_numpy()].sum())
        case types.Integer(bits) if bits > 64:
            return _words(array, bits // 8)
        case types.UUID():
            return _words(array, 16)
        case types.DateTime64():
            return pc.sum(array.cast(pa.int64())).as_py()
        case types.Decimal():
            return pc.sum(array.cast(pa.decimal256(76, type_.scale))).as_py()
        case _:
            return pc.sum(array).as_py()


def _words(array: pa.Array, width: int) -> int:
    """The sum, modulo 2^64, of the first eight bytes of each value, little-endian."""
    held = array.drop_null()
    data = np.frombuffer(b"".join(held.to_pylist()), "<u8")
    return int(data.reshape(-1, width // 8)[:, 0].sum(dtype=np.uint64))


def differences(expected: Checksums, found: Checksums, *, shared: bool = False) -> list[str]:
    """How the two differ, one sentence for each name. shared: only look at names that are in both."""
    names = expected.keys() & found.keys() if shared else expected.keys() | found.keys()
    return [
        f"{name}: {expected.get(name)} and {found.get(name)}"
        for name in sorted(names)
        if not _same(expected.get(name), found.get(name))
    ]


def _same(first: Figure | None, second: Figure | None) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=1e-9, abs_tol=1e-6)  # summed in another order
    return first == second
