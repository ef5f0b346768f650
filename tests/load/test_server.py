"""What goes over HTTP, and what comes of every way in which a server can refuse."""

from __future__ import annotations

import base64
import logging
import socket
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from gateway import Engine, Fault, Gateway, Kind

from transformer.errors import ConflictError, Dynamo2chError, ExitCode, InternalError, RetryError, UsageError
from transformer.load.destination import Destination, open_destination
from transformer.schema.layout import arrow_schema
from transformer.schema.table import Column, Table
from transformer.schema.types import parse
from transformer.settings import Secret, Settings

PASSWORD = "pl4nted: /@?#%ü"
PLAIN = Settings(clickhouse_password=Secret(PASSWORD), connect_timeout=5, read_timeout=30)


@pytest.fixture
def server(chdb_destination: Destination, chdb_url: str, tmp_path: Path) -> Iterator[Gateway]:
    engine = Engine(chdb_url.removeprefix("chdb://"), tmp_path)
    gateway = Gateway(engine, user="loa der", password=PASSWORD, keep=True)
    yield gateway
    gateway.close()
    engine.close()


@pytest.fixture
def destination(server: Gateway) -> Iterator[Destination]:
    opened = open_destination(f"http://loa%20der@127.0.0.1:{server.port}/default", PLAIN)
    yield opened
    opened.close()


def make_table(name: str) -> Table:
    return Table(
        name, ("id",), (Column("id", ("id",), parse("String")), Column("n`n", ("n",), parse("Nullable(Int8)")))
    )


def make_batch(table: Table, *ids: bytes) -> pa.RecordBatch:
    rows = [{"id": key, "n`n": 1, "version": 0, "is_deleted": 0, "_unmapped": []} for key in ids]
    return pa.RecordBatch.from_pylist(rows, schema=arrow_schema(table))


def test_an_insert_says_everything(server: Gateway, destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    assert destination.ensure_table(table)
    destination.insert(table, [make_batch(table, b"a"), make_batch(table, b"b", b"c")], "the-token")

    (request,) = server.inserts
    assert request.sql == (
        f"INSERT INTO `{unique_name}` (`id`, `n\\`n`, `version`, `is_deleted`, `_unmapped`) FORMAT ArrowStream"
    )
    expected = {
        "async_insert": "0",
        "deduplicate_insert": "enable",
        "distributed_foreground_insert": "1",
        "input_format_arrow_allow_missing_columns": "0",
        "input_format_arrow_case_insensitive_column_matching": "0",
        "input_format_null_as_default": "0",
        "input_format_skip_unknown_fields": "0",
        "insert_deduplicate": "1",
        "insert_deduplication_token": "the-token",
        "max_insert_threads": "1",
        "min_insert_block_size_bytes": "0",
        "min_insert_block_size_rows": "10000000",
        "optimize_on_insert": "0",
    }
    assert {name: request.settings.get(name) for name in expected} == expected
    assert "session_id" not in request.settings
    with pa.ipc.open_stream(request.body) as stream:
        assert [batch.num_rows for batch in stream] == [3]
    assert destination.query(f"SELECT id FROM {unique_name} ORDER BY id FORMAT CSV") == b'"a"\n"b"\n"c"\n'


def test_the_password_goes_into_one_header_only(server: Gateway, destination: Destination) -> None:
    assert destination.url == f"http://loa%20der@127.0.0.1:{server.port}/default"
    destination.query("SELECT 1")
    given = base64.b64encode(f"loa der:{PASSWORD}".encode()).decode()
    for request in server.requests:
        assert request.headers["Authorization"] == f"Basic {given}"
        headers = {name: value for name, value in request.headers.items() if name != "Authorization"}
        assert PASSWORD not in f"{request.sql} {request.settings} {headers}"


def test_a_password_in_the_url_is_used_and_not_shown(server: Gateway) -> None:
    url = f"http://loa%20der:pl4nted%3A%20%2F%40%3F%23%25%C3%BC@127.0.0.1:{server.port}/default"
    opened = open_destination(url, Settings(clickhouse_password=Secret("not this one")))
    try:
        assert "pl4nted" not in opened.url
        assert opened.query("SELECT 1 FORMAT CSV") == b"1\n"
    finally:
        opened.close()


def test_a_wrong_password_is_refused_without_showing_it(server: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    wrong = Settings(clickhouse_password=Secret("wrong-pl4nted"))
    with caplog.at_level(logging.DEBUG), pytest.raises(UsageError, match="AUTHENTICATION_FAILED") as caught:
        open_destination(f"http://loa%20der@127.0.0.1:{server.port}/default", wrong)
    assert "CLICKHOUSE_PASSWORD" in str(caught.value)
    assert "pl4nted" not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "pl4nted" not in repr(wrong)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (Fault.exception(252, "TOO_MANY_PARTS", status=500), RetryError, "TOO_MANY_PARTS"),
        (Fault.exception(241, "MEMORY_LIMIT_EXCEEDED", status=500), RetryError, "MEMORY_LIMIT"),
        (Fault.exception(999, "KEEPER_EXCEPTION", status=500), RetryError, "KEEPER"),
        (Fault(status=429), RetryError, "429"),
        (Fault(status=502, body="<html>bad gateway</html>"), RetryError, "502"),
        (Fault(status=503), RetryError, "503"),
        (Fault(status=504), RetryError, "504"),
        (Fault(Kind.LOSE, 504), RetryError, "504"),
        (Fault(Kind.RESET_BEFORE), RetryError, "connection"),
        (Fault(Kind.RESET_INSIDE), RetryError, "connection"),
        (Fault(Kind.RESET_AFTER), RetryError, "connection"),
        (Fault.exception(497, "ACCESS_DENIED", status=403), UsageError, "CREATE TABLE"),
        (Fault.exception(164, "READONLY", status=500), UsageError, "readonly = 0"),
        (Fault.exception(115, "UNKNOWN_SETTING", status=500), UsageError, "24.8"),
        (Fault.exception(60, "UNKNOWN_TABLE", status=404), ConflictError, "same command again"),
        (Fault(status=404, body="<html>not found</html>"), UsageError, "8123"),
        (Fault.exception(49, "LOGICAL_ERROR", status=500), InternalError, "LOGICAL_ERROR"),
    ],
    ids=lambda value: f"{value.kind.value}-{value.status}-{value.code}" if isinstance(value, Fault) else "",
)
def test_an_insert_that_fails_is_sent_once_and_named(
    server: Gateway,
    destination: Destination,
    unique_name: str,
    fault: Fault,
    kind: type[Dynamo2chError],
    says: str,
) -> None:
    table = make_table(unique_name)
    destination.ensure_table(table)
    server.insert_faults.append(fault)
    with pytest.raises(kind) as caught:
        destination.insert(table, [make_batch(table, b"a")], "t")
    assert says in str(caught.value)
    assert len(server.inserts) <= 1
    # Whatever it was, the next one works, and with the same token it arrives once.
    destination.insert(table, [make_batch(table, b"a")], "t")
    destination.insert(table, [make_batch(table, b"a")], "t")
    assert destination.query(f"SELECT count() FROM {unique_name} FORMAT CSV") == b"1\n"


def test_values_of_an_insert_are_not_repeated(server: Gateway, destination: Destination, unique_name: str) -> None:
    table = make_table(unique_name)
    destination.ensure_table(table)
    said = "Code: 691. DB::Exception: Unknown element 'sally' for enum: (at row 1). (UNKNOWN_ELEMENT_OF_ENUM)"
    server.insert_faults.append(Fault(status=500, code=691, body=said))
    with pytest.raises(InternalError) as caught:
        destination.insert(table, [make_batch(table, b"a")], "t")
    assert "sally" not in str(caught.value)
    assert "UNKNOWN_ELEMENT_OF_ENUM (691)" in str(caught.value)


def test_an_unknown_database_is_named(server: Gateway) -> None:
    with pytest.raises(UsageError, match=r"UNKNOWN_DATABASE.*\n.*Create the database first"):
        open_destination(f"http://loa%20der@127.0.0.1:{server.port}/no_such", PLAIN)


def test_nobody_listening_is_a_reason_to_try_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RetryError, match="connection refused") as caught:
        open_destination(f"http://127.0.0.1:{port}/default", PLAIN)
    assert caught.value.exit_code == ExitCode.RETRY


def test_a_server_that_says_nothing_is_a_reason_to_try_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/default"
        with pytest.raises(RetryError, match="no answer in time"):
            open_destination(url, Settings(connect_timeout=1, read_timeout=1))


def test_plain_http_behind_an_https_url_is_an_error(server: Gateway) -> None:
    with pytest.raises((RetryError, UsageError)):
        open_destination(f"https://u@127.0.0.1:{server.port}/default", PLAIN)


def test_an_old_server_is_refused(server: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    real = server.engine.run

    def old(sql: str, **more: Any) -> tuple[bytes, dict[str, str]]:
        return (b"24.3.1.1\tUTC\n", {}) if "version()" in sql else real(sql, **more)

    monkeypatch.setattr(server.engine, "run", old)
    with pytest.raises(UsageError, match=r"24\.3\.1\.1\n.*24\.8"):
        open_destination(f"http://loa%20der@127.0.0.1:{server.port}/default", PLAIN)
