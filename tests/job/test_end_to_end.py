"""The whole job with the compiled decoder: made-up exports into the embedded engine, against the slow twin's rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from job.twin import TwinDecoder, user, users_table, write_export

from transformer.errors import ExitCode, MismatchError, SchemaError, SourceError, UsageError
from transformer.job.request import SnapshotRequest
from transformer.job.result import Status
from transformer.job.snapshot import run
from transformer.load.destination import open_destination
from transformer.schema.table import Column, VersionFrom
from transformer.schema.types import parse
from transformer.synth import write_export as synthesize

pytestmark = pytest.mark.timeout(240)

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("shape", ["users", "orders"])
def test_the_compiled_decoder_and_the_twin_fill_equal_tables(
    tmp_path: Path, chdb_url: str, unique_name: str, shape: str
) -> None:
    export = synthesize(tmp_path, shape=shape, items=1500, files=3, seed=11, empty_files=1, shuffle=True)
    request = {
        "export": str(export.path),
        "schema": SCHEMAS / f"{shape}.yaml",
        "destination": chdb_url,
        "workers": 2,
    }
    fast = run(SnapshotRequest(table=f"{unique_name}_fast", **request))  # type: ignore[arg-type]
    slow = run(SnapshotRequest(table=f"{unique_name}_slow", **request), decoder=TwinDecoder)  # type: ignore[arg-type]
    assert fast.error is None
    assert fast.status is slow.status is Status.COMPLETE
    assert fast.rows_inserted == slow.rows_inserted == fast.items_in_manifest == 1500
    destination = open_destination(chdb_url)
    try:
        for one, other in (("fast", "slow"), ("slow", "fast")):
            left = f"SELECT * FROM {unique_name}_{one} FINAL EXCEPT SELECT * FROM {unique_name}_{other} FINAL"
            assert destination.query(f"SELECT count() FROM ({left}) FORMAT TSV") == b"0\n"
        assert destination.query(f"SELECT count() FROM {unique_name}_fast FINAL FORMAT TSV") == b"1500\n"
    finally:
        destination.close()


def test_an_item_whose_key_is_of_another_type_and_is_rejected_stops_nothing(tmp_path: Path) -> None:
    lines = [user(1), user(2, id={"BOOL": True}), user(3)]
    result = run(
        SnapshotRequest(export=str(write_export(tmp_path, [lines])), schema=users_table(), destination="null:")
    )
    assert result.error is None
    assert result.rejects_by_code == {"WRONG_TAG": 1}
    assert result.rows_inserted == 2


def test_keys_of_two_types_are_found_by_the_compiled_decoder_too(tmp_path: Path) -> None:
    lines = [user(1, id={"S": "1"}), user(2, id={"N": "1"})]
    result = run(
        SnapshotRequest(export=str(write_export(tmp_path, [lines])), schema=users_table(), destination="null:")
    )
    assert isinstance(result.error, SourceError)
    assert "not keys of one DynamoDB table" in str(result.error)


def test_items_that_became_one_row_fail_the_run(tmp_path: Path, chdb_url: str, unique_name: str) -> None:
    """The sort key was forgotten in the schema: every insert succeeds, and the table still lacks an item."""
    lines = [user(1, id={"S": "a"}), user(2, id={"S": "a"}), user(3, id={"S": "b"})]
    request = SnapshotRequest(
        export=str(write_export(tmp_path, [lines])), schema=users_table(), table=unique_name, destination=chdb_url
    )
    result = run(request)
    assert result.rows_inserted == 3
    assert result.keys_in_table == 2
    assert isinstance(result.error, MismatchError)
    assert result.exit_code == ExitCode.MISMATCH
    assert "whole key" in result.error.remedy


def test_other_keys_in_the_table_are_no_fault(tmp_path: Path, chdb_url: str, unique_name: str) -> None:
    # The second export's rows have a version above those of the first.
    for number, table in ((1, users_table()), (2, users_table(version_from=VersionFrom.EXPORT_TIME))):
        folder = tmp_path / str(number)
        folder.mkdir()
        result = run(
            SnapshotRequest(
                export=str(write_export(folder, [[user(number)]])),
                schema=table,
                table=unique_name,
                destination=chdb_url,
            )
        )
        assert result.error is None
        assert result.keys_in_table == number


def test_columns_that_contradict_each_other_are_refused_before_a_table_is_made(
    tmp_path: Path, chdb_url: str, unique_name: str
) -> None:
    table = users_table()
    clash = (
        Column("m", ("m",), parse("Map(String, String)")),
        Column("c", ("m", "c"), parse("Nullable(String)")),
    )
    result = run(
        SnapshotRequest(
            export=str(write_export(tmp_path, [[user(1)]])),
            schema=replace(table, columns=(*table.columns, *clash)),
            table=unique_name,
            destination=chdb_url,
        )
    )
    assert isinstance(result.error, SchemaError)
    destination = open_destination(chdb_url)
    try:
        assert destination.query(f"EXISTS TABLE {unique_name} FORMAT TSV") == b"0\n"
    finally:
        destination.close()


@pytest.mark.parametrize("name", ["", "a/b", "../zz", "a.b", "x" * 300])
def test_a_table_name_from_outside_is_checked_like_that_of_a_schema_file(tmp_path: Path, name: str) -> None:
    result = run(
        SnapshotRequest(
            export=str(write_export(tmp_path, [[user(1)]])), schema=users_table(), table=name, destination="null:"
        )
    )
    assert isinstance(result.error, UsageError)
    assert "--table" in str(result.error)
