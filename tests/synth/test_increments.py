"""Exports of a history: laid out as AWS lays them out, and true to the history."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synth_checker import EMPTY_FILE, FILE_KEYS, check_export, check_value

from transformer.errors import SourceError, UsageError
from transformer.source.export import find_export
from transformer.synth.history import key_text, make_history
from transformer.synth.increments import micros_of, moment_of, write_full, write_increment
from transformer.synth.manifests import FIRST_EXPORT

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "exports" / "awslabs-incremental"
START = FIRST_EXPORT.replace(microsecond=0)
QUARTER = timedelta(minutes=15)


def lines_of(found: Any) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in found.files
        for line in gzip.decompress(Path(file.url.removeprefix("file://")).read_bytes()).splitlines()
    ]


@pytest.mark.parametrize("view", ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"])
@pytest.mark.parametrize("prefix", [None, "nightly/", "a/b"])
def test_an_incremental_export_lies_as_aws_lays_it(tmp_path: Path, view: Any, prefix: str | None) -> None:
    history = make_history(shape="orders", keys=20, writes=120, seed=3, start=START)
    for number in range(2):
        since = START + number * QUARTER
        export = write_increment(
            tmp_path, history, since=since, until=since + QUARTER, view=view, files=3, prefix=prefix
        )
        shared = export.path.parent / "data"
        assert export.path.parent.name == "AWSDynamoDB"
        assert export.export_id.partition("-")[0].endswith("000")
        names = {"_started", "manifest-files.json", "manifest-files.md5"}
        assert {path.name for path in export.path.iterdir()} == names | {
            "manifest-summary.json",
            "manifest-summary.md5",
        }
        summary = json.loads((export.path / "manifest-summary.json").read_text())
        assert list(summary)[6:8] == ["exportFromTime", "exportToTime"]
        assert list(summary)[-2:] == ["outputView", "exportType"]
        assert "exportTime" not in summary
        entries = [json.loads(row) for row in (export.path / "manifest-files.json").read_text().splitlines()]
        assert all(list(entry) == FILE_KEYS for entry in entries)
        assert all((tmp_path / entry["dataFileS3Key"]).parent == shared for entry in entries)
        found = find_export(str(export.path), incremental=True)
        assert (found.kind, found.window) == ("incremental", (since, since + QUARTER))
        assert not found.warnings
        records = lines_of(found)
        assert len(records) == found.item_count == len(history.net(micros_of(since), micros_of(since + QUARTER)))
        for record in records:
            assert list(record)[:2] == ["Metadata", "Keys"]
            assert ("OldImage" in record) <= (view == "NEW_AND_OLD_IMAGES")
            assert list(record.get("NewImage", {})) == sorted(record.get("NewImage", {}))
            assert since <= moment_of(int(record["Metadata"]["WriteTimestampMicros"]["N"])) < since + QUARTER
            for image in (record["Keys"], record.get("NewImage", {}), record.get("OldImage", {})):
                for value in image.values():
                    check_value(value)
    assert len(list(shared.iterdir())) == 6  # of both exports, in one folder


@given(st.integers(0, 30), st.integers(0, 3599))
def test_a_full_export_and_the_windows_after_it_tell_the_state(tmp_path_factory: Any, seed: int, second: int) -> None:
    """Replayed in plain Python; boundaries at the export's exact moment, which real exports do not have."""
    folder = tmp_path_factory.mktemp("bucket")
    history = make_history(shape="users", keys=6, writes=40, seed=seed, start=START)
    at = START + timedelta(seconds=second)
    full = write_full(folder, history, at=at, files=2)
    _, files = check_export(full.path, folder)
    live = {}
    for part in files:
        for line in part:
            item = json.loads(line)["Item"]
            live[key_text({name: item[name] for name in history.key})] = item
    middle = at + QUARTER
    for since, until in ((at, middle), (middle, START + timedelta(hours=2))):
        export = write_increment(folder, history, since=since, until=until, files=2)
        for record in lines_of(find_export(str(export.path), incremental=True)):
            if "NewImage" in record:
                live[key_text(record["Keys"])] = record["NewImage"]
            else:
                del live[key_text(record["Keys"])]
    state = {key_text({name: item[name] for name in history.key}): item for item in history.state()}
    assert live == state


def test_the_grey_minute_shows_items_as_they_were_around_the_moment(tmp_path: Path) -> None:
    history = make_history(shape="users", keys=40, writes=2000, seed=1, start=START)
    at = START + timedelta(minutes=30)
    full = write_full(tmp_path, history, at=at, grey=timedelta(seconds=60), files=1)
    seen = [json.loads(line)["Item"] for line in gzip.decompress(full.files[0].path.read_bytes()).splitlines()]
    low, high = micros_of(at) - 60_000_000, micros_of(at) + 60_000_000
    possible = [*history.state(low), *(change.new for change in history.between(low, high) if change.new is not None)]
    assert all(item in possible for item in seen)
    exact = history.state(micros_of(at))
    assert any(item not in exact for item in seen)


def test_the_other_kind_of_export_is_refused(tmp_path: Path) -> None:
    history = make_history(shape="users", keys=5, writes=9, seed=1, start=START)
    full = write_full(tmp_path / "f", history, at=START + QUARTER)
    window = write_increment(tmp_path / "i", history, since=START, until=START + QUARTER)
    with pytest.raises(SourceError, match="dynamo2ch snapshot"):
        find_export(str(full.path), incremental=True)
    with pytest.raises(SourceError, match="dynamo2ch increment"):
        find_export(str(window.path))
    with pytest.raises(UsageError, match="data folder of exports"):
        find_export(str(window.path.parent / "data"), incremental=True)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "x.json.gz").write_bytes(EMPTY_FILE)
    with pytest.raises(SourceError, match="window of an incremental export is unknown"):
        find_export(str(bare), incremental=True)
    window.files[0].path.unlink()
    with pytest.raises(SourceError, match="lacks 1 of the 4 files"):
        find_export(str(window.path), incremental=True)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"exportFromTime": None}, "are no window"),
        ({"exportToTime": "2020-01-01T00:00:00.000Z"}, "are no window"),
        ({"outputView": "NEW_IMAGES"}, "outputView 'NEW_IMAGES' is unknown"),
    ],
)
def test_a_window_that_is_none_is_refused(tmp_path: Path, change: dict[str, object], what: str) -> None:
    history = make_history(shape="users", keys=5, writes=9, seed=1, start=START)
    export = write_increment(tmp_path, history, since=START, until=START + QUARTER)
    path = export.path / "manifest-summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(SourceError, match=what):
        find_export(str(export.path), incremental=True)


@pytest.mark.parametrize("key", ["AWSDynamoDB/{id}/data/{name}", "data/{name}", "AWSDynamoDB/data/../data/{name}"])
def test_data_files_lie_in_the_shared_folder_or_nowhere(tmp_path: Path, key: str) -> None:
    history = make_history(shape="users", keys=5, writes=9, seed=1, start=START)
    export = write_increment(tmp_path, history, since=START, until=START + QUARTER, files=1)
    path = export.path / "manifest-files.json"
    entry = json.loads(path.read_text())
    entry["dataFileS3Key"] = key.format(id=export.export_id, name=export.files[0].path.name)
    path.write_text(json.dumps(entry))
    (export.path / "manifest-files.md5").unlink()
    with pytest.raises(SourceError, match=r"key of a data file|does not lie in"):
        find_export(str(export.path), incremental=True)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/exports missing: the real incremental export is not here")
def test_the_real_incremental_export_is_found() -> None:
    found = find_export(str(REAL), incremental=True)
    assert (found.kind, found.item_count, len(found.files)) == ("incremental", 15, 4)
    records = lines_of(found)
    kinds = [("NewImage" in record, "OldImage" in record) for record in records]
    assert [kinds.count(kind) for kind in ((True, False), (True, True), (False, True))] == [1, 8, 6]


def test_impossible_windows_are_refused(tmp_path: Path) -> None:
    history = make_history(shape="users", keys=5, writes=9, seed=1)
    with pytest.raises(UsageError):
        write_increment(tmp_path, history, since=START, until=START)
    with pytest.raises(UsageError):
        write_increment(tmp_path, history, since=FIRST_EXPORT, until=START + QUARTER)
