"""A full export into a table that holds rows already: by exchanging tables, or in place with tombstones.

Loading a newer export over an older one removes nothing: what was deleted in between stays. Both ways here load the
export into a table beside first (the *side table*, `<table>__replace`), with ledger, resume and rejects as always.

replace: when all of it is in, the two tables change names, and what the old one had of later changes (from a stream or
from windows) is copied over. Readers see the old table until then, and the new one after that.
tombstone_missing: every key that the table has and the export lacks gets a tombstone, at the version of the export;
then the export's rows go in. For tables that cannot be exchanged, because grants or views hang on their identity.

Windows that were loaded before stay in the ledger: their rows of later changes are in the table, and the next window
must begin where they end (`job.chain`).
"""

from __future__ import annotations

import contextlib
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from transformer.errors import ConflictError, UsageError
from transformer.job import events
from transformer.job.snapshot import open_ledger, resolve_table, run
from transformer.load.ledger import JobEvent, JobKind, JobState
from transformer.reader.version import snapshot_version
from transformer.schema.expression import quote_identifier
from transformer.schema.layout import row_columns
from transformer.schema.table import Table, VersionFrom
from transformer.source.window import LEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformer.job.events import Observer
    from transformer.job.request import SnapshotRequest
    from transformer.job.result import SnapshotResult
    from transformer.job.stop import StopSwitch
    from transformer.load.clickhouse import ClickHouse
    from transformer.load.ledger import Job, Ledger
    from transformer.source.export import Export

SIDE = "__replace"
"""What is added to the name of a table to get that of its side table."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def replace(
    request: SnapshotRequest, *, observe: Observer = events.ignore, stop: StopSwitch | None = None
) -> SnapshotResult:
    """Load a full export into a side table and let it take the table's place.

    Run again after an interruption, it goes on. A load that fails or rejects more than allowed changes nothing; its
    side table stays for the next run.
    Returns the record of the load; raises UsageError for a destination that has no tables.
    """
    export, table = _export_and_table(request)
    side = changed(table, name=table.name + SIDE)
    result = _into_side(request, export, side, observe, stop)
    if result.exit_code != 0 or not result.job_complete:
        return result
    with _connected(request) as destination:
        ledger = open_ledger(request.ledger, destination, table)
        destination.ensure_table(table)
        _copy_later(destination, table, source=table.name, target=side.name, export=export)
        _hand_over(ledger, result.job, side, table, give_up=True)
        cluster = _on_cluster(table)
        destination.execute(f"EXCHANGE TABLES {_name(table.name)} AND {_name(side.name)}{cluster}")
        # What came in between the copy and the exchange is in the old table, which has the side's name now.
        _copy_later(destination, table, source=side.name, target=table.name, export=export)
        _drop(destination, side)
    result.table = table.name
    return result


def tombstone_missing(
    request: SnapshotRequest, *, observe: Observer = events.ignore, stop: StopSwitch | None = None
) -> SnapshotResult:
    """Load a full export into a table in place, with a tombstone for every key that only the table has.

    The version of rows and tombstones is the time of the export less a minute, whatever the schema says, so that later
    changes win. Raises UsageError for an export without a time, and as `replace`.
    """
    export, table = _export_and_table(request)
    side = changed(table, name=table.name + SIDE, version_from=VersionFrom.EXPORT_TIME)
    version = snapshot_version(side, export)
    result = _into_side(request, export, side, observe, stop)
    if result.exit_code != 0 or not result.job_complete:
        return result
    with _connected(request) as destination:
        ledger = open_ledger(request.ledger, destination, table)
        destination.ensure_table(table)
        destination.execute(tombstones(table, side.name, version))
        destination.execute(_copy(table, side.name, table.name, ""))
        _hand_over(ledger, result.job, side, table, give_up=False)
        _drop(destination, side)
    result.table = table.name
    return result


def tombstones(table: Table, side: str, version: int) -> str:
    """The INSERT that gives every key of `table` that is not in `side`, and has not changed since, a tombstone."""
    keys = ", ".join(map(_name, table.key))
    columns = f"{keys}, {_name(table.version_column)}, {_name(table.deleted_column)}"
    missing = f"({keys}) NOT IN (SELECT {keys} FROM {_name(side)})"  # noqa: S608 - every identifier is quoted
    return (
        f"INSERT INTO {_name(table.name)} ({columns}) SELECT {keys}, {version}, 1 FROM {_name(table.name)} FINAL "  # noqa: S608
        f"WHERE {_name(table.version_column)} < {version} AND {missing}"
    )


def _export_and_table(request: SnapshotRequest) -> tuple[Export, Table]:
    from transformer.source.export import find_export

    if request.dry_run or request.shard is not None:
        raise UsageError("--replace and --tombstone-missing are for whole loads, not for dry runs or parts")
    export = find_export(request.export, request.storage_options)
    return export, resolve_table(request, export)


def _into_side(
    request: SnapshotRequest, export: Export, side: Table, observe: Observer, stop: StopSwitch | None
) -> SnapshotResult:
    """Load the export into the side table; one that an earlier run has left goes, unless it is of the same load."""
    with _connected(request) as destination:
        ledger = open_ledger(request.ledger, destination, side)
        alive = [job for job in ledger.jobs(side.name) if job.state is not JobState.ABANDONED]
        if not any(job.export == export.fingerprint for job in alive):
            for job in alive:
                ledger.note(job, JobEvent.ABANDONED)
            _drop(destination, side)
    return run(changed(request, schema=side, table=None), observe=observe, stop=stop)


@contextlib.contextmanager
def _connected(request: SnapshotRequest) -> Iterator[ClickHouse]:
    from transformer.load.clickhouse import ClickHouse
    from transformer.load.destination import DEFAULT_DESTINATION, open_destination

    with contextlib.closing(open_destination(request.destination or DEFAULT_DESTINATION)) as destination:
        if not isinstance(destination, ClickHouse):
            raise UsageError("null: has no tables that could be replaced")
        yield destination


def _hand_over(ledger: Ledger, job: str, side: Table, table: Table, *, give_up: bool) -> None:
    """Let the ledger say of the table what it said of the side table. give_up: the earlier full exports are gone.

    Before the tables change names: cut off here, the next run finds no job of the side table, and begins it anew.
    """
    from transformer.schema.ddl import fingerprint

    for other in ledger.jobs(table.name) if give_up else ():
        if other.state is not JobState.ABANDONED and other.kind is not JobKind.INCREMENT and other.job != job:
            ledger.note(other, JobEvent.ABANDONED)
    done = next(each for each in ledger.jobs(side.name) if each.job == job)
    mine: Job = ledger.start(changed(done, table=table.name, schema=fingerprint(table)))
    ledger.note(mine, JobEvent.COMPLETE)
    ledger.note(done, JobEvent.ABANDONED)


def _copy_later(destination: ClickHouse, table: Table, *, source: str, target: str, export: Export) -> None:
    """Copy the rows of later changes: those whose version is not long before the time of the export."""
    if export.export_time is None:
        raise ConflictError(
            f"{export.shown} has no manifest, so what is newer than it cannot be told",
            remedy="Load the export with its manifests.",
        )
    since = (export.export_time - LEAD - _EPOCH) // timedelta(microseconds=1)
    destination.execute(_copy(table, source, target, f" WHERE {_name(table.version_column)} >= {since}"))


def _copy(table: Table, source: str, target: str, where: str) -> str:
    columns = ", ".join(_name(column.name) for column in row_columns(table))
    return f"INSERT INTO {_name(target)} ({columns}) SELECT {columns} FROM {_name(source)}{where}"  # noqa: S608 - quoted


def _drop(destination: ClickHouse, side: Table) -> None:
    destination.execute(f"DROP TABLE IF EXISTS {_name(side.name)}{_on_cluster(side)} SYNC")


def _on_cluster(table: Table) -> str:
    return f" ON CLUSTER {_name(table.cluster)}" if table.cluster else ""


def _name(name: str) -> str:
    return quote_identifier(name)
