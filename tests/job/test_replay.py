"""Rejects that are loaded after the schema was mended: once, with their versions, and accounted for."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from job.twin import TwinDecoder, bad_user, user, users_table, write_export

from transformer.errors import ConflictError, ExitCode, RetryError, SourceError, UsageError
from transformer.job.replay import ReplayRequest
from transformer.job.replay import run as replay
from transformer.job.request import SnapshotRequest
from transformer.job.result import SnapshotResult, Status
from transformer.job.snapshot import run as load
from transformer.job.status import statuses
from transformer.load.clickhouse import ClickHouse
from transformer.load.destination import Destination, open_destination
from transformer.schema.table import Table
from transformer.schema.types import parse
from transformer.verify.run import VerifyRequest
from transformer.verify.run import run as verify

pytestmark = pytest.mark.timeout(280)


@pytest.fixture
def url(chdb_url: str, unique_name: str) -> str:
    return f"{chdb_url}?database=replay_{unique_name}"


@pytest.fixture
def engine(url: str, unique_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Destination]:
    monkeypatch.chdir(tmp_path)
    destination = open_destination(url)
    yield destination
    destination.query(f"DROP DATABASE replay_{unique_name}")
    destination.close()


def mended(age: str = "Nullable(Int32)", **changes: Any) -> Table:
    table = users_table(**changes)
    columns = tuple(replace(column, type=parse(age)) if column.name == "age" else column for column in table.columns)
    return replace(table, columns=columns)


BROKEN = b'{"Item":{"id":{"S":"x"}\n'
HUGE = user(8, age={"N": "5000000000"})


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two files with 3 and 2 rejects: two ages too large for Int16, one for Int32 too, a broken line, one more."""
    return write_export(
        tmp_path,
        [[user(1), bad_user(2), b"\n", BROKEN, user(5), HUGE], [bad_user(6), user(7), user(9, age={"N": "33000"})]],
    )


@pytest.fixture
def loaded(export: Path, url: str, engine: Destination) -> SnapshotResult:
    result = load(SnapshotRequest(export=str(export), schema=users_table(), destination=url), decoder=TwinDecoder)
    assert result.status is Status.COMPLETE_WITH_REJECTS
    assert (result.rows_inserted, result.rejects_open) == (3, 5)
    return result


@pytest.fixture
def again(url: str) -> Callable[..., SnapshotResult]:
    def run(rejects: str, schema: Table | None = None, **options: Any) -> SnapshotResult:
        request = {"schema": schema or mended(), "destination": url, "retry_seconds": 0} | options
        return replay(ReplayRequest(rejects=rejects, **request), decoder=TwinDecoder)

    return run


def widen(engine: Destination, type_: str) -> None:
    engine.query(f"ALTER TABLE users MODIFY COLUMN age {type_}")


def kept(folder: str) -> list[tuple[str, int, str, bytes]]:
    records = [
        json.loads(line)
        for path in sorted(Path(folder).iterdir())
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    return [(each["file"][-9:], each["line"], each["code"], (each["raw"] or "").encode()) for each in records]


def test_a_replay_loads_what_fits_now_and_keeps_the_rest_with_its_place(
    export: Path, loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination, url: str
) -> None:
    widen(engine, "Nullable(Int32)")
    result = again(loaded.rejects)
    assert result.error is None
    assert (result.status, result.exit_code) == (Status.COMPLETE_WITH_REJECTS, ExitCode.INPUT)
    assert (result.rows_inserted, result.items_rejected, result.rejects_open) == (3, 2, 2)
    rows = engine.query("SELECT id, age, version FROM users FINAL WHERE age > 30000 ORDER BY id FORMAT CSV")
    assert rows == b'"user-000002",40000,0\n"user-000006",40000,0\n"user-000009",33000,0\n'
    # Line and code as in the data file, blank lines counted; the next folder holds only what is left.
    assert result.rejects != loaded.rejects
    assert [place[1:3] for place in kept(result.rejects)] == [(4, "JSON_TRUNCATED"), (6, "OUT_OF_RANGE")]
    assert kept(result.rejects)[0][3] == BROKEN.rstrip(b"\n")
    # The load itself now counts what is left, and a proof takes both jobs together.
    first = load(SnapshotRequest(export=str(export), schema=users_table(), destination=url, table="users"))
    assert isinstance(first.error, ConflictError)  # the table is not that of the old schema any more
    proof = verify(VerifyRequest(export=str(export), schema=mended(), destination=url, full=True, sample=100))
    assert proof.error is None
    assert {check.finding.value for check in proof.checks} == {"proved"}, proof.checks
    assert (proof.rows, proof.rejects_open) == (6, 2)


def test_a_second_replay_of_the_same_rejects_does_nothing(
    loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination
) -> None:
    widen(engine, "Nullable(Int32)")
    first = again(loaded.rejects)
    second = again(loaded.rejects)
    assert (second.job, second.files_skipped, second.rows_inserted) == (first.job, 2, 0)
    assert (second.rejects_open, second.rejects) == (2, first.rejects)
    assert engine.query("SELECT count() FROM users FINAL FORMAT TSV") == b"6\n"
    (_, found) = statuses(engine, schema=None, table="users", ledger=None)
    assert [(each.loaded.rows, each.loaded.rejects, each.replayed) for each in found] == [(3, 5, 3), (3, 2, 0)]


def test_what_is_left_is_replayed_from_where_it_is_now(
    export: Path, loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination, url: str
) -> None:
    widen(engine, "Nullable(Int32)")
    first = again(loaded.rejects)
    widen(engine, "Nullable(Int64)")
    wide = mended("Nullable(Int64)")
    refused = again(loaded.rejects, wide)
    assert isinstance(refused.error, ConflictError)
    assert first.rejects in refused.error.remedy
    second = again(first.rejects, wide, max_rejects=1)
    assert (second.rows_inserted, second.rejects_open, second.exit_code) == (1, 1, 0)
    (_, found) = statuses(engine, schema=None, table="users", ledger=None)
    assert [each.to_dict()["rejects_open"] for each in found] == [1, 1, 1]
    proof = verify(VerifyRequest(export=str(export), schema=wide, destination=url, full=True))
    assert (proof.finding.value, proof.rows, proof.rejects_open) == ("proved", 7, 1)


def test_versions_are_those_of_the_load_so_the_stream_stays_above(
    loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination
) -> None:
    widen(engine, "Nullable(Int32)")
    engine.query("INSERT INTO users (id, age, version) VALUES ('user-000002', 1, 1700000000000000)")
    assert again(loaded.rejects).error is None
    assert engine.query("SELECT age FROM users FINAL WHERE id = 'user-000002' FORMAT TSV") == b"1\n"


def test_an_interrupted_replay_goes_on(
    loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination
) -> None:
    widen(engine, "Nullable(Int32)")
    engine.query("SYSTEM STOP MERGES users")
    real = ClickHouse.insert

    def insert(*arguments: Any) -> None:
        real(*arguments)
        raise RetryError("the connection broke off")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClickHouse, "insert", insert)
        first = again(loaded.rejects)
    assert first.exit_code == ExitCode.RETRY
    second = again(loaded.rejects)
    assert (second.job, second.attempt, second.job_complete) == (first.job, 2, True)
    assert engine.query("SELECT count() FROM users FORMAT TSV") == b"6\n"


def test_a_schema_that_rejected_them_is_refused(loaded: SnapshotResult, again: Callable[..., SnapshotResult]) -> None:
    result = again(loaded.rejects, users_table())
    assert isinstance(result.error, UsageError)
    assert "rejected again" in result.error.message


def test_a_table_that_was_not_altered_is_a_conflict(
    loaded: SnapshotResult, again: Callable[..., SnapshotResult]
) -> None:
    result = again(loaded.rejects)
    assert isinstance(result.error, ConflictError)
    assert "`age` is Nullable(Int16), not Nullable(Int32)" in result.error.message


def test_what_is_withheld_stays_rejected(
    tmp_path: Path, url: str, again: Callable[..., SnapshotResult], engine: Destination
) -> None:
    """With `drop`, a line that cannot be parsed is not kept, so there is nothing to replay."""
    drop = (("first_name",),)
    export = write_export(tmp_path, [[bad_user(1), BROKEN, bad_user(3)]])
    request = SnapshotRequest(export=str(export), schema=users_table(drop=drop), destination=url)
    first = load(request, decoder=TwinDecoder)
    widen(engine, "Nullable(Int32)")
    result = again(first.rejects, mended(drop=drop))
    assert (result.rows_inserted, result.rejects_open) == (2, 1)
    assert [place[1:] for place in kept(result.rejects)] == [(2, "JSON_TRUNCATED", b"")]
    assert engine.query("SELECT count() FROM users FINAL WHERE first_name IS NOT NULL FORMAT TSV") == b"0\n"


def test_rejects_of_an_unknown_or_unfinished_job_are_a_conflict(
    tmp_path: Path, loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination
) -> None:
    widen(engine, "Nullable(Int32)")
    moved = tmp_path / "elsewhere"
    Path(loaded.rejects).rename(moved)
    result = again(str(moved))
    assert isinstance(result.error, ConflictError)
    assert "--job" in result.error.remedy
    assert again(str(moved), job=loaded.job).rows_inserted == 3
    engine.query("ALTER TABLE _dynamo2ch_jobs DELETE WHERE event = 'complete' SETTINGS mutations_sync = 2")
    result = again(str(moved), job=loaded.job)
    assert isinstance(result.error, ConflictError)
    assert "not complete" in result.error.message


def test_a_folder_that_is_not_whole_is_refused(
    tmp_path: Path, loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination
) -> None:
    widen(engine, "Nullable(Int32)")
    one, other = sorted(Path(loaded.rejects).iterdir())
    other.rename(tmp_path / "away")
    result = again(loaded.rejects)
    assert isinstance(result.error, SourceError)
    assert "lacks the rejects of 1 files" in result.error.message
    (tmp_path / "away").rename(other)
    whole = gzip.decompress(one.read_bytes()).splitlines(keepends=True)
    one.write_bytes(gzip.compress(b"".join(whole[:-1])))
    result = again(loaded.rejects)
    assert isinstance(result.error, SourceError)
    assert "holds 2 rejects, the ledger says 3" in result.error.message
    assert isinstance(again(str(tmp_path / "nowhere")).error, UsageError)


@pytest.mark.parametrize(
    "change",
    [
        {"line": "1"},
        {"line": -1},
        {"line": True},
        {"code": "DANCE"},
        {"raw": "two\nlines"},
        {"raw": " "},
        {"raw": None, "raw_base64": "%"},
        {"offset": None},
    ],
    ids=str,
)
def test_a_record_that_is_not_ours_is_refused(
    loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination, change: dict[str, object]
) -> None:
    widen(engine, "Nullable(Int32)")
    (path, _) = sorted(Path(loaded.rejects).iterdir())
    records = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    records[1] |= change
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode()))
    result = again(loaded.rejects, workers=1)
    assert isinstance(result.error, SourceError)
    assert "no quarantine file" in result.error.message


@pytest.mark.parametrize("damage", [b"", b"not gzip at all", b"\x1f\x8b\x08\x00cut"])
def test_a_damaged_file_is_refused(
    loaded: SnapshotResult, again: Callable[..., SnapshotResult], engine: Destination, damage: bytes
) -> None:
    widen(engine, "Nullable(Int32)")
    (path, _) = sorted(Path(loaded.rejects).iterdir())
    path.write_bytes(damage)
    assert isinstance(again(loaded.rejects).error, SourceError)
