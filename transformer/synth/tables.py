"""The destination tables of the shapes that have no schema file of their own."""

from __future__ import annotations

from transformer.errors import UsageError
from transformer.schema.table import Column, Convert, Table
from transformer.schema.types import parse
from transformer.synth import all_types, hostile, wide

Spec = tuple[str, str] | tuple[str, str, tuple[str, ...]]
"""Column name, type, and the path where it is not the name."""

_SINGLE_TABLE: tuple[Spec, ...] = (
    ("pk", "String"),
    ("sk", "String"),
    ("entity", "LowCardinality(String)"),
    ("name", "Nullable(String)"),
    ("email", "Nullable(String)"),
    ("created_at", "Nullable(DateTime64(3))"),
    ("plan", "LowCardinality(Nullable(String))"),
    ("city", "Nullable(String)", ("address", "city")),
    ("zip", "Nullable(String)", ("address", "zip")),
    ("active", "Nullable(Bool)"),
    ("status", "LowCardinality(Nullable(String))"),
    ("total", "Nullable(Decimal(12, 2))"),
    ("lines", "Array(Tuple(sku String, qty Int32, price Decimal(10, 2)))"),
    ("expires_at", "Nullable(DateTime64(0))"),
    ("ip", "Nullable(String)"),
    ("price", "Nullable(Decimal(10, 2))"),
    ("stock", "Nullable(Int32)"),
    ("tags", "Array(String)"),
    ("size", "Tuple(w Nullable(Int32), h Nullable(Int32))"),
    ("picture", "Nullable(String)"),
    ("stars", "Nullable(UInt8)"),
    ("text", "Nullable(String)"),
)  # gsi1pk, agent and moderated have no column: they stay in _unmapped

_ALL_TYPES: tuple[Spec, ...] = (
    ("pk", "String"),
    ("sk", "Int64"),
    ("s", "Nullable(String)"),
    ("n", "Nullable(String)"),
    ("decimal", "Nullable(Decimal(76, 38))"),
    ("float", "Nullable(Float64)"),
    *((name, f"Nullable({'U' * (name[0] == 'u')}Int{name[1:]})") for name in all_types.integer_names()),
    ("b", "Nullable(String)"),
    ("bool", "Nullable(Bool)"),
    ("null", "Nullable(String)"),
    ("ss", "Array(String)"),
    ("ns", "Array(String)"),
    ("ns_float", "Array(Float64)", ("ns",)),
    ("bs", "Array(String)"),
    ("m", "Nullable(String)"),
    ("m_s", "Nullable(String)", ("m", "s")),
    ("m_n", "Nullable(Float64)", ("m", "n")),
    ("m_bool", "Nullable(Bool)", ("m", "bool")),
    ("m_ss", "Array(String)", ("m", "ss")),
    ("m_deeper", "Nullable(String)", ("m", "m", "inner", "deeper")),
    ("l", "Nullable(String)"),
    ("l_elements", "Array(Nullable(String))", ("l",)),
    ("m_of_m", "Map(String, Tuple(n Int32, s String))"),
    ("m_of_l", "Map(String, Array(String))"),
    ("m_of_n", "Map(String, Decimal(18, 3))"),
    ("l_of_l", "Array(Array(Int64))"),
    ("l_of_m", "Array(Tuple(k String, v Int32, tags Array(String)))"),
    ("l_of_b", "Array(String)"),
    ("any", "Nullable(String)"),
)  # "rest" has no column: it stays in _unmapped

_HOSTILE: tuple[Spec, ...] = (
    ("key", "String", (hostile.KEY,)),
    ("text", "Nullable(String)"),
    ("number", "Nullable(String)"),
    ("float", "Nullable(Float64)"),
    ("binary", "Nullable(String)"),
    ("deep", "Nullable(String)"),
    ("a_b", "Nullable(String)", ("a", "b")),
    ("a_b_c", "Nullable(String)", ("a", "b.c")),
    ("empty_map", "Map(String, String)"),
    ("empty_list", "Array(String)"),
    ("strings", "Array(String)"),
    ("numbers", "Array(Float64)"),
    ("tag_s", "Nullable(String)", ("S",)),
    ("tag_m", "Nullable(String)", ("M",)),
    ("item", "Nullable(String)", ("Item",)),
    ("dotted", "Nullable(String)", ("a.b",)),
    ("quoted", "Nullable(String)", ('quo"te',)),
    ("slashed", "Nullable(String)", ("back\\slash",)),
    ("control", "Nullable(String)", ("\x01",)),
    ("smile", "Nullable(String)", ("😀",)),
    ("big", "Nullable(String)"),
)  # "anything" and every other name stay in _unmapped

_ENTRY = "Tuple(sku String, qty Int32, price Decimal(10, 2), gift Bool, note Nullable(String), tags Array(String))"
_STRESS: dict[str, tuple[Spec, ...]] = {
    "long-strings": (
        ("title", "Nullable(String)"),
        ("body", "Nullable(String)"),
        ("summary", "Nullable(String)"),
        ("pages", "Nullable(Int32)"),
    ),
    "escapes": (
        ("quote", "Nullable(String)"),
        ("path", "Nullable(String)"),
        ("document", "Nullable(String)"),
        ("lines", "Array(String)"),
    ),
    "unicode": (
        ("title", "Nullable(String)"),
        ("text", "Nullable(String)"),
        ("labels", "Array(String)"),
        ("by_language", "Map(String, String)"),
    ),
    "long-numbers": (
        ("serial", "Nullable(Int128)"),
        ("amount", "Nullable(Decimal(76, 18))"),
        ("huge", "Nullable(String)"),
        ("tiny", "Nullable(Float64)"),
        ("measure", "Nullable(Decimal(76, 38))"),
        ("codes", "Array(Int128)"),
    ),
    "deep": (("tree", "Nullable(String)"), ("shallow", "Nullable(String)"), ("forest", "Array(String)")),
    "list-of-maps": (
        ("entries", f"Array({_ENTRY})"),
        ("totals", "Array(Tuple(at Int64, sum Decimal(12, 2)))"),
    ),
}

_CONVERT = {"created_at": Convert.EPOCH_MS, "expires_at": Convert.EPOCH_S}


def table_for(shape: str) -> Table:
    """A table that takes every item of `shape` without a reject.

    Raises UsageError for the shapes whose table is a schema file: users and orders (and `shuffled`, which are orders).
    `wide` has a file too, made from the same list; `sparse` shares its columns.
    """
    if shape in ("wide", "sparse"):
        columns = [Column("id", ("id",), parse("String"))]
        columns += [
            Column(name, (name,), parse(kind.type), convert=Convert(kind.convert) if kind.convert else None)
            for name, kind in wide.attributes()
        ]
        return Table("wide", ("id",), tuple(columns))
    keys = {"single-table": ("pk", "sk"), "all-types": ("pk", "sk"), "hostile": ("key",)}
    specs = {"single-table": _SINGLE_TABLE, "all-types": _ALL_TYPES, "hostile": _HOSTILE}
    if shape in specs:
        return Table(shape.replace("-", "_"), keys[shape], tuple(map(_column, specs[shape])))
    if shape in _STRESS:
        return Table(shape.replace("-", "_"), ("id",), tuple(map(_column, (("id", "String"), *_STRESS[shape]))))
    file = {"users": "users", "orders": "orders", "shuffled": "orders"}.get(shape)
    if file is None:
        raise UsageError(f"there is no shape {shape!r}")
    raise UsageError(f"the table of shape {shape} is a schema file", remedy=f"load schemas/{file}.yaml")


def _column(spec: Spec) -> Column:
    name, type_, path = spec if len(spec) == 3 else (*spec, (spec[0],))
    return Column(name, path, parse(type_), convert=_CONVERT.get(name))
