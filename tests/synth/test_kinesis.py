"""Stream records say what happened, as DynamoDB says it; histories know the state at every moment."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.errors import UsageError
from transformer.synth import shape_names
from transformer.synth.history import Change, history, key_text, make_history
from transformer.synth.kinesis import item_size, record, records

SAMPLES = Path(__file__).parents[2] / "../shared/data/kinesis/records.jsonl"
FILE_RECORD = (
    '{"awsRegion":"eu-west-1","eventID":"c94f0b37-61da-4a85-9e2c-d8b5f1a06405","eventName":"MODIFY",'
    '"userIdentity":null,"recordFormat":"application/json","tableName":"files","dynamodb":'
    '{"ApproximateCreationDateTime":1795392120000999,"Keys":{"pk":{"S":"p"},"sk":{"N":"7"}},'
    '"NewImage":{"pk":{"S":"p"},"sk":{"N":"7"}},"OldImage":{"b":{"B":"RWdJSWV3PT0="},"pk":{"S":"p"},"sk":{"N":"7"}},'
    '"SizeBytes":26,"ApproximateCreationDateTimePrecision":"MICROSECOND"},"eventSource":"aws:dynamodb"}'
)


def once(value: dict[str, Any]) -> dict[str, Any]:
    """A value of a record with its binaries encoded once."""
    [(tag, inner)] = value.items()
    if tag == "B":
        return {"B": base64.b64decode(inner).decode()}
    if tag == "BS":
        return {"BS": [base64.b64decode(element).decode() for element in inner]}
    if tag == "L":
        return {"L": [once(element) for element in inner]}
    if tag == "M":
        return {"M": {name: once(part) for name, part in inner.items()}}
    return value


def image(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    return {attribute: once(value) for attribute, value in body[name].items()} if name in body else None


def change_of(text: str) -> tuple[Change, str]:
    """The change that a record tells, and its precision."""
    outer = json.loads(text)
    body = outer["dynamodb"]
    precision = body.get("ApproximateCreationDateTimePrecision", "MILLISECOND")
    unit = 1 if precision == "MICROSECOND" else 1000
    key = image(body, "Keys")
    assert key is not None
    time = body["ApproximateCreationDateTime"] * unit
    return Change(
        time, key, image(body, "OldImage"), image(body, "NewImage"), outer["userIdentity"] is not None
    ), precision


def test_a_record_is_byte_for_byte_as_dynamodb_writes_it() -> None:
    change, precision = change_of(FILE_RECORD)
    assert change.old is not None
    assert change.old["b"] == {"B": "EgIIew=="}
    made = record(change, table="files", event_id="c94f0b37-61da-4a85-9e2c-d8b5f1a06405", precision="MICROSECOND")
    assert precision == "MICROSECOND"
    assert made.decode() == FILE_RECORD


@pytest.mark.skipif(not SAMPLES.exists(), reason="../shared/data/kinesis missing: sample records not available")
def test_the_sample_records_come_out_again_byte_for_byte() -> None:
    for text in SAMPLES.read_text().splitlines():
        change, precision = change_of(text)
        outer = json.loads(text)
        assert outer["eventName"] == change.event
        made = record(change, table=outer["tableName"], event_id=outer["eventID"], precision=precision)  # type: ignore[arg-type]
        assert made.decode() == text


@pytest.mark.parametrize(
    ("number", "size"),
    [
        ("0", 1),
        ("7", 2),
        ("10", 2),
        ("100", 2),
        ("101", 3),
        ("-1", 3),
        ("-3.5", 4),
        ("1050.75", 4),
        ("0.1", 2),
        ("0.01", 2),
        ("0.001", 2),
        ("12345678901234567890.123456789012345678", 20),
        ("1e100", 2),
        ("1e-130", 2),
    ],
)
def test_numbers_count_their_pairs_of_digits(number: str, size: int) -> None:
    assert item_size({"n": {"N": number}}) == 1 + size


@pytest.mark.parametrize("shape", shape_names())
def test_the_records_of_every_shape_replay_to_the_final_state(shape: str) -> None:
    made = make_history(shape=shape, keys=12, writes=60, seed=5)
    live: dict[str, Any] = {}
    for text in records(made.changes, table=made.table):
        change, _ = change_of(text.decode())
        assert live.get(key_text(change.key)) == change.old
        if change.new is None:
            del live[key_text(change.key)]
        else:
            live[key_text(change.key)] = change.new
    assert list(live.values()) == made.state() or sorted(map(str, live.values())) == sorted(map(str, made.state()))
    assert {change.event for change in made.changes} == {"INSERT", "MODIFY", "REMOVE"}


@given(st.integers(0, 99), st.sampled_from(["MICROSECOND", "MILLISECOND"]), st.integers(0, 9), st.floats(0, 1))
def test_disorder_and_duplicates_lose_and_invent_nothing(seed: int, precision: Any, reorder: int, share: float) -> None:
    made = make_history(shape="users", keys=5, writes=30, seed=seed)
    plain = records(made.changes, table="t", seed=seed, precision=precision)
    late = records(made.changes, table="t", seed=seed, precision=precision, duplicates=share, reorder=reorder)
    times = [json.loads(text)["dynamodb"]["ApproximateCreationDateTime"] for text in plain]
    assert times == sorted(times)
    assert all(len(str(time)) == (16 if precision == "MICROSECOND" else 13) for time in times)
    identities = {json.loads(text)["eventID"] for text in late}
    assert len(identities) == len(plain)
    assert max(Counter(late).values()) <= 2
    assert len(set(late)) == len(plain)


def test_the_net_change_of_a_window_is_from_its_start_to_its_end() -> None:
    def put(n: str) -> dict[str, Any]:
        return {"id": {"S": "a"}, "n": {"N": n}}

    key = {"id": {"S": "a"}}
    made = history("t", ("id",), [(10, key, put("1")), (20, key, put("2")), (30, key, None), (40, key, put("3"))])
    assert made.net(0, 31) == []
    assert made.net(15, 31) == [Change(30, key, put("1"), None)]
    assert made.net(25, 41) == [Change(40, key, put("2"), put("3"))]
    assert made.state(30) == [put("2")]
    assert made.state(31) == []


def test_writes_that_change_nothing_leave_no_change() -> None:
    key = {"id": {"S": "a"}}
    assert history("t", ("id",), [(1, key, None), (2, key, key), (3, key, key)]).changes == (Change(2, key, None, key),)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(UsageError):
        make_history(shape="users", keys=0, writes=1, seed=1)
    with pytest.raises(UsageError):
        make_history(shape="users", keys=1, writes=10, seed=1, seconds=0.000001)
    with pytest.raises(UsageError):
        records([], table="t", duplicates=2)
