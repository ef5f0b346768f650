"""The landing view beyond plain items: deletes, versions, other tables, faults of every kind, what is dropped."""

from __future__ import annotations

import json

import pytest
from decode_strategies import Writer, broken_items, items, names, typed_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landing_cases import WIDE, column, nested
from landing_compare import START, Doors, record

from transformer.errors import UsageError
from transformer.schema.landing import landing_statements
from transformer.schema.table import Table

WRITER = Writer()
KEY = [("id", ("S", "k"))]


STRICT = Table(
    "t",
    ("id", "no"),
    (
        column("id", "String"),
        column("no", "Int64"),
        column("kind", "Enum8('b' = 2, 'a' = 1)"),
        column("count", "Int8", default={"N": "7"}),
        column("price", "Decimal(9, 2)"),
        column("at", "DateTime64(3)", convert=None),
        column("box", "Tuple(w Int32, k LowCardinality(String))"),
        column("tags", "Array(String)"),
        column("note", "String", ("deep", "note")),
    ),
    raw_column="_raw",
)


@pytest.fixture
def doors(chdb_destination, unique_name):
    made = []

    def make(table, **options):
        made.append(Doors(chdb_destination, table, f"landing_{unique_name}", **options))
        return made[-1]

    yield make
    for one in made:
        one.drop()


def landed(doors, item, micros=START, **options):
    return record(doors.table.name, options.pop("key", KEY), item, micros, writer=WRITER, **options)


def test_a_remove_is_a_tombstone_of_key_and_version(doors):
    from transformer.schema.table import Convert

    columns = tuple(
        column("at", "DateTime64(3)", convert=Convert.EPOCH_MS) if one.name == "at" else one for one in STRICT.columns
    )
    both = doors(Table("t", STRICT.key, columns, raw_column="_raw"))
    key = [("id", ("S", "k")), ("no", ("N", "-5"))]
    both.land([landed(both, None, key=key, micros=START, unit=1000)])
    assert both.dead() == []
    row = json.loads(both.engine.query(f"SELECT * FROM {both.table.name} FORMAT JSONEachRow"))
    assert row == {
        "id": "k", "no": -5, "kind": "a", "count": 0, "price": 0, "at": "1970-01-01 00:00:00.000",
        "box": {"w": 0, "k": ""}, "tags": [], "note": "", "version": START, "is_deleted": 1, "_unmapped": {},
        "_raw": "",
    }  # fmt: skip


def test_versions_are_microseconds_from_either_precision(doors):
    both = doors(WIDE)
    both.land([landed(both, KEY, START + 3), landed(both, KEY, START + 5000, unit=1000)])
    assert sorted(both.rows(both.table)) == [START + 3, START + 5000]


@pytest.mark.parametrize("micros", [0, 1_795_392_000, 1 << 63, 1 << 64])
def test_a_time_that_is_neither_is_no_version(doors, micros):
    both = doors(WIDE)
    both.land([landed(both, KEY, micros)])
    assert both.rows(both.table) == {}
    assert [errors for _, errors in both.dead()] == ["version"]


def test_records_of_other_tables_are_passed_over_and_damaged_ones_are_kept(doors):
    both = doors(WIDE)
    other = record("another", KEY, KEY, START, writer=WRITER)
    good = landed(both, KEY)
    damaged = [b"", b"{", b"[]", b"null", b"\xff", good[:-1], good.replace(b'"INSERT"', b'"TRUNCATE"')]
    nameless = good.replace(b'"tableName"', b'"tablename"')
    both.land([other, good, *damaged, nameless])
    assert list(both.rows(both.table)) == [START]
    dead = both.dead()
    assert [number for number, _ in dead] == list(range(2, 10))
    assert all(errors.startswith("record") for _, errors in dead)
    raw = both.engine.query(f"SELECT raw FROM {both.names.dead} ORDER BY sequence_number FORMAT RowBinary")
    assert raw.startswith(b"\x00\x01{\x02[]")


def test_keys_and_image_must_agree(doors):
    both = doors(WIDE)
    both.land([landed(both, [("id", ("S", "other"))]), landed(both, []), landed(both, KEY, key=[])])
    assert both.rows(both.table) == {}
    assert [errors for _, errors in both.dead()] == ["column id"] * 3


@pytest.mark.parametrize("depth", [0, 2, pytest.param(32, marks=pytest.mark.slow)])
def test_json_is_written_to_the_stated_depth(doors, depth):
    both = doors(WIDE, depth=depth)
    fits = [*KEY, ("x", nested(depth)), ("m", ("M", [("v", nested(min(depth, 31)))]))]
    both.land([landed(both, fits), landed(both, [*KEY, ("x", nested(depth + 1))], START + 1)])
    both.land([landed(both, [*KEY, ("m", ("M", [("v", nested(depth + 1))]))], START + 2)])
    both.decode([WRITER.line(fits)], [START])
    assert both.rows(both.table) == both.rows(both.kernel)
    assert [errors for _, errors in both.dead()] == [
        "column m", f"deeper than {depth} maps and lists, or no value",
    ]  # fmt: skip


@pytest.mark.parametrize("depth", [-1, 33])
def test_depths_that_dynamodb_does_not_have_are_refused(depth):
    with pytest.raises(UsageError, match="depth"):
        landing_statements(WIDE, depth=depth)


@given(st.lists(broken_items(items()) | items(), min_size=1, max_size=40), st.integers(0, 2**16))
@settings(max_examples=4, suppress_health_check=list(HealthCheck))
def test_whatever_comes_nothing_throws_and_no_row_differs(chdb_destination, drawn, seed):
    """Values that are none, tags twice, names twice, nesting beyond 32, in every way of writing: the view lets through
    what the kernels let through, and fails no insert."""
    both = Doors(chdb_destination, WIDE, "landing_of_anything")
    try:
        styles = ("compact", "spaced", "ascii", "wild")
        wanted = [[*KEY, *(entry for entry in item if entry[0] != "id")] for item in drawn]
        versions = [START + place for place in range(len(wanted))]
        both.land([
            landed_as(both, item, version, Writer(styles[place % 4], seed + place))
            for place, (item, version) in enumerate(zip(wanted, versions, strict=True))
        ])  # fmt: skip
        lines = [Writer().line(item).replace(b"\n", b"?") for item in wanted]
        both.decode(lines, versions)
        by_view, by_kernel = both.rows(both.table), both.rows(both.kernel)
        assert len(by_view) + len(both.dead()) == len(wanted)
        wrong = {version: row for version, row in by_view.items() if by_kernel.get(version) != row}
        assert not wrong
    finally:
        both.drop()


def landed_as(doors, item, micros, writer):
    return record(doors.table.name, KEY, item, micros, writer=writer)


def test_dropped_values_are_nowhere_not_even_in_dead_letters(doors):
    secret = "hush"
    dropping = Table(
        "t",
        ("id",),
        (column("id", "String"), column("n", "Nullable(Int8)"), column("card", "Tuple(brand Nullable(String))")),
        raw_column="_raw",
        drop=(("secret",), ("card", "number"), ("people", "phone"), ("people", "a", "b")),
    )
    both = doors(dropping)
    person = (
        "M",
        [("name", ("S", "x")), ("phone", ("S", secret)), ("a", ("M", [("b", ("S", secret)), ("c", ("N", "1"))]))],
    )
    item = [
        *KEY,
        ("secret", ("M", [("deep", ("S", secret))])),
        ("card", ("M", [("brand", ("S", "v")), ("number", ("S", secret))])),
        ("people", ("L", [person, ("L", [person]), ("S", "none")])),
    ]
    lists = ("L", [("L", [("L", [("L", [("L", [person])])])])])
    items = [item, [*item, ("n", ("N", "1000"))], [*KEY, ("people", lists)]]
    both.land([landed(both, one, START + place) for place, one in enumerate(items)])
    both.land([landed(both, item)[:-3] + b"!"])
    both.decode([WRITER.line(item)], [START])
    assert both.rows(both.table) == both.rows(both.kernel)
    assert len(both.rows(both.table)) == 1
    kept = both.engine.query(f"SELECT * FROM {both.names.dead} ORDER BY arrival, errors FORMAT JSONEachRow")
    stored = both.engine.query(f"SELECT * FROM {both.table.name} FORMAT JSONEachRow")
    assert secret.encode() not in kept + stored
    letters = [json.loads(line) for line in kept.splitlines()]
    assert len(letters) == 3
    assert [letter["raw"] for letter in letters if "record" in letter["errors"]] == [""]
    whole = json.loads(next(letter["raw"] for letter in letters if letter["errors"] == ["column n"]))
    assert whole["dynamodb"]["NewImage"]["card"] == {"M": {"brand": {"S": "v"}}}
    assert whole["dynamodb"]["NewImage"]["people"]["L"][1] == {
        "L": [{"M": {"name": {"S": "x"}, "a": {"M": {"c": {"N": "1"}}}}}]
    }
    with pytest.raises(UsageError, match="drops"):
        landing_statements(dropping, keep_raw_days=7)


@given(st.lists(st.tuples(names(), typed_values(2)), max_size=3))
@settings(max_examples=3)
def test_columns_may_have_any_name(chdb_destination, extra):
    """Also those that the statement itself uses."""
    odd = ("raw", "_errors", "_record", "v_1", "v", "arrival", "select", "o'`\\", "x1", "at")
    table = Table(
        "t", ("raw",), tuple(column(name, "String" if name == "raw" else "Nullable(String)") for name in odd)
    )  # fmt: skip
    both = Doors(chdb_destination, table, "landing_of_names")
    try:
        item = [("raw", ("S", "k")), *((name, ("S", name)) for name in odd[1:])]
        item += [entry for entry in dict(extra).items() if entry[0] not in odd]
        both.land([record(both.table.name, [("raw", ("S", "k"))], item, START, writer=WRITER)])
        both.decode([WRITER.line(item)], [START])
        assert both.rows(both.table) == both.rows(both.kernel) != {}
    finally:
        both.drop()
