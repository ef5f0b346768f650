"""The slow twin of `decode.profile`: what a profile counts, in plain Python, one line at a time.

It tells all names apart; only the bounds of the kernel on names and places are not its business.
"""

from __future__ import annotations

import json
import re
from decimal import Context
from typing import TYPE_CHECKING

from transformer.decode.reference_item import Value, read_item
from transformer.decode.reference_json import FaultError
from transformer.schema.profile import DISTINCT_BITS, Place, Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HASHED = 64
_EXACT = Context(prec=5000, Emax=999999, Emin=-999999)
_WHOLE = re.compile(r"-?[0-9]+")
_UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,17}")


def reference_profile(lines: Iterable[bytes], text_hash: Callable[[bytes], int]) -> Profile:
    """The profile of lines of a full export. text_hash: XXH64 with seed 0."""
    profile = Profile()
    for line in lines:
        if not line.strip(b" \t\r"):
            continue
        profile.lines += 1
        try:
            item = read_item(line)
        except FaultError:
            profile.faults += 1
            continue
        _count(profile.item, Value("M", 0, members=item.members), text_hash)
        for position, name in enumerate([*item.members][:2]):
            place = profile.item.members[name]
            place.first += position == 0
            place.second += position == 1
    return profile


def _count(place: Place, value: Value, text_hash: Callable[[bytes], int]) -> None:
    place.tags[value.tag] = place.tags.get(value.tag, 0) + 1
    match value.tag:
        case "S":
            # Lengths and hashes are of the text as AWS writes it between the quotes.
            _text(place, _written(value.text), text_hash)
        case "N":
            _number(place, value.text)
        case "B":
            _length(place, len(value.text))
        case "M":
            for name, member in value.members.items():
                _count(place.members.setdefault(name, Place()), member, text_hash)
            _elements(place, len(value.members))
        case "L" | "SS" | "NS" | "BS":
            if value.elements:
                place.element = place.element or Place()
                for element in value.elements:
                    _count(place.element, element, text_hash)
            elif value.tag != "L":
                place.element = place.element or Place()
            _elements(place, len(value.elements))
        case _:
            pass


def _written(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def _elements(place: Place, count: int) -> None:
    place.elements = max(place.elements, count)
    place.elements_total += count


def _length(place: Place, length: int) -> None:
    texts = place.texts
    texts.least, texts.most = min(texts.least, length), max(texts.most, length)
    texts.total += length


def _text(place: Place, text: bytes, text_hash: Callable[[bytes], int]) -> None:
    _length(place, len(text))
    texts = place.texts
    if len(text) > HASHED:
        texts.long += 1
        return
    texts.bitmap |= 1 << (text_hash(text) * DISTINCT_BITS >> 64)
    texts.uuids += _UUID.fullmatch(text) is not None
    texts.integers += _INTEGER.fullmatch(text) is not None
    texts.times += (
        len(text) >= 20
        and (text[4:5], text[7:8], text[10:11], text[13:14]) == (b"-", b"-", b"T", b":")
        and (text.endswith(b"Z") or (text[-3:-2] == b":" and text[-1:].isdigit()))
    )


def _number(place: Place, text: str) -> None:
    numbers = place.numbers
    if _WHOLE.fullmatch(text) and len(text.removeprefix("-")) <= 19 and abs(int(text)) < 1 << 63:
        numbers.whole += 1
        numbers.low, numbers.high = min(numbers.low, int(text)), max(numbers.high, int(text))
        return
    numbers.other += 1
    value = _EXACT.create_decimal(text)
    if value.is_zero():
        numbers.other_whole += 1
        return
    _, digits, place_of_last = _EXACT.normalize(value).as_tuple()
    exponent = int(place_of_last)  # no NaN and no infinity match the grammar of numbers
    numbers.other_whole += exponent >= 0
    numbers.before = max(numbers.before, len(digits) + exponent)
    numbers.after = max(numbers.after, -exponent)
    numbers.digits = max(numbers.digits, len(digits))
