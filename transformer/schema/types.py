"""The one type table: ClickHouse types a column may have, and the Arrow types that carry them.

Each type is a frozen dataclass that knows its ClickHouse spelling (`sql`), the Arrow type in which its values travel
(`arrow`), and the bytes one row takes in ClickHouse's memory apart from variable-length data (`fixed_bytes`).
`parse` turns the text of a schema file into such a tree. Which DynamoDB values each type takes is in `docs/types.md`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from transformer.schema.expression import ExpressionError, Kind, Token, quote_identifier, quote_string, tokens
from transformer.schema.hints import instead_of_type

if TYPE_CHECKING:
    from collections.abc import Iterator


class TypeSyntaxError(ValueError):
    """The text is no type that this tool can load exactly. `remedy` says what to write, or nothing."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Type:
    """A ClickHouse type."""

    @property
    def sql(self) -> str:
        """The type as ClickHouse spells it."""
        raise NotImplementedError

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of a column of this type, as decode makes it and load sends it."""
        raise NotImplementedError

    @property
    def fixed_bytes(self) -> int:
        """Bytes a row takes in ClickHouse's memory, without the variable part of strings, arrays and maps."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Integer(Type):
    """IntN or UIntN: 8, 16, 32, 64, 128 or 256 bits. Beyond 64 bits Arrow carries little-endian fixed-size binary."""

    bits: int
    signed: bool

    @property
    def sql(self) -> str:
        return f"{'' if self.signed else 'U'}Int{self.bits}"

    @property
    def arrow(self) -> pa.DataType:
        if self.bits > 64:
            return pa.binary(self.bits // 8)
        return pa.type_for_alias(f"{'' if self.signed else 'u'}int{self.bits}")

    @property
    def fixed_bytes(self) -> int:
        return self.bits // 8

    @property
    def minimum(self) -> int:
        """The lowest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """The highest value."""
        return (1 << (self.bits - self.signed)) - 1


@dataclass(frozen=True, slots=True)
class Decimal(Type):
    """Decimal(P, S): values v where v * 10^S is an integer of at most P digits; 1 <= P <= 76, 0 <= S <= P."""

    precision: int
    scale: int

    @property
    def sql(self) -> str:
        return f"Decimal({self.precision}, {self.scale})"

    @property
    def arrow(self) -> pa.DataType:
        if self.precision > 38:
            return pa.decimal256(self.precision, self.scale)
        return pa.decimal128(self.precision, self.scale)

    @property
    def fixed_bytes(self) -> int:
        return next(size for digits, size in ((9, 4), (18, 8), (38, 16), (76, 32)) if self.precision <= digits)


@dataclass(frozen=True, slots=True)
class Float64(Type):
    """The nearest double; whoever declares it accepts that."""

    @property
    def sql(self) -> str:
        return "Float64"

    @property
    def arrow(self) -> pa.DataType:
        return pa.float64()

    @property
    def fixed_bytes(self) -> int:
        return 8


@dataclass(frozen=True, slots=True)
class Bool(Type):
    """true or false."""

    @property
    def sql(self) -> str:
        return "Bool"

    @property
    def arrow(self) -> pa.DataType:
        return pa.bool_()

    @property
    def fixed_bytes(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class String(Type):
    """Bytes. Arrow binary, because B goes here too and need not be UTF-8."""

    @property
    def sql(self) -> str:
        return "String"

    @property
    def arrow(self) -> pa.DataType:
        return pa.binary()

    @property
    def fixed_bytes(self) -> int:
        return 9


@dataclass(frozen=True, slots=True)
class UUID(Type):
    """Sixteen bytes in RFC 9562 order; the case of the text is not kept."""

    @property
    def sql(self) -> str:
        return "UUID"

    @property
    def arrow(self) -> pa.DataType:
        return pa.binary(16)

    @property
    def fixed_bytes(self) -> int:
        return 16


@dataclass(frozen=True, slots=True)
class DateTime64(Type):
    """DateTime64(P[, 'zone']), P one of 0, 3, 6, 9: ticks of 10^-P seconds since 1970 in UTC.

    The zone changes only how ClickHouse prints it.
    """

    precision: int
    zone: str = ""

    @property
    def sql(self) -> str:
        return f"DateTime64({self.precision}, '{self.zone}')" if self.zone else f"DateTime64({self.precision})"

    @property
    def arrow(self) -> pa.DataType:
        return pa.timestamp({0: "s", 3: "ms", 6: "us", 9: "ns"}[self.precision], "UTC")

    @property
    def fixed_bytes(self) -> int:
        return 8

    @property
    def minimum(self) -> int:
        """The lowest tick: 1900-01-01T00:00:00Z (ClickHouse's documented range)."""
        return -2_208_988_800 * int(10**self.precision)

    @property
    def maximum(self) -> int:
        """The highest tick: the end of 2299, or of 2261 with precision 9 (ClickHouse's documented ranges)."""
        after = 9_214_646_400 if self.precision == 9 else 10_413_792_000
        return after * int(10**self.precision) - 1


@dataclass(frozen=True, slots=True)
class Enum(Type):
    """Enum8 or Enum16. Sent by name: a wrong number would be stored, a wrong name is refused."""

    bits: int
    members: tuple[tuple[str, int], ...]

    @property
    def default(self) -> str:
        """The name that ClickHouse gives a row without a value: that of the lowest number."""
        return min(self.members, key=lambda member: member[1])[0]

    @property
    def sql(self) -> str:
        inside = ", ".join(f"{quote_string(name)} = {number}" for name, number in self.members)
        return f"Enum{self.bits}({inside})"

    @property
    def arrow(self) -> pa.DataType:
        return pa.string()

    @property
    def fixed_bytes(self) -> int:
        return self.bits // 8


@dataclass(frozen=True, slots=True)
class JSON(Type):
    """ClickHouse's JSON, a convenience outside the exactness contract; only as Nullable(JSON)."""

    @property
    def sql(self) -> str:
        return "JSON"

    @property
    def arrow(self) -> pa.DataType:
        return pa.string()

    @property
    def fixed_bytes(self) -> int:
        return 64


@dataclass(frozen=True, slots=True)
class Nullable(Type):
    """T or NULL."""

    inner: Type

    @property
    def sql(self) -> str:
        return f"Nullable({self.inner.sql})"

    @property
    def arrow(self) -> pa.DataType:
        return self.inner.arrow

    @property
    def fixed_bytes(self) -> int:
        return self.inner.fixed_bytes + 1


@dataclass(frozen=True, slots=True)
class LowCardinality(Type):
    """LowCardinality(String), LowCardinality(Nullable(String)): a dictionary on the server, plain values on the way."""

    inner: Type

    @property
    def sql(self) -> str:
        return f"LowCardinality({self.inner.sql})"

    @property
    def arrow(self) -> pa.DataType:
        return self.inner.arrow

    @property
    def fixed_bytes(self) -> int:
        return 8


@dataclass(frozen=True, slots=True)
class Array(Type):
    """Array(T). Cannot be NULL: missing, NULL and empty are all []."""

    element: Type

    @property
    def sql(self) -> str:
        return f"Array({self.element.sql})"

    @property
    def arrow(self) -> pa.DataType:
        return pa.list_(self.element.arrow)

    @property
    def fixed_bytes(self) -> int:
        return 8


@dataclass(frozen=True, slots=True)
class Tuple(Type):
    """Tuple(name T, ...), all members named; members are matched by name."""

    members: tuple[tuple[str, Type], ...]

    @property
    def sql(self) -> str:
        return f"Tuple({', '.join(f'{quote_identifier(name)} {member.sql}' for name, member in self.members)})"

    @property
    def arrow(self) -> pa.DataType:
        return pa.struct([pa.field(name, member.arrow) for name, member in self.members])

    @property
    def fixed_bytes(self) -> int:
        return sum(member.fixed_bytes for _, member in self.members)


@dataclass(frozen=True, slots=True)
class Map(Type):
    """Map(String, T), entries sorted by key. Cannot be NULL: missing, NULL and empty are all {}."""

    value: Type

    @property
    def sql(self) -> str:
        return f"Map(String, {self.value.sql})"

    @property
    def arrow(self) -> pa.DataType:
        return pa.map_(pa.binary(), self.value.arrow)

    @property
    def fixed_bytes(self) -> int:
        return 8


_INTEGER = re.compile(r"(U?)Int(8|16|32|64|128|256)")
_SIMPLE = {"Float64": Float64(), "Bool": Bool(), "String": String(), "UUID": UUID(), "JSON": JSON()}
_PARAMETRIC = ("Decimal", "DateTime64", "Enum8", "Enum16", "Nullable", "LowCardinality", "Array", "Tuple", "Map")
_INTEGERS = [f"{unsigned}Int{bits}" for unsigned in ("", "U") for bits in (8, 16, 32, 64, 128, 256)]
_NAMES = (*_INTEGERS, *_SIMPLE, *_PARAMETRIC)
_DEEPEST = 33  # containers in a type, Nullable included: DynamoDB nests 32 maps and lists


def parse(text: str) -> Type:
    """The type that `text` spells, as in a ClickHouse CREATE TABLE.

    Raises TypeSyntaxError for anything that is not in the type table, with what to write instead.
    """
    try:
        parser = _Parser(text, tokens(text))
    except ExpressionError as error:
        raise TypeSyntaxError(f"{error} in type {text!r}") from error
    result = parser.type(0)
    if parser.rest:
        raise parser.fail(f"unexpected {parser.seen()}")
    _check(result, outer="")
    return result


class _Parser:
    """A recursive-descent reader of the type grammar; `rest` holds the unread tokens, the next one last."""

    def __init__(self, text: str, found: list[Token]) -> None:
        self.text = text
        self.rest = found[::-1]

    def fail(self, what: str, remedy: str = "") -> TypeSyntaxError:
        return TypeSyntaxError(f"{what} in type {self.text!r}", remedy)

    def seen(self) -> str:
        return repr(self.rest[-1].text) if self.rest else "the end"

    def skip(self, mark: str) -> bool:
        """Whether the next token is this mark, which is then read."""
        found = bool(self.rest) and self.rest[-1] == Token(Kind.MARK, mark)
        if found:
            self.rest.pop()
        return found

    def take(self, kind: Kind, what: str) -> Token:
        if not self.rest or self.rest[-1].kind is not kind:
            raise self.fail(f"expected {what}, found {self.seen()}")
        return self.rest.pop()

    def mark(self, mark: str) -> None:
        if not self.skip(mark):
            raise self.fail(f"expected {mark!r}, found {self.seen()}")

    def number(self, what: str) -> int:
        sign = -1 if self.skip("-") else 1
        digits = self.take(Kind.NUMBER, what).text
        if not digits.isdecimal() or len(digits) > 9:
            raise self.fail(f"expected {what}, found {digits!r}")
        return sign * int(digits)

    def type(self, depth: int) -> Type:
        if depth > _DEEPEST:
            raise TypeSyntaxError("the type is nested deeper than DynamoDB nests values (32 levels)")
        name = self.take(Kind.NAME, "a type").text
        if matched := _INTEGER.fullmatch(name):
            return Integer(int(matched[2]), signed=not matched[1])
        if name in _SIMPLE:
            return _SIMPLE[name]
        if name not in _PARAMETRIC:
            raise self.fail(f"{name} is no type that can be loaded exactly", instead_of_type(name, _NAMES))
        self.mark("(")
        result = self.parametric(name, depth + 1)
        self.mark(")")
        return result

    def parametric(self, name: str, depth: int) -> Type:
        match name:
            case "Decimal":
                precision = self.number("the precision")
                self.mark(",")
                return Decimal(precision, self.number("the scale"))
            case "DateTime64":
                precision = self.number("the precision")
                zone = self.take(Kind.STRING, "a time zone in quotes").text if self.skip(",") else ""
                return DateTime64(precision, zone)
            case "Enum8" | "Enum16":
                return Enum(int(name[4:]), tuple(self.enum_members()))
            case "Nullable":
                return Nullable(self.type(depth))
            case "LowCardinality":
                return LowCardinality(self.type(depth))
            case "Array":
                return Array(self.type(depth))
            case "Map":
                if self.type(depth) != String():
                    raise self.fail("the keys of a Map are attribute names", "Write Map(String, T).")
                self.mark(",")
                return Map(self.type(depth))
            case _:
                return Tuple(tuple(self.tuple_members(depth)))

    def enum_members(self) -> Iterator[tuple[str, int]]:
        number = 0
        while True:
            name = self.take(Kind.STRING, "a name in single quotes").text
            number = self.number("a number") if self.skip("=") else number + 1
            yield name, number
            if not self.skip(","):
                return

    def tuple_members(self, depth: int) -> Iterator[tuple[str, Type]]:
        while True:
            name = self.take(Kind.NAME, "a member's name, as in Tuple(sku String, qty Int32)").text
            if self.seen() in ("','", "')'", "'('"):
                raise self.fail(f"{name} has no name or no type", "Write Tuple(sku String, qty Int32).")
            yield name, self.type(depth)
            if not self.skip(","):
                return


def _check(type_: Type, outer: str) -> None:
    """Raise TypeSyntaxError for a well-spelled type that ClickHouse or the data contract does not have."""
    match type_:
        case Decimal(precision, scale):
            if not 1 <= precision <= 76 or not 0 <= scale <= precision:
                raise TypeSyntaxError(f"{type_.sql}: precision is 1 to 76 and scale 0 to the precision")
        case DateTime64(precision, zone):
            if precision not in (0, 3, 6, 9):
                raise TypeSyntaxError(f"{type_.sql}: the precision is 0, 3, 6 or 9", "Write the next higher of these.")
            if zone and not re.fullmatch(r"[A-Za-z0-9_+\-/]+", zone):
                raise TypeSyntaxError(f"{type_.sql}: the time zone is not a name")
        case Enum(bits, members):
            numbers = [number for _, number in members]
            low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
            if min(len(dict(members)), len(set(numbers))) < len(members):
                raise TypeSyntaxError(f"{type_.sql}: a name or number stands twice")
            if not all(low <= number <= high for number in numbers):
                raise TypeSyntaxError(f"{type_.sql}: numbers of Enum{bits} are {low} to {high}")
        case JSON() if outer != "column Nullable":
            instead = "Write Nullable(JSON), and only as a whole column; or String, which holds exact JSON text."
            raise TypeSyntaxError("JSON loses nulls and rewrites numbers", instead)
        case LowCardinality(inner) if inner not in (String(), Nullable(String())):
            instead = "Write LowCardinality(String) or LowCardinality(Nullable(String))."
            raise TypeSyntaxError(f"{type_.sql}: only texts have a dictionary", instead)
        case Nullable(inner):
            if isinstance(inner, Nullable | LowCardinality | Array | Tuple | Map):
                instead = "LowCardinality(Nullable(String))" if isinstance(inner, LowCardinality) else inner.sql
                raise TypeSyntaxError(f"{type_.sql}: ClickHouse has no such NULL", f"Write {instead}.")
            _check(inner, "column Nullable" if not outer else "Nullable")
        case Array(inner) | Map(inner):
            _check(inner, "Array or Map")
        case Tuple(members):
            if len(dict(members)) < len(members):
                raise TypeSyntaxError(f"{type_.sql}: a member name stands twice")
            for name, member in members:
                if not name or "\0" in name:
                    raise TypeSyntaxError(f"{type_.sql}: a member name is empty or holds a NUL")
                _check(member, "Tuple")
