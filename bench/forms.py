"""How each column stands in the items: the schema's types together with the type tags found in the data.

A schema says `String` for S, for B and for JSON text alike; a reader with typed columns must be told which. A human who
sets such a reader up looks at the data, and so does this: at its first items.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from transformer.schema import types
from transformer.schema.table import Column, Convert, Table

Tagged = dict[str, Any]
"""A value as DynamoDB JSON has it: {tag: inner}."""

JSON_TEXT = "JSON"
"""The tag of a form whose column keeps any value as JSON text."""

SETS = {"SS": "S", "NS": "N", "BS": "B"}


@dataclass(frozen=True, slots=True)
class Form:
    """One typed value and the column type that it becomes.

    tag: the DynamoDB tag, or JSON_TEXT. type: the column's type without Nullable and LowCardinality. nullable: whether
    it may be NULL. inner: the form of elements (L, sets, maps), or None. members: forms by name, of a Tuple.
    convert: as the column has it. default: the number that a missing value becomes, or None.
    """

    tag: str
    type: types.Type
    nullable: bool = False
    inner: Form | None = None
    members: tuple[tuple[str, Form], ...] = ()
    convert: Convert | None = None
    default: int | None = None


def forms(table: Table, lines: Iterable[bytes]) -> dict[str, Form]:
    """The form of each column of `table`, by its name. lines: enough of them that each tag occurs."""
    items = [json.loads(line)["Item"] for line in lines]
    found = {}
    for column in table.columns:
        values = [value for item in items if (value := value_at(item, column)) is not None]
        found[column.name] = _form(column.type, values, column.convert, _default(column))
    return found


def value_at(item: dict[str, Tagged], column: Column) -> Tagged | None:
    """The typed value that `column` reads from an item, or None: missing, NULL, or a map on its way is."""
    members = item
    for step in column.path[:-1]:
        members = members.get(step, {}).get("M", {})
    value = members.get(column.path[-1])
    return None if value is None or "NULL" in value else value


def _default(column: Column) -> int | None:
    if column.default is None:
        return None
    if column.default != {"N": "0"}:
        raise NotImplementedError(f"default of {column.name}: peers can only be told ClickHouse's own default")
    return 0


def _form(type_: types.Type, values: list[Tagged], convert: Convert | None = None, default: int | None = None) -> Form:
    nullable = False
    while isinstance(type_, (types.Nullable, types.LowCardinality)):
        nullable = nullable or isinstance(type_, types.Nullable)
        type_ = type_.inner
    tags = {tag for value in values for tag in value} - {"NULL"}
    match type_:
        case types.Tuple(members):
            parts = tuple((name, _form(member, list(_member(values, name)))) for name, member in members)
            return Form("M", type_, members=parts)
        case types.Map(value_type):
            return Form("M", type_, inner=_form(value_type, list(chain.from_iterable(v["M"].values() for v in values))))
        case types.Array(element):
            tag = _only(tags, "L")
            if tag in SETS:
                return Form(tag, type_, inner=_form(element, [{SETS[tag]: ""}]))
            return Form(tag, type_, inner=_form(element, list(chain.from_iterable(v["L"] for v in values))))
        case types.String():
            tag = _only(tags, "S") if tags <= {"S", "B", "N"} else JSON_TEXT
        case types.Bool():
            tag = "BOOL"
        case types.Enum() | types.UUID():
            tag = "S"
        case _:
            tag = "S" if convert is Convert.ISO8601 else _only(tags, "N")
    return Form(tag, type_, nullable=nullable, convert=convert, default=default)


def _member(values: list[Tagged], name: str) -> Iterator[Tagged]:
    return (value["M"][name] for value in values if name in value.get("M", {}))


def _only(tags: set[str], otherwise: str) -> str:
    """The one tag among `tags`; `otherwise` if there is none."""
    if len(tags) > 1:
        raise NotImplementedError(f"a column of tags {sorted(tags)}: peers could not be told to read it")
    return next(iter(tags), otherwise)
