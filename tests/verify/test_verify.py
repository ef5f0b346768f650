"""A loaded table is proved; and whatever is done to it afterwards is found, by the cheapest check that can."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from job.twin import bad_user, user, users_table, write_export

from transformer.errors import ConflictError, ExitCode, UsageError
from transformer.job.request import SnapshotRequest
from transformer.job.snapshot import run as load
from transformer.load.destination import Destination, open_destination
from transformer.schema.file import load_schema
from transformer.schema.table import VersionFrom
from transformer.schema.types import Nullable
from transformer.synth import write_export as synthesize
from transformer.verify.result import Finding, VerifyResult
from transformer.verify.run import VerifyRequest, run

pytestmark = pytest.mark.timeout(280)

SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.fixture
def url(chdb_url: str, unique_name: str) -> str:
    return f"{chdb_url}?database=verify_{unique_name}"


@pytest.fixture
def engine(url: str, unique_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Destination]:
    monkeypatch.chdir(tmp_path)
    destination = open_destination(url)
    yield destination
    destination.query(f"DROP DATABASE verify_{unique_name}")
    destination.close()


@pytest.fixture
def users(tmp_path: Path, url: str, engine: Destination) -> Path:
    """A loaded export of 60 users in three files, one of them rejected."""
    first, second, third = ([user(n) for n in numbers] for numbers in (range(30), range(30, 49), range(50, 60)))
    export = write_export(tmp_path, [first, [*second, bad_user(49)], third])
    result = load(SnapshotRequest(export=str(export), schema=users_table(), destination=url, max_rejects=1))
    assert result.exit_code == 0, result.error
    return export


@pytest.fixture
def verify(url: str) -> Callable[..., VerifyResult]:
    def verified(export: Path, **options: Any) -> VerifyResult:
        request = {"schema": users_table(), "destination": url} | options
        return run(VerifyRequest(export=str(export), **request))

    return verified


def findings(result: VerifyResult) -> dict[str, str]:
    assert result.error is None, result.error
    return {check.name: check.finding.value for check in result.checks}


def everything(result: VerifyResult) -> str:
    return " ".join(text for check in result.checks for text in (check.detail, *check.differences))


def tables(engine: Destination) -> set[str]:
    return set(engine.query("SHOW TABLES FORMAT TSV").decode().split())


def test_what_was_loaded_is_proved_by_every_check(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination
) -> None:
    before = tables(engine)
    result = verify(users, sample=1000, full=True, workers=2)
    assert findings(result) == {"accounts": "proved", "keys": "proved", "sample": "proved", "rows": "proved"}
    assert (result.rows, result.rejects_open, result.exit_code) == (59, 1, 0)
    record = result.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["status"] == "proved"
    assert "59 items are as they should be (1 rejected, as when they were loaded)" in everything(result)
    assert tables(engine) == before  # the staging table is gone


@pytest.mark.parametrize("shape", ["orders", "users"])
def test_every_type_is_compared(
    tmp_path: Path, url: str, engine: Destination, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = synthesize(tmp_path, shape=shape, items=600, files=3, seed=5)
    schema = SCHEMAS / f"{shape}.yaml"
    request = {"export": str(export.path), "schema": schema, "destination": url}
    assert load(SnapshotRequest(**request)).exit_code == 0  # type: ignore[arg-type]
    result = run(VerifyRequest(sample=150, full=True, **request))  # type: ignore[arg-type]
    assert set(findings(result).values()) == {"proved"}, everything(result)
    # One column of each kind is changed; both ways of comparing values see every one.
    changes = {
        "String": "concat({0}, 'x')",
        "LowCardinality(String)": "concat({0}, 'x')",
        "Float64": "{0} + 1",
        "Bool": "NOT {0}",
        "UUID": "generateUUIDv4()",
        "Array(String)": "arrayPushBack({0}, 'x')",
    }
    table = load_schema(schema)
    changed: dict[str, str] = {}
    for column in table.columns:
        kind = column.type.inner.sql if isinstance(column.type, Nullable) else column.type.sql
        if kind in changes and column.name not in table.key and kind not in {changed[name] for name in changed}:
            changed[column.name] = kind
    assert changed
    updates = ", ".join(f"`{name}` = {changes[kind].format(f'`{name}`')}" for name, kind in changed.items())
    engine.query(f"ALTER TABLE `{table.name}` UPDATE {updates} WHERE 1 SETTINGS mutations_sync = 2")
    monkeypatch.setattr("transformer.verify.sample.SHOWN", 10_000)
    monkeypatch.setattr("transformer.verify.staging.SHOWN", 10_000)
    result = run(VerifyRequest(sample=1000, full=True, **request))  # type: ignore[arg-type]
    found = {check.name: check for check in result.checks}
    assert [found[name].finding.value for name in ("keys", "sample", "rows")] == ["proved", "mismatch", "mismatch"]
    for name in changed:
        for check in ("sample", "rows"):
            assert any(f"column {name} is" in text for text in found[check].differences), (name, check)
    assert result.exit_code == ExitCode.MISMATCH


@pytest.mark.parametrize("lost", [1, 59])
def test_lost_rows_are_found_from_the_ledger_alone(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination, lost: int
) -> None:
    engine.query(f"DELETE FROM users WHERE id IN (SELECT id FROM users ORDER BY id LIMIT {lost})")
    result = verify(users)
    assert findings(result) == {"accounts": "proved", "keys": "mismatch"}
    assert f"lacks {lost} of the 59 keys" in everything(result)
    assert result.exit_code == ExitCode.MISMATCH
    full = verify(users, full=True, sample=1000)
    assert findings(full)["rows"] == findings(full)["sample"] == "mismatch"
    assert "'user-000000' is in the export and not in the table" in everything(full)
    assert "no row for id 'user-000000'" in everything(full)


def test_rows_that_nobody_exported_are_found(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination
) -> None:
    engine.query("INSERT INTO users (id, version) VALUES ('stranger', 0)")
    result = verify(users, full=True)
    assert findings(result) == {"accounts": "proved", "keys": "mismatch", "rows": "mismatch"}
    assert "1 keys too many" in everything(result)
    assert "id 'stranger' is in the table and not in the export" in everything(result)


def test_a_key_in_place_of_another_is_found(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination
) -> None:
    engine.query("DELETE FROM users WHERE id = 'user-000007'")
    engine.query("INSERT INTO users (id, version) VALUES ('user-000007 ', 0)")
    result = verify(users)
    assert findings(result)["keys"] == "mismatch"
    assert "as many keys as were loaded, but not the same" in everything(result)


def test_a_changed_value_is_not_seen_by_digests_and_seen_by_the_others(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination
) -> None:
    engine.query("ALTER TABLE users UPDATE age = age + 1 WHERE id = 'user-000005' SETTINGS mutations_sync = 2")
    result = verify(users, full=True, sample=1000)
    assert findings(result) == {"accounts": "proved", "keys": "proved", "sample": "mismatch", "rows": "mismatch"}
    assert everything(result).count("column age is 6, not 5") == 2


def test_rows_of_before_that_the_export_does_not_have_are_found(
    tmp_path: Path, url: str, engine: Destination, verify: Callable[..., VerifyResult]
) -> None:
    table = users_table(version_from=VersionFrom.EXPORT_TIME)
    export = write_export(tmp_path, [[user(n) for n in range(10)]])
    assert load(SnapshotRequest(export=str(export), schema=table, destination=url)).exit_code == 0
    assert findings(verify(export, schema=table))["keys"] == "proved"
    engine.query("INSERT INTO users (id, version) VALUES ('deleted long ago', 5)")
    result = verify(export, schema=table)
    assert findings(result)["keys"] == "mismatch"
    assert "1 keys in the table are older than the export" in everything(result)


# What the stream brings later is no difference.


def later(engine: Destination, numbers: range, *, deleted: int = 0, version: int = 5) -> None:
    rows = f"SELECT number, {version}, {deleted} FROM numbers({numbers.start}, {len(numbers)})"
    named = rows.replace("number,", "concat('user-', leftPad(toString(number), 6, '0')),")
    engine.query(f"INSERT INTO users (id, version, is_deleted) {named}")


def test_new_keys_of_the_stream_are_no_difference(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination
) -> None:
    later(engine, range(1000, 1010))
    result = verify(users, full=True)
    assert findings(result) == {"accounts": "proved", "keys": "proved", "rows": "proved"}
    assert "10 more came later" in everything(result)


def test_changes_and_deletions_that_all_concern_exported_items_are_proved_without_reading(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination
) -> None:
    later(engine, range(4))
    later(engine, range(4, 7), deleted=1)
    later(engine, range(2, 3), deleted=1, version=7)
    later(engine, range(5, 6), version=9)  # deleted, and there again
    result = verify(users, sample=1000)
    assert findings(result) == {"accounts": "proved", "keys": "proved", "sample": "proved"}
    assert "7 of them changed or deleted since" in everything(result)
    assert "52 items are as they should be (7 changed or deleted since" in everything(result)


@pytest.mark.parametrize("optimized", [False, True])
def test_changes_and_new_keys_together_are_consistent_and_proved_in_full(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination, optimized: bool
) -> None:
    later(engine, range(4))
    later(engine, range(4, 7), deleted=1)
    later(engine, range(1000, 1005))
    if optimized:
        engine.query("OPTIMIZE TABLE users FINAL")
    result = verify(users)
    assert findings(result) == {"accounts": "proved", "keys": "consistent"}
    assert result.exit_code == ExitCode.DONE
    assert "the other 7 are among 12" in everything(result)
    full = verify(users, full=True)
    assert set(findings(full).values()) == {"proved"}
    assert "7 of them changed or deleted since" in everything(full)
    # A loss beside all that is found in full, and by counting when it is larger than what came later.
    engine.query("DELETE FROM users WHERE id = 'user-000020'")
    assert verify(users).finding is Finding.CONSISTENT
    assert verify(users, full=True).finding is Finding.MISMATCH
    engine.query("DELETE FROM users WHERE id BETWEEN 'user-000020' AND 'user-000030'")
    assert verify(users).finding is Finding.MISMATCH


# The books.


def test_an_unfinished_load_is_no_proof(users: Path, verify: Callable[..., VerifyResult], engine: Destination) -> None:
    engine.query("DELETE FROM _dynamo2ch_files WHERE file LIKE '%b.json.gz'")
    result = verify(users)
    assert findings(result)["accounts"] == "mismatch"
    assert "b.json.gz is not loaded" in everything(result)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("items = items + 1", "in the ledger"),
        ("rows = rows - 1", "rows and"),
        ("md5 = 'x'", "has MD5"),
        ("keys_count = keys_count + 1", "keys"),
    ],
)
def test_books_that_do_not_add_up_are_found(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination, change: str, says: str
) -> None:
    engine.query(f"ALTER TABLE _dynamo2ch_files UPDATE {change} WHERE rejects = 1 SETTINGS mutations_sync = 2")
    result = verify(users)
    assert findings(result)["accounts"] == "mismatch"
    assert says in everything(result)


def test_manifests_that_are_not_those_of_the_load_are_found(users: Path, verify: Callable[..., VerifyResult]) -> None:
    summary = users / "manifest-summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()), indent=2))
    result = verify(users)
    assert findings(result)["accounts"] == "mismatch"
    assert "manifest-summary.json has MD5" in everything(result)


def test_an_export_that_was_never_loaded_is_a_conflict(
    tmp_path: Path, users: Path, verify: Callable[..., VerifyResult]
) -> None:
    other = write_export(tmp_path / "other", [[user(1)]])
    result = verify(other)
    assert isinstance(result.error, ConflictError)
    assert result.exit_code == ExitCode.CONFLICT
    assert "knows of no load" in result.error.message
    assert verify(users, schema=replace(users_table(), name="nobody")).exit_code == ExitCode.CONFLICT


def test_another_schema_is_a_conflict(users: Path, verify: Callable[..., VerifyResult]) -> None:
    result = verify(users, schema=replace(users_table(), drop=(("first_name",),)))
    assert isinstance(result.error, ConflictError)
    assert "another schema" in result.error.message


def test_what_keeps_nothing_cannot_be_verified(users: Path, verify: Callable[..., VerifyResult]) -> None:
    assert isinstance(verify(users, destination="null:").error, UsageError)


@pytest.mark.parametrize("options", [{"sample": -1}, {"workers": 0}])
def test_numbers_that_mean_nothing_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        VerifyRequest(export="x", **options)  # type: ignore[arg-type]


def test_a_damaged_file_ends_a_full_verification_and_drops_the_staging_table(
    users: Path, verify: Callable[..., VerifyResult], engine: Destination
) -> None:
    before = tables(engine)
    first = min((users / "data").iterdir())
    first.write_bytes(first.read_bytes()[:-9] + b"\0" * 9)
    result = verify(users, full=True)
    assert result.exit_code == ExitCode.INPUT
    assert tables(engine) == before
