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


def test_diff_prints_statements_or_a_record(command: Command, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("table: t\nkey: [id]\ncolumns: [{name: id, type: String}, {name: a, type: Int8}]\n")
    new.write_text("table: t\nkey: [id]\ncolumns: [{name: id, type: String}, {name: a, type: Int16}]\n")
    printed = command("schema", "diff", old, new)
    assert printed.out == (
        "-- column a is Int16, was Int8 (stop the ClickPipe first)\nALTER TABLE `t` MODIFY COLUMN `a` Int16;\n"
    )
    assert len(json.loads(command("schema", "diff", old, new, "--json").out)["changes"]) == 1
    assert command("schema", "diff", old, old).out == "no difference\n"
    new.write_text(new.read_text().replace("table: t", "table: u"))
    assert command("schema", "diff", old, new).code == 5


def test_a_stream_needs_a_key_that_is_proven(command: Command, tmp_path: Path) -> None:
    schema = tmp_path / "t.yaml"
    text = "table: t\nkey: [id]  # not proven\ncolumns:\n  - {name: id, type: String}\n"
    schema.write_text(text)
    render = ("clickpipe", "render", "--schema", schema, "--stream", "s", "--region", "eu-west-1", "--out")
    refused = command(*render, tmp_path / "out")
    assert refused.code == 2
    assert "not proven" in refused.err
    assert "--key" in refused.err
    assert not (tmp_path / "out").exists()
    schema.write_text(text.replace("  # not proven", ""))
    assert command(*render, tmp_path / "out").code == 0
