"""Lines for a table: valid ones, made from its types, and what becomes of them when they are broken."""

from __future__ import annotations

import random
from collections.abc import Callable

from decode_strategies import (
    BAD_BASE64,
    BAD_NUMBERS,
    BROKEN,
    NAMES,
    ODD_LINES,
    SNIPPETS,
    TEXTS,
    Members,
    Typed,
    Writer,
    edge_integers,
)
from decode_tables import ENUM_NAMES, NEAR_TIMES, NEAR_UUIDS

from transformer.schema import types as t
from transformer.schema.table import Column, Convert, Table, UnmappedPolicy

NUMBERS = (
    *("0", "-0", "1", "-1", "26.50", "1E2", "1e-130", "9.99E125", "0.1", "9007199254740993", "1E400", "5e-324"),
    *("1.7976931348623158e308", "2.4703282292062328e-324", "0e0", "-0.000", "9" * 38, "0." + "3" * 38, "1" + "0" * 125),
)
STYLES = ("compact", "compact", "compact", "spaced", "ascii", "wild")
_PLACES = {Convert.EPOCH_MS: 3, Convert.EPOCH_US: 6}
_DEEP = 33  # one level more than DynamoDB allows


class Lines:
    """Makes lines for one table out of one source of chance."""

    def __init__(self, table: Table, chance: random.Random) -> None:
        self._table = table
        self._chance = chance
        self._keys = set(table.key)

    def valid(self) -> bytes:
        """A line that mostly fits the table."""
        chance = self._chance
        tree: dict[str, object] = {}
        for column in chance.sample(self._table.columns, len(self._table.columns)):
            needed = column.name in self._keys or not isinstance(column.type, t.Nullable)
            if chance.random() < (0.99 if needed else 0.8):
                _plant(tree, column.path, self._value(column))
        lone = self._table.unmapped_policy is UnmappedPolicy.REJECT and chance.random() < 0.9
        for _ in range(0 if lone else chance.choice((0, 0, 1, 3))):
            tree.setdefault(chance.choice(NAMES), self.anything(2))
        writer = Writer(chance.choice(STYLES), chance.randrange(1 << 16))
        return writer.line(_grown(tree)).replace(b"\n", b"?")

    def broken(self, corpus: list[bytes]) -> bytes:
        """A line of the corpus after one to four accidents, or one that was never an item."""
        chance = self._chance
        if chance.random() < 0.1:
            return self.valid()
        line = chance.choice(corpus) if chance.random() < 0.97 else chance.choice(ODD_LINES)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
            line = chance.choice(_ACCIDENTS)(chance, line, corpus)
        return line.replace(b"\n", b"?")

    def anything(self, depth: int) -> Typed:
        """A value of any tag; rarely a broken one, or one nested to the limit."""
        chance = self._chance
        kind = chance.choice(("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "M", "L", "odd"))
        match kind:
            case "S":
                return "S", chance.choice(TEXTS)
            case "N":
                return "N", self._number()
            case "B":
                return "B", chance.randbytes(chance.randrange(40))
            case "BOOL":
                return "BOOL", chance.random() < 0.5
            case "SS":
                return "SS", [chance.choice(TEXTS) for _ in range(chance.randrange(4))]
            case "NS":
                return "NS", [self._number() for _ in range(chance.randrange(4))]
            case "BS":
                return "BS", [chance.randbytes(chance.randrange(9)) for _ in range(chance.randrange(4))]
            case "M" if depth:
                return "M", [(name, self.anything(depth - 1)) for name in chance.sample(NAMES, chance.randrange(4))]
            case "L" if depth:
                return "L", [self.anything(depth - 1) for _ in range(chance.randrange(4))]
            case "odd" if chance.random() < 0.1:
                return self._odd()
            case _:
                return "NULL", True

    def _odd(self) -> Typed:
        chance = self._chance
        match chance.randrange(4):
            case 0:
                return "N", chance.choice(BAD_NUMBERS)
            case 1:
                return "RAW", f'{{"B":"{chance.choice(BAD_BASE64)}"}}'.replace("\n", " ")
            case 2:
                return "RAW", chance.choice(BROKEN)
            case _:
                value: Typed = ("S", "x")
                for _ in range(chance.randrange(_DEEP - 3, _DEEP + 1)):
                    value = ("L", [value]) if chance.random() < 0.5 else ("M", [("m", value)])
                return value

    def _number(self) -> str:
        chance = self._chance
        match chance.randrange(4):
            case 0:
                return chance.choice(NUMBERS)
            case 1:
                return str(
                    chance.choice(edge_integers(chance.choice((8, 16, 32, 64, 128, 256)), chance.random() < 0.5))
                )
            case 2:
                whole = str(chance.getrandbits(chance.randrange(1, 128)))
                at = chance.randrange(len(whole))
                return f"{chance.choice(('', '-'))}{whole[: at + 1]}.{whole[at:]}"
            case _:
                return f"{chance.randrange(-99, 100)}{chance.choice(('', '', 'E', 'e-'))}{chance.randrange(1, 30)}"

    def _value(self, column: Column) -> Typed:
        if column.name in self._keys and isinstance(column.type, t.String) and self._chance.random() < 0.97:
            return self._chance.choice((("S", self._chance.choice(TEXTS)), ("N", self._number())))
        return self._typed(column.type, column.convert)

    def _typed(self, type_: t.Type, convert: Convert | None) -> Typed:
        chance = self._chance
        if chance.random() < 0.01:
            return self.anything(2)
        match type_:
            case t.Nullable(inner):
                return ("NULL", True) if chance.random() < 0.1 else self._typed(inner, convert)
            case t.LowCardinality(inner):
                return self._typed(inner, convert)
            case t.Integer(bits, signed):
                near = [edge for edge in edge_integers(bits, signed) if type_.minimum <= edge <= type_.maximum]
                number = chance.choice((*near, 0, 1, chance.randrange(type_.minimum, type_.maximum + 1)))
                return "N", f"{number}{chance.choice(('', '', '', '.0', 'e0'))}"
            case t.Decimal(precision, scale):
                ticks = chance.randrange(10 ** chance.randrange(precision + 1))
                return "N", f"{chance.choice(('', '-'))}{ticks}{f'E-{scale}' if scale else ''}"
            case t.Float64():
                return "N", self._number()
            case t.Bool():
                return "BOOL", chance.random() < 0.5
            case t.Enum(_, members):
                return "S", chance.choice((*[name for name, _ in members] * 20, *ENUM_NAMES))
            case t.UUID():
                plain = f"{chance.getrandbits(128):032x}"
                text = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
                return "S", chance.choice((*(text,) * 8, text.upper(), chance.choice(NEAR_UUIDS)))
            case t.DateTime64():
                return self._time(type_, convert)
            case t.Array(inner):
                return self._array(inner, convert)
            case t.Map(inner):
                return "M", [(name, self._typed(inner, convert)) for name in chance.sample(NAMES, chance.randrange(5))]
            case t.Tuple(members):
                chosen = [member for member in members if chance.random() < 0.95]
                chance.shuffle(chosen)
                return "M", [(name, self._typed(inner, convert)) for name, inner in chosen]
            case _:
                return self.anything(2) if chance.random() < 0.3 else ("S", chance.choice(TEXTS))

    def _time(self, type_: t.DateTime64, convert: Convert | None) -> Typed:
        chance = self._chance
        if convert is Convert.ISO8601:
            fraction = chance.choice(("", "", "", ".5", ".25", ".123456789"))
            made = (
                f"{chance.randrange(1900, 2300)}-0{chance.randrange(1, 10)}-1{chance.randrange(10)}T01:02:03{fraction}Z"
            )
            return "S", chance.choice((*(made,) * 9, chance.choice(NEAR_TIMES)))
        ticks = chance.choice((type_.minimum, type_.maximum, 0, chance.randrange(type_.minimum, type_.maximum)))
        places = type_.precision - _PLACES.get(convert, 0)
        return "N", f"{ticks + chance.choice((*(0,) * 12, 1, -1))}E{-places if chance.random() < 0.95 else 3}"

    def _array(self, inner: t.Type, convert: Convert | None) -> Typed:
        chance = self._chance
        values = [self._typed(inner, convert) for _ in range(chance.choice((0, 1, 2, 3, 3, 9)))]
        for tag in ("S", "N", "B"):
            if values and chance.random() < 0.5 and all(found == tag for found, _ in values):
                return f"{tag}S", [content for _, content in values]
        return "L", values


def _plant(tree: dict[str, object], path: tuple[str, ...], value: Typed) -> None:
    for name in path[:-1]:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(path[-1], value)


def _grown(tree: dict[str, object]) -> Members:
    return [(name, ("M", _grown(inner)) if isinstance(inner, dict) else inner) for name, inner in tree.items()]


def _flip(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    if not line:
        return b"\x01"
    at = chance.randrange(len(line))
    return line[:at] + bytes([line[at] ^ (1 << chance.randrange(8))]) + line[at + 1 :]


def _byte(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    at = chance.randrange(len(line) + 1)
    return (
        line[:at] + chance.choice((b'"', b"\\", b"{", b"}", b"0", b"9", b"-", b".", b"e", b"=", b",")) + line[at + 1 :]
    )


def _snippet(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    at = chance.randrange(len(line) + 1)
    return line[:at] + chance.choice(SNIPPETS) + line[at + chance.choice((0, 0, 1, 4)) :]


def _delete(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    at = chance.randrange(len(line) + 1)
    return line[:at] + line[at + chance.choice((1, 1, 2, 5, 20, 64)) :]


def _repeat(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    at = chance.randrange(len(line) + 1)
    return line[: at + chance.choice((1, 2, 7, 40))] + line[at:]


def _cut(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    return line[: chance.randrange(len(line) + 1)]


def _value(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    """The content of one string becomes another text: numbers, base64, dates, names."""
    quotes = [at for at, byte in enumerate(line) if byte == 0x22]
    if len(quotes) < 2:
        return line
    first = chance.randrange(len(quotes) - 1)
    text = chance.choice((*NUMBERS, *BAD_NUMBERS, *BAD_BASE64, *NEAR_TIMES, *NAMES[:30])).encode()
    return line[: quotes[first] + 1] + text + line[quotes[first + 1] :]


def _tag(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    """One type tag becomes another."""
    tags = (b'{"S":', b'{"N":', b'{"B":', b'{"M":', b'{"L":', b'{"SS":', b'{"NS":', b'{"BS":', b'{"BOOL":', b'{"NULL":')
    found = [tag for tag in tags if tag in line]
    if not found:
        return line
    old = chance.choice(found)
    at = line.find(old, chance.randrange(len(line)))
    return line if at < 0 else line[:at] + chance.choice(tags) + line[at + len(old) :]


def _broken(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    """A value that is broken stands where another began."""
    at = line.find(b'{"', chance.randrange(len(line) + 1))
    return line if at < 0 else line[:at] + chance.choice(BROKEN).encode() + b"," + line[at:]


def _splice(chance: random.Random, line: bytes, corpus: list[bytes]) -> bytes:
    """The beginning of one line and the end of another, joined where both have a comma, or anywhere."""
    other = chance.choice(corpus)
    if chance.random() < 0.5:
        ours = [at for at, byte in enumerate(line) if byte == 0x2C]
        theirs = [at for at, byte in enumerate(other) if byte == 0x2C]
        if ours and theirs:
            return line[: chance.choice(ours)] + other[chance.choice(theirs) :]
    return line[: chance.randrange(len(line) + 1)] + other[chance.randrange(len(other) + 1) :]


def _swap(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    """Two stretches between commas change places, which often keeps the line valid."""
    parts = line.split(b",")
    if len(parts) > 2:
        one, two = chance.randrange(len(parts)), chance.randrange(len(parts))
        parts[one], parts[two] = parts[two], parts[one]
    return b",".join(parts)


def _grow(chance: random.Random, line: bytes, _corpus: list[bytes]) -> bytes:
    """A run of one byte, around the widths of vectors."""
    at = chance.randrange(len(line) + 1)
    run = chance.choice((b"x", b" ", b"0", b"\\\\", b"\xc3\xa9", b"[")) * chance.choice(
        (7, 8, 15, 16, 31, 32, 33, 63, 64, 300)
    )
    return line[:at] + run + line[at:]


_ACCIDENTS: tuple[Callable[[random.Random, bytes, list[bytes]], bytes], ...] = (
    *(_flip, _flip, _byte, _byte, _snippet, _snippet, _delete, _repeat, _cut),
    *(_value, _value, _value, _tag, _tag, _broken, _splice, _splice, _swap, _swap, _grow),
)
