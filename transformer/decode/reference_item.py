"""Lines as typed items, and typed values as text: classes 1 to 4 of the verdict, for the slow twin.

`read_item` and `read_change` judge everything about a line that does not depend on a schema. `plain`, `canonical` and
`json_text` are the texts in which values leave again.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformer.decode.envelope import KEYS, METADATA, Envelope
from transformer.decode.reference_json import FaultError, Kind, Node, read_json
from transformer.errors import RejectCode

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DEPTH = 32
"""Levels of M and L that DynamoDB allows inside one attribute."""

NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,3}))?")
"""What an N may hold: sign, whole digits, fraction digits, exponent. The whole text must match."""


@dataclass(slots=True, eq=False, repr=False)
class Value:
    """One typed attribute value, `{"<tag>":<content>}`.

    tag: one of S, N, B, BOOL, NULL, M, L, SS, NS, BS.
    offset: of the first byte of the JSON value inside the tag; this is where a fault of the value is reported.
    text: of S and N, the string after unescaping; of B, its base64 text.
    data: of B, the decoded bytes.
    flag: of BOOL.
    members: of M, by name, in line order.
    elements: of L; of SS, NS and BS, where each element is a Value of tag S, N or B at the place of its string.
    """

    tag: str
    offset: int
    text: str = ""
    data: bytes = b""
    flag: bool = False
    members: dict[str, Value] = field(default_factory=dict)
    elements: list[Value] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Item:
    """One item, or another map of attributes in the envelope.

    offset: of the opening brace of its map.
    members: the attributes by name, in line order.
    name_offsets: of each attribute, the offset of the opening quote of its name.
    """

    offset: int
    members: dict[str, Value]
    name_offsets: dict[str, int]


@dataclass(slots=True, eq=False, repr=False)
class Change:
    """One line of an incremental export. image: the item as it is now; None when it was deleted."""

    metadata: Item
    keys: Item
    image: Item | None


def read_item(line: bytes) -> Item:
    """The item on a line `{"Item":{...}}` that is not blank.

    Raises FaultError for the first failing class of 1 to 4 at its lowest offset. Where a tag M or L holds the wrong
    JSON type at a depth beyond 32, the wrong type is the fault: there is no map or list there to be too deep.
    """
    return _read(line, Envelope.ITEM)["Item"]


def read_change(line: bytes) -> Change:
    """The change on a line of an incremental export that is not blank. Raises as `read_item` does."""
    members = _read(line, Envelope.CHANGE)
    return Change(members[METADATA], members[KEYS], members.get("NewImage"))


def _read(line: bytes, envelope: Envelope) -> dict[str, Item]:
    root = read_json(line)
    leaves: list[Value] = []
    members = _envelope(root, leaves, envelope)
    for leaf in leaves:
        _check_leaf(leaf)
    return members


def tagged(value: dict[str, object]) -> Value:
    """The typed value that Python's `json` would write as this object, as in a schema's `default`.

    Raises FaultError if it is none, with offsets that mean nothing.
    """
    line = json.dumps({"Item": {"default": value}}, ensure_ascii=False)
    return read_item(line.encode("utf-8", "surrogatepass")).members["default"]


def _envelope(root: Node, leaves: list[Value], envelope: Envelope) -> dict[str, Item]:
    if root.kind is not Kind.OBJECT:
        raise FaultError(RejectCode.NOT_AN_ITEM, root.offset)
    items: dict[str, Item] = {}
    for name, offset, node in root.members():
        if name not in (*envelope.required, *envelope.optional):
            raise FaultError(RejectCode.NOT_AN_ITEM, offset)
        if name in items:
            raise FaultError(RejectCode.DUPLICATE_NAME, offset)
        if node.kind is not Kind.OBJECT:
            raise FaultError(RejectCode.WRONG_JSON_TYPE, node.offset)
        items[name] = Item(node.offset, _members(node, 0, leaves), dict(node.names))
    if any(name not in items for name in envelope.required):
        raise FaultError(RejectCode.NOT_AN_ITEM, root.end - 1)
    return items


def _members(node: Node, depth: int, leaves: list[Value]) -> dict[str, Value]:
    """The members of an M, or of a map in the envelope (depth 0)."""
    members: dict[str, Value] = {}
    for name, offset, member in node.members():
        if name in members:
            raise FaultError(RejectCode.DUPLICATE_NAME, offset)
        members[name] = _typed(member, depth, leaves)
    return members


def _typed(node: Node, depth: int, leaves: list[Value]) -> Value:
    """The typed value that `node` is, with `depth` levels of M and L around it. Appends leaves in line order."""
    if node.kind is not Kind.OBJECT:
        raise FaultError(RejectCode.NOT_TYPED, node.offset)
    if not node.names:
        raise FaultError(RejectCode.NOT_TYPED, node.end - 1)
    (tag, tag_offset), inner = node.names[0], node.values[0]
    if tag not in _KINDS:
        raise FaultError(RejectCode.UNKNOWN_TAG, tag_offset)
    if inner.kind not in _KINDS[tag]:
        raise FaultError(RejectCode.WRONG_JSON_TYPE, inner.offset)
    if tag in ("M", "L"):
        depth += 1
        if depth > MAX_DEPTH:
            raise FaultError(RejectCode.TOO_DEEP, inner.offset)
    value = Value(tag, inner.offset)
    match tag:
        case "S" | "N" | "B":
            value.text = inner.text
            leaves.append(value)
        case "BOOL":
            value.flag = inner.kind is Kind.TRUE
        case "M":
            value.members = _members(inner, depth, leaves)
        case "L":
            value.elements = [_typed(element, depth, leaves) for element in inner.values]
        case "SS" | "NS" | "BS":
            for element in inner.values:
                if element.kind is not Kind.STRING:
                    raise FaultError(RejectCode.WRONG_JSON_TYPE, element.offset)
                value.elements.append(Value(tag[0], element.offset, element.text))
            leaves.extend(value.elements)
    if len(node.names) > 1:
        raise FaultError(RejectCode.TWO_TAGS, node.names[1][1])
    return value


_KINDS = {
    "S": (Kind.STRING,),
    "N": (Kind.STRING,),
    "B": (Kind.STRING,),
    "BOOL": (Kind.TRUE, Kind.FALSE),
    "NULL": (Kind.TRUE,),
    "M": (Kind.OBJECT,),
    "L": (Kind.ARRAY,),
    "SS": (Kind.ARRAY,),
    "NS": (Kind.ARRAY,),
    "BS": (Kind.ARRAY,),
}


def _check_leaf(leaf: Value) -> None:
    """Class 4 for one S, N or B. Fills `data` of a B."""
    if leaf.tag == "N" and not NUMBER.fullmatch(leaf.text):
        raise FaultError(RejectCode.BAD_NUMBER, leaf.offset)
    if leaf.tag == "B":
        try:
            text = leaf.text.encode("ascii")
            leaf.data = base64.b64decode(text, validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise FaultError(RejectCode.BAD_BASE64, leaf.offset) from None
        if base64.b64encode(leaf.data) != text:
            raise FaultError(RejectCode.BAD_BASE64, leaf.offset)


def drop_path(members: dict[str, Value], path: Sequence[str]) -> None:
    """Remove what `path` names from a map. On a list the path goes on in its elements, in lists within lists too."""
    name, rest = path[0], path[1:]
    if name not in members:
        return
    if not rest:
        del members[name]
        return
    inside = [members[name]]
    while inside:
        value = inside.pop()
        if value.tag == "L":
            inside += value.elements
        elif value.tag == "M":
            drop_path(value.members, rest)


def plain(text: str) -> str | None:
    """The canonical text of a number: no exponent, no superfluous zero, no sign on zero. None if `text` is no number.

    Works on digits, so numbers of any length keep every one of them.
    """
    matched = NUMBER.fullmatch(text)
    if matched is None:
        return None
    sign, whole, fraction, exponent = matched.groups("")
    digits = whole + fraction
    point = len(whole) + int(exponent or "0")
    if point < 1:
        digits = "0" * (1 - point) + digits
        point = 1
    digits = digits.ljust(point, "0")
    whole = digits[:point].lstrip("0") or "0"
    fraction = digits[point:].rstrip("0")
    body = f"{whole}.{fraction}" if fraction else whole
    return body if body == "0" else sign + body


def canonical(value: Value) -> str:
    """The canonical DynamoDB JSON of a typed value, with its tag."""
    return f'{{"{value.tag}":{_content(value, tags=True)}}}'


def canonical_map(members: dict[str, Value]) -> str:
    """The canonical DynamoDB JSON of the Item map, or of what an M holds."""
    return _map(members, tags=True)


def json_text(value: Value) -> str:
    """The value as plain JSON: the same walk as the canonical form, without tags; a number is bare, NULL is null."""
    return _content(value, tags=False)


def _content(value: Value, *, tags: bool) -> str:
    match value.tag:
        case "S" | "B":
            return _quoted(value.text)
        case "N":
            number = plain(value.text) or ""
            return _quoted(number) if tags else number
        case "BOOL":
            return "true" if value.flag else "false"
        case "NULL":
            return "true" if tags else "null"
        case "M":
            return _map(value.members, tags=tags)
        case "L":
            elements = (canonical(element) if tags else json_text(element) for element in value.elements)
            return f"[{','.join(elements)}]"
        case _:
            ordered = sorted(value.elements, key=_set_order)
            return f"[{','.join(_content(element, tags=tags) for element in ordered)}]"


def _map(members: dict[str, Value], *, tags: bool) -> str:
    entries = (
        f"{_quoted(name)}:{canonical(member) if tags else json_text(member)}"
        for name, member in sorted(members.items(), key=lambda entry: entry[0].encode())
    )
    return "{" + ",".join(entries) + "}"


def _set_order(element: Value) -> bytes:
    """Where a set element stands in canonical texts: strings by their UTF-8 bytes (not by their escaped form), numbers
    by the bytes of their plain text, binaries by their decoded bytes."""
    match element.tag:
        case "N":
            return (plain(element.text) or "").encode()
        case "B":
            return element.data
        case _:
            return element.text.encode()


_quoted = json.JSONEncoder(ensure_ascii=False).encode
"""A text as a JSON string in which only quote, backslash and control characters are escaped, the shortest way."""
