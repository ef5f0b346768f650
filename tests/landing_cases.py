"""Tables and items for the landing view, drawn by number: the same number gives the same case."""

from __future__ import annotations

from decode_tables import items_for, tables
from hypothesis import HealthCheck, Phase, Verbosity, given, reject, seed, settings
from hypothesis import strategies as st

from transformer.decode.plan import Plan
from transformer.errors import SchemaError
from transformer.schema.table import Column, Table
from transformer.schema.types import parse


@st.composite
def streams(draw):
    """A table that the decoder takes, and items for it."""
    table = draw(tables())
    try:
        Plan(table)
    except SchemaError:
        reject()
    return table, draw(st.lists(items_for(table), min_size=12, max_size=12))


def drawn(number):
    """The table and the items that belong to a number. One hypothesis run would vary one table again and again."""
    found = []

    @seed(number)
    @settings(
        max_examples=2, derandomize=False, database=None, phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @given(streams())
    def collect(case):
        found.append(case)

    collect()
    return found[-1]  # the first is the simplest there is


def column(name, type_, path=(), **options):
    return Column(name, path or (name,), parse(type_), **options)


WIDE = Table(
    "t",
    ("id",),
    (
        column("id", "String"),
        column("n", "Nullable(Int64)"),
        column("text", "Nullable(String)", ("a", "b")),
        column("tags", "Array(String)"),
        column("orders", "Array(Tuple(sku Nullable(String), qty Nullable(Decimal(9, 2))))"),
        column("m", "Map(String, Nullable(String))"),
    ),
)


def nested(depth, inner=("N", "1")):
    for level in range(depth):
        inner = ("L", [inner]) if level % 2 else ("M", [("a", inner)])
    return inner
