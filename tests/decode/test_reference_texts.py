"""Canonical texts: plain numbers, canonical DynamoDB JSON, JSON text; against `decimal` and `json`."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal

import pytest
from decode_strategies import BAD_NUMBERS, Typed, Writer, number_texts, texts, typed_values
from hypothesis import given
from hypothesis import strategies as st

from transformer.decode.reference_item import Value, canonical, json_text, plain, read_item


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("0", "0"), ("-0", "0"), ("0.0", "0"), ("-0.00e5", "0"), ("0e-999", "0"), ("1.0", "1"), ("26.50", "26.5")],
        *[("1E2", "100"), ("1e-2", "0.01"), ("-1.5e1", "-15"), ("12.34e-1", "1.234"), ("1e+0", "1"), ("10e-1", "1")],
        *[("100", "100"), ("0.001e2", "0.1"), ("0.001e4", "10"), ("1e-130", "0." + "0" * 129 + "1"), ("1e00", "1")],
        *[("9.99E125", "999" + "0" * 123), ("1e999", "1" + "0" * 999), ("1" + "0" * 9999, "1" + "0" * 9999)],
        *[("0." + "0" * 9999 + "10", "0." + "0" * 9999 + "1"), ("-7.000", "-7")],
        *[(text, None) for text in BAD_NUMBERS],
    ],
    ids=lambda value: repr(value)[:30],
)
def test_plain_is_the_shortest_notation_without_exponent(text: str, expected: str | None) -> None:
    assert plain(text) == expected


@given(number_texts())
def test_plain_is_exact_canonical_and_stable(text: str) -> None:
    written = plain(text)
    assert written is not None
    assert Decimal(written) == Decimal(text)
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", written)
    assert written != "-0"
    assert plain(written) == written


@given(number_texts(), st.integers(0, 40), st.integers(-50, 50))
def test_equal_numbers_have_one_text(text: str, zeros: int, shift: int) -> None:
    sign, whole, fraction, exponent = re.fullmatch(r"(-?)([0-9]+)\.?([0-9]*)(?:[eE](.*))?", text).groups()
    if abs(int(exponent or 0) + shift) > 999:
        return
    padded = "0" * abs(shift) + whole + fraction + "0" * (zeros + abs(shift))
    point = abs(shift) + len(whole) - shift
    other = f"{sign}{padded[:point].lstrip('0') or '0'}.{padded[point:]}0e{int(exponent or 0) + shift}"
    assert plain(other) == plain(text)


@given(texts())
def test_strings_are_escaped_the_shortest_way(text: str) -> None:
    written = json_text(Value("S", 0, text))
    assert json.loads(written) == text
    assert not re.search(r"[\x00-\x1f]", written)
    shortest = {'"': 2, "\\": 2, "\b": 2, "\f": 2, "\n": 2, "\r": 2, "\t": 2}
    length = sum(shortest.get(character, 6 if character < " " else 1) for character in text)
    assert len(written) == length + 2
    assert written == written.replace(r"\u001F", r"\u001f")


def read(value: Typed, style: str = "compact", seed: int = 0) -> Value:
    return read_item(Writer(style, seed).line([("v", value)])).members["v"]


@given(typed_values(), st.integers(0, 99))
def test_one_value_has_one_canonical_text(value: Typed, seed: int) -> None:
    text = canonical(read(value))
    assert canonical(read(value, "wild", seed)) == text
    assert canonical(read(("RAW", text))) == text
    assert json_text(read(("RAW", text))) == json_text(read(value, "wild", seed))
    assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def natural(value: Typed) -> object:
    """A typed value as plain Python, numbers as Decimal, sets sorted by the text or bytes of their elements."""
    tag, content = value
    match tag:
        case "N":
            return Decimal(content)
        case "NULL":
            return None
        case "B":
            return base64.b64encode(content).decode()
        case "M":
            return {name: natural(inner) for name, inner in content}
        case "L":
            return [natural(inner) for inner in content]
        case "SS":
            return sorted(content, key=str.encode)
        case "NS":
            return [Decimal(text) for text in sorted(plain(text) for text in content)]
        case "BS":
            return [base64.b64encode(data).decode() for data in sorted(content)]
        case _:
            return content


@given(typed_values())
def test_json_text_is_the_value_without_tags(value: Typed) -> None:
    text = json_text(read(value))
    assert json.loads(text, parse_int=Decimal, parse_float=Decimal) == natural(value)


@given(typed_values())
def test_names_are_sorted_by_their_bytes_at_every_level(value: Typed) -> None:
    def check(pairs: list[tuple[str, object]]) -> None:
        names = [name.encode() for name, _ in pairs]
        assert names == sorted(names)

    json.loads(json_text(read(value)), object_pairs_hook=check, parse_int=str)
