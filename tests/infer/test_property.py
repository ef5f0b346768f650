"""For any items whatever: the proposed schema loads all of them without a reject, and every value can be read back."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from decode_strategies import Writer, items, plain_json, texts
from hypothesis import given
from hypothesis import strategies as st
from infer.lines import check

from transformer.schema import types as t

if TYPE_CHECKING:
    from decode_strategies import Members


@st.composite
def tables(draw: st.DrawFn) -> list[bytes]:
    """Items with a key `k` of its own each, first."""
    writer = Writer("compact", draw(st.integers(0, 99)))
    found: list[Members] = draw(st.lists(items(), min_size=1, max_size=8))
    lines = []
    for number, members in enumerate(found):
        others = {name: value for name, value in members if name != "k"}
        lines.append(writer.line([("k", ("S", f"key {number}")), *others.items()]))
    return lines


@given(tables(), st.booleans())
def test_any_items_are_loaded_without_a_reject_and_read_back(lines: list[bytes], tight: bool) -> None:
    check(lines, tight=tight)


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """Many items of a few kinds, so that columns get narrow types, enough to be converted and shared."""
    pool = draw(st.lists(items(), min_size=1, max_size=3))
    uuids = [str(uuid.UUID(int=draw(st.integers(0, 2**128 - 1)))) for _ in range(3)]
    digits = draw(st.sampled_from((0, 3, 6, 9)))
    word = draw(texts().map(lambda text: text[:16]))
    lines = []
    for number in range(120):
        fraction = f".{number:0{digits}d}" if digits else ""
        item: dict[str, Any] = {
            "k": {"N": str(number)},
            "u": {"S": uuids[number % 3]},
            "at": {"S": f"20{number % 60:02d}-02-28T23:59:{number % 60:02d}{fraction}Z"},
            "word": {"S": word},
        }
        item |= {name: plain_json(value) for name, value in pool[number % len(pool)] if name not in item}
        lines.append(json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")).encode())
    return lines


@given(alike())
def test_columns_of_many_alike_items_are_converted_and_read_back(lines: list[bytes]) -> None:
    table = check(lines)
    types = {column.name: column.type for column in table.columns}
    assert types["u"] == t.UUID()
    assert isinstance(types["at"], t.DateTime64)
    assert types["word"] == t.LowCardinality(t.String())
