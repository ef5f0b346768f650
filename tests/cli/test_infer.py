"""`schema infer`, and `snapshot` with nothing but an export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import Outcome

from transformer.synth.export import write_export

Command = Callable[..., Outcome]


def test_a_snapshot_needs_nothing_but_an_export(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chdb_url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    export = write_export(tmp_path / "export", shape="single-table", items=300, files=2, seed=1)
    done = command("snapshot", export.path, "--to", chdb_url, "--table", "inferred_single", "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert (record["rows_inserted"], record["items_rejected"]) == (300, 0)
    assert any("schemas/inferred_single.yaml" in warning for warning in record["warnings"])
    assert Path("schemas/inferred_single.yaml").is_file()


def test_infer_prints_a_schema_file_or_writes_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export = write_export(tmp_path / "export", shape="users", items=30, files=2, seed=1)
    printed = command("schema", "infer", export.path, "--key", "id")
    assert printed.code == 0, printed.err
    written = command("schema", "infer", export.path, "--key", "id", "-o", "made/users.yaml", "--json")
    record = json.loads(written.out)
    assert record["key"] == ["id"]
    assert record["schema"] == Path("made/users.yaml").read_text(encoding="utf-8") == printed.out
    checked = command("schema", "check", "made/users.yaml")
    assert checked.code == 0, checked.err
    wrong = command("schema", "infer", export.path, "--key", "age,first_name,id")
    assert wrong.code == 2
