"""The digest of keys: the kernel against published vectors, and the client against ClickHouse over every key type."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Context
from decimal import Decimal as Exact
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job.twin import users_table

from transformer.decode.kernels.hashes import xxhash64
from transformer.decode.keys import KeyHasher
from transformer.errors import InternalError
from transformer.load.destination import Destination
from transformer.schema.ddl import create_table
from transformer.schema.digest import KeyDigest, digest_of, key_hash
from transformer.schema.layout import arrow_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import Decimal, Integer, Type, parse


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_the_kernel_computes_published_values(text: bytes, expected: int) -> None:
    buffer = np.frombuffer(b"xyz" + text, np.uint8).copy()
    assert int(xxhash64(buffer, 3, len(buffer))) == expected


TYPES = ["String", "Int8", "Int16", "Int32", "Int64", "Int128", "Int256", "UInt8", "UInt16", "UInt32", "UInt64"]
TYPES += [
    "UInt128",
    "UInt256",
    "Decimal(9, 2)",
    "Decimal(10, 2)",
    "Decimal(18, 0)",
    "Decimal(19, 3)",
    "Decimal(38, 38)",
]
TYPES += ["Decimal(39, 5)", "Decimal(76, 10)", "Decimal(1, 0)"]


def values(type_: Type) -> st.SearchStrategy[Any]:
    match type_:
        case Integer(bits, signed):
            low = -(1 << (bits - 1)) if signed else 0
            integers = st.integers(low, low + (1 << bits) - 1)
            if bits > 64:
                return integers.map(lambda value: value.to_bytes(bits // 8, "little", signed=signed))
            return integers
        case Decimal(precision, scale):
            most = 10**precision - 1
            return st.integers(-most, most).map(lambda value: Exact(value).scaleb(-scale, _WIDE))
        case _:
            return st.binary(max_size=80)


_WIDE = Context(prec=80)


def keyed(*types: str) -> Table:
    columns = tuple(Column(f"k{n}", (f"k{n}",), parse(spelling)) for n, spelling in enumerate(types))
    return replace(users_table(), key=tuple(column.name for column in columns), columns=columns)


def batch_of(table: Table, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    arrays = {
        column.name: pa.array([row[n] for row in rows], column.type.arrow) for n, column in enumerate(table.columns)
    }
    return pa.RecordBatch.from_pydict(arrays)


@pytest.fixture(scope="module")
def engine(chdb_destination: Destination) -> Destination:
    return chdb_destination


def of_clickhouse(engine: Destination, table: Table, rows: list[tuple[Any, ...]], name: str) -> KeyDigest:
    """Insert the keys as a load does, and let ClickHouse compute the digest."""
    named = replace(table, name=name)
    count = len(rows)
    engine.query(f"DROP TABLE IF EXISTS {name}")
    engine.query(create_table(named))
    whole = pa.RecordBatch.from_arrays(
        [
            *batch_of(table, rows).columns,
            pa.array([0] * count, pa.int64()),
            pa.array([0] * count, pa.uint8()),
            pa.array([[]] * count, pa.map_(pa.string(), pa.string())),
        ],
        schema=arrow_schema(named),
    )
    engine.insert(named, [whole], "token")
    (line,) = engine.query(
        f"SELECT {digest_of(key_hash(named))} FROM (SELECT DISTINCT * EXCEPT (_unmapped) FROM {name}) "
        "FORMAT JSONCompactEachRow SETTINGS output_format_json_quote_64bit_integers = 1"
    ).splitlines()
    engine.query(f"DROP TABLE {name}")
    found = json.loads(line)
    return KeyDigest(*(int(part) for part in found))


@pytest.mark.parametrize("spelling", TYPES)
def test_client_and_clickhouse_agree_on_every_key_type(engine: Destination, spelling: str, unique_name: str) -> None:
    table = keyed(spelling)

    @settings(max_examples=8)
    @given(st.lists(st.tuples(values(parse(spelling))), min_size=1, max_size=40, unique=True))
    def agree(rows: list[tuple[Any, ...]]) -> None:
        client = KeyHasher(table).digest([batch_of(table, rows)])
        assert client == of_clickhouse(engine, table, rows, unique_name)

    agree()


@settings(max_examples=15)
@given(st.data())
def test_client_and_clickhouse_agree_on_keys_with_two_columns(engine: Destination, data: st.DataObject) -> None:
    types = data.draw(st.tuples(st.sampled_from(TYPES), st.sampled_from(TYPES)))
    table = keyed(*types)
    pairs = st.tuples(*(values(parse(spelling)) for spelling in types))
    rows = data.draw(st.lists(pairs, min_size=1, max_size=20, unique=True))
    client = KeyHasher(table).digest([batch_of(table, rows)])
    assert client == of_clickhouse(engine, table, rows, "digest_pairs")


@pytest.mark.kernel
@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(0, 30), st.randoms())
def test_a_digest_depends_on_neither_order_nor_batches_nor_slices(texts: list[bytes], cut: int, random: Any) -> None:
    table = keyed("String")
    hasher = KeyHasher(table)
    rows = [(text,) for text in texts]
    whole = batch_of(table, rows)
    expected = hasher.digest([whole])
    assert expected.count == len(rows)
    assert hasher.digest([whole.slice(0, cut), whole.slice(cut)]) == expected
    assert hasher.digest([whole.slice(0, cut)]) + hasher.digest([whole.slice(cut)]) == expected
    assert expected - hasher.digest([whole.slice(cut)]) == hasher.digest([whole.slice(0, cut)])
    random.shuffle(rows)
    assert hasher.digest([batch_of(table, rows)]) == expected


@pytest.mark.kernel
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=30, unique=True), st.data())
def test_a_digest_tells_when_a_key_is_lost_doubled_or_changed(texts: list[bytes], data: st.DataObject) -> None:
    table = keyed("String")
    hasher = KeyHasher(table)
    at = data.draw(st.integers(0, len(texts) - 1))
    other = data.draw(st.binary(max_size=40).filter(lambda text: text not in texts))

    def digest(of: list[bytes]) -> KeyDigest:
        return hasher.digest([batch_of(table, [(text,) for text in of])])

    assert digest(texts[:at] + texts[at + 1 :]) != digest(texts)
    assert digest([*texts, texts[at]]) != digest(texts)
    assert digest([*texts[:at], other, *texts[at + 1 :]]) != digest(texts)


def test_the_columns_of_a_key_do_not_run_into_each_other() -> None:
    hasher = KeyHasher(keyed("String", "String"))
    table = keyed("String", "String")
    one = hasher.digest([batch_of(table, [(b"ab", b"c")])])
    other = hasher.digest([batch_of(table, [(b"a", b"bc")])])
    swapped = hasher.digest([batch_of(table, [(b"c", b"ab")])])
    assert len({one, other, swapped}) == 3


def test_what_is_no_key_is_refused() -> None:
    table = keyed("String")
    with pytest.raises(InternalError, match="NULL"):
        KeyHasher(table).digest([batch_of(table, [(None,)])])
    wrong = replace(table, columns=(replace(table.columns[0], type=parse("Float64")),))
    with pytest.raises(InternalError, match="no type of a key"):
        KeyHasher(wrong).digest([pa.RecordBatch.from_pydict({"k0": pa.array([1.5])})])
