"""SQL that turns tagged values into values of a column's type, in two steps, so that little SQL is needed.

*Preparing* a value (long SQL, by kind) gives its text and whether it has one; *finishing* it (short SQL, by type)
gives the column's value and whether the column can hold it exactly. All values of one kind at one level, such as all
numbers at the top of the item, are prepared by one expression over an array: the planning of a view is paid by every
insert, and grows with the size of its expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from transformer.schema.expression import quote_string
from transformer.schema.landing_text import GOOD, NONE, NULL, Expressions, is_complete, is_complex, one_tag, repeats
from transformer.schema.layout import takes_null
from transformer.schema.table import Convert
from transformer.schema.types import (
    JSON,
    UUID,
    Array,
    Bool,
    DateTime64,
    Decimal,
    Enum,
    Float64,
    Integer,
    LowCardinality,
    Map,
    Nullable,
    String,
    Tuple,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NO_UUID = "'00000000-0000-0000-0000-000000000000'"
_UNIT = {Convert.EPOCH_S: 0, Convert.EPOCH_MS: 3, Convert.EPOCH_US: 6}
_WIDTHS = ((9, 32), (18, 64), (38, 128), (76, 256))


class Kind(NamedTuple):
    """How a value is prepared: `number`, `count` (an N only), `string`, `text`, `map`, `flag`, or `time`, which is a
    text and has the precision of its column."""

    name: str
    precision: int = 0


class Finished(NamedTuple):
    """SQL of a column's value, and of whether it cannot be had (1) or can (0)."""

    value: str
    bad: str


def is_scalar(type_: Type) -> bool:
    """Whether values of a type are prepared and finished, rather than walked."""
    return not isinstance(type_, Array | Map | Tuple)


def without_null(type_: Type) -> Type:
    """The type of the values that are not NULL."""
    match type_:
        case Nullable(inner) | LowCardinality(Nullable(inner)) | LowCardinality(inner):
            return inner
        case _:
            return type_


def kind_of(type_: Type, convert: Convert | None) -> Kind:
    """How values of a scalar type are prepared."""
    match without_null(type_):
        case Integer() | Decimal() | Float64():
            return Kind("number")
        case DateTime64(precision):
            return Kind("time", precision) if convert is Convert.ISO8601 else Kind("count")
        case Bool():
            return Kind("flag")
        case Enum() | UUID():
            return Kind("string")
        case JSON():
            return Kind("map")
        case _:
            return Kind("text")


@dataclass(frozen=True, slots=True)
class Values:
    """Expressions over the values of one column.

    convert: the column's conversion. texts: name of a map from the raw values of maps, lists and sets that stand where
    a String belongs, inside of other columns, to their JSON texts.
    """

    sql: Expressions
    convert: Convert | None
    texts: str

    def prepare(self, kind: Kind, value: str, complex_text: str = "") -> str:
        """A raw value prepared. value: name. complex_text: name of its JSON text; else it is looked up in `texts`."""
        match kind.name:
            case "number":
                return self.sql.number(value)
            case "count":
                return f"if(startsWith({value}, '{{\"S\"'), '', {self.sql.number(value)})"
            case "string":
                return self.sql.string(value)
            case "time":
                return self.sql.iso8601(value, kind.precision)
            case "flag":
                return value
            case "map":
                whole = f"(startsWith({value}, '{{\"M\"') AND {is_complete(complex_text)}, {complex_text})"
                return f"if({value} IN {NONE}, ({NULL}, ''), {whole})"
        if complex_text:
            return self.sql.text(value, complex_text)
        return self.sql.let([f"{self.texts}[{value}]"], lambda text: self.sql.text(value, text))

    def finish(self, type_: Type, prepared: str) -> Finished:
        """A prepared value in a scalar type; NULL and missing are bad unless the type takes NULL.

        prepared: short SQL; it stands in the result several times. Enum and UUID stay text, LowCardinality and Bool
        what they stand on: the cast to the column's type at the end makes them.
        """
        kind = kind_of(type_, self.convert)
        if kind.name in ("number", "count"):
            none, (value, bad) = f"{prepared} = 'null'", self._number(without_null(type_), prepared)
        elif kind.name == "flag":
            none, value = f"{prepared} IN {NONE}", f"{prepared} = '{{\"BOOL\":true}}'"
            bad = f"{prepared} NOT IN ('{{\"BOOL\":true}}', '{{\"BOOL\":false}}')"
        else:
            none = f"tupleElement({prepared}, 1) = {NULL}"
            value, bad = self._text(without_null(type_), prepared)
        if not takes_null(type_):
            return Finished(value, bad)
        return Finished(f"if({none}, NULL, {value})", f"NOT ({none}) AND ({bad})")

    def _number(self, type_: Type, n: str) -> Finished:
        """n: plain text of a number; empty or `null` if there is none."""
        match type_:
            case Integer():
                # Reading back what was stored finds every overflow; the wide types wrap around without a word.
                value = f"to{type_.sql}OrZero({n})"
                return Finished(value, f"toString({value}) != {n}")
            case Decimal(precision, scale):
                whole = f"[0-9]{{1,{precision - scale}}}" if precision > scale else "0"
                good = f"match({n}, {quote_string(f'^-?{whole}{_fraction(scale)}$')})"
                bits = next(bits for digits, bits in _WIDTHS if precision <= digits)
                return Finished(
                    f"CAST(toDecimal{bits}OrZero(if({good}, {n}, '0'), {scale}), '{type_.sql}')", f"NOT {good}"
                )
            case DateTime64(precision):
                return self._ticks(type_, n, precision - _UNIT[self.convert or Convert.EPOCH_S])
            case _:
                value = f"(toFloat64OrZero({n}) + 0)"  # + 0 takes the sign from a zero
                return Finished(value, f"({n} IN ('', 'null') OR NOT isFinite({value}))")

    def _ticks(self, type_: DateTime64, n: str, places: int) -> Finished:
        """Ticks are the number times 10^places, in digits: nothing is ever rounded."""
        if places < 0:
            good = f"match({n}, '^(0|-?[0-9]{{1,40}}{'0' * -places})$')"
            ticks = f"intDiv(toInt256OrZero({n}), {10**-places})"
        else:
            good = f"match({n}, {quote_string(f'^-?[0-9]{{1,40}}{_fraction(places)}$')})"
            fraction = f"extract({n}, '\\\\.([0-9]+)')"
            padding = f"repeat('0', {places} - toInt32(length({fraction})))"
            ticks = f"toInt256OrZero(concat(extract({n}, '^-?[0-9]+'), {fraction}, {padding}))"
        return _in_range(type_, good, ticks)

    def _text(self, type_: Type, prepared: str) -> Finished:
        """prepared: (status, text) or (status, ticks)."""
        good, text = f"tupleElement({prepared}, 1) = {GOOD}", f"tupleElement({prepared}, 2)"
        match type_:
            case Enum(_, members):
                names = [quote_string(name) for name, _ in members]
                known = f"({good} AND {text} IN ({', '.join(names)}))"
                return Finished(f"if({known}, {text}, {names[0]})", f"NOT {known}")
            case UUID():
                known = f"({good} AND match({text}, '^[0-9a-fA-F]{{8}}(-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}$'))"
                # As text, because ClickHouse sorts UUIDs by their second half first.
                return Finished(f"if({known}, lower({text}), {NO_UUID})", f"NOT {known}")
            case DateTime64():
                return _in_range(type_, good, text)
            case JSON():
                value = f"accurateCastOrNull(if({good}, {text}, '{{}}'), 'JSON')"
                return Finished(value, f"NOT ({good}) OR isNull({value})")
            case _:
                return Finished(text, f"NOT ({good})")

    def walk(self, type_: Type, value: str) -> str:
        """(value, bad) of a raw value in any type. value: name."""
        match type_:
            case Array(element):
                return self._array(element, value)
            case Map(inner):
                return self._map(inner, value)
            case Tuple(members):
                return self._tuple([inner for _, inner in members], [name for name, _ in members], value)
            case scalar:
                kind = kind_of(scalar, self.convert)
                if kind.name == "flag":
                    return pair(self.finish(scalar, value))
                return self.sql.let([self.prepare(kind, value)], lambda made: pair(self.finish(scalar, made)))

    def _array(self, element: Type, value: str) -> str:
        made = self.sql.each([self.sql.elements(value)], lambda e: self.walk(element, e))

        def whole(found: str) -> str:
            values = f"tupleElement({found}, 1)"
            if is_scalar(element):  # others are never in sets
                values = f"if(startsWith({value}, '{{\"L\"'), {values}, arraySort({values}))"
            shape = f"match({value}, '^\\\\{{\"(L|SS|NS|BS)\":\\\\[') AND {one_tag(value)}"
            return f"({values}, {value} NOT IN {NONE} AND (NOT ({shape}) OR has(tupleElement({found}, 2), 1)))"

        return self.sql.let([made], whole)

    def _map(self, inner: Type, value: str) -> str:
        def whole(entries: str) -> str:
            names = f"tupleElement({entries}, 1)"
            made = self.sql.each([f"tupleElement({entries}, 2)"], lambda part: self.walk(inner, part))
            shape = f"startsWith({value}, '{{\"M\":{{') AND {one_tag(value)} AND NOT {repeats(names)}"
            return self.sql.let(
                [made],
                lambda found: (
                    f"(mapFromArrays({names}, tupleElement({found}, 1)), "
                    f"{value} NOT IN {NONE} AND (NOT ({shape}) OR has(tupleElement({found}, 2), 1)))"
                ),
            )

        return self.sql.let([f"arraySort(JSONExtractKeysAndValuesRaw({value}, 'M'))"], whole)

    def _tuple(self, types: Sequence[Type], names: Sequence[str], value: str) -> str:
        def whole(held: str) -> str:
            raw = [f"{held}[{quote_string(name)}]" for name in names]

            def finished(parts: Sequence[Finished]) -> str:
                shape = f"startsWith({value}, '{{\"M\":{{') AND {one_tag(value)} AND NOT {repeats(f'mapKeys({held})')}"
                bad = " OR ".join(f"({part.bad})" for part in parts)
                return (
                    f"(tuple({', '.join(part.value for part in parts)}), "
                    f"({value} NOT IN {NONE} AND NOT ({shape})) OR {bad})"
                )

            return self.all(types, raw, finished)

        return self.sql.let([f"JSONExtract({value}, 'M', 'Map(String, String)')"], whole)

    def all(self, types: Sequence[Type], raw: Sequence[str], body: Callable[[Sequence[Finished]], str]) -> str:
        """What `body` makes of several values side by side; those of one kind are prepared together."""
        kinds = [kind_of(type_, self.convert) if is_scalar(type_) else None for type_ in types]
        groups = sorted({kind for kind in kinds if kind is not None})
        bound = [
            self.sql.each(
                [f"[{', '.join(r for r, k in zip(raw, kinds, strict=True) if k == kind)}]"],
                lambda value, kind=kind: self.prepare(kind, value),
            )
            for kind in groups
        ]
        bound += [
            self.sql.let([r], lambda value, type_=type_: self.walk(type_, value))
            for r, type_, kind in zip(raw, types, kinds, strict=True)
            if kind is None
        ]

        def build(*names: str) -> str:
            seen = dict.fromkeys(groups, 0)
            walked = iter(names[len(groups) :])
            parts = []
            for type_, kind in zip(types, kinds, strict=True):
                if kind is None:
                    found = next(walked)
                    parts.append(Finished(f"tupleElement({found}, 1)", f"tupleElement({found}, 2)"))
                else:
                    seen[kind] += 1
                    parts.append(self.finish(type_, f"arrayElement({names[groups.index(kind)]}, {seen[kind]})"))
            return body(parts)

        return self.sql.let(bound, build)

    def complex_parts(self, type_: Type, value: str) -> str:
        """An array of the maps, lists and sets in a raw value that stand where its type has a String; empty SQL when
        there is no String in the type. value: name."""
        match type_:
            case Array(element):
                return self._complex_of_all(element, f"JSONExtractArrayRaw({value}, 'L')")
            case Map(inner):
                return self._complex_of_all(inner, f"mapValues(JSONExtract({value}, 'M', 'Map(String, String)'))")
            case Tuple(members):
                parts = [
                    self.sql.let(
                        [f"JSONExtractRaw({value}, 'M', {quote_string(name)})"],
                        lambda part, inner=inner: self.complex_parts(inner, part),
                    )
                    for name, inner in members
                    if self.has_text(inner)
                ]
                return f"arrayConcat({', '.join(parts)})" if parts else ""
            case _ if self.has_text(type_):
                return f"if({is_complex(value)}, [{value}], CAST([] AS Array(String)))"
            case _:
                return ""

    def _complex_of_all(self, element: Type, array: str) -> str:
        if not self.has_text(element):
            return ""
        return f"arrayFlatten({self.sql.each([array], lambda part: self.complex_parts(element, part))})"

    def has_text(self, type_: Type) -> bool:
        """Whether there is a String in a type, which takes JSON text."""
        match type_:
            case Array(inner) | Map(inner):
                return self.has_text(inner)
            case Tuple(members):
                return any(self.has_text(inner) for _, inner in members)
            case _:
                return without_null(type_) == String()


def pair(finished: Finished) -> str:
    """(value, bad) as one tuple."""
    return f"({finished.value}, {finished.bad})"


def _fraction(digits: int) -> str:
    return rf"(\.[0-9]{{1,{digits}}})?" if digits else ""


def _in_range(type_: DateTime64, good: str, ticks: str) -> Finished:
    fits = f"({good} AND {ticks} BETWEEN {type_.minimum} AND {type_.maximum})"
    value = f"reinterpret(toInt64(if({fits}, {ticks}, 0)), {quote_string(DateTime64(type_.precision).sql)})"
    return Finished(value, f"NOT {fits}")
