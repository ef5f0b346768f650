"""Whole loads over HTTP, through a server that fails in every way: they come through, and nothing is stored twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway import Engine, Fault, Gateway, Kind
from job.twin import TwinDecoder, user, users_table, write_export

from transformer.errors import ConflictError, UsageError
from transformer.job import events
from transformer.job.request import SnapshotRequest
from transformer.job.result import SnapshotResult
from transformer.job.snapshot import run
from transformer.load.destination import Destination, open_destination
from transformer.schema.ddl import create_table
from transformer.verify.result import Finding
from transformer.verify.run import VerifyRequest
from transformer.verify.run import run as verify

pytestmark = pytest.mark.timeout(280)

ROWS = 60


@pytest.fixture
def engine(chdb_url: str, unique_name: str) -> Iterator[Destination]:
    """A database of its own, looked at from inside."""
    destination = open_destination(f"{chdb_url}?database=retry_{unique_name}")
    destination.query(create_table(users_table()))
    destination.query("SYSTEM STOP MERGES users")
    yield destination
    destination.query(f"DROP DATABASE retry_{unique_name}")
    destination.close()


@pytest.fixture
def server(engine: Destination, chdb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("transformer.load.retry.FIRST_WAIT", 0.01)
    inner = Engine(chdb_url.removeprefix("chdb://"), tmp_path)
    gateway = Gateway(inner, keep=True)
    yield gateway
    gateway.close()
    inner.close()


@pytest.fixture
def url(server: Gateway, unique_name: str) -> str:
    return f"http://default@127.0.0.1:{server.port}/retry_{unique_name}"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two files of 30 items: six chunks of ten."""
    return write_export(tmp_path, [[user(n) for n in range(30)], [user(n) for n in range(30, ROWS)]])


def load(export: Path, url: str, server: Gateway, *faults: Fault) -> SnapshotResult:
    """A load whose first inserts, once it has begun, meet `faults`."""

    def observe(event: events.Event) -> None:
        if isinstance(event, events.RunStarted):
            server.requests.clear()
            server.insert_faults.extend(faults)

    request = SnapshotRequest(
        export=str(export),
        schema=users_table(),
        destination=url,
        workers=1,
        chunk_items=10,
        retry_seconds=120,
    )
    return run(request, decoder=TwinDecoder, observe=observe)


def stored(engine: Destination) -> int:
    return int(engine.query("SELECT count() FROM users FORMAT TSV"))


def tokens(server: Gateway) -> list[str]:
    """Of the inserts into the table, in the order in which they came in."""
    return [
        request.settings["insert_deduplication_token"] for request in server.inserts if "ArrowStream" in request.sql
    ]


# Of every kind one; the codes and statuses themselves are in tests/load/test_retry.py.
FAULTS = [
    Fault(Kind.RESET_BEFORE),
    Fault(Kind.RESET_INSIDE),
    Fault(Kind.RESET_AFTER),
    Fault(status=429),
    Fault(Kind.LOSE, status=504),
    Fault.exception(252, "TOO_MANY_PARTS"),
    Fault.exception(241, "MEMORY_LIMIT_EXCEEDED"),
    Fault.exception(319, "UNKNOWN_STATUS_OF_INSERT", kind=Kind.LOSE),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind.value}-{fault.status}-{fault.code}")
def test_a_load_comes_through_whatever_happens_to_its_inserts(
    server: Gateway, engine: Destination, url: str, export: Path, fault: Fault
) -> None:
    result = load(export, url, server, *[fault] * 3)
    assert result.error is None
    assert result.job_complete
    assert result.retries == 3
    assert server.met == 3
    assert stored(engine) == ROWS
    sent = tokens(server)
    assert len(set(sent)) == 6
    proof = verify(VerifyRequest(export=str(export), schema=users_table(), destination=url, sample=20))
    assert proof.error is None
    assert proof.finding is Finding.PROVED


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.exception(516, "AUTHENTICATION_FAILED", status=403), UsageError),
        (Fault.exception(497, "ACCESS_DENIED", status=403), UsageError),
        (Fault.exception(60, "UNKNOWN_TABLE", status=404), ConflictError),
        (Fault.exception(53, "TYPE_MISMATCH"), ConflictError),
    ],
    ids=["auth", "grants", "no-table", "type"],
)
def test_what_is_permanent_ends_the_load_at_once(
    server: Gateway, engine: Destination, url: str, export: Path, fault: Fault, kind: type[Exception]
) -> None:
    result = load(export, url, server, fault)
    assert isinstance(result.error, kind)
    assert result.retries == 0
    assert server.met == 1
    again = load(export, url, server)
    assert again.error is None
    assert stored(engine) == ROWS
