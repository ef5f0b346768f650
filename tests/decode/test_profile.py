"""The profile kernel against its slow twin, and its bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pytest
from decode_compare import block
from decode_strategies import Members, Writer, items, lines
from hypothesis import given
from hypothesis import strategies as st

from transformer.decode.kernels.hashes import xxhash64
from transformer.decode.profile import Profiler
from transformer.decode.profile_reference import reference_profile
from transformer.schema.profile import Place, Profile, Texts

pytestmark = pytest.mark.kernel


def text_hash(text: bytes) -> int:
    return int(xxhash64(block(text), 0, len(text)))


def profile(data: bytes, **options: int) -> Profile:
    profiler = Profiler(**{"most_places": 1 << 12, **options})
    taken = sum(step.size for step in profiler.steps(block(data), 0, len(data)))
    assert taken == len(data)
    return profiler.profile()


def without_texts(place: Place) -> Place:
    place.texts = Texts()
    for below in (*place.members.values(), *filter(None, (place.rest, place.element))):
        without_texts(below)
    return place


@given(st.lists(items(), max_size=6), st.sampled_from(("compact", "spaced")))
def test_kernel_and_twin_count_the_same(drawn: list[Members], style: str) -> None:
    written = [Writer(style).line(item) for item in drawn]
    assert profile(b"\n".join(written)) == reference_profile(written, text_hash)


@given(st.lists(lines(), max_size=6))
def test_faults_are_told_apart_and_count_for_nothing(written: list[bytes]) -> None:
    # Lengths are those of the text as written, which other writers than AWS's escape in other ways.
    found, wanted = profile(b"\n".join(written)), reference_profile(written, text_hash)
    without_texts(found.item), without_texts(wanted.item)
    assert found == wanted


@given(st.lists(st.lists(items(), max_size=3), max_size=3))
def test_profiles_of_parts_add_up(parts: list[list[Members]]) -> None:
    total = Profile()
    for part in parts:
        total.add(profile(b"\n".join(Writer().line(item) for item in part)))
    whole = profile(b"\n".join(Writer().line(item) for part in parts for item in part))
    assert total == whole


def _items(maps: Iterable[dict[str, object]]) -> bytes:
    return b"".join(json.dumps({"Item": one}, separators=(",", ":")).encode() + b"\n" for one in maps)


def test_names_beyond_the_bound_share_a_place() -> None:
    data = _items({"m": {"M": {f"k{i}": {"N": str(i)}}}} for i in range(10_000))
    place = profile(data).item.members["m"]
    assert len(place.members) == 256
    assert place.rest is not None
    assert place.rest.count == 10_000 - 256
    everything = place.values()
    assert (everything.count, everything.numbers.low, everything.numbers.high) == (10_000, 0, 9_999)


def test_what_finds_no_room_is_marked_and_never_miscounted() -> None:
    data = _items({f"a{i}": {"L": [{"M": {"x": {"S": "y"}}}]}, "z": {"S": "1"}} for i in range(50))
    found = profile(data, most_places=12)
    assert found.item.tags == {"M": 50}
    for name, place in found.item.members.items():
        if name != "z":
            assert place.count == 1
    below = [place for place in found.item.members.values() if place.lost]
    assert below or found.item.lost


@pytest.mark.parametrize("count", [0, 1, 50, 1000, 10_000])
def test_the_estimate_of_distinct_texts_is_near(count: int) -> None:
    data = _items({"s": {"S": f"text {i}"}} for i in range(count))
    place = profile(data).item.members.get("s", Place())
    distinct = place.texts.distinct
    assert distinct is not None
    assert abs(distinct - count) <= 3 + 0.1 * count


def test_long_texts_have_no_estimate() -> None:
    assert profile(_items([{"s": {"S": "x" * 65}}])).item.members["s"].texts.distinct is None


def test_hashes_are_those_of_a_table() -> None:
    assert text_hash(b"") == 0xEF46DB3751D8E999  # the specification's XXH64 of nothing, seed 0
    assert np.uint64(text_hash(b"a")) == np.uint64(0xD24EC4F1A98C6E5B)
