"""Snapshot and stream in any order, with changes before, during and after the export: FINAL is the table."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from decode_compare import block
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from landing_compare import land

from transformer.decode.decoder import Decoder
from transformer.decode.reference import Reference
from transformer.schema.file import load_schema
from transformer.schema.landing import Names, landing_statements
from transformer.synth.history import make_history
from transformer.synth.kinesis import records

NAME = "overlap"
NAMES = Names.of(NAME)


@pytest.fixture(scope="module")
def table(chdb_destination):
    """The destination with the views of a stream in front of it."""
    table = replace(load_schema("schemas/users.yaml"), name=NAME)
    for statement in landing_statements(table):
        chdb_destination.command(statement.sql)
    yield table
    for name in (NAMES.decode, NAMES.rows, NAMES.to_dead, NAMES.stage, NAMES.landing, NAMES.dead, NAME):
        chdb_destination.command(f"DROP TABLE `{name}` SYNC")


@given(seed=st.integers(0, 2**20), export=st.floats(0.2, 0.9), enabled=st.floats(0, 1), batches=st.integers(1, 4))
@settings(max_examples=7, suppress_health_check=list(HealthCheck))
def test_final_is_the_table_whatever_comes_first(chdb_destination, table, seed, export, enabled, batches):
    chdb_destination.command(f"TRUNCATE TABLE `{NAME}`")
    draw = random.Random(seed)
    start = datetime(2026, 11, 23, tzinfo=UTC)
    history = make_history(shape="users", keys=9, writes=120, seed=seed, table=NAME, start=start, seconds=300)
    exported = history.start + int((history.end - history.start) * export)
    # The stream was enabled some time before the export.
    since = history.start + int((exported - history.start) * enabled)
    streamed = records(history.between(since, history.end), table=NAME, seed=seed, duplicates=0.3, reorder=20)
    arrivals = [streamed[part::batches] for part in range(batches)]
    snapshot = b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in history.state(exported))
    arrivals.insert(draw.randint(0, len(arrivals)), snapshot)
    draw.shuffle(arrivals)
    for number, arrival in enumerate(arrivals):
        if isinstance(arrival, bytes):
            step = Decoder(table, version=0).step(
                block(arrival), 0, len(arrival), max_items=1 << 30, max_bytes=1 << 40
            )  # fmt: skip
            assert not step.rejects
            chdb_destination.insert(table, [step.batch], f"overlap-{seed}-{number}")
        elif arrival:
            land(chdb_destination, NAMES.landing, arrival)
    twin = Reference(table, version=0)
    wanted = {}
    for item in history.state():
        row = twin.judge(json.dumps({"Item": item}).encode())
        wanted[row["id"]] = (row["age"], row["first_name"], row["_unmapped"])
    found = chdb_destination.query(f"SELECT * FROM `{NAME}` FINAL FORMAT JSONEachRow").splitlines()
    rows = [json.loads(line) for line in found]
    as_twin = {
        row["id"].encode(): (
            row["age"],
            None if row["first_name"] is None else row["first_name"].encode(),
            [(name.encode(), text.encode()) for name, text in row["_unmapped"].items()],
        )
        for row in rows
    }
    assert as_twin == wanted
    assert len(rows) == len(wanted)
    assert chdb_destination.query(f"SELECT count() FROM `{NAMES.dead}` FORMAT TSV") == b"0\n"
