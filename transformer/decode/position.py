"""Where a byte of a line stands in the item, as text; and lines without what must not be stored.

Both serve the quarantine: they run only for rejected lines, on lines that may be broken in any way.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from transformer.decode.envelope import MAPS
from transformer.decode.reference_json import FaultError, Kind, Node, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from transformer.schema.table import Path

MAX_NAME = 255
"""Characters of one name that a path text shows."""

MAX_STEPS = 64
"""Steps that a path text shows. A valid item has at most 33; a broken line may have as many as it has bytes."""


class Every(Enum):
    """A step of a declared path that stands for all elements of an Array, or all values of a Map."""

    ELEMENT = "[]"
    VALUE = "{}"


Step = str | int | Every
"""A name, an index into a list or set, or every element or value."""


def path_text(steps: Sequence[Step]) -> str:
    """The text of a path: `orders[2].qty`, `orders[].qty`, `m{}.x`, `["weird.name"].x`.

    A name other than ASCII letters, digits and underscores (not beginning with a digit) is quoted like a JSON string,
    in which unprintable characters are escaped. Names beyond 255 characters and paths beyond 64 steps are cut and end
    in `…`.
    """
    parts: list[str] = []
    for step in steps[:MAX_STEPS]:
        if isinstance(step, Every):
            parts.append(step.value)
        elif isinstance(step, int):
            parts.append(f"[{step}]")
        elif len(step) <= MAX_NAME and _PLAIN_NAME.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            shown = "".join(map(_shown, step[:MAX_NAME]))
            parts.append(f'["{shown}…"]' if len(step) > MAX_NAME else f'["{shown}"]')
    if len(steps) > MAX_STEPS:
        parts.append("…")
    return "".join(parts)


_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _shown(character: str) -> str:
    """A character of a quoted name. Whatever a terminal or an encoder may choke on becomes an ASCII escape."""
    if character.isprintable() and character not in '"\\':
        return character
    return json.dumps(character)[1:-1]


def path_at(line: bytes, offset: int, drop: Iterable[Path] = ()) -> str:
    """The path of the innermost attribute that holds the byte at `offset`, as text; empty if none does.

    line: any bytes; offset: any number, beyond the end means the end. Never raises.
    An attribute reaches from the opening quote of its name to the end of its value, an element of a list or set over
    its value; the commas and white space between belong to what is around them. Reading is tolerant: broken JSON is
    taken for what its brackets, quotes, colons and commas suggest.
    drop: paths below which nothing is named, because names of members can be data as well.
    """
    frames: list[_Frame] = []
    begun = False
    for token in _TOKEN.finditer(line):
        if token.start() > offset:
            break
        mark = token[0][:1]
        here = token.end() > offset
        frame = frames[-1] if frames else None
        if mark in (b"{", b"["):
            role = frame.open() if frame else (_Role.OTHER if begun else _Role.ENVELOPE)
            begun = True
            if here:
                break
            frames.append(_Frame(role if mark in role.value else _Role.OTHER, mark == b"{"))
        elif mark in (b"}", b"]"):
            if frame:
                frame.step = None
                if here:
                    break
                frames.pop()
                if frames:
                    frames[-1].close()
        elif frame is None:
            begun = True
        elif mark == b",":
            frame.comma()
        elif mark == b":":
            frame.colon()
        else:
            frame.scalar(token[0])
            if here:
                break
            frame.scalar_end()
    steps = [frame.step for frame in frames if frame.step is not None and frame.role in _STEPPING]
    return path_text(_shown_steps(steps, drop))


def _shown_steps(steps: Sequence[Step], drop: Iterable[Path]) -> Sequence[Step]:
    """`steps` up to the first that a drop path ends with; indexes into lists on the way count for nothing."""
    hidden = {tuple(path) for path in drop}
    names: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, str):
            names.append(step)
            if tuple(names) in hidden:
                return steps[: number + 1]
    return steps


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]++', re.DOTALL)


class _Role(Enum):
    """What a bracket opens, by the bracket that fits."""

    ENVELOPE = b"{ envelope"
    MAP = b"{ map"
    VALUE = b"{ value"
    LIST = b"[ list"
    SET = b"[ set"
    OTHER = b"{[ other"


_STEPPING = (_Role.MAP, _Role.LIST, _Role.SET)
_INSIDE = {"M": _Role.MAP, "L": _Role.LIST, "SS": _Role.SET, "NS": _Role.SET, "BS": _Role.SET}


class _Phase(Enum):
    NAME = 0
    COLON = 1
    VALUE = 2
    AFTER = 3


@dataclass(slots=True)
class _Frame:
    """An open bracket during the scan.

    step: the member or element that holds the current byte, if one does. phase: what comes next in an object.
    name: of an object, the last name; count: of an array, the elements before the current one.
    """

    role: _Role
    is_object: bool
    step: Step | None = None
    phase: _Phase = _Phase.NAME
    name: str = ""
    count: int = 0

    def open(self) -> _Role:
        """A bracket opens a value in here; its role, if it is the bracket that fits the role."""
        if not self.is_object:
            self.step = self.count
            return _Role.VALUE if self.role is _Role.LIST else _Role.OTHER
        if self.phase is not _Phase.VALUE:
            return _Role.OTHER
        match self.role:
            case _Role.ENVELOPE:
                return _Role.MAP if self.name in MAPS else _Role.OTHER
            case _Role.MAP:
                return _Role.VALUE
            case _Role.VALUE:
                return _INSIDE.get(self.name, _Role.OTHER)
            case _:
                return _Role.OTHER

    def close(self) -> None:
        """The bracket that was opened in here is closed."""
        self.step = None
        self.phase = _Phase.AFTER

    def comma(self) -> None:
        self.step = None
        self.phase = _Phase.NAME
        self.count += 1

    def colon(self) -> None:
        if self.phase is _Phase.COLON:
            self.phase = _Phase.VALUE

    def scalar(self, token: bytes) -> None:
        """A string or a bare word begins in here: an element, the name of a member, or the value of one."""
        if not self.is_object:
            self.step = self.count
        elif self.phase is _Phase.NAME and token[:1] == b'"':
            self.name = _unescaped(token)
            self.step = self.name
            self.phase = _Phase.COLON

    def scalar_end(self) -> None:
        if not self.is_object or self.phase is _Phase.VALUE:
            self.close()


def _unescaped(token: bytes) -> str:
    """The characters of a string token, as far as they can be made out."""
    body = token[1:].removesuffix(b'"') if token[-2:] != b'\\"' or _is_closed(token) else token[1:]
    text = body.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    replaced = _ESCAPE.sub(lambda escape: _character(escape[0]), text)
    return replaced.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_ESCAPE = re.compile(r'\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt])')


def _is_closed(token: bytes) -> bool:
    """Whether the last quote of a string token is its closing one, although a backslash stands before it."""
    backslashes = len(token) - 1 - len(token[:-1].rstrip(b"\\"))
    return backslashes % 2 == 0


def _character(escape: str) -> str:
    return str(json.loads(f'"{escape}"'))


def redact(line: bytes, drop: Iterable[Path]) -> bytes | None:
    """The line less the members that `drop` names, otherwise byte for byte; still a JSON text.

    None if that cannot be done with certainty: the line is no JSON text, or no object with nothing but the members of
    an envelope in it.
    Where the way to a dropped path runs through something that is not a typed value, what it holds cannot be told, and
    the whole member at that point is cut. Repeated names and tags are all followed. An empty `drop` changes nothing.
    """
    paths = tuple(drop)
    if not paths:
        return line
    try:
        root = read_json(line)
    except FaultError:
        return None
    if root.kind is not Kind.OBJECT:
        return None
    if any(name not in MAPS or item.kind is not Kind.OBJECT for name, _, item in root.members()):
        return None
    cuts: list[tuple[int, int]] = []
    for item in root.values:
        _cut_members(item, paths, cuts)
    kept = bytearray()
    position = 0
    for start, end in sorted(cuts):
        kept += line[position:start]
        position = end
    return bytes(kept + line[position:])


def _cut_members(node: Node, paths: Sequence[Path], cuts: list[tuple[int, int]]) -> None:
    """Add to `cuts` the byte ranges to leave out of a map: whole members with one of their commas, or parts of them."""
    kept_before = False
    members = list(node.members())
    for index, (name, offset, value) in enumerate(members):
        inner = tuple(path[1:] for path in paths if path[0] == name)
        nested: list[tuple[int, int]] = []
        if inner and (() in inner or not _cut_value(value, inner, nested)):
            if kept_before:
                cuts.append((members[index - 1][2].end, value.end))
            else:
                cuts.append((offset, members[index + 1][1] if index + 1 < len(members) else value.end))
        else:
            cuts.extend(nested)
            kept_before = True


def _cut_value(node: Node, paths: Sequence[Path], cuts: list[tuple[int, int]]) -> bool:
    """Add to `cuts` what `paths` name inside a typed value. False if it is not typed, so that it cannot be told."""
    inside = [node]
    while inside:
        value = inside.pop()
        if value.kind is not Kind.OBJECT:
            return False
        for tag, _, inner in value.members():
            if tag == "M" and inner.kind is Kind.OBJECT:
                _cut_members(inner, paths, cuts)
            elif tag == "L" and inner.kind is Kind.ARRAY:
                inside += inner.values
            elif not _is_leaf(tag, inner):
                return False
    return True


def _is_leaf(tag: str, inner: Node) -> bool:
    """Whether a tag and its JSON value are one through which no path goes on."""
    match tag:
        case "S" | "N" | "B":
            return inner.kind is Kind.STRING
        case "BOOL" | "NULL":
            return inner.kind in (Kind.TRUE, Kind.FALSE, Kind.NULL)
        case "SS" | "NS" | "BS":
            return inner.kind is Kind.ARRAY and all(element.kind is Kind.STRING for element in inner.values)
        case _:
            return False
