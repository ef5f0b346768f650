"""What write_export leaves on disk is an AWS export in every byte that can be checked, and always the same one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from synth_checker import check_data_file, check_export, item_of

from transformer.errors import UsageError
from transformer.source.export import find_export
from transformer.synth import lines, shape_names, write_export

FEW = {"wide": 150, "hostile": 60}  # bulky shapes


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("shape", shape_names())
def test_every_shape_is_written_in_aws_layout_with_true_manifests(shape: str, tmp_path: Path) -> None:
    items = FEW.get(shape, 700)
    export = write_export(tmp_path, shape=shape, items=items, files=3, seed=5)
    summary, files = check_export(export.path, tmp_path)
    assert summary["itemCount"] == export.item_count == items
    assert len(files) == len(export.files) == 3
    assert summary["tableArn"].endswith(f":table/{shape}")
    assert export.table == shape
    assert summary["exportArn"] == export.export_arn
    assert sorted(line + b"\n" for file in files for line in file) == sorted(lines(shape, items, 5))


def test_numbers_in_the_result_are_those_of_the_files(tmp_path: Path) -> None:
    export = write_export(tmp_path, shape="orders", items=500, files=2, seed=1, empty_files=1)
    first = 0
    for file in export.files:
        content = file.path.read_bytes()
        found = check_data_file(content, file.written.item_count)
        assert file.written.gz_bytes == len(content)
        assert file.written.json_bytes == sum(len(line) + 1 for line in found)
        assert found == [line[:-1] for line in lines("orders", len(found), 1, first=file.first_item)]
        assert file.first_item == first
        first += len(found)
    assert export.gz_bytes == sum(len(file.path.read_bytes()) for file in export.files)
    assert export.ratio == pytest.approx(export.json_bytes / export.gz_bytes)


def test_same_arguments_give_the_same_bytes_whatever_the_workers_and_the_folder(tmp_path: Path) -> None:
    one = write_export(tmp_path / "one", shape="orders", items=3000, files=5, seed=9, workers=1)
    two = write_export(tmp_path / "two", shape="orders", items=3000, files=5, seed=9, workers=4)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert one.export_id == two.export_id


def test_writing_again_replaces_an_export_by_the_same_bytes(tmp_path: Path) -> None:
    write_export(tmp_path, shape="users", items=100, files=2, seed=9)
    before = tree(tmp_path)
    write_export(tmp_path, shape="users", items=100, files=2, seed=9)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"items": 101},
        {"files": 3},
        {"ratio": 8.0},
        {"shuffle": True},
        {"table": "people"},
        {"empty_files": 1},
        {"export_time": datetime(2027, 1, 2, tzinfo=UTC)},
    ],
)
def test_exports_that_differ_stand_beside_each_other(change: dict[str, object], tmp_path: Path) -> None:
    arguments = {"shape": "users", "items": 100, "files": 2, "seed": 1}
    one = write_export(tmp_path, **arguments)  # type: ignore[arg-type]
    other = write_export(tmp_path, **(arguments | change))  # type: ignore[arg-type]
    assert one.path != other.path
    check_export(one.path, tmp_path)
    check_export(other.path, tmp_path)


@pytest.mark.parametrize(
    ("prefix", "root"),
    [(None, ""), ("", ""), ("nightly", "nightly/"), ("a/b/", "a/b/"), ("odd 'n=ame é", "odd 'n=ame é/")],
)
def test_keys_begin_with_the_prefix_and_one_slash(prefix: str | None, root: str, tmp_path: Path) -> None:
    export = write_export(tmp_path, shape="users", items=10, files=1, seed=1, prefix=prefix)
    summary, _ = check_export(export.path, tmp_path)
    assert summary["s3Prefix"] == prefix
    assert summary["manifestFilesS3Key"] == f"{root}AWSDynamoDB/{export.export_id}/manifest-files.json"


def test_partitions_without_items_give_empty_files(tmp_path: Path) -> None:
    export = write_export(tmp_path, shape="orders", items=1, files=4, seed=1, empty_files=2)
    _, files = check_export(export.path, tmp_path)
    assert sorted(map(len, files)) == [0, 0, 0, 0, 0, 1]


def test_an_empty_table_gives_empty_files_only(tmp_path: Path) -> None:
    export = write_export(tmp_path, shape="orders", items=0, files=2, seed=1)
    summary, files = check_export(export.path, tmp_path)
    assert summary["itemCount"] == 0
    assert files == [[], []]


def test_files_hold_nearly_but_not_exactly_equal_shares(tmp_path: Path) -> None:
    export = write_export(tmp_path, shape="users", items=8000, files=4, seed=3)
    counts = [file.written.item_count for file in export.files]
    assert len(set(counts)) > 1
    assert all(1800 <= count <= 2200 for count in counts)


def test_the_export_time_is_that_of_id_and_manifest(tmp_path: Path) -> None:
    moment = datetime(2027, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC)
    export = write_export(tmp_path, shape="users", items=5, files=1, seed=1, export_time=moment)
    summary, _ = check_export(export.path, tmp_path)
    assert summary["exportTime"] == summary["startTime"] == "2027-03-04T05:06:07.891Z"
    assert export.export_id.startswith(f"0{int(moment.timestamp() * 1000)}-")
    assert export.export_time == moment.replace(microsecond=891_000)


def test_the_source_room_finds_the_export_as_a_full_one(tmp_path: Path) -> None:
    written = write_export(tmp_path, shape="orders", items=50, files=2, seed=1, prefix="p/q", empty_files=1)
    found = find_export(str(written.path))
    assert found.kind == "full"
    assert not found.warnings
    assert found.item_count == 50
    assert found.table_name == "orders"
    assert found.export_arn == written.export_arn
    assert found.export_time == written.export_time
    assert {file.md5 for file in found.files} == {file.written.md5 for file in written.files}


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": "nothing"},
        {"items": -1},
        {"files": 0},
        {"seed": -1},
        {"empty_files": -1},
        {"ratio": 3.9},
        {"ratio": 15.1},
        {"ratio": float("nan")},
        {"shape": "hostile", "ratio": 5.0},
        {"shape": "wide", "ratio": 15.0, "shuffle": True},
        {"prefix": "/absolute"},
        {"prefix": "up/../../side"},
        {"export_time": datetime(2027, 1, 1)},  # noqa: DTZ001 - naive on purpose
    ],
)
def test_impossible_arguments_are_refused_before_anything_is_written(wrong: dict[str, object], tmp_path: Path) -> None:
    arguments = {"shape": "users", "items": 10, "files": 1, "seed": 1} | wrong
    with pytest.raises(UsageError):
        write_export(tmp_path, **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [1, 20])
@pytest.mark.parametrize("ratio", [4, 6, 10, 15])
@pytest.mark.parametrize(("shape", "items"), [("users", 4000), ("orders", 2500), ("wide", 800)])
def test_the_ratio_that_was_asked_for_is_reached_within_a_quarter(
    shape: str, items: int, ratio: float, seed: int, tmp_path: Path
) -> None:
    export = write_export(tmp_path, shape=shape, items=items, files=2, seed=seed, ratio=ratio)
    assert export.ratio == pytest.approx(ratio, rel=0.25)


@pytest.mark.parametrize(("shape", "ratio"), [("users", 15), ("orders", 4), ("orders", 15), ("wide", 4), ("wide", 10)])
def test_the_ratio_is_reached_with_shuffled_items_too(shape: str, ratio: float, tmp_path: Path) -> None:
    export = write_export(tmp_path, shape=shape, items=1500, files=1, seed=4, ratio=ratio, shuffle=True)
    assert export.ratio == pytest.approx(ratio, rel=0.25)


def test_the_ratio_changes_values_but_not_what_the_items_are_like(tmp_path: Path) -> None:
    """Both benchmark inputs must be the same work for the decoder."""
    loose, tight = (
        write_export(tmp_path, shape="orders", items=4000, files=1, seed=1, ratio=ratio) for ratio in (4, 15)
    )
    assert tight.json_bytes == pytest.approx(loose.json_bytes, rel=0.05)
    counts = []
    for export in (loose, tight):
        _, files = check_export(export.path, tmp_path)
        counts.append(sum(len(item_of(line)) for file in files for line in file))
    assert counts[1] == pytest.approx(counts[0], rel=0.05)


def test_manifest_lines_are_in_no_order(tmp_path: Path) -> None:
    export = write_export(tmp_path, shape="users", items=400, files=12, seed=1)
    entries = (export.path / "manifest-files.json").read_text().splitlines()
    keys = [json.loads(entry)["dataFileS3Key"] for entry in entries]
    assert keys != sorted(keys)
    assert keys != [file.key for file in export.files]
