"""docs/erasure.md, run as it stands: the person is gone everywhere, nobody else is, and nothing brings them back."""

from __future__ import annotations

import gzip
import json
import re
import stat
from pathlib import Path

import pytest
from job.test_replay import mended
from job.twin import TwinDecoder, user, users_table, write_export

from transformer.job.replay import ReplayRequest
from transformer.job.replay import run as replay
from transformer.job.request import SnapshotRequest
from transformer.job.snapshot import run as load
from transformer.load.destination import open_destination

DOC = (Path(__file__).parents[2] / "docs" / "erasure.md").read_text(encoding="utf-8")
PERSON = {"S": "0A556908"}
NAME = "Private Person"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)


def test_a_person_is_erased_and_stays_erased(
    tmp_path: Path, chdb_url: str, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    erase_rows, tombstone, merge, erase_dead, check = blocks("sql")
    (erase_rejects,) = blocks("python")
    url = f"{chdb_url}?database=erasure_{unique_name}"
    destination = open_destination(url)
    person = user(1, id=PERSON, first_name={"S": NAME})
    rejected = user(2, id=PERSON, first_name={"S": NAME}, age={"N": "40000"})
    escaped = rejected.replace(b"0A556908", b"\\u0030A556908")
    broken = rejected.replace(b"}}", b"}")
    other = user(3, age={"N": "40000"})
    export = write_export(tmp_path, [[person, user(4)], [rejected, escaped, broken, other]])
    request = {"export": str(export), "schema": users_table(), "destination": url}
    loaded = load(SnapshotRequest(**request), decoder=TwinDecoder)
    assert (loaded.rows_inserted, loaded.rejects_open) == (2, 4)
    destination.query("CREATE TABLE users_dead (at DateTime64(3), raw String) ENGINE = MergeTree ORDER BY at")
    letters = [person.decode(), user(5).decode(), broken.decode()]
    values = ", ".join("(now64(3), '{}')".format(letter.replace("\\", "\\\\").strip()) for letter in letters)
    destination.query(f"INSERT INTO users_dead VALUES {values}")

    def rows_of_person() -> bytes:
        return destination.query(f"SELECT count() FROM users WHERE first_name = '{NAME}' FORMAT TSV")

    assert rows_of_person() == b"1\n"
    for statement in (erase_rows, tombstone, erase_dead):
        destination.query(statement)
    exec(compile(erase_rejects, "docs/erasure.md", "exec"), {})

    # Gone, everywhere, and nobody else is.
    assert rows_of_person() == b"0\n"
    assert destination.query(f"{check} FORMAT TSV") == b"0\n"
    assert destination.query("SELECT id FROM users FINAL FORMAT TSV") == b"user-000004\n"
    assert destination.query("SELECT count() FROM users_dead FORMAT TSV") == b"1\n"
    kept = [path for path in Path(".dynamo2ch").rglob("*") if path.is_file() and "rejects" in path.name]
    texts = [gzip.decompress(path.read_bytes()).decode() for path in kept]
    assert texts
    assert all("0A556908" not in text and NAME not in text for text in texts)
    assert [json.loads(line)["raw"] for text in texts for line in text.splitlines()][:3] == [None] * 3
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)

    # A load of the old export brings nothing back, on the disk no longer than until the merge.
    again = load(SnapshotRequest(**request, restart=True), decoder=TwinDecoder)
    assert again.error is None
    assert again.rows_inserted == 2
    assert destination.query("SELECT id FROM users FINAL FORMAT TSV") == b"user-000004\n"
    destination.query(merge)
    assert rows_of_person() == b"0\n"
    assert destination.query(f"{check} FORMAT TSV") == b"0\n"

    # Nor does a replay of what was rejected, which still adds up.
    exec(compile(erase_rejects, "docs/erasure.md", "exec"), {})
    destination.query("ALTER TABLE users MODIFY COLUMN age Nullable(Int32)")
    replayed = replay(
        ReplayRequest(rejects=again.rejects, schema=mended(), destination=url, retry_seconds=0), decoder=TwinDecoder
    )
    assert replayed.error is None
    assert (replayed.rows_inserted, replayed.rejects_open) == (1, 3)
    assert destination.query("SELECT id FROM users FINAL ORDER BY id FORMAT TSV") == b"user-000003\nuser-000004\n"
    assert rows_of_person() == b"0\n"
    destination.query(f"DROP DATABASE erasure_{unique_name}")
    destination.close()
