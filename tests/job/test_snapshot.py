"""Whole runs: from an export on disk to rows in the embedded engine, and the record of what happened."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from job.twin import TwinDecoder, bad_user, user, users_table, write_export

from transformer.errors import ConflictError, ExitCode, RejectsError, SourceError, UsageError
from transformer.job import events
from transformer.job.request import SnapshotRequest
from transformer.job.result import FileState, SnapshotResult, Status
from transformer.job.snapshot import largest_first, resolve_table, run, snapshot_version
from transformer.job.stop import StopSwitch
from transformer.load.destination import Destination, open_destination
from transformer.schema.table import Table, VersionFrom
from transformer.source.export import DataFile, find_export

pytestmark = pytest.mark.timeout(280)

KEYS = {
    "status",
    "table",
    "destination",
    "files_total",
    "files_loaded",
    "files_skipped",
    "items_in_manifest",
    "items_read",
    "rows_inserted",
    "items_rejected",
    "rejects",
    "gz_bytes",
    "json_bytes",
    "seconds",
    "peak_rss_bytes",
    "stages",
}


@pytest.fixture
def engine(chdb_url: str) -> Iterator[Destination]:
    destination = open_destination(chdb_url)
    yield destination
    destination.close()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults such as ./.dynamo2ch and ./schemas are relative to the current directory."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def snapshot(chdb_url: str, unique_name: str) -> Callable[..., SnapshotResult]:
    """Run a snapshot of an export with the twin into a table of its own."""

    def load(export: Path | str, **options: Any) -> SnapshotResult:
        given = {"observe", "stop", "decoder"} & options.keys()
        extras = {"decoder": TwinDecoder} | {name: options.pop(name) for name in given}
        request = {"schema": users_table(), "destination": chdb_url, "table": unique_name, "workers": 2} | options
        return run(SnapshotRequest(export=str(export), **request), **extras)

    return load


def rows(engine: Destination, table: str, columns: str = "*", final: str = "FINAL") -> list[dict[str, Any]]:
    answer = engine.query(f"SELECT {columns} FROM {table} {final} ORDER BY ALL FORMAT JSONEachRow")
    return [json.loads(line) for line in answer.splitlines()]


def test_an_export_becomes_a_table(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    last = [user(n, more={"BOOL": True}) for n in (50, 51)]
    export = write_export(tmp_path, [[user(n) for n in range(30)], [], last])
    result = snapshot(export)
    assert result.error is None
    assert result.status is Status.COMPLETE
    assert result.exit_code == ExitCode.DONE
    result.raise_for_status()
    found = rows(engine, unique_name)
    assert [row["id"] for row in found] == [f"user-{n:06}" for n in [*range(30), 50, 51]]
    assert found[7] == {
        "id": "user-000007",
        "first_name": "sally 7",
        "age": 7,
        "version": found[7]["version"],
        "is_deleted": 0,
        "_unmapped": {},
    }
    assert int(found[7]["version"]) == 0
    assert found[-1]["_unmapped"] == {"more": '{"BOOL":true}'}


def test_the_record_has_every_key_and_adds_up(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], unique_name: str, chdb_url: str
) -> None:
    lines = [[user(1), bad_user(2)], [user(3), user(4)]]
    export = write_export(tmp_path, lines)
    record = snapshot(export, max_rejects=1).to_dict()
    assert record.keys() >= KEYS
    assert json.loads(json.dumps(record)) == record
    assert record["status"] == "complete_with_rejects"
    assert record["exit_code"] == 0
    assert record["table"] == unique_name
    assert record["destination"] == chdb_url
    assert record["export"] == f"file://{export}"
    assert (record["files_total"], record["files_loaded"], record["files_skipped"]) == (2, 2, 0)
    assert record["items_in_manifest"] == record["items_read"] == 4
    assert (record["rows_inserted"], record["items_rejected"]) == (3, 1)
    assert record["rejects_by_code"] == {"OUT_OF_RANGE": 1}
    assert record["gz_bytes"] == sum(path.stat().st_size for path in (export / "data").iterdir())
    assert record["json_bytes"] == sum(len(line) for file in lines for line in file)
    assert set(record["stages"]) == {"read", "decode", "digest", "wait", "insert", "quarantine"}  # type: ignore[call-overload]
    assert record["peak_rss_bytes"] > 10 << 20  # type: ignore[operator]
    assert record["error"] is None
    assert record["files_not_loaded"] == []


def test_rejects_are_kept_with_their_place_and_do_not_stop_the_load(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    result = snapshot(write_export(tmp_path, [[user(1), bad_user(2), b"\n", b"nonsense\n", user(5)]]))
    assert result.status is Status.COMPLETE_WITH_REJECTS
    assert result.exit_code == ExitCode.INPUT
    with pytest.raises(RejectsError, match="2 items were rejected, and --max-rejects allows 0"):
        result.raise_for_status()
    assert [row["id"] for row in rows(engine, unique_name)] == ["user-000001", "user-000005"]
    folder = Path(result.rejects)
    assert folder == Path.cwd() / ".dynamo2ch" / "rejects" / "01795392000622-0a1b2c3d" / result.job
    (file,) = folder.iterdir()
    kept = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    places = [(item["line"], item["code"], item["column"]) for item in kept]
    assert places == [(2, "OUT_OF_RANGE", "age"), (4, "JSON_SYNTAX", "")]
    assert kept[0]["raw"].encode() + b"\n" == bad_user(2)


@pytest.mark.parametrize(("allowed", "code"), [(0, 3), (1, 3), (2, 0), (3, 0)])
def test_the_exit_code_depends_on_how_many_rejects_are_allowed(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], allowed: int, code: int
) -> None:
    result = snapshot(write_export(tmp_path, [[bad_user(1), bad_user(2)]]), max_rejects=allowed)
    assert result.status is Status.COMPLETE_WITH_REJECTS
    assert result.exit_code == code


def test_loading_anew_gives_every_item_once(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    export = write_export(tmp_path, [[user(n) for n in range(20)], [user(n) for n in range(20, 30)]])
    first, second = snapshot(export), snapshot(export, workers=1, restart=True)
    assert first.job != second.job
    assert first.rows_inserted == second.rows_inserted == 30
    assert len(rows(engine, unique_name)) == 30
    # The second run's tokens are new ones, so nothing of it was dropped: merging is what makes them one.
    engine.query(f"OPTIMIZE TABLE {unique_name} FINAL")
    assert len(rows(engine, unique_name, final="")) == 30


def test_a_restart_after_a_delete_brings_the_rows_back(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    export = write_export(tmp_path, [[user(n) for n in range(5)]])
    snapshot(export)
    engine.query(f"DELETE FROM {unique_name} WHERE id = 'user-000003'")
    assert len(rows(engine, unique_name)) == 4
    assert snapshot(export).rows_inserted == 0
    assert snapshot(export, restart=True).rows_inserted == 5
    assert len(rows(engine, unique_name)) == 5


def test_a_dry_run_judges_everything_and_touches_nothing(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    result = snapshot(write_export(tmp_path, [[user(1), bad_user(2)]]), dry_run=True)
    assert result.dry_run
    assert result.destination == "null:"
    assert (result.items_read, result.rows_inserted, result.items_rejected) == (2, 1, 1)
    assert result.first_rejects[0].code == "OUT_OF_RANGE"
    assert result.rejects == ""
    assert list(Path.cwd().iterdir()) == []
    assert engine.query(f"EXISTS TABLE {unique_name} FORMAT TSV") == b"0\n"


def test_a_dry_run_writes_rejects_where_it_is_told_to(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    result = snapshot(write_export(tmp_path, [[bad_user(2)]]), dry_run=True, rejects=str(tmp_path / "kept"))
    assert len(list(Path(result.rejects).iterdir())) == 1
    assert Path(result.rejects).is_relative_to(tmp_path / "kept")


def test_a_count_that_differs_from_the_manifest_fails_and_names_the_file(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult]
) -> None:
    result = snapshot(write_export(tmp_path, [[user(1)], [user(2)]], counts={1: 2}), workers=1)
    assert result.status is Status.FAILED
    assert result.exit_code == ExitCode.INPUT
    assert isinstance(result.error, SourceError)
    with pytest.raises(SourceError):
        result.raise_for_status()
    record = result.to_dict()
    assert record["error"]["file"] == result.error_file != ""  # type: ignore[index]
    # The count is compared before the last chunk goes out, and here the last one is the only one.
    assert record["files_not_loaded"][0]["state"] == "untouched"  # type: ignore[index]
    assert record["files_loaded"] == 2 - len(record["files_not_loaded"])  # type: ignore[arg-type]


def test_a_damaged_file_fails_with_exit_3(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    result = snapshot(write_export(tmp_path, [[user(1)]], md5s={0: "AAAAAAAAAAAAAAAAAAAAAA=="}))
    assert (result.status, result.exit_code) == (Status.FAILED, ExitCode.INPUT)
    assert "MD5" in str(result.error)


def test_a_missing_file_is_found_before_anything_is_loaded(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    export = write_export(tmp_path, [[user(1)], [user(2)]])
    next((export / "data").iterdir()).unlink()
    result = snapshot(export)
    assert (result.status, result.exit_code) == (Status.FAILED, ExitCode.INPUT)
    assert result.files == []
    assert engine.query(f"EXISTS TABLE {unique_name} FORMAT TSV") == b"0\n"


def test_a_table_that_does_not_fit_is_a_conflict(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    engine.query(f"CREATE TABLE {unique_name} (id String) ENGINE = MergeTree ORDER BY id")
    result = snapshot(write_export(tmp_path, [[user(1)]]))
    assert (result.status, result.exit_code) == (Status.FAILED, ExitCode.CONFLICT)
    assert isinstance(result.error, ConflictError)


def test_an_interrupted_run_says_what_is_loaded(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    export = write_export(tmp_path, [[user(n) for n in range(30)], [user(n) for n in range(30, 40)]])
    stop = StopSwitch()

    def decoder(table: Table, *, version: int) -> TwinDecoder:
        return TwinDecoder(table, version=version, before=lambda: stop.press(15))

    result = snapshot(export, stop=stop, decoder=decoder, workers=1)
    assert (result.status, result.exit_code) == (Status.INTERRUPTED, ExitCode.TERMINATED)
    # The first file is one chunk, which was in hand.
    assert (result.files_loaded, result.rows_inserted) == (1, 30)
    assert [file["state"] for file in result.to_dict()["files_not_loaded"]] == ["untouched"]  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        result.raise_for_status()


def test_enough_rejects_end_a_run_with_exit_3(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    lines = [[bad_user(n) for n in range(30)], [user(n) for n in range(20)], [user(n) for n in range(20, 30)]]
    stopping = threading.Event()
    steps = itertools.count()

    def decoder(table: Table, *, version: int) -> TwinDecoder:
        # Not before the rejects of the first file were counted is anything of the second one decoded.
        return TwinDecoder(table, version=version, before=lambda: next(steps) and stopping.wait() and None)

    def observe(event: events.Event) -> None:
        if isinstance(event, events.Stopping):
            stopping.set()

    result = snapshot(write_export(tmp_path, lines), stop_after_rejects=5, workers=1, decoder=decoder, observe=observe)
    assert (result.status, result.exit_code) == (Status.FAILED, ExitCode.INPUT)
    assert isinstance(result.error, RejectsError)
    assert result.error.message == "stopped after 30 rejected items"
    # The second file was begun before the stop was seen, or it was not; the third cannot have been.
    states = [file.state for file in sorted(result.files, key=lambda file: file.name)]
    assert (states[0], states[2]) == (FileState.LOADED, FileState.UNTOUCHED)


def test_a_limit_on_rejects_that_is_met_at_the_very_end_has_stopped_nothing(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult]
) -> None:
    result = snapshot(write_export(tmp_path, [[user(1), bad_user(2)]]), stop_after_rejects=1, max_rejects=1)
    assert (result.status, result.exit_code) == (Status.COMPLETE_WITH_REJECTS, ExitCode.DONE)


def test_keys_of_two_types_fail_with_exit_3(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    result = snapshot(write_export(tmp_path, [[user(1, id={"S": "1"}), user(2, id={"N": "1"})]]))
    assert (result.status, result.exit_code) == (Status.FAILED, ExitCode.INPUT)
    assert "not keys of one DynamoDB table" in str(result.error)


def test_one_and_two_workers_load_the_same(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    export = write_export(tmp_path, [[user(100 * f + n) for n in range(37 * (f + 1))] for f in range(4)])
    one = snapshot(export, workers=1, table=f"{unique_name}_one")
    two = snapshot(export, workers=2, table=f"{unique_name}_two")
    assert one.rows_inserted == two.rows_inserted == 370
    assert rows(engine, f"{unique_name}_one") == rows(engine, f"{unique_name}_two")


def test_a_bare_folder_loads_without_counts(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "a.json.gz").write_bytes(gzip.compress(user(1) + user(2)))
    result = snapshot(tmp_path / "bare")
    assert result.status is Status.COMPLETE
    assert result.items_in_manifest is None
    assert result.rows_inserted == 2
    assert any("no manifests" in warning for warning in result.warnings)


def test_the_events_of_a_run_tell_its_story(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    seen: list[events.Event] = []
    result = snapshot(write_export(tmp_path, [[user(1), bad_user(2)]]), observe=seen.append)
    started = seen[0]
    assert isinstance(started, events.RunStarted)
    assert (started.job, started.items, started.files) == (result.job, 2, 1)
    assert {type(event) for event in seen} == {
        events.RunStarted,
        events.BlockDecoded,
        events.ItemsRejected,
        events.ChunkInserted,
        events.FileLoaded,
        events.RunEnded,
    }
    ended = seen[-1]
    assert isinstance(ended, events.RunEnded)
    assert (ended.status, ended.rows, ended.rejects, ended.exit_code) == ("complete_with_rejects", 1, 1, 3)


def test_a_chunk_beyond_the_budget_is_said(tmp_path: Path, snapshot: Callable[..., SnapshotResult]) -> None:
    export = write_export(tmp_path, [[user(n, blob={"S": "x" * 300_000}) for n in range(100)]])
    result = snapshot(export, memory=64 << 20)
    assert result.status is Status.COMPLETE
    assert any("more than --memory 64.0 MiB has room for" in warning for warning in result.warnings)


# Versions, schema files, order of files.


def test_rows_can_carry_the_time_of_the_export(
    tmp_path: Path, snapshot: Callable[..., SnapshotResult], engine: Destination, unique_name: str
) -> None:
    table = users_table(version_from=VersionFrom.EXPORT_TIME)
    snapshot(write_export(tmp_path, [[user(1)]]), schema=table)
    expected = datetime(2026, 11, 22, 23, 59, 0, 622_000, tzinfo=UTC)
    (row,) = rows(engine, unique_name, "version")
    assert int(row["version"]) == round(expected.timestamp() * 1000) * 1000


def test_an_export_without_a_time_cannot_give_it_to_rows(tmp_path: Path) -> None:
    export = replace(find_export(str(write_export(tmp_path, [[user(1)]]))), export_time=None)
    with pytest.raises(UsageError, match="export_time"):
        snapshot_version(users_table(version_from=VersionFrom.EXPORT_TIME), export)
    assert snapshot_version(users_table(), export) == 0


def test_without_a_schema_file_the_error_says_where_it_was_looked_for(tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(1)]], table="orders")
    with pytest.raises(UsageError, match=r"schemas/orders\.yaml") as caught:
        resolve_table(SnapshotRequest(export=str(export)), find_export(str(export)))
    assert "--schema" in caught.value.remedy
    with pytest.raises(UsageError, match=r"schemas/mine\.yaml"):
        resolve_table(SnapshotRequest(export=str(export), table="mine"), find_export(str(export)))


@pytest.mark.parametrize("name", ["../schemas/users", "a/b", "..", "/etc/passwd"])
def test_a_table_name_cannot_lead_out_of_the_folder_of_schemas(tmp_path: Path, name: str) -> None:
    Path("schemas").mkdir()
    Path("schemas/users.yaml").write_text("table: users\n")
    export = write_export(tmp_path, [[user(1)]])
    with pytest.raises(UsageError):
        resolve_table(SnapshotRequest(export=str(export), table=name), find_export(str(export)))


def test_a_bare_folder_names_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(user(1))
    with pytest.raises(UsageError, match="does not say which table"):
        resolve_table(SnapshotRequest(export=str(tmp_path)), find_export(str(tmp_path)))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"workers": 0}, "workers"), ({"max_rejects": -1}, "max-rejects"), ({"stop_after_rejects": 0}, "stop-after")],
)
def test_numbers_that_mean_nothing_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SnapshotRequest(export="x", **options)  # type: ignore[arg-type]


def test_files_are_begun_largest_first() -> None:
    def file(name: str, size: int | None, items: int | None) -> DataFile:
        return DataFile(url=name, name=name, item_count=items, md5=None, etag=None, size=size)

    sized = [file("a", 1, 9), file("b", 3, 0), file("c", 3, 1)]
    assert [each.name for each in largest_first(sized)] == ["b", "c", "a"]
    counted = [file("a", 1, 9), file("b", None, 0), file("c", 3, 10)]
    assert [each.name for each in largest_first(counted)] == ["c", "a", "b"]
