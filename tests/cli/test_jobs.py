"""The commands around a load: status, verify, replay, and a load that goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli.conftest import USERS, Outcome
from job.twin import bad_user, user, write_export

from transformer.load.destination import Destination, open_destination

pytestmark = pytest.mark.timeout(280)

Command = Callable[..., Outcome]


@pytest.fixture
def url(chdb_url: str, unique_name: str) -> str:
    return f"{chdb_url}?database=jobs_{unique_name}"


@pytest.fixture(autouse=True)
def engine(url: str, unique_name: str) -> Iterator[Destination]:
    destination = open_destination(url)
    yield destination
    destination.query(f"DROP DATABASE jobs_{unique_name}")
    destination.close()


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path, [[user(n) for n in range(9)], [user(20), bad_user(21)]])


def test_the_life_of_a_load(command: Command, export: Path, url: str, engine: Destination, workspace: Path) -> None:
    load = ("snapshot", export, "--to", url, "--max-rejects", 1)
    first = command(*load, "--shard", "1/2")
    assert first.code == 0, first.err
    assert "1 of 1 (part 1/2)" in first.out

    second = command(*load)
    assert second.code == 0, second.err
    assert "1 of 2, 1 skipped: an earlier run of job" in second.out
    assert "in all    10 rows of 11 items" in second.out

    assert command(*load).out.startswith("complete, with rejects, nothing was left to load: ")
    third = command(*load, "--json")
    record = json.loads(third.out)
    assert (record["files_skipped"], record["job_complete"], record["rejects_open"]) == (2, True, 1)

    shown = command("status", "--table", "users", "--to", url)
    assert shown.code == 0
    assert f"snapshot {record['job']}: complete" in shown.out
    assert "files     2 of 2" in shown.out
    assert "rejects   1" in shown.out

    # No compiled decoder in this process: everything but --full.
    proved = command("verify", export, "--to", url, "--sample", 5)
    assert proved.code == 0, proved.err
    assert proved.out.startswith("proved: ")
    assert "rejects not loaded 1" in proved.out

    engine.query("ALTER TABLE users MODIFY COLUMN age Nullable(Int32)")
    mended = workspace / "mended.yaml"
    mended.write_text(USERS.replace("Int16", "Int32"))
    replayed = command("replay", record["rejects"], "--schema", mended, "--to", url)
    assert replayed.code == 0, replayed.err
    assert "rows      1 inserted" in replayed.out
    state = json.loads(command("status", "--schema", mended, "--to", url, "--json").out)
    assert [job["rejects_open"] for job in state["jobs"]] == [0, 0]
    assert [job["kind"] for job in state["jobs"]] == ["snapshot", "replay"]

    engine.query("DELETE FROM users WHERE id = 'user-000003'")
    lost = command("verify", export, "--schema", mended, "--to", url, "--json")
    assert lost.code == 4
    record = json.loads(lost.out)
    assert (record["status"], record["exit_code"]) == ("mismatch", 4)
    assert "does not hold what" in lost.err
    assert "--restart" in lost.err


def test_a_conflict_says_what_to_do(command: Command, export: Path, url: str, workspace: Path) -> None:
    assert command("snapshot", export, "--to", url, "--max-rejects", 1).code == 0
    other = workspace / "other.yaml"
    other.write_text(USERS + "drop: [secret]\n")
    refused = command("snapshot", export, "--to", url, "--schema", other)
    assert refused.code == 5
    assert "another schema" in refused.err
    assert "--restart" in refused.err
    anew = command("snapshot", export, "--to", url, "--schema", other, "--restart", "--max-rejects", 1)
    assert anew.code == 0, anew.err


def test_an_array_job_takes_its_part(command: Command, export: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", "1")
    monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_SIZE", "2")
    done = command("snapshot", export, "--to", url, "--json", "--max-rejects", 1)
    assert (done.code, json.loads(done.out)["shard"]) == (0, "2/2")


def test_a_table_of_which_nothing_is_known(command: Command, url: str) -> None:
    assert command("status", "--table", "nobody", "--to", url).out == f"no job has loaded table nobody in {url}\n"
    unnamed = command("status", "--to", url)
    assert unnamed.code == 2
    assert "--table" in unnamed.err


@pytest.mark.parametrize("shard", ["0/2", "3/2", "x"])
def test_a_part_that_is_none_exits_with_2(command: Command, export: Path, shard: str) -> None:
    refused = command("snapshot", export, "--to", "null:", "--shard", shard)
    assert refused.code == 2
    assert "--shard I/N" in refused.err
