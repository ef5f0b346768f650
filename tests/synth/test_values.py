"""Values are spelled as DynamoDB spells them, exactly."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_checker import EMPTY_FILE, PLAIN

from transformer.synth import datafile
from transformer.synth.manifests import Identity
from transformer.synth.rows import spread
from transformer.synth.values import BinarySet, NumberSet, StringSet, encode, plain

numbers = st.builds(
    lambda digits, exponent: Decimal(f"{digits}e{exponent}"),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-130, 88),
)


@given(numbers)
def test_numbers_keep_their_value_in_plain_notation(number: Decimal) -> None:
    assert PLAIN.fullmatch(plain(number))
    assert Decimal(plain(number)) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (42, "42"),
        (Decimal("-0"), "0"),
        (Decimal("0.000"), "0"),
        (Decimal("1.5E2"), "150"),
        (Decimal("1.0"), "1"),
        (Decimal("1e100"), "1" + "0" * 100),
        (Decimal("-0.50"), "-0.5"),
        (Decimal("1e-130"), "0." + "0" * 129 + "1"),
    ],
)
def test_numbers_are_normalised_as_on_a_write_to_dynamodb(number: Decimal | int, text: str) -> None:
    assert plain(number) == text


def test_each_type_has_its_tag() -> None:
    value = {
        "s": 'é"\n',
        "n": Decimal("1.50"),
        "b": b"hello",
        "t": True,
        "z": None,
        "ss": StringSet(["b", "a"]),
        "ns": NumberSet([3, Decimal("2.0")]),
        "bs": BinarySet([b"\x01", b""]),
        "m": {},
        "l": [1, []],
    }
    assert encode(value).decode() == (
        '{"M":{"s":{"S":"é\\"\\n"},"n":{"N":"1.5"},"b":{"B":"aGVsbG8="},"t":{"BOOL":true},"z":{"NULL":true},'
        '"ss":{"SS":["b","a"]},"ns":{"NS":["3","2"]},"bs":{"BS":["AQ==",""]},"m":{"M":{}},"l":{"L":[{"N":"1"},{"L":[]}]}}}'
    )


@given(st.text())
def test_strings_read_back(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert json.loads(encode(text)) == {"S": text}


def test_a_float_is_no_dynamodb_number() -> None:
    with pytest.raises(TypeError, match="float"):
        encode(1.5)


@given(
    first=st.integers(0, 2**39),
    count=st.integers(0, 300),
    bits=st.sampled_from([40, 44, 48]),
    scatter=st.floats(0, 1),
    seed=st.integers(0, 2**64),
)
def test_spread_numbers_are_distinct_and_join_up(first: int, count: int, bits: int, scatter: float, seed: int) -> None:
    made = spread(first, count, bits, scatter, seed).tolist()
    assert len(set(made)) == count
    assert all(0 <= number < 2**bits for number in made)
    assert spread(first, count + 50, bits, scatter, seed).tolist()[:count] == made


@given(st.integers(0, 12))
def test_spread_is_a_permutation_of_its_range(bits: int) -> None:
    assert sorted(spread(0, 2**bits, bits, 1.0, 7).tolist()) == list(range(2**bits))


def test_the_empty_file_is_amazons(tmp_path: Path) -> None:
    path = tmp_path / "empty.json.gz"
    written = datafile.write(path, [])
    assert path.read_bytes() == EMPTY_FILE
    # A true line of a real manifest.
    assert (written.md5, written.etag) == ("FjvgqIxwymKf1RbbqtrZag==", "7deb4078f238dd87d6af0538152c04e9-1")
    assert len(base64.b64decode(datafile.checksum(b""))) == 16


def test_names_in_an_export_have_amazons_form() -> None:
    identity = Identity("t", datetime(2026, 11, 23, 0, 0, 0, 622_000, tzinfo=UTC), None, bytes(range(32)))
    assert identity.export_id == "01795392000622-00010203"
    assert identity.data_key(0) != identity.data_key(1)
