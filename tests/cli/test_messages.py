"""What a user is told when something is wrong: what happened, where, and what to type next. Never a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cli.conftest import Outcome
from job.twin import user, write_export

pytestmark = pytest.mark.timeout(120)

Command = Callable[..., Outcome]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path, [[user(1)]])


def words(text: str) -> str:
    """`text` without the frames and line breaks that fit it to a terminal."""
    return " ".join(re.sub(r"[╭╮╰╯│─]", " ", text).split())


def check(done: Outcome, code: int, *said: str) -> None:
    assert done.code == code, done.err
    for text in said:
        assert text in words(done.err), done.err
    assert "Traceback" not in done.err
    assert "this is a bug" not in done.err


# The command line.


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["snapsot", "x"], ["No such command 'snapsot'", "Did you mean 'snapshot'?", "Try 'dynamo2ch --help'"]),
        (["snapshot", "x", "--schemas", "f"], ["No such option: --schemas", "--schema,"]),
        (["snapshot", "x", "--resume"], ["No such option: --resume", "Try 'dynamo2ch snapshot --help'"]),
        (["snapshot"], ["Missing argument 'EXPORT'", "Try 'dynamo2ch snapshot --help'"]),
        (["snapshot", "x", "--workers", "many"], ["Invalid value for '--workers'", "valid integer"]),
        (["query", "SELECT 1", "--to", "ftp://host/x"], ["the destination is of no known kind", "http://user@host:8123"]),
        (["schema", "check", "nowhere.yaml"], ["nowhere.yaml: the schema file cannot be read", "--schema"]),
        (["snapshot", "arn:aws:dynamodb:eu-west-1:1:table/t/export/01-a"], ["is an ARN", "s3://BUCKET/PREFIX"]),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else None,
)  # fmt: skip
def test_the_command_line(command: Command, arguments: list[str], said: list[str]) -> None:
    check(command(*arguments), 2, *said)


def test_an_export_that_is_not_there(command: Command, tmp_path: Path) -> None:
    check(command("snapshot", tmp_path / "nowhere", "--to", "null:"), 3, "nowhere does not exist", "Check the URL")


def test_a_traceback_is_shown_to_whoever_asks_for_it(command: Command, tmp_path: Path) -> None:
    done = command("--debug", "snapshot", tmp_path / "nowhere", "--to", "null:")
    assert (done.code, "Traceback" in done.err) == (3, True)


# The store of the export. The endpoint answers every request with one refusal.


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[int, str], None]]:
    """Make an S3 endpoint that answers with this status and code, and point the AWS libraries at it."""
    answer = (403, "AccessDenied")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, code = answer
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    aws(monkeypatch, tmp_path, endpoint=f"http://127.0.0.1:{server.server_address[1]}")

    def refusing(status: int, code: str) -> None:
        nonlocal answer
        answer = (status, code)

    yield refusing
    server.shutdown()
    server.server_close()
    thread.join()


def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, endpoint: str, key: str = "AKIAPLANTED") -> None:
    """An environment in which the AWS libraries find what is given here and nothing else."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # or it would go on talking to the endpoint of an earlier test
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    if key:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (403, "AccessDenied", ["permission denied", "s3:GetObject and s3:ListBucket"]),
        (400, "ExpiredToken", ["refused the credentials: ExpiredToken", "aws sts get-caller-identity"]),
        (403, "InvalidAccessKeyId", ["refused the credentials: InvalidAccessKeyId", "AWS_PROFILE"]),
        (403, "SignatureDoesNotMatch", ["refused the credentials: SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]),
        (400, "IllegalLocationConstraintException", ["in another region", "AWS_DEFAULT_REGION"]),
    ],
)
def test_what_the_store_refuses(
    command: Command, refuse: Callable[[int, str], None], status: int, answer: str, said: list[str]
) -> None:
    refuse(status, answer)
    done = command("snapshot", "s3://bucket/AWSDynamoDB/01-a", "--to", "null:")
    check(done, 2, "s3://bucket/AWSDynamoDB/01-a", *said)
    assert "planted-secret" not in done.err + done.out


def test_missing_credentials(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aws(monkeypatch, tmp_path, endpoint="http://127.0.0.1:9", key="")
    done = command("snapshot", "s3://bucket/x", "--to", "null:")
    check(done, 2, "s3://bucket/x", "credentials", "AWS_PROFILE")


def test_a_store_that_cannot_be_reached(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        aws(monkeypatch, tmp_path, endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}")
        done = command("snapshot", "s3://bucket/x", "--to", "null:")
    check(done, 75, "s3://bucket/x", "cannot be reached", "Run the same command again")


# The server.


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int | None, str], int]]:
    """Start a server that answers everything with a status, ClickHouse's code if it is one, and a text. Its port."""
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "planted-secret")
    with contextlib.ExitStack() as servers:

        def start(status: int, code: int | None, text: str) -> int:
            class Handler(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(text)))
                    if code is not None:
                        self.send_header("X-ClickHouse-Exception-Code", str(code))
                    self.end_headers()
                    self.wfile.write(text.encode())

                def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                    pass

            server = servers.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            servers.callback(server.shutdown)
            return int(server.server_address[1])

        yield start


def test_a_server_that_is_not_there(command: Command, export: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/default"
        done = command("snapshot", export, "--to", url)
    check(done, 75, "connection refused", url.removeprefix("http://"), "Check host and port", "run the same command")


REFUSALS = {
    "password": (
        (403, 516, "Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)"),
        ["Authentication failed", "CLICKHOUSE_PASSWORD_FILE"],
    ),
    "database": (
        (404, 81, "Code: 81. DB::Exception: Database x does not exist. (UNKNOWN_DATABASE)"),
        ["Database x does not exist", "Create the database first"],
    ),
    "old": (
        (404, 115, "Code: 115. DB::Exception: Unknown setting y. (UNKNOWN_SETTING)"),
        ["Unknown setting y", "older than 24.8"],
    ),
    "grants": (
        (403, 497, "Code: 497. DB::Exception: Not enough privileges. (ACCESS_DENIED)"),
        ["Not enough privileges", "Loading needs SELECT and INSERT"],
    ),
    "another": ((404, None, "not found"), ["HTTP status 404", "ClickHouse's HTTP interface (8123, 8443)"]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_server_refuses(
    command: Command, refusing: Callable[[int, int | None, str], int], export: Path, name: str
) -> None:
    answer, said = REFUSALS[name]
    port = refusing(*answer)
    done = command("snapshot", export, "--to", f"http://127.0.0.1:{port}/x")
    check(done, 2, f"127.0.0.1:{port}/x", *said)
    assert "planted" not in done.err + done.out


# Disks and pipes.


def run(*arguments: str, stdout: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "transformer.cli", *arguments], stdout=stdout, stderr=subprocess.PIPE, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["synth", "made", "--items", "1", "--files", "1"], ["--help"]])
def test_a_result_that_finds_no_room(arguments: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = run(*arguments, stdout=full)
    finally:
        os.close(full)
    check(Outcome(done.returncode, "", done.stderr.decode()), 75, "No space left on device", "Make room")


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run("synth", "made", "--items", "1", "--files", "1", stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "made/data/x")

    monkeypatch.setattr("transformer.synth.export.write_export", full)
    check(command("synth", "made"), 75, "no space left for made/data/x", "Make room")


# The configuration file.


def test_the_file_gives_defaults_that_the_environment_and_the_command_line_override(
    command: Command, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("dynamo2ch.toml").write_text('[snapshot]\nto = "null:"\ntable = "filed"\njson = true\n')
    assert '"table": "filed"' in command("snapshot", export, "--schema", "schemas/users.yaml").out
    monkeypatch.setenv("DYNAMO2CH_SNAPSHOT_TABLE", "environed")
    assert '"table": "environed"' in command("snapshot", export, "--schema", "schemas/users.yaml").out
    typed = command("snapshot", export, "--schema", "schemas/users.yaml", "--table", "typed")
    assert '"table": "typed"' in typed.out


def test_settings_of_the_file_give_way_to_the_environment(
    command: Command, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNAMO2CH_LOG_FORMAT", "text")  # remembered, so that it is restored whatever the file sets
    monkeypatch.setenv("DYNAMO2CH_LOG_LEVEL", "")
    monkeypatch.delenv("DYNAMO2CH_LOG_LEVEL")
    Path("dynamo2ch.toml").write_text('[settings]\nlog_format = "json"\nlog_level = "error"\n')
    done = command("snapshot", export, "--to", "null:")
    assert done.code == 0
    assert os.environ["DYNAMO2CH_LOG_LEVEL"] == "error"
    assert os.environ["DYNAMO2CH_LOG_FORMAT"] == "text"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[snapshot\n", ["dynamo2ch.toml is no TOML", "line 1"]),
        ("[snapshot]\nworker = 3\n", ["dynamo2ch.toml: [snapshot] worker is not known", "Did you mean workers?"]),
        ("[snapsot]\n", ["[snapsot] is not known", "Did you mean snapshot?"]),
        ('to = "null:"\n', ["to is not known", "snapshot"]),
        ("[schema.chek]\n", ["[schema.chek] is not known", "Did you mean check?"]),
        ("[settings]\nclickhouse_password = 1\n", ["Secrets are not kept", "CLICKHOUSE_PASSWORD_FILE"]),
        ('[snapshot]\nworkers = "many"\n', ["Invalid value for '--workers'"]),
    ],
)
def test_a_file_that_is_wrong(command: Command, export: Path, text: str, said: list[str]) -> None:
    Path("dynamo2ch.toml").write_text(text)
    check(command("snapshot", export, "--to", "null:"), 2, *said)


def test_a_named_file_must_be_there(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNAMO2CH_CONFIG", "elsewhere.toml")
    check(command("synth", "made"), 2, "elsewhere.toml", "cannot be read", "unset DYNAMO2CH_CONFIG")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_printed(command: Command, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    # Not --show-completion, which asks the process above which shell it is.
    monkeypatch.setenv("_DYNAMO2CH_COMPLETE", f"source_{shell}")
    done = command()
    assert (done.code, "dynamo2ch" in done.out) == (0, True)
