"""Shape `hostile`: everything that DynamoDB allows and readers get wrong.

Unlike the other shapes it does not keep to AWS's spelling: strings use every escape that JSON has, numbers sometimes an
exponent. Each item is valid, and loads with the table that `tables.table_for` gives.
"""

from __future__ import annotations

import base64
import string
from decimal import Decimal
from typing import TYPE_CHECKING

from transformer.synth.all_types import number
from transformer.synth.rows import chance as stream_of
from transformer.synth.values import BinarySet, NumberSet, StringSet, Verbatim, encode, plain, quote

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from transformer.synth.rows import Block, Knobs

BLOCK_ITEMS = 64
KEY = 'p.k "é" 😀'
"""The name of the partition key (S)."""
ITEM_BYTES = 400 * 1024  # the most an item may have, names included
NAME_BYTES = 65_535  # the longest name of an attribute
MAX_DEPTH = 32
BIG_EVERY, BIG_FIRST = 400, 17  # items that are as big as they may be: one in so many, the first one early
CONTROL_FIRST, NAME_FIRST, MANY_FIRST = 33, 41, 57  # likewise: all control characters, the longest name, 9,000 names

ODD_NAMES = (
    "S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS", "Item", "Keys", "NewImage", "a.b", "a b", " ", 'quo"te',
    "back\\slash", "sl/ash", "new\nline", "tab\t", "\x01", "\x7f", "é", "ключ", "名前", "😀", "🏳️‍🌈", "e\u0301",
    "\ufeff", "\u2028", "{", "}", "[", "]", ":", ",", '{"S":"x"}', '":{"S":"', "\\u0041", "null", "true", "0", "-1",
    "$ref", "_unmapped", "version", "is_deleted", "__proto__", "key" * 80, "\U0010ffff",
)  # fmt: skip
_ALPHABET = [
    *string.ascii_letters, *string.digits, *string.punctuation, " ", '"', "\\", "/", *map(chr, range(0x20)), "\x7f",
    "\x80", "é", "ß", "ÿ", "Ā", "\u07ff", "\u0800", "日", "\u2028", "\ud7ff", "\ue000", "\ufffd", "\uffff", "😀", "𝄞",
    "\U0010ffff", "\U00010000",
]  # fmt: skip
_SHORT = {'"': b'\\"', "\\": b"\\\\", "/": b"\\/", "\b": b"\\b", "\f": b"\\f", "\n": b"\\n", "\r": b"\\r", "\t": b"\\t"}


def hostile(knobs: Knobs) -> Block:
    """The generator of this shape."""

    def block(index: int) -> list[bytes]:
        numbers = range(index * BLOCK_ITEMS, (index + 1) * BLOCK_ITEMS)
        return [_line(number, stream_of(knobs.seed, "hostile", str(number)), knobs.shuffle) for number in numbers]

    return block


def spelled(text: str, chance: random.Random) -> bytes:
    """`text` as a JSON string in which each character has one of the spellings that JSON allows it.

    Characters beyond U+FFFF stand raw or as an escaped surrogate pair.
    """
    if chance.random() < 0.3:
        return quote(text)
    share = chance.random() * 0.5
    return b'"%b"' % b"".join(_character(character, chance, share) for character in text)


def _character(character: str, chance: random.Random, share: float) -> bytes:
    """One character, escaped without need with the chance `share`."""
    must = character in '"\\' or character < " "
    if not must and chance.random() >= share:
        return character.encode()
    if character in _SHORT and chance.random() < 0.6:
        return _SHORT[character]
    units = character.encode("utf-16-be")
    form = b"\\u%04X" if chance.random() < 0.5 else b"\\u%04x"
    return b"".join(form % int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))


def number_text(chance: random.Random) -> str:
    """A number in plain notation, or in one of the other notations that the grammar of N has."""
    value = Decimal(number(chance))
    if chance.random() < 0.6:
        return plain(value)
    sign, digits, exponent = value.as_tuple()
    mantissa = ("-" if sign else "") + "".join(map(str, digits)) + chance.choice(("", ".0", ".000"))
    plus = "+" if int(exponent) >= 0 and chance.random() < 0.5 else ""
    return f"{mantissa}{chance.choice('eE')}{plus}{exponent}"


def any_value(chance: random.Random, depth: int) -> Verbatim:
    """A value of any of the ten types in an odd spelling; containers down to `depth` levels."""
    kind = chance.choice(("S", "S", "N", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", *("M", "L") * (depth > 0)))
    match kind:
        case "S":
            return Verbatim(b'{"S":%b}' % spelled(some_text(chance), chance))
        case "N":
            return Verbatim(b'{"N":%b}' % _odd_number(chance))
        case "SS":
            texts = dict.fromkeys(some_text(chance) for _ in range(chance.randrange(1, 4)))
            return Verbatim(b'{"SS":[%b]}' % b",".join(spelled(text, chance) for text in texts))
        case "NS":
            return Verbatim(encode(NumberSet(dict.fromkeys(number(chance) for _ in range(chance.randrange(1, 4))))))
        case "BS":
            parts = dict.fromkeys(chance.randbytes(chance.randrange(5)) for _ in range(chance.randrange(1, 4)))
            return Verbatim(encode(BinarySet(parts)))
        case "M":
            return _map({name: any_value(chance, depth - 1) for name in _names(chance, chance.randrange(4))}, chance)
        case "L":
            return Verbatim(encode([any_value(chance, depth - 1) for _ in range(chance.randrange(4))]))
        case "B":
            return Verbatim(encode(chance.randbytes(chance.choice((0, 1, 2, 3, 47, 200)))))
        case "BOOL":
            return Verbatim(encode(chance.random() < 0.5))
        case _:
            return Verbatim(encode(None))


def some_text(chance: random.Random) -> str:
    """Characters from all corners of Unicode; sometimes none, sometimes many, sometimes what looks like JSON."""
    if chance.random() < 0.1:
        return chance.choice(
            ("", "\\", '"', '\\"', '"}},"', "\\\\", "\\u0000", '{"S":"x"}', "]}", "NaN", "\x00", "=+/")
        )
    return "".join(chance.choices(_ALPHABET, k=int(1 + 60 * chance.random() ** 3)))


def _odd_number(chance: random.Random) -> bytes:
    return b'"%b"' % number_text(chance).encode()


def _names(chance: random.Random, count: int) -> list[str]:
    """Distinct attribute names, most of them odd; none is the key's."""
    names = {chance.choice(ODD_NAMES) if chance.random() < 0.7 else some_text(chance) or "x" for _ in range(count)}
    return sorted(names - {KEY})


def _map(pairs: dict[str, Verbatim], chance: random.Random) -> Verbatim:
    return Verbatim(b'{"M":{%b}}' % _members(pairs, chance))


def _members(pairs: dict[str, Verbatim], chance: random.Random) -> bytes:
    return b",".join(b"%b:%b" % (spelled(name, chance), value) for name, value in pairs.items())


def deep(chance: random.Random, levels: int) -> Verbatim:
    """Maps and lists in each other, `levels` of them on the way to the innermost value."""
    value = any_value(chance, 0)
    for _ in range(levels):
        in_list = chance.random() < 0.5
        value = Verbatim(encode([value])) if in_list else _map({chance.choice(ODD_NAMES): value}, chance)
    return value


def _text_at(chance: random.Random) -> Verbatim:
    return Verbatim(b'{"S":%b}' % spelled(some_text(chance) * chance.choice((1, 1, 5, 30)), chance))


_ATTRIBUTES: dict[str, Callable[[random.Random], Verbatim]] = {
    "text": _text_at,
    "number": lambda c: Verbatim(b'{"N":%b}' % _odd_number(c)),
    "float": lambda c: Verbatim(b'{"N":%b}' % _odd_number(c)),
    "binary": lambda c: Verbatim(encode(c.randbytes(c.choice((0, 1, 2, 3, 300))))),
    "deep": lambda c: deep(c, c.choice((1, 2, 5, MAX_DEPTH))),
    "a": lambda c: _map({"b": any_value(c, 1), "b.c": any_value(c, 0)}, c),
    "empty_map": lambda c: Verbatim(encode(c.choice(({}, {"x": ""}, {" ": "x"})))),
    "empty_list": lambda c: Verbatim(encode(c.choice(([], [""], ["", "x", "\x00"])))),
    "strings": lambda c: Verbatim(encode(StringSet(dict.fromkeys(some_text(c) for _ in range(5))))),
    "numbers": lambda c: Verbatim(encode(NumberSet(dict.fromkeys(number(c) for _ in range(5))))),
    "anything": lambda c: any_value(c, 3),
}
"""The ordinary attributes of an item; `a` is always a map, since a column reads from inside it."""


def _line(item: int, chance: random.Random, shuffle: bool) -> bytes:
    """Item number `item`, with its newline."""
    pairs = {name: make(chance) for name, make in _ATTRIBUTES.items() if chance.random() < 0.6}
    pairs |= {name: any_value(chance, 2) for name in _names(chance, chance.randrange(6)) if name not in _ATTRIBUTES}
    turn = item % BIG_EVERY
    if turn == BIG_FIRST:
        pairs = {"big": Verbatim(encode(_filler(chance, ITEM_BYTES - 500)))}
    elif turn == CONTROL_FIRST:
        pairs = {"big": Verbatim(encode("\x01" * (ITEM_BYTES - 500)))}  # six bytes of JSON for each
    elif turn == NAME_FIRST:
        pairs["n" * NAME_BYTES] = Verbatim(encode("long name"))
    elif turn == MANY_FIRST:
        pairs = {f"attribute {i}": Verbatim(encode(i)) for i in range(9000)}
    names = list(pairs)
    if shuffle or chance.random() < 0.5:
        chance.shuffle(names)
    # The number makes the key unique, whatever stands around it.
    key = b'%b:{"S":%b}' % (spelled(KEY, chance), spelled(f"{some_text(chance)}#{item}#", chance))
    rest = _members({name: pairs[name] for name in names}, chance)
    return b'{"Item":{%b%b%b}}\n' % (key, b"," if rest else b"", rest)


def _filler(chance: random.Random, size: int) -> str:
    return base64.b64encode(chance.randbytes(size * 3 // 4)).decode()
