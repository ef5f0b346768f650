"""Hypothesis strategies for decode: tables of any shape, and items that mostly fit them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from decimal import Decimal as Exact

from decode_strategies import (
    NAMES,
    Members,
    Typed,
    binaries,
    edge_integers,
    lines,
    members,
    names,
    number_texts,
    plain_json,
    scalars,
    texts,
    typed_values,
)
from hypothesis import strategies as st

from transformer.schema import types as t
from transformer.schema.table import Column, Convert, Path, Table, UnmappedPolicy

ENUM_NAMES = ("new", "paid", "", "Größe", "it's", "a\\b", "\t")
TUPLE_NAMES = tuple(name for name in NAMES if name and "\x00" not in name and len(name) < 40)

_EPOCHS = (Convert.EPOCH_S, Convert.EPOCH_MS, Convert.EPOCH_US)
_UNIT = {Convert.EPOCH_S: 0, Convert.EPOCH_MS: 3, Convert.EPOCH_US: 6}


@functools.cache
def scalar_types() -> st.SearchStrategy[t.Type]:
    """Types that hold one value and no NULL."""
    return st.one_of(
        st.just(t.String()),
        st.just(t.String()),
        st.builds(t.Integer, st.sampled_from((8, 16, 32, 64, 128, 256)), st.booleans()),
        st.integers(1, 76).flatmap(lambda p: st.builds(t.Decimal, st.just(p), st.integers(0, min(p, 40)))),
        st.sampled_from((t.Decimal(1, 1), t.Decimal(9, 2), t.Decimal(18, 18), t.Decimal(38, 0), t.Decimal(76, 76))),
        st.just(t.Float64()),
        st.just(t.Bool()),
        st.just(t.UUID()),
        st.builds(t.DateTime64, st.sampled_from((0, 3, 6, 9)), st.sampled_from(("", "UTC"))),
        st.lists(st.sampled_from(ENUM_NAMES), min_size=1, max_size=4, unique=True).map(
            lambda chosen: t.Enum(8, tuple((name, number) for number, name in enumerate(chosen, -1)))
        ),
        st.just(t.LowCardinality(t.String())),
    )


@functools.cache
def types(depth: int = 2) -> st.SearchStrategy[t.Type]:
    """Types of the type table but Nullable(JSON), nested up to `depth` levels of Array, Map and Tuple."""
    flat = st.one_of(
        scalar_types(),
        scalar_types().map(
            lambda inner: (
                t.LowCardinality(t.Nullable(t.String())) if isinstance(inner, t.LowCardinality) else t.Nullable(inner)
            )
        ),
    )
    if depth == 0:
        return flat
    inner = types(depth - 1)
    tuples = tuple_types(inner)
    return st.one_of(flat, flat, flat, inner.map(t.Array), tuples, tuples.map(t.Array), inner.map(t.Map))


@st.composite
def tuple_types(draw: st.DrawFn, inner: st.SearchStrategy[t.Type]) -> t.Type:
    """Tuples of up to three members."""
    chosen = draw(st.lists(st.sampled_from(TUPLE_NAMES), min_size=1, max_size=3, unique=True))
    return t.Tuple(tuple((name, draw(inner)) for name in chosen))


@st.composite
def written_integers(draw: st.DrawFn, number: int) -> str:
    """A text of an integer: as it is, with a fraction of zeros, with an exponent."""
    text = str(number)
    match draw(st.sampled_from(("plain", "plain", "plain", "fraction", "shifted", "zeros", "exponent"))):
        case "fraction":
            return text + draw(st.sampled_from((".0", ".000", ".0e0")))
        case "shifted":
            return text + draw(st.sampled_from(("0E-1", "00e-2", "e0", "E+0", "e-0")))
        case "zeros" if number and number % 10 == 0:
            bare = text.rstrip("0")
            return f"{bare}E{len(text) - len(bare)}"
        case "exponent" if abs(number) >= 10:
            body, sign = text.lstrip("-"), "-" if number < 0 else ""
            return f"{sign}{body[0]}.{body[1:]}E+{len(body) - 1}"
        case _:
            return f"-{text}" if number == 0 and draw(st.booleans()) else text


def _integers(low: int, high: int, edges: list[int]) -> st.SearchStrategy[int]:
    near = [edge for edge in edges if low <= edge <= high]
    return st.integers(max(low, -300), min(high, 300)) | st.integers(low, high) | st.sampled_from([low, high, *near])


@functools.lru_cache(maxsize=256)  # strategies of types are large, and a long run makes many types
def fitting(type_: t.Type, convert: Convert | None) -> st.SearchStrategy[Typed]:
    """Values that a column of this type takes, never NULL at the top."""
    match type_:
        case t.Nullable(inner) | t.LowCardinality(inner):
            return fitting(inner, convert)
        case t.String():
            plain = st.tuples(st.just("S"), texts())
            return st.one_of(
                plain, plain, plain, st.tuples(st.just("N"), number_texts()), st.tuples(st.just("B"), binaries()),
                typed_values(2).map(lambda value: ("BOOL", True) if value[0] == "NULL" else value),
            )  # fmt: skip
        case t.Integer(bits, signed):
            edges = edge_integers(bits, signed)
            numbers = _integers(type_.minimum, type_.maximum, edges)
            return st.one_of(
                numbers.flatmap(written_integers).map(lambda text: ("N", text)),
                numbers.map(lambda number: ("S", str(number))),
            )
        case t.Decimal(precision, scale):
            top = 10**precision - 1
            return _integers(-top, top, [0, 1, -1, 10**scale, -(10**scale)]).flatmap(lambda n: _decimals(n, scale))
        case t.Float64():
            small = number_texts().map(lambda text: text if abs(Exact(text)) < 10**308 else "1e308")
            return small.map(lambda text: ("N", text)) | st.integers(-9, 9).map(lambda number: ("S", str(number)))
        case t.Bool():
            return st.booleans().map(lambda flag: ("BOOL", flag))
        case t.Enum():
            return st.sampled_from([name for name, _ in type_.members]).map(lambda name: ("S", name))
        case t.UUID():
            return st.builds(lambda u, upper: ("S", str(u).upper() if upper else str(u)), st.uuids(), st.booleans())
        case t.DateTime64():
            return _times(type_, convert)
        case t.Array(element):
            return _arrays(element, convert)
        case t.Map(value):
            return st.tuples(st.just("M"), members(_or_null(value, convert), 3))
        case t.Tuple():
            return _tuples(type_.members, convert)
        case t.JSON():
            return st.tuples(st.just("M"), members(typed_values(1), 3))
    raise AssertionError(type_)


def _nulls(type_: t.Type) -> bool:
    """Whether NULL and missing fit."""
    match type_:
        case t.Nullable() | t.Array() | t.Map() | t.LowCardinality(t.Nullable()):
            return True
        case t.Tuple(members):
            return all(_nulls(inner) for _, inner in members)
        case _:
            return False


def _or_null(type_: t.Type, convert: Convert | None) -> st.SearchStrategy[Typed]:
    value = fitting(type_, convert)
    return st.one_of(value, value, value, st.just(("NULL", True))) if _nulls(type_) else value


@st.composite
def _decimals(draw: st.DrawFn, ticks: int, scale: int) -> Typed:
    """A number of `ticks` units in the last place, written out or with an exponent; as S in its plain form."""
    digits, sign = str(abs(ticks)).rjust(scale + 1, "0"), "-" if ticks < 0 else ""
    whole, fraction = (digits[:-scale], digits[-scale:]) if scale else (digits, "")
    plain = f"{sign}{whole}.{fraction}".rstrip("0").rstrip(".") if fraction.strip("0") else f"{sign}{whole}"
    match draw(st.sampled_from(("N", "N", "full", "exponent", "S"))):
        case "full":
            return "N", f"{sign}{whole}.{fraction}00" if fraction else f"{plain}.0"
        case "exponent":
            return "N", f"{ticks}E-{scale}"
        case "S":
            return "S", "0" if ticks == 0 else plain
        case _:
            return "N", plain


def _times(type_: t.DateTime64, convert: Convert | None) -> st.SearchStrategy[Typed]:
    low, high = type_.minimum, type_.maximum
    if convert is Convert.ISO8601:
        return _iso8601(type_)
    unit = _UNIT[convert or Convert.EPOCH_S]
    step = 10 ** max(0, type_.precision - unit)
    scale = 10 ** max(0, unit - type_.precision)
    # Whole units most of the time; ticks finer than the unit are written with a fraction.
    second = 10 ** min(unit, type_.precision)
    recent = st.integers(1_500_000_000 * second, 1_800_000_000 * second)
    units = recent | st.integers(-(-low // step), high // step)
    whole = units.flatmap(lambda n: written_integers(n * scale)).map(lambda text: ("N", text))
    if step == 1:
        return whole
    fine = st.integers(low, high) | st.sampled_from((low, high))
    return whole | fine.flatmap(lambda n: _decimals(n, type_.precision - unit)).map(lambda value: ("N", value[1]))


@st.composite
def _iso8601(draw: st.DrawFn, type_: t.DateTime64) -> Typed:
    ticks = draw(st.integers(type_.minimum, type_.maximum) | st.sampled_from((type_.minimum, type_.maximum, 0, -1)))
    seconds, fraction = divmod(ticks, 10**type_.precision)
    zone = draw(st.sampled_from((0, 0, 0, 60, -60, 330, -719, 839, -1439)))
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, minutes=zone)
    text = local.strftime("%Y-%m-%dT%H:%M:%S")
    digits = str(fraction).rjust(type_.precision, "0") if type_.precision else ""
    digits += "0" * draw(st.integers(0, 9 - len(digits)))
    if not digits.strip("0") and draw(st.booleans()):
        digits = ""
    shown = f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}:{abs(zone) % 60:02}"
    return "S", text + (f".{digits}" if digits else "") + ("Z" if zone == 0 and draw(st.booleans()) else shown)


def _arrays(element: t.Type, convert: Convert | None) -> st.SearchStrategy[Typed]:
    """Lists, and the sets whose elements are of one tag."""
    values = st.lists(_or_null(element, convert), max_size=4)

    def same_tag(chosen: list[Typed]) -> Typed:
        tags = {value[0] for value in chosen}
        if len(tags) == 1 and tags <= {"S", "N", "B"}:
            return tags.pop() + "S", [value[1] for value in chosen]
        return "L", chosen

    return values.map(lambda chosen: ("L", chosen)) | values.map(same_tag)


@st.composite
def _tuples(draw: st.DrawFn, members: tuple[tuple[str, t.Type], ...], convert: Convert | None) -> Typed:
    entries: Members = []
    for name, inner in members:
        if not _nulls(inner) or draw(st.sampled_from((True, True, True, False))):
            entries.append((name, draw(_or_null(inner, convert))))
    if draw(st.sampled_from((False,) * 9 + (True,))):
        entries += draw(st.lists(st.tuples(names(), scalars()), min_size=1, max_size=1))
    unique = dict(reversed(entries))
    return "M", draw(st.permutations(list(unique.items())))


def _conversion(type_: t.Type, chosen: Convert) -> Convert | None:
    """The conversion of a column of this type, `chosen` where it holds times."""
    spelled = type_.sql
    if "DateTime64" in spelled:
        return chosen
    return Convert.UUID if "UUID" in spelled else None


@st.composite
def columns(draw: st.DrawFn, name: str, others: list[Column], taken: set[str]) -> Column:
    """A column on a path of its own, beginning with none of `taken`, or on, above or beside that of one of `others`."""
    type_ = draw(types())
    top = draw(names().filter(lambda candidate: candidate not in taken))
    path: Path = (top, *draw(st.sampled_from((0, 0, 0, 0, 1, 2)).flatmap(lambda more: st.tuples(*[names()] * more))))
    if others and draw(st.sampled_from((False, False, True))):
        other = draw(st.sampled_from(others))
        match draw(st.sampled_from(("same", "text", "above", "tuple", "beside"))):
            case "same":
                path, type_ = other.path, other.type
            case "text":
                path, type_ = other.path, t.Nullable(t.String())
            case "above":
                text = st.sampled_from((t.Nullable(t.String()), t.Nullable(t.JSON())))
                path, type_ = other.path[:1], draw(text)
            case "tuple" if len(other.path) > 1 and other.path[-1]:
                path, type_ = other.path[:-1], t.Tuple(((other.path[-1], other.type),))
            case _ if len(other.path) > 1:
                path = (*other.path[:-1], draw(names()))
    elif draw(st.sampled_from((False,) * 9 + (True,))):
        type_ = t.Nullable(t.JSON())
    convert = _conversion(type_, draw(st.sampled_from((*_EPOCHS, Convert.ISO8601))))
    default = None
    if isinstance(type_, t.LowCardinality) or not isinstance(type_, t.Array | t.Map | t.Tuple | t.Nullable):
        wanted = draw(st.booleans()) and not isinstance(type_, t.LowCardinality)
        drawn = plain_json(draw(fitting(type_, convert))) if wanted else {}
        default = drawn if drawn.keys() & {"S", "N", "B", "BOOL"} else None  # defaults are scalars
    return Column(name, path, type_, convert, default)


_KEY_TYPES = (t.String(), t.String(), t.Integer(32, True), t.Integer(64, False), t.Decimal(20, 3))


@st.composite
def drops(draw: st.DrawFn, of: list[Column]) -> Path:
    """A path to drop: anything, or something at or below a column, through lists, tuples and maps."""
    if not of or draw(st.booleans()):
        return tuple(draw(st.lists(names(), min_size=1, max_size=2)))
    column = draw(st.sampled_from(of))
    path, type_ = column.path, column.type
    while draw(st.booleans()):
        match type_:
            case t.Array(element):
                type_ = element
            case t.Map(value):
                path, type_ = (*path, draw(names())), value
            case t.Tuple(members):
                name, type_ = draw(st.sampled_from(members))
                path = (*path, name)
            case _:
                return (*path, draw(names()))
    return path


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables with one or two key columns on top-level attributes, and up to five other columns."""
    keys = [
        Column(f"k{number}", (name,), draw(st.sampled_from(_KEY_TYPES)))
        for number, name in enumerate(draw(st.lists(names(), min_size=1, max_size=2, unique=True)))
    ]
    others: list[Column] = []
    for number in range(draw(st.integers(0, 5))):
        taken = {column.path[0] for column in keys + others}
        others.append(draw(columns(f"c{number}", others, taken)))
    policy = draw(st.sampled_from((*UnmappedPolicy, UnmappedPolicy.KEEP, UnmappedPolicy.IGNORE)))
    keyed = {column.path[0] for column in keys}
    dropped = draw(st.lists(drops(others), max_size=2)) if draw(st.booleans()) else []
    return Table(
        name="t",
        key=tuple(column.name for column in keys),
        columns=tuple(draw(st.permutations(keys + others))),
        unmapped_column="_unmapped" if policy is UnmappedPolicy.KEEP else "",
        unmapped_policy=policy,
        raw_column=draw(st.sampled_from(("", "_raw"))),
        drop=tuple(path for path in dropped if path[0] not in keyed),
    )


def _key_values(column: Column) -> st.SearchStrategy[Typed]:
    if column.type == t.String():
        text = st.tuples(st.just("S"), texts())
        return text | text | st.tuples(st.just("N"), number_texts()) | st.tuples(st.just("B"), binaries())
    return fitting(column.type, None)


# Times that are no times, times at both ends of every range, times finer than a column.
NEAR_TIMES = (
    *("2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "2024-04-31T00:00:00Z", "2024-00-10T00:00:00Z"),
    *("2024-13-01T00:00:00Z", "2024-01-00T00:00:00Z", "0000-02-29T00:00:00Z", "0001-02-29T00:00:00Z"),
    *("9999-12-31T23:59:59Z", "1900-01-01T00:00:00Z", "1900-01-01T00:00:00+00:01", "1899-12-31T23:59:59.999999999Z"),
    *("2299-12-31T23:59:59.999999999Z", "2300-01-01T00:00:00Z", "2300-01-01T00:00:00+00:01", "2261-12-31T23:59:59Z"),
    *("2262-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z"),
    *("2024-01-01T00:00:60Z", "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2024-01-01T00:00:00.Z", "2024-01-01"),
    *("2024-01-01T00:00:00.1234567890Z", "2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00.100Z"),
    *("2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+00:60", "2024-01-01T00:00:00-00:00", "2024-01-01T00:00:00z"),
    *("2024-01-01T00:00:00+0000", "2024-01-01T00:00:00Z ", "+2024-01-01T00:00:00Z", "２024-01-01T00:00:00Z", "now"),
)
NEAR_UUIDS = (
    *("", "0a556908-f72b-4be6-9048-9e60715358d", "0a556908f72b4be690489e60715358d4"),
    "0a556908-f72b-4be6-9048-9e60715358d4 ",
    *("{0a556908-f72b-4be6-9048-9e60715358d4}", "0a556908-f72b-4be6-9048-9e60715358dg"),
    "0a556908-f72b-4be6-90489-e60715358d4",
)


@functools.lru_cache(maxsize=256)
def near(type_: t.Type, convert: Convert | None) -> st.SearchStrategy[Typed]:
    """Values of a kind that the type takes, of which many do not fit after all; in one place of a nested type."""
    match type_:
        case t.Nullable(inner) | t.LowCardinality(inner):
            return near(inner, convert)
        case t.Integer(bits, signed):
            edges = st.sampled_from(edge_integers(bits, signed)).flatmap(written_integers)
            return _as_number(edges | edges | number_texts())
        case t.Decimal(precision, scale):
            top = 10**precision
            ticks = st.sampled_from((top, top - 1, -top, 1 - top, top * 10, 1, 11))
            finer = ticks.flatmap(lambda n: _decimals(n, scale) | _decimals(n, scale + 1)).map(lambda value: value[1])
            return _as_number(finer | finer | number_texts())
        case t.Float64():
            return _as_number(number_texts())
        case t.Enum():
            return st.tuples(st.just("S"), st.sampled_from(ENUM_NAMES) | texts())
        case t.UUID():
            return st.sampled_from(NEAR_UUIDS).map(lambda text: ("S", text))
        case t.DateTime64():
            ticks = st.sampled_from([edge + by for edge in (type_.minimum, type_.maximum) for by in (-1, 0, 1)])
            numbers = ticks.flatmap(lambda n: _decimals(n, type_.precision)) | number_texts().map(lambda n: ("N", n))
            return numbers if convert in _EPOCHS else st.sampled_from(NEAR_TIMES).map(lambda text: ("S", text))
        case t.Array(element):
            return st.tuples(_or_null(element, convert), _near_or_other(element, convert)).flatmap(
                lambda both: st.permutations(both).map(lambda ordered: ("L", list(ordered)))
            )
        case t.Map(value):
            return st.tuples(st.just("M"), members(_near_or_other(value, convert), 2))
        case t.Tuple():
            return _near_tuples(type_.members, convert)
        case _:
            return typed_values(1)


def _as_number(texts_: st.SearchStrategy[str]) -> st.SearchStrategy[Typed]:
    return st.tuples(st.sampled_from("NNNS"), texts_)


def _near_or_other(type_: t.Type, convert: Convert | None) -> st.SearchStrategy[Typed]:
    close = near(type_, convert)
    return st.one_of(close, close, close, st.just(("NULL", True)), scalars())


@st.composite
def _near_tuples(draw: st.DrawFn, parts: tuple[tuple[str, t.Type], ...], convert: Convert | None) -> Typed:
    odd = draw(st.integers(0, len(parts) - 1))
    entries = [
        (name, draw(_near_or_other(inner, convert) if number == odd else _or_null(inner, convert)))
        for number, (name, inner) in enumerate(parts)
        if number != odd or draw(st.booleans())
    ]
    return "M", draw(st.permutations(entries))


@st.composite
def items_for(draw: st.DrawFn, table: Table) -> Members:
    """Items that fit the table; one in five lacks a column's value, or has one that may not fit in its place or on
    the way to it."""
    tree: dict[str, object] = {}
    missing: Column | None = None
    if draw(st.sampled_from((False, False, False, False, True))):
        column = draw(st.sampled_from(table.columns))
        close = near(column.type, column.convert)
        depth = draw(st.integers(1, len(column.path)))
        if draw(st.sampled_from((False, False, False, True))):
            missing = column
        else:
            _plant(tree, column.path[:depth], draw(st.one_of(close, close, close, typed_values(2))))
    for column in draw(st.permutations(table.columns)):
        value = _key_values(column) if column.name in table.key else _or_null(column.type, column.convert)
        optional = _nulls(column.type) or column.default is not None
        if column is missing or (optional and draw(st.sampled_from((False, False, False, True)))):
            continue
        _plant(tree, column.path, draw(value))
    for name, extra in draw(st.lists(st.tuples(names(), typed_values(2)), max_size=2)):
        tree.setdefault(name, extra)
    return draw(st.permutations(_grown(tree)))


def _plant(tree: dict[str, object], path: Path, value: Typed) -> None:
    """Put a value at a path, unless something is there or in the way."""
    for name in path[:-1]:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(path[-1], value)


def _grown(tree: dict[str, object]) -> Members:
    return [(name, ("M", _grown(inner)) if isinstance(inner, dict) else inner) for name, inner in tree.items()]


@st.composite
def cases(draw: st.DrawFn, size: int = 4) -> tuple[Table, list[bytes]]:
    """A table and up to `size` lines for it: fitting, unfitting, broken, blank."""
    table = draw(tables())
    return table, draw(st.lists(lines(items_for(table)), min_size=1, max_size=size))
