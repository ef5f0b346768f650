"""Incremental exports through the whole job into ClickHouse: any history comes out as its last state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from transformer.errors import ConflictError, ExitCode, SchemaError, SourceError
from transformer.job.request import SnapshotRequest
from transformer.job.result import SnapshotResult, Status
from transformer.job.snapshot import run
from transformer.schema.file import load_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import parse
from transformer.source.window import Window, first_window
from transformer.synth.history import History, history, key_text, make_history
from transformer.synth.increments import micros_of, write_full, write_increment
from transformer.synth.manifests import FIRST_EXPORT

if TYPE_CHECKING:
    from transformer.load.destination import Destination

pytestmark = pytest.mark.timeout(240)

SCHEMAS = Path(__file__).parents[2] / "schemas"
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "exports" / "awslabs-incremental"
START = FIRST_EXPORT.replace(microsecond=0)
SNAPSHOT = START + timedelta(hours=1, milliseconds=622)
FIRST = first_window(SNAPSHOT)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Loader:
    """Loads exports of one history into one table."""

    def __init__(self, folder: Path, past: History, table: Table, url: str) -> None:
        self.folder, self.past, self.table, self.url = folder, past, table, url

    def _run(self, export: Path, **options: Any) -> SnapshotResult:
        return run(SnapshotRequest(export=str(export), schema=self.table, destination=self.url, **options))

    def snapshot(self) -> SnapshotResult:
        result = self._run(write_full(self.folder, self.past, at=SNAPSHOT, files=2).path)
        result.raise_for_status()
        return result

    def increment(self, window: Window, view: Any = "NEW_AND_OLD_IMAGES", **options: Any) -> SnapshotResult:
        export = write_increment(self.folder, self.past, since=window.since, until=window.until, view=view, files=2)
        return self._run(export.path, incremental=True, **options)

    def differences(self, destination: Destination) -> int:
        """Rows that differ, but for their version, from those of a full export of the end, loaded into a new table."""
        other = replace(self.table, name=f"{self.table.name}_end")
        end = write_full(self.folder / "end", self.past, at=self.past_end(), files=1)
        run(SnapshotRequest(export=str(end.path), schema=other, destination=self.url)).raise_for_status()
        count = 0
        for one, two in ((self.table.name, other.name), (other.name, self.table.name)):
            left, right = (f"SELECT * EXCEPT (version) FROM {name} FINAL" for name in (one, two))
            count += int(destination.query(f"SELECT count() FROM ({left} EXCEPT {right}) FORMAT TSV"))
        return count

    def past_end(self) -> Any:
        return START + 6 * HOUR


def table_of(shape: str, name: str) -> Table:
    return replace(load_schema(SCHEMAS / f"{shape}.yaml"), name=name)


def holed(past: History, first: Window) -> bool:
    """Whether an item was put in the first window before the snapshot and deleted in it after: the known hole."""
    seen = {key_text({name: item[name] for name in past.key}) for item in past.state(micros_of(SNAPSHOT))}
    since = {key_text(c.key) for c in past.between(micros_of(first.since), micros_of(SNAPSHOT)) if c.old is None}
    gone = {key_text(c.key) for c in past.between(micros_of(SNAPSHOT), micros_of(first.until)) if c.new is None}
    return bool(seen & since & gone)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["users", "orders"]),
    st.integers(0, 10_000),
    st.sampled_from(["NEW_AND_OLD_IMAGES", "NEW_IMAGE"]),
    st.permutations(range(4)),
    st.lists(st.integers(0, 3), max_size=2),
)
def test_snapshot_and_windows_in_any_order_any_number_of_times_give_the_final_state(
    tmp_path: Path,
    chdb_url: str,
    chdb_destination: Destination,
    shape: str,
    seed: int,
    view: Any,
    order: Any,
    again: Any,
) -> None:
    past = make_history(shape=shape, keys=9, writes=70, seed=seed, start=START, seconds=3.5 * 3600)
    assume(not holed(past, FIRST))
    name = f"any_{shape}_{seed}_{''.join(map(str, order))}_{len(view)}_{''.join(map(str, again))}"
    loader = Loader(tmp_path / name, past, table_of(shape, name), chdb_url)
    windows = [FIRST, Window(FIRST.until, FIRST.until + HOUR), Window(FIRST.until + HOUR, START + 6 * HOUR)]
    for number in [*order, *again]:
        if number == 3:
            loader.snapshot()
        else:
            loader.increment(windows[number], view, allow_gap=True).raise_for_status()
    assert loader.differences(chdb_destination) == 0


def users(*writes: tuple[timedelta, str, int | None]) -> History:
    steps = []
    for at, name, age in writes:
        key = {"id": {"S": name}}
        steps.append((micros_of(START + at), key, None if age is None else {**key, "age": {"N": str(age)}}))
    return history("users", ("id",), steps)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


PAST = users(
    (minutes(1), "a", 1), (minutes(2), "b", 2), (minutes(3), "c", 3),
    (minutes(90), "a", 10), (minutes(100), "b", None), (minutes(130), "d", 4), (minutes(131), "c", None),
    (minutes(132), "c", 30),
)  # fmt: skip


@pytest.fixture
def loader(tmp_path: Path, chdb_url: str, unique_name: str) -> Loader:
    return Loader(tmp_path, PAST, table_of("users", unique_name), chdb_url)


def test_a_chain_is_loaded_and_says_how_far_it_is(loader: Loader, chdb_destination: Destination) -> None:
    loader.snapshot()
    first = loader.increment(FIRST)
    assert (first.status, first.exact_until) == (Status.COMPLETE, "2026-11-23T01:01:01.000000Z")
    second = loader.increment(Window(FIRST.until, FIRST.until + HOUR))
    assert (second.rows_inserted, second.items_in_manifest) == (2, 2)
    third = loader.increment(Window(FIRST.until + HOUR, START + 6 * HOUR))
    assert third.to_dict()["exact_until"] == "2026-11-23T06:00:00.000000Z"
    assert not third.warnings
    assert loader.differences(chdb_destination) == 0
    name = loader.table.name
    rows = chdb_destination.query(f"SELECT id, age, version, is_deleted FROM {name} ORDER BY id, version FORMAT TSV")
    assert rows.decode().splitlines()[-1] == f"d\t4\t{micros_of(START + minutes(130))}\t0"
    tombstone = f"SELECT * FROM {name} WHERE is_deleted ORDER BY id FORMAT TSV"
    assert chdb_destination.query(tombstone).decode().split("\t")[0] == "b"


def test_a_window_that_was_loaded_is_skipped(loader: Loader) -> None:
    loader.snapshot()
    loader.increment(FIRST).raise_for_status()
    second = Window(FIRST.until, FIRST.until + HOUR)
    loader.increment(second).raise_for_status()
    again = loader.increment(second)
    assert (again.status, again.rows_inserted, again.files_skipped) == (Status.COMPLETE, 0, 2)
    other_view = loader.increment(second, "NEW_IMAGE")
    assert (other_view.status, other_view.rows_inserted) == (Status.COMPLETE, 2)


def test_a_gap_is_refused_and_can_be_allowed(loader: Loader, chdb_destination: Destination) -> None:
    loader.snapshot()
    later = Window(FIRST.until + HOUR, START + 6 * HOUR)
    for window in (later, Window(SNAPSHOT.replace(microsecond=0), START + 2 * HOUR)):
        refused = loader.increment(window)
        assert isinstance(refused.error, ConflictError)
        assert refused.exit_code == ExitCode.CONFLICT
    loader.increment(FIRST).raise_for_status()
    gap = loader.increment(later)
    assert "until 2026-11-23T02:01:01Z they would be missing" in str(gap.error)
    allowed = loader.increment(later, allow_gap=True)
    assert (allowed.status, allowed.exact_until) == (Status.COMPLETE, "2026-11-23T01:01:01.000000Z")
    assert any("no window begins where the window 2026-11-23T02:01:01Z" in warning for warning in allowed.warnings)
    filled = loader.increment(Window(FIRST.until, FIRST.until + HOUR))
    assert (filled.exact_until, filled.warnings) == ("2026-11-23T06:00:00.000000Z", [])
    assert loader.differences(chdb_destination) == 0


def test_without_a_snapshot_there_is_nothing_to_follow(loader: Loader) -> None:
    assert "knows no full export" in str(loader.increment(FIRST).error)


def test_a_dry_run_asks_for_no_chain(loader: Loader) -> None:
    result = loader.increment(Window(FIRST.until + HOUR, START + 6 * HOUR), dry_run=True)
    assert (result.status, result.items_read) == (Status.COMPLETE, 2)


def test_a_key_that_is_not_proven_is_refused_for_changes_and_taken_for_a_full_export(
    loader: Loader, tmp_path: Path
) -> None:
    schema = tmp_path / "unproven.yaml"
    key = ", ".join(loader.table.key)
    columns = "".join(f"  - {{name: {name}, type: String}}\n" for name in loader.table.key)
    schema.write_text(f"table: unproven\nkey: [{key}]  # not proven\ncolumns:\n{columns}")
    export = write_increment(loader.folder, PAST, since=FIRST.since, until=FIRST.until, files=2)
    refused = run(SnapshotRequest(export=str(export.path), incremental=True, schema=schema, destination="null:"))
    assert isinstance(refused.error, SchemaError)
    assert "not proven" in str(refused.error)
    assert "--key" in refused.error.remedy
    full = write_full(loader.folder, PAST, at=SNAPSHOT)
    taken = run(SnapshotRequest(export=str(full.path), schema=schema, destination="null:"))
    assert not isinstance(taken.error, SchemaError)
    assert taken.items_read > 0


def test_a_full_export_is_no_increment(loader: Loader) -> None:
    full = write_full(loader.folder, PAST, at=SNAPSHOT)
    result = run(SnapshotRequest(export=str(full.path), incremental=True, schema=loader.table, destination=loader.url))
    assert isinstance(result.error, SourceError)


def test_a_change_that_does_not_fit_is_quarantined_and_the_rest_is_loaded(loader: Loader) -> None:
    loader.past = users((minutes(1), "a", 1), (minutes(70), "a", 40_000), (minutes(71), "b", 2))
    loader.snapshot()
    loader.increment(FIRST).raise_for_status()
    result = loader.increment(Window(FIRST.until, FIRST.until + HOUR))
    assert (result.status, result.rows_inserted) == (Status.COMPLETE_WITH_REJECTS, 1)
    (reject,) = result.first_rejects
    assert (reject.code, reject.path) == ("OUT_OF_RANGE", "age")


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/exports missing: the real incremental export is not here")
def test_the_real_incremental_export_loads_and_reads_back(
    chdb_url: str, chdb_destination: Destination, unique_name: str
) -> None:
    """Every line's key, time, and image or its absence, as plain json reads them."""
    import gzip
    import json

    from transformer.source.export import find_export

    found = find_export(str(REAL), incremental=True)
    records = [
        json.loads(line)
        for file in found.files
        for line in gzip.decompress(Path(file.url.removeprefix("file://")).read_bytes()).splitlines()
    ]
    names = sorted(records[0]["Keys"])
    columns = tuple(Column(f"k{number}", (name,), parse("String")) for number, name in enumerate(names))
    table = Table(unique_name, tuple(column.name for column in columns), columns, raw_column="_raw")
    result = run(
        SnapshotRequest(export=str(REAL), incremental=True, schema=table, destination=chdb_url, allow_gap=True)
    )
    result.raise_for_status()
    assert (result.status, result.rows_inserted) == (Status.COMPLETE, 15)
    keys = ", ".join(table.key)
    rows = chdb_destination.query(
        f"SELECT {keys}, toString(version), is_deleted, _raw FROM {unique_name} FORMAT JSONCompactEachRow"
    )
    got = sorted(json.loads(row) for row in rows.splitlines())
    wanted = sorted(
        [
            *(next(iter(record["Keys"][name].values())) for name in names),
            record["Metadata"]["WriteTimestampMicros"]["N"],
            int("NewImage" not in record),
            json.dumps(_sorted(record["NewImage"]), separators=(",", ":"), ensure_ascii=False)
            if "NewImage" in record
            else "",
        ]
        for record in records
    )
    assert got == wanted


def _sorted(value: Any) -> Any:
    """Canonical: members by name at every level, sets in order."""
    if isinstance(value, dict):
        return {
            name: sorted(inner) if name in ("SS", "NS", "BS") and isinstance(inner, list) else _sorted(inner)
            for name, inner in sorted(value.items())
        }
    return [_sorted(element) for element in value] if isinstance(value, list) else value
