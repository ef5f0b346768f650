"""Parquet files as a destination: exact types, whole files, names that a second run writes again."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from job.twin import TwinDecoder, bad_user, user, users_table, write_export

from transformer.errors import ConflictError, RetryError, SourceError, UsageError
from transformer.job.request import SnapshotRequest
from transformer.job.result import SnapshotResult, Status
from transformer.job.snapshot import run
from transformer.load.destination import open_destination
from transformer.load.publish import LocalFile
from transformer.schema.table import VersionFrom
from transformer.settings import Settings


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path, [[user(n) for n in range(25)], [user(n) for n in range(25, 30)]])


def load(export: Path, lake: Path, **changes: object) -> SnapshotResult:
    request = {"export": str(export), "schema": users_table(), "destination": f"parquet:{lake}", "chunk_items": 10}
    return run(SnapshotRequest(**{**request, **changes}), decoder=TwinDecoder)  # type: ignore[arg-type]


def files(lake: Path) -> dict[str, bytes]:
    """The data files by their path below the table, without the job."""
    return {"/".join(path.parts[-1:]): path.read_bytes() for path in sorted(lake.glob("users/*/*.parquet"))}


def rows(lake: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(lake.glob("users/*/*.parquet"))])


def test_a_load_writes_every_row_once_in_one_file_for_each_chunk(export: Path, lake: Path) -> None:
    result = load(export, lake)
    assert result.status is Status.COMPLETE, result.error
    first, second = "data%2Faaaaaaaaaaaaaaaaaaaaaaaaaa.json.gz", "data%2Faaaaaaaaaaaaaaaaaaaaaaaaab.json.gz"
    assert list(files(lake)) == [f"{first}-{part}.parquet" for part in ("1-10", "11-20", "21-25")] + [
        f"{second}-1-5.parquet"
    ]
    table = rows(lake)
    assert table["id"].to_pylist() == [f"user-{n:06}" for n in range(30)]
    assert table.schema.field("age").type == pa.int16()
    assert table.schema.field("id").type == pa.string()
    assert not [path for path in lake.rglob("*") if path.name.endswith(".part")]


def test_a_second_run_loads_nothing_and_a_lost_ledger_writes_the_same(export: Path, lake: Path) -> None:
    load(export, lake)
    before = {path: path.stat().st_mtime_ns for path in lake.glob("users/*/*.parquet")}
    again = load(export, lake)
    assert (again.status, again.files_skipped) == (Status.COMPLETE, 2)
    assert {path: path.stat().st_mtime_ns for path in lake.glob("users/*/*.parquet")} == before
    content = files(lake)
    for record in lake.glob("_ledger/files/*/*.json"):
        record.unlink()  # as if the run had died before it noted the files
    resumed = load(export, lake)
    assert resumed.files_skipped == 0
    assert files(lake) == content
    assert set(lake.glob("users/*/*.parquet")) == set(before)


def test_giving_up_a_job_removes_its_files(export: Path, lake: Path) -> None:
    load(export, lake)
    result = load(export, lake, restart=True)
    assert result.status is Status.COMPLETE, result.error
    assert rows(lake).num_rows == 30
    assert len(list(lake.glob("users/*/"))) == 1


def test_files_of_a_given_up_job_that_a_crash_left_are_removed(export: Path, lake: Path) -> None:
    first = load(export, lake)
    kept = {path.name: path.read_bytes() for path in lake.glob(f"users/{first.job}/*")}
    load(export, lake, restart=True)
    (lake / "users" / first.job).mkdir()
    for name, content in kept.items():
        (lake / "users" / first.job / name).write_bytes(content)
    load(export, lake, restart=True)
    assert rows(lake).num_rows == 30


def test_another_export_or_schema_does_not_mix_in(export: Path, lake: Path, tmp_path: Path) -> None:
    load(export, lake)
    other = write_export(tmp_path / "other", [[user(99)]])
    assert isinstance(load(other, lake).error, ConflictError)
    changed = users_table(version_from=VersionFrom.EXPORT_TIME, columns=users_table().columns[:2])
    conflict = load(export, lake, schema=changed).error
    assert isinstance(conflict, ConflictError)
    assert "another schema" in conflict.message
    assert rows(lake).num_rows == 30


def test_rejects_are_counted_and_rows_of_the_rest_written(tmp_path: Path, lake: Path) -> None:
    export = write_export(tmp_path, [[user(1), bad_user(2), user(3)]])
    result = load(export, lake, rejects=str(tmp_path / "rejects"))
    assert (result.rows_inserted, result.items_rejected) == (2, 1)
    assert rows(lake)["id"].to_pylist() == ["user-000001", "user-000003"]


def test_bytes_need_to_be_asked_for(tmp_path: Path, lake: Path) -> None:
    export = write_export(tmp_path, [[user(1, first_name={"B": "/w=="})]])
    refused = load(export, lake)
    assert isinstance(refused.error, SourceError)
    assert "first_name" in refused.error.message
    assert not files(lake)
    taken = load(export, tmp_path / "other", destination=f"parquet:{tmp_path / 'other'}?binary=first_name")
    assert taken.status is Status.COMPLETE, taken.error
    assert rows(tmp_path / "other")["first_name"].to_pylist() == [b"\xff"]


def test_a_full_disk_is_told_with_what_to_do_and_leaves_no_file(
    export: Path, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LocalFile.publish

    def full(self: LocalFile, out: object) -> None:
        if self.url.endswith(".parquet"):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, out)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalFile, "publish", full)
    error = load(export, lake, retry_seconds=0).error
    assert isinstance(error, RetryError)
    assert "No space left" in error.message
    assert "Make room" in error.remedy
    assert not [path for path in lake.rglob("*") if path.suffix in (".parquet", ".part")]


def test_what_the_folder_says_of_itself(export: Path, lake: Path) -> None:
    load(export, lake)
    said = json.loads((lake / "users" / "_schema.json").read_text())
    assert said["key"] == ["id"]
    assert {"name": "age", "type": "int16", "nullable": True} in said["columns"]
    (lake / "users" / "_schema.json").write_text("{")
    assert isinstance(load(export, lake).error, ConflictError)


@pytest.mark.parametrize("url", ["parquet:", "parquet:/x?format=y", "parquet:s3://user:secret@bucket/x"])
def test_urls_that_are_no_folder_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_destination(url, Settings())
    assert "secret" not in str(raised.value)


def test_a_query_is_refused_with_one_that_works(lake: Path) -> None:
    destination = open_destination(f"parquet:{lake}?binary=a%2Cb,c", Settings())
    assert destination.url == f"parquet:{lake}?binary=a%2Cb,c"
    with pytest.raises(UsageError, match="no engine") as raised:
        destination.query("SELECT 1")
    assert "read_parquet" in raised.value.remedy
