"""The JSON reader of the slow twin: strict RFC 8259, and every value knows where it stands.

`json` of the standard library accepts NaN, lone surrogates and other encodings, recurses, and says of a fault only
where it noticed it. Verdicts need the first byte at which the text stopped being the beginning of any JSON text, at any
nesting, so the grammar is written out here once more, one loop and one stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

from transformer.errors import RejectCode

if TYPE_CHECKING:
    from collections.abc import Iterator


class FaultError(Exception):
    """A line is rejected. Caught by whoever turns it into a `Verdict`; never leaves the twin.

    code: the reject code; offset: bytes from the start of the line.
    path: the path text where it does not follow from the offset, else empty; column: the column's name, or empty.
    """

    def __init__(self, code: RejectCode, offset: int, *, path: str = "", column: str = "") -> None:
        super().__init__(code, offset)
        self.code = code
        self.offset = offset
        self.path = path
        self.column = column


class Kind(Enum):
    """What a JSON value is."""

    OBJECT = "object"
    ARRAY = "array"
    STRING = "string"
    NUMBER = "number"
    TRUE = "true"
    FALSE = "false"
    NULL = "null"


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One JSON value and its place.

    kind: what it is.
    offset, end: its bytes are line[offset:end].
    text: of a STRING, the characters after unescaping.
    names: of an OBJECT, per member its name after unescaping and the offset of the name's opening quote.
    values: of an OBJECT, the members' values, in the order of `names`; of an ARRAY, its elements.
    """

    kind: Kind
    offset: int
    end: int = 0
    text: str = ""
    names: list[tuple[str, int]] = field(default_factory=list)
    values: list[Node] = field(default_factory=list)

    def members(self) -> Iterator[tuple[str, int, Node]]:
        """Of an OBJECT: name, offset of the name's opening quote, value; in line order, repeated names included."""
        for (name, offset), value in zip(self.names, self.values, strict=True):
            yield name, offset, value


def read_json(line: bytes) -> Node:
    """The one JSON value that `line` holds.

    line: the bytes of a line without its newline; space, tab and CR may surround tokens. A newline is no white space
    here, because no line holds one.

    Raises FaultError, at the lowest offset: INVALID_UTF8 (before any look at the JSON), JSON_SYNTAX, JSON_TRUNCATED,
    JSON_TRAILING, LONE_SURROGATE. An escaped high surrogate without a complete low one behind it is LONE_SURROGATE at
    its backslash also where the line ends or breaks right after it: the backslash is the lower offset.
    Nesting is limited by memory only.
    """
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FaultError(RejectCode.INVALID_UTF8, error.start) from None
    containers: list[Node] = []
    position = _skip(line, 0)
    while True:
        node, position = _begin_value(line, position)
        if containers:
            containers[-1].values.append(node)
        if node.kind in _CLOSING:
            position = _skip(line, position)
            if line[position : position + 1] != _CLOSING[node.kind]:
                containers.append(node)
                position = _before_value(line, position, node)
                continue
            position += 1
        node.end = position
        while True:
            position = _skip(line, position)
            if not containers:
                if position < len(line):
                    raise FaultError(RejectCode.JSON_TRAILING, position)
                return node
            parent = containers[-1]
            mark = line[position : position + 1]
            if mark == b",":
                position = _before_value(line, _skip(line, position + 1), parent)
                break
            if mark != _CLOSING[parent.kind]:
                _refuse(line, position)
            position += 1
            node = containers.pop()
            node.end = position


_CLOSING = {Kind.OBJECT: b"}", Kind.ARRAY: b"]"}
_WHITE = (b" ", b"\t", b"\r")
_DIGITS = re.compile(rb"[0-9]*")
_HEX = re.compile(rb"[0-9A-Fa-f]*")
_ORDINARY = re.compile(rb'[^"\\\x00-\x1f]*')
_LOW_SURROGATE = re.compile(rb"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_WORDS = {b"t": (b"true", Kind.TRUE), b"f": (b"false", Kind.FALSE), b"n": (b"null", Kind.NULL)}
_ESCAPES = {
    b'"': '"',
    b"\\": "\\",
    b"/": "/",
    b"b": "\b",
    b"f": "\f",
    b"n": "\n",
    b"r": "\r",
    b"t": "\t",
}


def _refuse(line: bytes, position: int) -> NoReturn:
    """The byte at `position` cannot stand there, or the line ends where one must stand."""
    if position >= len(line):
        raise FaultError(RejectCode.JSON_TRUNCATED, len(line))
    raise FaultError(RejectCode.JSON_SYNTAX, position)


def _end(pattern: re.Pattern[bytes], line: bytes, position: int) -> int:
    """Where the match of a pattern that may be empty ends."""
    matched = pattern.match(line, position)
    return matched.end() if matched else position


def _skip(line: bytes, position: int) -> int:
    while line[position : position + 1] in _WHITE:
        position += 1
    return position


def _begin_value(line: bytes, position: int) -> tuple[Node, int]:
    """The value at `position`: complete with its end, or an OBJECT or ARRAY of which only the bracket is read."""
    first = line[position : position + 1]
    if first == b'"':
        text, end = _string(line, position)
        return Node(Kind.STRING, position, end, text), end
    if first == b"{":
        return Node(Kind.OBJECT, position), position + 1
    if first == b"[":
        return Node(Kind.ARRAY, position), position + 1
    if first in _WORDS:
        word, kind = _WORDS[first]
        for index, byte in enumerate(word):
            if line[position + index : position + index + 1] != bytes([byte]):
                _refuse(line, position + index)
        return Node(kind, position), position + len(word)
    return Node(Kind.NUMBER, position), _number(line, position)


def _before_value(line: bytes, position: int, parent: Node) -> int:
    """Read what precedes a value in `parent`: nothing in an ARRAY, name and colon in an OBJECT. Returns its start."""
    if parent.kind is Kind.ARRAY:
        return position
    if line[position : position + 1] != b'"':
        _refuse(line, position)
    name, end = _string(line, position)
    parent.names.append((name, position))
    end = _skip(line, end)
    if line[end : end + 1] != b":":
        _refuse(line, end)
    return _skip(line, end + 1)


def _number(line: bytes, position: int) -> int:
    """The end of the number at `position`. What follows a complete number is the caller's business."""
    if line[position : position + 1] == b"-":
        position += 1
    position = position + 1 if line[position : position + 1] == b"0" else _some_digits(line, position)
    if line[position : position + 1] == b".":
        position = _some_digits(line, position + 1)
    if line[position : position + 1] in (b"e", b"E"):
        position += 1
        if line[position : position + 1] in (b"+", b"-"):
            position += 1
        position = _some_digits(line, position)
    return position


def _some_digits(line: bytes, position: int) -> int:
    end = _end(_DIGITS, line, position)
    if end == position:
        _refuse(line, position)
    return end


def _string(line: bytes, position: int) -> tuple[str, int]:
    """The characters of the string whose opening quote is at `position`, and the end behind its closing quote."""
    end = _end(_ORDINARY, line, position + 1)
    if line[end : end + 1] == b'"':
        return line[position + 1 : end].decode(), end + 1
    parts = [line[position + 1 : end].decode()]
    while line[end : end + 1] != b'"':
        if line[end : end + 1] != b"\\":
            _refuse(line, end)
        character, start = _escape(line, end)
        end = _end(_ORDINARY, line, start)
        parts += (character, line[start:end].decode())
    return "".join(parts), end + 1


def _escape(line: bytes, position: int) -> tuple[str, int]:
    """The character that the escape at `position` (its backslash) stands for, and the end of the escape or pair."""
    kind = line[position + 1 : position + 2]
    if kind in _ESCAPES:
        return _ESCAPES[kind], position + 2
    if kind != b"u":
        _refuse(line, position + 1)
    end = _end(_HEX, line, position + 2)
    if end < position + 6:
        _refuse(line, end)
    end = position + 6
    unit = int(line[position + 2 : end], 16)
    if not 0xD800 <= unit <= 0xDFFF:
        return chr(unit), end
    low = _LOW_SURROGATE.match(line, end)
    if unit >= 0xDC00 or low is None:
        raise FaultError(RejectCode.LONE_SURROGATE, position)
    return chr(0x10000 + ((unit - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)), low.end()
