"""A newer full export over a live table: what was deleted in between goes, what came later stays."""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from transformer.errors import UsageError
from transformer.job import replace
from transformer.job.request import SnapshotRequest
from transformer.job.snapshot import run
from transformer.job.stop import StopSwitch
from transformer.load.ledger import JobState
from transformer.schema.file import load_schema
from transformer.source.window import Window, first_window
from transformer.synth.history import History, make_history
from transformer.synth.increments import write_full, write_increment
from transformer.synth.manifests import FIRST_EXPORT

if TYPE_CHECKING:
    from transformer.load.destination import Destination
    from transformer.schema.table import Table

pytestmark = pytest.mark.timeout(240)

SCHEMAS = Path(__file__).parents[2] / "schemas"
START = FIRST_EXPORT.replace(microsecond=0)
HOUR = timedelta(hours=1)
WAYS = {"replace": replace.replace, "tombstone_missing": replace.tombstone_missing}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def past() -> History:
    return make_history(shape="users", keys=40, writes=240, seed=3, start=START, seconds=6 * 3600, deletes=0.4)


@pytest.fixture
def table(unique_name: str) -> Table:
    return changed(load_schema(SCHEMAS / "users.yaml"), name=unique_name)


def full(folder: Path, past: History, hours: float) -> str:
    return str(write_full(folder, past, at=START + hours * HOUR, files=2).path)


def request(export: str, table: Table, url: str, **options: Any) -> SnapshotRequest:
    return SnapshotRequest(export=export, schema=table, destination=url, **options)


def rows(destination: Destination, name: str, columns: str = "* EXCEPT (version)") -> bytes:
    return destination.query(f"SELECT {columns} FROM {name} FINAL ORDER BY id FORMAT JSONEachRow")


@pytest.mark.parametrize("way", WAYS)
def test_what_was_deleted_goes_and_what_came_later_stays(
    tmp_path: Path, chdb_url: str, chdb_destination: Destination, past: History, table: Table, way: str
) -> None:
    run(request(full(tmp_path, past, 1), table, chdb_url)).raise_for_status()
    newer = full(tmp_path, past, 3)
    # A window brings changes from around the newer export and after it before that is loaded.
    window = Window(first_window(START + 3 * HOUR).since, START + 4 * HOUR)
    ahead = write_increment(tmp_path, past, since=window.since, until=window.until)
    run(request(str(ahead.path), table, chdb_url, incremental=True, allow_gap=True)).raise_for_status()
    result = WAYS[way](request(newer, table, chdb_url))
    assert (result.exit_code, result.table) == (0, table.name)
    truth = changed(table, name=f"{table.name}_truth")
    run(request(full(tmp_path / "truth", past, 4), truth, chdb_url)).raise_for_status()
    assert rows(chdb_destination, table.name) == rows(chdb_destination, truth.name)
    leftover = f"SELECT count() FROM system.tables WHERE name = '{table.name}{replace.SIDE}' FORMAT TSV"
    assert chdb_destination.query(leftover) == b"0\n"
    # The ledger knows the newer export: windows go on from it, and loading it again loads nothing.
    jobs = chdb_destination.ledger(table).jobs(table.name)
    alive = [job.export_id for job in jobs if job.state is JobState.COMPLETE]
    assert newer.rpartition("/")[2] in alive
    following = write_increment(tmp_path, past, since=window.until, until=START + 7 * HOUR)
    loaded = run(request(str(following.path), table, chdb_url, incremental=True))
    loaded.raise_for_status()
    assert loaded.exact_until == "2026-11-23T07:00:00.000000Z"
    end = changed(table, name=f"{table.name}_end")
    run(request(full(tmp_path / "end", past, 7), end, chdb_url)).raise_for_status()
    assert rows(chdb_destination, table.name) == rows(chdb_destination, end.name)


@pytest.mark.parametrize("way", WAYS)
def test_a_load_that_is_interrupted_changes_nothing_and_goes_on(
    tmp_path: Path, chdb_url: str, chdb_destination: Destination, past: History, table: Table, way: str
) -> None:
    run(request(full(tmp_path, past, 1), table, chdb_url)).raise_for_status()
    before = rows(chdb_destination, table.name, "*")
    newer = full(tmp_path, past, 5)
    stop = StopSwitch()
    stop.press(15)
    assert WAYS[way](request(newer, table, chdb_url), stop=stop).exit_code == 143
    assert rows(chdb_destination, table.name, "*") == before
    assert WAYS[way](request(newer, table, chdb_url)).exit_code == 0
    truth = changed(table, name=f"{table.name}_truth")
    run(request(newer, truth, chdb_url)).raise_for_status()
    assert rows(chdb_destination, table.name) == rows(chdb_destination, truth.name)


def test_a_side_table_of_another_export_is_not_taken_for_this_one(
    tmp_path: Path, chdb_url: str, chdb_destination: Destination, past: History, table: Table
) -> None:
    side = changed(table, name=table.name + replace.SIDE)
    run(request(full(tmp_path, past, 1), side, chdb_url)).raise_for_status()
    newer = full(tmp_path, past, 5)
    assert replace.replace(request(newer, table, chdb_url)).exit_code == 0
    truth = changed(table, name=f"{table.name}_truth")
    run(request(newer, truth, chdb_url)).raise_for_status()
    assert rows(chdb_destination, table.name) == rows(chdb_destination, truth.name)


def test_what_cannot_be_replaced(tmp_path: Path, past: History, table: Table) -> None:
    export = full(tmp_path, past, 1)
    with pytest.raises(UsageError, match="no tables"):
        replace.replace(request(export, table, "null:"))
    with pytest.raises(UsageError, match="whole loads"):
        replace.replace(request(export, table, "null:", dry_run=True))
