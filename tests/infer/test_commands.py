"""The commands: what they print, write and refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from transformer.schema.file import load_schema
from transformer.synth.export import write_export


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An export of users, in a working folder that is empty."""
    made = write_export(tmp_path / "export", shape="users", items=50, files=2, seed=1).path
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return str(made)


def command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """Run the command in this process: exit code, stdout, stderr."""
    from transformer.cli.main import main

    monkeypatch.setattr(sys, "argv", ["dynamo2ch", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    out, err = capfd.readouterr()
    return (code if isinstance(code, int) else 0), out, err


def test_infer_prints_a_schema_file(
    export: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = command(capfd, monkeypatch, "schema", "infer", export)
    assert code == 0
    Path("made.yaml").write_text(out, encoding="utf-8")
    assert load_schema("made.yaml").key == ("id",)
    assert "of 50 items" in out


def test_infer_writes_a_file_and_says_what_is_next(
    export: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = command(capfd, monkeypatch, "schema", "infer", export, "-o", "made.yaml")
    assert (code, out.splitlines()[1]) == (0, f"next: dynamo2ch snapshot {export} --schema made.yaml")
    code, _, err = command(capfd, monkeypatch, "schema", "infer", export, "-o", "made.yaml")
    assert code == 2
    assert "there already" in err


def test_json_has_the_profile(export: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = command(capfd, monkeypatch, "schema", "infer", export, "--json")
    record = json.loads(out)
    assert (code, record["items"], record["key"], record["key_proven"]) == (0, 50, ["id"], True)
    assert record["profile"]["attributes"]["id"]["tags"] == {"S": 50}


def test_a_wrong_key_exits_with_2(
    export: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = command(capfd, monkeypatch, "schema", "infer", export, "--key", "no,such")
    assert code == 2
    assert "'no'" in err
    assert "Traceback" not in err


def test_diff_against_an_export_shows_statements(
    export: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("old.yaml").write_text(
        "table: users\nkey: [id]\ncolumns:\n  - {name: id, type: String}\n  - {name: age, type: Nullable(Int8)}\n"
    )
    code, out, _ = command(capfd, monkeypatch, "schema", "diff", "old.yaml", export)
    assert code == 0
    assert "ALTER TABLE `users` MODIFY COLUMN `age` Nullable(Int16);" in out
    assert "ALTER TABLE `users` ADD COLUMN `first_name`" in out
    code, out, _ = command(capfd, monkeypatch, "schema", "diff", "old.yaml", "old.yaml")
    assert (code, out) == (0, "-- no differences\n")


def test_promote_prints_what_it_would_do_and_changes_nothing(
    export: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "table: users\nkey: [id]\ncolumns:\n  - {name: id, type: String}\n"
    Path("users.yaml").write_text(text)
    code, out, _ = command(capfd, monkeypatch, "schema", "promote", "users.yaml", "age", "--type", "Nullable(Int16)")
    assert code == 0
    assert "ALTER TABLE `users` ADD COLUMN `age` Nullable(Int16) DEFAULT" in out
    assert Path("users.yaml").read_text() == text
    code, _, err = command(capfd, monkeypatch, "schema", "promote", "users.yaml", "age", "--type", "Decimal(9, 2)")
    assert (code, "exactly" in err) == (2, True)


def test_a_promoted_column_has_the_history_and_later_loads_fill_it(
    export: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, chdb_url: str, unique_name: str
) -> None:
    Path("t.yaml").write_text(f"table: {unique_name}\nkey: [id]\ncolumns:\n  - {{name: id, type: String}}\n")
    assert command(capfd, monkeypatch, "snapshot", export, "--schema", "t.yaml", "--to", chdb_url)[0] == 0
    wrong = command(
        capfd, monkeypatch, "schema", "promote", "t.yaml", "age", "--type", "Nullable(Bool)", "--to", chdb_url
    )
    assert (wrong[0], "would not come out" in wrong[2]) == (4, True)
    code, _, err = command(
        capfd, monkeypatch, "schema", "promote", "t.yaml", "age", "--type", "Nullable(Int16)", "--to", chdb_url
    )
    assert (code, err) == (0, "")
    assert load_schema("t.yaml").columns[-1].path == ("age",)
    before = command(
        capfd, monkeypatch, "query", f"SELECT id, age FROM {unique_name} ORDER BY id FORMAT CSV", "--to", chdb_url
    )
    Path("fresh.yaml").write_text(Path("t.yaml").read_text().replace(unique_name, f"{unique_name}_fresh"))
    assert command(capfd, monkeypatch, "snapshot", export, "--schema", "fresh.yaml", "--to", chdb_url)[0] == 0
    after = command(
        capfd, monkeypatch, "query", f"SELECT id, age FROM {unique_name}_fresh ORDER BY id FORMAT CSV", "--to", chdb_url
    )
    assert before[1] == after[1] != ""
