"""Types by what was seen, names, the text of the file, and profiles that are merged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decode_strategies import lines as odd_lines
from hypothesis import given
from hypothesis import strategies as st

from transformer.decode.profile_reference import add_line, item_of
from transformer.decode.reference_item import read_item
from transformer.decode.reference_json import FaultError
from transformer.schema.names import Names, readable
from transformer.schema.profile import MAP_NAMES, SKETCH, TOP_NAMES, Distinct, Profile
from transformer.schema.propose import MOST_COLUMNS, Proposed, propose


def profiled(*items: dict[str, Any]) -> Profile:
    profile = Profile()
    for item in items:
        add_line(profile, json.dumps({"Item": item}).encode())
    return profile


def columns(*values: dict[str, Any], tight: bool = False) -> dict[str, Proposed]:
    """The proposed columns for items that have these attributes beside their key."""
    items = [{"k": {"N": str(number)}, **value} for number, value in enumerate(values)]
    return {column.name: column for column in propose(profiled(*items), ["k"], tight=tight).columns}


def number(*texts: str, tight: bool = False) -> str:
    return columns(*({"n": {"N": text}} for text in texts), tight=tight)["n"].type.sql


@pytest.mark.parametrize(
    ("texts", "tight", "roomy"),
    [
        (["0", "127"], "Int8", "Int16"),
        (["200"], "UInt8", "Int32"),
        (["-129"], "Int16", "Int32"),
        (["1767230833015"], "Int64", "Int64"),
        (["9223372036854775807"], "Int64", "Int128"),
        (["18446744073709551615"], "UInt64", "Int128"),
        (["-" + "9" * 38], "Int128", "Int256"),
        (["1E76"], "Int256", "Int256"),
        (["2E77"], "String", "String"),
        (["1.0", "26.50"], "Decimal(3, 1)", "Decimal(18, 1)"),
        (["0." + "1" * 38], "Decimal(38, 38)", "Decimal(76, 38)"),
        (["1e-77"], "String", "String"),
        (["0.5"], "Decimal(1, 1)", "Decimal(18, 1)"),
        (["-0"], "Int8", "Int16"),
    ],
)
def test_numbers_get_the_narrowest_exact_type_and_head_room(texts: list[str], tight: str, roomy: str) -> None:
    assert number(*texts, tight=True) == tight
    assert number(*texts) == roomy


def test_nullable_exactly_where_something_was_missing_or_null() -> None:
    found = columns(
        {"a": {"BOOL": True}, "b": {"BOOL": True}, "c": {"BOOL": True}}, {"a": {"BOOL": False}, "b": {"NULL": True}}
    )
    assert [found[name].type.sql for name in "abc"] == ["Bool", "Nullable(Bool)", "Nullable(Bool)"]
    assert "NULL in 1" in found["b"].evidence
    assert "1 of 2 items" in found["c"].evidence


def test_maps_with_stable_names_are_flattened_and_others_are_not() -> None:
    stable = {"address": {"M": {"city": {"S": "x"}, "geo": {"M": {"lat": {"N": "1.5"}}}}}}
    data = [{"stock": {"M": {f"sku{number}": {"N": "1"}}}} for number in range(40)]
    found = columns(stable, *data)
    assert found["address_geo_lat"].path == ("address", "geo", "lat")
    assert found["stock"].type.sql == "Map(String, Int16)"


def test_ten_thousand_names_of_a_map_are_one_column() -> None:
    found = columns({"m": {"M": {f"n{number}": {"S": "x"} for number in range(10_000)}}}, {"m": {"M": {}}})
    assert found["m"].type.sql == "Map(String, String)"


def test_mixed_values_say_what_was_seen() -> None:
    found = columns({"a": {"S": "x"}}, {"a": {"N": "1"}}, {"a": {"N": "2"}})
    assert found["a"].type.sql == "String"
    assert "N in 2, S in 1" in found["a"].evidence


def test_lists_of_maps_are_tuples() -> None:
    found = columns({"l": {"L": [{"M": {"sku": {"S": "x"}, "n": {"N": "1"}}}, {"M": {"sku": {"S": "y"}}}]}})
    assert found["l"].type.sql == "Array(Tuple(`sku` String, `n` Nullable(Int16)))"


def test_too_many_attributes_are_left_to_unmapped() -> None:
    item = {"k": {"S": "1"}} | {f"a{number}": {"S": "x"} for number in range(TOP_NAMES + 10)}
    proposal = propose(profiled(item), ["k"])
    assert len(proposal.columns) == MOST_COLUMNS + 1
    assert "_unmapped" in proposal.notes[0]


@pytest.mark.parametrize(
    ("steps", "name"),
    [
        (["address", "geo", "lat"], "address_geo_lat"),
        (["weird.name", "x y"], "weird_name_x_y"),
        (["2nd"], "_2nd"),
        (["order"], "order_"),
        (["!"], "attribute_"),
        (["größe"], "größe"),
        (["\x00"], "attribute_"),
    ],
)
def test_names_are_readable(steps: list[str], name: str) -> None:
    assert readable(steps) == name


def test_names_that_collide_are_numbered() -> None:
    names = Names(["version"])
    assert [names.give(["a", "b"]), names.give(["a.b"]), names.give(["a_b"])] == ["a_b", "a_b_2", "a_b_3"]
    assert names.give(["version"]) == "version_2"


@given(odd_lines())
def test_a_line_counts_as_an_item_exactly_when_the_decoder_takes_it_as_one(line: bytes) -> None:
    try:
        valid = bool(line.strip(b" \t\r")) and read_item(line) is not None
    except FaultError:
        valid = False
    assert (item_of(line) is not None) == valid


@given(st.lists(odd_lines(), max_size=12), st.integers(0, 12))
def test_profiles_of_parts_add_up_to_that_of_the_whole(lines: list[bytes], cut: int) -> None:
    whole, first, second = Profile(), Profile(), Profile()
    for at, line in enumerate(lines):
        add_line(whole, line)
        add_line(first if at < cut else second, line)
    first.merge(second)
    assert first.to_dict() == whole.to_dict()
    assert first.orders == whole.orders


def test_dictionaries_add_up_wherever_they_are_cut() -> None:
    items = [{"m": {"M": {f"n{number}": {"N": str(number)}}}} for number in range(MAP_NAMES + 20)]
    whole, first, second = profiled(*items), profiled(*items[:200]), profiled(*items[200:])
    first.merge(second)
    assert first.to_dict() == whole.to_dict()
    assert whole.attributes["m"].is_dictionary


def test_distinct_is_exact_while_few_and_near_when_many() -> None:
    few, many, more = Distinct(), Distinct(), Distinct()
    for number in range(SKETCH):
        few.add(b"%d" % number)
        few.add(b"%d" % number)
    assert (few.exact, few.count) == (True, SKETCH)
    for number in range(50_000):
        many.add(b"%d" % number)
        more.add(b"%d" % (number + 25_000))
    assert not many.exact
    assert 40_000 < many.count < 60_000
    many.merge(more)
    assert 60_000 < many.count < 90_000
