"""The items of every shape are ones that DynamoDB can hold, have keys of their own, and are what the shape promises."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_checker import check_value, item_of

from transformer.synth import blocks, datafile, lines, shape_names
from transformer.synth.hostile import KEY, NAME_BYTES
from transformer.synth.users import SALLY

KEYS = {
    "orders": ("customer", "order_no"),
    "shuffled": ("customer", "order_no"),
    "all-types": ("pk", "sk"),
    "single-table": ("pk", "sk"),
    "hostile": (KEY,),
}
COUNTS = {"wide": 300, "hostile": 130, "list-of-maps": 400, "long-strings": 400, "deep": 400}  # bulky shapes
AS_AWS_SPELLS = [shape for shape in shape_names() if shape != "hostile"]


def key_names(shape: str) -> tuple[str, ...]:
    return KEYS.get(shape, ("id",))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("shape", shape_names())
def test_items_are_what_dynamodb_can_hold_and_keys_are_first_and_unique(shape: str, shuffle: bool) -> None:
    seen = set()
    count = COUNTS.get(shape, 1500)
    for line in lines(shape, count, 11, shuffle=shuffle):
        item = item_of(line)
        names = key_names(shape)
        assert tuple(item)[: len(names)] == names
        key = json.dumps([item[name] for name in names])
        for name, limit in zip(names, (2048, 1024), strict=False):
            [tag] = item[name]
            assert tag in ("S", "N", "B")
            assert 0 < check_value(item[name]) <= limit
        seen.add(key)
        sizes = (len(name.encode()) + check_value(value, plain=shape != "hostile") for name, value in item.items())
        assert sum(sizes) <= 400 * 1024
        assert all(0 < len(name.encode()) <= 65_535 for name in item)
    assert len(seen) == count


@pytest.mark.parametrize("shape", AS_AWS_SPELLS)
def test_lines_are_compact_raw_utf8(shape: str) -> None:
    """Byte-equal to what json.dumps gives for the parsed line, as all real lines seen so far are."""
    for line in lines(shape, 300, 2):
        assert line == json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize("entropy_ratio", [None, 4, 15])
@pytest.mark.parametrize("shape", ["users", "orders"])
def test_keys_are_unique_over_many_blocks_and_far_apart_parts(shape: str, entropy_ratio: float | None) -> None:
    parts = [lines(shape, 6_000, 3, ratio=entropy_ratio, first=first) for first in (0, 10**6, 10**9)]
    seen = Counter(
        tuple(str(item[name]) for name in key_names(shape))
        for item in (json.loads(line)["Item"] for line in itertools.chain(*parts))
    )
    assert len(seen) == 18_000


@given(seed=st.integers(0, 2**70), ratio=st.sampled_from([None, 4, 15]), shuffle=st.booleans())
def test_the_first_user_is_always_sally(seed: int, ratio: float | None, shuffle: bool) -> None:
    first, second = lines("users", 2, seed, ratio=ratio, shuffle=shuffle)
    assert first == SALLY
    assert json.loads(first)["Item"] == {
        "age": {"N": "26"},
        "first_name": {"S": "sally"},
        "id": {"S": "0A556908-F72B-4BE6-9048-9E60715358D4"},
    }
    assert item_of(second)["id"] != item_of(first)["id"]


@pytest.mark.parametrize("shape", shape_names())
def test_an_item_depends_on_its_number_only(shape: str) -> None:
    whole = list(lines(shape, 300, 6))
    assert list(lines(shape, 40, 6)) == whole[:40]
    assert list(lines(shape, 50, 6, first=250)) == whole[250:]
    assert [line for block in blocks(shape, 3, 6, first=255) for line in block] == whole[255:258]
    assert list(lines(shape, 0, 6, first=17)) == []
    assert list(lines(shape, 40, 7)) != whole[:40]


@pytest.mark.parametrize(
    ("shape", "one", "other"),
    [("orders", "status", "total"), ("wide", "count_001", "flag_004"), ("users", "age", "first_name")],
)
def test_most_items_agree_in_order_and_shuffled_ones_do_not(shape: str, one: str, other: str) -> None:
    def share_in_this_order(shuffle: bool) -> float:
        items = [item_of(line) for line in lines(shape, 600, 3, shuffle=shuffle)]
        both = [list(item) for item in items if one in item and other in item]
        return sum(names.index(one) < names.index(other) for names in both) / len(both)

    assert not 0.1 < share_in_this_order(False) < 0.9
    assert 0 < share_in_this_order(False) < 1
    assert 0.35 < share_in_this_order(True) < 0.65


def values_of(value: dict[str, Any], inside: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value under a typed value, with the tags on the way to it, its own last."""
    [(tag, inner)] = value.items()
    yield (*inside, tag), inner
    parts = inner.values() if tag == "M" else inner if tag == "L" else ()
    for part in parts:
        yield from values_of(part, (*inside, tag))


def everything(shape: str, count: int) -> list[tuple[tuple[str, ...], Any]]:
    return [pair for line in lines(shape, count, 1) for value in item_of(line).values() for pair in values_of(value)]


def test_all_types_has_each_type_at_the_top_in_maps_and_in_lists() -> None:
    found = {tags[-2:] for tags, _ in everything("all-types", 500)}
    ten = {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"}
    assert {tags for tags in found if len(tags) == 1} == {(tag,) for tag in ten}
    assert found >= {(outer, tag) for outer in ("M", "L") for tag in ten}


def test_all_types_reaches_the_edges_of_numbers() -> None:
    numbers = {inner for tags, inner in everything("all-types", 2000) if tags[-1] == "N"}
    assert numbers >= {
        "0", "127", "-128", "255", "32767", "65535", "9223372036854775807", "-9223372036854775808",
        "18446744073709551615", "9" * 38, "0." + "0" * 129 + "1", "9" * 38 + "0" * 88, "-" + "9" * 38 + "0" * 88,
    }  # fmt: skip


def test_hostile_has_what_it_is_named_for() -> None:
    made = list(lines("hostile", 450, 1))
    text = b"".join(made)
    assert "😀".encode() in text
    assert b"\\ud83d\\ude00" in text.lower()
    assert all(escape in text for escape in (b'\\"', b"\\\\", b"\\/", b"\\b", b"\\f", b"\\n", b"\\r", b"\\t", b"\\u00"))
    items = [item_of(line) for line in made]
    names = {name for item in items for name in item}
    assert names >= {"S", "M", "Item", "a.b", "a b", " ", 'quo"te', "back\\slash", "new\nline", "n" * NAME_BYTES}
    values = [pair for item in items for value in item.values() for pair in values_of(value)]
    assert max(sum(tag in "ML" for tag in tags) for tags, _ in values) == 32
    numbers = {inner for tags, inner in values if tags[-1] == "N"}
    assert any("e" in number.lower() for number in numbers)
    assert any(len(number) > 125 for number in numbers)
    empty = {tags[-1] for tags, inner in values if inner in ("", [], {})}
    assert empty == {"S", "B", "M", "L"}
    sizes = [
        sum(len(name.encode()) + check_value(value, plain=False) for name, value in item.items()) for item in items
    ]
    assert sum(size > 390 * 1024 for size in sizes) >= 2
    assert max(map(len, made)) > 2 * 1024 * 1024
    assert max(map(len, items)) > 8000


def test_wide_has_two_hundred_attributes_and_sparse_few_of_them() -> None:
    wide = [item_of(line) for line in lines("wide", 500, 1)]
    assert len({name for item in wide for name in item}) == 200
    assert sum(map(len, wide)) / 500 > 190
    sparse = [item_of(line) for line in lines("sparse", 1000, 1)]
    assert {name for item in sparse for name in item} == {name for item in wide for name in item}
    assert 6 < sum(map(len, sparse)) / 1000 < 16


def test_single_table_holds_several_kinds_of_items_under_shared_partition_keys() -> None:
    items = [item_of(line) for line in lines("single-table", 3000, 1)]
    kinds = Counter(item["entity"]["S"] for item in items)
    assert set(kinds) == {"user", "order", "session", "product", "review"}
    assert min(kinds.values()) > 100
    starts = {"user": "PROFILE", "order": "ORDER#", "session": "SESSION#", "product": "META", "review": "REVIEW#"}
    assert all(item["sk"]["S"].startswith(starts[item["entity"]["S"]]) for item in items)
    # Item collections stand together, in the order of their sort key.
    groups = [list(group) for _, group in itertools.groupby(items, key=lambda item: item["pk"]["S"])]
    assert len({group[0]["pk"]["S"] for group in groups}) == len(groups)
    assert all([i["sk"]["S"] for i in group] == sorted(i["sk"]["S"] for i in group) for group in groups)
    assert max(map(len, groups)) > 3


def test_orders_of_a_customer_stand_together_in_the_order_of_their_numbers() -> None:
    items = [item_of(line) for line in lines("orders", 5000, 1)]
    groups = [list(group) for _, group in itertools.groupby(items, key=lambda item: item["customer"]["S"])]
    assert len({group[0]["customer"]["S"] for group in groups}) == len(groups)
    for group in groups:
        numbers = [int(item["order_no"]["N"]) for item in group]
        assert numbers == sorted(set(numbers))


def test_memory_does_not_grow_with_the_number_of_items(tmp_path: Any) -> None:
    def peak(items: int) -> int:
        tracemalloc.start()
        datafile.write(tmp_path / "x.gz", blocks("users", items, 1))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(5_000)  # pools and caches
    assert peak(60_000) < 1.3 * peak(10_000)
