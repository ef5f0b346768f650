"""The kernels against the slow twin: same rows, same verdicts, same places, on valid and on invalid lines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from decode_compare import assert_same, block, decode, judge
from decode_strategies import lines, typed_values
from decode_tables import cases
from hypothesis import event, given, reject
from hypothesis import strategies as st

from transformer.decode.decoder import Decoder
from transformer.decode.kernels import layout
from transformer.decode.plan import Plan
from transformer.errors import SchemaError
from transformer.schema.table import Column, Table, UnmappedPolicy
from transformer.schema.types import parse

pytestmark = pytest.mark.kernel

JSON_SUITE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "json-suite" / "test_parsing"
COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def column(name: str, type_: str, path: tuple[str, ...] = (), **options: object) -> Column:
    return Column(name, path or (name,), parse(type_), **options)


WIDE_OPEN = Table(
    "t",
    ("id",),
    (
        column("id", "String"),
        column("n", "Nullable(Int64)"),
        column("text", "Nullable(String)", ("a", "b")),
        column("tags", "Array(String)"),
        column("orders", "Array(Tuple(sku Nullable(String), qty Nullable(Decimal(9, 2)), f Array(Nullable(Float64))))"),
        column("m", "Map(String, Nullable(String))"),
        column("whole", "Nullable(String)", ("orders",)),
    ),
    raw_column="_raw",
)  # fmt: skip
"""Something of every shape that the walk knows."""


@st.composite
def decodable_cases(draw):
    """Cases whose table the decoder accepts: it refuses columns that contradict each other, and defaults with parts."""
    table, text = draw(cases())
    try:
        Decoder(table, version=0)
    except SchemaError as error:
        event(f"refused: {error.remedy}")
        reject()
    return table, text


@given(decodable_cases(), st.sampled_from([b"", b"\n"]))
def test_kernels_decode_as_the_twin_does(case, ending):
    table, text = case
    assert_same(table, b"\n".join(text) + ending)


@given(st.lists(lines(), min_size=1, max_size=6))
def test_any_line_at_all_meets_the_same_fate(text):
    assert_same(WIDE_OPEN, b"\n".join(text))


@given(st.lists(lines(), min_size=2, max_size=8), st.data())
def test_where_steps_end_changes_nothing(text, data):
    whole = b"\n".join(text) + b"\n"
    rows, rejects, _ = decode(WIDE_OPEN, whole)
    most = data.draw(st.integers(1, 4))
    slack = data.draw(st.sampled_from([0, 64, 300, 5000]))
    again, rejects_again, steps = decode(WIDE_OPEN, whole, max_items=most, slack=slack)
    assert all(step.items <= most for step in steps)
    assert (again, rejects_again) == (rows, rejects)


@given(st.lists(typed_values(), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_attributes_changes_no_row(values, random):
    """Guesses at the next attribute, right or wrong, only change the speed."""
    members = [("id", {"S": "k"}), *((f"a{i}", value) for i, value in enumerate(values)), ("n", {"N": "7"})]

    def line(pairs):
        return b'{"Item":{' + b",".join(
            json.dumps(name).encode() + b":" + json.dumps(_plain(value), ensure_ascii=False).encode()
            for name, value in pairs
        ) + b"}}\n"  # fmt: skip

    shuffled = [random.sample(members, len(members)) for _ in range(4)]
    rows, rejects, _ = decode(WIDE_OPEN, b"".join(map(line, [members, *shuffled])))
    assert not rejects
    assert all(row == rows[0] for row in rows)


def _plain(value):
    from decode_strategies import plain_json

    return value if isinstance(value, dict) else plain_json(value)


@pytest.mark.skipif(
    not JSON_SUITE.is_dir(), reason="../shared/data/json-suite missing: the JSON test-suite is not here"
)
def test_json_suite_as_lines_and_as_values():
    """What the suite thinks of a text does not matter here: both engines think the same of it."""
    texts = [path.read_bytes().replace(b"\n", b" ") for path in sorted(JSON_SUITE.glob("*.json"))]
    long = [text for text in texts if len(text) >= 1000]  # 100,000 brackets, where both engines take their time
    texts = [text for text in texts if len(text) < 1000]
    framed = long if COMPILED else []
    for text in texts:
        framed += [
            text,
            b'{"Item":{"id":{"S":"k"},"x":' + text + b"}}",
            b'{"Item":{"id":{"S":"k"},"x":{"S":' + text + b"}}}",
            b'{"Item":{"id":{"S":"k"},"n":{"N":' + text + b"}}}",
            b'{"Item":{"id":{"S":"k"},"m":{"M":' + text + b"}}}",
            b'{"Item":{"id":{"S":"k"},"tags":{"L":[' + text + b"]}}}",
            b'{"Item":' + text + b"}",
        ]
    assert_same(WIDE_OPEN, b"\n".join(framed))


def item(**members: object) -> bytes:
    return json.dumps({"Item": {"id": {"S": "k"}, **members}}, separators=(",", ":")).encode()


@pytest.mark.skipif(not COMPILED, reason="large inputs are for compiled code")
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(item(tags={"L": [{"S": str(i)} for i in range(20_000)]}), id="list longer than its records"),
        pytest.param(item(tags={"SS": [str(i) for i in range(20_000)]}), id="set longer than its records"),
        pytest.param(item(m={"M": {f"k{i * 7919 % 10_000}": {"S": "v"} for i in range(10_000)}}), id="many map keys"),
        pytest.param(item(x={"M": {f"k{i * 7919 % 10_000}": {"N": "1"} for i in range(10_000)}}), id="unmapped map"),
        pytest.param(item(**{f"a{i * 7919 % 20_000}": {"N": "1"} for i in range(20_000)}), id="many attributes"),
        pytest.param(item(a={"M": {"b": {"S": "x" * 5_000_000}}}), id="one line of 5 MB"),
        pytest.param(item(a={"M": {"b": {"S": 'é"\\\n' * 100_000}}}), id="a long text full of escapes"),
        pytest.param(json.dumps({"Item": {"id": {"S": "k"}, "x": {"S": "y" * 300_000}}}).encode(), id="spaces, 1 MB"),
        pytest.param(item(n={"S": "1" * 300_000}), id="a number of a million digits"),
        pytest.param(item(x={"SS": [f"{i * 7919 % 20_000}" for i in range(20_000)]}), id="large unmapped set"),
    ],
)  # fmt: skip
def test_items_larger_than_any_table_of_ours(line):
    """Tables that run full are enlarged and the line is walked again; its neighbours notice nothing."""
    other = item(n={"N": "1"})
    for slack in (0, 1 << 18):
        assert_same(WIDE_OPEN, b"\n".join([other, line, other, line]), slack=slack)


@pytest.mark.skipif(not COMPILED, reason="large inputs are for compiled code")
def test_deep_brackets_are_judged_without_recursion():
    text = b"[" * 100_000
    assert_same(WIDE_OPEN, b"\n".join([text, b'{"Item":{"id":{"S":"k"},"x":{"L":' + text]))


def test_thousands_of_lines_of_every_fate():
    """More lines than a step takes, so that guesses, tables and row numbers live through many steps."""
    fates = [
        item(n={"N": "1"}, tags={"SS": ["b", "a"]}),
        item(orders={"L": [{"M": {"sku": {"S": "1"}, "f": {"L": [{"N": "1.5"}]}}}] * 3}),
        b'{"Item": {"id": {"S": "\\u006b"}, "n": {"N": "1e400"}}}',
        b'{"Item":{"id":{"S":"k"},"id":{"S":"k"}}}',
        b"",
        b'{"Item":{"id":{"S":"k"},"x":{"M":{"y":{"B":"AA=="}}}}}',
        b'{"Item":{"id":{"N":"1.50"},"m":{"M":{"b":{"NULL":true},"a":{"BOOL":false}}}}}',
        b"\xff",
        b'{"Item":{"n":{"N":"1"}}}',
    ]
    count = 20_000 if COMPILED else 40
    assert_same(WIDE_OPEN, b"\n".join(fates[i * i % len(fates)] for i in range(count)))


def test_key_tags_tell_what_the_key_columns_saw():
    """Those of rejected items do not count: they collapse with nothing."""
    text = b"\n".join([item(), b'{"Item":{"id":{"N":"1"}}}', b'{"Item":{"id":{"M":{}}}}', item(n={"S": "x"})])
    _, _, (step,) = decode(WIDE_OPEN, text)
    assert step.key_tags == (frozenset({"S", "N"}),)
    _, _, (step,) = decode(WIDE_OPEN, b'{"Item":{"id":{"B":"AA=="},"n":{"S":"x"}}}')
    assert step.key_tags == (frozenset(),)


def test_unmapped_attributes_reject_where_the_schema_says_so():
    table = Table(
        "t", ("id",), (column("id", "String"),), unmapped_column="", unmapped_policy=UnmappedPolicy.REJECT
    )  # fmt: skip
    text = b"\n".join([item(), item(b={"N": "1"}, a={"N": "1"}), item(a={"N": "x"})])
    assert decode(table, text)[:2] == judge(table, text)


@pytest.mark.parametrize(
    "columns",
    [
        (column("a", "Map(String, String)"), column("b", "String", ("a", "b"))),
        (column("a", "Array(String)"), column("b", "Map(String, String)", ("a",))),
        (column("b", "Tuple(x String)", ("a",)), column("a", "Map(String, String)")),
    ],
)
def test_columns_that_exclude_each_other_are_refused(columns):
    with pytest.raises(SchemaError, match="exclude each other"):
        Plan(Table("t", ("id",), (column("id", "String"), *columns)))


def test_a_default_that_does_not_fit_its_column_is_refused():
    for default in ({"N": "300"}, {"SS": ["a"]}, {"BOOL": True}):
        with pytest.raises(SchemaError, match="default"):
            Decoder(Table("t", ("id",), (column("id", "String"), column("x", "Int8", default=default))), version=0)


def test_layout_constants_are_distinct():
    bits = [layout.TAKES_FIELDS, layout.TAKES_LIST, layout.TAKES_DICT, layout.CONSUMES, layout.DROPPED, layout.BARE]
    bits += [layout.NOT_CONSUMED, layout.CLOSED, layout.IMAGE]
    assert sum(bits) == (1 << len(bits)) - 1


def test_elements_of_an_undone_line_belong_to_no_row():
    """A rejected line leaves its element count behind; the next line there, of another type, must not inherit it."""
    table = Table("t", ("id",), (column("id", "String"), column("a", "Array(Map(String, String))")))
    text = [
        item(),
        b'{"Item":{"a":{"L":[{"NULL":true}]},"id":{"S":"k"},"id":{"S":"k"}}}',
        item(a={"M": {}}),
        item(a={"SS": [""]}),
    ]
    assert_same(table, b"\n".join(text))


@pytest.mark.parametrize(
    ("type_", "default"),
    [
        ("String", {"BOOL": True}),
        ("String", {"N": "1E2"}),
        ("String", {"B": "/wA="}),
        ("String", {"S": 'é"\n'}),
        ("Bool", {"BOOL": False}),
        ("Int16", {"N": "-7"}),
        ("Decimal(40, 2)", {"S": "1.5"}),
        ("LowCardinality(String)", {"S": ""}),
    ],
)
def test_defaults_of_every_kind(type_, default):
    table = Table("t", ("id",), (column("id", "String"), column("x", type_, default=default)))
    text = [item(), item(x={"NULL": True}), item(x=default), b"{}"]
    for slack in (0, 1000):
        assert_same(table, b"\n".join(text), slack=slack)


NUMBER_SET = {"NS": [str(n) for n in (7, -3, 12, 100, 0, 99, 5)]}
STRING_SET = {"SS": ["b", "", "ba", "a", "é", "B", "\n", "\U0001f600", "\uffff"]}
BINARY_SET = {"BS": ["AQ==", "", "/w==", "AQA=", "AA=="]}


@pytest.mark.parametrize("many", [1, 40])
@pytest.mark.parametrize(
    ("element", "members"),
    [
        ("String", NUMBER_SET),
        ("String", STRING_SET),
        ("String", BINARY_SET),
        ("Nullable(String)", STRING_SET),
        ("LowCardinality(String)", STRING_SET),
        ("Int8", NUMBER_SET),
        ("Int64", NUMBER_SET),
        ("Nullable(Int32)", NUMBER_SET),
        ("UInt64", {"NS": ["18446744073709551615", "1", "9223372036854775808"]}),
        ("Int128", NUMBER_SET),
        ("Int256", NUMBER_SET),
        ("UInt256", {"NS": ["300", "2", "1"]}),
        ("Decimal(10, 2)", NUMBER_SET),
        ("Decimal(50, 2)", NUMBER_SET),
        ("Float64", {"NS": ["1.5", "-2", "1e10", "0.1"]}),
        ("Enum8('b' = 1, 'a' = 2)", {"SS": ["b", "a"]}),
        ("UUID", {"SS": [f"{i}0000000-0000-4000-8000-00000000000{i}" for i in (3, 1, 2)]}),
    ],
)
def test_sets_of_every_type_are_sorted_and_lists_are_not(element, members, many):
    """In the row, in JSON text, in `_unmapped` and in `_raw`; also sets that are longer than the kernels' own sort."""
    table = Table(
        "t",
        ("id",),
        (column("id", "String"), column("a", f"Array({element})"), column("text", "Nullable(String)", ("a",))),
        raw_column="_raw",
    )
    (tag, values), *_ = members.items()
    longer = {tag: values * many}
    as_list = {"L": [{tag[0]: value} for value in values]}
    empty = {tag: []}
    parts = [longer, as_list, empty, {"NULL": True}, longer]
    text = [item(a=part, m=part) for part in parts] + [item()]
    assert_same(table, b"\n".join(text))


def test_what_is_rendered_of_a_bad_number_spoils_no_other_row():
    """The walk leaves mapped numbers to their column; `_raw`, JSON text and `_unmapped` are rendered all the same."""
    text = [
        item(n={"N": "1"}),
        item(n={"N": ""}),
        item(orders={"L": [{"M": {"qty": {"N": "x"}, "more": {"NS": ["y", "1"]}}}]}),
        item(n={"N": "2"}, x={"NS": ["2", "1"]}),
    ]
    assert_same(WIDE_OPEN, b"\n".join(text))


@given(decodable_cases())
def test_a_step_in_one_message_is_the_step_made_column_by_column(case):
    """`kernels.program` leaves a column to `arrays` when something is rare in it: which ones makes no difference."""
    table, text = case
    data = b"\n".join(text)
    decoder = Decoder(table, version=7)
    quick = decoder._writer.write
    decoder._writer.write = lambda buffer: (quick(buffer)[0], list(range(len(table.columns))))
    slow = decoder.step(block(data), 0, len(data), max_items=1 << 30, max_bytes=1 << 40)
    step = Decoder(table, version=7).step(block(data), 0, len(data), max_items=1 << 30, max_bytes=1 << 40)
    assert step.rejects == slow.rejects
    assert step.batch.equals(slow.batch)


def test_what_is_usual_is_not_left_to_the_slow_way():
    """Without this, a program that fails every column would pass all other tests."""
    table = Table("t", ("id",), (*WIDE_OPEN.columns, column("e", "Enum8('x' = 1, 'y' = 2)"), column("u", "UUID")))
    line = item(
        n={"N": "-12"}, a={"M": {"b": {"S": "text"}}}, tags={"SS": ["b", "a"]},
        m={"M": {"y": {"S": "1"}, "x": {"S": "2"}}},
        orders={"L": [{"M": {"sku": {"S": "s"}, "qty": {"N": "1.5"}, "f": {"L": [{"N": "2"}]}}}]}, x={"SS": ["q"]},
        e={"S": "y"}, u={"S": "0b4ec78e-682b-4ed7-8bcf-723c64529398"},
    )  # fmt: skip
    decoder = Decoder(table, version=0)
    decoder.step(block(line), 0, len(line), max_items=1, max_bytes=1 << 40)
    assert not decoder._writer._failed.any()
    assert_same(table, line)


def test_batches_stay_as_they_are_while_later_steps_reuse_buffers():
    """A buffer is written again only when nobody holds anything made of it, not even a slice of one column."""
    lines = [item(n={"N": str(i)}, tags={"SS": [f"t{i}"]}) + b"\n" for i in range(60)]
    decoder = Decoder(WIDE_OPEN, version=0)
    kept = []
    for i, line in enumerate(lines):
        batch = decoder.step(block(line), 0, len(line), max_items=1, max_bytes=1 << 40).batch
        kept.append(batch if i % 3 == 0 else batch.column(3).slice(0, 1) if i % 3 == 1 else None)
    for i, held in enumerate(kept):
        if held is not None:
            tags = held.column(3) if i % 3 == 0 else held
            assert tags.to_pylist() == [[f"t{i}".encode()]]
