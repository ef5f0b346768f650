"""Whatever goes wrong between client and server while a load runs: every row is there once."""

from __future__ import annotations

from pathlib import Path

from gateway import Fault, Kind
from gateway.process import GatewayProcess
from readback.proof import Command

SCHEMA = Path(__file__).parents[2] / "schemas" / "users.yaml"
ITEMS = 300

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
    """One load that meets every fault, each of them at an insert of its own."""
    command = Command(tmp_path, gateway.url)
    export = command.synth("export", "users", items=ITEMS, files=len(FAULTS))
    # The ledger's own inserts are among those that meet one. In between one goes through: pauses double until then.
    gateway.fail(inserts=[one for fault in FAULTS for one in (fault, Fault(Kind.NONE))])
    record = command.load(export, SCHEMA, "--workers", "1")
    assert record["rows_inserted"] == ITEMS
    assert gateway.faults_met == len(FAULTS)
    # Not merged: what was inserted twice would be counted twice.
    assert list(command.query("SELECT count(), uniqExact(id) FROM users")) == [[str(ITEMS), str(ITEMS)]]


def test_what_will_never_work_ends_at_once(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Which fault ends how is tested where faults are told apart; here, that nothing is tried again on the way up."""
    command = Command(tmp_path, gateway.url)
    export = command.synth("export", "users", items=10, files=1)
    gateway.fail(inserts=[Fault.exception(516, "AUTHENTICATION_FAILED", status=403)])
    done = command.run("snapshot", export, "--schema", SCHEMA, "--to", command.url)
    assert done.returncode == 2, done.stderr
    assert "CLICKHOUSE_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr
    assert gateway.faults_met == 1
