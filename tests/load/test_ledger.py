"""Both forms of the ledger keep what is written to them, and agree on who is first."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job.twin import users_table
from moto.server import ThreadedMotoServer

from transformer.errors import ConflictError, UsageError
from transformer.load.destination import Destination, NullDestination, open_destination
from transformer.load.ledger import (
    FinishedFile,
    Job,
    JobEvent,
    JobKind,
    JobState,
    Ledger,
    NoLedger,
    Totals,
    with_events,
)
from transformer.load.ledger_folder import FolderLedger
from transformer.load.ledger_table import JOBS
from transformer.schema.digest import KeyDigest


@pytest.fixture
def engine(chdb_url: str, unique_name: str) -> Iterator[Destination]:
    """A database of its own: the tables of the ledger have fixed names."""
    destination = open_destination(f"{chdb_url}?database=ledger_{unique_name}")
    yield destination
    destination.query(f"DROP DATABASE ledger_{unique_name}")
    destination.close()


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, Any]]:
    """Options for moto's S3, in which there is a bucket `books`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    credentials = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
    client: Any = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **credentials)
    client.create_bucket(Bucket="books")
    client.close()
    yield {"endpoint_url": f"http://{host}:{port}", "key": "key", "secret": "secret"}
    server.stop()


@pytest.fixture(params=["table", "folder", "store", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, unique_name: str) -> Callable[[], Ledger]:
    """Opens one and the same ledger, as often as wanted."""
    if request.param == "table":
        destination: Destination = request.getfixturevalue("engine")
        return lambda: destination.ledger(users_table())
    if request.param == "folder":
        return lambda: FolderLedger(str(tmp_path / "ledger"))
    if request.param == "s3":
        options: dict[str, Any] = request.getfixturevalue("s3")
        return lambda: FolderLedger(f"s3://books/{unique_name}/ledger", options)
    return lambda: FolderLedger(f"memory://{unique_name}/ledger")


def job(name: str = "j1", **given: Any) -> Job:
    fixed = {
        "kind": JobKind.SNAPSHOT,
        "table": "users",
        "export": "e" * 32,
        "export_id": "01795392000622-0a1b2c3d",
        "url": "s3://bucket/it's/AWSDynamoDB/01795392000622-0a1b2c3d",
        "export_time": "2026-11-22T10:00:00.000Z",
        "summary_md5": "a==",
        "files_md5": "b==",
        "files": 3,
        "items": 1 << 60,
        "version": -5,
        "schema": "f" * 32,
        "revision": 7,
        "chunk_items": 250_000,
        "chunk_bytes": 1 << 26,
        "rejects": "/rejects/here",
        "started_at": "2026-11-23T10:00:00.000001Z",
    }
    return Job(job=name, **(fixed | given))


def finished(file: str, of: str = "j1", **given: Any) -> FinishedFile:
    counts = {"items": 10, "rows": 8, "rejects": 2, "chunks": 1, "gz_bytes": 99, "json_bytes": 1 << 40}
    return FinishedFile(
        job=of,
        file=file,
        attempt=1,
        md5="c==",
        keys=KeyDigest(8, (1 << 64) - 1, 1 << 63),
        rejects_by_code={"OUT_OF_RANGE": 2},
        started_at="2026-11-23T10:00:00.000001Z",
        finished_at="2026-11-23T10:00:01.000001Z",
        worker="host-1/7",
        **(counts | given),
    )


def test_nothing_is_there_at_first_and_nothing_is_made_by_looking(opened: Callable[[], Ledger]) -> None:
    assert opened().jobs("users") == []
    assert opened().files("j1") == {}
    assert opened().jobs("users") == []


def test_a_job_and_its_files_come_back_as_they_were(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    assert ledger.start(job()) == job()
    files = [finished("data/a.json.gz"), replace(finished("data/ü 'b'/../x.json.gz"), rejects_by_code={})]
    ledger.record(files)
    ledger.record([])
    again = opened()
    assert again.jobs("users") == [job()]
    assert again.files("j1") == {file.file: file for file in files}
    assert again.files("other") == {}
    assert again.jobs("other") == []


def test_a_bare_export_has_no_count(opened: Callable[[], Ledger]) -> None:
    opened().start(job(items=None))
    assert opened().jobs("users")[0].items is None


def test_a_file_counts_once_and_as_it_was_first(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    ledger.start(job())
    ledger.record([finished("a"), finished("b")])
    ledger.record([replace(finished("a"), finished_at="2027", attempt=2)])
    found = opened().files("j1")
    assert found["a"] == finished("a")
    assert Totals.of(found.values()).rows == 16


def test_what_happens_to_a_job_is_noted(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    current = ledger.start(job())
    assert (current.state, current.attempts) == (JobState.STARTED, 1)
    current = ledger.note(current, JobEvent.RESUMED)
    current = ledger.note(current, JobEvent.COMPLETE)
    assert (current.state, current.attempts) == (JobState.COMPLETE, 2)
    assert opened().jobs("users") == [current]
    current = ledger.note(current, JobEvent.ABANDONED)
    assert opened().jobs("users")[0].state is JobState.ABANDONED
    assert ledger.note(current, JobEvent.COMPLETE).state is JobState.ABANDONED


def test_an_abandoned_job_makes_room_for_the_next(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    ledger.note(ledger.start(job("j1")), JobEvent.ABANDONED)
    second = job("j2", started_at="2026-11-24T10:00:00.000001Z")
    assert ledger.start(second) == second
    assert [each.job for each in opened().jobs("users")] == ["j1", "j2"]


def test_a_second_start_gets_the_first_job_back(opened: Callable[[], Ledger]) -> None:
    assert opened().start(job("j1")).job == "j1"
    # Later, with other limits: whoever comes second takes over those of the first.
    assert opened().start(job("j2", chunk_items=5, started_at="2026-12-01T00:00:00.000000Z")) == job("j1")


def test_jobs_of_other_exports_kinds_and_parents_do_not_meet(opened: Callable[[], Ledger]) -> None:
    ledger = opened()
    for number, other in enumerate(
        ({}, {"export": "x"}, {"kind": JobKind.REPLAY, "parent": "j0"}, {"table": "orders"})
    ):
        assert ledger.start(job(f"j{number}", **other)).job == f"j{number}"


def test_of_many_that_start_at_once_all_get_the_same_job(opened: Callable[[], Ledger]) -> None:
    opened().start(job("other", export="x"))  # so that the tables are there
    ready = threading.Barrier(6)
    got: list[str] = []

    def begin(number: int) -> None:
        ledger = opened()
        ready.wait(timeout=60)
        got.append(ledger.start(job(f"j{number}")).job)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(got) == 6
    assert len(set(got)) == 1


def test_records_that_are_not_ours_are_told(tmp_path: Path) -> None:
    ledger = FolderLedger(str(tmp_path / "ledger"))
    ledger.start(job())
    (path,) = (tmp_path / "ledger").rglob("*.json")
    assert path.stat().st_mode & 0o077 == 0
    for content in ("{", "[]", '{"job": "x"}', json.dumps(job().to_record() | {"kind": "dance"})):
        path.write_text(content)
        with pytest.raises(ConflictError, match="cannot be understood"):
            ledger.jobs("users")


def test_rows_that_are_not_ours_are_told(engine: Destination) -> None:
    ledger = engine.ledger(users_table())
    ledger.start(job())
    engine.query(f"INSERT INTO {JOBS} (job, table, event, kind) VALUES ('x', 'users', 'started', 'dance')")
    with pytest.raises(ConflictError, match="cannot be understood"):
        ledger.jobs("users")


def test_a_job_whose_records_were_deleted_can_start_again(engine: Destination) -> None:
    """ClickHouse still knows the token of the deleted row and drops the next one with it."""
    ledger = engine.ledger(users_table())
    ledger.start(job("j1"))
    engine.query(f"DELETE FROM {JOBS} WHERE 1")
    assert ledger.start(job("j2")).job == "j2"


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    ledger = FolderLedger(str(tmp_path / "in" / "ledger"))
    for name in ("..", ".", "../..", "a/../../b", "x" * 100):
        ledger.start(job(table=name))
        ledger.record([finished(name, of=name)])
        assert ledger.jobs(name)[0].table == name
        assert set(ledger.files(name)) == {name}
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"ledger"}


def test_a_kind_of_url_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be kept"):
        FolderLedger("nowhere-at-all://x")


def test_the_null_destination_keeps_no_books() -> None:
    ledger = NullDestination().ledger(users_table())
    assert isinstance(ledger, NoLedger)
    assert ledger.start(job()) == job()
    ledger.record([finished("a")])
    assert (ledger.jobs("users"), ledger.files("j1")) == ([], {})
    assert ledger.note(job(), JobEvent.COMPLETE).state is JobState.COMPLETE


@settings(max_examples=50)
@given(st.lists(st.sampled_from([JobEvent.RESUMED, JobEvent.COMPLETE, JobEvent.ABANDONED]), max_size=8), st.randoms())
def test_what_a_job_is_does_not_depend_on_the_order_of_its_records(events: list[JobEvent], random: Any) -> None:
    """Clocks of different machines disagree, so records may come back in any order."""
    one = with_events(job(), [(event, "t") for event in events])
    random.shuffle(events)
    other = with_events(job(), [(event, "t") for event in events])
    assert one == other
    assert one.attempts == 1 + events.count(JobEvent.RESUMED)
