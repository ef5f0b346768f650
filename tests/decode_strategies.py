"""Hypothesis strategies for decode: typed values, items and lines, valid and broken. Tables are in `decode_tables`.

A typed value is a pair `(tag, content)`: S and N hold a str, B bytes, BOOL a bool, NULL True, M a list of (name,
value), L a list of values, SS and NS lists of str, BS a list of bytes. The tag RAW holds JSON text that is written as
it stands, which is how broken values get into lines. An item is a list of (name, value), so names can repeat.

What decides the outcome is drawn by hypothesis and shrinks. How a line is written (white space, escapes, order) comes
from one drawn seed, because a draw per character would cost more than everything that is tested.
"""

from __future__ import annotations

import base64
import functools
import json
import random
from decimal import Context, Decimal
from math import inf, nextafter
from struct import pack, unpack

from hypothesis import strategies as st

Typed = tuple[str, object]
Members = list[tuple[str, Typed]]

TAGS = ("S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS")

# Names that have broken parsers: type tags, the envelope, path and JSON syntax, prefixes of each other, other scripts,
# characters of every UTF-8 length, names around the widths in which vectors and masks compare.
NAMES = (
    *("id", "a", "b", "c", "ab", "abc", "sk", "address", "city", "orders", "x y", "weird.name", "a.b", "a[0]", "", " "),
    *TAGS,
    *("Item", "Keys", "__proto__", "null", "true", "0", "-1"),
    *('quo"te', "'", "`", "back\\slash", "\\", "\\u0041", "/", "{", "}", "[]", ":", ",", '":{"S":"'),
    *("\x00", "\n", "\t", "\x1f", "\x7f", "\x80", "é", "e\u0301", "ß", "日本", "😀", "\U0010ffff", "\ufffd", "\ufeff"),
    *("n" * 7, "n" * 8, "n" * 9, "n" * 31, "n" * 32, "n" * 33, "m" * 256, "😀" * 70),
)
TEXTS = (
    *("", "x", "abc", "2024", "02134", "1.0", "null", '"', "\\", '\\"', "\\\\", "a/b"),
    *("\b\f\n\r\t", "\x00\x1f", "\x7f"),
    *("é", "ß" * 16, "日本語", "😀", "a😀b", "\U00010000", "\U0010ffff", "\u2028", "\ufffe", "\ud7ff\ue000", "<>&'"),
    *("y" * 15 + '"', "y" * 31 + "\\", "y" * 32, "y" * 63 + "é", "y" * 64 + "\n", "y" * 300, '{"S":"x"}', "}}\n{"),
)

_CHARACTERS = st.characters(exclude_categories=("Cs",))


@functools.cache
def texts() -> st.SearchStrategy[str]:
    """Strings without surrogates."""
    return st.sampled_from(TEXTS) | st.text(_CHARACTERS, max_size=12)


@functools.cache
def names() -> st.SearchStrategy[str]:
    """Attribute names, mostly out of a fixed set so that they meet."""
    pool = st.sampled_from(NAMES)
    return pool | pool | pool | st.text(_CHARACTERS, max_size=8)


@functools.cache
def binaries() -> st.SearchStrategy[bytes]:
    """Bytes of every length modulo 3, and longer than a vector."""
    return st.binary(max_size=7) | st.sampled_from((b"", b"\x00", b"\xff\xfe", bytes(range(256)), b"z" * 47))


def edge_integers(bits: int, signed: bool) -> list[int]:
    """The limits of an integer type, and one beyond them."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return [low - 1, low, low + 1, high - 1, high, high + 1]


_EDGES = sorted(
    {edge for bits in (8, 16, 32, 64, 128, 256) for sign in (True, False) for edge in edge_integers(bits, sign)}
)
_EXACT = Context(prec=3000, Emax=5000, Emin=-5000)


@st.composite
def double_texts(draw: st.DrawFn) -> str:
    """Texts of doubles, of the ties between two neighbours (up to some 770 digits), and of what is next to those."""
    bits = draw(st.integers(0, 2**63 - 1) | st.sampled_from((0, 1, 2, 2**52 - 1, 2**52, 0x7FEFFFFFFFFFFFFF)))
    (low,) = unpack("<d", pack("<Q", bits))
    if low != low or low == inf:
        low = 1.5
    high = nextafter(low, inf)
    where = draw(st.sampled_from(("exact", "short", "tie", "above", "below")))
    if where == "short" or high == inf:
        return json.dumps(low).replace("e-0", "e-")
    middle = _EXACT.divide(_EXACT.add(Decimal(low), Decimal(high)), Decimal(2))
    nudge = _EXACT.multiply(middle, Decimal("1e-900" if draw(st.booleans()) else "1e-30"))
    value = {
        "exact": Decimal(low),
        "tie": middle,
        "above": _EXACT.add(middle, nudge),
        "below": _EXACT.subtract(middle, nudge),
    }[where]
    sign = draw(st.sampled_from(("", "-")))
    return sign + format(value, draw(st.sampled_from(("E", "f"))))


@functools.cache
def number_texts() -> st.SearchStrategy[str]:
    """Texts that an N may hold: everything that matches the number grammar."""
    digits = st.text("0123456789", min_size=1, max_size=6)
    free = st.builds(
        lambda sign, whole, fraction, exponent: f"{sign}{whole.lstrip('0') or '0'}{fraction}{exponent}",
        st.sampled_from(("", "-")),
        digits,
        st.just("") | digits.map(lambda text: f".{text}"),
        st.just("")
        | st.builds(
            lambda e, s, n: f"{e}{s}{n}",
            st.sampled_from("eE"),
            st.sampled_from(("", "+", "-")),
            st.integers(0, 999).map(str) | st.sampled_from(("00", "007")),
        ),
    )
    known = st.sampled_from(
        ("0", "-0", "0.0", "-0.000", "0e0", "0E-999", "-0E+999", "1", "-1", "26.50", "1E2", "1e-130", "9.99E125",
         "9.9999999999999999999999999999999999999E+125", "1E-130", "1E-999", "-1E-999", "9E999", "1E400", "-1E400",
         "12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678", "1" + "0" * 125,
         "0." + "0" * 129 + "1", "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "5e-324",
         "2.4703282292062327e-324", "2.4703282292062328e-324", "2.2250738585072011e-308", "9007199254740993", "0.1",
         "9" * 400, "0." + "3" * 400, "1" + "0" * 5000, "0." + "0" * 5000 + "7", "100000e-5", "123e-2", "0.5e1")
    )  # fmt: skip
    return st.integers(-200, 2000).map(str) | free | known | st.sampled_from(_EDGES).map(str) | double_texts()


BAD_NUMBERS = ("", " ", "-", "+1", "01", "-01", "00", ".5", "5.", "1.e1", "1e", "1e+", "1e1000", "1e-1000", "1e1.5",
               "1 ",
               " 1", "1\n", "1_0", "1,5", "0x10", "NaN", "Infinity", "-Infinity", "nan", "١", "½", "1\x00", "--1", "1-",
               "−1", "1e 1", "1..2", "1.2.3", "e5", "é")  # fmt: skip
BAD_BASE64 = ("A", "AA", "AAA", "AAAAA", "AQ=", "AQ", "AQ===", "A===", "====", "=", "AAB=", "AQ==AQ==", "AB==", "A-_=",
              "AQ= =", "AQ==\n", " AQ==", "AQ\x00=", "é===", "AAAA=", "AA=A", "QUJD QUJD")  # fmt: skip


@functools.cache
def scalars() -> st.SearchStrategy[Typed]:
    """Typed values without parts, and sets."""
    return st.one_of(
        st.tuples(st.just("S"), texts()),
        st.tuples(st.just("N"), number_texts()),
        st.tuples(st.just("B"), binaries()),
        st.tuples(st.just("BOOL"), st.booleans()),
        st.just(("NULL", True)),
        st.tuples(st.just("SS"), st.lists(texts(), max_size=4)),
        st.tuples(st.just("NS"), st.lists(number_texts(), max_size=4)),
        st.tuples(st.just("BS"), st.lists(binaries(), max_size=4)),
    )


@functools.cache
def typed_values(depth: int = 3) -> st.SearchStrategy[Typed]:
    """Typed values of all ten tags, nested up to `depth` levels of M and L."""
    if depth == 0:
        return scalars()
    inner = typed_values(depth - 1)
    return st.one_of(
        scalars(),
        st.tuples(st.just("M"), members(inner, 4)),
        st.tuples(st.just("L"), st.lists(inner, max_size=4)),
    )


@st.composite
def members(draw: st.DrawFn, values: st.SearchStrategy[Typed], size: int) -> Members:
    """Named values without repeated names. The names are drawn first: a filter would print `values` when it refuses."""
    return [(name, draw(values)) for name in draw(st.lists(names(), max_size=size, unique=True))]


@functools.cache
def items() -> st.SearchStrategy[Members]:
    """Valid items that know of no table."""
    return members(typed_values(), 6)


@st.composite
def nested(draw: st.DrawFn, low: int = 30, high: int = 34) -> Typed:
    """A value under `low` to `high` levels of M and L: 32 are allowed."""
    value: Typed = draw(st.sampled_from((("S", "x"), ("L", []), ("M", []), ("N", "1"), ("RAW", "{}"), ("SS", ["x"]))))
    deep = draw(st.integers(low, high)) - (value[0] in ("L", "M"))
    kinds = random.Random(draw(st.integers(0, 255)))
    for _ in range(deep):
        value = ("L", [value]) if kinds.random() < 0.5 else ("M", [("m", value)])
    return value


# What stands where a typed value should: not typed, two tags, unknown tags, wrong JSON types, texts that are no values.
BROKEN = (
    *("{}", "1", '"x"', "null", "true", "[]", '[{"S":"x"}]', "{ }"),
    *('{"S":1}', '{"S":null}', '{"S":{}}', '{"S":["x"]}', '{"N":1}', '{"N":null}', '{"B":1}', '{"B":[]}'),
    *('{"BOOL":"true"}', '{"BOOL":null}', '{"BOOL":1}', '{"NULL":false}', '{"NULL":null}', '{"NULL":"true"}'),
    *('{"M":[]}', '{"M":null}', '{"M":"x"}', '{"L":{}}', '{"L":"x"}', '{"SS":"x"}', '{"SS":{}}', '{"SS":["x",1]}'),
    *('{"NS":[1]}', '{"NS":["1","x"]}', '{"BS":[null]}', '{"BS":["AQ==","A"]}', '{"SS":[["x"]]}', '{"L":["x"]}'),
    *('{"L":[{"S":"x"},{}]}', '{"M":{"a":{}}}', '{"M":{"a":"x"}}', '{"M":{"a":{"S":"x"},"a":{"S":"y"}}}'),
    *('{"M":{"a":{"S":"x"},"\\u0061":{"S":"y"}}}', '{"M":{"a":{"X":"x"}},"S":"x"}', '{"M":{"":{"S":"x"},"":1}}'),
    *('{"S":"a","N":"1"}', '{"S":"a","S":"a"}', '{"S":1,"N":"1"}', '{"N":"x","S":"a"}', '{"S":"a","X":1}'),
    *('{"X":"a"}', '{"s":"a"}', '{"":"a"}', '{"SSS":["a"]}', '{"BOO":true}', '{"NUL":true}', '{"S ":"a"}', '{"é":1}'),
    *('{"X":"a","S":"b"}', '{"X":{"S":"\\ud800"}}', '{"X":[[[[]]]]}', '{"Item":{"S":"x"}}'),
    *('{"S":"\\ud800"}', '{"S":"\\udc00"}', '{"S":"\\ud83d\\u0041"}', '{"S":"\\ud83d\\ud83d\\ude00"}', '{"S":"\\ud83d'),
    *('{"S":"\\u12G4"}', '{"S":"\\u12', '{"S":"\\x"}', '{"S":"a\tb"}', '{"S":"a', '{"S":', '{"S"', '{"S":tru}'),
    *("{S:1}"),
    *('{"N":NaN}', '{"N":-}', '{"N":01}', '{"N":1.}', '{"X":1e}', '{"X":-01}', '{"X":1.5e+07}', '{"S":"x",}', '{,}'),
    *('{"SS":["a",]}', '{"SS":[,]}', '{"SS":["a" "b"]}', '{"S" "x"}', '{"S":"x"]', '{"SS":["x"}', "{'S':'x'}"),
)  # fmt: skip


@functools.cache
def broken_values() -> st.SearchStrategy[Typed]:
    """Values of which most are a fault of class 2, 3 or 4."""
    raw = st.sampled_from(BROKEN).map(lambda text: ("RAW", text))
    bad = st.one_of(
        st.tuples(st.just("N"), st.sampled_from(BAD_NUMBERS)),
        st.tuples(st.just("NS"), st.lists(st.sampled_from(BAD_NUMBERS) | number_texts(), min_size=1, max_size=3)),
        st.sampled_from(BAD_BASE64).map(lambda text: ("RAW", f'{{"B":{json.dumps(text)}}}')),
        st.sampled_from(BAD_BASE64).map(lambda text: ("RAW", f'{{"BS":["AQ==",{json.dumps(text)}]}}')),
    )
    return raw | bad | nested()


@st.composite
def broken_items(draw: st.DrawFn, valid: st.SearchStrategy[Members] | None = None) -> Members:
    """Items in which some value is broken, or a name repeats."""
    item = list(draw(valid if valid is not None else items()))
    for _ in range(draw(st.integers(1, 2))):
        where = draw(st.integers(0, len(item)))
        match draw(st.sampled_from(("value", "list", "map", "repeat"))):
            case "value":
                item.insert(where, (draw(names()), draw(broken_values())))
            case "list":
                item.insert(where, (draw(names()), ("L", [draw(scalars()), draw(broken_values()), draw(scalars())])))
            case "map":
                item.insert(where, (draw(names()), ("M", [("a", draw(broken_values())), ("b", draw(scalars()))])))
            case "repeat" if item:
                item.insert(where, draw(st.sampled_from(item)))
    return item


class Writer:
    """Writes typed values as JSON in one of many ways."""

    def __init__(self, style: str = "compact", seed: int = 0) -> None:
        """style: `compact` as AWS writes, `spaced` as json.dumps does by default, `ascii` with all non-ASCII characters
        escaped, `wild` with random white space, escapes and member order."""
        self._random = random.Random(seed)
        self._wild = style == "wild"
        self._ascii = style == "ascii"
        self._comma, self._colon = (", ", ": ") if style == "spaced" else (",", ":")

    def line(self, item: Members) -> bytes:
        """The line of a full export that holds `item`."""
        return self.envelope([("Item", item)])

    def envelope(self, maps: list[tuple[str, Members]]) -> bytes:
        """A line whose outermost object has these members, each a map of attributes."""
        members = [(name, self._map(entries)) for name, entries in maps]
        return self._object(members, shuffle=False).encode("utf-8", "surrogatepass")

    def value(self, value: Typed) -> str:
        """The JSON text of a typed value."""
        tag, content = value
        match tag:
            case "RAW":
                return str(content)
            case "S" | "N":
                inner = self.string(content)
            case "B":
                inner = self.string(base64.b64encode(content).decode())
            case "BOOL" | "NULL":
                inner = json.dumps(content)
            case "M":
                inner = self._map(content)
            case "L":
                inner = self._array([self.value(element) for element in content])
            case "SS" | "NS":
                inner = self._array([self.string(element) for element in content])
            case _:
                inner = self._array([self.string(base64.b64encode(element).decode()) for element in content])
        return self._object([(tag, inner)], shuffle=False)

    def string(self, text: str) -> str:
        """A JSON string; in style `wild` some characters are escaped that need not be."""
        if not self._wild or self._random.random() < 0.6:
            return json.dumps(text, ensure_ascii=self._ascii)
        return '"' + "".join(map(self._character, text)) + '"'

    def _character(self, character: str) -> str:
        written = json.dumps(character, ensure_ascii=False)[1:-1]
        chance = self._random.random()
        if chance < 0.3:
            units = character.encode("utf-16-be")
            pairs = (units[at : at + 2].hex() for at in range(0, len(units), 2))
            return "".join(rf"\u{pair.upper() if chance < 0.15 else pair}" for pair in pairs)
        if character == "/" and chance < 0.6:
            return r"\/"
        return written

    def _map(self, entries: Members) -> str:
        return self._object([(name, self.value(value)) for name, value in entries], shuffle=True)

    def _object(self, entries: list[tuple[str, str]], *, shuffle: bool) -> str:
        if shuffle and self._wild:
            self._random.shuffle(entries)
        colon = self._colon
        return self._bracketed("{}", [f"{self.string(name)}{self._white()}{colon}{inner}" for name, inner in entries])

    def _array(self, elements: list[str]) -> str:
        return self._bracketed("[]", elements)

    def _bracketed(self, brackets: str, parts: list[str]) -> str:
        inside = self._comma.join(f"{self._white()}{part}{self._white()}" for part in parts)
        return f"{self._white()}{brackets[0]}{inside or self._white()}{brackets[1]}{self._white()}"

    def _white(self) -> str:
        if not self._wild or self._random.random() < 0.8:
            return ""
        return "".join(self._random.choice(" \t\r") for _ in range(self._random.choice((1, 1, 2, 9))))


@functools.cache
def writers() -> st.SearchStrategy[Writer]:
    """Ways to write a line."""
    style = st.sampled_from(("compact", "compact", "spaced", "ascii", "wild", "wild"))
    return st.builds(Writer, style, st.integers(0, 2**16 - 1))


SNIPPETS = (b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\t", b"\r", b"\x00", b"\x1f", b"\x7f", b"\xff",
             b"0",
             b"-", b".", b"e", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\x80", b"\xf4\x90\x80\x80",
             b"\xef\xbb\xbf",
             b"\\u", b"\\ud800", b"\\udc00", b"\\u0000", b"\\/", b"\\x", b"true", b"null", b"NaN", b"/**/", b'"S"',
             b'{"S":"x"}',
             b',"a":{"S":"x"}', b'{"NULL":true}', b'{"M":{', b'"Item"', b"]}", b"}}", b',""',
             b"\xe2\x80\xa8")  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn, line: bytes) -> bytes:
    """`line` with one to three accidents: bytes changed, lost, added, moved, repeated; the end cut off or grown."""
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        at = draw(st.integers(0, len(line)))
        span = draw(st.sampled_from((1, 1, 2, 5, 20)))
        match draw(st.sampled_from(("flip", "set", "delete", "insert", "cut", "repeat", "move", "append", "prepend"))):
            case "flip" if at < len(line):
                line = line[:at] + bytes([line[at] ^ (1 << draw(st.integers(0, 7)))]) + line[at + 1 :]
            case "set" if at < len(line):
                line = line[:at] + draw(st.sampled_from(SNIPPETS)) + line[at + 1 :]
            case "delete":
                line = line[:at] + line[at + span :]
            case "insert":
                line = line[:at] + draw(st.sampled_from(SNIPPETS)) + line[at:]
            case "cut":
                line = line[:at]
            case "repeat":
                line = line[: at + span] + line[at:]
            case "move":
                piece = line[at : at + span]
                rest = line[:at] + line[at + span :]
                to = draw(st.integers(0, len(rest)))
                line = rest[:to] + piece + rest[to:]
            case "append":
                line += draw(st.sampled_from(SNIPPETS))
            case "prepend":
                line = draw(st.sampled_from(SNIPPETS)) + line
    return line.replace(b"\n", b"?")


# Lines that are no item of a full export, or hardly one.
ODD_LINES = (
    b"", b" ", b"\t\r ", b"\r", b"{}", b" { } ", b"[]", b"1", b'"Item"', b"null", b"true", b'{"Item":{}}',
    b'{"Item":{}}\r',
    b' {"Item" : { } } ', b'{"Item":[]}', b'{"Item":null}', b'{"Item":{},"Item":{}}', b'{"Item":{},"Item":1}',
    b'{"Item":1,"Item":{}}', b'{"Item":{},"x":1}', b'{"x":1,"Item":{}}', b'{"item":{}}', b'{"\\u0049tem":{}}',
    b'{"Item":{}}{"Item":{}}', b'{"Item":{}} x', b'{"Item":{}},', b'{"Item":{}', b'{"Item"', b'{"Item":', b"{",
    b"\xef\xbb\xbf{}",
    b'{"Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"a"}}}', b'{"id":{"S":"a"}}', b'{"":{}}', b"\x00", b"\x0c",
    b"\xff",
    b'{"Item":{"a":{"S":"x"}},"Item":{"a":{}}}', b"[" * 2000, b'{"Item":' * 500, b'{"Item":{"a":' + b'{"L":[' * 300,
    b"\\", b"-",
)  # fmt: skip


@st.composite
def lines(draw: st.DrawFn, valid: st.SearchStrategy[Members] | None = None) -> bytes:
    """Lines of every kind: about half of them hold an item drawn from `valid` as it is, the others are broken."""
    source = valid if valid is not None else items()
    match draw(st.sampled_from(("whole",) * 5 + ("broken", "broken", "mutated", "mutated", "odd"))):
        case "whole":
            return draw(writers()).line(draw(source))
        case "broken":
            return draw(writers()).line(draw(broken_items(source))).replace(b"\n", b"?")
        case "mutated":
            return draw(mutations(draw(writers()).line(draw(source | broken_items(source)))))
        case _:
            odd = draw(st.sampled_from(ODD_LINES))
            return draw(mutations(odd)) if draw(st.booleans()) else odd


def plain_json(value: Typed) -> dict[str, object]:
    """A typed value as the object that `json` reads from it, as in the default of a column."""
    return json.loads(Writer().value(value))
