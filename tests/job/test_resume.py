"""Runs that go on where others have ended, in whichever way these ended."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from job.twin import TwinDecoder, bad_user, user, users_table, write_export

from transformer.errors import ConflictError, ExitCode, RetryError, UsageError
from transformer.job import events
from transformer.job.request import SnapshotRequest
from transformer.job.result import SnapshotResult, Status
from transformer.job.resume import TakenUp, take_up
from transformer.job.shards import Shard
from transformer.job.snapshot import run
from transformer.job.stop import StopSwitch
from transformer.load.clickhouse import ClickHouse
from transformer.load.destination import Destination, open_destination
from transformer.load.ledger import Job, JobKind, JobState, Totals
from transformer.load.ledger_folder import FolderLedger
from transformer.load.retry import Retrier
from transformer.schema.ddl import create_table
from transformer.schema.table import Table, VersionFrom
from transformer.source.export import DataFile, find_export

pytestmark = pytest.mark.timeout(280)


@pytest.fixture
def url(chdb_url: str, unique_name: str) -> str:
    """A database of its own in the embedded engine."""
    return f"{chdb_url}?database=resume_{unique_name}"


@pytest.fixture
def engine(url: str, unique_name: str) -> Iterator[Destination]:
    """The same, held open so that its ledger can be looked at."""
    destination = open_destination(url)
    yield destination
    destination.query(f"DROP DATABASE resume_{unique_name}")
    destination.close()


@pytest.fixture
def load(url: str, engine: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a snapshot of an export with the twin, in chunks of ten items."""
    monkeypatch.chdir(tmp_path)

    def run_it(export: Path, **options: Any) -> SnapshotResult:
        given = {"observe", "stop", "decoder"} & options.keys()
        extras = {"decoder": TwinDecoder} | {name: options.pop(name) for name in given}
        request = {
            "schema": users_table(),
            "destination": url,
            "workers": 1,
            "chunk_items": 10,
            "retry_seconds": 0,
        } | options
        return run(SnapshotRequest(export=str(export), **request), **extras)

    return run_it


def unmerged(engine: Destination) -> None:
    """Make the table, and have it keep every row that is inserted: a merge would hide doubled ones."""
    engine.query(create_table(users_table()))
    engine.query("SYSTEM STOP MERGES users")


def number(engine: Destination, sql: str) -> int:
    return int(engine.query(f"{sql} FORMAT TSV"))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Three files of 40, 30 and 25 items in 4, 3 and 3 chunks; one item of the second is bad."""
    second = [user(100 + n) for n in range(29)]
    return write_export(
        tmp_path, [[user(n) for n in range(40)], [*second, bad_user(129)], [user(200 + n) for n in range(25)]]
    )


class Dying:
    """Inserts until so many were made, then fails like a lost connection: before or after the server has the rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, inserts: int, *, after: bool) -> None:
        self.left = inserts
        real = ClickHouse.insert

        def insert(this: ClickHouse, table: Table, batches: Sequence[pa.RecordBatch], token: str) -> None:
            if self.left > 0:
                real(this, table, batches, token)
            elif after:
                self.left = -1
                real(this, table, batches, token)
            if self.left <= 0:
                raise RetryError("the connection broke off")
            self.left -= 1

        monkeypatch.setattr(ClickHouse, "insert", insert)


@pytest.mark.parametrize("inserts", [0, 3, 4, 9])
@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_failed_at_any_insert_goes_on_without_loss_or_doubling(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination, inserts: int, after: bool
) -> None:
    unmerged(engine)
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, inserts, after=after)
        first = load(export)
    assert (first.status, first.exit_code) == (Status.FAILED, ExitCode.RETRY)
    stored = number(engine, "SELECT count() FROM users")
    second = load(export)
    assert second.status is Status.COMPLETE_WITH_REJECTS
    assert second.job == first.job
    assert second.attempt == 2
    assert second.files_skipped == first.files_loaded
    assert second.files_loaded == 3 - first.files_loaded
    assert second.rows_in_job == 94
    # Raw rows, unmerged: every chunk that came twice was dropped by its token.
    assert number(engine, "SELECT count() FROM users") == 94 >= stored
    assert number(engine, "SELECT uniqExact(id) FROM users") == 94
    (job,) = engine.ledger(users_table()).jobs("users")
    assert (job.state, job.attempts) == (JobState.COMPLETE, 2)
    totals = Totals.of(engine.ledger(users_table()).files(job.job).values())
    assert (totals.files, totals.items, totals.rows, totals.rejects) == (3, 95, 94, 1)
    assert totals.keys.count == 94


def test_rejects_of_a_file_that_is_loaded_again_are_there_once(
    tmp_path: Path, load: Callable[..., SnapshotResult]
) -> None:
    export = write_export(tmp_path, [[bad_user(1), *[user(n) for n in range(2, 30)], bad_user(30)]])
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, 1, after=True)
        first = load(export)
    assert first.status is Status.FAILED
    second = load(export, rejects=None)
    assert second.rejects == first.rejects
    (file,) = Path(second.rejects).iterdir()
    kept = [json.loads(line)["line"] for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert kept == [1, 30]
    assert (second.items_rejected, second.rejects_open) == (2, 2)


def test_a_complete_job_is_said_to_be_and_loads_nothing(export: Path, load: Callable[..., SnapshotResult]) -> None:
    first = load(export)
    assert first.job_complete
    seen: list[events.Event] = []
    second = load(export, observe=seen.append)
    assert (second.job, second.job_complete) == (first.job, True)
    assert second.status is Status.COMPLETE_WITH_REJECTS
    # The reject of the first run still counts: the exit code is that of the job.
    assert second.exit_code == ExitCode.INPUT
    assert load(export, max_rejects=1).exit_code == ExitCode.DONE
    record = second.to_dict()
    assert (record["files_total"], record["files_skipped"], record["files_loaded"]) == (3, 3, 0)
    assert (record["items_read"], record["rows_inserted"], record["items_rejected"]) == (0, 0, 0)
    assert (record["rejects_open"], record["rejects"]) == (1, first.rejects)
    assert not any(isinstance(event, events.ChunkInserted) for event in seen)
    assert second.attempt == first.attempt


def test_a_changed_schema_is_a_conflict_before_anything_is_read(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, 5, after=False)
        load(export)
    stored = number(engine, "SELECT count() FROM users")
    changed = replace(users_table(), drop=(("first_name",),))
    result = load(export, schema=changed)
    assert isinstance(result.error, ConflictError)
    assert result.exit_code == ExitCode.CONFLICT
    assert "another schema" in result.error.message
    assert "--restart" in result.error.remedy
    assert number(engine, "SELECT count() FROM users") == stored
    assert load(export, schema=changed, restart=True).job_complete


def test_another_decoder_is_a_conflict(export: Path, load: Callable[..., SnapshotResult], engine: Destination) -> None:
    first = load(export)
    ledger = engine.ledger(users_table())
    engine.query("ALTER TABLE _dynamo2ch_jobs UPDATE revision = 77 WHERE 1 SETTINGS mutations_sync = 2")
    assert ledger.jobs("users")[0].revision == 77
    result = load(export)
    assert isinstance(result.error, ConflictError)
    assert "decodes differently" in result.error.message
    assert first.job in result.error.message


def test_the_limits_are_those_that_the_job_began_with(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    unmerged(engine)
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, 6, after=True)
        load(export)
    result = load(export, chunk_items=3)
    assert result.job_complete
    assert number(engine, "SELECT count() FROM users") == 94


def test_a_restart_is_a_new_job_with_new_tokens(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    first = load(export)
    second = load(export, restart=True)
    assert second.job != first.job
    assert second.files_loaded == 3
    assert second.rejects != first.rejects
    jobs = engine.ledger(users_table()).jobs("users")
    assert [(job.job, job.state) for job in jobs] == [
        (first.job, JobState.ABANDONED),
        (second.job, JobState.COMPLETE),
    ]
    assert number(engine, "SELECT count() FROM users FINAL") == 94


def test_an_emptied_table_is_not_taken_for_loaded(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    load(export)
    for statement in ("TRUNCATE TABLE users", "DROP TABLE users"):
        engine.query(statement)
        result = load(export)
        assert isinstance(result.error, ConflictError)
        assert "is empty" in result.error.message
        assert "--restart" in result.error.remedy
        assert load(export, restart=True).rows_inserted == 94
        assert number(engine, "SELECT count() FROM users") == 94


def test_a_resumed_table_that_lost_rows_meanwhile_is_a_conflict(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, 5, after=False)
        assert load(export).files_loaded == 1
    engine.query("TRUNCATE TABLE users")
    engine.query("INSERT INTO users (id, version) VALUES ('from the stream', 1)")
    result = load(export)
    assert isinstance(result.error, ConflictError)
    assert "holds only 1 rows" in result.error.message
    assert load(export, restart=True).job_complete
    # Once it is complete, what is deleted later is nobody's fault.
    engine.query("DELETE FROM users WHERE id < 'user-000050'")
    assert load(export).files_skipped == 3


def test_a_second_full_export_at_version_0_is_a_conflict(
    tmp_path: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    one = write_export(tmp_path / "one", [[user(1), user(2)]])
    other = write_export(tmp_path / "other", [[user(2), user(3)]])
    assert load(one).job_complete
    result = load(other)
    assert isinstance(result.error, ConflictError)
    assert result.exit_code == ExitCode.CONFLICT
    assert "another full export" in result.error.message
    assert "export_time" in result.error.remedy
    timed = replace(users_table(), version_from=VersionFrom.EXPORT_TIME)
    assert load(other, schema=timed).job_complete
    assert number(engine, "SELECT count() FROM users FINAL") == 3
    # And back: rows at version 0 would stay below those that are there.
    assert isinstance(load(other, restart=True).error, ConflictError)


def test_exports_whose_times_do_not_rise_are_a_conflict(tmp_path: Path, load: Callable[..., SnapshotResult]) -> None:
    timed = replace(users_table(), version_from=VersionFrom.EXPORT_TIME)
    assert load(write_export(tmp_path / "one", [[user(1)]]), schema=timed).job_complete
    result = load(write_export(tmp_path / "other", [[user(2)]]), schema=timed)
    assert isinstance(result.error, ConflictError)
    assert "same or a higher version" in result.error.message


def test_an_emptied_table_takes_another_export_and_forgets_the_first(
    tmp_path: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    one = write_export(tmp_path / "one", [[user(1), user(2)]])
    other = write_export(tmp_path / "other", [[user(2), user(3)]])
    load(one)
    engine.query("TRUNCATE TABLE users")
    assert load(other).job_complete
    assert isinstance(load(one).error, ConflictError)  # not: complete, nothing to do


def test_an_export_that_was_copied_elsewhere_is_the_same_export(
    tmp_path: Path, load: Callable[..., SnapshotResult]
) -> None:
    files = [[user(1), user(2)]]
    first = load(write_export(tmp_path / "one", files))
    second = load(write_export(tmp_path / "two", files))
    assert (second.job, second.files_skipped) == (first.job, 1)


def test_bare_folders_resume_by_place_and_sizes(tmp_path: Path, load: Callable[..., SnapshotResult]) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "a.json").write_bytes(user(1))
    assert load(folder).job_complete
    assert load(folder).files_skipped == 1
    (folder / "a.json").write_bytes(user(1) + user(2))
    assert isinstance(load(folder).error, ConflictError)


def test_a_stopped_run_goes_on(export: Path, load: Callable[..., SnapshotResult], engine: Destination) -> None:
    unmerged(engine)
    stop = StopSwitch()

    def observe(event: events.Event) -> None:
        if isinstance(event, events.ChunkInserted):
            stop.press(15)

    first = load(export, stop=stop, observe=observe)
    assert first.exit_code in (ExitCode.TERMINATED, ExitCode.INPUT)
    second = load(export)
    assert second.job_complete
    assert first.files_loaded + second.files_loaded == 3
    assert number(engine, "SELECT count() FROM users") == 94


def test_a_ledger_in_a_folder_does_as_well(tmp_path: Path, export: Path, load: Callable[..., SnapshotResult]) -> None:
    ledger = str(tmp_path / "books")
    with pytest.MonkeyPatch.context() as patch:
        Dying(patch, 5, after=True)
        first = load(export, ledger=ledger)
    assert load(export, ledger=ledger).job == first.job
    (job,) = FolderLedger(ledger).jobs("users")
    assert job.state is JobState.COMPLETE


def test_a_ledger_that_fails_fails_the_run_and_the_next_one_goes_on(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    from transformer.load.ledger_table import TableLedger

    unmerged(engine)

    def record(_self: TableLedger, _files: object) -> None:
        raise RetryError("the ledger is away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TableLedger, "record", record)
        first = load(export)
    assert (first.status, first.exit_code) == (Status.FAILED, ExitCode.RETRY)
    assert "the ledger is away" in str(first.error)
    second = load(export)
    assert (second.files_skipped, second.files_loaded, second.job_complete) == (0, 3, True)
    assert number(engine, "SELECT count() FROM users") == 94


# Parts.


def test_parts_together_load_the_export_and_the_last_completes_the_job(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    results = [load(export, shard=Shard(number, 3)) for number in (1, 2, 3)]
    assert len({result.job for result in results}) == 1
    assert [result.job_complete for result in results] == [False, False, True]
    assert [result.shard for result in results] == ["1/3", "2/3", "3/3"]
    assert [result.items_in_manifest for result in results] == [40, 30, 25]
    assert sum(result.rows_inserted for result in results) == 94 == number(engine, "SELECT count() FROM users")
    assert load(export, shard=Shard(2, 3)).files_skipped == 1
    assert load(export).files_skipped == 3


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 12), st.booleans())
def test_every_file_is_in_exactly_one_part_and_parts_are_even(weights: list[int], count: int, counted: bool) -> None:

    def file(number: int, weight: int) -> DataFile:
        items, size = (weight, 1) if counted else (None, weight)
        return DataFile(url="", name=f"f{number:02}", item_count=items, md5=None, etag=None, size=size)

    files = [file(number, weight) for number, weight in enumerate(weights)]
    parts = [Shard(number, count).of(files) for number in range(1, count + 1)]
    assert sorted(file.name for part in parts for file in part) == [file.name for file in files]
    assert parts == [Shard(number, count).of(list(reversed(files))) for number in range(1, count + 1)]
    loads = [sum(weights[int(file.name[1:])] + 1 for file in part) for part in parts]
    assert max(loads) - min(loads) <= max(weights, default=0) + 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/3/5", "-1/3", "", "1/9999999"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Shard.parse(text)


def test_a_child_of_an_array_job_knows_its_part() -> None:
    assert Shard.from_environment({}) is None
    child = {"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "4"}
    assert Shard.from_environment(child) == Shard(1, 4) == Shard.parse("1/4")
    for name in child:
        with pytest.raises(UsageError, match="do not say together"):
            Shard.from_environment({name: child[name]})
    with pytest.raises(UsageError):
        Shard.from_environment(child | {"AWS_BATCH_JOB_ARRAY_INDEX": "4"})


def test_only_the_first_part_may_restart() -> None:
    assert SnapshotRequest(export="x", shard=Shard(1, 2), restart=True).restart
    with pytest.raises(UsageError, match="only one part") as caught:
        SnapshotRequest(export="x", shard=Shard(2, 2), restart=True)
    assert "1/2" in caught.value.remedy


def test_a_dry_run_leaves_no_trace_in_the_ledger(
    export: Path, load: Callable[..., SnapshotResult], engine: Destination
) -> None:
    assert load(export, dry_run=True).error is None
    assert engine.ledger(users_table()).jobs("users") == []
    assert find_export(str(export)).fingerprint == find_export(str(export / "manifest-summary.json")).fingerprint


class Flaky(FolderLedger):
    """A ledger that keeps everything it is told, and whose answer is lost at the write number `at`."""

    def __init__(self, folder: Path, at: int) -> None:
        super().__init__(str(folder))
        self.left = at

    def _create(self, path: str, record: Any) -> None:
        super()._create(path, record)
        self.left -= 1
        if self.left == 0:
            raise RetryError("the answer was lost")


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("restart", [False, True])
def test_taking_up_a_job_can_be_tried_again_whatever_was_written_before(tmp_path: Path, at: int, restart: bool) -> None:
    first = Job(job="first", kind=JobKind.SNAPSHOT, table="users", export="e", started_at="2026-01-01")
    wanted = replace(first, job="wanted", started_at="2026-01-02")
    FolderLedger(str(tmp_path)).start(first)
    ledger = Flaky(tmp_path, at)

    def attempt() -> TakenUp:
        return take_up(ledger, wanted, restart=restart, stored_rows=lambda: 0)

    taken = Retrier(60, sleep=lambda _: None)(attempt)
    assert taken.job.job == ("wanted" if restart else "first")
    assert taken.resumed is not restart
    jobs = {job.job: job for job in FolderLedger(str(tmp_path)).jobs("users")}
    assert taken.job == jobs[taken.job.job]
    assert {name: job.state for name, job in jobs.items() if name != taken.job.job} == (
        {"first": JobState.ABANDONED} if restart else {}
    )
