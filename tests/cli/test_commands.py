"""Every command as it is typed: what it prints, where, and what it exits with."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.conftest import Outcome
from job.twin import bad_user, user, write_export

pytestmark = pytest.mark.timeout(280)

Command = Callable[..., Outcome]

HEAVY = ("numba", "pyarrow", "polars", "fsspec", "clickhouse_connect", "chdb", "boto3", "numpy", "yaml")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path, [[user(n) for n in range(12)], [user(n) for n in range(12, 20)]])


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """An export of which one of four items is rejected."""
    return write_export(tmp_path / "spoiled", [[user(1), bad_user(2), user(3), user(4)]])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["snapshot", "--help"],
        ["schema", "--help"],
        ["query", "--help"],
        ["synth", "--help"],
        ["--version"],
        ["increment", "--help"],
        ["sync", "--help"],
        ["export", "start", "--help"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from transformer.cli.main import main\n"
        f"sys.argv = ['dynamo2ch', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as left:\n    assert not left.code, left.code\n"
        f"found = sorted(set(sys.modules) & set({HEAVY!r}))\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_version_is_printed(command: Command) -> None:
    from transformer import __version__

    assert command("--version").out == f"dynamo2ch {__version__}\n"


def test_a_load_prints_a_summary_and_the_next_command(
    command: Command, export: Path, chdb_url: str, unique_name: str
) -> None:
    done = command("snapshot", export, "--schema", "schemas/users.yaml", "--to", chdb_url, "--table", unique_name)
    assert done.code == 0, done.err
    assert done.out.startswith("complete: ")
    assert "20 read (as the manifest says)" in done.out
    assert "rejects   0" in done.out
    next_line = done.out.splitlines()[-1]
    assert next_line == f"next: dynamo2ch query 'SELECT * FROM {unique_name} FINAL LIMIT 5' --to {chdb_url}"
    shown = command(
        "query", f"SELECT id, age FROM {unique_name} FINAL ORDER BY id LIMIT 2 FORMAT CSV", "--to", chdb_url
    )
    assert (shown.code, shown.out) == (0, '"user-000000",0\n"user-000001",1\n')


def test_the_schema_file_is_found_by_the_name_of_the_table(command: Command, export: Path) -> None:
    done = command("snapshot", export, "--to", "null:", "--json")
    assert done.code == 0
    assert json.loads(done.out)["table"] == "users"


def test_json_is_all_that_stands_on_stdout(command: Command, spoiled: Path) -> None:
    done = command("snapshot", spoiled, "--to", "null:", "--json", "--rejects", "kept")
    record = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert done.code == record["exit_code"] == 3
    assert record["status"] == "complete_with_rejects"
    (file,) = Path(record["rejects"]).iterdir()
    assert json.loads(gzip.decompress(file.read_bytes()))["code"] == "OUT_OF_RANGE"
    for line in done.err.splitlines():
        assert line.startswith(("{", "error:", "They are in"))


def test_log_lines_are_json_and_tell_of_every_file(command: Command, export: Path) -> None:
    done = command("snapshot", export, "--to", "null:")
    events = [json.loads(line) for line in done.err.splitlines()]
    assert [event["event"] for event in events] == [
        "run started",
        "file loaded",
        "file loaded",
        "run ended",
    ]
    assert len({event["job"] for event in events}) == 1


def test_debug_logs_every_insert(command: Command, export: Path) -> None:
    done = command("--debug", "snapshot", export, "--to", "null:")
    inserted = [json.loads(line) for line in done.err.splitlines() if '"chunk inserted"' in line]
    assert sorted(event["rows"] for event in inserted) == [8, 12]


# Exit codes: 1, 130 and 143 are in test_signals.py; no command of this version ends with 4.


@pytest.mark.parametrize(("allowed", "code"), [("0", 3), ("1", 0), ("99", 0)])
def test_rejects_over_the_limit_exit_with_3(command: Command, spoiled: Path, allowed: str, code: int) -> None:
    done = command("snapshot", spoiled, "--to", "null:", "--max-rejects", allowed)
    assert done.code == code
    assert "complete, with rejects" in done.out
    assert "1 (OUT_OF_RANGE 1)" in done.out
    assert ("1 item was rejected, and --max-rejects allows 0" in done.err) == (code == 3)
    assert ".dynamo2ch/rejects/" in done.out


def test_a_load_can_end_early_when_too_much_is_rejected(command: Command, tmp_path: Path) -> None:
    export = write_export(tmp_path, [[bad_user(n) for n in range(9)]])
    done = command("snapshot", export, "--to", "null:", "--stop-after-rejects", "3")
    assert done.code == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memory", "lots"], "is no size"),
        (["--memory", "1MiB"], "too little"),
        (["--workers", "0"], "workers"),
        (["--max-rejects", "-1"], "max-rejects"),
        (["--stop-after-rejects", "0"], "stop-after-rejects"),
        (["--storage-option", "x"], "name=value"),
        (["--to", "ftp://x"], "chdb://"),
        (["--schema", "none.yaml"], "none.yaml"),
        (["--table", "../other"], "schemas/../other.yaml"),
        (["--resume"], "--resume"),
        (["--workers", "many"], "--workers"),
    ],
)
def test_what_cannot_be_understood_exits_with_2(
    command: Command, export: Path, arguments: list[str], message: str
) -> None:
    to = [] if "--to" in arguments else ["--to", "null:"]
    done = command("snapshot", export, *to, *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_wrong_schema_file_exits_with_2_and_names_the_line(command: Command, export: Path) -> None:
    Path("schemas/users.yaml").write_text("table: users\nkey: [id]\ncolumns:\n  - {name: id, type: Strng}\n")
    done = command("snapshot", export, "--to", "null:")
    assert done.code == 2
    assert "users.yaml:4" in done.err


def test_a_missing_export_exits_with_3(command: Command, tmp_path: Path) -> None:
    done = command("snapshot", tmp_path / "nowhere", "--to", "null:", "--json")
    assert done.code == 3
    record = json.loads(done.out)
    assert record["status"] == "failed"
    assert record["error"]["type"] == "SourceError"
    assert "error: " in done.err
    assert json.loads(done.err.splitlines()[0])["event"] == "run ended"


def test_a_damaged_file_exits_with_3_and_is_named(command: Command, tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(1)], [user(2)]], md5s={1: "AAAAAAAAAAAAAAAAAAAAAA=="})
    done = command("snapshot", export, "--to", "null:")
    assert done.code == 3
    assert "FAILED" in done.out
    assert "not done  data/aaaaaaaaaaaaaaaaaaaaaaaaab.json.gz: this run has inserted none of its rows" in done.out
    assert "MD5" in done.err


def test_a_table_that_does_not_fit_exits_with_5(
    command: Command, export: Path, chdb_url: str, unique_name: str
) -> None:
    command("query", f"CREATE TABLE {unique_name} (id Int8) ENGINE = MergeTree ORDER BY id", "--to", chdb_url)
    done = command("snapshot", export, "--schema", "schemas/users.yaml", "--to", chdb_url, "--table", unique_name)
    assert done.code == 5
    assert "does not fit" in done.err


def test_an_embedded_database_in_use_exits_with_75(
    command: Command, start: Callable[..., subprocess.Popen[str]], export: Path, tmp_path: Path
) -> None:
    state = tmp_path / "held.state"
    state.mkdir()
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start("snapshot", export, "--to", f"chdb://{tmp_path / 'held'}")
        _, err = process.communicate()
    finally:
        os.close(lock)
    assert process.returncode == 75, err
    assert "in use" in err


def test_an_unforeseen_exception_exits_with_1_and_no_traceback(
    command: Command, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(_name: str) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("transformer.synth.export.write_export", bug)
    done = command("synth", "x")
    assert done.code == 1
    assert "error: this is a bug: " in done.err
    assert "Traceback" not in done.err
    debugged = command("--debug", "synth", "x")
    assert debugged.code == 1
    assert "Traceback" in debugged.err
    monkeypatch.setenv("DYNAMO2CH_DEBUG", "1")
    assert "Traceback" in command("synth", "x").err


def test_names_that_would_act_on_the_terminal_are_escaped(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "a\x1b[31mb"
    folder.mkdir()
    (folder / "a\x1b]0;x\x07.json").write_bytes(user(1))
    done = command("snapshot", folder, "--schema", "schemas/users.yaml", "--to", "null:")
    assert done.code == 0
    assert "\x1b" not in done.out + done.err
    assert "\x07" not in done.out + done.err


# The other commands.


def test_a_dry_run_leaves_nothing_behind(command: Command, spoiled: Path, workspace: Path) -> None:
    before = sorted(workspace.rglob("*"))
    done = command("snapshot", spoiled, "--dry-run", "--json")
    record = json.loads(done.out)
    assert done.code == 3
    assert (record["dry_run"], record["destination"], record["rejects"]) == (True, "null:", None)
    assert record["first_rejects"][0]["line"] == 2
    assert sorted(workspace.rglob("*")) == before
    text = command("snapshot", spoiled, "--dry-run").out
    assert "nothing inserted" in text
    assert "not written anywhere" in text


def test_schema_check_says_what_it_read(command: Command) -> None:
    done = command("schema", "check", "schemas/users.yaml")
    assert done.code == 0
    assert done.out.startswith("schemas/users.yaml: good. Table users, key id, 3 columns, fingerprint ")
    record = json.loads(command("schema", "check", "schemas/users.yaml", "--json").out)
    assert record["key"] == ["id"]
    assert record["fingerprint"] in done.out


def test_schema_check_refuses_a_wrong_file(command: Command) -> None:
    Path("bad.yaml").write_text("table: users\nkey: [id]\n")
    done = command("schema", "check", "bad.yaml")
    assert done.code == 2
    assert "bad.yaml" in done.err
    assert command("schema", "check", "nowhere.yaml").code == 2


def test_schema_check_refuses_what_a_load_would_refuse(command: Command) -> None:
    text = Path("schemas/users.yaml").read_text()
    column = '  - {name: m, type: "Map(String, String)"}\n  - {name: c, path: m.c, type: Nullable(String)}\n'
    Path("clash.yaml").write_text(text.replace("columns:\n", f"columns:\n{column}"))
    done = command("schema", "check", "clash.yaml")
    assert done.code == 2
    assert "clash.yaml" in done.err
    assert "exclude each other" in done.err


def test_schema_ddl_prints_sql_that_the_engine_takes(command: Command, chdb_url: str, unique_name: str) -> None:
    Path("own.yaml").write_text(Path("schemas/users.yaml").read_text().replace("table: users", f"table: {unique_name}"))
    done = command("schema", "ddl", "own.yaml")
    assert done.out.startswith("CREATE TABLE")
    assert command("query", done.out, "--to", chdb_url).code == 0
    shown = command("query", f"EXISTS TABLE {unique_name} FORMAT TSV", "--to", chdb_url)
    assert shown.out == "1\n"
    assert json.loads(command("schema", "ddl", "own.yaml", "--json").out)["sql"] == done.out.rstrip("\n")


def test_query_shows_a_table_or_what_format_asks_for(command: Command, chdb_url: str) -> None:
    assert "│" in command("query", "SELECT 1 AS one", "--to", chdb_url).out
    assert command("query", "SELECT 1 AS one FORMAT JSONEachRow", "--to", chdb_url).out == '{"one":1}\n'


def test_query_says_what_is_wrong_with_a_statement(command: Command, chdb_url: str) -> None:
    done = command("query", "SELEKT 1", "--to", chdb_url)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_null_cannot_be_queried(command: Command) -> None:
    assert command("query", "SELECT 1", "--to", "null:").code == 2


def test_synth_writes_an_export_that_loads(command: Command, tmp_path: Path) -> None:
    made = ("synth", tmp_path / "made", "--items", "50", "--files", "2", "--seed", "7")
    done = command(*made, "--shape", "users", "--json")
    record = json.loads(done.out)
    assert (record["items"], record["files"], record["table"]) == (50, 2, "users")
    loaded = json.loads(command("snapshot", record["export"], "--to", "null:", "--json").out)
    assert loaded["rows_inserted"] == loaded["items_in_manifest"] == 50
    text = command(*made).out
    assert "50 items of table users in 2 files" in text
    assert "next: dynamo2ch snapshot " in text


def test_synth_refuses_a_shape_it_does_not_know(command: Command) -> None:
    done = command("synth", "x", "--shape", "banana")
    assert done.code == 2
    assert "banana" in done.err


def test_without_a_command_the_help_is_shown(command: Command) -> None:
    done = command()
    assert "snapshot" in done.out + done.err
