"""The profile of lines, said in the plainest way: `read_item`, then a count of every value at its path.

A line is first read by Python's C parser and checked on the way; only a line with something unusual goes to
`read_item`, whose verdict counts. So both ways accept the same lines, and count them alike.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from transformer.decode.reference_item import MAX_DEPTH, NUMBER, plain, read_item
from transformer.decode.reference_json import FaultError
from transformer.schema.profile import Distinct, Numbers, PathProfile, Texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformer.decode.reference_item import Value
    from transformer.schema.profile import Profile

Raw = dict[str, Any]
"""A typed value as Python's `json` reads it: one tag and what it holds."""


class _UnusualError(Exception):
    """The line is not what AWS writes; `read_item` decides what it is."""


def add_line(profile: Profile, line: bytes) -> None:
    """Count the item on a line (without its line feed); a blank line as nothing, one that is no item as invalid."""
    item = item_of(line)
    if item is None:
        profile.invalid += bool(line.strip(b" \t\r"))
        return
    add_item(profile, item)


def add_item(profile: Profile, item: dict[str, Raw]) -> None:
    """Count an item, given as `item_of` gives it."""
    profile.items += 1
    names = iter(item)
    profile.begins(next(names, ""), next(names, ""))
    for name, value in item.items():
        values = profile.attribute(name)
        if values is not None:
            _add(values, value)


def item_of(line: bytes) -> dict[str, Raw] | None:
    """The attributes of the item on a line by name, in line order, as tagged values; None if the line is no item."""
    if not line.strip(b" \t\r"):
        return None
    try:
        root = _DECODER.decode(line.decode())
        if type(root) is not dict or len(root) != 1 or type(root.get("Item")) is not dict:
            raise _UnusualError
        item: dict[str, Raw] = root["Item"]
        for name, value in item.items():
            name.encode()
            _check(value, 0)
        return item
    except (_UnusualError, ValueError, RecursionError):
        pass  # not the verdict: that is read_item's
    try:
        return {name: _raw(value) for name, value in read_item(line).members.items()}
    except FaultError:
        return None


def _raw(value: Value) -> Raw:
    match value.tag:
        case "S" | "N" | "B":
            return {value.tag: value.text}
        case "BOOL":
            return {"BOOL": value.flag}
        case "NULL":
            return {"NULL": True}
        case "M":
            return {"M": {name: _raw(member) for name, member in value.members.items()}}
        case "L":
            return {"L": [_raw(element) for element in value.elements]}
        case _:
            return {value.tag: [element.text for element in value.elements]}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _UnusualError
    return members


def _refuse(text: str) -> Any:
    raise _UnusualError(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse, parse_int=_refuse, parse_float=_refuse)


def _check(value: Any, depth: int) -> None:
    """Raise _UnusualError or UnicodeEncodeError unless this is a sound typed value. depth: M and L around it."""
    if type(value) is not dict or len(value) != 1:
        raise _UnusualError
    ((tag, inner),) = value.items()
    match tag:
        case "S" | "N" | "B":
            _check_scalar(tag, inner)
        case "BOOL":
            if type(inner) is not bool:
                raise _UnusualError
        case "NULL":
            if inner is not True:
                raise _UnusualError
        case "M":
            if type(inner) is not dict or depth >= MAX_DEPTH:
                raise _UnusualError
            for name, member in inner.items():
                name.encode()
                _check(member, depth + 1)
        case "L":
            if type(inner) is not list or depth >= MAX_DEPTH:
                raise _UnusualError
            for element in inner:
                _check(element, depth + 1)
        case "SS" | "NS" | "BS":
            if type(inner) is not list:
                raise _UnusualError
            for element in inner:
                _check_scalar(tag[0], element)
        case _:
            raise _UnusualError


def _check_scalar(tag: str, text: Any) -> None:
    if type(text) is not str:
        raise _UnusualError
    data = text.encode()
    if tag == "N" and not NUMBER.fullmatch(text):
        raise _UnusualError
    if tag == "B":
        try:
            decoded = base64.b64decode(data, validate=True)
        except binascii.Error:
            raise _UnusualError from None
        if base64.b64encode(decoded) != data:
            raise _UnusualError


def _add(values: PathProfile, value: Raw) -> None:
    """Count one typed value that has been checked."""
    ((tag, inner),) = value.items()
    values.tags[tag] += 1
    match tag:
        case "S":
            if values.texts is None:
                values.texts = Texts()
            values.texts.add(inner, inner.encode())
        case "N":
            if values.numbers is None:
                values.numbers = Numbers()
            values.numbers.add(plain(inner) or "")
        case "L":
            _add_elements(values, inner)
        case "SS" | "NS" | "BS":
            _add_elements(values, ({tag[0]: element} for element in inner))
        case "M":
            if values.names is None:
                values.names = Distinct()
            values.empty_maps += not inner
            for name, member in inner.items():
                values.names.add(name.encode())
                _add(values.member(name), member)
        case _:
            pass  # BOOL, NULL and B have nothing to count but their tag


def _add_elements(values: PathProfile, elements: Iterable[Raw]) -> None:
    if values.elements is None:
        values.elements = PathProfile()
    count = 0
    for count, element in enumerate(elements, 1):  # noqa: B007 - the count of all is wanted
        _add(values.elements, element)
    values.longest = max(values.longest, count)
