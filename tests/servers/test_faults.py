"""Whatever goes wrong between client and server while a load runs: every row is there once."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway import Fault, Kind
from gateway.process import GatewayProcess
from readback.proof import Command

SCHEMA = Path(__file__).parents[2] / "schemas" / "users.yaml"
ITEMS = 300

# Two faults in a row: the second attempt is not the lucky one.
FAULTS = [
    *(Fault(kind) for kind in (Kind.RESET_BEFORE, Kind.RESET_INSIDE, Kind.RESET_AFTER)),
    *(Fault(Kind.LOSE, status) for status in (500, 502, 504)),
    *(Fault(Kind.REFUSE, status) for status in (429, 500, 502, 503, 504)),
    Fault.exception(252, "TOO_MANY_PARTS"),
    Fault.exception(241, "MEMORY_LIMIT_EXCEEDED"),
    Fault.exception(202, "TOO_MANY_SIMULTANEOUS_QUERIES", status=503),
    Fault.exception(159, "TIMEOUT_EXCEEDED", status=408, kind=Kind.LOSE),
    Fault.exception(999, "KEEPER_EXCEPTION", kind=Kind.LOSE),
]


def test_every_fault_of_an_insert_ends_in_every_row_once(gateway: GatewayProcess, tmp_path: Path) -> None:
    """One load, with every fault on its way, one after the other, twice each."""
    command = Command(tmp_path, gateway.url)
    export = command.synth("export", "users", items=ITEMS, files=len(FAULTS))
    # The ledger's own inserts meet them too, so none is counted on to hit a chunk.
    gateway.fail(inserts=[fault for fault in FAULTS for _ in range(2)])
    record = command.load(export, SCHEMA, "--workers", "1")
    assert record["rows_inserted"] == ITEMS
    assert gateway.faults_met == 2 * len(FAULTS)
    # Not merged: what was inserted twice would be counted twice.
    assert list(command.query("SELECT count(), uniqExact(id) FROM users")) == [[str(ITEMS), str(ITEMS)]]


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (Fault.exception(516, "AUTHENTICATION_FAILED", status=403), 2, "CLICKHOUSE_PASSWORD"),
        (Fault.exception(497, "ACCESS_DENIED", status=403), 2, "GRANT"),
        (Fault.exception(164, "READONLY"), 2, "readonly"),
        (Fault.exception(60, "UNKNOWN_TABLE", status=404), 5, "UNKNOWN_TABLE"),
    ],
)
def test_what_will_never_work_ends_at_once(
    gateway: GatewayProcess, tmp_path: Path, fault: Fault, code: int, says: str
) -> None:
    command = Command(tmp_path, gateway.url)
    export = command.synth("export", "users", items=10, files=1)
    command.load(export, SCHEMA)
    other = command.synth("other", "users", items=10, files=1)
    gateway.fail(inserts=[fault])
    done = command.run("snapshot", other, "--schema", SCHEMA, "--table", "users2", "--to", command.url)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert gateway.faults_met == 1
