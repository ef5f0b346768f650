"""A table that follows its source by exports alone, and one whose stream was dead."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aws_double import BUCKET, FakeAws, FakeClock, windows

from transformer.aws.arn import TableArn
from transformer.aws.exports import Target
from transformer.errors import ConflictError, UsageError
from transformer.job import events
from transformer.job.request import SnapshotRequest
from transformer.job.snapshot import run
from transformer.job.stop import StopSwitch
from transformer.job.sync import SyncRequest, repair, repair_windows, sync
from transformer.schema.file import load_schema
from transformer.source.window import LONGEST, SHORTEST
from transformer.synth.history import History, make_history
from transformer.synth.increments import micros_of, write_full
from transformer.synth.manifests import ACCOUNT, FIRST_EXPORT, REGION

if TYPE_CHECKING:
    from transformer.load.destination import Destination
    from transformer.schema.table import Table

pytestmark = pytest.mark.timeout(240)

SCHEMAS = Path(__file__).parents[2] / "schemas"
START = FIRST_EXPORT.replace(microsecond=0)
HOUR = timedelta(hours=1)
SOURCE = TableArn("aws", REGION, ACCOUNT, "users")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def table(unique_name: str) -> Table:
    return replace(load_schema(SCHEMAS / "users.yaml"), name=unique_name)


def request_for(aws: FakeAws, table: Table, url: str) -> SyncRequest:
    load = SnapshotRequest(export="", schema=table, destination=url)
    return SyncRequest(source=SOURCE, target=Target(bucket=BUCKET), load=load, locate=aws.locate)


def aws_of(past: History, folder: Path, now: datetime) -> FakeAws:
    clock = FakeClock(now)
    return FakeAws(region=REGION, clock=clock, history=past, folder=folder / "bucket")


def differences(past: History, at: datetime, table: Table, folder: Path, url: str, destination: Destination) -> int:
    """Rows that differ, but for their version, from those of a full export of this moment."""
    other = replace(table, name=f"{table.name}_{micros_of(at)}")
    end = write_full(folder / "truth", past, at=at, files=1)
    run(SnapshotRequest(export=str(end.path), schema=other, destination=url)).raise_for_status()
    count = 0
    for one, two in ((table.name, other.name), (other.name, table.name)):
        left, right = (f"SELECT * EXCEPT (version) FROM {name} FINAL" for name in (one, two))
        count += int(destination.query(f"SELECT count() FROM ({left} EXCEPT {right}) FORMAT TSV"))
    return count


def test_passes_follow_the_source(tmp_path: Path, chdb_url: str, chdb_destination: Destination, table: Table) -> None:
    past = make_history(shape="users", keys=12, writes=150, seed=4, start=START, seconds=40 * 3600)
    aws = aws_of(past, tmp_path, START + HOUR)
    request = request_for(aws, table, chdb_url)
    first = sync(aws, request)
    assert (first.exit_code, len(first.loads), first.exact_until) == (0, 1, None)
    assert first.waiting_until is not None
    for later in (timedelta(minutes=5), 2 * HOUR, 2 * HOUR + timedelta(minutes=3), 38 * HOUR, 45 * HOUR):
        aws.clock.moment = START + HOUR + later  # type: ignore[attr-defined]
        result = sync(aws, request)
        assert result.exit_code == 0
        if later > HOUR:
            assert result.exact_until is not None
            assert aws.clock.now() - result.exact_until < timedelta(minutes=25)
            assert differences(past, result.exact_until, table, tmp_path, chdb_url, chdb_destination) == 0
    asked = windows(aws)
    assert all(one.until == other.since for one, other in itertools.pairwise(asked))
    assert all(SHORTEST <= window.until - window.since <= LONGEST for window in asked)
    assert aws.requested() == len(asked) + 1


class _KilledError(Exception):
    pass


def test_a_pass_that_is_cut_off_anywhere_is_made_good_by_the_next(
    tmp_path: Path, chdb_url: str, chdb_destination: Destination, table: Table
) -> None:
    """Killed before and after every call; nothing is asked for twice, and the end is the same."""
    past = make_history(shape="users", keys=6, writes=60, seed=9, start=START, seconds=6 * 3600)
    aws = aws_of(past, tmp_path, START + HOUR)
    aws.looks = 0
    request = request_for(aws, table, chdb_url)
    calls = aws.call
    step = 0

    def kill_at(number: int, *, after: bool) -> Any:
        count = 0

        def call(service: str, operation: str, assume: Any, **parameters: Any) -> Any:
            nonlocal count
            count += 1
            if count == number and not after:
                raise _KilledError
            answer = calls(service, operation, assume, **parameters)
            if count == number:
                raise _KilledError
            return answer

        return call

    for now in (START + HOUR, START + 2 * HOUR, START + 7 * HOUR):
        aws.clock.moment = now  # type: ignore[attr-defined]
        while True:
            step += 1
            aws.call = kill_at(1 + step % 4, after=step % 3 != 0)  # type: ignore[method-assign]
            try:
                result = sync(aws, request)
            except _KilledError:
                assert step < 60
                if step % 7 == 0:
                    aws.call = calls  # type: ignore[method-assign]
                    result = sync(aws, request)
                else:
                    continue
            break
    assert result.exact_until == START + 7 * HOUR - timedelta(minutes=5)
    assert differences(past, result.exact_until, table, tmp_path, chdb_url, chdb_destination) == 0
    asked = windows(aws)
    assert len(set(asked)) == len(asked)
    assert sum("ExportTime" in export for export in aws.exports.values()) == 1


def test_a_load_that_was_cut_off_is_finished_by_the_next_pass(
    tmp_path: Path, chdb_url: str, chdb_destination: Destination, table: Table
) -> None:
    """The full export, and then a window, although a longer one could be exported by now."""
    past = make_history(shape="users", keys=40, writes=200, seed=5, start=START, seconds=6 * 3600)
    aws = aws_of(past, tmp_path, START + HOUR)
    request = request_for(aws, table, chdb_url)
    for hours in (1, 30, 60):
        stop = StopSwitch()
        aws.clock.moment = START + hours * HOUR  # type: ignore[attr-defined]

        def press(event: object, stop: StopSwitch = stop) -> None:
            if isinstance(event, events.RunStarted):
                stop.press(15)

        cut = sync(aws, request, observe=press, stop=stop)
        assert (cut.exit_code, len(cut.loads)) == (143, 1)
        asked = aws.requested()
        aws.clock.sleep(3600)
        whole = sync(aws, request)
        assert whole.exit_code == 0
        assert whole.loads[0].job == cut.loads[0].job
        assert hours > 1 or aws.requested() > asked
    assert whole.exact_until is not None
    assert differences(past, whole.exact_until, table, tmp_path, chdb_url, chdb_destination) == 0
    found = windows(aws)
    assert all(one.until == other.since for one, other in itertools.pairwise(found))


def test_a_signal_ends_the_wait(tmp_path: Path, chdb_url: str, table: Table) -> None:
    past = make_history(shape="users", keys=3, writes=10, seed=1, start=START)
    aws = aws_of(past, tmp_path, START + 2 * HOUR)
    stop = StopSwitch()
    aws.clock.sleep = lambda _seconds: stop.press(15)  # type: ignore[method-assign]
    result = sync(aws, request_for(aws, table, chdb_url), stop=stop)
    assert (result.exit_code, result.to_dict()["status"], result.loads) == (143, "interrupted", [])


def test_a_filtered_export_is_not_taken_for_the_table(tmp_path: Path, chdb_url: str, table: Table) -> None:
    past = make_history(shape="users", keys=3, writes=10, seed=1, start=START)
    aws = aws_of(past, tmp_path, START + 2 * HOUR)
    request = request_for(aws, table, chdb_url)
    arn = aws.call(
        "dynamodb", "ExportTableToPointInTime", {}, ExportType="FULL_EXPORT", S3Bucket=BUCKET, ClientToken="x"
    )["ExportDescription"]["ExportArn"]
    aws.exports[arn]["FilterSpecification"] = {"FilterExpression": "a = :b"}
    aws.clock.sleep(1)
    assert sync(aws, request).exit_code == 0
    assert sum("ExportTime" in export for export in aws.exports.values()) == 2


def stream(past: History, since: datetime, until: datetime, table: Table, destination: Destination) -> None:
    """What a stream would have brought between two moments: each change by itself, with its time as version."""
    from transformer.decode.decoder import SLACK, Decoder
    from transformer.decode.envelope import Envelope

    lines = []
    for change in past.between(micros_of(since), micros_of(until)):
        line: dict[str, Any] = {"Metadata": {"WriteTimestampMicros": {"N": str(change.micros)}}, "Keys": change.key}
        if change.new is not None:
            line["NewImage"] = change.new
        lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
    data = b"".join(lines)
    buffer = np.zeros(len(data) + SLACK, np.uint8)
    buffer[: len(data)] = np.frombuffer(data, np.uint8)
    step = Decoder(table, envelope=Envelope.CHANGE).step(buffer, 0, len(data), max_items=10_000, max_bytes=1 << 30)
    assert step.items == len(lines)
    destination.insert(table, [step.batch], token=f"{table.name}-{since}")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stream_that_was_dead_for_hours_is_repaired(
    tmp_path: Path, chdb_url: str, chdb_destination: Destination, table: Table, seed: int
) -> None:
    past = make_history(shape="users", keys=80, writes=250, seed=seed, start=START, seconds=10 * 3600, deletes=0.4)
    full = write_full(tmp_path / "bucket", past, at=START + HOUR)
    run(SnapshotRequest(export=str(full.path), schema=table, destination=chdb_url)).raise_for_status()
    died, revived, end = START + 3 * HOUR, START + 8 * HOUR, START + 10 * HOUR
    stream(past, START + HOUR, died, table, chdb_destination)
    stream(past, revived, end, table, chdb_destination)
    assert differences(past, end, table, tmp_path, chdb_url, chdb_destination) > 0
    aws = aws_of(past, tmp_path, revived + timedelta(minutes=20))
    result = repair(aws, request_for(aws, table, chdb_url), since=died)
    assert result.exit_code == 0
    assert len(result.loads) == len(windows(aws)) == 5
    assert differences(past, end, table, tmp_path, chdb_url, chdb_destination) == 0
    # The same once more asks for nothing new, and changes nothing.
    again = repair(aws, request_for(aws, table, chdb_url), since=died)
    assert (again.exit_code, sum(load.rows_inserted for load in again.loads)) == (0, 0)
    assert len(windows(aws)) == 5


def test_beyond_the_recovery_period_nothing_can_be_repaired(tmp_path: Path, chdb_url: str, table: Table) -> None:
    past = make_history(shape="users", keys=3, writes=10, seed=1, start=START)
    aws = aws_of(past, tmp_path, START + 9 * HOUR)
    aws.earliest = START + HOUR
    with pytest.raises(ConflictError, match="since 2026-11-23T01:00:00Z only"):
        repair(aws, request_for(aws, table, chdb_url), since=START)
    assert not aws.exports


def test_repair_windows_touch_and_begin_short() -> None:
    found = repair_windows(START, START + 30 * HOUR)
    assert [window.until - window.since for window in found] == [SHORTEST] * 4 + [LONGEST, 5 * HOUR]
    assert all(one.until == other.since for one, other in itertools.pairwise(found))
    assert len(repair_windows(START, START + SHORTEST)) == 1
    with pytest.raises(UsageError):
        repair_windows(START, START + timedelta(minutes=9))


def test_a_schema_file_is_found_by_the_name_of_the_source(tmp_path: Path, chdb_url: str) -> None:
    past = make_history(shape="users", keys=3, writes=10, seed=1, start=START)
    aws = aws_of(past, tmp_path, START + HOUR)
    request = request_for(aws, None, chdb_url)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"schemas/users\.yaml"):
        sync(aws, request)
