"""Passwords and keys are planted, everything is made to fail, and all that the command leaves behind is searched."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from gateway import Fault, Gateway
from gateway.faults import Kind
from job.twin import TwinDecoder, bad_user, user, write_export
from security.secrets import PASSWORD

from transformer import settings as process_settings
from transformer.settings import Secret, hide

STORE_SECRET = "pl4nted+store/secret"
TOKEN = "pl4nted/session+token=="
DRIVER = Path(__file__).parents[1] / "cli" / "driver.py"
SCHEMA = "table: users\nkey: [id]\ncolumns:\n  - {name: id, type: String}\n  - {name: age, type: Nullable(Int16)}\n"

FORMS = [
    form
    for secret in (PASSWORD, STORE_SECRET, TOKEN)
    for form in (
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("="),
    )
] + ["pl4nted", base64.b64encode(f"loader:{PASSWORD}".encode()).decode()]


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    said: str


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run the command in this process, in an empty folder, with secrets in its environment."""
    module = types.ModuleType("transformer.decode.decoder")
    module.Decoder = TwinDecoder  # type: ignore[attr-defined]
    module.SLACK = 64  # type: ignore[attr-defined]
    module.REVISION = 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformer.decode.decoder", module)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "users.yaml").write_text(SCHEMA)
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(process_settings, "_given", {})
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", STORE_SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("DYNAMO2CH_RETRY_SECONDS", "1")
    monkeypatch.setenv("DYNAMO2CH_CONNECT_TIMEOUT", "5")

    def run(*arguments: str | Path) -> Outcome:
        from transformer.cli.main import main

        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["dynamo2ch", "--debug", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        assert isinstance(left.value.code, int)
        return Outcome(left.value.code, captured.out + captured.err)

    return run


def search(*texts: str) -> None:
    """Fail when a secret is in one of the texts, or in any file below the current directory."""
    files = [path.read_bytes().decode("utf-8", "replace") for path in Path.cwd().rglob("*") if path.is_file()]
    for text in (*texts, *files):
        for form in FORMS:
            assert form not in text, f"a secret shows: {text[max(text.find(form) - 300, 0) : text.find(form) + 300]}"


def load(export: Path, gateway: Gateway, table: str) -> list[str]:
    url = f"http://loader@127.0.0.1:{gateway.port}/default"
    return ["snapshot", str(export), "--schema", "users.yaml", "--to", url, "--table", table]


Serve = Callable[..., Gateway]
Run = Callable[..., Outcome]


def test_a_load_leaves_none_behind(command: Run, serve: Serve, tmp_path: Path, unique_name: str) -> None:
    gateway = serve()
    export = write_export(tmp_path, [[user(1), bad_user(2)], [user(3)]])
    done = command(*load(export, gateway, unique_name), "--json")
    assert done.code == 3, done.said
    tables = [f"SELECT * FROM {name}" for name in (unique_name, "_dynamo2ch_jobs", "_dynamo2ch_files")]
    kept = [gateway.engine.run(sql, form="JSONEachRow")[0].decode() for sql in tables]
    assert all(kept)
    search(done.said, *kept, *(f"{request.sql} {request.settings}" for request in gateway.requests))
    assert list(Path.cwd().rglob("*.rejects.jsonl.gz"))


def test_a_wrong_password_is_not_repeated(command: Run, serve: Serve, tmp_path: Path) -> None:
    gateway = serve(password="another one")
    refused = command(*load(write_export(tmp_path, [[user(1)]]), gateway, "users"))
    assert refused.code == 2
    assert "AUTHENTICATION_FAILED" in refused.said
    assert "Traceback" in refused.said
    search(refused.said)


def test_a_server_that_repeats_what_it_was_sent_is_not_believed(
    command: Run, serve: Serve, tmp_path: Path, unique_name: str
) -> None:
    gateway = serve()
    basic = base64.b64encode(f"loader:{PASSWORD}".encode()).decode()
    echo = f"m. Authorization: Basic {basic}, password {PASSWORD}, token {TOKEN}"
    gateway.insert_faults.append(Fault.exception(49, f"{echo} (LOGICAL_ERROR)", kind=Kind.REFUSE))
    failed = command(*load(write_export(tmp_path, [[user(1)]]), gateway, unique_name), "--json")
    assert failed.code == 1, failed.said
    assert "***" in failed.said
    search(failed.said)


def test_a_bug_shows_a_traceback_without_secrets(
    command: Run, serve: Serve, tmp_path: Path, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, *_: object, **__: object) -> None:
        raise ValueError(f"called with {PASSWORD!r} and {STORE_SECRET}")

    monkeypatch.setattr(TwinDecoder, "step", broken)
    failed = command(*load(write_export(tmp_path, [[user(1)]]), serve(), unique_name))
    assert failed.code == 1
    assert "Traceback" in failed.said
    search(failed.said)


@pytest.mark.parametrize(
    "url",
    [
        "htps://loader:{}@127.0.0.1/db",
        "http://loader:{}@127.0.0.1:99999/db",
        "http://loader:{}@127.0.0.1:1/db",
        "http://loader:{}@/db",
        "http://loader:{}@127.0.0.1/a/b",
        "loader:{}@127.0.0.1",
        "chdb://loader:{}@x/y",
    ],
)
def test_a_url_that_cannot_be_used_is_not_repeated(command: Run, tmp_path: Path, url: str) -> None:
    export = write_export(tmp_path, [[user(1)]])
    refused = command("snapshot", export, "--schema", "users.yaml", "--to", url.format(quote(PASSWORD, safe="")))
    assert refused.code in (2, 75)
    search(refused.said)


def test_a_password_on_the_command_line_is_warned_of(command: Run, tmp_path: Path) -> None:
    export = write_export(tmp_path, [[user(1)]])
    arguments = ["snapshot", str(export), "--schema", "users.yaml", "--to"]
    warned = command(*arguments, f"http://loader:{quote(PASSWORD, safe='')}@127.0.0.1:1/db")
    assert "can see it there" in warned.said
    assert "can see it there" not in command(*arguments, "http://loader@127.0.0.1:1/db").said


def test_keys_of_a_store_are_not_repeated(command: Run) -> None:
    nowhere = "endpoint_url=http://127.0.0.1:1"
    for options in (
        ("--storage-option", nowhere),
        ("--storage-option", nowhere, "--storage-option", "key=a", "--storage-option", f"secret={STORE_SECRET}"),
        ("--storage-option", STORE_SECRET),
        ("--storage-option", f"no_such={STORE_SECRET}"),
    ):
        refused = command("snapshot", "s3://exports/AWSDynamoDB/1", "--to", "null:", *options)
        assert refused.code in (2, 3, 75), refused.said
        search(refused.said)


def test_the_list_of_processes_shows_none(tmp_path: Path, serve: Serve) -> None:
    gateway = serve()
    (tmp_path / "users.yaml").write_text(SCHEMA)
    export = write_export(tmp_path, [[user(1)]])
    environment = {**os.environ, "CLICKHOUSE_PASSWORD": PASSWORD, "DRIVER": "hang"}
    arguments = [sys.executable, str(DRIVER), *load(export, gateway, "never_filled")]
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while "decoding\n" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            shown = Path(f"/proc/{process.pid}/cmdline")
            if shown.exists():
                arguments_shown = shown.read_bytes().decode("utf-8", "replace")
                assert not [form for form in FORMS if form in arguments_shown]
        finally:
            process.kill()
    gateway.engine.run("DROP TABLE IF EXISTS never_filled")


def test_every_spelling_of_a_secret_is_hidden() -> None:
    Secret(PASSWORD)
    for form in FORMS[:4]:
        assert hide(f"before {form} after") == "before *** after"
    assert hide("Authorization: Basic bG9hZGVyOnB3") == "Authorization: Basic ***"
    Secret("abc")  # too short to be told from ordinary text
    assert hide("abc") == "abc"
